"""`mathlab schema` and `mathlab init`: the schema takes what the config reader takes, and the starter passes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from mathlab import config
from mathlab.cli import app
from mathlab.config import arrays, change, schema
from mathlab.config.keys import Keys
from mathlab.errors import MathlabError
from tests.fuzz import SEEDS
from tests.sandbox import ROOT, Job, finish, start
from tests.test_configs import CONFIGS

COPY = ROOT / "mathlab" / "config" / "schema.json"
VALIDATOR = Draft202012Validator(json.loads(COPY.read_text(encoding="utf-8")))


def problems(text: str) -> list[str]:
    """What the schema has against a config, as an editor reads it: 1e-3 is a text for PyYAML."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_copy_is_current() -> None:
    printed = CliRunner().invoke(app, ["schema"]).stdout
    assert COPY.read_text(encoding="utf-8") == printed, "run `mathlab schema > mathlab/config/schema.json`"
    Draft202012Validator.check_schema(json.loads(printed))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_point_at_it_and_fit(path: Path) -> None:
    first, _, _ = path.read_text(encoding="utf-8").partition("\n")
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named
    assert (path.parent / named[1]).resolve() == COPY
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", SEEDS, ids=lambda text: text[:30])
def test_what_can_be_run_fits(text: str) -> None:
    assert problems(text) == []


BASE = "inputs: {x: 1}\nparameters: {w: 1}\nequations: {loss: w * x}\n"

FITS = (
    "",
    "title: 1984",
    "title: a",
    "title: 'null'",
    "source: {title: a, url: b, note: c}",
    "upstream: [1, 2]",
    "gradcheck:",
    "gradcheck: {}",
    "gradcheck: null",
    "cases: {a: ~, b: {dtype: float32}}",
    "expected: {loss: 1e-3}",
    "expected: {loss: 1E3}",
    "expected: {loss: -.5}",
    "expected: {loss: [[1, 2.50]]}",
    "expected: {loss: {printed: 1, digits: 3, because: a, rounding: truncate, at: b, erratum: c}}",
    "expected: {loss: [{printed: 1}, {printed: [1, 2]}]}",
    "dtype: float32",
    "derivation: {dw: x}",
    "derivation: {dw: 1}",
    "derivation: {dw: {formula: x, at: b}}",
    "derivation: {dw: [{formula: x}, {formula: 2 * x, erratum: e}]}",
    "gradcheck: {step: 1e-6, rtol: 1e-5, expected: {central_w: 1}}",
    "cases: {a: {inputs: {x: 2}, expected: {loss: 2}}}",
    "train: {optimizer: {name: sgd, lr: 1e-2}, epochs: 3, freeze: w, after: {0: {w: 1}, 3: {w: 1}}}",
)

# what editors should underline; each is refused by the reader as well
DOES_NOT = (
    "titel: a",
    "title: [a]",
    "title: null",
    "title: ~",
    "source: {tilte: a}",
    "expected: {}",
    "expected: {loss: true}",
    "expected: {loss: one}",
    "expected: {loss: []}",
    "expected: {loss: {printed: 1, rounding: up}}",
    "expected: {loss: {rounding: truncate}}",
    "expected: {loss: {printed: 1, digits: 0, because: a}}",
    "upstream: [one]",
    "upstream: {init: hee, shape: 3}",
    "upstream: {init: he, shape: []}",
    "upstream: {init: he, shape: [0]}",
    "upstream: {init: he, shape: 3, sead: 1}",
    "upstream: {file: a.csv, cols: a}",
    "dtype: float16",
    "derivation: {dw: {at: b}}",
    "derivation: {dw: []}",
    "gradcheck: {steps: 1}",
    "gradcheck: []",
    "cases: {}",
    "cases: {a: 1}",
    "cases: {a: {title: b}}",
    "train: {optimizer: {name: sdg, lr: 1}, epochs: 1}",
    "train: {optimizer: {name: sgd, rate: 1}, epochs: 1}",
    "train: {optimizer: {name: sgd, lr: 1}, epochs: 1.5}",
    "train: {optimizer: {name: sgd, lr: 1}, epochs: -1}",
    "train: {optimizer: {name: sgd, lr: 1}, epochs: 1, after: {a: {w: 1}}}",
    "train: {optimizer: {name: sgd, lr: 1}, epochs: 1, batch_size: 0, over: x}",
    "layers: {affine: {W: w}}",
    "layers: [affin]",
    "layers: [{affine: {V: w}}]",
    "layers: [relu]\nloss: cross_entrpy",
    "layers: [relu]\nbatch: row",
)


@pytest.mark.parametrize("text", FITS)
def test_fits(tmp_path: Path, text: str) -> None:
    assert problems(BASE + text) == []
    (tmp_path / "c.yaml").write_text(BASE + text)
    assert config.load(tmp_path / "c.yaml").cases


@pytest.mark.parametrize("text", DOES_NOT)
def test_does_not_fit(tmp_path: Path, text: str) -> None:
    assert problems(BASE + text)
    (tmp_path / "c.yaml").write_text(BASE + text)
    with pytest.raises(MathlabError):
        config.load(tmp_path / "c.yaml")


def test_every_record_is_described() -> None:
    """It is what an editor shows."""
    every = [one for room in (arrays, schema, change) for one in vars(room).values() if isinstance(one, Keys)]
    assert len(every) > 8
    assert all(one.schema["description"] for one in every)


# The starter


@pytest.mark.parametrize("name", ["first", "first.yaml", "sub/first", "a b", "-x", "é", "it's"])
def test_the_starter_passes(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    path = name if name.endswith(".yaml") else f"{name}.yaml"
    commands = ["init", "--", name], ["init", "--", name], ["run", "--out", "out", "--", path]
    made, again, ran = (finish(start(Job(str(tmp_path), command, watched=False))) for command in commands)
    assert (made.code, made.err) == (0, "")
    told, _, advice = made.out.rstrip("\n").partition(" is written; run it with: ")
    assert told == path
    assert [word for word in shlex.split(advice) if word != "--"] == ["mathlab", "run", path]
    assert ("--" in advice.split()) == path.startswith("-")
    assert (again.code, again.err) == (2, f"mathlab: {path} exists already, and is left as it is\n")
    assert (ran.code, ran.err) == (0, "")
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert "NAME" not in text
    assert problems(text) == []


def test_the_starter_shows_every_section() -> None:
    text = (ROOT / "mathlab" / "starter.yaml").read_text(encoding="utf-8")
    assert {*yaml.safe_load(text)} >= {
        "inputs",
        "parameters",
        "equations",
        "derivation",
        "expected",
        "gradcheck",
        "train",
    }


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "x" * 300, "", " "])
def test_where_no_starter_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", name])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert not [*tmp_path.iterdir()]
