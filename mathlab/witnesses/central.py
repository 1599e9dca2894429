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
from mathlab.witnesses.arrays import Floats, Mask, Numbers, numbers
from mathlab.witnesses.chained import Result, Steps
from mathlab.witnesses.graph import Definitions, Evaluate, evaluate, run
from mathlab.witnesses.steps import ComplexStep

End = Callable[[Mapping[str, Array]], float]

FEW = 32  # entries; more of them are worth the trouble of a chain
REACH = 4  # times as far as an entry of a parameter moves a node, or about that, its own entries are moved
TRIES = 3  # directions that show how far that is
APART = 0.25  # relative: how far two differences may be from each other
BENT = 1e-3, 1e-7  # relative: what is left over of a difference's odd and even part where there is a kink
ROUNDED = 64 * float(np.finfo(np.float64).eps)  # relative: how far rounding may move a result


def central_difference(
    end: End,
    env: Mapping[str, Array],
    wrt: str,
    step: float | None = None,
    among: Mask | None = None,
    resolved: bool = True,
    noise: float = 0.0,
) -> tuple[Floats, Floats]:
    """The central difference for every entry x of `wrt`, and its resolution, both in the shape of `wrt`.

    `end` is the forward pass alone, from `env` to a scalar f; without `step` h is cbrt(eps) * max(1, |x|).
    The resolution is eps * |f| / h for rounding, or `noise` / h where that is more and rounding on the way moves f by
    it, plus |D(h) - D(2h)| / 3 for truncation (D's error grows as h**2).
    It takes twice the time, and is infinite where it is not wanted, `resolved`, and where D(2h) is another number: the
    end jumps there, or what it moves by is rounding. Entries that are not `among` those asked for are nan.
    Raises MathlabError when `wrt` holds no floats.
    """
    start = np.asarray(env[wrt])
    if not np.issubdtype(start.dtype, np.floating):
        raise MathlabError(f"'{wrt}' holds whole numbers; a derivative needs floats")
    eps = float(np.finfo(start.dtype.name).eps)
    gradient, resolution = np.full(start.shape, np.nan), np.full(start.shape, np.inf)
    rounding = 2 * max(eps * abs(end(env)), noise) if resolved else 0.0
    h = widths(start, step)

    def difference(entry: int, times: int) -> tuple[float, float]:
        """What a step comes to at the end, and its width: as it is taken, not as it was meant."""
        x, by = float(start.flat[entry]), times * float(h.flat[entry])
        ahead, behind = start.copy(), start.copy()
        ahead.flat[entry], behind.flat[entry] = x + by, x - by
        moved = end({**env, wrt: ahead}) - end({**env, wrt: behind})
        return moved, float(ahead.flat[entry]) - float(behind.flat[entry])

    with np.errstate(all="ignore"):
        for entry in map(int, np.flatnonzero(np.ones(start.shape) if among is None else among)):
            by, width = difference(entry, 1)
            gradient.flat[entry] = np.divide(by, width)
            if resolved:
                twice = np.divide(*difference(entry, 2))
                apart = abs(gradient.flat[entry] - twice)
                if apart <= APART * abs(gradient.flat[entry]):
                    resolution.flat[entry] = rounding / width + apart / 3
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
        still, up, down, half_up, half_down = (
            np.asarray(result(times), np.float64) for times in (0.0, 1.0, -1.0, 0.5, -0.5)
        )
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
        moved=lambda start, by: numbers(start + by),
        difference=lambda result: np.asarray((result(1.0) - result(-1.0)) / 2),
        bent=bent,
        linear=1e-11,
        kind=np.float64,
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
        start = np.asarray(self.env[name])
        graph = self.stepped.divided.seen_from(name)
        found, alone = np.zeros(start.shape), np.ones(start.shape, np.bool_)
        if not graph.connected:
            return found
        if start.size > FEW and (measured := self.measured) is not None:
            steps, slopes = measured[0], measured[1][name]
            noise = ROUNDED * float(np.sum(np.abs(graph.seed * graph.values[graph.end])))  # the terms may cancel
            # the entry that moves the end most is to do so alike when it is run through the whole graph
            steepest = np.argmax(np.where(slopes.sound, np.abs(slopes.values), -1.0))
            at = np.unravel_index(steepest, start.shape)
            apart = self._one_by_one(name, at)[at] - slopes.values[at]
            if abs(apart) * steps.by(name)[at] <= noise and chained.agrees(graph, slopes, steps, noise):
                found, alone = slopes.values, ~slopes.sound
        alone = alone & among
        permitted(int(np.count_nonzero(alone)))
        return np.where(alone, self._one_by_one(name, alone), found)

    def _one_by_one(self, name: str, among: Mask | tuple[np.intp, ...]) -> Floats:
        mask = np.zeros(np.shape(self.env[name]), np.bool_)
        mask[among] = True
        return central_difference(self.end, self.env, name, self.step, mask, resolved=False)[0]

    @cached_property
    def measured(self) -> tuple[Steps, Mapping[str, chained.Slopes]] | None:
        """The steps, and what they measure op by op; None where some op cannot be evaluated so.

        Every node's entries are moved about as far as a parameter's step moves them, or by their own size's.
        """
        graph, rng = self.stepped.divided, np.random.default_rng(0)
        of = partial(evaluate, definitions=self.definitions)
        reach = {name: widths(np.asarray(self.env[name]), self.step) for name in self.stepped.wanted}
        far = {name: REACH * by / math.sqrt(self._meeting(name)) for name, by in reach.items()}
        try:
            values = run(graph.moving, graph.values, of)
            for _ in range(TRIES):
                moved = {name: values[name] + by * rng.choice([-1.0, 1.0], by.shape) for name, by in far.items()}
                for name, value in run(graph.moving, {**graph.values, **moved}, of).items():
                    if name not in far and np.issubdtype(value.dtype, np.floating):
                        before = np.asarray(values[name], np.float64)
                        with np.errstate(all="ignore"):
                            by = np.abs(value - before)
                            by = np.where(by == 0, 0.0, np.maximum(by, widths(np.zeros(()), None) * np.abs(before)))
                            reach[name] = np.fmax(reach.get(name, 0.0), by)
            steps = real_steps(values, of, reach)
            return steps, chained.slopes(graph, self.stepped.wanted, steps, self.stepped.known)
        except (ExpressionError, MathlabError):
            return None

    def _meeting(self, name: str) -> int:
        """How many entries of an array meet in a result, at most."""
        shape = np.shape(self.env[name])
        counts = [
            math.prod(n for axis, n in enumerate(shape) if lanes.get(axis) is None)
            for (_, read), lanes in self.stepped.known.items()
            if read == name
        ]
        return max(counts, default=1)
