"""Derivatives where a rule meets 0 times infinity: right where there is one, and not a number that was made up else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from mathlab.language import read
from mathlab.stages.prepare import prepare
from mathlab.witnesses.graph import evaluate, run
from tests.build import case

Floats = NDArray[np.float64]

INF, NAN = math.inf, math.nan
LN2 = math.log(2)

EDGES: list[tuple[str, dict[str, ArrayLike], dict[str, ArrayLike]]] = [
    # 0**b is flat in b for b > 0, and jumps at b = 0; a**0 is flat in a everywhere
    ("x**w", {"x": [0, 2], "w": [0, 2]}, {"x": [0, 4], "w": [-INF, 4 * LN2]}),
    ("x**w", {"x": [0, 0, 0, 0], "w": [1, 2, 3.5, 0.5]}, {"x": [1, 0, 0, INF], "w": [0, 0, 0, 0]}),
    ("x**w", {"x": [-2, -2, -2], "w": [3, 2, 0]}, {"x": [12, -4, 0], "w": [NAN, NAN, NAN]}),
    ("x**w", {"x": 0, "w": -1}, {"x": -INF, "w": -INF}),
    ("x**w", {"x": [-2.0, 4.0], "w": 0.5}, {"x": [NAN, 0.25], "w": NAN}),
    ("x**0", {"x": [0, -2, 3]}, {"x": [0, 0, 0]}),
    ("x**1", {"x": [0, -2, 3]}, {"x": [1, 1, 1]}),
    ("x**2", {"x": [0, -2, 3]}, {"x": [0, -4, 6]}),
    ("x**-2", {"x": [0, -2]}, {"x": [-INF, 0.25]}),
    ("x**0.5", {"x": [0, 4, -4]}, {"x": [INF, 0.25, NAN]}),
    ("x**1.5", {"x": [0, 4]}, {"x": [0, 3]}),
    ("0**w", {"w": [0, 1, 2]}, {"w": [-INF, 0, 0]}),
    ("2**w", {"w": [0, 1]}, {"w": [LN2, 2 * LN2]}),
    ("(-2)**w", {"w": [2.0]}, {"w": [NAN]}),
    ("(x * x)**w", {"x": [0.0], "w": [1.0]}, {"x": [0], "w": [0]}),
    ("sqrt(x)", {"x": [0, 4, -1]}, {"x": [INF, 0.25, NAN]}),
    ("log(x)", {"x": [0, 2]}, {"x": [INF, 0.5]}),
    ("log1p(x)", {"x": [-1, 1]}, {"x": [INF, 0.5]}),
    ("a / b", {"a": [1, 0], "b": [0, 0]}, {"a": [INF, INF], "b": [-INF, NAN]}),
    ("norm(x)", {"x": [0, 0]}, {"x": [0, 0]}),  # a cone: 0 lies between its slopes, and is what PyTorch gives
    ("norm(x)", {"x": [1e-200, 0]}, {"x": [INF, 0]}),  # whose squares are too small for a float
    ("norm(x, axis=1)", {"x": [[3.0, 4.0], [0.0, 0.0]]}, {"x": [[0.6, 0.8], [0.0, 0.0]]}),
    # NumPy's clip takes the upper bound last
    ("clip(x, low, high)", {"x": [0, 3], "low": 2, "high": 1}, {"x": [0, 0], "low": 0, "high": 2}),
    ("clip(x, low, high)", {"x": [0, 3, 1.5], "low": 1, "high": 2}, {"x": [0, 0, 1], "low": 1, "high": 1}),
    ("sum(x[1:0])", {"x": [1, 2]}, {"x": [0, 0]}),
    ("mean(x[:, 1:0], axis=0)", {"x": [[1, 2]]}, {"x": [[0, 0]]}),
]


@pytest.mark.parametrize(("text", "values", "gradients"), EDGES, ids=[f"{e[0]} at {e[1]}" for e in EDGES])
def test_at_the_edge(text: str, values: dict[str, ArrayLike], gradients: dict[str, ArrayLike]) -> None:
    computed = prepare(case({"loss": f"sum({text})"}, values)).run()
    for name, expected in gradients.items():
        np.testing.assert_allclose(computed[f"d{name}"], np.broadcast_to(expected, np.shape(values[name])), rtol=1e-14)


SMOOTH = [edge for edge in EDGES if not edge[0].startswith(("norm", "mean"))]


@pytest.mark.parametrize(("text", "values", "gradients"), SMOOTH, ids=[f"{e[0]} at {e[1]}" for e in SMOOTH])
def test_finite_ones_are_limits(text: str, values: dict[str, ArrayLike], gradients: dict[str, ArrayLike]) -> None:
    """Each finite entry is the slope from the right, and from the left where there are values."""
    arrays = {name: np.array(array, np.float64) for name, array in values.items()}
    finite = [
        (name, index, slope)
        for name, expected in gradients.items()
        for index, slope in np.ndenumerate(np.broadcast_to(expected, arrays[name].shape))
        if np.isfinite(slope)
    ]
    for name, index, slope in finite:
        found = [_slope(text, arrays, name, index, step) for step in (1e-7, -1e-7)]
        assert found[0] == pytest.approx(slope, abs=1e-3)
        assert np.isnan(found[1]) or found[1] == pytest.approx(slope, abs=1e-3)


def _slope(text: str, arrays: dict[str, Floats], name: str, index: tuple[int, ...], step: float) -> float:
    """The difference quotient of the sum; entries that are the same at both ends count as 0, be they finite or not."""
    moved = {**arrays, name: arrays[name].copy()}
    moved[name][index] += step
    with np.errstate(all="ignore"):
        there, here = (evaluate(read(text), run((), env)).real for env in (moved, arrays))
        return float(np.sum(np.where((there == here) | (np.isnan(there) & np.isnan(here)), 0, there - here))) / step
