"""The manual: it is shown as it is written, and whoever follows its recipes gets what they promise."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mathlab
from mathlab.cli import app
from mathlab.guide import page, topics

PACKAGE = Path(mathlab.__file__).parent
STEP = re.compile(
    r"<!-- (?P<kind>into|file|end): (?P<path>\S+)(?: after: (?P<line>.*?))? -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL
)


@pytest.mark.parametrize("topic", topics())
def test_a_page_is_printed_as_it_is_written(topic: str) -> None:
    result = CliRunner().invoke(app, ["guide", topic])
    assert (result.exit_code, result.stdout) == (0, page(topic))


def test_topics_are_listed_and_a_misspelt_one_is_refused() -> None:
    listed = CliRunner().invoke(app, ["guide"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [*topics()]
    wrong = CliRunner().invoke(app, ["guide", "engin"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr == "mathlab: the guide has no page on 'engin'; did you mean 'engine'?\n"


def test_every_module_that_the_reading_order_names_is_there() -> None:
    order = page("engine").partition("## The order")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", order)
    assert len(named) > 15
    assert not [name for name in named if not [*PACKAGE.rglob(name)]]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package in which every recipe was followed, and with the recipes' configs."""
    root = tmp_path_factory.mktemp("recipes")
    shutil.copytree(PACKAGE, root / "mathlab", ignore=shutil.ignore_patterns("__pycache__"))
    for step in STEP.finditer(page("engine")):
        file, text = root / step["path"], step["text"]
        if step["kind"] == "file":
            file.write_text(text, encoding="utf-8")
            continue
        before = file.read_text(encoding="utf-8")
        if step["kind"] == "end":
            file.write_text(f"{before}\n\n{text}", encoding="utf-8")
            continue
        line = f"{step['line']}\n"
        assert before.count(line) == 1, step["path"]
        after = before[before.index(line) + len(line) :]
        record = (
            textwrap.indent(textwrap.dedent(text).rstrip().rstrip(","), " " * (len(after) - len(after.lstrip(" "))))
            + ",\n"
        )
        file.write_text(before.replace(line, line + record), encoding="utf-8")
    return root


def told(root: Path, *args: str) -> str:
    """What the copy prints. It ends with 0."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mathlab", *args], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_the_recipe_for_an_op(followed: Path) -> None:
    shown = told(followed, "run", "hardswish.yaml")
    assert "8 figures, 8 match, 0 errata confirmed; 4 gradient entries checked, 0 refuted, 0 inconclusive" in shown
    assert "contradicts" not in shown


def test_the_recipe_for_a_stage(followed: Path) -> None:
    report = json.loads(told(followed, "run", "hessian.yaml", "--format", "json"))
    (case,) = report["experiments"][0]["cases"]
    assert case["hessian"]["diagonals"]["w"] == pytest.approx([6, 12], rel=1e-9)
    with (followed / "outputs" / "hessian" / "hessian.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["index"]) for row in rows] == [("w", "0"), ("w", "1")]
    assert [float(row["value"]) for row in rows] == pytest.approx([6, 12], rel=1e-9)
    assert json.loads((followed / "outputs" / "hessian" / "run.json").read_text())["cases"]["base"] == [
        "hessian",
        "backprop",
    ]
    assert "diagonal of the Hessian" in told(followed, "run", "-v", "hessian.yaml")
    schema = json.loads(told(followed, "schema"))
    assert "hessian" in schema["properties"]
    assert "0 differ" in told(followed, "diff", "outputs", "outputs")
