"""`pi`, `e` and `inf` in equations and figures, and the names that hide them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.language.syntax import unparse
from mathlab.stages import backprop, gradcheck
from mathlab.stages.prepare import Prepared, prepare

MASK = """\
parameters: {s: [[0.5, 1.0, -2.0], [0.25, 0.0, 1.5]]}
equations:
  seen: where(tril(ones(2, 3)) > 0, s, -inf)
  w: softmax(seen)
  L: sum(w**2)
expected: {"w[0]": [1, 0, 0]}
gradcheck: {}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def made(tmp_path: Path, text: str) -> Prepared:
    return prepare(load(written(tmp_path, text)).cases[0])


def test_they_have_their_values_and_are_no_inputs(tmp_path: Path) -> None:
    text = "parameters: {r: 3}\nequations: {L: pi * r**2 + e**r}\nexpected: {pi: 3.14159, dr: 38.9}\n"
    prepared = made(tmp_path, text)
    values = prepared.run()
    assert values["L"] == math.pi * 9 + math.e**3
    np.testing.assert_allclose(values["dr"], 6 * math.pi + math.e**3, rtol=1e-14)
    assert "dpi" not in prepared.gradients
    assert all("pi" not in kept and "e" not in kept for kept in prepared.backward.stores.values())
    result = backprop.run(prepared.case)
    assert all(figure.passed for figure in result.figures)


@pytest.mark.parametrize("name", ["pi", "e", "inf"])
def test_a_name_of_the_config_hides_one(tmp_path: Path, name: str) -> None:
    """As an input, and as a node; a node that is defined later is not read as the constant before."""
    assert (
        made(tmp_path, f"inputs: {{{name}: 2}}\nparameters: {{w: 3}}\nequations: {{L: w * {name}}}\n").run()["L"] == 6
    )
    node = f"parameters: {{w: 3}}\nequations: {{{name}: 2 * w, L: w * {name}}}\n"
    assert made(tmp_path, node).run()["L"] == 18
    with pytest.raises(MathlabError, match=f"'L' reads '{name}', which is defined later"):
        load(written(tmp_path, f"parameters: {{w: 3}}\nequations: {{L: w * {name}, {name}: 2 * w}}\n"))


def test_a_mask_of_infinity_is_no_number_that_is_lost(tmp_path: Path) -> None:
    path = written(tmp_path, MASK)
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, done.output
    case = load(path).cases[0]
    assert backprop.run(case).first_nonfinite == ""
    assert {entry.verdict for entry in gradcheck.run(case).entries} == {"confirmed"}


def test_what_becomes_of_infinity_is_told(tmp_path: Path) -> None:
    text = MASK.replace("w: softmax(seen)", "w: seen * 0")
    assert backprop.run(load(written(tmp_path, text)).cases[0]).first_nonfinite.startswith("w[0,1] is nan")


@pytest.mark.parametrize(
    ("written_so", "alike"),
    [
        ("W[2 - 1, 2*1]", "W[1, 2]"),
        ("W[:, 3 - 2:7 // 2]", "W[:, 1:3]"),
        ("reshape(W, 1*2, -1, 9 % 8)", "reshape(W, 2, -1, 1)"),
        ("swapaxes(W, 1 - 1, 2 - 1)", "swapaxes(W, 0, 1)"),
        ("triu(W, 1 - 2)", "triu(W, -1)"),
        ("tril(W, k=1 - n)", "tril(W, -1)"),
    ],
)
def test_a_size_or_an_index_is_arithmetic_on_whole_numbers(tmp_path: Path, written_so: str, alike: str) -> None:
    given = "inputs: {s: [1, 1], n: 2}\nparameters: {W: [[1, 2, 3], [4, 5, 7]]}\nequations: {L: 'sum(%s)'}\n"

    def shown(text: str) -> list[str]:
        prepared = prepare(load(written(tmp_path, given.replace("%s", text))).cases[0])
        return [unparse(one.expr) for one in (*prepared.equations, *prepared.backward.equations)]

    assert shown(written_so) == shown(alike)


def test_an_entry_of_whole_numbers_is_an_index(tmp_path: Path) -> None:
    """Of an input that holds them: in an equation, in a formula and in a figure alone."""
    given = "inputs: {t: [2, 0], s: [1, 1]}\nparameters: {W: [[1, 2, 3], [4, 5, 7]]}\n"
    text = given + "equations: {L: 'sum(W[:, t[0]]**2) * W[0, t[1]]'}\nexpected: {'W[s[0], t[0]]': 7, L: 58}\n"
    case = load(written(tmp_path, text)).cases[0]
    assert all(figure.passed for figure in backprop.run(case).figures)
    np.testing.assert_array_equal(prepare(case).run()["dW"], [[58, 0, 6], [0, 0, 14]])
    with pytest.raises(MathlabError, match=r"an index must be a whole number, and 't\[0\] \+ 1' is computed"):
        prepare(load(written(tmp_path, given + "equations: {L: 'sum(W[:, t[0] + 1])'}\n")).cases[0])


ARITHMETIC = """\
parameters: {w: 2}
equations: {L: w**2}
expected:
  0.15*0.05 + 0.2*0.1 + 0.35: 0.3775
  "log([1, 2])": [0, 0.69]
  exp(-0.57): 0.556
  L: 5
"""


def test_the_arithmetic_of_a_text_is_a_figure_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", str(written(tmp_path, ARITHMETIC))])
    assert "5 figures, 3 match" in result.output
    (row,) = (line.split() for line in result.output.splitlines() if "exp(" in line)
    assert row == ["exp(-0.57)", "0.556", "0.566", "0.00953", "0.0005", "differs"]
    assert "differs first" not in result.output  # L is not computed from it
