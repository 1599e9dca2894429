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

import numpy as np
import pytest
from typer.testing import CliRunner

import mathlab
from mathlab import cli
from mathlab.cli import app
from mathlab.config import arrays, change, schema
from mathlab.config.keys import Keys
from mathlab.experiment import DRAWN, PLOTTED
from mathlab.guide import page, topics
from mathlab.language import OPS
from mathlab.language.equation import Equation
from mathlab.language.layers import LAYERS, LOSSES
from mathlab.language.optimizers import SETTINGS
from mathlab.language.syntax import Call, Name
from mathlab.stages.table import STAGES, every_file
from mathlab.witnesses.table import WITNESSES
from tests import test_house
from tests.pictures.script import Script

PACKAGE = Path(mathlab.__file__).parent
STEP = re.compile(
    r"<!-- (?P<kind>into|file|end): (?P<path>\S+)(?: after: (?P<line>.*?))? -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL
)


CODE = re.compile(r"^```\w+\n(.*?)^```$|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
COMMANDS = {name: cli.command_of(name) for name in cli.COMMANDS}


def keys_of(record: Keys[object]) -> set[str]:
    """What a mapping in a config may say, by its reader."""
    return {*record.readers}


# what there is of each kind, and the page on which all of it stands
WHOLE = {
    "ops": ("language", {name for name, op in OPS.items() if not op.internal}),
    "keys": ("experiments", keys_of(schema.top_keys())),
    "keys of a source": ("experiments", keys_of(schema.SOURCE)),
    "keys of a figure": ("experiments", keys_of(schema.PRINTING)),
    "keys of a formula": ("experiments", keys_of(schema.HAND_FORMULA)),
    "keys of a gradient check": ("experiments", keys_of(schema.GRADCHECK)),
    "keys of initial values": ("experiments", keys_of(arrays.INITIAL)),
    "keys of a data file": ("experiments", keys_of(arrays.DATA)),
    "initial values": ("experiments", {*arrays.INITS}),
    "layers": ("experiments", {*LAYERS, *(key for layer in LAYERS.values() for key in layer.keys)}),
    "losses": ("experiments", {*LOSSES, *(key for loss in LOSSES.values() for key in loss.keys)}),
    "keys of a training": ("training", keys_of(schema.TRAIN)),
    "optimizers": ("training", {*SETTINGS, *(setting for settings in SETTINGS.values() for setting in settings)}),
    "keys of a sweep": ("training", keys_of(change.SWEEP) | keys_of(change.RANGE)),
    "pictures": ("pictures", {*DRAWN, *PLOTTED}),
    "keys of a picture": ("pictures", keys_of(schema.PICTURE)),
    "witnesses": ("reliability", {*WITNESSES}),
    "commands": ("commands", {*COMMANDS}),
    "options": (
        "commands",
        {name for command in COMMANDS.values() for option in command.params for name in option.opts if name[0] == "-"},
    ),
    "files": ("files", {*every_file()}),
    "columns": ("files", {column for layout in every_file().values() for column in layout.columns}),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_all_that_there_is_stands_in_it(kind: str) -> None:
    topic, known = WHOLE[kind]
    code = " ".join(fenced or inline for fenced, inline in CODE.findall(page(topic)))
    assert known
    assert not known - {*re.findall(r"-{0,2}[^\W\d][\w-]*(?:\.csv)?", code), *re.findall(r"\w+", code)}


def test_every_stage_and_every_record_of_keys_is_walked() -> None:
    every = {one for room in (arrays, schema, change) for one in vars(room).values() if isinstance(one, Keys)}
    assert every == {one for one in every for _, known in WHOLE.values() if keys_of(one) <= known}
    assert {*STAGES} - {"backprop"} <= keys_of(schema.top_keys())


@pytest.mark.parametrize("topic", topics())
def test_a_page_is_printed_as_it_is_written(topic: str) -> None:
    result = CliRunner().invoke(app, ["guide", topic])
    assert result.exit_code == 0
    assert [line for line in page(topic).splitlines() if not line.startswith("<!--")] == result.stdout.splitlines()


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


def test_the_recipes_keep_the_rules_of_the_house(followed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {step["path"]: followed / step["path"] for step in STEP.finditer(page("engine"))}
    files = {name: path for name, path in files.items() if path.suffix == ".py"}
    assert len(files) >= 3
    modules = {test_house.dotted(name): name for name in files}
    monkeypatch.setattr(test_house, "FILES", files)
    monkeypatch.setattr(test_house, "MODULES", {**test_house.MODULES, **modules})
    monkeypatch.setattr(test_house, "tree", test_house.tree.__wrapped__)
    test_house.test_imports_run_one_way()
    test_house.test_the_first_line_says_what_a_file_is()
    test_house.test_no_file_is_too_long()


def told(root: Path, *args: str) -> str:
    """What the copy prints. It ends with 0."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "mathlab", *args], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_the_recipe_for_an_op(followed: Path) -> None:
    shown = told(followed, "run", "hardswish.yaml")
    assert "8 figures, 8 match, 0 errata confirmed; 4 gradient entries checked, 0 refuted, 0 inconclusive" in shown
    assert "contradicts" not in shown
    on_a_page = Script((followed / "mathlab" / "pictures" / "ops.js").read_text(encoding="utf-8"))
    equation = Equation("y", Call("hardswish", (Name("x"),)))
    values = on_a_page.run([equation], {"x": np.array([-4, -1, 0.5, 4])}, "float64")["y"]
    np.testing.assert_allclose(values, [0, -1 / 3, 3.5 / 12, 4], rtol=1e-15)


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
