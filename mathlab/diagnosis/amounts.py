"""Terms by a factor too large or too small, wrong numbers and exponents, and factors that do not belong."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from mathlab.diagnosis.rewrite import Change, Names, factors
from mathlab.language.syntax import Call, Expr, Name, Num, names, unparse

SMALL = 1e-3  # numbers below are there to keep something from being 0
EPSILONS = (0.0, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
UNLIKELY = 0.28  # a power that is another is behind another name
POWERS = (0.5, 1, 2, 3, -0.5, -1, -1.5, -2, -3)


def scaled_term(part: Expr, known: Names) -> Iterator[Change]:
    """A whole equation, or a term of a sum, times a number of the experiment."""
    if known.root:
        for value, why in known.numbers:
            yield _scaled(part, value, why), Call("mul", (Num(value), part))
        if isinstance(part, Name | Call):
            yield f"the sign of {unparse(part)} is the other way round", Call("neg", (part,))
    if isinstance(part, Call) and part.op in ("add", "sub"):
        for side, term in enumerate(part.args):
            if isinstance(term, Num) or (isinstance(term, Call) and term.op in ("add", "sub")):
                continue
            for value, why in known.numbers:
                args = tuple(Call("mul", (Num(value), arg)) if n == side else arg for n, arg in enumerate(part.args))
                yield _scaled(term, value, why), Call(part.op, args)


def _numbers(others: Iterable[float]) -> list[float]:
    """Those that a program can hold: twice a number may be too large, and 1 over one."""
    return [other for other in others if abs(other) <= sys.float_info.max]


def _scaled(term: Expr, value: float, why: str) -> str:
    penalty = isinstance(term, Call) and term.op == "mul" and len(names(term)) == 1 and isinstance(term.args[0], Num)
    what = f"the {'regularisation ' if penalty else ''}term {unparse(term)}"
    if value in (2.0, 0.5):
        return f"{what} is {'twice' if value == 2 else 'half of'} what it should be"
    return f"{what} is {value:.4g} times what it should be: {why}"


def other_number(part: Expr, known: Names) -> Iterator[Change]:
    """A factor or exponent that is another number, or the small one that keeps a division from failing."""
    match part:
        case Call("pow", (base, Num(k))):
            for other in POWERS:
                if other != k:
                    new = base if other == 1 else Call("pow", (base, Num(other)))
                    yield f"{unparse(new)} stands in place of {unparse(part)}", new, UNLIKELY
        case Call("sign" | "abs", (inner,)):
            yield f"{unparse(inner)} stands in place of {unparse(part)}", inner
        case Call("sqrt", (inner,)):
            yield f"the square root in {unparse(part)} is left out", inner
            yield (
                f"{unparse(inner)} to the power 3/2 stands in place of {unparse(part)}",
                Call("pow", (inner, Num(1.5))),
            )
        case Call("div", (top, Call() as under)) if not isinstance(under, Num):
            yield f"the division by {unparse(under)} is made twice", Call("div", (part, under))
            yield f"{unparse(under)} multiplies instead of dividing", Call("mul", (top, under))
            yield f"the division is by the square of {unparse(under)}", Call("div", (top, Call("pow", (under, Num(2)))))
        case Call("div", (top, Num(k))) if k == int(k) and k > 1:
            for other in _numbers({k - 1, k + 1, 2 * k, k / 2} - {0}):
                new = Call("div", (top, Num(other))) if other != 1 else top
                yield f"the division is by {other:g} instead of {k}", new
        case Call("mul", (Num(k), rest)) if k not in (0, 1):
            for other in _numbers((1 / k, 2 * k, k / 2, k * k)):
                yield f"the factor is {other:.4g} instead of {k}", Call("mul", (Num(other), rest))
        case Call("add", (rest, Num(small))) if 0 < abs(small) <= SMALL:
            for other in EPSILONS:
                if other != small:
                    yield f"the small number is {other:g} instead of {small:g}", Call("add", (rest, Num(other)))
        case Call("mean", (inner,), attrs):
            whole = known.shape(inner)
            axis = part.attr("axis")
            count = 1
            for n, length in enumerate(whole):
                count *= (
                    length if axis is None or n == axis or (isinstance(axis, int) and n == axis % len(whole)) else 1
                )
            if count > 2:
                text = f"{unparse(part)} divides by {count - 1}, one less than there are"
                yield text, Call("div", (Call("sum", (inner,), attrs), Num(count - 1)))


def other_length(part: Expr, known: Names) -> Iterator[Change]:
    """One length in place of another, as N - 1 for N in a variance, or the batch for the features."""
    if isinstance(part, Call) and part.op in ("mul", "div") and known.carries(part):
        lengths = {n for name in names(part) for n in known.types.names[name].shape if n > 1}
        lengths |= {n - 1 for n in lengths if n > 2}
        for top in lengths:
            for bottom in lengths - {top}:
                text = f"{unparse(part)} is {top} / {bottom} of what it should be: {bottom} stands in place of {top}"
                yield text, Call("mul", (Num(top / bottom), part))


def extra_factor(part: Expr, known: Names) -> Iterator[Change]:
    """A product with a factor that does not belong there."""
    if not (known.root or (isinstance(part, Call) and part.op in ("mul", "matmul", "outer"))) or not known.carries(
        part
    ):
        return
    if isinstance(part, Call) and part.op == "mul" and not known.root:
        return
    for name in _near(known):
        if known.types.names[name].kind == "f" and part != Name(name):
            yield f"the factor {name} is too much", Call("mul", (part, Name(name)))
    for factor in factors(part) if known.root else ():
        if not known.carries(factor.expr) and not isinstance(factor.expr, Num):
            yield f"the factor {unparse(factor.expr)} stands twice", Call("mul", (part, factor.expr))


def extra_inside(part: Expr, known: Names) -> Iterator[Change]:
    """A gradient with a factor too much as it is handed on."""
    if isinstance(part, Name) and part.id in known.gradients and not known.root:
        for name in _near(known):
            if known.types.names[name].kind == "f" and known.types.names[name].shape == known.shape(part):
                yield f"the factor {name} is too much in {part.id}", Call("mul", (part, Name(name)))


def _near(known: Names) -> list[str]:
    """The values around the place: the node, what it is computed from, what is computed from it, and their like."""
    target = known.node(known.target)
    close = [target, known.owner, *known.reads(target), *known.reads(known.owner), *known.readers(target)]
    return [name for name in dict.fromkeys(close) if name in known.types.names]
