"""A case of which only figures of the forward pass are asked needs no end that can be differentiated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from mathlab.config import load
from mathlab.config.change import unjudged
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Figure, GradcheckSettings
from mathlab.stages import backprop
from mathlab.stages.prepare import prepare
from tests.build import case, figure

NET = {"h": "W @ x", "y": "softmax(h)"}
VALUES = {"W": np.array([[1.0, 2.0], [3.0, 4.0]])}


@pytest.mark.parametrize(
    ("equations", "figures"),
    [
        (NET, (figure("h", "5", "11", shape=(2,)), figure("argmax(y)", "1"))),
        ({**NET, "chosen": "argmax(y)"}, (figure("chosen", "1"),)),
        (NET, (figure("jacobian(h, x)", "1", "2", "3", "4", shape=(2, 2)),)),
    ],
)
def test_figures_of_the_forward_pass_alone(equations: dict[str, str], figures: tuple[Figure, ...]) -> None:
    found = backprop.run(case(equations, VALUES, {"x": [1, 2]}, expected=figures))
    assert all(result.passed for result in found.figures)
    assert all(node.gradient is None and not node.note for node in found.nodes)


@pytest.mark.parametrize(
    ("equations", "inputs", "key", "printed"),
    [
        (
            {"p": "argmax(z, axis=1)", "accuracy": "mean(p == t)"},
            {"z": [[1, 2], [3, 1]], "t": [1, 1]},
            "accuracy",
            "0.5",
        ),
        ({"out": "floor((n + 2 * p - k) / s) + 1"}, {"n": 7, "k": 3, "s": 2, "p": 1}, "out", "4"),
        ({"m": "a % b", "q": "a // b"}, {"a": -7, "b": 3}, "q", "-3"),
        ({"n": "sum(sign(x))"}, {"x": [1.5, -2.0, -0.1]}, "n", "-1"),
        ({"y": "x * 1e308", "loss": "y * 2"}, {"x": 0.5}, "y", "5e307"),  # a gradient that no float holds
    ],
)
def test_figures_of_what_has_no_derivative(
    equations: dict[str, str], inputs: dict[str, ArrayLike], key: str, printed: str
) -> None:
    asked = case(equations, {}, inputs, expected=(figure(key, printed),))
    found = backprop.run(asked)
    assert all(result.passed for result in found.figures)
    assert all(node.gradient is None and not node.note for node in found.nodes)
    for looked in (asked.bare(), unjudged(asked)):  # as --set and a curve do
        assert prepare(looked).forward_only
    for more in ({"expected": ()}, {"gradcheck": GradcheckSettings()}):
        with pytest.raises(MathlabError):
            prepare(replace(asked, **more))


@pytest.mark.parametrize(
    "asked",
    [
        {"expected": (figure("h", "5", "11", shape=(2,)), figure("norm(dW)", "1"))},
        {"expected": (figure("h", "5", "11", shape=(2,)),), "derivation": {"dh": "y"}},
        {"expected": (figure("h", "5", "11", shape=(2,)),), "gradcheck": GradcheckSettings()},
        {},
    ],
)
def test_a_gradient_that_is_asked_for_needs_an_upstream(asked: dict[str, object]) -> None:
    with pytest.raises(MathlabError, match="give its gradient as 'upstream'"):
        prepare(case(NET, VALUES, {"x": [1, 2]}, **asked))  # type: ignore[arg-type]


UPSTREAM = """\
inputs: {{x: [1, 2], g: [10, -1]}}
parameters: {{w: [3, 4]}}
equations: {{z: w * x}}
upstream: {}
expected: {{dw: {}}}
"""


@pytest.mark.parametrize(
    ("upstream", "dw"),
    [
        ("g", "[10, -2]"),
        ("2 * g - 1", "[19, -6]"),
        ("[10, -1]", "[10, -2]"),
        ("10 * ones(2)", "[10, 20]"),
        ("pi * g", "[31.4, -6.28]"),
    ],
)
def test_an_upstream_gradient_may_be_an_expression_of_inputs(tmp_path: Path, upstream: str, dw: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(UPSTREAM.format(upstream, dw))
    assert all(result.passed for result in backprop.run(load(path).cases[0]).figures)


@pytest.mark.parametrize(
    ("upstream", "sentence"),
    [
        ("w", "4:11: upstream reads inputs alone, and 'w' is none"),
        ("z * g", "upstream reads inputs alone, and 'z' is none"),
        ("gg", "unknown name 'gg'"),
        ("sum(g)", r"upstream has shape \(\), but 'z' has shape \(2,\)"),
        ("g +", "a number is needed here"),
    ],
)
def test_an_upstream_gradient_of_something_else_is_refused(tmp_path: Path, upstream: str, sentence: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(UPSTREAM.format(upstream, "[1, 2]"))
    with pytest.raises(MathlabError, match=sentence):
        prepare(load(path).cases[0])


END, NEEDED = "it does not reach L", "its gradient is not computed: none is handed back to it, or nothing needs it"
FUSED = "taken together with the logarithm in {}, in the stable form"


@pytest.mark.parametrize(
    ("equations", "said"),
    [
        ({"h": "x * 1", "L": "sum(w * h)"}, {"h": NEEDED}),
        ({"h": "x * 1", "k": "h + 1", "L": "sum(w * k)"}, {"h": NEEDED, "k": NEEDED}),
        ({"h": "w * x", "L": "sum(w)"}, {"h": END}),
        ({"h": "x * 1", "k": "h + 1", "L": "sum(w)"}, {"h": END, "k": END}),
        ({"h": "w * x", "k": "argmax(h)", "L": "sum(w)"}, {"h": END, "k": END}),
        *(
            ({"h": "w * x", "k": f"{blocked}", "L": "sum(k * w)"}, {"h": NEEDED, "k": ""})
            for blocked in ("floor(h)", "sign(h)", "h > 0", "where(h > 0, x, 1)", "zeros_like(h)")
        ),
        ({"h": "w * x", "k": "h + 1", "m": "floor(k)", "L": "sum(m * w)"}, {"h": NEEDED, "k": NEEDED, "m": ""}),
        ({"p": "softmax(w)", "L": "-log(p[0])"}, {"p": FUSED.format("L")}),
        ({"p": "softmax(w)", "q": "p[0]", "m": "log(q)", "L": "-m"}, {"m": ""}),
        (
            {"h": "w * x", "m": "floor(h)", "p": "softmax(m * w)", "L": "-log(p[0])"},
            {"h": NEEDED, "m": "", "p": FUSED.format("L")},
        ),
    ],
)
def test_a_node_without_a_gradient_says_why(equations: dict[str, str], said: dict[str, str]) -> None:
    nodes = backprop.run(case(equations, {"w": [1.0, 2.0]}, {"x": [3.0, 4.0]})).nodes
    notes = {node.name: node.note for node in nodes if node.name in said}
    assert notes == said
    assert all((node.gradient is None) == bool(node.note) for node in nodes if node.role == "node")


def test_what_is_asked_for_needs_no_reason() -> None:
    asked = case({"h": "x * 1", "L": "sum(w * h)"}, {"w": [1.0]}, {"x": [3.0]}, expected=(figure("dh", "1"),))
    assert {node.name: node.note for node in backprop.run(asked).nodes if node.note} == {}


@pytest.mark.parametrize(
    ("equations", "dp"),
    [
        ({"L": "-sum(p * log(p))"}, lambda p: -np.log(p) - 1),
        ({"m": "-log(p[0])", "L": "m + p[1]"}, lambda p: np.array([-1 / p[0], 1])),
    ],
)
def test_a_softmax_that_is_read_beside_its_logarithm_has_its_whole_gradient(
    equations: dict[str, str], dp: Callable[[Array], Array]
) -> None:
    arrays = backprop.run(case({"p": "softmax(2 * w)", **equations}, {"w": [1.0, 2.0]})).arrays
    assert arrays["dp"] == pytest.approx(dp(arrays["p"]), rel=1e-12)


@pytest.mark.parametrize("end", ["round(z)", "sign(z)", "z // 2"])
def test_one_prediction_of_parameters_need_not_have_a_derivative(end: str) -> None:
    asked = case({"z": "w * x", "y": end}, {"w": [2.0]}, {"x": [1.5]}, expected=(figure("z", "3", shape=(1,)),))
    assert all(result.passed for result in backprop.run(asked).figures)
    with pytest.raises(MathlabError, match="which has no derivative"):
        prepare(replace(asked, gradcheck=GradcheckSettings()))
