"""An equation: a name and the expression that computes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from mathlab.errors import Place
from mathlab.language.syntax import Expr, unparse


class Step(NamedTuple):
    """What counted the loops to where an equation was written, outermost first, and what its name begins with: h."""

    at: tuple[tuple[str, int], ...]
    series: str

    def __str__(self) -> str:
        return ", ".join(f"{counter} = {number}" for counter, number in self.at)


@dataclass(frozen=True)
class Equation:
    """`name = expr`; `written` is what the config says of it, `place` where the expression's first character stands.

    Of an equation in a loop the place is that of its line. `named_at` is where the name stands.
    """

    name: str
    expr: Expr
    written: str = ""
    place: Place | None = None
    step: Step | None = field(default=None, kw_only=True)
    named_at: Place | None = field(default=None, kw_only=True, compare=False)

    @cached_property
    def text(self) -> str:
        """The expression as it was written, or else as `unparse` has it: of thousands of equations few are shown."""
        return self.written or unparse(self.expr)

    def saying(self, expr: Expr) -> Equation:
        """The same name with another expression."""
        return self if expr == self.expr else replace(self, expr=expr, written="")

    def place_of(self, part: Expr) -> Place | None:
        """Where a part of the expression stands."""
        return self.place.shifted(getattr(part, "position", 0)) if self.place else None

    @property
    def called(self) -> str:
        """The name, and the step that it belongs to: `h3 at t = 3`."""
        return f"{self.name} at {self.step}" if self.step else self.name
