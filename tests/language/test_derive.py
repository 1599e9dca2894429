"""The backward equations as text: they must read like an article's, and be right on programs nobody thought of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import ArrayLike

from mathlab.errors import MathlabError
from mathlab.stages.derivation import derivation
from mathlab.stages.prepare import prepare
from mathlab.witnesses.tape import tape
from tests.build import case, complex_step
from tests.programs import Program, programs

MLP = {
    "z1": "W1 @ x + b1",
    "h": "relu(z1)",
    "logits": "W2 @ h + b2",
    "p": "softmax(logits)",
    "loss": "-log(p[target])",
}
MLP_VALUES = {"W1": np.ones((3, 2)), "b1": np.ones(3), "W2": np.ones((2, 3)), "b2": np.ones(2)}

Values = Mapping[str, ArrayLike]
ARTICLES: Mapping[str, tuple[Mapping[str, str], Values, Values, str]] = {
    "softmax MLP, one column": (
        MLP,
        MLP_VALUES,
        {"x": [1, 2], "target": 1},
        """
        dlogits = p - one_hot(target, 2)
        dW2 = outer(dlogits, h)
        db2 = dlogits
        dh = W2.T @ dlogits
        dz1 = dh * (z1 > 0)
        dW1 = outer(dz1, x)
        db1 = dz1
        """,
    ),
    "2-2-2 net, rows of samples": (
        {"H": "sigmoid(X @ W)", "Y": "sigmoid(H @ V)", "E": "Y - T", "L": "sum(E**2, axis=1)", "loss": "sum(L)"},
        {"W": np.ones((2, 3)), "V": np.ones((3, 2))},
        {"X": np.ones((4, 2)), "T": np.ones((4, 2))},
        """
        dL = ones_like(L)
        dE = 2 * E
        dY = dE
        dY_1 = dY * Y * (1 - Y)
        dV = H.T @ dY_1
        dH = dY_1 @ V.T
        dW = X.T @ (dH * H * (1 - H))
        """,
    ),
    "half squared error": (
        {"a": "sigmoid(w @ x + b)", "L": "0.5 * (a - y)**2"},
        {"w": np.ones(2), "b": 1.0},
        {"x": [1, 2], "y": 1},
        """
        da = a - y
        da_1 = da * a * (1 - a)
        dw = da_1 * x
        db = da_1
        """,
    ),
    "a batch through cross-entropy": (
        {"Z": "X @ W + b", "loss": "mean(cross_entropy(Z, y))"},
        {"W": np.ones((2, 3)), "b": np.ones(3)},
        {"X": np.ones((5, 2)), "y": [0, 1, 2, 0, 1]},
        """
        dZ = (softmax(Z) - one_hot(y, 3)) / 5
        dW = X.T @ dZ
        db = sum(dZ, axis=0)
        """,
    ),
    "one bias for all": (
        {"z": "W @ x + b", "loss": "sum(tanh(z))"},
        {"W": np.ones((3, 2)), "b": 0.0},
        {"x": [1, 2]},
        """
        dz = 1 - tanh(z)**2
        dW = outer(dz, x)
        db = sum(dz)
        """,
    ),
    "a weight penalty": (
        {"data": "mean((X @ w - y)**2)", "loss": "data + 0.01 * sum(w**2)"},
        {"w": np.ones(2)},
        {"X": np.ones((3, 2)), "y": np.ones(3)},
        """
        ddata = 1
        dw = 0.02 * w + 2 * (X.T @ (X @ w - y)) / 3
        """,
    ),
    "a mean over what is observed, of a mean of two terms": (
        {"p": "sigmoid(X @ w)", "L": "-(y * log(p) + (1 - y) * log(1 - p))", "loss": "sum(L * m) / sum(m) + mean(L)"},
        {"w": np.ones(2)},
        {"X": np.ones((3, 2)), "y": [0, 1, 1], "m": [1, 0, 1]},
        """
        dL = m / sum(m) + 1 / 3
        dp = dL * (1 - y) / (1 - p) - dL * y / p
        dw = X.T @ (dp * p * (1 - p))
        """,
    ),
    "a mean of two terms": (
        {"p": "sigmoid(X @ w)", "loss": "-mean(y * log(p) + (1 - y) * log(1 - p))"},
        {"w": np.ones(2)},
        {"X": np.ones((3, 2)), "y": [0, 1, 1]},
        """
        dp = ((1 - y) / (1 - p) - y / p) / 3
        dw = X.T @ (dp * p * (1 - p))
        """,
    ),
    "the margins of a hinge": (
        {"s": "X @ W", "c": "s[arange(3), y]", "m": "relu(s - c[:, None] + 1)", "loss": "sum(m)"},
        {"W": np.ones((2, 2))},
        {"X": np.ones((3, 2)), "y": [0, 1, 1]},
        """
        dm = ones_like(m)
        dm_1 = s - c[:, None] + 1 > 0
        dc = -sum(dm_1, axis=1)
        ds = dm_1 + scatter(dc, s[arange(3), y])
        dW = X.T @ ds
        """,
    ),
    "batch norm, as its graph of small steps": (
        {
            "mu": "mean(x, axis=0)",
            "xmu": "x - mu",
            "var": "mean(xmu**2, axis=0)",
            "ivar": "1 / sqrt(var + 0.5)",
            "xhat": "xmu * ivar",
            "loss": "sum((gamma * xhat + beta) * t)",
        },
        {"x": np.ones((4, 2)), "gamma": np.ones(2), "beta": np.ones(2)},
        {"t": np.ones((4, 2))},
        """
        dgamma = sum(t * xhat, axis=0)
        dbeta = sum(t, axis=0)
        dxhat = t * gamma
        divar = sum(dxhat * xmu, axis=0)
        dvar = -divar / (var + 0.5) / (2 * sqrt(var + 0.5))
        dxmu = dxhat * ivar + dvar * xmu / 2
        dmu = -sum(dxmu, axis=0)
        dx = dxmu + dmu / 4
        """,
    ),
    "the gates of one matrix": (
        {"z": "x @ W", "i": "sigmoid(z[:, :2])", "g": "tanh(z[:, 2:])", "loss": "sum(i * g)"},
        {"W": np.ones((3, 4))},
        {"x": np.ones((5, 3))},
        """
        dg = i
        di = g
        dz = concat(di * i * (1 - i), dg * (1 - g**2), axis=1)
        dW = x.T @ dz
        """,
    ),
    "a kernel for each channel, and heads": (
        {"a": "K[1] @ K[0].T", "s": "Q @ K.mT", "loss": "sum(a) + sum(s**2)"},
        {"K": np.ones((2, 3, 2)), "Q": np.ones((2, 3, 2))},
        {},
        """
        ds = 2 * s
        dQ = ds @ K
        da = ones_like(a)
        dK = stack(ones_like(a).T @ K[1], ones_like(a) @ K[0]) + ds.mT @ Q
        """,
    ),
    "(x + y)z": (
        {"q": "x + y", "f": "q * z"},
        {"x": -2, "y": 5, "z": -4},
        {},
        """
        dz = q
        dq = z
        dx = dq
        dy = dq
        """,
    ),
    "an entropy, and a penalty by a norm": (
        {"p": "softmax(z)", "loss": "-sum(p * log(p)) + 0.5 * c * norm(z)**2"},
        {"z": np.ones(2)},
        {"c": 0.1},
        """
        dp = -log(p) - 1
        dz = c * z + p * (dp - sum(dp * p, axis=-1, keepdims=True))
        """,
    ),
    "a normal distribution": (
        {"loss": "0.5 * log(2 * pi * v) + (x - m)**2 / (2 * v)"},
        {"m": 0.5, "v": 2.0},
        {"x": 1.0},
        """
        dv = 1 / (2 * v) - 2 * (x - m)**2 / (2 * v)**2
        dm = -(x - m) / v
        """,
    ),
    "a square by the product of a vector with itself": (
        {"loss": "sum(x * w) + 0.5 * c * (w @ w)"},
        {"w": np.ones(2)},
        {"x": [1, 2], "c": 0.1},
        """
        dw = x + c * w
        """,
    ),
    "fan-out": (
        {"h": "W @ x", "loss": "h @ h + sum(h)"},
        {"W": np.ones((2, 2))},
        {"x": [1, 2]},
        """
        dh = 2 * h + 1
        dW = outer(dh, x)
        """,
    ),
    "an upstream gradient that is read twice has a name": (
        {"loss": "sum((a * b + c)**2 * d)"},
        {"a": np.ones(2), "b": np.ones(2), "c": np.ones(2)},
        {"d": [1, 2]},
        """
        dloss_1 = 2 * d * (a * b + c)
        da = dloss_1 * b
        db = dloss_1 * a
        dc = dloss_1
        """,
    ),
    "the transposed convention": (
        {"z": "W.T @ a + b", "loss": "sum(z**2)"},
        {"W": np.ones((2, 3)), "b": np.ones((3, 1))},
        {"a": np.ones((2, 1))},
        """
        dz = 2 * z
        dW = a @ dz.T
        db = dz
        """,
    ),
    "a column batch": (
        {"Z": "W @ X + b", "loss": "sum(Z**2)"},
        {"W": np.ones((3, 2)), "b": np.ones((3, 1))},
        {"X": np.ones((2, 4))},
        """
        dZ = 2 * Z
        dW = dZ @ X.T
        db = sum(dZ, axis=1, keepdims=True)
        """,
    ),
}


@pytest.mark.parametrize("name", ARTICLES)
def test_backward_equations_read_like_an_article(name: str) -> None:
    equations, parameters, inputs, expected = ARTICLES[name]
    prepared = prepare(case(equations, parameters, inputs))
    derived = [f"{line.name} = {line.text}" for line in prepared.backward.equations]
    assert derived == [line.strip() for line in expected.strip().splitlines()]


def test_what_each_node_stores() -> None:
    prepared = prepare(case(MLP, MLP_VALUES, {"x": [1, 2], "target": 1}))
    assert prepared.backward.stores == {
        "loss": ("p", "target"),
        "logits": ("h", "W2"),
        "h": ("z1",),
        "z1": ("x",),
    }


def test_nothing_is_derived_for_inputs_unless_asked() -> None:
    values = {"W": np.ones((2, 2))}
    plain = prepare(case({"z": "W @ x", "loss": "sum(z)"}, values, {"x": [1, 2]}))
    asked = prepare(case({"z": "W @ x", "loss": "sum(z)"}, values, {"x": [1, 2]}, derivation={"dx": "W.T @ dz"}))
    assert "dx" not in plain.gradients
    assert "dx" in asked.gradients


def test_a_parameter_that_nothing_reads_has_a_zero_gradient() -> None:
    values = prepare(case({"loss": "sum(a)"}, {"a": [1.0, 2.0], "b": [3.0, 4.0]})).run()
    np.testing.assert_array_equal(values["db"], [0, 0])


LOGITS = [[1000, -1000], [-1000, 1000], [1000, 1000], [0, 1000]]


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize(
    "equations",
    [
        {"loss": "-log(softmax(z)[t])"},
        {"p": "softmax(z)", "loss": "-log(p[t])"},
        {"p": "softmax(z)", "logs": "log(p)", "loss": "-logs[t]"},
        {"p": "softmax(z)", "loss": "-sum(one_hot(t, 2) * log(p))"},
        {"loss": "cross_entropy(z, t)"},
        {"loss": "-log_softmax(z)[t]"},
    ],
)
def test_log_of_softmax_is_finite_and_right_for_large_logits(
    equations: dict[str, str], logits: list[float], target: int
) -> None:
    values = prepare(case(equations, {"z": logits}, {"t": target})).run()
    z = np.array(logits, np.float64)
    probabilities = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    exact = np.log(np.exp(z - z.max()).sum()) + (z.max() - z[target])
    np.testing.assert_allclose(values["loss"], exact, rtol=1e-14)
    np.testing.assert_allclose(values["dz"], probabilities - np.eye(2)[target], rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("x", [-800.0, -40.0, -1.5, 0.0, 1.5, 40.0, 800.0])
@pytest.mark.parametrize(
    ("text", "sign"),
    [("log(sigmoid(x))", 1.0), ("log(1 - sigmoid(x))", -1.0), ("log(sigmoid(-x))", -1.0)],
)
def test_log_of_a_sigmoid_is_finite_and_right_at_its_ends(text: str, sign: float, x: float) -> None:
    prepared = prepare(case({"y": text}, {"x": x}))
    values = prepared.run()
    np.testing.assert_allclose(values["y"], -np.logaddexp(0, -sign * x), rtol=1e-13)
    np.testing.assert_allclose(values["dx"], sign * np.exp(-np.logaddexp(0, sign * x)), rtol=1e-13)
    assert derivation(prepared.case, "text").startswith(f"y = {text}\n")


@pytest.mark.parametrize("text", ["log(softmax([log(sigmoid(x)), 0])[0])", "log(sigmoid(log(sigmoid(x))))"])
def test_a_logarithm_inside_another_is_stable_too(text: str) -> None:
    values = prepare(case({"y": text}, {"x": -800.0})).run()
    np.testing.assert_allclose([values["y"], values["dx"]], [-800, 1], rtol=1e-13)


def test_a_sigmoid_that_has_a_name_is_a_step_of_its_own() -> None:
    """As the article writes it, with a gradient of its own; whoever saturates it is told."""
    prepared = prepare(case({"a": "sigmoid(z)", "L": "-log(a)"}, {"z": 0.5}))
    assert [equation.text for equation in prepared.backward.equations] == ["-1 / a", "da * a * (1 - a)"]


def test_asking_for_the_gradient_of_p_shows_the_path_through_p() -> None:
    prepared = prepare(case(MLP, MLP_VALUES, {"x": [1, 2], "target": 1}, derivation={"dp": "-one_hot(target, 2) / p"}))
    values = prepared.run()
    np.testing.assert_allclose(values["dp"], [0, -1 / values["p"][1]])
    np.testing.assert_allclose(values["dlogits"], values["p"] - [0, 1], atol=1e-15)


WITHOUT_DERIVATIVE = [
    ({"loss": "sum(w > 0)"}, "'w' reaches 'loss' only through 'w > 0', which has no derivative"),
    ({"m": "w > 0", "loss": "sum(m)"}, "'w' reaches 'loss' only through 'w > 0', which has no derivative"),
    ({"k": "argmax(w)", "loss": "x[k]"}, "'w' reaches 'loss' only through 'x[k]', which has no derivative"),
    ({"loss": "sum(sign(w))"}, "'w' reaches 'loss' only through 'sign(w)', which has no derivative"),
    ({"loss": "argmax(w)"}, "'loss', the last equation, is not a number that can be differentiated"),
    ({"loss": "w"}, "'loss', the last equation, has shape (2,): give its gradient as 'upstream', or add an equation "
                    "that makes one number of it"),
]  # fmt: skip


@pytest.mark.parametrize(("equations", "message"), WITHOUT_DERIVATIVE)
def test_a_derivative_that_does_not_exist(equations: dict[str, str], message: str) -> None:
    with pytest.raises(MathlabError) as error:
        prepare(case(equations, {"w": [0.5, -0.5]}, {"x": [1, 2, 3]}))
    assert str(error.value) == message


def test_a_mask_beside_a_derivative_is_a_constant() -> None:
    values = prepare(case({"loss": "sum(w * (w > 0))"}, {"w": [0.5, -0.5]})).run()
    np.testing.assert_array_equal(values["dw"], [1, 0])


def test_a_thousand_equations() -> None:
    equations = {"h0": "tanh(w)"} | {f"h{k}": f"tanh(h{k - 1} + w)" for k in range(1, 1000)}
    prepared = prepare(case({**equations, "loss": "sum(h999)"}, {"w": [0.1, 0.2]}))
    np.testing.assert_allclose(prepared.run()["dw"], tape(prepared.equations, prepared.env, "w"), rtol=1e-12)


@settings(max_examples=25)
@given(programs())
def test_random_programs(program: Program) -> None:
    prepared = prepare(program.case())
    values = prepared.run()
    for name in program.parameters:
        derived = np.asarray(values[f"d{name}"])
        exact = complex_step(prepared.equations, prepared.env, name)
        scale = 1 + np.max(np.abs(exact), initial=0.0)
        np.testing.assert_allclose(derived, exact, rtol=1e-9, atol=1e-10 * scale)
        np.testing.assert_allclose(tape(prepared.equations, prepared.env, name), exact, rtol=1e-9, atol=1e-10 * scale)
