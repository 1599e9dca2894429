"""The central difference: the end of the graph with an entry moved up, less the end with it moved down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array
from mathlab.witnesses import chained
from mathlab.witnesses.chained import Result, Steps
from mathlab.witnesses.graph import Definitions, Evaluate, evaluate, run
from mathlab.witnesses.reference import Floats, Mask, Numbers
from mathlab.witnesses.steps import ComplexStep

End = Callable[[Mapping[str, Array]], float]

FEW = 32  # entries; more of them are worth the trouble of a chain
REACH = 4  # times as far as an entry of a parameter moves a node, or about that, its own entries are moved
APART = 0.25  # relative: how far two differences may be from each other
BENT = 1e-3, 1e-7  # relative: what is left over of a difference's odd and even part where there is a kink
ROUNDED = 64 * float(np.finfo(np.float64).eps)  # relative: how far rounding may move a result


def central_difference(
    end: End,
    env: Mapping[str, Array],
    wrt: str,
    step: float | None = None,
    among: Mask | bool = True,
    noise: float = 0.0,
) -> tuple[Floats, Floats]:
    """The central difference for every entry x of `wrt`, and its resolution, both in the shape of `wrt`.

    `end` is the forward pass alone, from `env` to a scalar f; without `step` h is cbrt(eps) * max(1, |x|).
    The resolution is eps * |f| / h for rounding, or `noise` / h where that is more and rounding on the way moves f by
    it, plus |D(h) - D(2h)| / 3 for truncation (D's error grows as h**2). It is infinite where D(2h) is another number:
    the end jumps there, or what it moves by is rounding. Entries that are not `among` those asked for are nan.
    """
    start = np.asarray(env[wrt])
    gradient, resolution = np.full(start.shape, np.nan), np.full(start.shape, np.inf)
    rounding = 2 * max(float(np.finfo(start.dtype.name).eps) * abs(end(env)), noise)
    h = widths(start, step)

    def difference(place: tuple[int, ...], by: float) -> tuple[float, float]:
        """What a step comes to at the end, and its width: as it is taken, not as it was meant."""
        ahead, behind = start.copy(), start.copy()
        ahead[place], behind[place] = float(start[place]) + by, float(start[place]) - by
        moved = end({**env, wrt: ahead}) - end({**env, wrt: behind})
        return moved, float(ahead[place]) - float(behind[place])

    with np.errstate(all="ignore"):
        for place in map(tuple, np.argwhere(np.broadcast_to(among, start.shape))):
            by, width = difference(place, h[place])
            gradient[place] = np.divide(by, width)
            apart = abs(gradient[place] - np.divide(*difference(place, 2 * h[place])))
            if apart <= APART * abs(gradient[place]):
                resolution[place] = rounding / width + apart / 3
    return gradient, resolution


def widths(start: Array, step: float | None) -> Floats:
    """The step for every entry: `step`, or cbrt(eps) * max(1, |x|)."""
    x = np.asarray(start, np.float64)
    return np.full(x.shape, step) if step else float(np.cbrt(np.finfo(start.dtype.name).eps)) * np.maximum(1, np.abs(x))


def real_steps(values: Mapping[str, Numbers], of: Evaluate, reach: Mapping[str, Floats]) -> Steps:
    """Steps up and down: `reach` is how far the entries of every array that moves are moved."""

    def by(name: str) -> Floats:
        """The steps as they are taken, not as they were meant."""
        start = np.asarray(values[name], np.float64)
        return ((start + reach[name]) - (start - reach[name])) / 2

    def bent(result: Result) -> Mask:
        """Without a kink, half a step moves half of the odd part and a quarter of the even one."""
        moved = (np.asarray(result(times), np.float64) for times in (0.0, 1.0, -1.0, 0.5, -0.5))
        still, up, down, half_up, half_down = moved
        odd, half_odd = up - down, half_up - half_down
        even, half_even = up + down - 2 * still, half_up + half_down - 2 * still
        noise = ROUNDED * np.max(np.abs(still), initial=0.0)
        return np.asarray(
            (np.abs(odd - 2 * half_odd) > BENT[0] * np.abs(odd) + noise)
            | (np.abs(even - 4 * half_even) > BENT[1] * np.abs(odd) + noise)
        )

    return Steps(
        values,
        of,
        by,
        unit=1.0,
        difference=lambda result: np.asarray((result(1.0) - result(-1.0)) / 2),
        bent=bent,
        linear=1e-11,
    )


@dataclass(frozen=True)
class Differences:
    """The central differences of the arrays that are `stepped` too, where there are many entries measured op by op.

    `definitions` are the program's, `end` is as in `central_difference` and `env` what it reads.
    """

    stepped: ComplexStep
    definitions: Definitions
    end: End
    env: Mapping[str, Array]
    step: float | None = None

    def of(self, name: str, permitted: Callable[[int], None] = lambda count: None, among: Mask | bool = True) -> Floats:
        """The central difference of every entry; `permitted` and `among` are as in `ComplexStep.both_sides`."""
        graph, shape = self.stepped.divided.seen_from(name), np.shape(self.env[name])
        if not graph.connected:
            return np.zeros(shape)

        def one_by_one(entries: Mask) -> Floats:
            return central_difference(self.end, self.env, name, self.step, entries)[0]

        found = np.full(shape, np.nan)
        if found.size > FEW and self.measured is not None:
            steps, slopes = self.measured[0], self.measured[1][name]
            noise = ROUNDED * float(np.sum(np.abs(graph.seed * graph.values[graph.end])))  # the terms may cancel
            # the entry that moves the end most is to do so alike when it is run through the whole graph
            steepest = np.arange(found.size).reshape(shape) == np.argmax(np.nan_to_num(np.abs(slopes)))
            apart = (one_by_one(steepest) - slopes)[steepest] * steps.by(name)[steepest]
            if abs(float(apart[0])) <= noise and chained.agrees(graph, slopes, steps, noise):
                found = slopes
        return chained.completed(found, one_by_one, among, permitted)

    @cached_property
    def measured(self) -> tuple[Steps, Mapping[str, Floats]] | None:
        """The steps, and what they measure op by op; None where some op cannot be evaluated so."""
        graph, of = self.stepped.divided, partial(evaluate, definitions=self.definitions)
        try:
            values = run(graph.moving, graph.values, of)
            steps = real_steps(values, of, self._reach(values, of))
            return steps, chained.slopes(graph, self.stepped.wanted, steps, self.stepped.known)
        except (ExpressionError, MathlabError):
            return None

    def _reach(self, values: Mapping[str, Numbers], of: Evaluate) -> dict[str, Floats]:
        """How far the entries of every array are moved: those of a parameter by its step.

        Those of a node go about as far as a parameter's step moves them, or by a step of their own size; which that is
        shows when all parameters are moved at random. Of those of one that meet in a result, the steps add up to the
        root of their number.
        """
        graph, rng = self.stepped.divided, np.random.default_rng(0)
        reach = {name: widths(np.asarray(self.env[name]), self.step) for name in self.stepped.wanted}
        meeting = {
            name: math.prod(n for axis, n in enumerate(np.shape(graph.values[name])) if lanes.get(axis) is None)
            for (_, name), lanes in self.stepped.known.items()
        }
        far = {name: by * REACH / math.sqrt(meeting.get(name, 1)) for name, by in reach.items()}
        moved = {name: values[name] + by * rng.standard_normal(by.shape) for name, by in far.items()}
        with np.errstate(all="ignore"):
            for name, value in run(graph.moving, {**graph.values, **moved}, of).items():
                if name not in far and np.issubdtype(value.dtype, np.floating):
                    by, own = np.abs(value - values[name]), widths(np.zeros(()), None) * np.abs(values[name])
                    reach[name] = np.where(by == 0, 0.0, np.maximum(by, own))
        return reach
