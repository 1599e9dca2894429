"""Derivatives from evaluating the forward equations at moved arguments: the complex step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.arrays import Floats, Numbers, complex_of
from mathlab.witnesses.evaluation import Rounding
from mathlab.witnesses.graph import Graph, seen_from
from mathlab.witnesses.stack import Positions
from mathlab.witnesses.stepped import STEP, has_kink, repaired, slope, stacked
from mathlab.witnesses.superposed import Responses

ROUNDINGS = 8  # reruns that show what rounding may do,
UNITS = 4  # by so many units in the last place
FEW = 8  # entries; more of them are worth the trouble of stacking copies


def complex_step(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> Floats:
    """The gradient of the end with respect to every entry of `wrt`, in its shape; to the right of a kink.

    `seed` is the gradient of the end in its shape, None for a scalar end; the result is that of sum(seed * end).
    nan where the end has no finite value. Raises MathlabError as `seen_from` does, and for what cannot be evaluated.
    """
    graph = seen_from(wrt, equations, env, seed)
    smooth = graph.start.size > FEW and not has_kink(graph, (wrt,))
    return _slopes(graph, STEP, Responses(graph) if smooth else None)


def one_sided(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> tuple[Floats, Floats]:
    """The slopes to the left and to the right of every entry of `wrt`; they differ only at a kink.

    Arguments, nan and errors are as for `complex_step`.
    """
    graph = seen_from(wrt, equations, env, seed)
    return both_sides(graph, Responses(graph))


def both_sides(graph: Graph, responses: Responses) -> tuple[Floats, Floats]:
    """As `one_sided`, for a graph that is seen from `wrt`; `responses` are those of the same graph."""
    kink = not responses.smooth and has_kink(graph, (graph.wrt,))
    right = _slopes(graph, STEP, None if kink else responses)
    return (_slopes(graph, -STEP, None) if kink else right), right


def _slopes(graph: Graph, step: float, responses: Responses | None) -> Floats:
    """The slope of every entry; `responses` are given where the graph has no kink at the point.

    Up to FEW entries are stepped one by one. More of them are stepped together: all the same where each is run through
    the graph, and superposed where that is smooth.
    """
    size = graph.start.size
    if not graph.connected:
        return np.zeros(graph.start.shape)
    if not np.isfinite(np.asarray(graph.values[graph.end])).all():
        return np.full(graph.start.shape, np.nan)
    slopes = responses.slopes(graph) if responses and size > FEW else None
    if slopes is None and size > FEW:
        slopes = stacked(graph, np.arange(size), step)
    return repaired(np.full(size, np.nan) if slopes is None else slopes, graph, step)


def complex_step_noise(
    equations: Sequence[Equation],
    env: Mapping[str, Array],
    wrt: str,
    seed: Array | None,
    among: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """How far rounding may move the complex step of the entries `among` those of `wrt`; 0 for the others.

    It is the largest deviation among reruns in which the slope in every result of an op is off by a few units in its
    last place, drawn at random: a softmax rounds several times. So it sees terms that cancel to 0, or to what rounding
    leaves of 0; and since values stay as they are, so does the side of a kink. Errors are as for `complex_step`.
    """
    graph = seen_from(wrt, equations, env, seed)
    noise = np.zeros(graph.start.shape)
    if not graph.connected:
        return noise
    unit = UNITS * float(np.finfo(np.float64).eps)

    def rounded(x: Numbers) -> Numbers:
        return complex_of(x.real, x.imag * (1 + unit * rng.uniform(-1, 1, x.shape))) if np.iscomplexobj(x) else x

    entries = np.flatnonzero(among)
    slopes = _slopes_of(graph, entries)
    for _ in range(ROUNDINGS):
        deviations = np.abs(_slopes_of(graph, entries, rounded) - slopes)
        noise.flat[entries] = np.fmax(noise.flat[entries], deviations)
    return noise


def _slopes_of(graph: Graph, entries: Positions, rounded: Rounding | None = None) -> Floats:
    """The slopes of `entries`, each of which is run through the whole graph: together if they are many."""
    slopes = stacked(graph, entries, STEP, rounded) if len(entries) > FEW else None
    return np.array([slope(graph, entry, STEP, rounded) for entry in entries]) if slopes is None else slopes
