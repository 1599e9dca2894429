"""What an experiment may ask of the machine: estimated from shapes, shared among cases, more for real data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mathlab.errors import MathlabError
from mathlab.experiment import Value
from mathlab.language.check import Types
from mathlab.language.shapes import Type
from mathlab.stages import limits
from mathlab.stages.limits import FLOAT, Cost, cost
from tests.build import case, equation

NET = case({"z": "W @ x", "loss": "sum(z)"}, {"W": [[1, 2], [3, 4]]}, {"x": [1, 2]})
SECOND = Cost(seconds=1.0, held=0, largest=0)


def of(text: str, **shapes: tuple[int, ...]) -> Cost:
    return cost([equation("y", text)], Types({name: Type(shape) for name, shape in shapes.items()}))


def test_what_is_held_and_what_is_largest() -> None:
    found = of("sum(exp(x))", x=(100, 50))
    assert (found.held, found.largest) == (FLOAT, FLOAT * 5000)
    assert of("exp(x)", x=(100, 50)).held == FLOAT * 5000
    assert found.held == FLOAT


@pytest.mark.parametrize(
    ("small", "large"),
    [("exp(x)", "exp(exp(x))"), ("x * 2", "erf(x)"), ("sum(x)", "sum(x @ x)"), ("x", "x + 1")],
)
def test_more_work_costs_more(small: str, large: str) -> None:
    assert of(small, x=(300, 300)).seconds < of(large, x=(300, 300)).seconds


def test_a_matrix_product_costs_its_products() -> None:
    narrow, wide = of("a @ b", a=(900, 1), b=(1, 900)), of("a @ b", a=(900, 900), b=(900, 900))
    assert wide.seconds > 10 * narrow.seconds


def allowed(seconds: float, **changes: object) -> bool:
    try:
        limits.check(replace(NET, **changes), "it", SECOND, 1, 1, None)  # type: ignore[arg-type]  # any field
        limits.check(replace(NET, **changes), "it", SECOND._replace(seconds=seconds), 1, 1, None)  # type: ignore[arg-type]
    except MathlabError:
        return False
    return True


def test_seconds_are_shared_among_cases() -> None:
    assert allowed(limits.BUDGET.seconds)
    assert not allowed(limits.BUDGET.seconds * 1.01)
    assert not allowed(limits.BUDGET.seconds, share=0.5)
    assert allowed(1e9, share=float("inf"))
    assert allowed(limits.QUICK.seconds, quick=True)
    assert not allowed(limits.QUICK.seconds * 1.01, quick=True)


def test_data_that_is_there_may_take_longer() -> None:
    array = np.zeros((1000, 784))
    for from_file in (False, True):
        inputs = {**NET.inputs, "x": Value(array, from_file=from_file)}
        assert allowed(limits.BUDGET.seconds + 0.9 * array.size * limits.SECONDS_A_NUMBER, inputs=inputs) is from_file


def test_memory_counts_what_is_kept_and_what_every_run_leaves() -> None:
    once = Cost(seconds=0.0, held=limits.BUDGET.held // 4, largest=limits.BUDGET.held // 8)
    limits.check(NET, "it", once, 1, kept=3, place=None)
    with pytest.raises(MathlabError, match=r"it takes about 10 GB of memory; --allow-large permits it"):
        limits.check(NET, "it", once, 1, kept=4, place=None)
    with pytest.raises(MathlabError, match=r"GB of memory, as one of 4 cases; --allow-large permits it"):
        limits.check(replace(NET, share=0.25), "it", once, 10**9, kept=0, place=None, each=1.0)
