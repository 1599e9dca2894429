"""The complex step of one entry after another, each run through the whole graph: alone, or as many at once as fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mathlab.witnesses.arrays import Floats, numbers
from mathlab.witnesses.copies import ends
from mathlab.witnesses.evaluation import Rounding, run
from mathlab.witnesses.graph import Graph
from mathlab.witnesses.reference import REFERENCE
from mathlab.witnesses.stack import Positions
from mathlab.witnesses.stacked import Stacker

# A complex step errs by about its square, beside slopes and values alike: this one is small enough that not even a
# slope or a value of 0 shows it (with the customary 1e-20, x**3 has the slope -1e-40 at 0). Slopes down to
# SMALLEST_SLOPE are carried with all their digits; the product of step and slope underflows below.
STEP = 1e-120
SMALLEST_SLOPE = float(np.finfo(np.float64).tiny) / STEP


def slope(graph: Graph, entry: int, step: float, rounded: Rounding | None = None) -> float:
    """The slope of the end along one entry of `graph.wrt`, counted in C order."""
    moved = graph.start.astype(np.complex128)
    moved.flat[entry] += 1j * step
    end = graph.rerun(moved, rounded)[graph.end]
    with np.errstate(all="ignore"):
        return float(np.sum(graph.seed * end.imag)) / step + 0.0  # no -0.0


def stacked(graph: Graph, entries: Positions, step: float, rounded: Rounding | None = None) -> Floats | None:
    """The slopes of `entries`, run together; None where some op cannot be stacked."""
    # what the copies share is complex too, so that rounding puts it on the same side of every kink
    stacker = Stacker(REFERENCE, graph.rerun(graph.start.astype(np.complex128)), rounded)
    points = numbers(graph.start.ravel()[None, entries] + 1j * step)
    slopes = ends(stacker, graph, entries, points)
    return None if slopes is None else slopes[0] / step + 0.0


def repaired(slopes: Floats, graph: Graph, step: float) -> Floats:
    """`slopes`, one an entry, with those that are not finite found alone; in the shape of `graph.wrt`."""
    for entry in np.flatnonzero(~np.isfinite(slopes)):
        slopes[entry] = slope(graph, int(entry), step)
    return slopes.reshape(graph.start.shape)


def has_kink(graph: Graph, moved: Sequence[str]) -> bool:
    """Whether some node has a kink along a random direction in the arrays `moved`.

    Two evaluations for all their entries: without a kink, conjugate arguments give conjugate values.
    """
    rng = np.random.default_rng(0)
    directions = {name: rng.standard_normal(graph.values[name].shape) for name in moved}
    ahead, behind = (
        run(
            graph.moving,
            {**graph.values, **{name: graph.values[name] + 1j * step * directions[name] for name in moved}},
        )
        for step in (STEP, -STEP)
    )
    return any(
        not np.array_equal(ahead[equation.name], np.conj(behind[equation.name]), equal_nan=True)
        for equation in graph.moving
    )
