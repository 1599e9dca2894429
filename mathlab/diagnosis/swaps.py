"""One thing in the place of another: local derivatives, names, updated weights, kernels turned, labels shifted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import combinations

from mathlab.diagnosis.rewrite import (
    Change,
    Names,
    Row,
    Rule,
    factors,
    filled,
    form,
    product,
    terms,
    text,
    turned,
    worded,
)
from mathlab.diagnosis.rules import ALL, FLIP
from mathlab.language.check import read
from mathlab.language.ops import ACTIVATIONS, OPS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, parse, substitute

MOST_NAMES = 60  # names of which any may be taken for another; of more, those around
NEIGHBOURS = 12  # equations before and after one that are looked at for what looks like it
MOST_EXCHANGED = 12  # names of which any two may have been taken for each other
MOST_LIKELY = 20  # orders of some labels, of which another may be hit by accident
MOST_ROWS = 512  # samples whose labels may be shifted
SCALED = 0.1  # how much less likely a name is that is also scaled
WINDOWS: Mapping[str, Callable[[int, int], int]] = {
    "all at the first entry": lambda start, most: 0,
    "all at the last entry where they may": lambda start, most: most,
    "half as far apart": lambda start, most: start // 2,
    "one entry too early": lambda start, most: start - 1,
    "one entry too late": lambda start, most: start + 1,
}
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


def other_part(part: Expr, known: Names) -> Iterator[Change]:
    """An entry of another array, or of the next row, in the place of one; what is made of a name in its place."""
    if isinstance(part, Name) and part.id not in known.gradients:
        for other in known.pieces:
            if other.op != "index" and part in other.args and known.shape(other) == known.shape(part):
                yield f"{text(other)} stands in place of {part.id}", other
    elif isinstance(part, Call) and part.op == "index" and part in known.pieces:
        entries = [other for other in known.pieces if other.op == "index"]
        rows = [other for other in entries if other.args[0] == part.args[0]]
        at = rows.index(part)
        near = {
            "next": rows[at + 1 :][:1],
            "last": rows[:at][-1:],
            "other": [other for other in entries if other not in rows][:MOST_EXCHANGED],
        }
        for which, other in ((which, other) for which, some in near.items() for other in some):
            if known.types.of(other) == known.types.of(part):
                yield f"{text(other)} stands in place of {text(part)}", other, 0, which


def other_window(part: Expr, known: Names) -> Iterator[Change]:
    """A part of an array that begins elsewhere: all at the first entry, closer together, or cut at the wrong edge."""
    match part:
        case Call("index", (base, *items)) if not known.summand:
            for words, begin in WINDOWS.items():
                moved = [_begun(item, n, begin) for item, n in zip(items, known.shape(base), strict=False)]
                made = Call("index", (base, *moved, *items[len(moved) :]))
                yield f"the parts of {text(base)} begin {words}", made, 0, words
        case Call("conv2d", args, attrs) if isinstance(pad := part.attr("pad"), int) and pad:
            wider = Call("conv2d", args, tuple((name, pad + 1 if name == "pad" else value) for name, value in attrs))
            for words, cut in {"end": Slice(None, -2, None), "beginning": Slice(2, None, None)}.items():
                whole = (ALL,) * (len(known.shape(part)) - 2)
                yield f"{text(part)} is cut at the {words} alone", Call("index", (wider, *whole, cut, cut)), 0, words


def _begun(item: Expr, whole: int, begin: Callable[[int, int], int]) -> Expr:
    """A slice of an axis that begins elsewhere."""
    if not isinstance(item, Slice) or item == ALL or item.step is not None:
        return item
    start, stop, _ = slice(item.start, item.stop).indices(whole)
    first = begin(start, whole - stop + start)
    return Slice(first, first + stop - start, None) if 0 <= first <= whole - stop + start else item


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
        yield (whole - width if start == 0 else 0), "the first and the last part"


def updated_weight(part: Expr, known: Names) -> Iterator[Change]:
    """A weight, or rows of it, that have been updated already, where a gradient passes through them."""
    if not (isinstance(part, Name) and known.target in known.gradients):
        return
    picked = False
    match known.forward.get(part.id):
        case Call("index", (Name(weight), *items)) if weight in known.parameters:
            picked = True
            for words, updated, *_ in updated_weight(Name(weight), known):
                yield words, Call("index", (updated, *items))
    if (picked or part.id in known.parameters) and f"d{part.id}" in known.gradients:
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
    for q in known.forward if part.op == "one_hot" else ():
        if known.shape(Name(q)) == known.shape(part):
            yield (
                f"the largest of {q} stands in place of {t}",
                form(f"one_hot(argmax(q, axis=-1), {classes})", q=Name(q)),
            )
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


def slope_of_some(part: Expr, known: Names) -> Iterator[Change]:
    """Some terms of what is handed on to an activation that go past its derivative, or through it twice."""
    call, added = known.forward.get(known.mine), terms(part)
    if known.root and isinstance(call, Call) and call.op in ACTIVATIONS and "softmax" not in call.op and len(added) > 1:
        slope = _slope(call, call.args[0], Name(known.mine), known) or Num(1)
        for first, last in combinations(range(len(added) + 1), 2):
            some = reduce(lambda left, right: Call("add", (left, right)), added[first:last])
            if last - first < len(added):
                for written, words in (("p + x * (s - 1)", "stands twice"), ("p + x / s - x", "is left out")):
                    wrong = form(written, p=part, x=some, s=slope)
                    yield f"the derivative of {call.op} {words} for {text(some)}", wrong


def _slope(call: Call, x: Expr, y: Expr, known: Names) -> Expr | None:
    """The derivative of an activation at x, where it is y, as the table of ops has it."""
    rule = OPS[call.op].rule(0, known.types.site(call))
    chain = [factor for factor in factors(read(rule)) if factor != Name("g")] if rule else []
    return filled(product(*chain), {"x": x, "y": y, "alpha": call.args[-1]}) if chain else None
