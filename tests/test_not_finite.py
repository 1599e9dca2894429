"""Not finite is never a pass: the exit code of every command, and what each format says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.reports.formats import FORMATS

DIVERGES = """\
inputs: {x: [1, 2, 3], y: [2, 4, 6]}
parameters: {w: 0}
equations: {L: "sum((w * x - y)**2)"}
train: {optimizer: {name: sgd, lr: 1}, epochs: 400}
"""
MATCHES = f"{DIVERGES}expected: {{L: 56}}\n"
SATURATED = """\
inputs: {z: 40, y: 1}
parameters: {b: 0}
equations:
  a: sigmoid(z + b)
  cost: -(y * log(a) + (1 - y) * log(1 - a))
expected: {a: 1.0}
"""
SWEPT = f"{DIVERGES}sweep: {{grid: {{lr: [LIST]}}}}\n"
SOME, ALL = SWEPT.replace("LIST", "0.01, 1"), SWEPT.replace("LIST", "1, 2")
QUIET = "parameters: {w: 2}\nequations: {L: w * w}\n"
WATCHED = "parameters: {w: 2}\nequations: {L: w * w}\ntrain: {optimizer: {name: sgd, lr: 0.1}, epochs: 2}\n"
BROKEN = "parameters: {w: 2}\nequations: {L: w * v}\n"

# what is given, by command, and how that ends: bad input before what fails, and that before nothing to compare
CODES: list[tuple[str, tuple[str, ...], int]] = [
    ("run", (MATCHES,), 1),
    ("run", (DIVERGES,), 1),
    ("run", (MATCHES, BROKEN), 2),
    ("run", (WATCHED,), 2),
    ("run", (WATCHED, SATURATED), 1),
    ("run", (QUIET,), 2),
    ("backprop", (MATCHES,), 0),
    ("backprop", (SATURATED,), 1),
    ("backprop", (QUIET,), 0),
    ("backprop", (QUIET, BROKEN), 2),
    ("train", (MATCHES,), 1),
    ("train", (WATCHED,), 0),
    ("gradcheck", (SATURATED,), 1),
    ("gradcheck", (QUIET,), 0),
    ("sweep", (SOME,), 0),
    ("sweep", (ALL,), 1),
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*texts: str) -> list[str]:
    names = [f"c{number}.yaml" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        Path(name).write_text(text, encoding="utf-8")
    return names


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("command", "texts", "code"), CODES)
@pytest.mark.one_in(5)
def test_the_exit_code_is_the_same_in_every_format(
    command: str, texts: tuple[str, ...], code: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    result = CliRunner().invoke(app, [command, *written(*texts), "--format", form])
    assert result.exit_code == code, result.output
    if form == "json":
        assert json.loads(result.stdout)["passed"] is (code == 0)
    if form == "junit":
        (suites,) = ElementTree.fromstring(result.stdout).iter("testsuites")
        assert (suites.get("failures") == "0" and suites.get("errors") == "0") is (code == 0)


WHY = "epoch 108: L is inf: (w * x - y)**2 is inf at [0], where w * x - y is -7.73244e+154 at [0]"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_what_and_why(form: str) -> None:
    (name,) = written(MATCHES)
    result = CliRunner().invoke(app, ["run", name, "--format", form])
    assert "epoch 108: L is inf" in result.stdout.replace("%25", "%")
    if form == "json":
        (case,) = json.loads(result.stdout)["experiments"][0]["cases"]
        assert case["train"]["first_nonfinite"] == WHY
        assert (case["summary"]["nonfinite"], case["passed"]) == (1, False)
    assert json.loads(Path("outputs/c0/run.json").read_text())["not_finite"] == {"base": {"train": WHY}}


def test_a_sweep_counts_what_it_loses() -> None:
    (name,) = written(SOME)
    result = CliRunner().invoke(app, ["sweep", name])
    assert result.stdout.splitlines()[-1] == "1 of 2 runs not finite"
    result = CliRunner().invoke(app, ["sweep", *written(ALL)])
    assert result.stdout.splitlines()[-1] == "2 of 2 runs not finite; 1 case not finite"


MASKED = """\
source: {article: a.md}
inputs: {s: [[1.5, 2.5], [3.5, 4.5]], m: [[1, 0], [1, 1]]}
equations: {a: "where(m > 0, s, -inf)", p: "softmax(a, axis=-1)", L: sum(p * s)}
expected: {a: [[1.5, LAST], [3.5, 4.5]], p: [[1.0, 0.0], [0.2689, 0.7311]]}
"""


def test_an_infinity_can_be_printed_as_masked_scores_are() -> None:
    Path("a.md").write_text("Masked: [[1.5, -inf], [3.5, 4.5]], so [[1.0, 0.0], [0.2689, 0.7311]].\n", encoding="utf-8")
    name, *wrong = written(*(MASKED.replace("LAST", last) for last in ("-inf", "inf", "2.5")))
    every = {command: CliRunner().invoke(app, [command, name]) for command in ("run", "selftest", "update")}
    assert {command: (done.exit_code, done.stderr) for command, done in every.items()} == dict.fromkeys(every, (0, ""))
    for config, printed in zip(wrong, ("inf", "2.5"), strict=True):
        done = CliRunner().invoke(app, ["backprop", config])
        assert done.exit_code == 1
        assert re.search(rf"a\[0,1\] +{printed} +-inf +not finite .* differs", done.stdout)
        told = CliRunner().invoke(app, ["update", config]).stderr
        assert f"a is computed as -inf, which is not written as {printed} is" in told


COMMANDS = ("run", "backprop", "gradcheck", "train", "sweep", "derive", "selftest", "update")
BOTH = (
    SOME.replace("[1, 2, 3]", "[0.1, 0.2, 0.3]").replace("0.01, 1]", "0.01, 0.02]").replace("epochs: 400", "epochs: 2")
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_is_named_in_either_way(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    Path("folder").mkdir()
    (name,) = written(f"{BOTH}expected: {{L: 56}}\n")
    Path(name).rename(f"folder/{name}")
    told = [
        CliRunner().invoke(app, [command, *args])
        for args in ((f"folder/{name}",), ("--config", f"folder/{name}"), ("folder",), ("-c", "folder"))
    ]
    assert {(result.exit_code, result.stdout, result.stderr) for result in told} == {(0, told[0].stdout, "")}
    nothing = CliRunner().invoke(app, [command])
    assert nothing.exit_code == 2
    assert "no config is named" in nothing.stderr
