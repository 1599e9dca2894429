"""One thing in the place of another: local derivatives, names, updated weights, kernels turned, labels shifted."""

from __future__ import annotations

from collections.abc import Iterator

from mathlab.diagnosis.rewrite import Change, Names, Row, Rule, factors, filled, form, product, text, turned, worded
from mathlab.diagnosis.rules import ALL, FLIP
from mathlab.language.check import read
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, parse, substitute

MOST_NAMES = 60  # names of which any may be taken for another; of more, those around
NEIGHBOURS = 12  # equations before and after one that are looked at for what looks like it
MOST_EXCHANGED = 12  # names of which any two may have been taken for each other
MOST_LIKELY = 20  # orders of some labels, of which another may be hit by accident
MOST_ROWS = 512  # samples whose labels may be shifted
SCALED = 0.1  # how much less likely a name is that is also scaled
BEHIND = 0.03  # and values exchanged than weights


def other_name(part: Expr, known: Names) -> Iterator[Change]:
    """Another name of the same shape: first those around, then any."""
    types = known.types.names
    if not isinstance(part, Name) or part.id not in types:
        return
    type_, gradient = types[part.id], part.id in known.gradients
    near = [*dict.fromkeys(_around(part.id, known))]
    far = [name for name in types if name not in near] if len(types) <= MOST_NAMES else []
    for rank, name in [*((0, name) for name in near), *((1, name) for name in far)]:
        fits = name in types and types[name].shape == type_.shape
        if name == part.id or not fits or (rank and name == known.target):
            continue
        if type_.shape and types[name].kind != type_.kind:
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
    nodes, alike = [*known.reads(node), *known.readers(node), *known.beside.get(node, ())], _alike(node, known)
    if node == name:
        yield from (*nodes, known.owner, known.mine, *known.reads(known.owner), *known.readers(known.owner))
        yield from (*alike, f"d{node}")
    else:
        yield from (node, *nodes, *(f"d{other}" for other in (*reversed(nodes), *alike)))


def _alike(name: str, known: Names) -> list[str]:
    """What is read where a name is in what looks like its readers: other layers' weights; and what is made as it is."""
    order = [*known.forward]

    def close(node: str) -> list[str]:
        """The equations around one: the layer, or the step, before and after it."""
        place = order.index(node)
        return [*order[max(place - NEIGHBOURS, 0) : place], *order[place + 1 : place + NEIGHBOURS + 1]]

    def made(node: str) -> tuple[object, int]:
        return getattr(known.forward[node], "op", ""), len(known.reads(node))

    found = []
    for reader in known.readers(name)[:1]:
        own = known.reads(reader)
        likes = [known.reads(other) for other in close(reader)]
        found += [read[own.index(name)] for read in likes if len(read) == len(own)]
    return [*found, *(other for other in close(name) if made(other) == made(name))] if name in order else found


def exchanged(part: Expr, known: Names) -> Iterator[Change]:
    """Two parameters of one shape, or two values that are made alike, each in the other's place: weights, heads."""
    types = known.types.names
    if not isinstance(part, Name) or part.id not in types:
        return
    node, weight = known.node(part.id), known.node(part.id) in known.parameters
    looks = known.place.get(node, ("", 0))[0]
    same = sorted(known.parameters) if weight else [name for name, (its, _) in known.place.items() if its == looks]
    like = [f"{'' if node == part.id else 'd'}{name}" for name in same]
    like = [name for name in like if name in types and types[name].shape == types[part.id].shape]
    for other in like if len(like) <= MOST_EXCHANGED else ():
        if other != part.id:
            yield f"{' and '.join(sorted((part.id, other)))} are exchanged", Name(other), 0 if weight else BEHIND
    if part.id in known.complemented:
        yield f"{part.id} and 1 - {part.id} are exchanged", form("1 - x", x=part)


def other_block(part: Expr, known: Names) -> Iterator[Change]:
    """Two parts of an axis, each in the other's place: two of one size, as gates, or the two that make up all of it."""
    if not (isinstance(part, Call) and part.op in ("index", "scatter")):
        return
    before = 1 if part.op == "index" else 2
    shape = known.shape(part.args[before - 1])
    for n, (item, whole) in enumerate(zip(part.args[before:], shape, strict=False), before):
        if not isinstance(item, Slice | Num):
            return
        if isinstance(item, Slice) and item != ALL and item.step is None:
            first, last, _ = item.whole.indices(whole)
            for start, which in _elsewhere(first, last, whole) if first < last else ():
                moved = Slice(start, start + last - first, None)
                args = (*part.args[:n], moved, *part.args[n + 1 :])
                yield f"{which} of an axis are each in the other's place", Call(part.op, args, part.attrs)


def _elsewhere(start: int, stop: int, whole: int) -> Iterator[tuple[int, str]]:
    """Where else the entries of a part of an axis may be: with those of another of its size, or at the other end."""
    width = stop - start
    for other in range(0, whole, width) if whole % width == 0 == start % width else ():
        if other != start:
            low, high = sorted((start, other))
            yield other, f"{low}:{low + width} and {high}:{high + width}"
    if 2 * width != whole and (start == 0) != (stop == whole):
        yield (whole - width if start == 0 else 0), "the two parts"


def updated_weight(part: Expr, known: Names) -> Iterator[Change]:
    """A weight that has been updated already, where a gradient passes through it."""
    if isinstance(part, Name) and part.id in known.parameters and f"d{part.id}" in known.gradients:
        for rate in known.rates:
            at = "" if len(known.rates) == 1 else f", with a learning rate of {rate:g}"
            updated = form(f"x - {rate!r} * d", x=part, d=Name(f"d{part.id}"))
            yield f"the gradient passes through {part.id} as already updated{at}", updated


def flipped(part: Expr, known: Names) -> Iterator[Change]:
    """A kernel that is flipped, or one that is not."""
    match part:
        case Call("index", (base, *items)) if FLIP in items:
            straight = tuple(ALL if item == FLIP else item for item in items)
            yield f"{text(base)} is not flipped", Call("index", (base, *straight))
        case Call() if known.root and known.mine in known.parameters and len(known.shape(part)) > 2:
            made = Call("index", (part, *[ALL] * (len(known.shape(part)) - 2), FLIP, FLIP))
            yield f"{known.target} is turned by 180 degrees", made
        case Name(name) if name in known.parameters and max(known.types.names[name].shape, default=1) > 1:
            axes = range(len(known.types.names[name].shape))
            axes = axes[-2:] if len(axes) > 2 else axes
            for some in dict.fromkeys((tuple(axes), *((k,) for k in axes))):
                made = Call("index", (part, *(FLIP if k in some else ALL for k in range(axes.stop))))
                yield f"{name} is flipped, as {text(made)}", made, 1


def shifted(part: Expr, known: Names) -> Iterator[Change]:
    """Labels, or inputs, that belong to the sample before or after, or stand in the opposite order."""
    if not isinstance(part, Name) or known.orders.get(part.id, 0) < MOST_LIKELY:
        return
    count = next(iter(known.types.names[part.id].shape), 0)
    if 1 < count <= MOST_ROWS:
        order, words = [*range(count)], f"{part.id} is shifted by one: each sample has that of the one"
        ways = {f"{words} after it": [*order[1:], 0], f"{words} before it": [count - 1, *order[:-1]]}
        for said, rows in {**ways, f"{part.id} is in the opposite order": order[::-1]}.items():
            yield said, Call("index", (part, Call("array", tuple(map(Num, rows))))), float(said not in ways)


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
        made = substitute(part, {t: Call("index", (lookup, Name(t)))})
        yield f"the labels {t} are shifted: each is one class too {words}", made


def slopes(*rows: Row) -> Rule:
    """The rule that takes the derivative of an activation, a factor beside a gradient, as it is got wrong.

    A row has the ops that it is about, or those that it is not about, what stands in place of the derivative, the words
    and how much less likely it is. There x is what goes into the activation, y its value, `again` that of this, s the
    derivative, and `at_x`, `at_y` and `at_again` what it is where the activation is taken of, or for, something else.
    """
    table = [(about.split(), [*map(parse, new.split(" ; "))], words, rank) for about, new, words, rank in rows]

    def rule(part: Expr, known: Names) -> Iterator[Change]:
        chain = factors(part)
        for y, call in known.activations() if len(chain) > 1 and known.carries(part) else ():
            x, *settings = call.args
            again = Call(call.op, (y, *settings))
            at = {"s": (x, y), "at_x": (x, x), "at_y": (y, again), "at_again": (again, again)}
            found = {name: slope for name, place in at.items() if (slope := _slope(call, *place, known))}
            if "s" not in found or "softmax" in call.op:
                continue
            rest, true = [*chain], factors(found["s"])
            for factor in true:
                if factor in rest:
                    rest.remove(factor)
            found |= {"x": x, "y": y, "again": again, "op": Name(call.op)}
            for about, news, words, rank in table if len(rest) == len(chain) - len(true) else ():
                for new in news if about[0] == "any" or (call.op in about) != (about[0] == "not") else ():
                    wrong = filled(new, found)
                    if wrong not in (None, found["s"]):
                        yield worded(words, {**found, "new": wrong}), product(*rest, wrong), rank

    return rule


def _slope(call: Call, x: Expr, y: Expr, known: Names) -> Expr | None:
    """The derivative of an activation at x, where it is y, as the table of ops has it."""
    rule = OPS[call.op].rule(0, known.types.site(call))
    chain = [factor for factor in factors(read(rule)) if factor != Name("g")] if rule else []
    return filled(product(*chain), {"x": x, "y": y, "alpha": call.args[-1]}) if chain else None
