"""Entries measured together, op by op: the numbers and the verdicts of entries that are run one by one."""

from __future__ import annotations

import dataclasses
import statistics
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike, NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Case, Dtype, GradcheckSettings
from mathlab.language.syntax import names, unparse
from mathlab.results.judged import EntryCheck
from mathlab.stages import gradcheck
from mathlab.stages.gradcheck import Witnesses
from mathlab.stages.noise import in_float64, rounding_noise
from mathlab.stages.prepare import Prepared, prepare
from mathlab.witnesses import central, steps
from mathlab.witnesses.chained import divided
from mathlab.witnesses.graph import run, seen_from
from tests.bench.gradients import Network
from tests.build import case, equation, remembering
from tests.language.test_planned import mlp
from tests.programs import Program, equations, programs
from tests.witnesses.test_witnesses import KINKS, SAMPLES, _drawn, one_sided

Floats = NDArray[np.float64]


def normal(*shape: int) -> Floats:
    """The same numbers for the same shape, whichever tests ran before."""
    return np.random.default_rng(shape).normal(size=shape)


@contextmanager
def from_entries(few: int) -> Iterator[None]:
    """Measure what has more entries than `few` together: nothing with a huge number, everything with 0."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (steps, central):
            patch.setattr(module, "FEW", few)
        yield


def measured(prepared: Prepared, name: str, few: int, step: float | None = None) -> tuple[tuple[Floats, ...], int]:
    """The slopes to both sides and the central difference; and how many entries were run one by one."""
    alone: list[int] = []
    with from_entries(few):
        witnesses = Witnesses.of(prepared, step)
        sides = witnesses.complex.both_sides(name, alone.append)
        return (*sides, witnesses.differences.of(name, alone.append)), sum(alone)


def assert_same(prepared: Prepared, name: str) -> int:
    """Both ways find the same; how many entries were run one by one although there are many."""
    (left, right, one), _ = measured(prepared, name, 10**9)
    (left_2, right_2, many), alone = measured(prepared, name, 0)
    scale = max(float(np.max(np.abs(right), initial=0.0)), 1e-3)
    np.testing.assert_allclose([left_2, right_2], [left, right], rtol=1e-13, atol=1e-13 * scale + 1e-15)
    end = abs(gradcheck.end_value(prepared, prepared.env))
    np.testing.assert_allclose(many, one, rtol=1e-8, atol=1e-8 * max(scale, end))
    return alone


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.one_in(2)
def test_every_op(text: str) -> None:
    env = _drawn(text)
    seed = np.random.default_rng(2).standard_normal(run(equations(("y", text)), env)["y"].shape)
    floats = {name: array for name, array in env.items() if not name.startswith("t")}
    whole = {name: array for name, array in env.items() if name.startswith("t")}
    prepared = prepare(case({"y": text}, floats, whole, upstream=seed))
    for name in floats:
        assert assert_same(prepared, name) == 0, "some were run one by one"


@settings(max_examples=15)
@given(programs())
def test_random_programs(program: Program) -> None:
    prepared = prepare(program.case())
    for name in program.parameters:
        assert_same(prepared, name)


@pytest.mark.parametrize(("text", "at", "left", "right", "chosen"), KINKS)
def test_a_kink_has_two_slopes(text: str, at: float, left: float, right: float, chosen: float) -> None:
    with from_entries(0):
        found = one_sided(equations(("y", text)), {"x": np.array(at)}, "x")
    assert tuple(map(float, found)) == pytest.approx((left, right), rel=1e-14)


X, W, IMAGES = (np.round(normal(*shape), 2) for shape in ((3, 5), (5, 4), (2, 3, 5)))
LOSSES = {
    "a column moves": "sum(tanh(z) * z)",
    "a column, then everything": "sum(log_softmax(z)[[0, 1, 2], y])",
    "classes": "mean(cross_entropy(relu(z), y))",
    "rows of weights": "sum(cross_entropy(z, softmax(X @ W)))",
    "a penalty": "mean(cross_entropy(z, y)) + 0.1 * sum(W**2) + norm(b)",
    "a vector of columns": "sum(exp(sum(z, axis=0)))",
    "a vector of rows": "sum(exp(mean(z, axis=1, keepdims=True) * z))",
    "two that move meet": "sum(softmax(z @ z.T) @ z)",
    "moved columns meet themselves": "sum(tanh(z).T @ sigmoid(z))",
    "the other way round": "sum(tanh(z.T)[1:] + reshape(z.mT, 4, 3)[:3])",
    "joined": "sum(sin(concat(z, z**2, axis=1)) @ concat(W.T, W.T, axis=0))",
    "ties": "sum(max(relu(z), axis=1)) + max(b)",
    "all the same": "sum(maximum(z, z)) + sum(b * ones_like(b))",
    "a product with a moving vector": "sum(exp(X @ (W @ b)) * (b @ W.T @ X.T))",
    "one shape against another": "sum((z[:, None] - z[None])**2)",
    "a mask": "sum(z * (z > 0))",
    "the middle one of three": "sum(maximum(minimum(z[0], z[1]), minimum(maximum(z[0], z[1]), z[2])))",
    "whole numbers on the way": "sum(argmax(z, axis=1) * z[:, 0]) + mean(cross_entropy(z, y))",
}


@pytest.mark.parametrize("text", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("w", [W, np.zeros_like(W)], ids=["smooth", "kinks"])
@pytest.mark.one_in(3)
def test_where_one_column_moves(text: str, w: Floats) -> None:
    inputs: dict[str, ArrayLike] = {"X": X, "y": [0, 3, 1]}
    assert_same_slopes(case({"z": "X @ W + b", "loss": text}, {"W": w, "b": [0.0, 0, 0, 0]}, inputs))


@pytest.mark.parametrize("text", ["sum(tanh(z)**2)", "sum(softmax(z, axis=1) * z)", "sum(tanh(z @ (W.T @ X.mT)))"])
def test_stacks_of_matrices(text: str) -> None:
    assert_same_slopes(case({"z": "X @ W + b", "loss": text}, {"W": W, "b": [0.0, 0, 0, 0]}, {"X": IMAGES}))


def assert_same_slopes(lab: Case) -> None:
    prepared = prepare(lab)
    for name in lab.parameters:
        assert_same(prepared, name)


def test_a_slope_is_not_handed_on_where_it_is_not_linear() -> None:
    """The middle one of three has no slope along any of them alone, and yet one along all of them."""
    middle = "maximum(minimum(z[0], z[1]), minimum(maximum(z[0], z[1]), z[2]))"
    assert_same_slopes(case({"z": "A @ x", "loss": middle}, {"x": [0.0, 0]}, {"A": [[1, 2], [3, 4], [5, 6]]}))


def with_faults(gradient: Floats) -> Floats:
    """Every third entry off by a thousandth, and every seventh with the other sign."""
    wrong = gradient.copy()
    wrong.flat[::3] *= 1.001
    wrong.flat[::7] *= -1
    return wrong


def checks(prepared: Prepared, few: int, noise: Mapping[str, Floats]) -> list[list[EntryCheck]]:
    """Of all parameters, with the right gradient and with a wrong one."""
    values = prepared.run()
    found = []
    with from_entries(few):
        witnesses = remembering(prepared)
        for name in gradcheck.checked(prepared):
            right = np.asarray(values.get(f"d{name}", np.zeros(np.shape(values[name]))), np.float64)
            for derived in (right, with_faults(right)):
                defaults = GradcheckSettings()
                found.append(gradcheck.check_parameter(witnesses, name, derived, noise[f"d{name}"], defaults.rtol))
    return found


def assert_same_verdicts(lab: Case) -> None:
    prepared = prepare(lab)
    noise = rounding_noise(prepared, [f"d{name}" for name in gradcheck.checked(prepared)])
    for one, many in zip(checks(prepared, 10**9, noise), checks(prepared, 0, noise), strict=True):
        assert [(entry.verdict, entry.passed) for entry in many] == [(entry.verdict, entry.passed) for entry in one]


@settings(max_examples=8)
@given(programs())
def test_the_verdicts_on_random_programs(program: Program) -> None:
    assert_same_verdicts(program.case())


NETWORKS = [
    *(Network((4, 3, 2), activation) for activation in ("gelu", "relu")),
    Network((3, 2, 3, 2), "tanh"),
    Network((9, 6, 3), "relu", "mse", biases=False),
    Network((4, 3, 4, 2), "sigmoid", "bce", columns=True),
    Network((3, 12, 2), "elu", "mse"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.one_in(2)
def test_the_verdicts_on_networks(network: Network) -> None:
    assert_same_verdicts(network.case())


@pytest.mark.parametrize(
    "text",
    ["mean(cross_entropy(tanh(tanh(X @ W + b) @ V) @ V.T, y))", "sum(softmax(X @ W) @ (W.T @ W)) + norm(X @ W - 1)"],
)
def test_the_verdicts_on_many_layers_in_one_equation(text: str) -> None:
    shapes = {"W": (5, 4), "b": (4,), "V": (4, 3)}
    inputs: dict[str, ArrayLike] = {"X": normal(3, 5), "y": [0, 1, 2]}
    assert_same_verdicts(case({"loss": text}, {name: normal(*shape) for name, shape in shapes.items()}, inputs))


DIVIDED = {
    "X @ W + b": ["X @ W = X @ W", "y = X @ W + b"],
    "(a + b) * c - a": ["a + b = a + b", "(a + b) * c = a + b * c", "y = (a + b) * c - a"],
    "sum(-x) + sum(-x)": ["-x = -x", "sum(-x) = sum(-x)", "y = sum(-x) + sum(-x)"],
    "x": ["y = x"],
}


@pytest.mark.parametrize(("text", "parts"), DIVIDED.items())
def test_every_op_is_an_equation(text: str, parts: list[str]) -> None:
    found = divided([equation("y", text)])
    assert [part.name for part in found] == [part.split(" = ")[0] for part in parts]
    known: set[str] = set()
    for part in found:
        assert {name for name in names(part.expr) if not name.isidentifier()} <= known
        known.add(part.name)
    assert divided(found[-1:]) == found[-1:], "nothing is left to divide"
    assert unparse(found[0].expr) == parts[0].split(" = ")[1]


def test_a_network_is_measured_together() -> None:
    prepared = prepare(mlp(8, (30, 20, 5)))
    for name in ("W1", "W2"):
        _, alone = measured(prepared, name, 8)
        assert alone == 0


@pytest.mark.parametrize("factor", [1.001, -1, 0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_fault_in_one_of_many_entries_is_refuted(factor: float, dtype: Dtype) -> None:
    lab = mlp(8, (20, 12, 5), dtype, "tanh")
    prepared = prepare(lab)
    exact = in_float64(prepared)
    values = prepared.run()
    noise = rounding_noise(prepared, [f"d{name}" for name in gradcheck.checked(prepared)])
    derived = np.array(values["dW1"], np.float64)

    def refuted() -> list[tuple[int, ...]]:
        entries = gradcheck.check_parameter(Witnesses.of(exact), "W1", derived, noise["dW1"], GradcheckSettings().rtol)
        assert len(entries) == 240
        return [entry.index for entry in entries if not entry.passed]

    assert refuted() == []
    worst = np.unravel_index(np.argmax(np.abs(derived)), derived.shape)
    derived[worst] *= factor
    assert refuted() == [tuple(map(int, worst))]


def test_where_a_kink_lies_within_reach_the_entries_are_run_one_by_one() -> None:
    x, w = normal(6, 5), normal(5, 4)
    b = -x[2] @ w + [4e-6, 1, 1, 1]  # the third sample nearly meets the first unit's kink
    prepared = prepare(
        case({"z": "X @ W + b", "h": "relu(z)", "loss": "mean((h @ V - 1)**2)"}, {"W": w, "b": b}, {"X": x, "V": w.T})
    )
    (*_, one), _ = measured(prepared, "W", 10**9)
    (*_, many), alone = measured(prepared, "W", 0)
    assert alone == 5, "the first column's entries, by the central difference alone"
    assert np.max(np.abs(one - prepared.run()["dW"])) > 1e-3, "some steps cross the kink"
    np.testing.assert_allclose(many, one, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("step", [1e-7, 1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("loss", ["mean(cross_entropy(o, y))", "mean(tanh((o - mean(o, axis=0)) * 3)**2)"])
def test_long_steps_are_those_of_the_entries(step: float, loss: str) -> None:
    """Where the terms that are left out would be seen, the entries are run through the whole graph."""
    shapes = {"W": (5, 6), "V": (6, 3)}
    texts = {"h": "tanh(X @ W)", "o": "h @ V", "loss": loss}
    inputs: dict[str, ArrayLike] = {"X": normal(4, 5), "y": [0, 2, 1, 1]}
    prepared = prepare(case(texts, {name: normal(*shape) for name, shape in shapes.items()}, inputs))
    for name in shapes:
        (*_, one), _ = measured(prepared, name, 10**9, step)
        (*_, many), _ = measured(prepared, name, 0, step)
        rounding = 200 * np.finfo(np.float64).eps * abs(gradcheck.end_value(prepared, prepared.env)) / step
        np.testing.assert_allclose(many, one, rtol=0, atol=rounding)


@pytest.mark.parametrize("step", [None, 1e-6, 1e-5])
def test_steps_as_they_are_usual_are_taken_together(step: float | None) -> None:
    prepared = prepare(Network((30, 20, 20, 5), "tanh").case())
    for name in ("W1", "W2", "W3"):
        assert measured(prepared, name, 8, step)[1] == 0


def test_what_does_not_lead_to_the_end_stops_nothing() -> None:
    texts = {"z": "X @ W", "right": "mean(argmax(z, axis=1) == y)", "loss": "mean(cross_entropy(z, y))"}
    inputs: dict[str, ArrayLike] = {"X": normal(6, 20), "y": [0, 1, 2, 0, 1, 2]}
    assert measured(prepare(case(texts, {"W": normal(20, 15)}, inputs)), "W", 8)[1] == 0


def test_memory_stays_bounded() -> None:
    prepared = prepare(dataclasses.replace(mlp(8, (400, 60, 10)), share=float("inf")))
    tracemalloc.start()
    measured(prepared, "W1", 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6, "24,000 copies of the hidden layer alone would take 370 MB"


TIMED = [
    Network((200, 60, 10), "relu").case(),
    Network((30, 30, 30, 30, 30, 10), "tanh").case(),
    Network((60, 40, 10), "gelu", "mse", columns=True).case(),
    case(
        {"loss": "mean(tanh(tanh(X @ W) @ V)**2)"},
        {"W": normal(50, 40), "V": normal(40, 9)},
        {"X": normal(8, 50)},
    ),
]


def test_the_cost_is_foreseen() -> None:
    """Each within a factor of three of the others, in this machine's time; and of the order of magnitude of seconds."""
    ratios = []
    for lab in TIMED:
        prepared, taken = prepare(lab), []
        for _ in range(3):
            start = time.process_time()
            gradcheck.run(dataclasses.replace(lab, share=np.inf))
            taken.append(time.process_time() - start)
        foreseen = Witnesses.of(prepared).measuring() + gradcheck.RERUNS * prepared.cost.seconds
        ratios.append(foreseen / min(taken))
    usual = statistics.median(ratios)
    assert 0.1 < usual < 10, ratios
    assert all(usual / 3 < ratio < usual * 3 for ratio in ratios), ratios


def test_ten_times_as_many_equations_take_about_ten_times_as_long() -> None:
    def taken(length: int) -> float:
        chain = [equation(f"x{k + 1}", f"x{k} + 1") for k in range(length)]
        graph = seen_from("x0", chain, {"x0": np.zeros(())}, None)
        start = time.process_time()
        assert steps.ComplexStep(graph, ["x0"]).slopes["x0"] == 1
        return time.process_time() - start

    # one that grew with the square would take 100 times as long, and what else a machine does takes 2 times at worst
    assert min(taken(2_000), taken(2_000)) < 40 * taken(200)


def test_a_large_network_needs_no_permission() -> None:
    gradcheck.run(dataclasses.replace(Network((300, 128, 10), "relu").case(), quick=True))


def test_many_entries_at_a_kink_are_refused_in_a_sentence() -> None:
    """A penalty on weights that are all 0: each of them is at a kink, and is run through the whole graph alone."""
    texts = {"z": "X @ W", "loss": "mean(cross_entropy(z, y)) + 0.1 * sum(abs(W))"}
    inputs: dict[str, ArrayLike] = {"X": normal(8, 700), "y": [0, 1] * 4}
    lab = dataclasses.replace(case(texts, {"W": np.zeros((700, 100))}, inputs), quick=True)
    with pytest.raises(MathlabError, match=r"^the gradient check takes about \d+ seconds; --allow-large permits it$"):
        gradcheck.run(lab)


def test_a_few_entries_at_a_kink_are_kinks() -> None:
    texts = {"z": "X @ W", "loss": "mean(cross_entropy(z, y)) + 0.1 * sum(abs(W))"}
    inputs: dict[str, ArrayLike] = {"X": normal(8, 20), "y": [0, 1] * 4}
    w = normal(20, 15)
    w[3, :4] = 0
    found = gradcheck.run(case(texts, {"W": w}, inputs)).entries
    assert [entry.index for entry in found if entry.verdict == "kink"] == [(3, 0), (3, 1), (3, 2), (3, 3)]
    assert {entry.verdict for entry in found} == {"kink", "confirmed"}
    assert all(entry.passed for entry in found)
