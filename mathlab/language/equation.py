"""An equation: a name and the expression that computes it; and the graph that equations are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from graphlib import TopologicalSorter
from operator import or_
from typing import NamedTuple

from mathlab.errors import Place
from mathlab.language.syntax import Expr, names, unparse

At = tuple[tuple[str, int], ...]  # the counters of loops in one another and their numbers, outermost first


class Step(NamedTuple):
    """What counted the loops to where an equation was written, and what its name begins with: h."""

    at: At
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


def by_name(equations: Iterable[Equation]) -> dict[str, Expr]:
    """What each name is."""
    return {equation.name: equation.expr for equation in equations}


def in_order(equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations so that each comes after those that it reads. Raises CycleError where they go round."""
    named = {equation.name: equation for equation in equations}
    place = {name: k for k, name in enumerate(named)}
    graph = {name: [read for read in names(equation.expr) if read in named] for name, equation in named.items()}
    if all(place[read] < place[name] for name, some in graph.items() for read in some):
        return tuple(named.values())
    return tuple(named[name] for name in TopologicalSorter(graph).static_order())


class Graph:
    """Names as bits: of each all that it is computed from, and all that is computed from it, itself included."""

    def __init__(self, given: Iterable[str], equations: Sequence[Equation]) -> None:
        self.order = [*given, *(equation.name for equation in equations)]
        self.bit = {name: 1 << k for k, name in enumerate(self.order)}
        self.behind = dict(self.bit)
        for equation in equations:
            self.behind[equation.name] |= self.sources(equation.expr)
        self.ahead = dict.fromkeys(self.order, 0)
        for name, bits in self.behind.items():
            for other in self.named(bits):
                self.ahead[other] |= self.bit[name]

    def named(self, bits: int) -> Iterator[str]:
        """The names of some bits, in order."""
        while bits:
            low = bits & -bits
            yield self.order[low.bit_length() - 1]
            bits ^= low

    def reach(self, changed: Iterable[str]) -> int:
        """All that a change of some reaches."""
        return reduce(or_, (self.ahead[name] for name in changed), 0)

    def sources(self, quantity: Expr) -> int:
        """All that a quantity is computed from."""
        return reduce(or_, (self.behind.get(name, 0) for name in names(quantity)), 0)

    def circular(self, changed: Iterable[tuple[str, Expr]]) -> bool:
        """Whether an equation reads what is computed from it, where it comes to have such a part."""
        return any(self.ahead[name] & self.bit.get(read, 0) for name, part in changed for read in names(part))
