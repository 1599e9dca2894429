"""Many entries at once: the same numbers as one by one, for every op, at kinks, and whatever the shapes."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike, NDArray

from mathlab.experiment import Case, Dtype, GradcheckSettings
from mathlab.language import OPS
from mathlab.stages import gradcheck
from mathlab.stages.gradcheck import Witnesses
from mathlab.stages.prepare import Prepared, prepare
from mathlab.witnesses import central, copies, numeric, one_sided, run, stacked, stepped
from mathlab.witnesses.central import central_difference
from mathlab.witnesses.graph import seen_from
from mathlab.witnesses.numeric import both_sides
from mathlab.witnesses.stack import Stack, spread, taken
from mathlab.witnesses.stepped import STEP
from mathlab.witnesses.superposed import Responses
from tests.build import case
from tests.language.test_planned import mlp
from tests.programs import Program, equations, programs
from tests.witnesses.test_witnesses import KINKS, _drawn, _samples

Floats = NDArray[np.float64]


@pytest.fixture(params=[1, 8, 10**9], ids=["cache of a byte", "cache of an entry", "all at once"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "CACHED", request.param)


def both(
    prepared: Prepared, name: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """The slopes to both sides, the central difference and its resolution: one by one, and together."""
    found: list[tuple[Floats, ...]] = []
    for few in (10**9, 0):
        for module in (numeric, central):
            monkeypatch.setattr(module, "FEW", few)
        monkeypatch.setattr(central, "MANY", few)
        witnesses = Witnesses.of(prepared)
        slopes = both_sides(witnesses.responses.graph.seen_from(name), witnesses.responses)
        difference = central_difference(
            lambda env: gradcheck.end_value(prepared, env),
            prepared.env,
            name,
            together=lambda points, witnesses=witnesses: witnesses.differences.of(name, points),  # type: ignore[misc]  # a default binds it
        )
        found.append((*slopes, *difference))
    return found[0], found[1]


def assert_same(prepared: Prepared, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (left, right, one, _), (left_2, right_2, many, resolution) = both(prepared, name, monkeypatch)
    scale = max(float(np.max(np.abs(right), initial=0.0)), 1e-3)
    np.testing.assert_allclose([left_2, right_2], [left, right], rtol=1e-13, atol=1e-13 * scale + 1e-15)
    assert np.all(np.abs(many - one) <= 10 * resolution + 1e-12 * scale)


def sampled(text: str, arguments: Mapping[str, tuple[int, ...]]) -> tuple[Case, list[str]]:
    """A sample of an op as a case, and the names of its floats."""
    env = _drawn(arguments)
    seed = np.random.default_rng(2).standard_normal(run(equations(("y", text)), env)["y"].shape)
    floats = {name: array for name, array in env.items() if not name.startswith("t")}
    whole = {name: array for name, array in env.items() if name.startswith("t")}
    return case({"y": text}, floats, whole, upstream=seed), list(floats)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize(("text", "arguments"), _samples())
def test_every_op(text: str, arguments: Mapping[str, tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    lab, floats = sampled(text, arguments)
    prepared = prepare(lab)
    for name in floats:
        assert_same(prepared, name, monkeypatch)
        graph = seen_from(name, prepared.equations, prepared.env, prepared.upstream)
        entries = np.arange(graph.start.size)
        assert stepped.stacked(graph, entries, STEP) is not None, "it was run one by one"
        points = np.tile(graph.start.ravel(), (2, 1))
        assert Witnesses.of(prepared).differences.of(name, points) is not None, "it was run one by one"


def test_every_op_has_a_rule_or_is_known_to_have_none() -> None:
    public = {name for name, op in OPS.items() if not op.internal}
    assert public - stacked.STACKED == {"argmax", "argmin"}


@settings(max_examples=60, deadline=None)
@given(programs())
def test_random_programs(program: Program) -> None:
    prepared = prepare(program.case())
    with pytest.MonkeyPatch.context() as patch:
        for name in program.parameters:
            assert_same(prepared, name, patch)


@pytest.mark.parametrize(("text", "at", "left", "right", "chosen"), KINKS)
def test_a_kink_has_two_slopes(
    text: str, at: float, left: float, right: float, chosen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numeric, "FEW", 0)
    found = one_sided(equations(("y", text)), {"x": np.array(at)}, "x")
    assert tuple(map(float, found)) == pytest.approx((left, right), rel=1e-14)


def weighted(text: str, w: ArrayLike, **inputs: ArrayLike) -> Prepared:
    return prepare(case({"z": "X @ W + b", "loss": text}, {"W": w, "b": [0.0, 0, 0, 0]}, inputs))


RNG = np.random.default_rng(5)
X, W, IMAGES = (np.round(RNG.normal(size=shape), 2) for shape in ((3, 5), (5, 4), (2, 3, 5)))
LOSSES = {
    "a column moves": "sum(tanh(z) * z)",
    "a column, then everything": "sum(log_softmax(z)[[0, 1, 2], y])",
    "classes": "mean(cross_entropy(relu(z), y))",
    "rows of weights": "sum(cross_entropy(z, softmax(X @ W)))",
    "a penalty": "mean(cross_entropy(z, y)) + 0.1 * sum(W**2) + norm(b)",
    "a vector of columns": "sum(exp(sum(z, axis=0)))",
    "a vector of rows": "sum(exp(mean(z, axis=1, keepdims=True) * z))",
    "two stacks meet": "sum(softmax(z @ z.T) @ z)",
    "moved columns meet themselves": "sum(tanh(z).T @ sigmoid(z))",
    "the other way round": "sum(tanh(z.T)[1:] + reshape(z.mT, 4, 3)[:3])",
    "joined": "sum(sin(concat(z, z**2, axis=1)) @ concat(W.T, W.T, axis=0))",
    "ties": "sum(max(relu(z), axis=1)) + max(b)",
    "all the same": "sum(maximum(z, z)) + sum(b * ones_like(b))",
    "a product with a moving vector": "sum(exp(X @ (W @ b)) * (b @ W.T @ X.T))",
    "one shape against another": "sum((z[:, None] - z[None])**2)",
}


@pytest.mark.parametrize("text", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("w", [W, np.zeros_like(W)], ids=["smooth", "kinks"])
def test_where_one_column_moves(text: str, w: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = weighted(text, w, X=X, y=[0, 3, 1])
    for name in ("W", "b"):
        assert_same(prepared, name, monkeypatch)


@pytest.mark.parametrize("text", ["sum(tanh(z)**2)", "sum(softmax(z, axis=1) * z)", "sum(tanh(z @ (W.T @ X.mT)))"])
def test_stacks_of_matrices(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = weighted(text, W, X=IMAGES)
    for name in ("W", "b"):
        assert_same(prepared, name, monkeypatch)


def test_a_slope_is_not_superposed_where_it_is_not_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle one of three has the opposite slope in the opposite direction, but it is not linear."""
    middle = "maximum(minimum(z[0], z[1]), minimum(maximum(z[0], z[1]), z[2]))"
    prepared = prepare(case({"z": "W @ x", "loss": middle}, {"W": np.zeros((3, 4))}, {"x": [1, 2, 3, 4]}))
    graph = seen_from("W", prepared.equations, prepared.env, None)
    monkeypatch.setattr(numeric, "FEW", 0)
    assert Responses(graph).slopes(graph) is None
    assert_same(prepared, "W", monkeypatch)


def test_a_graph_that_is_smooth_is_superposed() -> None:
    prepared = prepare(mlp(8, (30, 20, 5)))
    graph = seen_from("W1", prepared.equations, prepared.env, None)
    slopes = Responses(graph).slopes(graph)
    assert slopes is not None
    one_by_one = [stepped.slope(graph, entry, STEP) for entry in range(0, 600, 7)]
    np.testing.assert_allclose(slopes[::7], one_by_one, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("factor", [1.001, -1, 0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_fault_in_one_of_many_entries_is_refuted(factor: float, dtype: Dtype) -> None:
    lab = mlp(8, (20, 12, 5), dtype, "tanh")
    prepared, exact = prepare(lab), prepare(gradcheck.widened(lab))
    values = prepared.run()
    noise = gradcheck.rounding_noise(prepared, exact, values)
    derived = np.array(values["dW1"], np.float64)

    def refuted() -> list[tuple[int, ...]]:
        entries = gradcheck.check_parameter(exact, "W1", derived, noise["W1"], GradcheckSettings())
        assert len(entries) == 240
        return [entry.index for entry in entries if not entry.passed]

    assert refuted() == []
    worst = np.unravel_index(np.argmax(np.abs(derived)), derived.shape)
    derived[worst] *= factor
    assert refuted() == [tuple(map(int, worst))]


def test_what_is_spread_is_what_every_copy_holds() -> None:
    base, copies = RNG.normal(size=(2, 3, 4)), 5
    at = {axis: RNG.integers(0, base.shape[axis], copies) for axis in (0, 2)}
    new = RNG.normal(size=(3, copies))
    written = np.stack([base] * copies)
    for copy in range(copies):
        written[copy, at[0][copy], :, at[2][copy]] = new[:, copy]
    stack = Stack(base.astype(np.complex128), new.astype(np.complex128), at)
    np.testing.assert_array_equal(np.moveaxis(spread(stack).new, -1, 0), written)
    for kept in (0, 2):
        part = spread(stack, [kept])
        assert part.at == {kept: at[kept]}
        np.testing.assert_array_equal(spread(part).new, spread(stack).new)
    np.testing.assert_array_equal(taken(spread(stack).new, {}).shape, (2, 3, 4, copies, 1))


def test_memory_stays_bounded() -> None:
    lab = dataclasses.replace(mlp(8, (400, 60, 10)), share=float("inf"))
    prepared = prepare(lab)
    tracemalloc.start()
    one_sided(prepared.equations, prepared.env, "W1")
    Witnesses.of(prepared).differences.of("W1", np.tile(np.asarray(prepared.env["W1"], np.float64).ravel(), (4, 1)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6, "24,000 copies of the hidden layer alone would take 370 MB"
