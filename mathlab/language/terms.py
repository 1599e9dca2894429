"""What an expression multiplies and adds, taken apart and put together again."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache, reduce

from mathlab.errors import ExpressionError
from mathlab.language.shapes import Type, axes_of
from mathlab.language.syntax import Call, Expr, Name, Num, Static, replace, shortened, unparse

Path = tuple[int, ...]  # to a part: the number of the argument at each level
SUMS = ("add", "sub", "neg")
ARITHMETIC: Mapping[str, Callable[..., float]] = {
    **{name: getattr(operator, name) for name in "neg add sub mul pow floordiv mod".split()},
    "div": operator.truediv,
}


def inverse(expr: Expr) -> Expr:
    """1 over it; of 1 over something, that."""
    match expr:
        case Call("div", (Num(1), under)):
            return under
    return Call("div", (Num(1), expr))


def transposed(expr: Expr) -> Expr:
    """The transpose; of a transpose, what it is of."""
    match expr:
        case Call("T", (inner,)):
            return inner
    return Call("T", (expr,))


def is_number(factor: Expr) -> bool:
    """Whether it is a number, or 1 over one."""
    return isinstance(factor, Num) or isinstance(inverse(factor), Num)


def factors(expr: Expr) -> list[Expr]:
    """What is multiplied; 1 over what it is divided by."""
    match expr:
        case Call("mul", (left, right)):
            return [*factors(left), *factors(right)]
        case Call("div", (left, right)):
            return [*factors(left), *map(inverse, factors(right))]
        case Call("neg", (inner,)):
            return [Num(-1), *factors(inner)]
    return [expr]


def product(*chain: Expr) -> Expr:
    """What several factors are multiplied to."""
    made: Expr | None = None
    for factor in chain:
        match factor:
            case Call("div", (Num(1), under)):
                made = Call("div", (made or Num(1), under))
            case _:
                made = Call("mul", (made, factor)) if made else factor
    return made or Num(1)


def without(chain: Sequence[Expr], gone: Collection[int]) -> Expr:
    """The product of all factors but some."""
    return product(*[factor for n, factor in enumerate(chain) if n not in gone])


def terms(expr: Expr) -> list[Expr]:
    """What is added, in order; a sum of many steps is longer than Python is deep."""
    found: list[Expr] = []
    while isinstance(expr, Call) and expr.op == "add":
        expr, last = expr.args
        found += terms(last)[::-1]
    return [expr, *found[::-1]]


def total(*added: Expr) -> Expr:
    """What one or more terms are added to."""
    return reduce(lambda left, right: Call("add", (left, right)), added)


@lru_cache(10_000)
def skeleton(expr: Expr) -> str:
    """The expression without its names and numbers."""
    return unparse(replace(expr, lambda part: Name("_") if isinstance(part, Name | Num) else None))


def parts(
    expr: Expr, path: Path = (), term: Expr | None = None, op: str = ""
) -> Iterator[tuple[Path, Expr, Expr, str]]:
    """Each part of an expression, the way to it, the term that it stands in, and the sum that it is a term of."""
    term = term or expr
    yield path, expr, term, op
    if isinstance(expr, Call):
        opens = expr.op in SUMS and term is expr
        # the 1 - y of an activation is no sum
        summed = expr.op in ("add", "concat") or (expr.op == "sub" and not isinstance(expr.args[0], Num))
        for position, arg in enumerate(expr.args):
            yield from parts(arg, (*path, position), arg if opens else term, expr.op if summed else "")


def grafted(expr: Expr, path: Path, part: Expr) -> Expr:
    """The expression with the part to which `path` leads replaced."""
    if not path:
        return part
    assert isinstance(expr, Call)
    args = [*expr.args]
    args[path[0]] = grafted(args[path[0]], path[1:], part)
    return Call(expr.op, tuple(args), expr.attrs, expr.position)


def full(op: str, shape: tuple[int, ...]) -> Expr:
    """Ones or zeros of a shape; for a single number, the number."""
    return Call(op, tuple(map(Num, shape))) if shape else Num(1 if op == "ones" else 0)


def length(shape: tuple[int, ...], axis: Static) -> int:
    """How many entries a reduction takes together."""
    return math.prod(shape[one] for one in axes_of(Type(shape), axis))


@lru_cache(maxsize=10_000)  # asked at every level of an expression
def constant_value(expr: Expr) -> float | None:
    """The value of arithmetic on written numbers alone; None for anything else.

    Python computes such a part when the program runs, exactly and at any length: 9**9**9**9 would never end. So it must
    be seen to be a float first. Raises ExpressionError where it is none.
    """
    if isinstance(expr, Num):
        return float(expr.value)  # which it has been read as
    if not isinstance(expr, Call) or expr.op not in ARITHMETIC:
        return None
    values, why = [constant_value(arg) for arg in expr.args], "is too large for float64"
    if None in values:
        return None
    try:
        value = ARITHMETIC[expr.op](*values)
        if not isinstance(value, complex) and math.isfinite(value):
            return value
        why = "is not a real number" if isinstance(value, complex) else why
    except ArithmeticError as error:
        why = "divides by zero" if isinstance(error, ZeroDivisionError) else why
    raise ExpressionError(f"'{shortened(unparse(expr))}' {why}", expr.position)


def written_value(expr: Expr) -> Static:
    """A number as it is written, or what arithmetic on such comes to; a list of them, also of lists; or None."""
    if isinstance(expr, Num):
        return expr.value
    if isinstance(expr, Call) and expr.op == "array":
        parts = tuple(part for part in map(written_value, expr.args) if part is not None)
        return parts if len(parts) == len(expr.args) else None  # type: ignore[return-value]  # lists of lists fit nowhere
    value = constant_value(expr)
    return int(value) if value is not None and value.is_integer() else value
