"""The shipped configs: each runs green, each figure is really looked at, and outputs/ is what they give today."""

from __future__ import annotations

import json
import math
import re
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from mathlab import config, plan
from mathlab.diagnosis import explained
from mathlab.experiment import Experiment, Figure
from mathlab.outputs.difference import compare
from mathlab.outputs.write import write
from mathlab.printed import REPR_DIGITS, REPR_ULPS
from mathlab.results import ExperimentResult, tally

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
LARGE = ("convolution", "sigmoid-2-2-2", "cs231n-two-layer-mlp", "cs231n-three-layer-mlp")
SHIPPED = [  # for what runs a config again and again
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else []) for path in CONFIGS
]


@cache
def ran(path: Path) -> ExperimentResult:
    """What a run of the config gives, without its diagnoses; the tests that look at the shipped ones share it."""
    (planned,) = plan.plans("run", [config.load(path)], ())
    return plan.judged(planned, lambda _: nullcontext())


def figures(experiment: Experiment) -> list[Figure]:
    """Every figure of every stage of every case."""
    found: list[Figure] = []
    for case in experiment.cases:
        found += case.expected
        found += case.gradcheck.expected if case.gradcheck else ()
        found += [figure for _, after in case.train.after for figure in after] if case.train else []
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_runs_green(path: Path) -> None:
    counts = tally(ran(path))
    assert counts.passed
    assert counts.figures + counts.worked_out > 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_outputs_are_what_the_config_gives(path: Path, tmp_path: Path) -> None:
    result, cases = ran(path), config.load(path).cases
    told = tuple(explained(case, found) for case, found in zip(cases, result.cases, strict=True))
    write(replace(result, cases=told), tmp_path, {})
    assert compare(ROOT / "outputs" / path.stem, tmp_path / path.stem).same


def test_outputs_are_those_of_a_whole_run() -> None:
    """A command that runs one stage alone writes over what the others have said of themselves."""
    told = [json.loads(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "outputs").glob("*/run.json"))]
    assert len(told) == len(CONFIGS)
    assert [one["config"] for one in told if one["command"] != "run"] == []


def test_outputs_hold_nothing_else() -> None:
    assert sorted(folder.name for folder in (ROOT / "outputs").iterdir()) == [path.stem for path in CONFIGS]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_figure_says_where_it_is_printed_or_that_it_is_worked_out(path: Path) -> None:
    for figure in figures(config.load(path)):
        assert figure.at or figure.worked_out, figure.place
        assert len(figure.at.split()) <= 8, figure.place


NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(4)
def test_each_figure_changed_in_its_last_digit_turns_the_run_red(path: Path, tmp_path: Path) -> None:
    """Figures with 15 digits or more are moved by 9 units of the 15th, which is what float64 itself can tell apart."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    experiment = config.load(path)
    changed = list(lines)
    expected = 0
    for figure in figures(experiment):
        if figure.erratum or figure.digits:
            continue
        for number in figure.printed:
            assert number.place
            row, column = number.place.line - 1, number.place.column - 1
            assert lines[row][column:].startswith(number.text)
            expected += 1
            moved = _moved(number.text)
            # one line may hold several numbers: they keep their width, so that the places stay right
            changed[row] = changed[row][:column] + moved + changed[row][column + len(number.text) :]
    copy = tmp_path / path.name
    copy.write_text("".join(changed), encoding="utf-8")
    (planned,) = plan.plans("run", [config.load(copy)], ())
    result = plan.judged(planned, lambda _: nullcontext())
    counts = tally(result)
    # of a gradient that cancels (article E's dW), digits from the tenth on are rounding: the 15th says nothing
    noisy = [
        entry
        for case in result.cases
        for figure in case.figures
        for entry in figure.entries
        if not figure.erratum and entry.verdict.passed and len(Decimal(entry.printed).as_tuple().digits) >= REPR_DIGITS
    ]
    assert counts.failed + counts.worked_out_failed + len(noisy) == expected
    assert len(noisy) < 3
    for entry in noisy:
        assert REPR_ULPS * math.ulp(entry.computed) < entry.tolerance < 1e-6 * abs(entry.computed)


def _moved(text: str) -> str:
    """The text with its last digit changed by one, in the same width."""
    digits = Decimal(text).as_tuple().digits
    mantissa, e, exponent = text.partition("e")
    position = len(mantissa) - 1
    excess = len(digits) - REPR_DIGITS
    position -= max(excess, 0)
    digit = int(mantissa[position])
    step = 1 if excess < 0 else 9
    new = (digit + step) % 10 if digit + step < 10 else digit - step if digit >= step else (digit + 5) % 10
    return mantissa[:position] + str(new) + mantissa[position + 1 :] + e + exponent
