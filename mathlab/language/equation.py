"""An equation: a name and the expression that computes it."""

from __future__ import annotations

from dataclasses import dataclass

from mathlab.errors import Place
from mathlab.language.syntax import Expr


@dataclass(frozen=True)
class Equation:
    """`name = expr`; `text` is what the config says, `place` where the expression's first character stands."""

    name: str
    expr: Expr
    text: str
    place: Place | None = None
