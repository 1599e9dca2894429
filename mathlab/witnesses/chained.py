"""The slope of every entry, measured op by op from the end on, and handed on to what each op reads.

An entry of a weight moves one column of one node. So the entries of a row are moved together: none meets another in
the result, and one evaluation of the op measures them all. Which entries may be moved together is found out by moving
some (`lanes`); nothing here knows an op. (Curtis, Powell & Reid 1974 measure sparse Jacobians so.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import Place
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, names, unparse
from mathlab.witnesses.graph import Evaluate, Graph
from mathlab.witnesses.reference import Floats, Mask, Numbers, numbers

ALIKE = 1e-12  # relative: how far the results of entries that move it alike may be apart

Index = tuple[int | slice | EllipsisType | NDArray[np.intp], ...]
Result = Callable[[float], Numbers]  # what an op makes of arrays that are moved by so many steps
Lanes = Mapping[int, int | None]
Known = MutableMapping[tuple[str, str], Lanes]


class Steps(NamedTuple):
    """How arrays are moved, and what is read off the results: by complex steps, or by real ones.

    `values` are those of all names where nothing moves, and `of` evaluates what does. `by` is how far each entry of a
    name is moved, in `unit`s, and 0 where nothing moves it. `difference` is what a step moves, times the slope; `bent`
    are the entries that have a kink or a jump within a step. A step in a random direction may be as far from the sum of
    its entries' steps as `linear`, relative to it.
    """

    values: Mapping[str, Numbers]
    of: Evaluate
    by: Callable[[str], Floats]
    unit: complex
    difference: Callable[[Result], Floats]
    bent: Callable[[Result], Mask]
    linear: float

    def moved(self, name: str, far: Floats) -> Numbers:
        """An array moved so far."""
        return numbers(self.values[name] + self.unit * far)


def divided(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The same equations with every op on its own, those inside others in front of them, named by their text.

    No name of a config looks like one of these: there is an operator or a parenthesis in it.
    """
    result: dict[str, Equation] = {}

    def opened(part: Expr, place: Place | None) -> Expr:
        return replace(part, args=tuple(named(arg, place) for arg in part.args)) if isinstance(part, Call) else part

    def named(part: Expr, place: Place | None) -> Expr:
        if not isinstance(part, Call):
            return part
        text = unparse(part)
        if text not in result:
            result[text] = Equation(text, opened(part, place), text, place)
        return Name(text)

    for equation in equations:
        result[equation.name] = replace(equation, expr=opened(equation.expr, equation.place))
    return tuple(result.values())


def lanes_of(equation: Equation, name: str, steps: Steps, known: Known) -> Lanes:
    """The lanes of a name that an equation reads; they are added to those that are `known`."""
    if (equation.name, name) not in known:
        with np.errstate(all="ignore"):
            known[equation.name, name] = _Op(equation, name, steps).lanes()
    return known[equation.name, name]


def slopes(graph: Graph, wanted: Iterable[str], steps: Steps, known: Known) -> dict[str, Floats]:
    """The slope of the end along every entry of the `wanted` names and of the nodes between them and the end.

    It is nan where it does not hold, for the entry moves a kink. Of `graph` every op is an equation.
    """
    path = graph.between([*wanted])
    found = {name: np.zeros(np.shape(steps.values[name])) for _, reads in path for name in reads}
    found[graph.end] = graph.seed
    with np.errstate(all="ignore"):
        for equation, reads in reversed([one for one in path if one[0].name in found]):  # which are floats
            bent = steps.bent(_in_random_direction(equation, reads, steps))
            cotangent = np.where(bent, np.nan, found[equation.name])
            for name in reads:
                lanes = lanes_of(equation, name, steps, known)
                found[name] = found[name] + _Op(equation, name, steps).vjp(cotangent, lanes)
    return found


def _in_random_direction(equation: Equation, reads: Sequence[str], steps: Steps) -> Result:
    rng = np.random.default_rng(0)
    far = {name: steps.by(name) * rng.standard_normal(np.shape(steps.values[name])) for name in reads}
    still = {name: steps.values[name] for name in names(equation.expr)}
    return lambda times: steps.of(equation.expr, still | {name: steps.moved(name, times * far[name]) for name in reads})


def agrees(graph: Graph, slopes: Floats, steps: Steps, noise: float = 0.0) -> bool:
    """Whether one step of all entries of `graph.wrt` that have a slope, in a random direction, finds the same.

    `noise` is how far rounding may move the end.
    """
    sound, directions = np.isfinite(slopes), np.random.default_rng(1).standard_normal(slopes.shape)
    by = steps.by(graph.wrt) * sound * directions / math.sqrt(max(1, slopes.size))

    def start(times: float) -> Numbers:
        return steps.moved(graph.wrt, times * by)

    with np.errstate(all="ignore"):
        found = np.sum(graph.seed * steps.difference(lambda times: graph.rerun(start(times), steps.of)))
        # the step as it is taken, not as it was meant
        terms = np.where(sound, slopes * steps.difference(start), 0.0)
        return bool(abs(found - np.sum(terms)) <= steps.linear * np.sum(np.abs(terms)) + noise)


def completed(
    slopes: Floats, one_by_one: Callable[[Mask], Floats], among: Mask | bool, permitted: Callable[[int], None]
) -> Floats:
    """The slopes, and where they are missing `among` those asked for, what is found `one_by_one`, if `permitted`."""
    missing = ~np.isfinite(slopes) & among
    permitted(int(np.count_nonzero(missing)))
    return np.where(missing, one_by_one(missing), slopes)


class _Op:
    """An equation of one op, seen from one of the arrays that it reads."""

    def __init__(self, equation: Equation, name: str, steps: Steps) -> None:
        self.equation, self.steps = equation, steps
        self.start, self.by = steps.values[name], steps.by(name)
        self.buffer = np.array(steps.moved(name, np.zeros(())))
        self.env = {read: steps.values[read] for read in names(equation.expr)} | {name: self.buffer}

    def at(self, place: Index, far: Floats | float = 1.0) -> Result:
        """What the op makes of its argument with the entries at a place moved, `far` times a step."""

        def result(times: float) -> Numbers:
            self.buffer[place] = self.start[place] + self.steps.unit * (self.by[place] * far * times)
            found = np.array(self.steps.of(self.equation.expr, self.env))  # a copy: some ops return what they read
            self.buffer[place] = self.start[place]
            return found

        return result

    def lanes(self) -> Lanes:
        """The axes of the argument of which the positions can be told apart, moved all together.

        Each position moves one position of the result alone along the axis that stands here; or, at None, all of them
        move the result alike, so that one speaks for them all.
        """
        rng = np.random.default_rng(2)
        shape, result = self.start.shape, np.shape(self.steps.values[self.equation.name])
        found: dict[int, int | None] = {}
        for axis, length in enumerate(shape):
            # the first alone: an axis turned round could keep both halves
            rest = 1 + rng.permutation(max(length - 1, 0))
            parts = [part for part in (np.arange(min(length, 1)), *np.split(rest, [length // 2])) if len(part)]
            moved = []
            for part in parts:
                far = rng.uniform(0.5, 1, (*shape[:axis], len(part), *shape[axis + 1 :]))
                moved.append((part, self.steps.difference(self.at((slice(None),) * axis + (part,), far))))
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

    def _alike(self, axis: int, rng: np.random.Generator) -> bool:
        far = rng.uniform(0.5, 1, self.start.shape) * np.max(self.by) / self.by
        turned = np.roll(far * self.by, 1, axis) / self.by
        one, other = (self.steps.difference(self.at((...,), by)) for by in (far, turned))
        return bool(np.all(np.abs(one - other) <= ALIKE * np.max(np.abs(one), initial=0.0)))

    def vjp(self, cotangent: Floats, lanes: Lanes) -> Floats:
        """The slope of the end along every entry of the argument, in its shape, from those along the result's entries.

        These are the `cotangent`, in the result's shape. All positions of an axis that has a lane are moved together;
        those of other axes one by one.
        """
        kept = sorted(axis for axis in lanes.values() if axis is not None)
        others = tuple(axis for axis in range(cotangent.ndim) if axis not in kept)
        order = [kept.index(axis) for _, axis in sorted(lanes.items()) if axis is not None]
        spread = tuple(None if axis is None else slice(None) for _, axis in sorted(lanes.items()))
        shape, sound = self.start.shape, np.isfinite(cotangent).all()
        values = np.zeros(shape)
        each = ([slice(None)] if axis in lanes else range(n) for axis, n in enumerate(shape))
        places: Iterable[Index] = itertools.product(*each)
        for place in places:
            result = self.at(_first(place, lanes))
            moved = self.steps.difference(result)
            moves = moved != 0
            if not sound:  # who moves a kink may do so to one side alone
                still = self.at((...,))(0.0)
                moves |= differ(result(1.0), still) | differ(result(-1.0), still)
            came = np.where(moves, cotangent * moved, 0.0)
            values[place] = np.add.reduce(came, axis=others).transpose(order)[spread]
        by = self.by[_first((slice(None),) * len(shape), lanes)]
        by = np.expand_dims(by, [axis for axis, lane in lanes.items() if lane is None])
        return np.where(by == 0, 0.0, values / by)


def _first(place: Index, lanes: Lanes) -> Index:
    """The place with the first position alone of those that move the result alike."""
    return tuple(0 if lanes.get(axis, 0) is None else part for axis, part in enumerate(place))


def differ(a: Numbers, b: Numbers) -> Mask:
    """Where two arrays are not the same; nan is the same as nan."""
    return np.asarray(~((a == b) | (np.isnan(a) & np.isnan(b))))
