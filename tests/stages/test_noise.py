"""The rounding noise of a value beside its true error, told by 40-digit decimals; and figures judged by it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from numpy.typing import ArrayLike

from mathlab import api
from mathlab.diagnosis import selftest
from mathlab.experiment import Array, Case, Dtype, Experiment, Figure, Source
from mathlab.stages import backprop
from mathlab.stages.noise import quantity_noise, rounding_noise
from mathlab.stages.prepare import prepare
from tests import build
from tests.build import figure

pytestmark = pytest.mark.numbers

DIGITS = Context(prec=40)
ABSURD = 1e3  # times the true error, typically


def case(
    inputs: Mapping[str, ArrayLike],
    parameters: Mapping[str, ArrayLike],
    *equations: tuple[str, str],
    expected: tuple[Figure, ...] = (),
    dtype: Dtype = "float64",
) -> Case:
    return build.case(dict(equations), parameters, inputs, expected=expected, dtype=dtype)


def verdicts(made: Case) -> list[str]:
    return [entry.verdict.label for found in backprop.run(made).figures for entry in found.entries]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_bounds_the_true_error_and_is_no_guess(dtype: Dtype) -> None:
    """Sums and products of decimals that cancel more or less, in programs drawn at random."""
    rng = np.random.default_rng(7)
    covered, excess = [], []
    for _ in range(75):
        numbers = [f"{value:.3f}" for value in rng.normal(0, 3, 4)]
        first, second = rng.choice(["+", "-", "*"], 2)
        inputs = {name: float(text) for name, text in zip("abcd", numbers, strict=True)}
        equations = (("u", f"a {first} b"), ("v", f"c {second} d"), ("z", "u * v - u + exp(v / 9)"))
        made = case(inputs, {}, *equations, dtype=dtype)
        prepared = prepare(made)
        noise = rounding_noise(prepared, ["z"])["z"]
        with localcontext(DIGITS):
            a, b, c, d = map(Decimal, numbers)
            operate = {"+": Decimal.__add__, "-": Decimal.__sub__, "*": Decimal.__mul__}
            u, v = operate[first](a, b), operate[second](c, d)
            error = abs(Decimal(float(prepared.run()["z"])) - (u * v - u + (v / 9).exp()))
        covered.append(float(error) <= float(noise))
        excess.append(float(noise) / max(float(error), 1e-300))
    assert np.mean(covered) >= 0.97
    assert np.median(excess) <= ABSURD


@pytest.mark.parametrize("z", [-9, 3, 12, 20, 28])
def test_noise_of_a_saturated_sigmoid_is_that_of_what_cancels(z: int) -> None:
    """1 - a keeps few digits, and so does all that is made of it."""
    made = case({"z": float(z), "y": 0.0}, {"b": 0.0}, ("a", "sigmoid(z + b)"), ("s", "1 - a"), ("L", "-log(s + 0)"))
    prepared = prepare(made)
    with localcontext(DIGITS):
        true = 1 - 1 / (1 + Decimal(-z).exp())
        error = abs(Decimal(float(prepared.run()["s"])) - true)
    noise = float(rounding_noise(prepared, ["s"])["s"])
    assert float(error) <= noise <= 5e-16


def test_inside_of_an_op_too() -> None:
    """A loss of 2e-9 is the logarithm of 1 and a little, of which 9 digits are lost."""
    prepared = prepare(case({}, {"z": [20.0, 0.0]}, ("L", "cross_entropy(z, 0)")))
    with localcontext(DIGITS):
        error = abs(Decimal(float(prepared.run()["L"])) - (1 + Decimal(-20).exp()).ln())
    assert float(error) <= float(rounding_noise(prepared, ["L"])["L"]) <= 1e-15


def test_what_is_exact_carries_no_noise_of_its_own() -> None:
    prepared = prepare(case({}, {"w": [0.5, 3.0, 0.1]}, ("n", "w[:2]"), ("d", "w[2]"), ("L", "sum(w)")))
    noise = rounding_noise(prepared, ["n", "d"])
    assert not noise["n"].any()
    assert noise["d"] > 0


def test_the_expression_of_a_figure_rounds_too() -> None:
    prepared = prepare(case({}, {"w": 0.3}, ("L", "w * w")))
    (plain, minus) = (figure("L", "0.09"), figure("L - 0.09", "0"))
    noise = quantity_noise([plain, minus], prepared, prepared.run())
    assert float(noise[1]) >= float(noise[0]) * 0.5 > 0
    jacobian = figure("jacobian(L, w)", "0.6")
    assert 0 < float(quantity_noise([jacobian], prepared, prepared.run())[0]) < 1e-15


def test_a_rerun_on_the_other_side_of_a_kink_says_nothing_of_a_figure() -> None:
    """0.1 * 3 - 0.3 is 0 up to rounding: the gradient is 1 or 0, and no number between."""
    made = case({"x": 3.0}, {"w": 0.1}, ("z", "w * x - 0.3"), ("L", "relu(z)"), expected=(figure("dw", "2.4"),))
    assert verdicts(made) != ["match"]


TIES = [
    ("0.61 * 0.35 * w", 1.0, "0.213", "0.214", "0.212", "0.215"),
    ("1.005 * w", 1.0, "1.00", "1.01", "0.99", "1.02"),
    ("w + 0.05", 0.1, "0.1", "0.2", "0.0", "0.3"),
]


@pytest.mark.parametrize(("text", "w", "low", "high", "below", "above"), TIES)
def test_both_neighbours_of_a_tie_match_and_no_other(
    text: str, w: float, low: str, high: str, below: str, above: str
) -> None:
    expected = tuple(figure("n", number) for number in (low, high, below, above))
    found = verdicts(case({}, {"w": w}, ("n", text), expected=expected))
    assert found[:2] == ["match", "match"]
    assert "match" not in found[2:]


def test_a_floats_own_text_is_judged_by_the_noise_of_its_value() -> None:
    inputs = {"z": [9.0, 12.0, -5.4], "y": [1.0, 0.0, 1.0]}
    texts = (("a", "sigmoid(z + b)"), ("cost", "-sum(y * log(a) + (1 - y) * log(1 - a)) / 3"))
    numbers = ("0.001455578136784208", "0.00145557813678424406", "0.00145557813688424", "0.001455578136791")
    made = case(inputs, {"b": 0.0}, *texts, expected=tuple(figure("db", number) for number in numbers))
    assert [label == "match" for label in verdicts(made)] == [True, True, False, False]


def test_a_mean_that_another_program_rounds_otherwise() -> None:
    texts = (("mu", "mean(x)"), ("v", "mean((x - mu)**2)"), ("y", "(x - mu) / sqrt(v + 1e-5)"), ("end", "sum(y**2)"))
    numbers = ("-0.05210195320817495", "-0.0521019532081769")
    made = case(
        {"x": [0.5, -1.2, 3.3, 0.8, -0.5]}, {}, *texts, expected=tuple(figure("y[0]", number) for number in numbers)
    )
    assert [label == "match" for label in verdicts(made)] == [True, False]


def test_a_last_digit_that_changes_fails_wherever_the_value_is_no_tie() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        w = [float(f"{value:.2f}") for value in rng.normal(0, 1, 3)]
        equations = (("h", "tanh(w * 0.7)"), ("L", "sum(h**2) - 0.1"))
        value = prepare(case({}, {"w": w}, *equations)).run()["L"]
        digits = int(rng.integers(2, 12))
        for step in (-1, 1):
            text = f"{float(value) + step * 10.0**-digits:.{digits}f}"
            made = case({}, {"w": w}, *equations, expected=(figure("L", text),))
            nearest = abs(abs(Decimal(text) - Decimal(float(value))) - Decimal(5).scaleb(-digits - 1))
            assert verdicts(made) != ["match"] or nearest < Decimal("1e-15")


def test_the_tolerance_that_is_told_is_the_one_that_was_used() -> None:
    made = case({}, {"w": 1.0}, ("n", "0.61 * 0.35 * w"), expected=(figure("n", "0.214"), figure("n", "0.213")))
    for found in backprop.run(made).figures:
        (entry,) = found.entries
        assert entry.error is not None
        assert abs(entry.error) <= entry.tolerance


def test_the_selftest_counts_the_other_neighbour_of_a_tie_as_no_change() -> None:
    made = case({}, {"w": 1.0}, ("n", "0.61 * 0.35 * w"), expected=(figure("n", "0.214"),))
    result = selftest.run(Experiment("a", "a.yaml", "", "", Source(), (made,)))
    assert (result.figures, result.figures_caught) == (1, 1)
    assert not result.survivors


def reordered(updates: int, w: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Momentum on a tanh unit with every sum taken from its last term to its first: the weights and their velocity."""
    velocity = np.zeros_like(w)
    for _ in range(updates):
        h = np.array([np.tanh(sum(row[::-1] * w[::-1])) for row in x])
        dz = 2 * (h - y) / len(x) * (1 - h * h)
        velocity = 0.9 * velocity + np.array([sum((column * dz)[::-1]) for column in x.T])
        w = w - 0.3 * velocity
    return w, velocity


@pytest.mark.parametrize(("changed", "label"), [(0.0, "match"), (1e-9, "differs")])
def test_a_training_figure_in_all_digits_of_another_order_of_its_sums(changed: float, label: str) -> None:
    """The velocity of a training that has nearly come to rest is what is left of sums that cancel."""
    rng = np.random.default_rng(5)
    x, y, w = np.round(rng.normal(size=(9, 3)), 2), np.round(rng.uniform(-0.5, 0.5, 9), 2), np.array([0.3, -0.2, 0.5])
    _, velocity = reordered(150, w, x, y)
    printed = [repr(float(v * (1 + changed))) for v in velocity]
    momentum = {"name": "momentum", "lr": 0.3, "momentum": 0.9}
    config = {
        "inputs": {"x": x.tolist(), "y": y.tolist()},
        "parameters": {"w": w.tolist()},
        "equations": {"loss": "mean(square(tanh(x @ w) - y))"},
        "train": {"optimizer": momentum, "epochs": 150, "after": {150: {"v_w": {"printed": printed}}}},
    }
    result = api.run(api.load(config)).cases[0].train
    assert result
    assert {entry.verdict.label for entry in result.figures[0].entries} == {label}
    ulps = [abs(float(e.error or 0)) / np.spacing(abs(e.computed)) for e in result.figures[0].entries]
    assert max(ulps) > 4, "rounding shows"


@pytest.mark.parametrize(("changed", "passed"), [(0.0, True), (1e-7, False)])
def test_a_central_difference_in_all_digits_of_another_order_of_its_sums(changed: float, passed: bool) -> None:
    x, w, h = np.array([0.3, -1.7, 2.9, 0.4]), np.array([0.2, 0.9, 0.5, -0.8]), 1e-5

    def end(w: Array) -> float:
        return float(np.tanh(sum((x * w)[::-1])))

    slopes = [(end(w + h * unit) - end(w - h * unit)) / (2 * h) * (1 + changed) for unit in np.eye(4)]
    config = {
        "inputs": {"x": x.tolist()},
        "parameters": {"w": w.tolist()},
        "equations": {"loss": "tanh(x @ w)"},
        "gradcheck": {"step": h, "expected": {"central_w": {"printed": [repr(slope) for slope in slopes]}}},
    }
    result = api.run(api.load(config)).cases[0].gradcheck
    assert result
    assert result.figures[0].passed == passed
