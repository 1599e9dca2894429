"""Equations as LaTeX, one aligned line each."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, unparse

ATOM = 6  # how tightly a symbol binds; the table of ops says it of every op
SUBSCRIPTED, APPLIED, PRODUCT, NEGATIVE = 5, 4, 2, 1
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
).split()
LETTERS = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", GREEK, strict=True))


class Written(NamedTuple):
    """The LaTeX of an expression and how tightly it binds, for the forms of the op table.

    A form says with `{x:2}` that what binds less tightly than 2 stands in brackets there.
    """

    text: str
    binds: int

    def __format__(self, least: str) -> str:
        return rf"\left({self.text}\right)" if self.binds < int(least or 0) else self.text


def latex_equation(equation: Equation, end: str, types: Types) -> str:
    """`name &= expression`; a gradient `dW` is written as the derivative of `end` by W."""
    # a comparison is bracketed, lest its sign be read as the equation's
    return f"{_name(equation.name, end, types)} &= {written(equation.expr, end, types):1}"


def _name(name: str, end: str, types: Types) -> Written:
    """A name as mathematics: trailing digits are a subscript, `dW1` is a derivative, and `dW1_2` a part of it."""
    if name[0] == "d" and name[1:] in types.names:
        return Written(rf"\frac{{\partial {_symbol(end)}}}{{\partial {_symbol(name[1:])}}}", APPLIED)
    whole, _, part = name.rpartition("_")
    if part.isdigit() and whole[:1] == "d" and whole[1:] in types.names:
        return Written(rf"{_name(whole, end, types):{ATOM}}_{{{part}}}", SUBSCRIPTED)
    symbol = r"\mathit{e}" if name == "e" else _symbol(name)  # which is not the base of exponentials
    return Written(symbol, SUBSCRIPTED if "_{" in symbol else ATOM)


def _symbol(name: str) -> str:
    if name.endswith("]"):  # h[t-1], of a loop
        stem, _, step = name[:-1].partition("[")
        return f"{_symbol(stem)}_{{{step}}}"
    if not name.isidentifier():  # its counter, t-1, or dots
        return name.replace("…", r"\cdots")
    stem, digits = re.fullmatch(r"(.*?)_?((?:\d+_)*\d*)", name).groups()  # type: ignore[union-attr]  # matches every name
    stem, _, rest = stem.partition("_")
    if not stem:
        return rf"\mathrm{{{name}}}".replace("_", r"\_")
    stem = LETTERS.get(stem, stem)
    core = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    below = [rf"\mathrm{{{rest}}}".replace("_", r"\_")] if rest else []
    below += [number for number in digits.split("_") if number]
    return f"{core}_{{{','.join(below)}}}" if below else core


def written(expr: Expr, end: str, types: Types) -> Written:
    """An expression as LaTeX; `types` knows the names in it."""
    match expr:
        case Num(value):
            mantissa, _, exponent = unparse(expr).partition("e")
            text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
            return Written(text, NEGATIVE if math.copysign(1, value) < 0 else PRODUCT if exponent else ATOM)
        case Name(name):
            return _name(name, end, types)
        case NewAxis():
            return Written(r"\cdot", ATOM)
        case Slice():
            return Written(unparse(Call("index", (Name("x"), expr)))[2:-1], ATOM)
        case Call("matmul", (left, Call("T", (Name(name) as vector,)))) if types.names[name].ndim == 1:
            # to transpose a vector does nothing; in second place it would be read as an outer product
            return written(Call("matmul", (left, vector)), end, types)
        case Call("scatter", (g, *place)):
            return _function("scatter", [written(part, end, types) for part in (g, Call("index", tuple(place)))])
        case Call("einsum", args, ((_, subscripts),)):
            summed, _, kept = str(subscripts).replace(" ", "").partition("->")
            arrays = ", ".join(written(arg, end, types).text for arg in args)
            under = rf"\mathrm{{{summed}}} \to \mathrm{{{kept}}}"
            return Written(rf"\operatorname{{einsum}}_{{{under}}}\left({arrays}\right)", APPLIED)
        case Call(op, args, attrs):
            inside, record = [written(arg, end, types) for arg in args], OPS[op]
            form = record.latex if isinstance(record.latex, str) else record.latex(types.site(expr))
            if not form or attrs:
                return _function(op, inside, attrs)
            fixed = len(record.args) - record.variadic
            rest = {name[1:]: ", ".join(part.text for part in inside[fixed:]) for name in record.args[fixed:]}
            return Written(form.format(**dict(zip(record.args[:fixed], inside, strict=False)), **rest), record.binds)


def _function(name: str, arguments: Sequence[Written], settings: Sequence[tuple[str, object]] = ()) -> Written:
    inside = [argument.text for argument in arguments]
    inside += [rf"\mathrm{{{setting}}}={_setting(value)}" for setting, value in settings]
    upright = name.replace("_", r"\_")
    return Written(rf"\operatorname{{{upright}}}\left({', '.join(inside)}\right)", APPLIED)


def _setting(value: object) -> str:
    if isinstance(value, tuple):
        return rf"\left({', '.join(map(str, value))}\right)"
    return rf"\mathrm{{{value}}}" if value is None or isinstance(value, bool) else str(value)
