"""`mathlab backprop --witness`: every gradient beside the witnesses, and what counts as a contradiction."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.errors import MathlabError
from mathlab.experiment import DTYPES, Case, Dtype
from mathlab.language import OPS
from mathlab.results.judged import WitnessResult
from mathlab.stages import backprop, witness
from mathlab.stages.prepare import prepare
from mathlab.witnesses.table import WITNESSES
from tests.build import case
from tests.programs import Program, check, programs

INSTALLED = [name for name, record in WITNESSES.items() if record.installed()]
EXACT = ("tape", "complex")

NET = case(
    {"z": "W @ x + b", "h": "relu(z)", "p": "softmax(h)", "loss": "-log(p[t])"},
    {"W": [[0.3, 0.4], [-0.5, -0.2]], "b": [0, 0.1]},
    {"x": [1, 2], "t": 1},
)


def told(of: Case, names: tuple[str, ...] | None = None, **wrong: float) -> dict[tuple[str, str], WitnessResult]:
    """What witnesses say, with some gradients multiplied by a factor beforehand."""
    prepared = prepare(of)
    values = prepared.run()
    for name, factor in wrong.items():
        values[name] = np.asarray(values[name] * factor)
    return {(found.name, found.witness): found for found in witness.run(prepared, values, names)}


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_witness_confirms_every_gradient(name: str, dtype: Dtype) -> None:
    found = told(replace(NET, dtype=dtype), (name,))
    assert [gradient for gradient, _ in found] == ["W", "b", "z", "h"]
    assert {result.verdict for result in found.values()} == {"agrees"}
    limit = 1e-7 if name == "central" else 1e-5 if dtype == "float32" else 1e-14
    assert all(result.relative is not None and result.relative < limit for result in found.values())


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("factor", [-1, 2, 0, 1.001])
def test_every_witness_contradicts_a_wrong_gradient(name: str, factor: float) -> None:
    found = told(NET, (name,), dW=factor)
    assert [gradient for (gradient, _), result in found.items() if not result.passed] == ["W"]
    relative = found["W", name].relative
    assert relative is not None
    np.testing.assert_allclose(relative, abs(1 - factor) / max(1, abs(factor)), rtol=1e-4)


@settings(max_examples=8)
@given(programs(), st.sampled_from([-1.0, 2.0, 1.001]), st.data())
def test_random_programs_are_confirmed_and_faults_in_them_found(
    program: Program, factor: float, data: st.DataObject
) -> None:
    prepared = prepare(program.case())
    values = prepared.run()
    assert all(result.passed for result in witness.run(prepared, values, EXACT))
    broken = data.draw(st.sampled_from(list(program.parameters)))
    gradient = np.asarray(values[f"d{broken}"])
    if np.max(np.abs(gradient)) < 1e-6:  # rounding may be all that there is
        return
    found = witness.run(prepared, {**values, f"d{broken}": gradient * factor}, EXACT)
    assert {result.name for result in found if not result.passed} == {broken}


def test_terms_that_cancel_are_no_contradiction() -> None:
    # the gradient is 0 but for rounding, which each way of computing it does differently
    of = case({"y": "sum(softmax(x) * 0.1) * 3 + sum(x) - sum(x * 1.0)"}, {"x": [0.1, 0.7, -2.3]})
    assert all(result.passed for result in told(of, tuple(INSTALLED)).values())


@pytest.mark.parametrize("saturated", ["sigmoid", "tanh", "softmax", "silu", "gelu"])
@pytest.mark.parametrize("at", [18.0, 40.0, 800.0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.one_in(2)
def test_a_saturated_activation_is_no_contradiction(saturated: str, at: float, dtype: Dtype) -> None:
    for text in (f"sum(w * {saturated}(x))", f"sum((({saturated}(w * x)) - w)**2)"):
        of = case({"y": text}, {"x": [at, -at, 1.0]}, {"w": [1, 0.5, 1]}, dtype=dtype)
        assert all(result.passed for result in told(of, EXACT).values()), text


def test_a_saturated_sigmoid_in_float32_is_no_contradiction() -> None:
    of = case({"y": "sum(sigmoid(x)**2)"}, {"x": [16.0, 12.0, -9.0]}, dtype="float32")
    found = told(of, EXACT)["x", "tape"]
    assert found.passed
    assert found.relative is not None
    assert found.relative > 1e-4


@pytest.mark.parametrize("name", INSTALLED)
def test_between_the_slopes_of_a_kink_everybody_is_right(name: str) -> None:
    of = case({"y": "sum(relu(x)) + sum(maximum(x, 0))"}, {"x": [0.0, 1.0]})
    assert told(of, (name,))["x", name].verdict in ("agrees", "kink")
    assert not told(of, (name,), dx=-1)["x", name].passed


def test_what_is_not_finite_is_called_that() -> None:
    found = told(case({"y": "sqrt(x - 1)"}, {"x": 0.5}), EXACT)
    assert {(result.verdict, result.passed) for result in found.values()} == {("not finite", False)}
    assert found["x", "tape"].relative is None


def test_what_would_take_long_is_skipped() -> None:
    of = case({"y": "sum(tanh(X @ W))"}, {"W": np.full((50, 60), 0.01)}, {"X": np.ones((4, 50))})
    found = told(of)["W", "tape"]
    assert (found.verdict, found.relative, found.passed) == ("skipped", None, True)
    assert found.message.startswith("3000 entries in a graph of ")
    assert told(of, ("tape",))["W", "tape"].verdict == "agrees"  # whoever asks for it waits
    large = case({"y": "sum(W**2)"}, {"W": np.ones((2000, 2000))})
    assert {result.verdict for result in told(large, EXACT).values()} == {"skipped"}


def test_the_default_is_the_tape() -> None:
    assert {result.witness for result in backprop.run(NET).witnesses} == {"tape"}
    assert backprop.run(NET, ()).witnesses == backprop.run(NET, ("none",)).witnesses == ()


REFUSED = [
    ("tap", "unknown witness 'tap'; did you mean 'tape'?"),
    ("jax", "unknown witness 'jax'; known are tape, complex, central, torch"),
    ("", "unknown witness ''; known are tape, complex, central, torch"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED)
def test_a_witness_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(MathlabError) as caught:
        witness.chosen([name])
    assert str(caught.value) == message


CONFIG = "inputs: {x: 3}\nequations: {y: x**2}\nexpected: {dx: 6}\n"


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "c.yaml").write_text(CONFIG)
    done = CliRunner().invoke(app, ["backprop", "--config", str(folder / "c.yaml"), "--out", str(folder), *arguments])
    return done.exit_code, done.output


def test_the_command_shows_and_writes_them(tmp_path: Path) -> None:
    code, output = command(tmp_path, "--witness", "complex, tape")
    assert code == 0
    assert "witnesses" in output
    rows = (tmp_path / "c" / "witnesses.csv").read_text().splitlines()
    assert rows == [
        "case,name,witness,relative,ulp,verdict,message",
        "base,x,complex,0.0,0.0,agrees,",
        "base,x,tape,0.0,0.0,agrees,",
    ]


def test_a_contradiction_fails_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = WITNESSES["tape"]._replace(measure=lambda *_: (np.asarray(7.0), np.asarray(0.0)))
    monkeypatch.setitem(WITNESSES, "tape", lying)
    code, output = command(tmp_path, "--quiet")
    assert code == 1
    assert "contradicts" in output
    assert output.splitlines()[-1].endswith("1 gradient contradicted by a witness")


def test_torch_that_is_not_there_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert importlib.util.find_spec("torch") is None
    code, output = command(tmp_path, "--witness", "torch")
    assert code == 2
    assert 'pip install "mathlab-backprop[torch]"' in output
    assert not (tmp_path / "c").exists()


def test_the_nightly_run_finds_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(3) == 3
    monkeypatch.setitem(OPS, "mul", OPS["mul"]._replace(vjp=("g * b", "-g * a")))
    with pytest.raises(AssertionError, match=r"d\w+: (tape|complex|torch) contradicts, relative "):
        check(200, phases=[Phase.generate])
