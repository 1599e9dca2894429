"""Equations with every layer's sum of products as a node of its own, however many layers an equation holds."""

from __future__ import annotations

from collections.abc import Sequence

from mathlab.errors import Place
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, replace, unparse

PRODUCTS = ("matmul", "dot")
SUMS = ("add", "sub", "neg")


def divided(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The same equations, with the sums of products that stand inside others in front of them, named by their text.

    No name of a config looks like one of these: a product has a sign or a parenthesis in it.
    """
    result: dict[str, Equation] = {}

    def named(part: Expr, place: Place | None) -> Expr | None:
        """A sum of products as a name, which then has an equation; None for anything else."""
        if not _is_layer(part):
            return None
        text = unparse(part)
        if text not in result:
            result[text] = Equation(text, opened(part, place), text, place)
        return Name(text)

    def opened(part: Expr, place: Place | None) -> Expr:
        """An expression whose sums of products are names, but for itself if it is one."""
        if isinstance(part, Call) and _is_layer(part):
            kept = [part.op in SUMS and _is_layer(arg) for arg in part.args]
            args = (
                opened(arg, place) if keep else around(arg, place) for arg, keep in zip(part.args, kept, strict=True)
            )
            return Call(part.op, tuple(args), part.attrs, part.position)
        return around(part, place)

    def around(part: Expr, place: Place | None) -> Expr:
        return replace(part, lambda inner: named(inner, place))

    for equation in equations:
        expr = opened(equation.expr, equation.place)
        result[equation.name] = Equation(equation.name, expr, equation.text, equation.place)
    return tuple(result.values())


def _is_layer(part: Expr) -> bool:
    """Whether it is a matrix product, or a sum of some."""
    if not isinstance(part, Call):
        return False
    return part.op in PRODUCTS or (part.op in SUMS and any(map(_is_layer, part.args)))
