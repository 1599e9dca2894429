"""The witnesses against closed forms, against each other, and against the derived gradient."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike, NDArray

from mathlab.errors import MathlabError, Place
from mathlab.experiment import Array
from mathlab.language import OPS
from mathlab.language.equation import Equation
from mathlab.language.syntax import parse
from mathlab.stages.prepare import prepare
from mathlab.witnesses.central import central_difference
from mathlab.witnesses.graph import COMPOSED, run, seen_from
from mathlab.witnesses.pytorch import torch_gradient
from mathlab.witnesses.reference import REFERENCE, Floats
from mathlab.witnesses.steps import ComplexStep
from mathlab.witnesses.tape import tape
from tests.build import complex_step, sampled
from tests.programs import Program, equations, programs

Witness = Callable[[Sequence[Equation], Mapping[str, Array], str, Array | None], NDArray[np.float64]]

TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not TORCH, reason="PyTorch is not installed")
WITNESSES = [
    pytest.param(complex_step, id="complex step"),
    pytest.param(tape, id="tape"),
    pytest.param(torch_gradient, id="torch", marks=needs_torch),
]


def one_sided(equations: Sequence[Equation], env: Mapping[str, Array], wrt: str) -> tuple[Floats, Floats]:
    """The slopes to the left and to the right of every entry; they differ only at a kink."""
    return ComplexStep(seen_from(wrt, equations, env, None), (wrt,)).both_sides(wrt)


def floats(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(x, dtype=np.float64)


def test_every_op_has_a_definition_and_every_definition_an_op() -> None:
    public = {name for name, op in OPS.items() if not op.internal}
    assert {*REFERENCE, *COMPOSED, "index", "scatter"} == public
    assert not REFERENCE.keys() & COMPOSED.keys()


SAMPLES = [text for op in OPS.values() if not op.internal for text in op.samples]


def _drawn(text: str) -> dict[str, Array]:
    """Arrays of the shapes that a sample asks for: p... positive, t... class indices."""
    rng = np.random.default_rng(1)
    env: dict[str, Array] = {}
    for name, shape in sampled(text).items():
        array = floats(rng.standard_normal(shape))
        if name.startswith("p"):
            array = np.abs(array) + 0.5
        env[name] = cast(Array, np.asarray(rng.integers(0, 2, shape))) if name.startswith("t") else array
    return env


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.one_in(2)
def test_every_op_agrees_with_its_central_difference(text: str) -> None:
    graph, env = equations(("y", text)), _drawn(text)
    seed = np.random.default_rng(2).standard_normal(run(graph, env)["y"].shape)

    def end(moved: Mapping[str, Array]) -> float:
        return float(np.sum(seed * run(graph, moved)["y"].real))

    for name in sampled(text):
        if not name.startswith("t"):
            central, resolution = central_difference(end, env, name)
            for witness in (complex_step, tape, *([torch_gradient] if TORCH else [])):
                np.testing.assert_array_less(
                    np.abs(witness(graph, env, name, seed) - central), 10 * resolution + 1e-9 * np.abs(central) + 1e-12
                )


CLOSED = [
    # f, at x, its derivative
    ("3 * x**2 + 2 * x * 3 + 5", 2.0, 18.0),
    ("(4 * x - 8)**2", 3.0, 32.0),
    ("(4 * x - 8)**2", 1.5, -16.0),
    ("x**-1.5", 4.0, -1.5 * 4**-2.5),
    ("2**x", 3.0, 8 * math.log(2)),
    ("x**x", 2.0, 4 * (1 + math.log(2))),
    ("(-2)**2 * x**3", -2.0, 48.0),
    ("x**0", 0.0, 0.0),
    ("x**1.5", 0.0, 0.0),
    ("1 / x", 4.0, -1 / 16),
    ("1 - x / 4", 1.0, -0.25),
    ("exp(sin(x))", 1.0, math.exp(math.sin(1)) * math.cos(1)),
    ("log(x)", 1e-8, 1e8),
    ("log1p(x)", 1e-12, 1 / (1 + 1e-12)),
    ("expm1(x)", 1e-12, math.exp(1e-12)),
    ("sqrt(x)", 4.0, 0.25),
    ("tanh(x)", 20.0, 1 / math.cosh(20) ** 2),
    ("sigmoid(x)", 16.0, math.exp(-16) / (1 + math.exp(-16)) ** 2),
    ("sigmoid(x)", -1000.0, 0.0),
    ("softplus(x)", -40.0, math.exp(-40) / (1 + math.exp(-40))),
    ("softplus(x)", 0.0, 0.5),
    ("softplus(x)", 1000.0, 1.0),
    ("silu(x)", 0.0, 0.5),
    ("gelu(x)", 0.0, 0.5),
    ("erf(x)", 0.5, 2 / math.sqrt(math.pi) * math.exp(-0.25)),
    ("normal_cdf(x)", -10.0, math.exp(-50) / math.sqrt(2 * math.pi)),
    ("normal_pdf(x)", 2.0, -2 * math.exp(-2) / math.sqrt(2 * math.pi)),
    ("-log_softmax([x, -1000])[1]", 1000.0, 1.0),
    ("cross_entropy([x, 0], 1)", 1000.0, 1.0),
    ("logsumexp([x, x, x])", 0.1, 1.0),
    ("softmax([x, 0])[0]", 0.0, 0.25),
    ("mean([x, 2 * x, 6 * x])", 1.0, 3.0),
    ("norm([3 * x, 4 * x])", 2.0, 5.0),
    ("x", 3.0, 1.0),
    ("0 * x + 1", 3.0, 0.0),
    ("x * sqrt(3)", 1.0, 3**0.5),
    ("x * (1 / 3)", 1.0, 1 / 3),
    ("x * exp(-1) * sigmoid(2)", 1.0, math.exp(-1) / (1 + math.exp(-2))),
]


@pytest.mark.parametrize("witness", [complex_step, tape])
@pytest.mark.parametrize(("text", "at", "slope"), CLOSED)
def test_derivatives_have_their_closed_form(text: str, at: float, slope: float, witness: Witness) -> None:
    found = witness(equations(("y", text)), {"x": np.array(at)}, "x", None)
    assert found == pytest.approx(slope, rel=1e-14, abs=1e-300)


@needs_torch
@pytest.mark.parametrize(("text", "at", "slope"), CLOSED[-3:])
def test_torch_takes_whole_numbers_in_float64(text: str, at: float, slope: float) -> None:
    assert torch_gradient(equations(("y", text)), {"x": np.array(at)}, "x") == pytest.approx(slope, rel=1e-15)


def test_the_complex_step_does_not_cancel_where_reverse_mode_does() -> None:
    graph, env = equations(("y", "-log_softmax([x, 0])[0]")), {"x": np.array(20.0)}
    assert complex_step(graph, env, "x") == pytest.approx(-math.exp(-20) / (1 + math.exp(-20)), rel=1e-14)


KINKS = [
    # f, at x, slopes to the left and to the right, and what the tape chooses
    ("relu(x)", 0.0, 0.0, 1.0, 0.0),
    ("relu(-x)", 0.0, -1.0, 0.0, 0.0),
    ("abs(x)", 0.0, -1.0, 1.0, 0.0),
    ("leaky_relu(x, 0.1)", 0.0, 0.1, 1.0, 0.1),
    ("elu(x, 0.5)", 0.0, 0.5, 1.0, 0.5),
    ("elu(x)", 0.0, 1.0, 1.0, 1.0),
    ("maximum(x, 2)", 2.0, 0.0, 1.0, 0.0),
    ("maximum(2, x)", 2.0, 0.0, 1.0, 0.0),
    ("maximum(2 + 0, x)", 2.0, 0.0, 1.0, 1.0),
    ("minimum(x, 2)", 2.0, 1.0, 0.0, 0.0),
    ("clip(x, 0, 1)", 1.0, 1.0, 0.0, 1.0),
    ("max([x, 2 * x, -1])", 0.0, 1.0, 2.0, 1.5),
    ("min([x, 2 * x, 9])", 0.0, 2.0, 1.0, 1.5),
    ("max([x, 0.1, 0.1])", 0.1, 0.0, 1.0, 1 / 3),
    ("norm([x, x])", 0.0, -math.sqrt(2), math.sqrt(2), 0.0),
    ("where(x > 0, 3 * x, x)", 0.0, 1.0, 3.0, 1.0),
    ("where(x >= 0, 3 * x, x)", 0.0, 1.0, 3.0, 3.0),
    ("x * (x > 0)", 0.0, 0.0, 1.0, 0.0),
    ("where(x == 0, 1, sin(x) / x)", 0.0, 0.0, 0.0, 0.0),
    ("relu(x) - 2 * relu(-x)", 0.0, 2.0, 1.0, 0.0),
    ("abs(x)**2", 0.0, 0.0, 0.0, 0.0),
    ("relu(x)", 1e-300, 1.0, 1.0, 1.0),
    ("relu(0 * x)", 5.0, 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("text", "at", "left", "right", "chosen"), KINKS)
def test_a_kink_has_two_slopes(text: str, at: float, left: float, right: float, chosen: float) -> None:
    graph, env = equations(("y", text)), {"x": np.array(at)}
    assert tuple(map(float, one_sided(graph, env, "x"))) == pytest.approx((left, right), rel=1e-14)
    assert float(tape(graph, env, "x")) == pytest.approx(chosen, rel=1e-14)


def test_only_the_entries_at_a_kink_have_two_slopes() -> None:
    left, right = one_sided(equations(("y", "sum(relu(x) * x) + sum(abs(x))")), {"x": floats([-1, 0, 2])}, "x")
    assert left.tolist() == [-1, -1, 5]
    assert right.tolist() == [-1, 1, 5]


GRAPHS: Mapping[str, tuple[list[tuple[str, str]], float, float | None]] = {
    "fan-out": ([("y", "x * x + x")], 3.0, 7.0),
    "diamond": ([("a", "2 * x"), ("b", "3 * x"), ("y", "a * b")], 5.0, 60.0),
    "one node read three times": ([("a", "exp(x)"), ("b", "a + a"), ("y", "a * b")], 0.0, 4.0),
    "nothing flows": ([("a", "x + 1"), ("y", "3 * c")], 1.0, 0.0),
    "through a comparison": ([("m", "x > 0"), ("y", "3 * m")], 1.0, 0.0),
    "through an index": ([("i", "argmax([x, 0])"), ("y", "[4, 5][i]")], 1.0, 0.0),
    "micrograd's": (
        [
            ("d", "x * c + c**3"),
            ("e", "x + c + (x + c) + 1 + 1 + x + c - x"),
            ("f", "e + d * 2 + relu(c + x) + 3 * d + relu(c - x)"),
            ("g", "(e - f)**2"),
            ("y", "g / 2 + 10 / g"),
        ],
        -4.0,
        None,
    ),
}


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_add_up_over_every_way_to_the_end(name: str, witness: Witness) -> None:
    texts, x, slope = GRAPHS[name]
    graph, env = equations(*texts), {"x": np.array(x), "c": np.array(2.0)}
    expected = tape(graph, env, "x") if slope is None else slope
    found = witness(graph, env, "x", None)
    assert found == pytest.approx(expected, rel=1e-13)
    assert witness(graph, env, "x", None) == found, "a second call must not add to the first"


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_node_can_be_what_is_differentiated_by(witness: Witness) -> None:
    graph = equations(("z", "w @ x"), ("p", "softmax(z)"), ("y", "-log(p[1])"))
    env = {"w": floats([[0.3, -1], [2, 0.5]]), "x": floats([1, 2])}
    p = run(graph, env)["p"]
    np.testing.assert_allclose(witness(graph, env, "z", None), p - [0, 1], rtol=1e-13)
    np.testing.assert_allclose(witness(graph, env, "y", None), 1)


@pytest.mark.parametrize("witness", WITNESSES)
def test_an_upstream_gradient_weighs_the_end(witness: Witness) -> None:
    graph, env = equations(("z", "relu(x)")), {"x": floats([1, -2, 3, -1])}
    assert witness(graph, env, "x", floats([4, -1, 5, 9])).tolist() == [4, 0, 5, 0]
    assert witness(graph, env, "z", floats([4, -1, 5, 9])).tolist() == [4, -1, 5, 9]


@pytest.mark.parametrize("witness", [complex_step, tape])
def test_float32_numbers_are_taken_exactly(witness: Witness) -> None:
    env = {"x": np.array(0.1, dtype=np.float32)}
    assert witness(equations(("y", "x**3")), env, "x", None) == pytest.approx(
        3 * float(np.float32(0.1)) ** 2, rel=1e-15
    )


def test_a_long_chain_needs_no_recursion() -> None:
    length = 3_000  # three times what Python lets a function call itself
    graph = equations(*((f"x{i + 1}", f"x{i} + 1") for i in range(length)))
    assert tape(graph, {"x0": np.array(1.0)}, "x0") == 1
    assert tape(equations(("y", "sum(x * x)")), {"x": np.ones(length)}, "x").tolist() == [2.0] * length


def test_the_tiny_gradients_of_a_saturated_sigmoid_keep_their_digits() -> None:
    graph = equations(("h", "sigmoid(x @ w)"), ("y", "sigmoid(h @ v)"), ("loss", "sum((y - t)**2)"))
    env = {
        "x": floats([[3, 1]]),
        "t": floats([[1.0, 0.0]]),
        "w": floats([[6, -3], [-2, 5]]),
        "v": floats([[1.0, -2.0], [0.25, 2.0]]),
    }
    exact = [-5.34381483557146e-08, -1.78127161185715e-08]
    np.testing.assert_allclose(complex_step(graph, env, "w")[:, 0], exact, rtol=1e-14)
    np.testing.assert_allclose(tape(graph, env, "w")[:, 0], exact, rtol=1e-14)


def test_there_is_no_derivative_where_there_is_no_value() -> None:
    assert np.isnan(complex_step(equations(("y", "log(x)")), {"x": np.array(-1.0)}, "x"))
    # a branch that is not taken may have no value
    graph = equations(("y", "where(x > 0, log(x), 3 * x)"))
    assert complex_step(graph, {"x": np.array(-1.0)}, "x") == 3
    assert tape(graph, {"x": np.array(-1.0)}, "x") == 3


REFUSED = [
    ("x + v[7]", "c.yaml:3:9: a witness cannot evaluate index: index 7 is out of bounds for axis 0 with size 2"),
    ("x + v[x]", "c.yaml:3:9: a witness cannot evaluate index: an index must be a whole number"),
    (
        "v + w",
        "c.yaml:3:5: a witness cannot evaluate add: operands could not be broadcast together with shapes (2,) (3,)",
    ),
    ("exp(v, 2, 3)", "c.yaml:3:5: a witness cannot evaluate exp: "),
]


@pytest.mark.parametrize("witness", [complex_step, tape])
@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_evaluated_is_said_with_its_place(text: str, message: str, witness: Witness) -> None:
    env = {"x": np.array(0.5), "v": floats([1, 2]), "w": floats([1, 2, 3])}
    graph = (Equation("y", parse(text), text, Place("c.yaml", 3, 5)), Equation("end", parse("sum(y) * x"), ""))
    with pytest.raises(MathlabError) as caught:
        witness(graph, env, "x", None)
    assert str(caught.value).startswith(message)


@needs_torch
def test_what_torch_cannot_do_is_said_with_its_place() -> None:
    graph = (Equation("y", parse("sum(v[::-1])"), "", Place("c.yaml", 3, 5)),)
    with pytest.raises(MathlabError, match=r"^c.yaml:3:\d+: PyTorch cannot evaluate index: .*step"):
        torch_gradient(graph, {"v": floats([1, 2])}, "v")


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("text", ["sum(x * normal_cdf(x))", "sum(gelu(x))"])
def test_the_lower_tail_of_the_normal_distribution_keeps_its_digits(witness: Witness, text: str) -> None:
    x = floats([-3, -9, -15, -20])
    graph = equations(("y", text))
    cdf = floats([math.erfc(-value / math.sqrt(2)) / 2 for value in x])
    gradient = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(witness(graph, {"x": x}, "x", None), gradient, rtol=1e-12)


def test_torch_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MathlabError, match=r'pip install "mathlab-backprop\[torch\]"'):
        torch_gradient(equations(("y", "x")), {"x": np.array(1.0)}, "x")


@pytest.mark.parametrize(
    ("text", "at"), [("x**3", 2.0), ("exp(x)", 5.0), ("sin(x) * 1e8", 1.0), ("1 / x", 0.01), ("7 * x", 3.0)]
)
@pytest.mark.parametrize("step", [None, 1e-3, 1e-5, 1e-9])
def test_a_central_difference_knows_its_resolution(text: str, at: float, step: float | None) -> None:
    graph, env = equations(("y", text)), {"x": np.array(at)}
    central, resolution = central_difference(lambda moved: float(run(graph, moved)["y"].real), env, "x", step)
    assert abs(central - complex_step(graph, env, "x")) <= 10 * resolution


def test_a_central_difference_divides_by_the_step_that_was_taken() -> None:
    # 1 + 1e-15 is not a float: the step that is taken is another one by a tenth
    central, _ = central_difference(lambda env: float(env["x"]), {"x": np.array(1.0)}, "x", 1e-15)
    assert central == 1


def test_a_central_difference_leaves_its_arguments_alone() -> None:
    env = {"x": floats([[1, 2], [3, 4]])}
    central, resolution = central_difference(lambda moved: float(np.sum(moved["x"] ** 2)), env, "x")
    assert env["x"].tolist() == [[1, 2], [3, 4]]
    np.testing.assert_allclose(central, 2 * env["x"], rtol=1e-9)
    assert resolution.shape == (2, 2)


def _agrees(gradient: NDArray[np.float64], reference: NDArray[np.float64]) -> None:
    scale = max(float(np.max(np.abs(reference), initial=0.0)), 1e-3)
    np.testing.assert_allclose(gradient, reference, rtol=0, atol=1e-10 * scale)


@settings(max_examples=20)
@given(programs())
def test_witnesses_agree_on_random_programs(program: Program) -> None:
    for name in program.parameters:
        left, right = one_sided(program.equations, program.env, name)
        _agrees(left, right)
        _agrees(tape(program.equations, program.env, name), right)


@settings(max_examples=20)
@given(programs())
def test_the_derived_gradient_agrees_on_random_programs(program: Program) -> None:
    derived = prepare(program.case()).run()
    for name in program.parameters:
        _agrees(floats(derived[f"d{name}"]), complex_step(program.equations, program.env, name))


@needs_torch
@settings(max_examples=20)
@given(programs())
def test_torch_agrees_on_random_programs(program: Program) -> None:
    for name in program.parameters:
        reference = complex_step(program.equations, program.env, name)
        _agrees(torch_gradient(program.equations, program.env, name), reference)
