"""Derivatives from evaluating the forward equations at moved arguments: complex step and central difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.arrays import Floats, Numbers, complex_of
from mathlab.witnesses.evaluation import Rounding
from mathlab.witnesses.graph import Graph, seen_from

# A complex step errs by about its square, beside slopes and values alike: this one is small enough that not even a
# slope or a value of 0 shows it (with the customary 1e-20, x**3 has the slope -1e-40 at 0). Slopes down to
# SMALLEST_SLOPE are carried with all their digits; the product of step and slope underflows below.
STEP = 1e-120
ROUNDINGS = 8  # reruns that show what rounding may do,
UNITS = 4  # by so many units in the last place
SMALLEST_SLOPE = float(np.finfo(np.float64).tiny) / STEP


def complex_step(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> Floats:
    """The gradient of the end with respect to every entry of `wrt`, in its shape; to the right of a kink.

    `seed` is the gradient of the end in its shape, None for a scalar end; the result is that of sum(seed * end).
    nan where the end has no finite value. Raises MathlabError as `seen_from` does, and for what cannot be evaluated.
    """
    return _slopes(seen_from(wrt, equations, env, seed), STEP)


def one_sided(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> tuple[Floats, Floats]:
    """The slopes to the left and to the right of every entry of `wrt`; they differ only at a kink.

    Arguments, nan and errors are as for `complex_step`.
    """
    graph = seen_from(wrt, equations, env, seed)
    right = _slopes(graph, STEP)
    return (_slopes(graph, -STEP) if _has_kink(graph) else right), right


def _slopes(graph: Graph, step: float) -> Floats:
    start = graph.start
    if not graph.connected:
        return np.zeros(start.shape)
    if not np.isfinite(np.asarray(graph.values[graph.end])).all():
        return np.full(start.shape, np.nan)
    slopes = [_slope(graph, index, step) for index in np.ndindex(start.shape)]
    return np.array(slopes, dtype=np.float64).reshape(start.shape)


def _slope(graph: Graph, index: tuple[int, ...], step: float, rounded: Rounding | None = None) -> float:
    moved = graph.start.astype(np.complex128)
    moved[index] += 1j * step
    end = graph.rerun(moved, rounded)[graph.end]
    with np.errstate(all="ignore"):
        return float(np.sum(graph.seed * end.imag)) / step + 0.0  # no -0.0


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

    for index in np.argwhere(among):
        entry = tuple(int(i) for i in index)
        slope = _slope(graph, entry, STEP)
        noise[entry] = max(abs(_slope(graph, entry, STEP, rounded) - slope) for _ in range(ROUNDINGS))
    return noise


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
    evaluate: Callable[[Mapping[str, Array]], float], env: Mapping[str, Array], wrt: str, step: float | None = None
) -> tuple[Floats, Floats]:
    """The central difference for every entry x of `wrt`, and its resolution, both in the shape of `wrt`.

    `evaluate` is the forward pass alone, from `env` to the scalar end; without `step` it is cbrt(eps) * max(1, |x|).
    The resolution is eps * |f| / h for rounding plus |D(h) - D(2h)| / 3 for truncation (D's error grows as h**2).
    Raises MathlabError when `wrt` holds no floats.
    """
    start = np.asarray(env[wrt])
    if not np.issubdtype(start.dtype, np.floating):
        raise MathlabError(f"'{wrt}' holds whole numbers; a derivative needs floats")
    eps = float(np.finfo(start.dtype.name).eps)
    gradient, resolution = np.zeros(start.shape), np.zeros(start.shape)

    def end(index: tuple[int, ...], x: float) -> tuple[float, float]:
        moved = start.copy()
        moved[index] = x
        return evaluate({**env, wrt: moved}), float(moved[index])

    def quotient(index: tuple[int, ...], x: float, h: float) -> tuple[float, float]:
        (high, ahead), (low, behind) = end(index, x + h), end(index, x - h)
        width = ahead - behind  # the step as it was taken, not as it was meant
        return (high - low) / width, 2 * eps * max(abs(high), abs(low)) / width

    with np.errstate(all="ignore"):
        for index in np.ndindex(start.shape):
            x = float(start[index])
            h = step or float(np.cbrt(eps)) * max(1.0, abs(x))
            gradient[index], rounding = quotient(index, x, h)
            resolution[index] = rounding + abs(gradient[index] - quotient(index, x, 2 * h)[0]) / 3
    return gradient, resolution
