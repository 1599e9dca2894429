"""Derivatives from evaluating the forward equations at moved arguments: complex step and central difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.arrays import Floats, Numbers, complex_of, numbers
from mathlab.witnesses.evaluation import Rounding
from mathlab.witnesses.graph import Graph, seen_from
from mathlab.witnesses.reference import REFERENCE
from mathlab.witnesses.stack import Operand, Positions, Stack, taken
from mathlab.witnesses.stacked import NotStacked, Stacker, ends, stacks

# A complex step errs by about its square, beside slopes and values alike: this one is small enough that not even a
# slope or a value of 0 shows it (with the customary 1e-20, x**3 has the slope -1e-40 at 0). Slopes down to
# SMALLEST_SLOPE are carried with all their digits; the product of step and slope underflows below.
STEP = 1e-120
ROUNDINGS = 8  # reruns that show what rounding may do,
UNITS = 4  # by so many units in the last place
FEW = 8  # entries; more of them are worth the trouble of stacking copies
LINEAR = 1e-9  # relative: how far a random direction may be from the superposition of its entries
SMALLEST_SLOPE = float(np.finfo(np.float64).tiny) / STEP


def complex_step(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> Floats:
    """The gradient of the end with respect to every entry of `wrt`, in its shape; to the right of a kink.

    `seed` is the gradient of the end in its shape, None for a scalar end; the result is that of sum(seed * end).
    nan where the end has no finite value. Raises MathlabError as `seen_from` does, and for what cannot be evaluated.
    """
    graph = seen_from(wrt, equations, env, seed)
    return _slopes(graph, STEP, smooth=graph.start.size > FEW and not _has_kink(graph))


def one_sided(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> tuple[Floats, Floats]:
    """The slopes to the left and to the right of every entry of `wrt`; they differ only at a kink.

    Arguments, nan and errors are as for `complex_step`.
    """
    graph = seen_from(wrt, equations, env, seed)
    kink = _has_kink(graph)
    right = _slopes(graph, STEP, smooth=not kink)
    return (_slopes(graph, -STEP, smooth=False) if kink else right), right


def _slopes(graph: Graph, step: float, smooth: bool) -> Floats:
    """The slope of every entry; `smooth` says that the graph has no kink where it is evaluated.

    Up to FEW entries are stepped one by one. More of them are stepped together: all the same where each is run through
    the graph, and superposed where that is smooth.
    """
    start = graph.start
    if not graph.connected:
        return np.zeros(start.shape)
    if not np.isfinite(np.asarray(graph.values[graph.end])).all():
        return np.full(start.shape, np.nan)
    entries = np.arange(start.size)
    many = start.size > FEW
    slopes = _superposed(graph, step) if many and smooth else None
    if slopes is None and many:
        slopes = _stepped(graph, entries, step)
    if slopes is None:
        slopes = np.full(start.size, np.nan)
    for entry in entries[~np.isfinite(slopes)]:
        slopes[entry] = _slope(graph, entry, step)
    return slopes.reshape(start.shape)


def _slope(graph: Graph, entry: int, step: float, rounded: Rounding | None = None) -> float:
    moved = graph.start.astype(np.complex128)
    moved.flat[entry] += 1j * step
    end = graph.rerun(moved, rounded)[graph.end]
    with np.errstate(all="ignore"):
        return float(np.sum(graph.seed * end.imag)) / step + 0.0  # no -0.0


def _stacker(graph: Graph, rounded: Rounding | None = None) -> Stacker:
    """For complex copies. What they share is complex too, so that rounding puts it on the same side of every kink."""
    return Stacker(REFERENCE, graph.rerun(graph.start.astype(np.complex128)), rounded)


def _stepped(graph: Graph, entries: Positions, step: float, rounded: Rounding | None = None) -> Floats | None:
    """The slopes of `entries`, each of which is run through the whole graph; None where that cannot be stacked."""
    points = numbers(graph.start.ravel()[None, entries] + 1j * step)
    slopes = ends(_stacker(graph, rounded), graph, entries, points)
    return None if slopes is None else slopes[0] / step + 0.0


def _superposed(graph: Graph, step: float) -> Floats | None:
    """The slopes of all entries, from those of the nodes that read `wrt`, where these have fewer entries.

    The imaginary part that arrives at the end is linear in those that leave a node: what bends is of the order of the
    step, 1e-120 of it. So it is enough to measure how the end responds to each entry of those nodes, and what a step
    of each entry of `wrt` makes of these. A step of all entries at once, in a random direction, must find the same;
    None is returned where it does not, where there is nothing to gain, and where some op cannot be stacked.
    """
    readers = graph.readers
    if sum(np.size(graph.values[reader.name]) for reader in readers) >= graph.start.size or graph.end == graph.wrt:
        return None
    responses = {reader.name: _slopes(graph.seen_from(reader.name), step, smooth=True) for reader in readers}
    entries = np.arange(graph.start.size)
    points = numbers(graph.start.ravel()[None] + 1j * step)
    slopes = np.zeros(entries.size)
    stacker = _stacker(graph)
    direction = np.random.default_rng(1).standard_normal(entries.size)
    with np.errstate(all="ignore"):
        try:
            for part, stack in stacks(stacker, graph, entries, points):
                for reader in readers:
                    node = stacker.evaluate(reader.expr, {graph.wrt: stack})
                    slopes[part] += _through(node, responses[reader.name]) / step
        except NotStacked:
            return None
        moved = graph.start + 1j * step * direction.reshape(graph.start.shape)
        found = float(np.sum(graph.seed * graph.rerun(moved)[graph.end].imag)) / step
        terms = slopes * direction
        return slopes if abs(found - np.sum(terms)) <= LINEAR * np.sum(np.abs(terms)) else None


def _through(node: Operand, response: Floats) -> Floats:
    """What every copy's step of a node comes to at the end."""
    if not isinstance(node, Stack):
        return np.zeros(())
    weighted = taken(response.astype(np.complex128), node.at).real * node.new.imag
    return np.asarray(np.sum(weighted, axis=tuple(range(weighted.ndim - 1))))


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
    slopes = _stepped(graph, entries, STEP, rounded) if len(entries) > FEW else None
    return np.array([_slope(graph, entry, STEP, rounded) for entry in entries]) if slopes is None else slopes


def _has_kink(graph: Graph) -> bool:
    """Whether some node has a kink along a random direction.

    Two evaluations for the whole array: without a kink, conjugate arguments give conjugate values.
    """
    start = graph.start
    direction = np.random.default_rng(0).standard_normal(start.shape)
    ahead, behind = (graph.rerun(start + 1j * step * direction) for step in (STEP, -STEP))
    return any(
        not np.array_equal(ahead[equation.name], np.conj(behind[equation.name]), equal_nan=True)
        for equation in graph.moving
    )


def central_difference(
    evaluate: Callable[[Mapping[str, Array]], float],
    env: Mapping[str, Array],
    wrt: str,
    step: float | None = None,
    together: Callable[[Floats], Floats | None] | None = None,
) -> tuple[Floats, Floats]:
    """The central difference for every entry x of `wrt`, and its resolution, both in the shape of `wrt`.

    `evaluate` is the forward pass alone, from `env` to the scalar end; without `step` it is cbrt(eps) * max(1, |x|).
    The resolution is eps * |f| / h for rounding plus |D(h) - D(2h)| / 3 for truncation (D's error grows as h**2).
    `together`, where there are more than FEW entries, is given the 4 points of each, of shape (4, entries in C order),
    and returns the ends there in the same shape; or None, if it cannot.
    Raises MathlabError when `wrt` holds no floats.
    """
    start = np.asarray(env[wrt])
    if not np.issubdtype(start.dtype, np.floating):
        raise MathlabError(f"'{wrt}' holds whole numbers; a derivative needs floats")
    eps = float(np.finfo(start.dtype.name).eps)
    x = start.ravel().astype(np.float64)
    h = np.full(x.shape, step) if step else float(np.cbrt(eps)) * np.maximum(1.0, np.abs(x))
    # the points as they are taken, not as they were meant
    points = np.stack([x + h, x - h, x + 2 * h, x - 2 * h]).astype(start.dtype).astype(np.float64)

    def end(entry: int, value: float) -> float:
        moved = start.copy()
        moved.flat[entry] = value
        return evaluate({**env, wrt: moved})

    with np.errstate(all="ignore"):
        found = together(points) if together and start.size > FEW else None
        if found is None:
            found = np.array([[end(entry, value) for entry, value in enumerate(row)] for row in points])
        widths = points[::2] - points[1::2]
        gradient, twice = (found[::2] - found[1::2]) / widths
        rounding = 2 * eps * np.maximum(np.abs(found[0]), np.abs(found[1])) / widths[0]
        resolution = rounding + np.abs(gradient - twice) / 3
    return gradient.reshape(start.shape), resolution.reshape(start.shape)
