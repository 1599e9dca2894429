"""What each path contributes: the shares sum to the gradient, and a share with factors is their product."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import ArrayLike
from rich.console import Console

from mathlab import config
from mathlab.experiment import Case, Experiment, Source
from mathlab.reports import data, page
from mathlab.results import BackpropResult, ExperimentResult
from mathlab.results.judged import Share
from mathlab.stages import backprop
from tests.build import case, case_result
from tests.programs import Program, programs

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def added_up(result: BackpropResult, dtype: str) -> None:
    """Hold every node's shares against its gradient, and every share against the product of its factors."""
    eps = float(np.finfo(dtype).eps)
    for node in result.nodes:
        shares = result.shares(node.name)
        assert tuple(share.reader for share in shares) == node.readers
        if not shares:
            continue
        assert node.gradient is not None
        terms = [share.value.astype(np.float64) for share in shares]
        slack = 64 * eps * sum(np.abs(term) for term in terms) + np.finfo(np.float64).tiny
        # a sum of shares and the gradient's own equation may add up the same terms in another order
        wide = slack + 1e-13 * max(float(np.max(np.abs(term), initial=0)) for term in terms)
        assert np.all(np.abs(sum(terms) - node.gradient) <= wide), node.name
        for share in shares:
            assert share.value.shape == node.value.shape
            if share.factors:
                upstream, local = (factor.value.astype(np.float64) for factor in share.factors)
                np.testing.assert_allclose(
                    upstream * local, share.value, rtol=64 * eps, atol=float(np.finfo(dtype).tiny)
                )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(2)
def test_the_shares_of_every_node_of_every_config_sum_to_its_gradient(path: Path) -> None:
    for one in config.load(path).cases:
        added_up(backprop.run(one, ()), one.dtype)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_the_shares_of_random_programs_sum_to_the_gradients(program: Program) -> None:
    with np.errstate(all="ignore"):
        added_up(backprop.run(program.case(), ()), "float64")


NORM: Mapping[str, str] = {
    "mu": "mean(z)",
    "c": "z - mu",
    "var": "mean(c**2)",
    "n": "c / sqrt(var + 1)",
    "loss": "sum(n * n * w)",
}
PARAMETERS: Mapping[str, ArrayLike] = {"z": [1.0, 2.0, 4.0], "w": [1.0, 0.5, 0.25]}


def shares(one: Case, name: str) -> Mapping[str, Share]:
    return {share.reader: share for share in backprop.run(one, ()).shares(name)}


def written(share: Share) -> tuple[str, ...]:
    return share.equation, *(factor.equation for factor in share.factors)


def test_each_path_says_upstream_and_local() -> None:
    found = shares(case(NORM, PARAMETERS), "c")
    assert written(found["var"]) == ("2 * dvar * c / 3", "dvar", "2 * c / 3")
    assert written(found["n"]) == ("dn / sqrt(var + 1)", "dn", "1 / sqrt(var + 1)")


def test_one_reader_that_reads_a_name_twice_is_one_share() -> None:
    (share,) = shares(case({"loss": "x * x + 3 * x"}, {"x": 5.0}), "x").values()
    assert share.value == 13


def test_an_upstream_of_ones_is_a_factor_too() -> None:
    one = case({"e": "y - t", "loss": "mean(e**2)"}, {"y": [1.0, 2.0, 4.0]}, {"t": [0.0, 1.0, 1.0]})
    (share,) = shares(one, "e").values()
    assert written(share) == ("2 * e / 3", "1", "2 * e / 3")
    halves = case({"l": "e**2", "loss": "sum(l) / 2"}, {"e": [1.0, 2.0, 4.0]})
    (share,) = shares(halves, "e").values()
    assert [factor.value.tolist() for factor in share.factors] == [[0.5] * 3, [2.0, 4.0, 8.0]]


@pytest.mark.parametrize(
    "equations",
    [
        {"y": "x @ w", "loss": "sum(y)"},  # a matrix product of the upstream gradient
        {"p": "softmax(x[0])", "loss": "sum(p * p)"},  # a sum over it
        {"y": "x + b[None, :]", "loss": "sum(y * y)"},
    ],
)
def test_a_share_that_is_no_product_has_no_factors(equations: Mapping[str, str]) -> None:
    parameters: Mapping[str, ArrayLike] = {"x": [[1.0, 2.0]], "w": [[3.0], [4.0]], "b": [1.0, 2.0]}
    name = "b" if "b" in equations.get("y", "") else "x"
    mentioned = {key: value for key, value in parameters.items() if key in " ".join(equations.values())}
    (share,) = shares(case(equations, mentioned), name).values()
    assert not share.factors


def test_what_is_fused_is_one_share_and_says_so() -> None:
    one = case({"p": "softmax(z)", "loss": "-log(p[0])"}, {"z": [1.0, 2.0]})
    (share,) = shares(one, "z").values()
    assert (share.reader, share.fused) == ("loss", ("p",))
    assert not backprop.run(one, ()).shares("p")


def test_nothing_is_computed_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(prepared: object, values: object, name: str) -> tuple[Share, ...]:
        asked.append(name)
        return ()

    monkeypatch.setattr("mathlab.stages.backprop.shares_of", noted)
    result = backprop.run(case(NORM, PARAMETERS), ())
    assert not asked
    assert {node.name for node in result.nodes if node.readers} == {"z", "w", "mu", "c", "var", "n"}
    assert result.shares("c") is result.shares("c")
    assert asked == ["c"]


def test_the_page_and_the_json_report_show_them() -> None:
    result = backprop.run(case(NORM, PARAMETERS), ())
    console = Console(file=io.StringIO(), width=100)
    ran = ExperimentResult(Experiment("net", "net.yaml", "", "", Source()), (case_result("base", "float64", result),))
    console.print(page.report(ran))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "from var = 2 * dvar * c / 3" in shown
    assert "from mu" in shown  # z is read by mu and by c
    assert "from loss" not in shown  # the only path to n, which is the gradient itself
    record = json.loads(json.dumps(data.told(ran)))
    nodes = {node["name"]: node for node in record["cases"][0]["backprop"]["nodes"]}
    assert nodes["c"]["reads"] == ["z", "mu"]
    assert [share["from"] for share in nodes["c"]["shares"]] == ["n", "var"]
    assert nodes["c"]["shares"][1]["local"]["equation"] == "2 * c / 3"


def test_what_tells_of_every_node_grows_with_the_nodes_alone() -> None:
    """Counted in lines of the stages, which no busy machine changes."""

    def executed(nodes: int) -> int:
        count, chain = 0, {f"h{k + 1}": f"sin(h{k})" for k in range(nodes)}
        lab = case({**chain, "loss": f"h{nodes}"}, {"h0": 0.5})

        def traced(frame: FrameType, event: str, _: object) -> Any:
            nonlocal count
            count += event == "line"
            return traced if Path(frame.f_code.co_filename).parent.name == "stages" else None

        before = sys.gettrace()
        sys.settrace(traced)
        try:
            backprop.run(lab, ())
        finally:
            sys.settrace(before)
        return count

    assert executed(200) < 2.5 * executed(100)
