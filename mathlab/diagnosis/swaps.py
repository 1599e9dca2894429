"""One thing in the place of another: names, products, axes, labels, weights that are updated already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mathlab.diagnosis.rewrite import Change, Names
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, unparse

LN10, LN2 = 2.302585092994046, 0.6931471805599453
FEW = 60  # names of which any may be taken for another; of more, those around
FLIP = Slice(None, None, -1)
OTHER_ACTIVATIONS = ("sigmoid", "tanh", "relu")


def other_name(part: Expr, known: Names) -> Iterator[Change]:
    """Another name of the same shape: first those around, then any."""
    if not isinstance(part, Name) or part.id not in known.types.names:
        return
    type_ = known.types.names[part.id]
    near = [*dict.fromkeys(_around(part.id, known))]
    far = [*known.types.names] if len(known.types.names) <= FEW else []
    for rank, some in enumerate((near, far)):
        for name in some:
            if name == part.id or (rank and name in near) or name == known.target:
                continue
            if name in known.gradients and known.target not in known.gradients:
                continue  # the forward pass comes first
            other = known.types.names.get(name)
            if other is not None and other.kind == type_.kind and other.shape == type_.shape and type_.shape:
                yield f"{name} stands in place of {part.id}", Name(name), rank
                if part.id in known.gradients and not rank and name not in known.gradients:
                    for value, _ in known.numbers:
                        if value not in (2.0, 0.5):
                            scaled = Call("mul", (Num(value), Name(name)))
                            yield f"{name} (times {value:.4g}) stands in place of {part.id}", scaled, 0.1
            elif other is not None and not type_.shape and not other.shape and name not in known.gradients:
                yield f"{name} stands in place of {part.id}", Name(name), rank
    if len(type_.shape) == 2 and type_.shape[0] == type_.shape[1]:
        yield f"{part.id}.T stands in place of {part.id}", Call("T", (part,)), 0


def _around(name: str, known: Names) -> Iterator[str]:
    node, target = known.node(name), known.node(known.target)
    if node == name:
        yield from known.reads(node)
        yield from known.readers(node)
        yield from (known.owner, target)
        yield from known.reads(known.owner)
        yield from known.readers(known.owner)
        yield from _alike(node, known)
        yield f"d{node}"
    else:
        yield node
        yield from (*known.reads(node), *known.readers(node))
        yield from (f"d{other}" for other in (*known.readers(node), *known.reads(node)))
        yield from (f"d{other}" for other in _alike(node, known))


def _alike(name: str, known: Names) -> Iterator[str]:
    """What is read, in the same place, by what looks like the readers of a name: the weights of other layers."""
    readers = known.readers(name)
    for reader in readers[:1]:
        place = known.reads(reader).index(name)
        for other in known.forward:
            inner = known.reads(other)
            if other != reader and len(inner) == len(known.reads(reader)):
                yield inner[place]
    for other, expr in known.forward.items():
        if name in known.forward and other != name and type(expr) is type(known.forward[name]):
            same = isinstance(expr, Call) and expr.op == getattr(known.forward[name], "op", "")
            if same and len(known.reads(other)) == len(known.reads(name)):
                yield other


def updated_weight(part: Expr, known: Names) -> Iterator[Change]:
    """A weight that has been updated already, where a gradient passes through it."""
    if isinstance(part, Name) and part.id in known.parameters and f"d{part.id}" in known.gradients:
        for rate in known.rates:
            at = "" if len(known.rates) == 1 else f", with a learning rate of {rate:g}"
            step = Call("mul", (Num(rate), Name(f"d{part.id}")))
            yield f"the gradient passes through {part.id} as already updated{at}", Call("sub", (part, step))


def other_product(part: Expr, known: Names) -> Iterator[Change]:
    """A matrix product for an entry-wise one, the other way round, or with its factors turned."""
    match part:
        case Call("matmul" | "dot" | "outer", (left, right)):
            if part.op != "outer":
                for a, b in ((left, right), (_turned(left), right), (left, _turned(right))):
                    new = Call("mul", (a, b))
                    yield f"{unparse(part)} is taken entry by entry, as {unparse(new)}", new
            new = Call(part.op, (right, left))
            yield f"{unparse(new)} stands in place of {unparse(part)}", new
        case Call("mul", (left, right)) if known.carries(part):
            for a, b in (
                (left, right),
                (right, left),
                (_turned(left), right),
                (left, _turned(right)),
                (_turned(right), left),
            ):
                new = Call("matmul", (a, b))
                yield f"{unparse(new)}, a matrix product, stands in place of {unparse(part)}", new


def _turned(expr: Expr) -> Expr:
    match expr:
        case Call("T", (inner,)):
            return inner
    return Call("T", (expr,))


def other_axis(part: Expr, known: Names) -> Iterator[Change]:
    """A sum, a mean or a softmax over another axis, or over all; the largest in place of the sum."""
    if not (
        isinstance(part, Call) and part.op in ("sum", "mean", "softmax", "log_softmax", "max", "logsumexp", "norm")
    ):
        return
    ndim, own = len(known.shape(part.args[0])), part.attr("axis")
    own = -1 if own is None and part.op.endswith("softmax") else own
    keeps = tuple((name, value) for name, value in part.attrs if name == "keepdims")
    for axis in (*range(ndim), None):
        same = axis == own or (isinstance(own, int) and axis is not None and own % max(ndim, 1) == axis)
        if same or (axis is None and part.op.endswith("softmax")):
            continue
        attrs = (*((("axis", axis),) if axis is not None else ()), *keeps)
        over = "all entries" if axis is None else f"axis {axis}"
        yield f"{part.op} runs over {over} in {unparse(part)}", Call(part.op, part.args, attrs)
        if not keeps and axis is not None and ndim == 2:
            yield (
                f"{part.op} runs over {over} in {unparse(part)}",
                Call(part.op, part.args, (*attrs, ("keepdims", True))),
            )
        if part.op == "softmax":  # the largest is taken off along one axis, and the sum runs along the other
            x = part.args[0]
            raised = Call("exp", (Call("sub", (x, Call("max", (x,), (("axis", own), ("keepdims", True))))),))
            total = Call("sum", (raised,), (("axis", axis), ("keepdims", True)))
            yield f"the sum in softmax runs over {over} in {unparse(part)}", Call("div", (raised, total))
    if part.op == "sum":
        yield f"{unparse(part)} is averaged instead of summed", Call("mean", part.args, part.attrs)


def row_sums(part: Expr, known: Names) -> Iterator[Change]:
    """The gradient of a bias from the sums of that of its weight's rows or columns."""
    name = known.node(known.target)
    if not known.root or name not in known.parameters:
        return
    shape = known.types.names[known.target].shape
    for reader in known.readers(name)[:1]:
        for weight in known.reads(reader):
            gradient = f"d{weight}"
            if weight != name and gradient in known.gradients and len(known.types.names[weight].shape) == 2:
                for axis in (0, 1):
                    for op in ("sum", "mean"):
                        attrs = (("axis", axis), *((("keepdims", True),) if len(shape) == 2 else ()))
                        new = Call(op, (Name(gradient),), attrs)
                        yield (
                            f"{known.target} is taken from {gradient}, as {unparse(new)}, instead of {unparse(part)}",
                            new,
                        )


def flipped(part: Expr, known: Names) -> Iterator[Change]:
    """A kernel that is flipped, or one that is not."""
    match part:
        case Call("index", (base, *items)) if FLIP in items:
            straight = tuple(Slice(None, None, None) if item == FLIP else item for item in items)
            yield f"{unparse(base)} is not flipped", Call("index", (base, *straight))
        case Name(name) if name in known.parameters:
            shape = known.types.names[name].shape
            if shape and max(shape) > 1:
                for axes in {tuple(range(len(shape))), *((k,) for k in range(len(shape)))}:
                    items = [FLIP if k in axes else Slice(None, None, None) for k in range(len(shape))]
                    yield f"{name} is flipped, as {name}{_shown(items)}", Call("index", (part, *items)), 1


def _shown(items: Sequence[Expr]) -> str:
    return f"[{', '.join('::-1' if item == FLIP else ':' for item in items)}]"


def assigned(part: Expr, known: Names) -> Iterator[Change]:
    """Rows of an embedding's gradient that are set instead of added to, so that of equal indices the last one stays."""
    match part:
        case Call("scatter", (g, base, Name(index))) if known.types.names[index].shape:
            shape, width = known.types.names[index].shape, len(known.shape(g))
            count = math.prod(shape)
            flat: Expr = Call("reshape", (Name(index), Num(count)))
            place = Call("array", tuple(Num(k) for k in range(count)))
            row, column = (NewAxis(), Slice(None, None, None)), (Slice(None, None, None), NewAxis())
            same = Call("eq", (Call("index", (flat, *column)), Call("index", (flat, *row))))
            later = Call("lt", (Call("index", (place, *column)), Call("index", (place, *row))))
            again = Call("sum", (Call("mul", (same, later)),), (("axis", 1),))
            last = Call("reshape", (Call("eq", (again, Num(0))), *map(Num, shape)))
            items = [Slice(None, None, None)] * len(shape) + [NewAxis()] * (width - len(shape))
            kept = Call("scatter", (Call("mul", (g, Call("index", (last, *items)))), base, Name(index)))
            yield f"rows of {unparse(base)} that {index} has several times are set instead of added to", kept


def shifted(part: Expr, known: Names) -> Iterator[Change]:
    """Labels, or inputs, that belong to the sample before or after; classes counted from 1."""
    if (
        not isinstance(part, Name)
        or part.id in known.gradients
        or part.id in known.forward
        or part.id in known.parameters
    ):
        return
    type_ = known.types.names[part.id]
    if type_.shape and 1 < type_.shape[0] <= 512:
        n = type_.shape[0]
        for step, where in ((1, "after"), (-1, "before")):
            rows = Call("array", tuple(Num((k + step) % n) for k in range(n)))
            yield (
                f"{part.id} is shifted by one: each sample has that of the one {where} it",
                Call("index", (part, rows)),
            )
        turned = Call("array", tuple(Num(n - 1 - k) for k in range(n)))
        yield f"{part.id} is in the opposite order", Call("index", (part, turned)), 1


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
        wrong = Call("index", (lookup, Name(t)))
        args = tuple(wrong if arg == Name(t) else arg for arg in part.args)
        yield f"the labels {t} are shifted: each is one class too {words}", Call(part.op, args, part.attrs)


def other_function(part: Expr, known: Names) -> Iterator[Change]:
    """Another activation, another logarithm's base."""
    match part:
        case Call(op, (inner,)) if op in ACTIVATIONS.keys() - {"softmax", "log_softmax"}:
            for other in OTHER_ACTIVATIONS:
                if other != op:
                    yield f"{other} stands in place of {op}", Call(other, (inner,))
        case Call("log", (inner,)):
            yield "the logarithm has the base 10", Call("div", (part, Num(LN10)))
            yield "the logarithm has the base 2", Call("div", (part, Num(LN2)))
            yield f"the logarithm of {unparse(inner)} is left out", inner
        case Call("cross_entropy", _):
            yield "the logarithm has the base 10", Call("div", (part, Num(LN10)))
            yield "the logarithm has the base 2", Call("div", (part, Num(LN2)))
