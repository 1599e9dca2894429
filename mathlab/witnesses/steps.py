"""The complex step: derivatives from evaluating the forward equations at arguments with a tiny imaginary part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses import chained
from mathlab.witnesses.chained import Known, Result, Steps
from mathlab.witnesses.graph import Graph, Rounding, evaluate, run
from mathlab.witnesses.reference import Floats, Mask, Numbers, complex_of, numbers

# A complex step errs by about its square, beside slopes and values alike: this one is small enough that not even a
# slope or a value of 0 shows it (with the customary 1e-20, x**3 has the slope -1e-40 at 0). Slopes down to
# SMALLEST_SLOPE are carried with all their digits; the product of step and slope underflows below.
STEP = 1e-120
SMALLEST_SLOPE = float(np.finfo(np.float64).tiny) / STEP

EXPLORED = 8  # evaluations that show which entries may be moved together
FEW = 8  # entries; more of them are worth the trouble of a chain
ROUNDINGS = 8  # reruns that show what rounding may do:
UNITS = 4  # to a slope so many units in the last place, for a softmax rounds several times; to a value one
JUMP = 64 * float(np.finfo(np.float64).eps)  # relative: what rounding may put between two branches of one value,
UNSEEN = 1e-60  # and what the step itself may beside a value of 0


def complex_steps(values: Mapping[str, Numbers], rounded: Rounding | None = None) -> Steps:
    """Steps into the imaginary direction, where the forward equations are the witnesses' own."""

    def bent(result: Result) -> Mask:
        """Without a kink, conjugate arguments give conjugate values; with rounding, nobody looks for one."""
        return np.zeros((), np.bool_) if rounded else chained.differ(result(1.0), np.conj(result(-1.0)))

    return Steps(
        values,
        of=partial(evaluate, rounded=rounded),
        by=lambda name: np.full(np.shape(values[name]), STEP),
        unit=1j,
        difference=lambda result: result(1.0).imag,
        bent=bent,
        linear=1e-9,
    )


@dataclass(frozen=True)
class ComplexStep:
    """The complex step of every entry of the `wanted` arrays; what one of them shows of the nodes serves the next."""

    graph: Graph
    wanted: Sequence[str]
    known: Known = field(default_factory=dict)

    @cached_property
    def divided(self) -> Graph:
        """The same graph with every op an equation of its own."""
        equations = chained.divided(self.graph.moving)
        return self.graph._replace(values=run(equations, self.graph.values), moving=equations)

    def work(self) -> Iterator[tuple[Equation, int]]:
        """The equations of one op that are to be evaluated, and how often, to measure the wanted slopes."""
        steps = complex_steps(self.divided.values)
        for equation, reads in self.divided.between(self.wanted):
            for name in reads:
                lanes = chained.lanes_of(equation, name, steps, self.known)
                shape = np.shape(steps.values[name])
                yield equation, EXPLORED + math.prod(n for axis, n in enumerate(shape) if axis not in lanes)

    @cached_property
    def slopes(self) -> Mapping[str, Floats]:
        return chained.slopes(self.divided, self.wanted, complex_steps(self.divided.values), self.known)

    def both_sides(
        self, name: str, permitted: Callable[[int], None] = lambda count: None, among: Mask | bool = True
    ) -> tuple[Floats, Floats]:
        """The slopes to the left and to the right of every entry of a wanted array that is `among` those asked for.

        They differ only at a kink, and are nan where the end has no finite value, or jumps. `permitted` is told how
        many entries are to be run through the whole graph one by one, and raises MathlabError where these are too many.
        """
        graph = self.graph.seen_from(name)
        shape = graph.start.shape
        if not graph.connected:
            return np.zeros(shape), np.zeros(shape)
        found = np.full(shape, np.nan)
        if not np.isfinite(graph.values[graph.end]).all():
            return found, found
        if np.count_nonzero(np.broadcast_to(among, shape)) > FEW:
            steps, slopes = complex_steps(self.divided.values), self.slopes[name]
            found = slopes + 0.0 if chained.agrees(self.divided.seen_from(name), slopes, steps) else found  # no -0.0
        left, right = chained.completed(found, partial(_alone, graph), among, permitted)
        return left, right

    def noise(self, name: str, values: bool, rng: np.random.Generator) -> Floats:
        """How far rounding may move the complex step of every entry of a wanted array.

        It is the largest deviation among reruns in which the slope in every result of an op is off by a few units in
        its last place, drawn at random; with `values` also the value, by one. So it sees terms that cancel to 0, or to
        what rounding leaves of 0, and 1 less what is almost 1. Without `values` the side of a kink stays as it is.
        """
        graph = self.divided.seen_from(name)
        noise = np.zeros(graph.start.shape)
        if not graph.connected:
            return noise
        rounded = shaking(values, rng)

        def slopes(values: Mapping[str, Numbers], rounded: Rounding) -> Floats:
            return chained.slopes(graph, [name], complex_steps(values, rounded), self.known)[name]

        still = slopes(graph.values, lambda x: x)
        for _ in range(ROUNDINGS):
            leaves = {other: rounded(value) for other, value in graph.values.items()}
            shaken = run(self.divided.moving, leaves, partial(evaluate, rounded=rounded)) if values else graph.values
            with np.errstate(all="ignore"):
                noise = np.fmax(noise, np.abs(slopes(shaken, rounded) - still))
        return noise


def shaking(values: bool, rng: np.random.Generator) -> Rounding:
    """What rounding may do to an array: a slope is off by some units in its last place; with `values`, they by one."""

    def off(x: Floats, units: float) -> Floats:
        return x * (1 + units * float(np.finfo(np.float64).eps) * rng.uniform(-1, 1, x.shape))

    def rounded(x: Numbers) -> Numbers:
        real = off(x.real, 1) if values and np.issubdtype(x.dtype, np.inexact) else x.real
        return complex_of(real, off(x.imag, UNITS)) if np.iscomplexobj(x) else numbers(real)

    return rounded


def end_noise(equations: Sequence[Equation], env: Mapping[str, Array], seed: Array | None) -> float:
    """How far rounding on the way moves the end, weighted by its gradient `seed`."""
    rounded, name = shaking(True, np.random.default_rng(0)), equations[-1].name
    leaves = [
        {key: rounded(numbers(np.asarray(x, np.float64))) if x.dtype.kind == "f" else x for key, x in env.items()}
        for _ in range(ROUNDINGS)
    ]
    with np.errstate(all="ignore"):
        here = run(equations, env)[name].real
        moved = [run(equations, leaf, partial(evaluate, rounded=rounded))[name].real - here for leaf in leaves]
        ends = np.array([np.sum(by if seed is None else seed * by) for by in moved])
    return float(np.max(np.abs(ends), initial=0.0, where=~np.isnan(ends)))


def _alone(graph: Graph, entries: Mask) -> Floats:
    """The slopes to both sides of some entries of `graph.wrt`; nan where the end jumps."""
    found = np.full((2, *entries.shape), np.nan)
    for place in map(tuple, np.argwhere(entries)):
        ends = []
        for step in (-STEP, STEP):
            moved = graph.start.astype(np.complex128)
            moved[place] += 1j * step
            ends.append(graph.rerun(moved))
        with np.errstate(all="ignore"):
            apart = np.max(np.abs(ends[1].real - ends[0].real)) > JUMP * np.max(np.abs(ends[1].real)) + UNSEEN
            if not apart:
                left, right = (np.sum(graph.seed * end.imag) / STEP for end in ends)
                found[(slice(None), *place)] = 0.0 - left, right + 0.0
    return found
