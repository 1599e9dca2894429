"""A case of which only figures of the forward pass are asked needs no end that can be differentiated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.experiment import Figure, GradcheckSettings
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
    [("g", "[10, -2]"), ("2 * g - 1", "[19, -6]"), ("[10, -1]", "[10, -2]")],
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
