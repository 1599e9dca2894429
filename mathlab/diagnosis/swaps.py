"""One thing in the place of another: local derivatives, names, updated weights, kernels transposed, labels shifted."""

from __future__ import annotations

from collections.abc import Iterator

from mathlab.diagnosis.rewrite import Change, Names, form, text
from mathlab.diagnosis.rules import FLIP
from mathlab.language.syntax import ALL, Call, Expr, Name, Num, Slice, substitute, walk
from mathlab.language.terms import factors, product, transposed, without

MOST_NAMES = 60  # names of which any may be taken for another; of more, those around
MOST_EXCHANGED = 12  # names of which any two may have been taken for each other
MOST_LIKELY = 20  # orders of some labels, of which another may be hit by accident
SCALED = 0.1  # how much less likely a name is that is also scaled
WINDOWS = {"all at the first entry": 0.0, "half as far apart": 0.5}  # times where they begin
BEHIND = 0.03  # and values exchanged than weights


def other_name(part: Expr, known: Names) -> Iterator[Change]:
    """Another name of the same shape: first those around, then any."""
    types = known.types.names
    if not isinstance(part, Name) or part.id not in types:
        return
    type_, gradient = types[part.id], part.id in known.gradients
    labels = (name for name in known.orders if types[name] == type_ and type_.kind == "i")
    near = [*dict.fromkeys((*_around(part.id, known), *labels))]
    far = [name for name in types if name not in near] if len(types) <= MOST_NAMES else []
    for rank, name in [*((0, name) for name in near), *((1, name) for name in far)]:
        if name not in types or name == part.id or (rank and name == known.target):
            continue
        other, handed = types[name], name in known.gradients
        if len(other.shape) == 2 and other.shape == type_.shape[::-1] and not rank and not gradient and not handed:
            yield f"{name}.T stands in place of {part.id}", transposed(Name(name))
        if other.shape != type_.shape or (type_.shape and other.kind != type_.kind):
            continue
        if handed and (known.target not in known.gradients or not type_.shape):
            continue  # the forward pass comes first
        yield f"{name} stands in place of {part.id}", Name(name), rank
        if gradient and type_.shape and not rank and not handed:
            for value, why in known.numbers:
                if value not in (2.0, 0.5):
                    size = why.split(" (")[0]  # without what to do about it
                    words = f"{name} (times {value:.4g}, {size}) stands in place of {part.id}"
                    yield words, product(Num(value), Name(name)), SCALED
    if len(type_.shape) == 2 and type_.shape[0] == type_.shape[1]:
        yield f"{part.id}.T stands in place of {part.id}", transposed(part), 0


def other_part(part: Expr, known: Names) -> Iterator[Change]:
    """An entry of another array, or of the next row, in the place of one; what a name is made of, or is made of it."""
    if isinstance(part, Name) and part.id not in known.gradients:
        for other in known.pieces:
            if other.op != "index" and part in other.args and known.shape(other) == known.shape(part):
                yield f"{text(other)} stands in place of {part.id}", other
        made = known.forward.get(part.id, part)
        chain = factors(made)
        some = [without(chain, [n]) for n in range(len(chain))] if len(chain) > 1 else [*getattr(made, "args", ())]
        if isinstance(made, Call) and made.op == "index":
            indices = [(item.id, name) for item in made.args[1:] if isinstance(item, Name) for name in known.orders]
            some += [substitute(made, {read: Name(name)}) for read, name in indices if read != name]
        inside = walk(made) if known.target in known.gradients else ()
        for rest in dict.fromkeys((*some, *inside)):
            if known.shape(rest) == known.shape(part) and not (isinstance(rest, Num) or rest in (made, part)):
                yield f"{text(rest)} stands in place of {part.id}", rest
    elif isinstance(part, Call) and part.op == "index" and part in known.pieces:
        entries = [other for other in known.pieces if other.op == "index"]
        rows = [other for other in entries if other.args[0] == part.args[0]]
        at = rows.index(part)  # what is before the first is the last, as NumPy counts
        near = {
            "next": [rows[(at + 1) % len(rows)]],
            "last": [rows[at - 1]],
            "other": [other for other in entries if other not in rows][:MOST_EXCHANGED],
        }
        for which, other in ((which, other) for which, some in near.items() for other in some):
            if other != part and known.types.of(other) == known.types.of(part):
                yield f"{text(other)} stands in place of {text(part)}", other, 0, which


def other_window(part: Expr, known: Names) -> Iterator[Change]:
    """A part of an array that begins elsewhere: all at the first entry, closer together, or cut at the wrong edge."""
    match part:
        case Call("index", (base, *items)) if not known.summand:
            yield f"all of {text(base)} stands in place of {text(part)}", base, 0, "all"
            for words, times in WINDOWS.items():
                moved = [_begun(item, n, times) for item, n in zip(items, known.shape(base), strict=False)]
                made = Call("index", (base, *moved, *items[len(moved) :]))
                yield f"the parts of {text(base)} begin {words}", made, 0, words
        case Call("conv2d", args, attrs) if known.carries(args[1]) and (part.attr("dilation") or 1) != 1:
            near = Call("conv2d", args, tuple(pair for pair in attrs if pair[0] != "dilation"))
            *lead, rows, columns = known.shape(part)
            first = [*[ALL] * len(lead), Slice(None, rows, None), Slice(None, columns, None)]
            yield f"the stride is forgotten in {text(part)}: its windows are one apart", Call("index", (near, *first))
        case Call("conv2d", args, attrs) if isinstance(pad := part.attr("pad"), int) and pad:
            wider = Call("conv2d", args, tuple((name, pad + 1 if name == "pad" else value) for name, value in attrs))
            for words, cut in {"end": Slice(None, -2, None), "beginning": Slice(2, None, None)}.items():
                whole = (ALL,) * (len(known.shape(part)) - 2)
                yield f"{text(part)} is cut at the {words} alone", Call("index", (wider, *whole, cut, cut)), 0, words


def _begun(item: Expr, whole: int, times: float) -> Expr:
    """A slice of an axis that begins elsewhere."""
    if not isinstance(item, Slice) or item == ALL or item.step is not None:
        return item
    start, stop, _ = item.whole.indices(whole)
    return Slice(int(times * start), int(times * start) + stop - start, None)


def _around(name: str, known: Names) -> Iterator[str]:
    node = known.node(name)
    nodes, alike = [*known.reads(node), *known.readers(node), *known.beside.get(node, ())], [*_alike(node, known)]
    if node == name:
        yield from (*nodes, known.owner, known.mine, *known.reads(known.owner), *known.readers(known.owner))
        yield from (*alike, f"d{node}")
    else:
        yield from (node, *nodes, *(f"d{other}" for other in (*reversed(nodes), *alike)))


def _alike(name: str, known: Names) -> Iterator[str]:
    """What looks like it in this layer or step and those beside; and what is read there as it is: their weights."""

    def like(node: str) -> list[str]:
        looks, step = known.place.get(node, ("", 0))
        return [other for other, (its, k) in known.place.items() if its == looks and abs(k - step) <= 1]

    for reader in known.readers(name)[:1]:
        at = known.reads(reader).index(name)
        yield from (read for other in like(reader) for read in known.reads(other)[at : at + 1])
    yield from like(name)


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
            width = last - first
            places = range(0, whole, width) if width > 0 == whole % width == first % width else ()
            ends = 2 * width != whole and (first == 0) != (last == whole)
            moves = {whole - width - first: "the first and the last part"} if ends else {}
            for low, high in (sorted((first, start)) for start in places if start != first):
                moves[low + high - first] = f"{low}:{low + width} and {high}:{high + width}"
            for start, which in moves.items():
                args = (*part.args[:n], Slice(start, start + width, None), *part.args[n + 1 :])
                yield f"{which} of an axis are each in the other's place", Call(part.op, args, part.attrs)


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
        case Call() if known.root and known.mine in known.parameters and len(known.shape(part)) > 2:
            made = Call("index", (part, *[ALL] * (len(known.shape(part)) - 2), FLIP, FLIP))
            yield f"{known.target} is turned by 180 degrees", made
        case Name(name) if name in known.parameters and max(known.types.names[name].shape, default=1) > 1:
            axes = range(len(known.types.names[name].shape))[-2:]
            for some in dict.fromkeys((tuple(axes), *((k,) for k in axes))):
                made = Call("index", (part, *(FLIP if k in some else ALL for k in range(axes.stop))))
                yield f"{name} is flipped, as {text(made)}", made, 1


def shifted(part: Expr, known: Names) -> Iterator[Change]:
    """Labels, or inputs, that belong to the sample before or after, or stand in the opposite order."""
    if not isinstance(part, Name) or known.orders.get(part.id, 0) < MOST_LIKELY:
        return
    for axis, count in enumerate(known.shape(part)[:2]):
        order, each = [*range(count)], ("sample", "column")[axis]
        words = f"{part.id} is shifted by one: each {each} has that of the one"
        ways = {f"{words} after it": [*order[1:], 0], f"{words} before it": [count - 1, *order[:-1]]}
        ways[f"{part.id} is in the opposite order{' of columns' * axis}"] = order[::-1]
        for far, (said, rows) in zip((0, 0, 1), ways.items(), strict=True):
            yield said, Call("index", (part, *[ALL] * axis, Call("array", tuple(map(Num, rows))))), far


def other_class(part: Expr, known: Names) -> Iterator[Change]:
    """Labels that are one class too high or too low: classes counted from 1."""
    what, one = "labels", "class"
    match part:
        case Call("one_hot", (Name(t), Num(n))):
            classes = int(n)
        case Call("index" | "scatter", (*_, Name(x), Name(t))) if known.types.names[t].kind == "i":
            classes, what, one = known.shape(Name(x))[0], "indices", "row"
        case Call("cross_entropy", (z, Name(t))) if known.types.names[t].kind == "i":
            classes = known.shape(z)[-1]
        case _:
            return
    for q in known.forward if part.op == "one_hot" else ():
        if known.shape(Name(q)) == known.shape(part):
            largest = form(f"one_hot(argmax(q, axis=-1), {classes})", q=Name(q))
            yield f"the largest of {q} stands in place of {t}", largest
    for step, words in ((1, "high"), (-1, "low")):
        lookup = Call("array", tuple(Num((k + step) % classes) for k in range(classes)))
        made = substitute(part, {t: Call("index", (lookup, Name(t)))})
        yield f"the {what} {t} are shifted: each is one {one} too {words}", made
