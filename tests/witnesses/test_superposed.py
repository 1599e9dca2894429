"""Entries followed through what they move: the verdicts of entries checked one by one, at kinks and with long steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike, NDArray

from mathlab.experiment import Case, GradcheckSettings
from mathlab.language.syntax import names, unparse
from mathlab.results import EntryChecks
from mathlab.stages import checkcost, gradcheck
from mathlab.stages.gradcheck import Witnesses
from mathlab.stages.prepare import Prepared, prepare
from mathlab.witnesses import arrays, central, numeric
from mathlab.witnesses.central import central_difference
from mathlab.witnesses.divided import divided
from mathlab.witnesses.graph import Graph
from tests.bench.gradients import Network
from tests.build import case, equation
from tests.programs import Program, programs

Floats = NDArray[np.float64]
RNG = np.random.default_rng(3)


@contextmanager
def from_entries(few: int) -> Iterator[None]:
    """Stack what has more entries than `few`, and follow what it moves: none with a huge number, all with 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numeric, "FEW", few)
        patch.setattr(central, "FEW", few)
        patch.setattr(central, "MANY", few)
        yield


def with_faults(gradient: Floats) -> Floats:
    """Every third entry off by a thousandth, and every seventh with the other sign."""
    wrong = gradient.copy()
    wrong.flat[::3] *= 1.001
    wrong.flat[::7] *= -1
    return wrong


def checks(prepared: Prepared, few: int) -> list[EntryChecks]:
    """Of all parameters, with the right gradient and with a wrong one."""
    values = prepared.run()
    noise = gradcheck.rounding_noise(prepared, prepared, values)
    found = []
    with from_entries(few):
        witnesses = Witnesses.of(prepared)
        for name in gradcheck.checked(prepared):
            right = np.asarray(values.get(f"d{name}", np.zeros(np.shape(values[name]))), np.float64)
            for derived in (right, with_faults(right)):
                settings = GradcheckSettings()
                found.append(gradcheck.check_parameter(prepared, name, derived, noise[name], settings, witnesses))
    return found


def assert_same_verdicts(lab: Case) -> None:
    prepared = prepare(lab)
    for one, many in zip(checks(prepared, 10**9), checks(prepared, 0), strict=True):
        assert many.verdict == one.verdict
        assert many.passed == one.passed


@settings(max_examples=40, deadline=None)
@given(programs())
def test_random_programs(program: Program) -> None:
    assert_same_verdicts(program.case())


NETWORKS = [
    *(
        Network((7, 6, 5, 3), activation)
        for activation in ("tanh", "sigmoid", "gelu", "silu", "relu", "elu", "softplus")
    ),
    *(Network((5, 4, 4, 4, 4, 4, 4, 3), "tanh", loss) for loss in ("cross_entropy", "mse", "bce")),
    Network((9, 6, 3), "relu", "mse", biases=False),
    Network((6, 5, 4, 3), "tanh", "bce", columns=True),
    Network((6, 5, 4, 3), "softplus", biases=False, columns=True),
    Network((6, 20, 3), "elu", "mse"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_networks(network: Network) -> None:
    assert_same_verdicts(network.case())


DIVIDED = {
    "X @ W + b": ["y = X @ W + b"],
    "tanh(X @ W + b)": ["X @ W + b = X @ W + b", "y = tanh(X @ W + b)"],
    "tanh(X @ W) @ V - c": ["X @ W = X @ W", "y = tanh(X @ W) @ V - c"],
    "(X @ W) @ V": ["X @ W = X @ W", "y = X @ W @ V"],
    "sum(-(X @ W)) + sum(relu(X @ W) * b)": [
        "-(X @ W) = -(X @ W)",
        "X @ W = X @ W",
        "y = sum(-(X @ W)) + sum(relu(X @ W) * b)",
    ],
    "sum(exp(b)) + 0.1": ["y = sum(exp(b)) + 0.1"],
}


@pytest.mark.parametrize(("text", "parts"), DIVIDED.items())
def test_every_sum_of_products_is_a_node(text: str, parts: list[str]) -> None:
    found = divided([equation("y", text)])
    assert [f"{part.name} = {unparse(part.expr)}" for part in found] == parts
    known: set[str] = set()
    for part in found:
        assert {name for name in names(part.expr) if not name.isidentifier()} <= known
        known.add(part.name)
    assert divided(found[-1:]) == found[-1:], "nothing is left to divide"


@pytest.mark.parametrize(
    "text",
    ["mean(cross_entropy(tanh(tanh(X @ W + b) @ V) @ V.T, y))", "sum(softmax(X @ W) @ (W.T @ W)) + norm(X @ W - 1)"],
)
def test_many_layers_in_one_equation(text: str) -> None:
    shapes = {"W": (5, 4), "b": (4,), "V": (4, 3)}
    inputs: dict[str, ArrayLike] = {"X": RNG.normal(size=(3, 5)), "y": [0, 1, 2]}
    assert_same_verdicts(case({"loss": text}, {name: RNG.normal(size=shape) for name, shape in shapes.items()}, inputs))


def differences(prepared: Prepared, name: str, few: int, step: float | None = None) -> tuple[Floats, Floats, Witnesses]:
    """The central difference and its resolution, and the witnesses that were asked."""
    with from_entries(few):
        witnesses = Witnesses.of(prepared)
        gradient, resolution = central_difference(
            lambda env: gradcheck.end_value(prepared, env),
            prepared.env,
            name,
            step,
            lambda points: witnesses.differences.of(name, points),
        )
    return gradient, resolution, witnesses


def test_where_a_kink_lies_within_reach_the_entries_are_run_one_by_one() -> None:
    x, w = RNG.normal(size=(6, 5)), RNG.normal(size=(5, 4))
    b = -x[2] @ w + [4e-6, 1, 1, 1]  # the third sample nearly meets the first unit's kink
    prepared = prepare(
        case({"z": "X @ W + b", "h": "relu(z)", "loss": "mean((h @ V - 1)**2)"}, {"W": w, "b": b}, {"X": x, "V": w.T})
    )
    one, _, _ = differences(prepared, "W", 10**9)
    many, _, witnesses = differences(prepared, "W", 0)
    assert np.argwhere(witnesses.differences.curves["z"].bent).tolist() == [[2, 0]]
    assert np.max(np.abs(one - prepared.run()["dW"])) > 1e-3, "some steps cross the kink"
    assert np.all(np.abs(many - one) <= 1e-8)


@pytest.mark.parametrize("step", [1e-7, 1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("loss", ["mean(cross_entropy(o, y))", "mean(tanh((o - mean(o, axis=0)) * 3)**2)"])
def test_long_steps_are_those_of_the_entries(step: float, loss: str) -> None:
    """Where the terms that are left out would be seen, the entries are run through the whole graph."""
    shapes = {"W": (5, 6), "V": (6, 3)}
    texts = {"h": "tanh(X @ W)", "o": "h @ V", "loss": loss}
    inputs: dict[str, ArrayLike] = {"X": RNG.normal(size=(4, 5)), "y": [0, 2, 1, 1]}
    prepared = prepare(case(texts, {name: RNG.normal(size=shape) for name, shape in shapes.items()}, inputs))
    for name in shapes:
        one, _, _ = differences(prepared, name, 10**9, step)
        many, _, _ = differences(prepared, name, 0, step)
        rounding = 200 * np.finfo(np.float64).eps * abs(gradcheck.end_value(prepared, prepared.env)) / step
        np.testing.assert_allclose(many, one, rtol=0, atol=rounding)


@pytest.mark.parametrize("step", [None, 1e-5, 3e-4])
def test_steps_as_they_are_usual_are_followed(step: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(Network((30, 20, 20, 5), "tanh").case())
    found, followed = central.Differences._superposed, list[bool]()

    def noted(self: central.Differences, graph: Graph, points: Floats) -> Floats | None:
        result = found(self, graph, points)
        followed.append(result is not None)
        return result

    monkeypatch.setattr(central.Differences, "_superposed", noted)
    for name in ("W1", "W2", "W3"):
        differences(prepared, name, 0, step)
    assert followed == [True] * 3


def test_what_does_not_lead_to_the_end_stops_nothing() -> None:
    texts = {"z": "X @ W", "right": "mean(argmax(z, axis=1) == y)", "loss": "mean(cross_entropy(z, y))"}
    inputs: dict[str, ArrayLike] = {"X": RNG.normal(size=(6, 20)), "y": [0, 1, 2, 0, 1, 2]}
    prepared = prepare(case(texts, {"W": RNG.normal(size=(20, 15))}, inputs))
    _, _, witnesses = differences(prepared, "W", central.FEW)
    assert list(witnesses.differences.curves) == ["z"]
    assert witnesses.responses.slopes(witnesses.responses.graph.seen_from("W")) is not None


def test_whole_numbers_on_the_way_are_run_one_by_one() -> None:
    texts = {"z": "X @ W", "k": "argmax(z, axis=1)", "loss": "sum(k * z[:, 0]) + mean(cross_entropy(z, y))"}
    inputs: dict[str, ArrayLike] = {"X": RNG.normal(size=(3, 5)), "y": [0, 1, 2]}
    assert_same_verdicts(case(texts, {"W": RNG.normal(size=(5, 4))}, inputs))


@pytest.mark.parametrize(
    "shapes", [((40, 40), (40, 1000)), ((40, 40), (40, 163)), ((128, 128), (128, 33)), ((3, 1), (1, 9))]
)
def test_a_product_in_pieces_is_the_product(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    a, b = (RNG.normal(size=shape) for shape in shapes)
    np.testing.assert_allclose(arrays.product(arrays.numbers(a), arrays.numbers(b)), a @ b, rtol=1e-12, atol=1e-12)
    steps = arrays.complex_of(b, 1e-120 * b)
    np.testing.assert_allclose(arrays.product(arrays.numbers(a), steps).imag * 1e120, a @ b, rtol=1e-12, atol=1e-12)


TIMED = [
    Network((200, 60, 10), "relu"),
    Network((30, 30, 30, 30, 30, 10), "tanh"),
    Network((60, 40, 10), "gelu", "mse", columns=True),
]


def test_the_cost_is_foreseen() -> None:
    """Each within a factor of three of the others, in this machine's time; and of the order of magnitude of seconds."""
    nets = [network.case() for network in TIMED]
    nets.append(
        case(
            {"loss": "mean(tanh(tanh(X @ W) @ V)**2)"},
            {"W": RNG.normal(size=(50, 40)), "V": RNG.normal(size=(40, 9))},
            {"X": RNG.normal(size=(8, 50))},
        )
    )
    ratios = []
    for lab in nets:
        prepared, taken = prepare(lab), []
        for _ in range(4):
            start = time.process_time()
            gradcheck.run(replace(lab, share=np.inf))
            taken.append(time.process_time() - start)
        witnesses, names = Witnesses.of(prepared), gradcheck.checked(prepared)
        cost = checkcost.of(prepared, names, witnesses.differences, witnesses.responses.smooth)
        written = checkcost.WRITTEN * sum(np.size(prepared.env[name]) for name in names)
        ratios.append((cost.seconds - written) / min(taken))
    usual = statistics.median(ratios)
    assert 0.1 < usual < 10
    assert all(usual / 3 < ratio < usual * 3 for ratio in ratios)


def test_a_large_network_needs_no_permission() -> None:
    gradcheck.run(Network((300, 128, 10), "relu").case())
