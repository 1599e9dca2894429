"""One thing in the place of another: names, weights that are updated already, kernels turned, labels shifted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mathlab.diagnosis.rewrite import Change, Names, product, text, turned
from mathlab.diagnosis.rules import ALL, FLIP
from mathlab.language.syntax import Call, Expr, Name, Num

MOST_NAMES = 60  # names of which any may be taken for another; of more, those around
NEIGHBOURS = 12  # equations before and after one that are looked at for what looks like it
MOST_EXCHANGED = 12  # names of which any two may have been taken for each other
MOST_LIKELY = 20  # orders of some labels, of which another may be hit by accident
MOST_ROWS = 512  # samples whose labels may be shifted
SCALED = 0.1  # how much less likely a name is that is also scaled
BEHIND = 0.03  # and values exchanged than weights


def other_name(part: Expr, known: Names) -> Iterator[Change]:
    """Another name of the same shape: first those around, then any."""
    if not isinstance(part, Name) or part.id not in known.types.names:
        return
    type_, gradient = known.types.names[part.id], part.id in known.gradients
    near = [*dict.fromkeys(_around(part.id, known))]
    far = [name for name in known.types.names if name not in near] if len(known.types.names) <= MOST_NAMES else []
    for rank, name in [*((0, name) for name in near), *((1, name) for name in far)]:
        other = known.types.names.get(name)
        if other is None or name == part.id or (rank and name == known.target) or other.shape != type_.shape:
            continue
        if type_.shape and other.kind != type_.kind:
            continue
        handed = name in known.gradients
        if handed and (known.target not in known.gradients or not type_.shape):
            continue  # the forward pass comes first
        yield f"{name} stands in place of {part.id}", Name(name), rank
        if gradient and type_.shape and not rank and not handed:
            for value, _ in known.numbers:
                if value not in (2.0, 0.5):
                    words = f"{name} (times {value:.4g}) stands in place of {part.id}"
                    yield words, product(Num(value), Name(name)), SCALED
    if len(type_.shape) == 2 and type_.shape[0] == type_.shape[1]:
        yield f"{part.id}.T stands in place of {part.id}", turned(part), 0


def _around(name: str, known: Names) -> Iterator[str]:
    node = known.node(name)
    nodes = [*known.reads(node), *known.readers(node)]
    if node == name:
        yield from (*nodes, known.owner, known.node(known.target))
        yield from (*known.reads(known.owner), *known.readers(known.owner))
        yield from (*_alike(node, known), f"d{node}")
    else:
        yield from (node, *nodes)
        yield from (f"d{other}" for other in (*reversed(nodes), *_alike(node, known)))


def _alike(name: str, known: Names) -> Iterator[str]:
    """What is read, in the same place, by what looks like the readers of a name: the weights of other layers."""
    for reader in known.readers(name)[:1]:
        place = known.reads(reader).index(name)
        for other in _close(reader, known):
            if len(known.reads(other)) == len(known.reads(reader)):
                yield known.reads(other)[place]
    yield from (other for other in _close(name, known) if _made(other, known) == _made(name, known))


def _close(name: str, known: Names) -> list[str]:
    """The equations around one: the layer, or the step, before and after it."""
    if name not in known.forward:
        return []
    order = [*known.forward]
    place = order.index(name)
    return [*order[max(place - NEIGHBOURS, 0) : place], *order[place + 1 : place + NEIGHBOURS + 1]]


def _made(name: str, known: Names) -> tuple[object, int]:
    """By which op a node is made, and of how many names."""
    return getattr(known.forward[name], "op", ""), len(known.reads(name))


def exchanged(part: Expr, known: Names) -> Iterator[Change]:
    """Two parameters of one shape, or two values that are made alike, each in the other's place: weights, heads."""
    match part:
        case Call("sub", (Num(1), Name(name))):
            yield f"{name} and 1 - {name} are exchanged", Name(name)
    if not isinstance(part, Name) or part.id not in known.types.names:
        return
    node, shape = known.node(part.id), known.types.names[part.id].shape
    if node in known.parameters:
        like = sorted(known.parameters)
    else:
        looks = known.place.get(node, ("", 0))[0]
        like = [other for other, (its, _) in known.place.items() if its == looks]
    d = "" if node == part.id else "d"
    like = [f"{d}{other}" for other in like if f"{d}{other}" in known.types.names]
    like = [other for other in like if known.types.names[other].shape == shape]
    for other in like if len(like) <= MOST_EXCHANGED else ():
        if other != part.id:
            rank = 0 if node in known.parameters else BEHIND
            yield f"{' and '.join(sorted((part.id, other)))} are exchanged", Name(other), rank
    if part.id in known.complemented:
        yield f"{part.id} and 1 - {part.id} are exchanged", Call("sub", (Num(1), part))


def updated_weight(part: Expr, known: Names) -> Iterator[Change]:
    """A weight that has been updated already, where a gradient passes through it."""
    if isinstance(part, Name) and part.id in known.parameters and f"d{part.id}" in known.gradients:
        for rate in known.rates:
            at = "" if len(known.rates) == 1 else f", with a learning rate of {rate:g}"
            step = product(Num(rate), Name(f"d{part.id}"))
            yield f"the gradient passes through {part.id} as already updated{at}", Call("sub", (part, step))


def flipped(part: Expr, known: Names) -> Iterator[Change]:
    """A kernel that is flipped, or one that is not."""
    match part:
        case Call("index", (base, *items)) if FLIP in items:
            straight = tuple(ALL if item == FLIP else item for item in items)
            yield f"{text(base)} is not flipped", Call("index", (base, *straight))
        case Call() if known.root and known.node(known.target) in known.parameters and len(known.shape(part)) > 2:
            made = Call("index", (part, *[ALL] * (len(known.shape(part)) - 2), FLIP, FLIP))
            yield f"{known.target} is turned by 180 degrees", made
        case Name(name) if name in known.parameters:
            axes = range(len(known.types.names[name].shape))
            if max(known.types.names[name].shape, default=1) > 1:
                for some in dict.fromkeys((tuple(axes), *((k,) for k in axes))):
                    made = Call("index", (part, *(FLIP if k in some else ALL for k in axes)))
                    yield f"{name} is flipped, as {text(made)}", made, 1


def shifted(part: Expr, known: Names) -> Iterator[Change]:
    """Labels, or inputs, that belong to the sample before or after, or stand in the opposite order."""
    if not isinstance(part, Name) or known.orders.get(part.id, 0) < MOST_LIKELY:
        return
    count = next(iter(known.types.names[part.id].shape), 0)
    if 1 < count <= MOST_ROWS:
        order = [*range(count)]
        words = f"{part.id} is shifted by one: each sample has that of the one"
        yield f"{words} after it", _picked(part, [*order[1:], 0])
        yield f"{words} before it", _picked(part, [count - 1, *order[:-1]])
        yield f"{part.id} is in the opposite order", _picked(part, order[::-1]), 1


def _picked(base: Expr, rows: Sequence[int]) -> Expr:
    return Call("index", (base, Call("array", tuple(map(Num, rows)))))


def other_class(part: Expr, known: Names) -> Iterator[Change]:
    """Labels that are one class too high or too low: classes counted from 1."""
    match part:
        case Call("one_hot", (Name(t), Num(n))):
            classes = int(n)
        case Call("cross_entropy", (z, Name(t))) if known.types.names[t].kind == "i":
            classes = known.shape(z)[-1]
        case _:
            return
    for step, words in ((1, "high"), (-1, "low")):
        lookup = Call("array", tuple(Num((k + step) % classes) for k in range(classes)))
        args = tuple(Call("index", (lookup, arg)) if arg == Name(t) else arg for arg in part.args)
        yield f"the labels {t} are shifted: each is one class too {words}", Call(part.op, args, part.attrs)
