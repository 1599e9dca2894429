"""What was worked out is judged as a printed figure is, and counted apart: in every format, and in the CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mathlab.cli import app

NET = """\
inputs: {x: [2, -1], t: 1}
parameters: {w: [0.3, -0.7]}
equations:
  p: sigmoid(w @ x)
  L: (p - t)**2
expected:
  p: 0.7858
  L: {printed: 0.0459, worked_out: true}
  dw: {printed: [-0.1442, 0.0721], worked_out: true}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(text: str, *args: str) -> tuple[int, str]:
    Path("net.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["run", "net.yaml", *args])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("form", ["table", "plain", "github", "markdown"])
def test_a_summary_counts_it_apart(form: str) -> None:
    code, shown = told(NET, "--format", form)
    assert code == 0
    assert "1 printed figure, 1 match, 0 errata confirmed; 3 worked out, 3 match" in shown


def test_it_is_never_called_printed() -> None:
    _, page = told(NET, "-v")
    heads = [line.split() for line in page.splitlines() if line.split()[:1] == ["quantity"]]
    assert heads == [
        ["quantity", "printed", "computed", "error", "tolerance", "verdict"],
        ["quantity", "worked", "out", "computed", "error", "tolerance", "verdict"],
    ]
    code, wrong = told(NET.replace("0.0459", "0.0559"), "--format", "github")
    assert code == 1
    assert "worked out 0.0559, computed 0.0459" in wrong
    assert "printed 0" not in wrong


def test_the_records_say_it() -> None:
    _, text = told(NET, "--format", "json")
    (case,) = json.loads(text)["experiments"][0]["cases"]
    assert [figure["worked_out"] for figure in case["backprop"]["figures"]] == [False, True, True]
    counts = ("figures", "matched", "failed", "worked_out", "worked_out_matched", "worked_out_failed")
    assert [case["summary"][name] for name in counts] == [1, 1, 0, 3, 3, 0]
    with Path("outputs/net/figures.csv").open(encoding="utf-8", newline="") as file:
        assert [row["worked_out"] for row in csv.DictReader(file)] == ["false", "true", "true", "true"]


def test_one_that_differs_is_explained_and_fails() -> None:
    code, shown = told(NET.replace("[-0.1442, 0.0721]", "[0.1442, -0.0721]"), "--quiet")
    assert code == 1
    assert "diagnosis: the sign is the other way round" in shown
    assert shown.splitlines()[-1].endswith("3 worked out, 1 match, 2 fail")


def test_it_is_no_erratum() -> None:
    Path("net.yaml").write_text(NET.replace("worked_out: true}\n  dw", "worked_out: true, erratum: a slip}\n  dw"))
    result = CliRunner().invoke(app, ["run", "net.yaml"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "net.yaml:8:51: an erratum is of what was printed; these numbers are worked out\n"
