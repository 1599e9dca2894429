"""A case of which only figures of the forward pass are asked needs no end that can be differentiated."""

from __future__ import annotations

import numpy as np
import pytest

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
