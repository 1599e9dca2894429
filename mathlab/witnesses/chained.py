"""The slope of every entry, measured op by op from the end on, and handed on to what each op reads.

An entry of a weight moves one column of one node. So the entries of a row are moved together: none meets another in
the result, and one evaluation of the op measures them all. Which entries may be moved together is found out by moving
some (`lanes`); nothing here knows an op. (Curtis, Powell & Reid 1974 measure sparse Jacobians so.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mathlab.errors import Place
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, unparse
from mathlab.witnesses.arrays import Floats, Mask, Numbers
from mathlab.witnesses.graph import Graph

ALIKE = 1e-12  # relative: how far the results of entries that move it alike may be apart

Index = tuple[int | slice | EllipsisType | NDArray[np.intp], ...]
Result = Callable[[float], Numbers]  # what an op makes of arrays that are moved by so many steps
Lanes = Mapping[int, int | None]
Known = MutableMapping[tuple[str, str], Lanes]


class Steps(Protocol):
    """How arrays are moved, and what is read off the results: by complex steps, or by real ones."""

    @property
    def kind(self) -> DTypeLike: ...

    @property
    def linear(self) -> float:
        """Relative: how far a step in a random direction may be from the sum of its entries' steps."""

    @property
    def values(self) -> Mapping[str, Numbers]:
        """Of all names, where nothing moves."""

    def by(self, name: str) -> Floats:
        """How far each entry is moved, in the shape of the array; 0 where nothing moves it."""

    def moved(self, start: Numbers, by: Floats) -> Numbers: ...

    def evaluate(self, equation: Equation, env: Mapping[str, Numbers]) -> Numbers: ...

    def difference(self, result: Result) -> Floats:
        """What a step moves, times the slope."""

    def bent(self, result: Result) -> Mask:
        """The entries that have a kink or a jump within a step."""


@dataclass(frozen=True)
class Slopes:
    """The slope of the end along every entry of an array, and where it does not hold: `rough` entries move a kink."""

    values: Floats
    rough: Mask

    @property
    def sound(self) -> Mask:
        """Where it holds."""
        return ~self.rough & np.isfinite(self.values)

    def __add__(self, other: Slopes) -> Slopes:
        return Slopes(self.values + other.values, self.rough | other.rough)


def divided(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The same equations with every op on its own, those inside others in front of them, named by their text.

    No name of a config looks like one of these: there is an operator or a parenthesis in it.
    """
    result: dict[str, Equation] = {}

    def named(part: Expr, place: Place | None) -> Expr:
        if not isinstance(part, Call):
            return part
        text = unparse(part)
        if text not in result:
            result[text] = Equation(text, opened(part, place), text, place)
        return Name(text)

    def opened(part: Expr, place: Place | None) -> Expr:
        if not isinstance(part, Call):
            return part
        return Call(part.op, tuple(named(arg, place) for arg in part.args), part.attrs, part.position)

    for equation in equations:
        expr = opened(equation.expr, equation.place)
        result[equation.name] = Equation(equation.name, expr, equation.text, equation.place)
    return tuple(result.values())


def explore(graph: Graph, wanted: Iterable[str], steps: Steps, known: Known) -> None:
    """Add to `known` the lanes of every equation that moves with the `wanted` names, and each name that it reads."""
    with np.errstate(all="ignore"):
        for equation, reads in graph.between(wanted):
            for name in reads:
                if (equation.name, name) not in known and _floats(steps.values[name]):
                    known[equation.name, name] = _Op(equation, name, steps).lanes()


def slopes(graph: Graph, wanted: Iterable[str], steps: Steps, known: Known) -> dict[str, Slopes]:
    """The slopes of the `wanted` names and of the nodes between them and the end; of `graph` every op is an equation.

    `known` are the lanes of equations and the names they read; those that it lacks are found with these steps.
    """
    wanted = [*wanted]
    explore(graph, wanted, steps, known)
    found = {graph.end: Slopes(graph.seed, np.zeros(graph.seed.shape, np.bool_))}
    with np.errstate(all="ignore"):
        for equation, reads in reversed(graph.between(wanted)):
            ahead, floats = found[equation.name], [name for name in reads if _floats(steps.values[name])]
            bent = steps.bent(_in_random_direction(equation, floats, steps))
            ahead = Slopes(ahead.values, ahead.rough | bent)
            for name in reads:
                shape = np.shape(steps.values[name])
                share = Slopes(np.zeros(shape), np.zeros(shape, np.bool_))
                if name in floats:
                    share = _Op(equation, name, steps).handed(ahead, known[equation.name, name])
                found[name] = found[name] + share if name in found else share
    return found


def _floats(array: Numbers) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _in_random_direction(equation: Equation, reads: Sequence[str], steps: Steps) -> Result:
    rng = np.random.default_rng(0)
    far = {name: steps.by(name) * rng.standard_normal(np.shape(steps.values[name])) for name in reads}
    return lambda times: steps.evaluate(
        equation, {**steps.values, **{name: steps.moved(steps.values[name], times * far[name]) for name in reads}}
    )


def agrees(graph: Graph, slopes: Slopes, steps: Steps, noise: float = 0.0) -> bool:
    """Whether one step of all sound entries of `graph.wrt`, in a random direction, finds the same as theirs.

    `noise` is how far rounding may move the end.
    """
    rng = np.random.default_rng(1)
    shape, sound = slopes.values.shape, slopes.sound
    by = steps.by(graph.wrt) * sound * rng.standard_normal(shape) / math.sqrt(max(1, slopes.values.size))
    known = {**steps.values}

    def start(times: float) -> Numbers:
        return steps.moved(steps.values[graph.wrt], times * by)

    def end(times: float) -> Numbers:
        known[graph.wrt] = start(times)
        for equation in graph.moving:
            known[equation.name] = steps.evaluate(equation, known)
        return known[graph.end]

    with np.errstate(all="ignore"):
        found = float(np.sum(graph.seed * steps.difference(end)))
        terms = np.where(
            sound, slopes.values * steps.difference(start), 0.0
        )  # the step as it is taken, not as it was meant
        return bool(abs(found - np.sum(terms)) <= steps.linear * np.sum(np.abs(terms)) + noise)


class _Op:
    """An equation of one op, seen from one of the arrays that it reads."""

    def __init__(self, equation: Equation, name: str, steps: Steps) -> None:
        self.equation, self.steps = equation, steps
        self.start, self.by = steps.values[name], steps.by(name)
        self.buffer = np.array(self.start, steps.kind)
        self.env = {**steps.values, name: self.buffer}

    def at(self, place: Index, far: Floats | float = 1.0) -> Result:
        """What the op makes of its argument with the entries at a place moved, `far` times a step."""

        def result(times: float) -> Numbers:
            self.buffer[place] = self.steps.moved(self.start[place], self.by[place] * far * times)
            found = np.array(self.steps.evaluate(self.equation, self.env))  # a copy: some ops return what they read
            self.buffer[place] = self.start[place]
            return found

        return result

    def lanes(self) -> Lanes:
        """The axes of the argument of which the positions can be told apart, moved all together.

        Each position moves one position of the result alone along the axis that stands here; or, at None, all of them
        move the result alike, so that one speaks for them all.
        """
        rng = np.random.default_rng(2)
        result = np.shape(self.steps.values[self.equation.name])
        found: dict[int, int | None] = {}
        for axis, length in enumerate(self.start.shape):
            rest = 1 + rng.permutation(
                max(length - 1, 0)
            )  # the first alone: an axis turned round could keep both halves
            parts = [part for part in (np.arange(min(length, 1)), *np.split(rest, [length // 2])) if len(part)]
            before, after = self.start.shape[:axis], self.start.shape[axis + 1 :]
            moved = [
                (part, self._moved((slice(None),) * axis + (part,), rng.uniform(0.5, 1, (*before, len(part), *after))))
                for part in parts
            ]
            possible = [
                other
                for other, n in enumerate(result)
                if n == length and other not in found.values()
                if not any(np.delete(step, part, other).any() for part, step in moved)
            ]
            if possible:
                found[axis] = possible[0]
            elif length > 1 and self.by.all() and self._alike(axis, rng):
                found[axis] = None
        return found

    def _moved(self, place: Index, far: Floats) -> Floats:
        return self.steps.difference(self.at(place, far))

    def _alike(self, axis: int, rng: np.random.Generator) -> bool:
        far = rng.uniform(0.5, 1, self.start.shape) * np.max(self.by) / self.by
        one, other = (self._moved((...,), turned) for turned in (far, np.roll(far * self.by, 1, axis) / self.by))
        return bool(np.all(np.abs(one - other) <= ALIKE * np.max(np.abs(one), initial=0.0)))

    def handed(self, ahead: Slopes, lanes: Lanes) -> Slopes:
        """What moving each entry of the argument comes to at the end, when those of the result have slopes `ahead`."""
        kept = sorted(axis for axis in lanes.values() if axis is not None)
        others = tuple(axis for axis in range(ahead.values.ndim) if axis not in kept)
        order = [kept.index(axis) for _, axis in sorted(lanes.items()) if axis is not None]
        spread = tuple(None if axis is None else slice(None) for _, axis in sorted(lanes.items()))
        shape, smooth = self.start.shape, np.isfinite(ahead.values).all()
        values, rough = np.zeros(shape), np.zeros(shape, np.bool_)
        still = self.at((...,))(0.0)
        for place in places(shape, lanes):
            result = self.at(_first(place, lanes))
            moved = self.steps.difference(result)
            came = ahead.values * moved if smooth else np.where(moved == 0, 0.0, ahead.values * moved)
            values[place] = np.add.reduce(came, axis=others).transpose(order)[spread]
            if ahead.rough.any():
                changed = ahead.rough & (differ(result(1.0), still) | differ(result(-1.0), still))
                rough[place] = np.any(changed, axis=others).transpose(order)[spread]
        by = self.by[_first((slice(None),) * len(shape), lanes)]
        by = np.expand_dims(by, [axis for axis, lane in lanes.items() if lane is None])
        return Slopes(np.where(by == 0, 0.0, values / by), rough)


def _first(place: Index, lanes: Lanes) -> Index:
    """The place with the first position alone of those that move the result alike."""
    return tuple(0 if lanes.get(axis, 0) is None else part for axis, part in enumerate(place))


def places(shape: Sequence[int], lanes: Lanes) -> Iterable[Index]:
    """The places of an array of which the entries are moved together."""
    return itertools.product(*([slice(None)] if axis in lanes else range(n) for axis, n in enumerate(shape)))


def differ(a: Numbers, b: Numbers) -> Mask:
    """Where two arrays are not the same; nan is the same as nan."""
    return np.asarray(~((a == b) | (np.isnan(a) & np.isnan(b))))
