"""The gradient check: planted faults are refuted, the right gradient never is, and doubt is called doubt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike, NDArray

from mathlab.errors import MathlabError, Place
from mathlab.experiment import Case, Dtype, Figure, GradcheckSettings
from mathlab.language import read
from mathlab.reports.page import summary
from mathlab.results.judged import EntryCheck
from mathlab.stages import gradcheck, limits
from mathlab.stages.gradcheck import Measured, Witnesses, check_entries, check_parameter
from mathlab.stages.noise import rounding_noise
from mathlab.stages.prepare import prepare
from tests import build
from tests.programs import Program, programs

Floats = NDArray[np.float64]


def case(
    inputs: Mapping[str, ArrayLike],
    parameters: Mapping[str, ArrayLike],
    *texts: tuple[str, str],
    dtype: Dtype = "float64",
    upstream: ArrayLike | None = None,
) -> Case:
    return build.case(dict(texts), parameters, inputs, dtype=dtype, upstream=upstream)


NET = (
    ("H_in", "X @ W"),
    ("H", "sigmoid(H_in)"),
    ("Y_in", "H @ V"),
    ("Y", "sigmoid(Y_in)"),
    ("E", "Y - T"),
    ("L", "sum(E**2, axis=1)"),
    ("loss", "sum(L)"),
)
AT_ONCE = (("loss", "sum((sigmoid(sigmoid(X @ W) @ V) - T)**2)"),)
INSTANCE: Mapping[str, ArrayLike] = {"X": [[3, 1]], "T": [[1, 0]]}
WEIGHTS: Mapping[str, ArrayLike] = {"W": [[6, -3], [-2, 5]], "V": [[1.0, -2.0], [0.25, 2.0]]}


def net(dtype: Dtype = "float64", texts: tuple[tuple[str, str], ...] = NET) -> Case:
    return case(INSTANCE, WEIGHTS, *texts, dtype=dtype)


def verdicts(checked: Case) -> dict[str, str]:
    """The verdict on every entry, which all must pass."""
    entries = gradcheck.run(checked).entries
    assert all(entry.passed for entry in entries), [entry for entry in entries if not entry.passed]
    return {f"{entry.parameter}{list(entry.index)}": entry.verdict for entry in entries}


@cache
def witnesses() -> Witnesses:
    return build.remembering(prepare(net()))


@cache
def gradient(name: str, dtype: Dtype) -> tuple[Floats, Floats]:
    """The real net's gradient of `name`, and its noise."""
    prepared, gradient = prepare(net(dtype)), f"d{name}"
    return np.asarray(prepared.run()[gradient], np.float64), rounding_noise(prepared, [gradient])[gradient]


def checked_with(name: str, fault: Callable[[Floats], Floats], dtype: Dtype = "float64") -> Sequence[EntryCheck]:
    """The check of the real net's gradient of `name` with a fault planted in it, and everything else as it is."""
    derived, noise = gradient(name, dtype)
    every = witnesses()
    return check_parameter(every, name, fault(derived.copy()), noise, GradcheckSettings().rtol)


def test_every_entry_of_the_article_is_confirmed() -> None:
    assert set(verdicts(net()).values()) == {"confirmed"}
    assert len(verdicts(net())) == 8


@pytest.mark.parametrize("texts", [NET, AT_ONCE])
def test_in_float32_the_cancelled_entries_are_inconclusive(texts: tuple[tuple[str, str], ...]) -> None:
    found = verdicts(net("float32", texts))
    assert {name for name, verdict in found.items() if verdict == "inconclusive"} == {"W[0, 0]", "W[1, 0]"}
    assert set(found.values()) == {"inconclusive", "confirmed"}


def entry_times(factor: float, *index: int) -> Callable[[Floats], Floats]:
    def fault(gradient: Floats) -> Floats:
        gradient[index] *= factor
        return gradient

    return fault


@pytest.mark.parametrize("name", ["W", "V"])
@pytest.mark.parametrize("index", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("factor", [-1, 0, 2, 1.01, 0.99, 1.001, 0.999, 1.0005, 0.9995])
def test_a_fault_in_one_entry_is_refuted(name: str, index: tuple[int, int], factor: float) -> None:
    entries = checked_with(name, entry_times(factor, *index))
    assert [entry.index for entry in entries if entry.verdict == "refuted"] == [index]
    assert all(entry.passed == (entry.verdict == "confirmed") for entry in entries)


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (lambda gradient: gradient * [0, 1], {(0, 0), (1, 0)}),
        (lambda gradient: gradient * [1, 2], {(0, 1), (1, 1)}),
        (lambda gradient: gradient.T, {(0, 1), (1, 0)}),
        (lambda gradient: gradient * np.nan, {(0, 0), (0, 1), (1, 0), (1, 1)}),
        (lambda gradient: np.full_like(gradient, np.inf), {(0, 0), (0, 1), (1, 0), (1, 1)}),
        (lambda gradient: gradient, set()),
    ],
    ids=["dead column", "doubled column", "transposed", "nan", "infinite", "none"],
)
@pytest.mark.parametrize("name", ["W", "V"])
def test_a_fault_in_many_entries_is_refuted(
    name: str, fault: Callable[[Floats], Floats], wrong: set[tuple[int, int]]
) -> None:
    assert {entry.index for entry in checked_with(name, fault) if not entry.passed} == wrong


def test_in_float32_a_sound_entry_still_refutes_a_fault() -> None:
    entries = checked_with("V", entry_times(1.0005, 0, 1), dtype="float32")
    assert [entry.index for entry in entries if entry.verdict == "refuted"] == [(0, 1)]


def test_a_flipped_sign_of_the_tiniest_entry_is_refuted_by_all_its_digits() -> None:
    (entry, *_) = checked_with("W", entry_times(-1, 0, 0))
    assert entry.verdict == "refuted"
    assert entry.relative_error == pytest.approx(2, rel=1e-8)
    assert entry.resolution < 1e-6 * abs(entry.complex_step)


def checked_entry(derived: float, left: float, right: float, central: float, noise: float) -> EntryCheck:
    """The check of one entry, of which the witnesses have said so much."""
    d, *said = (np.array(number) for number in (derived, left, right, central, noise))
    (entry,) = check_entries("x", d, said[3], Measured(*said[:3]), 1e-6)
    return entry


KINK = (("z", "W @ x + b"), ("loss", "3 * sum(relu(z))"))


def test_at_a_kink_the_slopes_bound_the_derivative() -> None:
    entries = gradcheck.run(case({"x": [1]}, {"W": [[0.5], [1.0]], "b": [-0.5, 1]}, *KINK)).entries
    assert [(entry.parameter, entry.verdict, entry.passed) for entry in entries] == [
        ("W", "kink", True),
        ("W", "confirmed", True),
        ("b", "kink", True),
        ("b", "confirmed", True),
    ]


@pytest.mark.parametrize(
    ("derived", "passed"),
    [(0, True), (0.3, True), (1, True), (1 + 1e-7, True), (-0.01, False), (1.01, False), (-1, False), (np.nan, False)],
)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_at_a_kink_what_lies_outside_of_the_slopes_fails(derived: float, passed: bool, noise: float) -> None:
    # rounding that throws reruns from one side to the other (noise 1) must not widen the interval
    entry = checked_entry(derived, 0.0, 1.0, 1.0, noise)
    assert entry.verdict == ("not finite" if np.isnan(derived) else "kink")
    assert entry.passed is passed
    assert 0 <= entry.complex_step <= 1


def test_a_kink_that_only_rounding_misses_is_inconclusive() -> None:
    # 0.1 * 3 - 0.3 is 5.6e-17, not 0: which side it falls on says nothing
    assert set(verdicts(case({"x": [3]}, {"W": [[0.1]], "b": [-0.3]}, *KINK)).values()) == {"inconclusive"}


@pytest.mark.parametrize(
    ("derived", "noise", "verdict"),
    [
        (1.0, 0.0, "confirmed"),
        (1.0, 3e-5, "confirmed"),
        (1.0, 1e-4, "inconclusive"),
        (1.0004, 1e-4, "inconclusive"),
        (1.002, 1e-4, "refuted"),
        (1.0, np.inf, "inconclusive"),
        (np.inf, np.inf, "not finite"),
        (np.nan, np.inf, "not finite"),
    ],
)
def test_noise_decides_what_can_be_told(derived: float, noise: float, verdict: str) -> None:
    entry = checked_entry(derived, 1.0, 1.0, 1.0, noise)
    assert entry.verdict == verdict
    assert entry.passed is (verdict not in ("refuted", "not finite"))


@pytest.mark.parametrize(
    ("derived", "reference", "noise", "verdict"),
    [
        (0.0, 0.0, 0.0, "confirmed"),
        (0.0, 0.0, 1e-17, "confirmed"),
        (1e-17, 0.0, 1e-17, "inconclusive"),
        (1e-17, 0.0, 0.0, "refuted"),
        (1e-300, 0.0, 0.0, "inconclusive"),  # slopes below 1e-188 are not carried by the complex step
    ],
)
def test_a_zero_is_confirmed_only_when_both_are(derived: float, reference: float, noise: float, verdict: str) -> None:
    assert checked_entry(derived, reference, reference, reference, noise).verdict == verdict


@pytest.mark.parametrize("derived", [0.0, 2.0])
@pytest.mark.parametrize("sides", [(np.nan, np.nan), (np.nan, 2.0), (2.0, np.nan)])
def test_where_the_complex_step_has_no_value_nothing_can_be_told(derived: float, sides: tuple[float, float]) -> None:
    assert checked_entry(derived, *sides, 2.0, 0.0).verdict == "inconclusive"


CASES = {
    "large logits": case({"t": 1}, {"z": [1000.0, -1000, 3]}, ("loss", "-log(softmax(z)[t])")),
    "upstream": case({"x": [1, 2]}, {"g": 3}, ("z", "x * g"), upstream=[4, -1]),
    "no parameters": case({"x": [1, -2], "t": 0}, {}, ("loss", "exp(x)[t] * sum(x)")),
    "a parameter that nothing reads": case({"x": 1}, {"w": 2, "v": [1, 2]}, ("loss", "w * x")),
    "a maximum": case({}, {"x": [[1, 5, 2], [7, 3, 4]]}, ("m", "max(x, axis=1)"), ("loss", "sum(exp(m / 9))")),
    "a maximum that ties": case({}, {"x": [3.0, 3, 1]}, ("m", "max(x)"), ("loss", "m**2")),
    "the origin of a norm": case({}, {"x": [0, 0]}, ("loss", "norm(x)")),
    "a perfect fit": case(
        {"x": [[1, 2], [3, 5]], "y": [0.5, 1.1]}, {"w": [0.1, 0.2]}, ("e", "x @ w - y"), ("loss", "sum(e**2)")
    ),
    "a gradient that cancels": case({"x": [1, -1, 3]}, {"w": [0.1, 0.1, 0.3]}, ("loss", "sum(w * x) - sum(x * w)")),
    "a saturated sigmoid": case({"x": 1}, {"w": 34}, ("h", "sigmoid(w * x)"), ("loss", "(h - 2)**2")),
    "a slope of third order": case({}, {"x": [0.0, 0.05]}, ("loss", "mean(square(silu(x))) + sum(x**3 * sin(x))")),
    "a saturated tanh": case({"x": 1}, {"w": 15}, ("h", "tanh(w * x)"), ("loss", "h**2")),
}


CANCELLING = [
    "sum(x - mean(x))",
    "sum(c * (x - mean(x))) - sum(c * x) + mean(x) * sum(c)",
    "sum(softmax(x))",
    "sum(c * sum(x)) - sum(x) * sum(c)",
    "(W @ x) @ c - x @ (W.T @ c)",
    "x @ c - c @ x",
    "sum((x - mean(x)) / norm(x - mean(x)))",
    "sum(log_softmax(x) * softmax(c)) + logsumexp(x) - x @ softmax(c)",
]


@pytest.mark.parametrize("text", CANCELLING)
@pytest.mark.parametrize("size", [2, 3, 5, 10])
def test_a_gradient_that_cancels_to_zero_is_not_refuted_by_what_rounding_leaves(text: str, size: int) -> None:
    rng = np.random.default_rng(size)
    x, c, w = (np.round(rng.normal(size=shape), 2) for shape in (size, size, (size, size)))
    assert verdicts(case({"c": c, "W": w}, {"x": x}, ("loss", text)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_the_right_gradient_is_never_refuted(name: str, dtype: Dtype) -> None:
    assert verdicts(dataclasses.replace(CASES[name], dtype=dtype))


@settings(max_examples=10)
@given(programs())
def test_the_right_gradient_of_a_random_program_is_never_refuted(program: Program) -> None:
    assert verdicts(program.case("float64")).keys() == verdicts(program.case("float32")).keys()


def figure(key: str, *printed: str) -> Figure:
    shape = (len(printed),) if len(printed) > 1 else ()
    return dataclasses.replace(build.figure(key, *printed, shape=shape), place=Place("c.yaml", 9, 5))


def with_figures(*figures: Figure, step: float | None = None) -> Case:
    lab = case(
        {"x": [1.5, -2, 0.5], "y": [0, 0]},
        {"W": [[0.2, 0.1, 0.2], [0.5, -0.2, 0.2]], "b": [0, 0]},
        ("e", "W @ x + b - y"),
        ("loss", "dot(e, e) / 2"),
    )
    return dataclasses.replace(lab, gradcheck=GradcheckSettings(step=step, expected=figures))


def test_figures_may_speak_of_the_numeric_gradients() -> None:
    result = gradcheck.run(
        with_figures(
            figure("max(abs(dW - central_W))", "0.000000"),
            figure("max(abs(dW - complex_W))", "0.000000"),
            figure("dW[0, 0]", "0.300000"),
            figure("central_b", "0.200001", "1.250000"),
            step=1e-5,
        )
    )
    assert [found.passed for found in result.figures] == [True, True, True, False]


def test_a_step_is_the_one_that_is_asked_for() -> None:
    # the central difference of x**3 is 3 x**2 + h**2
    cubic = case({}, {"x": 2}, ("loss", "x**3"))
    for step in (0.1, 0.25):
        (entry,) = gradcheck.run(dataclasses.replace(cubic, gradcheck=GradcheckSettings(step=step))).entries
        assert entry.central == pytest.approx(12 + step**2)
        assert entry.verdict == "confirmed"


def test_a_figure_of_nothing_is_an_error_with_its_place() -> None:
    with pytest.raises(MathlabError, match=r"^c.yaml:9:5: unknown name 'central_Q'"):
        gradcheck.run(with_figures(figure("central_Q", "0.0")))


def test_progress_is_told_array_by_array() -> None:
    told: list[tuple[int, int, float | None]] = []
    kinked = case({"x": [1]}, {"W": [[0.5], [1.0]], "b": [-0.5, 1]}, *KINK)
    gradcheck.run(kinked, lambda *now: told.append(now))
    assert told == [(0, 4, None), (2, 4, None)]


def test_a_check_that_would_be_too_large_is_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so wherever it is told; every entry that it has is checked as among all."""
    rng = np.random.default_rng(0)
    weights = {"W": rng.normal(size=(20, 30)), "b": rng.normal(size=30)}
    large = case({"X": rng.normal(size=(4, 20))}, weights, ("h", "relu(X @ W + b)"), ("loss", "sum(h**2)"))
    every = {(entry.parameter, entry.index): entry for entry in gradcheck.run(large).entries}
    monkeypatch.setattr(limits, "BUDGET", limits.BUDGET._replace(held=1_000_000))
    monkeypatch.setattr(gradcheck, "SAMPLE", 200)
    found = gradcheck.run(large)
    assert found.sampled == {"W": 600, "b": 30}
    assert found.counts.entries + found.counts.entries_left == 630
    assert [entry == every[entry.parameter, entry.index] for entry in found.entries] == [True] * (190 + 30)
    assert "220 of 630 gradient entries checked, 0 refuted" in summary(found.counts)
    printed = Figure("central_b[0]", read("central_b[0]"))
    with pytest.raises(MathlabError, match="GB of memory; --allow-large permits it"):
        gradcheck.run(dataclasses.replace(large, gradcheck=GradcheckSettings(expected=(printed,))))
    assert not gradcheck.run(dataclasses.replace(large, share=np.inf)).sampled
