"""Numbers at the ends of what a float can hold, in configs whose figures are wrong, so that every rule is tried."""

from __future__ import annotations

from contextlib import suppress

import pytest

from mathlab import api
from mathlab.errors import MathlabError

FORMS = (
    *("x / C", "x**C", "C*x", "x + C", "C / x", "C**x", "mean(x)*C", "exp(C*x)", "log(C*x)", "max(x, C)", "(x > C)*x"),
    *("sqrt(C*x)", "tanh(x*C)", "x*C/C", "1/C*x", "(C*x)*(C*x)", "x**C**C", "mean(C*x)", "sigmoid(C*x)", "norm(C*x)"),
)


@pytest.mark.parametrize("number", ["1e308", "5e-324", "0", "9" * 50])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.one_in(5)  # with another number for each form
def test_wrong_figures_at_the_ends_of_what_a_float_holds(form: str, number: str) -> None:
    config = {"parameters": {"x": 2}, "equations": {"f": form.replace("C", number)}, "expected": {"f": 3, "dx": 4}}
    with suppress(MathlabError):  # a sentence, where a gradient cannot be written down
        assert not api.run(api.load({**config, "derivation": {"dx": "x"}})).passed


def test_a_wrong_figure_beside_the_state_of_an_optimizer() -> None:
    config = {
        "parameters": {"x": 2.0},
        "equations": {"f": "x**2"},
        "train": {
            "optimizer": {"name": "momentum", "lr": 0.1, "momentum": 0.9},
            "epochs": 2,
            "after": {1: {"v_x": 8, "x": 1.6}, 2: {"v_x": 6.8}},
        },
    }
    result = api.run(api.load(config))
    assert result.cases[0].train
    assert [figure.passed for figure in result.cases[0].train.figures] == [False, True, True]
