"""Losses that lose digits on the way: the right gradient, in 60-digit decimals, is not refuted, a wrong one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from mathlab.experiment import Case, GradcheckSettings
from mathlab.stages import gradcheck, witness
from mathlab.stages.gradcheck import Witnesses
from mathlab.stages.noise import rounding_noise
from mathlab.stages.prepare import prepare
from mathlab.witnesses.table import WITNESSES
from tests import decimals
from tests.build import case, remembering
from tests.decimals import Decimals, Values, each

Floats = NDArray[np.float64]
INSTALLED = [name for name, record in WITNESSES.items() if record.installed()]


@dataclass(frozen=True, eq=False)
class Lossy:
    """Equations, and the same as one function of decimals; `sound` are the points at which a fault of 1 % shows."""

    equations: Mapping[str, str]
    exact: Callable[[Values], Decimals]
    sound: tuple[float, ...]
    lost: tuple[float, ...]
    parameter: ArrayLike = 0.0
    at: Callable[[float], ArrayLike] = lambda z: z

    def case(self, z: float) -> Case:
        return case(self.equations, {"b": self.parameter}, {"z": np.asarray(self.at(z), np.float64)})

    def gradient(self, z: float) -> Floats:
        values = {
            "b": each(Decimal)(np.asarray(self.parameter, np.float64)),
            "z": each(Decimal)(np.asarray(self.at(z), np.float64)),
        }
        return np.asarray(decimals.gradient({"loss": self.exact}, values, "b"), np.float64)


def log(x: Decimals) -> Decimals:
    return each(Decimal.ln)(x)


def exp(x: Decimals) -> Decimals:
    return each(Decimal.exp)(x)


def one(x: Decimals) -> Decimals:
    return np.asarray(1 - x, object)


def variance(v: Values) -> Decimals:
    x = v["z"] + v["b"]
    return np.asarray(np.sum(x * x) / x.size - (np.sum(x) / x.size) ** 2, object)


def attention(v: Values) -> Decimals:
    weights = decimals.softmax(v["z"] + v["b"])
    return np.asarray(-log(one(np.asarray(weights, object)[0])), object)


LOSSY = {
    "the complement of a sigmoid": Lossy(
        {"a": "sigmoid(z + b)", "loss": "-log(1 - a)"},
        lambda v: -log(one(each(decimals.sigmoid)(v["z"] + v["b"]))),
        (12.0, 16.0, 20.0, 24.0, 28.0),
        (32.0, 36.0, 40.0),
    ),
    "the complement of a tanh": Lossy(
        {"a": "tanh(z + b)", "loss": "-log(1 - a)"},
        lambda v: -log(one(each(decimals.tanh)(v["z"] + v["b"]))),
        (6.0, 8.0, 12.0, 14.0),
        (16.0, 18.0, 20.0),
    ),
    "the complement of a probability": Lossy(
        {"p": "softmax(z + b)", "loss": "-log(1 - p[0])"},
        attention,
        (8.0, 16.0, 24.0),
        (33.0, 40.0),
        [0.0, 0.0, 0.0],
        lambda z: [z, 0.5, -0.25],
    ),
    "the logarithm of almost 1": Lossy(
        {"e": "exp(-(z + b))", "loss": "log(1 + e) * 3"},
        lambda v: log(np.asarray(1 + exp(-(v["z"] + v["b"])), object)) * 3,
        (12.0, 20.0, 26.0),
        (34.0, 37.0, 40.0),
    ),
    "a variance as a difference": Lossy(
        {"x": "z + b", "loss": "mean(x**2) - mean(x)**2"},
        variance,
        (0.0, 1e3, 1e6),
        (1e12, 1e15),
        [0.0, 0.0, 0.0],
        lambda z: [z + 1, z + 2, z + 4],
    ),
    "a square of what is left": Lossy(
        {"a": "sigmoid(z + b)", "loss": "(1 - a)**2"},
        lambda v: one(each(decimals.sigmoid)(v["z"] + v["b"])) ** 2,
        (12.0, 20.0, 28.0),
        (33.0, 36.0),
    ),
}
POINTS = [
    pytest.param(lossy, z, id=f"{name} at {z:g}") for name, lossy in LOSSY.items() for z in lossy.sound + lossy.lost
]
SOUND = [pytest.param(lossy, z, id=f"{name} at {z:g}") for name, lossy in LOSSY.items() for z in lossy.sound]


@cache
def known(lossy: Lossy, z: float) -> tuple[Witnesses, Floats, Floats]:
    """The witnesses of a case, the noise of the gradient that is derived, and the right one."""
    prepared = prepare(lossy.case(z))
    return remembering(prepared), rounding_noise(prepared, ["db"])["db"], lossy.gradient(z)


def checked(lossy: Lossy, z: float, derived: Floats) -> list[str]:
    """The verdicts on a gradient, with the noise of the one that is derived."""
    witnesses, noise, _ = known(lossy, z)
    checked = gradcheck.check_parameter(witnesses, "b", derived, noise, GradcheckSettings().rtol)
    return [entry.verdict for entry in checked]


@pytest.mark.parametrize(("lossy", "z"), POINTS)
@pytest.mark.one_in(2)
def test_the_right_gradient_is_confirmed_or_cannot_be_told(lossy: Lossy, z: float) -> None:
    assert {*checked(lossy, z, known(lossy, z)[2])} <= {"confirmed", "inconclusive"}
    of_program = gradcheck.run(replace(lossy.case(z), gradcheck=GradcheckSettings())).entries
    assert {entry.verdict for entry in of_program} <= {"confirmed", "inconclusive", "not finite"}


@pytest.mark.parametrize(("lossy", "z"), POINTS)
@pytest.mark.one_in(2)
def test_no_witness_contradicts_the_right_gradient(lossy: Lossy, z: float) -> None:
    witnesses, _, right = known(lossy, z)
    found = witness.run(witnesses.exact, {**witnesses.exact.run(), "db": right}, INSTALLED)
    passed = [result.passed for result in found if result.name == "b"]
    assert passed
    assert all(passed)


@pytest.mark.parametrize("factor", [1.01, 0.99, -1.0, 2.0])
@pytest.mark.parametrize(("lossy", "z"), SOUND)
@pytest.mark.one_in(3)
def test_a_gradient_that_is_off_by_a_hundredth_is_refuted(lossy: Lossy, z: float, factor: float) -> None:
    wrong = factor * known(lossy, z)[2]
    assert {*checked(lossy, z, wrong)} == {"refuted"}


@pytest.mark.parametrize(
    ("loss", "w", "x"),
    [
        ("x**w", 0.0, 0.0),
        ("where(w > 0, w + 1, w) * x + 3", 0.0, 1.0),
        ("w * floor(w)", 2.0, 1.0),
        ("(w + x) * ceil(w)", -3.0, 1.0),
        ("w * round(w)", 0.5, 1.0),
        ("w + round(w)", -2.5, 1.0),
        ("w % x", 6.0, 2.0),
        ("w // x", 1.5, 0.5),
        ("(w + x) * sign(w)", 0.0, 1.0),
        ("w * (w >= x)", 1.0, 1.0),
    ],
)
def test_a_derivative_that_does_not_exist_is_not_confirmed(loss: str, w: float, x: float) -> None:
    for size in (1, 12):  # of many entries the slopes are measured op by op
        lab = case({"y": loss, "loss": "sum(y) + sum(w)"}, {"w": np.full(size, w)}, {"x": x})
        found = gradcheck.run(replace(lab, gradcheck=GradcheckSettings())).entries
        assert {entry.verdict for entry in found} <= {"inconclusive", "not finite"}, found


def test_what_lies_beside_a_step_is_confirmed() -> None:
    for loss in ("w * floor(w)", "w * ceil(w)", "w * round(w)", "w % 2", "w * (w // 0.5)"):
        lab = case({"y": loss, "loss": "sum(y)"}, {"w": [1.2, -1.2, 3.3, 0.7]}, {})
        found = gradcheck.run(replace(lab, gradcheck=GradcheckSettings())).entries
        assert {entry.verdict for entry in found} == {"confirmed"}, loss


def test_a_product_with_one_0_is_confirmed() -> None:
    found = gradcheck.run(case({"loss": "sum(prod(w, axis=1))"}, {"w": [[0, 2, 3], [0, 0, 5], [1, 2, 3]]})).entries
    assert [entry.derived for entry in found] == [6, 0, 0, 0, 0, 0, 6, 3, 2]
    assert {entry.verdict for entry in found} == {"confirmed"}
