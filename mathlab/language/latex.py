"""Equations as LaTeX, one aligned line each."""

from __future__ import annotations

import re

from mathlab.language.equation import Equation
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice

# how tightly an operator binds, and how it is written; the operand on the right needs parentheses at equal strength
INFIX = {
    "add": (1, "{a} + {b}"),
    "sub": (1, "{a} - {b}"),
    "mul": (2, r"{a} \odot {b}"),
    "matmul": (2, r"{a} \, {b}"),
    "gt": (0, r"{a} > {b}"),
    "ge": (0, r"{a} \geq {b}"),
    "lt": (0, r"{a} < {b}"),
    "le": (0, r"{a} \leq {b}"),
    "eq": (0, r"{a} = {b}"),
    "ne": (0, r"{a} \neq {b}"),
}
ATOM = 9
GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)


def latex_equation(equation: Equation, end: str) -> str:
    """`name &= expression`; a gradient `dW` is written as the derivative of `end` by W."""
    return f"{latex_name(equation.name, end)} &= {latex(equation.expr, end)}"


def latex_name(name: str, end: str) -> str:
    """A name as mathematics: trailing digits become a subscript, `dW1` a partial derivative."""
    return rf"\frac{{\partial {_symbol(end)}}}{{\partial {_symbol(name[1:])}}}" if _is_gradient(name) else _symbol(name)


def _is_gradient(name: str) -> bool:
    return len(name) > 1 and name[0] == "d" and name not in GREEK


def _symbol(name: str) -> str:
    stem, digits = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]  # matches every name
    stem, _, rest = stem.partition("_")
    if not stem:
        return rf"\mathrm{{{name}}}".replace("_", r"\_")
    core = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    below = ",".join(part for part in (rf"\mathrm{{{rest}}}".replace("_", r"\_") if rest else "", digits) if part)
    return f"{core}_{{{below}}}" if below else core


def latex(expr: Expr, end: str) -> str:
    """An expression as LaTeX."""
    return _written(expr, end)[0]


def _written(expr: Expr, end: str) -> tuple[str, int]:
    """The LaTeX of an expression and how tightly it binds."""
    match expr:
        case Num(value):
            return _number(value), ATOM if value >= 0 else 1
        case Name(name):
            return latex_name(name, end), ATOM
        case NewAxis():
            return r"\cdot", ATOM
        case Slice(start, stop, step):
            bounds = [start, stop] if step is None else [start, stop, step]
            return ":".join("" if bound is None else str(bound) for bound in bounds), ATOM
        case Call("neg", (inner,)):
            return f"-{_inside(inner, end, 2)}", 1
        case Call("div", (top, bottom)):
            return rf"\frac{{{latex(top, end)}}}{{{latex(bottom, end)}}}", ATOM
        case Call("pow", (base, exponent)):
            return f"{_inside(base, end, ATOM, tight=True)}^{{{latex(exponent, end)}}}", ATOM - 1
        case Call("T" | "mT", (inner,)):
            return rf"{_inside(inner, end, ATOM, tight=True)}^\top", ATOM - 1
        case Call("mul", (Num() as number, right)):
            return rf"{_number(number.value)} \, {_inside(right, end, 2)}", 2
        case Call(op, (left, right)) if op in INFIX:
            strength, form = INFIX[op]
            return form.format(a=_inside(left, end, strength), b=_inside(right, end, strength + 1)), strength
        case Call("index", (base, *items)):
            places = ", ".join(latex(item, end) for item in items)
            return f"{_inside(base, end, ATOM, tight=True)}_{{[{places}]}}", ATOM - 1
        case Call("outer", (left, right)):
            return rf"{_inside(left, end, 2)} \, {_inside(right, end, ATOM, tight=True)}^\top", 2
        case Call(op, args, attrs):
            written = [latex(arg, end) for arg in args]
            form, record = OPS[op].latex, OPS[op]
            if form and not attrs and len(written) == len(record.args):
                return form.format(**dict(zip(record.args, map(_bracketed, written), strict=True))), ATOM - 1
            settings = "".join(f",\\ \\mathrm{{{name}}}={value}" for name, value in attrs if name != "keepdims")
            name = op.replace("_", r"\_")
            return rf"\operatorname{{{name}}}\left({', '.join(written)}{settings}\right)", ATOM
    raise TypeError(expr)  # pragma: no cover  # the cases above are all that an expression can be


def _bracketed(text: str) -> str:
    return text


def _inside(expr: Expr, end: str, strength: int, tight: bool = False) -> str:
    text, own = _written(expr, end)
    # a fraction with an index or a power on it is ambiguous without parentheses
    fragile = tight and (text.startswith(r"\frac") or own < ATOM)
    return rf"\left({text}\right)" if own < strength or fragile else text


def _number(value: float) -> str:
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else text
