"""Equations with one mistake in them, each made by one small change to the text of one equation.

A rule looks at one part of an expression and says what a slip of the pen may make of it. It is tried at every part of
every equation, so it needs to know nothing of the article.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from mathlab.errors import ExpressionError
from mathlab.frozen import dataclass
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.syntax import COMPARE, Call, Expr, Name, Num, Slice, Static, names, unparse

MASKS = frozenset(COMPARE.values())
OPPOSITE = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}
ACTIVATIONS = ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu", "softmax")
FEW = 4  # entries of a sum that are each tried as the only one that was taken; of more, the first and the last


@dataclass(frozen=True)
class Names:
    """What a rule must know about names: their types, which are gradients, and which are parameters."""

    types: Types
    gradients: frozenset[str]
    parameters: frozenset[str]

    def shape(self, expr: Expr) -> tuple[int, ...]:
        return self.types.of(expr).shape

    def carries(self, expr: Expr) -> bool:
        """Whether a gradient is handed on by the expression."""
        return any(name in self.gradients for name in names(expr))


Change = tuple[str, Expr]  # what went wrong, and the part as it then reads
Rule = Callable[[Expr, Names], Iterator[Change]]


def without_mask(part: Expr, known: Names) -> Iterator[Change]:
    """The factor that lets no gradient pass where an activation is flat, left out."""
    match part:
        case Call("mul", (left, Call(op) as mask)) if op in MASKS:
            yield f"the mask ({unparse(mask)}) is missing", left
        case Call("mul", (Call(op) as mask, right)) if op in MASKS:
            yield f"the mask ({unparse(mask)}) is missing", right


def mask_reversed(part: Expr, known: Names) -> Iterator[Change]:
    """The factor that lets no gradient pass, letting it pass just there."""
    match part:
        case Call(op, args) if op in OPPOSITE:
            wrong = Call(OPPOSITE[op], args)
            yield f"the mask ({unparse(part)}) is the wrong way round, ({unparse(wrong)})", wrong


def without_derivative(part: Expr, known: Names) -> Iterator[Change]:
    """Factors beside the upstream gradient: all of them, then each alone."""
    if not (isinstance(part, Call) and part.op == "mul" and known.carries(part)):
        return
    factors = _factors(part)
    kept = [factor for factor in factors if known.carries(factor) or isinstance(factor, Num)]
    local = [factor for factor in factors if factor not in kept]
    if len(local) > 1:
        yield f"the factor {_product_text(local)} is missing", _product(kept)
    for factor in local:
        rest = [*factors]
        rest.remove(factor)
        if not (isinstance(factor, Call) and factor.op in MASKS):
            yield f"the factor {_product_text([factor])} is missing", _product(rest)


def without_upstream(part: Expr, known: Names) -> Iterator[Change]:
    """Ones in place of the gradient that is handed on."""
    if isinstance(part, Name) and part.id in known.gradients:
        ones = Call("ones_like", (part,)) if known.shape(part) else Num(1)
        yield f"the upstream gradient {part.id} is missing", ones


def transposed(part: Expr, known: Names) -> Iterator[Change]:
    """A matrix of a product as its transpose, where the shapes hide it."""
    match part:
        case Call("matmul" | "dot", (left, right)):
            for side, other in enumerate((left, right)):
                turned = _turned(other)
                if len(known.shape(other)) == 2:
                    text = f"{unparse(turned)} stands in place of {unparse(other)}"
                    args = (turned, right) if side == 0 else (left, turned)
                    yield text, Call(part.op, args)
        case Call("outer", (left, right)):
            yield "the outer product is transposed", Call("outer", (right, left))


def not_summed(part: Expr, known: Names) -> Iterator[Change]:
    """One entry of a sum in place of all, or their mean."""
    match part:
        case Call("sum", (inner,), attrs):
            shape, axis = known.shape(inner), dict(attrs).get("axis")
            count = _length(shape, axis)
            if count > 1:
                yield f"{unparse(part)} is averaged instead of summed", Call("mean", (inner,), attrs)
            if not dict(attrs).get("keepdims") and (isinstance(axis, int) or (axis is None and len(shape) == 1)):
                yield from _single_entries(inner, axis if isinstance(axis, int) else 0, len(shape), count)
        case Call("matmul", (Call("T", (left,)), right)):
            rows = known.shape(left)[0]
            if len(known.shape(left)) == 2 == len(known.shape(right)) and rows > 1:
                for row in _few(rows):
                    one = Slice(row, row + 1, None)
                    args = (Call("T", (Call("index", (left, one)),)), Call("index", (right, one)))
                    yield f"{unparse(part)} is not summed over the batch: it is row {row} alone", Call("matmul", args)
                yield f"{unparse(part)} is averaged over the batch instead of summed", Call("div", (part, Num(rows)))


def _single_entries(inner: Expr, axis: int, ndim: int, count: int) -> Iterator[Change]:
    everything = Slice(None, None, None)
    for entry in _few(count):
        items = [everything] * (axis % ndim) + [Num(entry)]
        text = f"{unparse(inner)} is not summed: entry {entry} is taken alone"
        yield text, Call("index", (inner, *items))


def unsummed(part: Expr, known: Names) -> Iterator[Change]:
    """What a sum sums, in its place."""
    match part:
        case Call("sum", (inner,)):
            yield f"{unparse(inner)} is not summed", inner


def without_term(part: Expr, known: Names) -> Iterator[Change]:
    """One side of a sum alone."""
    match part:
        case Call("add", (left, right)):
            for gone, rest in ((right, left), (left, right)):
                bias = isinstance(gone, Name) and gone.id in known.parameters
                yield f"the {'bias' if bias else 'term'} {unparse(gone)} is left out", rest
        case Call("sub", (left, right)) if known.carries(part):
            yield f"the term {unparse(right)} is left out", left


def other_sign(part: Expr, known: Names) -> Iterator[Change]:
    """A minus for a plus, or none for a minus."""
    match part:
        case Call("add", (left, right)):
            yield f"{unparse(right)} is subtracted instead of added", Call("sub", (left, right))
        case Call("sub", (left, right)):
            yield f"{unparse(right)} is added instead of subtracted", Call("add", (left, right))
        case Call("neg", (inner,)):
            yield f"the sign of {unparse(part)} is missing", inner


def sum_or_mean(part: Expr, known: Names) -> Iterator[Change]:
    """One for the other."""
    match part:
        case Call("sum" | "mean" as op, args, attrs) if _length(known.shape(args[0]), dict(attrs).get("axis")) > 1:
            other = Call("mean" if op == "sum" else "sum", args, attrs)
            yield f"{unparse(other)} stands in place of {unparse(part)}", other


def without_number(part: Expr, known: Names) -> Iterator[Change]:
    """A constant factor left out: the 1/2 of a half squared error, the N of a mean."""
    match part:
        case Call("mul", (Num(value), rest)) | Call("mul", (rest, Num(value))) if value != 1:
            yield f"the factor {value} is missing", rest
        case Call("div", (rest, Num(value))) if value != 1:
            yield f"the division by {value} is missing", rest


def without_activation(part: Expr, known: Names) -> Iterator[Change]:
    """What goes into an activation, in its place."""
    match part:
        case Call(op, (inner, *_)) if op in ACTIVATIONS:
            yield f"the activation {op} is left out", inner


def mutants(
    equations: Sequence[Equation], rule: Rule, known: Names, free: Collection[str] = ()
) -> Iterator[tuple[str, str, tuple[Equation, ...]]]:
    """The name of the equation that changes, a clause that says how, and all equations with one change by `rule`.

    Every name keeps its shape, but for those in `free`, which no other equation reads.
    """
    for position, equation in enumerate(equations):
        for clause, expr in _changed(equation.expr, rule, known):
            try:
                types = Types(known.types.names, known.types.integral)
                type_ = types.of(expr)
            except ExpressionError:
                continue
            if type_.kind != "f":
                expr = Call("mul", (expr, Num(1)))  # a mask alone is a number too
            if type_.shape == known.types.names[equation.name].shape or equation.name in free:
                changed = replace(equation, expr=expr, text=unparse(expr))
                yield equation.name, clause, (*equations[:position], changed, *equations[position + 1 :])


def _changed(expr: Expr, rule: Rule, known: Names) -> Iterator[Change]:
    """The expression with one of its parts, or itself, changed by the rule."""
    yield from rule(expr, known)
    if isinstance(expr, Call):
        for position, arg in enumerate(expr.args):
            for clause, new in _changed(arg, rule, known):
                args = (*expr.args[:position], new, *expr.args[position + 1 :])
                yield clause, Call(expr.op, args, expr.attrs, expr.position)


def _factors(expr: Expr) -> list[Expr]:
    if isinstance(expr, Call) and expr.op == "mul":
        return [factor for arg in expr.args for factor in _factors(arg)]
    return [expr]


def _product(factors: Sequence[Expr]) -> Expr:
    product: Expr = factors[0] if factors else Num(1)
    for factor in factors[1:]:
        product = Call("mul", (product, factor))
    return product


def _product_text(factors: Sequence[Expr]) -> str:
    return unparse(_product(factors))


def _turned(expr: Expr) -> Expr:
    match expr:
        case Call("T", (inner,)):
            return inner
    return Call("T", (expr,))


def _length(shape: tuple[int, ...], axis: Static) -> int:
    """How many entries a reduction takes together."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    count = 1
    for one in axes:
        count *= shape[one] if isinstance(one, int) else 1
    return count


def _few(count: int) -> Sequence[int]:
    return range(count) if count <= FEW else (0, count - 1)
