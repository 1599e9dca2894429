"""Equations of a loop's steps that say the same, taken together again as the recurrence that they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import groupby
from typing import TypeVar

from mathlab.language.check import Types
from mathlab.language.equation import Equation, Step
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num

ROUNDS = 3  # steps, or terms of a sum, that are worth taking together
DOTS = Name("…")

T = TypeVar("T")


@dataclass(frozen=True)
class Recurrence:
    """Equations over `h[t]` and the like, and the first and the last step that they stand for."""

    counter: str
    first: int
    last: int
    equations: tuple[Equation, ...]


class Fold:
    """Folds equations, forward or backward ones, by the `steps` of names; where there are none, nothing.

    What is folded was compared: with each number put in, a recurrence is the equations that it stands for.
    """

    def __init__(self, steps: Iterable[tuple[str, Step | None]]) -> None:
        self.steps = {name: step for name, step in steps if step}
        series = sorted({re.escape(step.series) for step in self.steps.values()}, key=len, reverse=True)
        self.step_name = re.compile(rf"(d?(?:{'|'.join(series)}))_?(\d+)((?:_\d+)?)")
        self.called: dict[str, str | None] = {}  # the names in recurrences, and one that each stands for; or a counter

    def equations(self, equations: Sequence[Equation]) -> Iterator[Equation | Recurrence]:
        """The equations in order, with long sums cut short."""
        if not self.steps:
            yield from equations
            return
        blocks = [(step, tuple(block)) for step, block in groupby(equations, self._step)]
        at = 0
        while at < len(blocks):
            step, block = blocks[at]
            count, template = _alike(len(blocks) - at, partial(self._both, blocks, at))
            last = blocks[at + count - 1][0]
            if step and last and template and count >= ROUNDS:
                yield Recurrence(step.counter, step.number, last.number, template)
            else:
                count = 1
                yield from (one.saying(self.cut(one.expr)) for one in block)
            at += count

    def text(self, equation: Equation) -> str:
        """Its text, with long sums cut short."""
        return equation.saying(self.cut(equation.expr)).text

    def cut(self, expr: Expr) -> Expr:
        """The expression with the first and the last of the terms of a sum, or of a list, that are alike."""
        if not isinstance(expr, Call) or not self.steps:
            return expr
        terms = _terms(expr) if expr.op == "add" else expr.args
        if expr.op not in ("add", "array") or len(terms) <= ROUNDS:
            return replace(expr, args=tuple(map(self.cut, expr.args)))
        kept: list[Expr] = []
        at = 0
        while at < len(terms):
            count = max(_alike(len(terms) - at, partial(self._term, terms, at, way))[0] for way in (1, -1))
            kept += [terms[at], DOTS, terms[at + count - 1]] if count > ROUNDS else terms[at : at + count]
            at += count
        if expr.op == "array":
            return replace(expr, args=tuple(kept))
        return reduce(lambda left, right: Call("add", (left, right)), kept)

    def types(self, types: Types) -> Types:
        """The types with those of the names in recurrences."""
        known = types.names
        more = {name: known[of] if of else Type((), "i") for name, of in self.called.items() if not of or of in known}
        return Types({DOTS.id: Type(()), **known, **more}, types.integral)

    def _step(self, equation: Equation) -> Step | None:
        """The step of an equation's name, or of the name that it gives the gradient of, or a part of that."""
        name = equation.name
        known = (name, name[1:], name[1:].rpartition("_")[0])
        step = next((self.steps[one] for one in known if one in self.steps), None)
        return replace(step, series="") if step else None

    def _term(self, terms: Sequence[Expr], at: int, way: int, k: int) -> Expr | None:
        """What the k-th term from `at` and the next say."""
        return self._said(terms[at + k], terms[at + k + 1], k * way, way, "t")

    def _both(
        self, blocks: Sequence[tuple[Step | None, Sequence[Equation]]], at: int, k: int
    ) -> tuple[Equation, ...] | None:
        """What the equations of the k-th step from `at` and of the next say, where they say the same."""
        (step, these), (next_step, those) = blocks[at + k], blocks[at + k + 1]
        if not step or not next_step or step.counter != next_step.counter or len(these) != len(those):
            return None
        way = next_step.number - step.number
        said: list[Equation] = []
        for this, that in zip(these, those, strict=True):
            name = self._said(Name(this.name), Name(that.name), step.number, way, step.counter)
            expr = self._said(this.expr, that.expr, step.number, way, step.counter)
            if abs(way) != 1 or not isinstance(name, Name) or expr is None:
                return None
            said.append(Equation(name.id, expr))
        return tuple(said)

    def _said(self, one: Expr, other: Expr, number: int, way: int, counter: str) -> Expr | None:
        """What two expressions say of their steps, which are `number` and the next in the `way` of counting."""
        match one, other:
            case _ if one == other:
                return one
            case Name(this), Name(that):
                first, second = self.step_name.fullmatch(this), self.step_name.fullmatch(that)
                if not (first and second):
                    return None
                if (first[1], int(first[2]) + way, first[3]) == (second[1], int(second[2]), second[3]):
                    name = f"{first[1]}[{_counted(counter, int(first[2]) - number)}]"
                    self.called |= {name + first[3]: this, name[1:]: this.removesuffix(first[3])[1:]}
                    return Name(name + first[3])
            case Num(int() as this), Num(int() as that) if that - this == way:
                self.called[_counted(counter, this - number)] = None
                return Name(_counted(counter, this - number))
            case Call(), Call() if (one.op, one.attrs, len(one.args)) == (other.op, other.attrs, len(other.args)):
                args = [self._said(*pair, number, way, counter) for pair in zip(one.args, other.args, strict=True)]
                if None not in args:
                    return replace(one, args=tuple(arg for arg in args if arg is not None))
        return None


def _counted(counter: str, offset: int) -> str:
    return f"{counter}{offset:+}" if offset else counter


def _alike(count: int, said: Callable[[int], T | None]) -> tuple[int, T | None]:
    """How many of `count` things in a row are alike, and what `said` tells of each of them and the next."""
    first = said(0) if count > 1 else None
    if first is None:
        return 1, None
    return next((k + 1 for k in range(1, count - 1) if said(k) != first), count), first


def _terms(expr: Expr) -> Sequence[Expr]:
    """The terms of a sum, in order."""
    terms: list[Expr] = []
    while isinstance(expr, Call) and expr.op == "add":
        expr, last = expr.args
        terms.append(last)
    return [expr, *terms[::-1]]
