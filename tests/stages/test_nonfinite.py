"""What is not finite is named, with the operation that made it so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from mathlab import config
from mathlab.experiment import TrainSettings
from mathlab.stages import backprop, sweep, train
from tests.build import case

SATURATED = {"a": "sigmoid(z + b)", "cost": "-(y * log(a) + (1 - y) * log(1 - a))"}
Numbers = dict[str, ArrayLike]

PASSES: list[tuple[dict[str, str], Numbers, Numbers, str]] = [
    ({"y": "sum(a / a)"}, {"a": [0.0, 1.0]}, {}, "y is nan: a / a is nan at [0], where a is 0 at [0]"),
    (SATURATED, {"b": 0.0}, {"z": 40.0, "y": 1.0}, "cost is nan: log(1 - a) is -inf, where 1 - a is 0"),
    (
        {"a": "sigmoid(z + b)", "cost": "mean(-(y * log(a) + (1 - y) * log(1 - a)))"},
        {"b": 0.0},
        {"z": [1.0, 40.0], "y": [1.0, 0.0]},
        "cost is inf: log(1 - a) is -inf at [1], where 1 - a is 0 at [1]",
    ),
    ({"y": "exp(x)"}, {"x": 1000.0}, {}, "y is inf: exp(x), where x is 1000"),
    ({"y": "sum(a / b)"}, {"a": [0.0, 1.0], "b": [2.0, 0.0]}, {}, "y is inf: a / b is inf at [1], where a is 1 at [1]"),
    (
        {"y": "sum((W @ x) @ x)"},
        {"x": [1e200, 1.0]},
        {"W": [[1.0, 0.0], [0.0, 1.0]]},
        "y is inf: W @ x @ x",
    ),
    # the branch that is not taken is no cause
    (
        {"y": "sum(where(x > 0, log(x), x) + 1 / (x + 1))"},
        {"x": [-1.0, 2.0]},
        {},
        "y is inf: 1 / (x + 1) is inf at [0], where x + 1 is 0 at [0]",
    ),
    (
        {"n": "sqrt(sum(x))", "y": "n + sum(x)"},
        {"x": [0.0, 0.0]},
        {},
        "dx[0] is inf: 1 / (2 * n) is inf, where 2 * n is 0",
    ),
    ({"y": "sum(x * 2)"}, {"x": [1.0, 0.0]}, {}, ""),
]


@pytest.mark.parametrize(("equations", "parameters", "inputs", "said"), PASSES, ids=[row[-1][:30] for row in PASSES])
def test_the_first_operation_is_named(
    equations: dict[str, str], parameters: Numbers, inputs: Numbers, said: str
) -> None:
    with np.errstate(all="ignore"):
        found = backprop.run(case(equations, parameters, inputs), ()).first_nonfinite
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_number_that_the_dtype_cannot_hold() -> None:
    of = case({"y": "w * x"}, {"w": 1.0}, {"x": [1.0, 1e300]}, dtype="float32", upstream=[1, 1])
    with np.errstate(all="ignore"):
        found = backprop.run(of, ()).first_nonfinite
    assert found == "x[1] is inf: the number is too large for float32"


SGD = TrainSettings("sgd", {"lr": 1.0}, epochs=400)
X, Y = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]
LOGISTIC = {"a": "sigmoid(x @ w)", "L": "mean(-(y * log(a) + (1 - y) * log(1 - a)))"}
BATCHES = TrainSettings("momentum", {"lr": 1.0, "momentum": 0.9}, 3, batch_size=2, over=("x", "y"), seed=1)

TRAININGS: list[tuple[dict[str, str], Numbers, Numbers, TrainSettings, str]] = [
    (
        {"L": "sum((w * x - y)**2)"},
        {"w": 0.0},
        {"x": X, "y": Y},
        SGD,
        "epoch 108: L is inf: (w * x - y)**2 is inf at [0], where w * x - y is -7.73",
    ),
    # all that is recorded stays finite: the parameter alone does not
    (
        {"L": "1 / w"},
        {"w": 0.5},
        {},
        TrainSettings("sgd", {"lr": 1e308}, 3),
        "epoch 1: w is inf: 1e308 * dw is -inf, where dw is -4",
    ),
    (
        {"L": "w * 3"},
        {"w": 1.0},
        {},
        TrainSettings("momentum", {"lr": 1e308, "momentum": 0.9}, 1),
        "epoch 1: w is -inf: 1e308 * v is inf, where v is 3",
    ),
    (
        LOGISTIC,
        {"w": [60.0]},
        {"x": [[1.0], [-1.0], [0.001]], "y": [1.0, 0.0, 1.0]},
        BATCHES,
        "epoch 0: L is nan: log(1 - a) is -inf at [0], where 1 - a is 0 at [0]",
    ),
    ({"L": "sum((w * x - y)**2)"}, {"w": 0.0}, {"x": X, "y": Y}, TrainSettings("sgd", {"lr": 0.01}, 400), ""),
]


@pytest.mark.parametrize(("equations", "parameters", "inputs", "settings", "said"), TRAININGS)
def test_a_training_says_where_it_left_the_finite_numbers(
    equations: dict[str, str], parameters: Numbers, inputs: Numbers, settings: TrainSettings, said: str
) -> None:
    found = train.run(case(equations, parameters, inputs, train=settings)).first_nonfinite
    assert found.startswith(said)
    assert bool(found) == bool(said)


SWEPT = """\
parameters: {w: 3}
equations: {loss: w**4}
train: {optimizer: {name: sgd, lr: 1}, epochs: 20}
sweep: {grid: {lr: [LIST]}}
"""


@pytest.mark.parametrize(("rates", "lost"), [("0.001, 10, 20", [1, 2]), ("10, 20", [0, 1]), ("0.001", [])])
def test_a_sweep_counts_the_runs_it_loses(rates: str, lost: list[int], tmp_path: Path) -> None:
    path = tmp_path / "swept.yaml"
    path.write_text(SWEPT.replace("LIST", rates))
    (only,) = config.load(path).cases
    with np.errstate(all="ignore"):
        result = sweep.run(only)
    assert result.lost == lost
    assert bool(result.first_nonfinite) == (len(lost) == len(result.nonfinite))
