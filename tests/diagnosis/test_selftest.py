"""What a run notices: everything in the shipped configs, and nothing where nobody looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mathlab import config
from mathlab.cli import app
from mathlab.diagnosis import selftest
from mathlab.printed import neighbours
from tests.test_configs import SHIPPED

CONFIGS = Path(__file__).parents[2] / "configs"

NEIGHBOURS = [
    ("0.638760", ("0.638761", "0.638759")),
    ("-2.500000", ("-2.499999", "-2.500001")),
    ("0.000000", ("0.000001", "-0.000001")),
    ("29", ("30", "28")),
    ("0.99", ("1.00", "0.98")),
    ("1.42014367e-03", ("1.42014368e-03", "1.42014366e-03")),
    ("-5.34381483665323e-08", ("-5.34381483665322e-08", "-5.34381483665324e-08")),
    ("0.0004733812240027136", ("0.0004733812240027146", "0.0004733812240027126")),
]


@pytest.mark.parametrize(("text", "expected"), NEIGHBOURS)
def test_the_last_digit_that_counts_is_changed(text: str, expected: tuple[str, str]) -> None:
    assert neighbours(text) == expected


@pytest.mark.parametrize("path", SHIPPED)
@pytest.mark.one_in(5)
def test_the_shipped_configs_notice(path: Path) -> None:
    result = selftest.run(config.load(path))
    assert result.figures_caught == result.figures > 0
    assert result.faults_caught >= 0.97 * result.faults
    assert selftest.passed([result])
    for aside in result.set_aside:
        assert "erratum" in aside.what or "digits" in aside.what


def test_every_figure_and_most_faults_of_all_configs_together_must_be_caught() -> None:
    def result(figures_caught: int, faults_caught: int) -> selftest.SelftestResult:
        return selftest.SelftestResult("net", 4, figures_caught, 100, faults_caught, 0)

    assert selftest.passed([result(4, 100), result(4, 98)])
    assert not selftest.passed([result(4, 100), result(3, 100)])
    assert not selftest.passed([result(4, 98), result(4, 98)])


BLIND = """
inputs: {x: [1, 2]}
parameters: {w: 0.5}
equations: {loss: mean((w * x)**2)}
expected:
  loss: %s
"""


def test_a_figure_that_says_little_is_still_noticed(tmp_path: Path) -> None:
    path = tmp_path / "blind.yaml"
    path.write_text(BLIND % "0.6")
    assert selftest.run(config.load(path)).figures_caught == 2


ROWS = """
inputs: {center: 1, noise: [0, 2]}
parameters: {E: [[0.2, -0.4], [0.5, 0.1], [0.3, 0.7]]}
equations:
  v: E[center]
  p: sigmoid(E[noise] @ v)
  loss: -sum(log(p))
gradcheck: {}
"""


def test_faults_planted_where_rows_are_picked(tmp_path: Path) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(ROWS)
    result = selftest.run(config.load(path))
    assert result.faults == result.faults_caught > 10


def test_what_nothing_notices_is_lost(tmp_path: Path) -> None:
    """The 1e-12 moves the gradient by more than rounding, and by less than anything here is held to."""
    path = tmp_path / "small.yaml"
    path.write_text("inputs: {x: 2}\nparameters: {p: 0.5}\nequations: {loss: -x * log(p + 1e-12)}\n")
    result = selftest.run(config.load(path))
    assert result.faults - result.faults_caught == len(result.survivors) == 1
    assert "1e-12 is subtracted instead of added" in result.survivors[0].what


def test_a_config_that_fails_is_bad_input_and_the_others_are_tried(tmp_path: Path) -> None:
    path = tmp_path / "blind.yaml"
    path.write_text(BLIND % "0.9")
    done = CliRunner().invoke(app, ["selftest", str(path), str(CONFIGS / "softmax-mlp.yaml")])
    assert done.exit_code == 2
    assert "does not pass as it is" in done.stderr
    assert "14 of 14 changed figures" in done.stdout


def test_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["selftest", str(CONFIGS / "softmax-mlp.yaml")])
    assert done.exit_code == 0
    assert "14 of 14 changed figures and 52 of 52 planted faults caught" in done.stdout
