"""Hand-derived formulas: what a config may say about one, and the verdict on it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mathlab import config
from mathlab.diagnosis import explained
from mathlab.errors import MathlabError
from mathlab.experiment import Experiment
from mathlab.outputs.tables import tables_of
from mathlab.reports import page as tables
from mathlab.results import ExperimentResult, tally
from mathlab.results.judged import FormulaResult
from mathlab.stages import backprop
from tests.build import case_result

AFFINE = """\
inputs: {x: [5, 6, 7]}
parameters: {W: [[1, 2, -3], [3, 4, 0.5]], b: [7, 8]}
equations: {z: W @ x + b}
upstream: [10, -1]
derivation:
"""


def loaded(tmp_path: Path, text: str) -> Experiment:
    path = tmp_path / "affine.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def ran(tmp_path: Path, derivation: str, given: str = AFFINE) -> ExperimentResult:
    experiment = loaded(tmp_path, given + derivation)
    return ExperimentResult(
        experiment, tuple(case_result(case.name, case.dtype, backprop.run(case)) for case in experiment.cases)
    )


def formulas(result: ExperimentResult) -> tuple[FormulaResult, ...]:
    (case,) = result.cases
    assert case.backprop
    return case.backprop.formulas


def derivation_rows(result: ExperimentResult) -> list[dict[str, str]]:
    table = tables_of(result)["derivation.csv"]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def shown(result: ExperimentResult) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(tables.report(result))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_formula_is_an_expression_a_mapping_or_a_list_of_mappings(tmp_path: Path) -> None:
    text = """\
  db: dz
  dx: {formula: W.T @ dz, at: section 9.3}
  dW:
    - {formula: "outer(dz, x)"}
    - {formula: "outer(x, dz)", at: section 9.4, erratum: rows and columns are exchanged}
"""
    (case,) = loaded(tmp_path, AFFINE + text).cases
    assert [(formula.name, formula.text, formula.at, formula.erratum) for formula in case.derivation] == [
        ("db", "dz", "", ""),
        ("dx", "W.T @ dz", "section 9.3", ""),
        ("dW", "outer(dz, x)", "", ""),
        ("dW", "outer(x, dz)", "section 9.4", "rows and columns are exchanged"),
    ]
    assert [str(formula.place).rpartition("yaml:")[2] for formula in case.derivation] == [
        "6:7",
        "7:17",
        "9:18",  # inside of its quotes
        "10:18",
    ]


PROBLEMS = [
    ("  dx: {at: section 9.3}\n", "6:7: 'formula' is missing"),
    ("  dx: {formula: W.T @ dz, erata: x}\n", "6:27: unknown key 'erata'; did you mean 'erratum'?"),
    ("  dx: {formula: W.T @ dz, erratum: }\n", "6:36: a text is missing"),
    ("  dx: [{formula: W.T @ q}]\n", "6:24: unknown name 'q' in 'W.T @ q'; there are x, W, b, z, dx, dW, db, dz, ..."),
    ("  dx: [{formula: W.T @ dz}, {formula: 2 * dx}]\n", "6:39: the formula for 'dx' reads 'dx' itself"),
]


@pytest.mark.parametrize(("derivation", "message"), PROBLEMS)
def test_what_cannot_be_read_is_said_with_its_place(derivation: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(MathlabError) as caught:
        loaded(tmp_path, AFFINE + derivation)
    assert [str(problem).rpartition("affine.yaml:")[2] for problem in caught.value.problems] == [message]


VERDICTS = [
    # formula, whether it is an erratum, label, whether it passes, what is said about it
    ("W.T @ dz", False, "agrees", True, ""),
    ("W.T @ dz", True, "erratum refuted", False, ""),
    ("-W.T @ dz", False, "differs", False, ""),
    ("-W.T @ dz", True, "erratum confirmed", True, ""),
    # parts that do not fit together are a wrong derivation, not bad input
    (
        "W @ dz",
        False,
        "differs",
        False,
        "shapes (2, 3) and (2,) do not fit: the inner sizes 3 and 2 differ in 'W @ dz'",
    ),
    ("W @ dz", True, "erratum confirmed", True, "shapes (2, 3) and (2,) do not fit"),
    ("dz", False, "differs", False, "has shape (2,), but the gradient has shape (3,)"),
    ("dz", True, "erratum confirmed", True, "has shape (2,), but the gradient has shape (3,)"),
    # right for these weights only
    ("W.T @ dz + W[0, 0] - 1", False, "differs", False, "agrees at the article's point, but not where"),
    ("W.T @ dz + W[0, 0] - 1", True, "erratum confirmed", True, "agrees at the article's point, but not where"),
    # what is not a number confirms nothing
    ("W.T @ dz * log(-b[0])", False, "not finite", False, ""),
    ("W.T @ dz * log(-b[0])", True, "not finite", False, ""),
]


@pytest.mark.parametrize(("formula", "erratum", "label", "passed", "message"), VERDICTS)
def test_verdicts(formula: str, erratum: bool, label: str, passed: bool, message: str, tmp_path: Path) -> None:
    said = ", erratum: the article errs" if erratum else ""
    result = ran(tmp_path, f'  dx: {{formula: "{formula}"{said}}}\n')
    (found,) = formulas(result)
    assert (found.verdict.label, found.passed, found.erratum) == (label, passed, "the article errs" if erratum else "")
    assert message in found.message
    counts = tally(result)
    assert (counts.formulas, counts.formulas_failed, counts.passed) == (1, int(not passed), passed)
    assert counts.formula_errata == (label == "erratum confirmed")
    (row,) = derivation_rows(result)
    assert row["verdict"] == label
    assert label in shown(result)


def test_a_formula_that_does_not_fit_leaves_the_others_alone(tmp_path: Path) -> None:
    result = ran(tmp_path, "  dx: W @ dz\n  db: dz\n  dW: outer(dz, x)\n")
    assert [formula.verdict.label for formula in formulas(result)] == ["differs", "agrees", "agrees"]


def test_what_is_no_matter_of_shapes_stays_bad_input(tmp_path: Path) -> None:
    with pytest.raises(MathlabError, match="an index must be a whole number"):
        ran(tmp_path, "  dx: W.T @ dz * x[b]\n")


def test_the_report_shows_place_and_erratum_and_counts_them(tmp_path: Path) -> None:
    result = ran(
        tmp_path,
        "  dx:\n    - {formula: W @ dz, at: section 9, erratum: a transpose is missing}\n    - {formula: W.T @ dz}\n",
    )
    lines = [line.strip() for line in shown(result).splitlines()]
    start = next(index for index, line in enumerate(lines) if "erratum confirmed" in line)
    assert lines[start + 2 : start + 4] == ["section 9", "erratum: a transpose is missing"]
    assert tables.summary(tally(result)) == "2 formulas, 1 agree, 1 erratum confirmed"
    row = derivation_rows(result)[0]
    assert (row["at"], row["erratum"]) == ("section 9", "a transpose is missing")


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("maximum(0, x)", 0.0),  # ReLU, either way round: its slope at 0 is 0
        ("maximum(x, 0)", 0.0),
        ("relu(x)", 0.0),
        ("minimum(0, x)", 0.0),
        ("minimum(x, 0)", 0.0),
        ("maximum(x, y)", 0.0),  # between two arrays a tie is the second one's
        ("maximum(y, x)", 1.0),
    ],
)
def test_the_slope_at_a_tie(text: str, slope: float, tmp_path: Path) -> None:
    given = f"parameters: {{x: 0}}\ninputs: {{y: 0}}\nequations: {{z: '{text}'}}\nderivation:\n  dx: {slope} * dz\n"
    (case,) = ran(tmp_path, "", given).cases
    assert case.backprop
    gradients = {node.name: node.gradient for node in case.backprop.nodes}
    np.testing.assert_array_equal(gradients["x"], np.float64(slope), strict=True)  # a float, though it is a mask alone


@pytest.mark.parametrize(("written", "agrees"), [("2 * v", True), ("(2 * v)[None, None]", True), ("2 * w.T", False)])
def test_leading_axes_of_length_1_are_no_difference(tmp_path: Path, written: str, agrees: bool) -> None:
    given = 'parameters: {w: [[1, 2, 3]]}\nequations: {v: "w[0]", L: sum(v**2)}\nderivation: '
    (result,) = formulas(ran(tmp_path, f'{{dw: "{written}"}}\n', given))
    assert result.passed is agrees


SCALES = """\
inputs: {c: [1, 1.0e-12, 3]}
parameters: {w: [0.5, 2, -1], v: [1, 2, 3]}
equations: {a: c * w, s: "a - mean(a)", loss: sum(s * v)}
derivation:
"""


@pytest.mark.parametrize(
    ("formula", "agrees"),
    [
        ("dw: (v - mean(v)) * c", True),
        ("dw: (v - sum(v) / 3) * c", True),  # of v[1] nothing is left but rounding
        ("dw: (v - mean(v)) * c + [0, 1.0e-20, 0]", False),
        ("dv: s", True),
        ("dv: c * w - sum(c * w) / 3", True),
        ("dv: s + 1.0e-6 * [0, 1, 0]", False),
        ("ds: v * [1, 1, 1 + 1.0e-8]", False),
        ("dv: s + exp(-1.0e+9 * (w - 0.5)**2) / (w - 0.5)**2", False),  # inf at the article's point alone
    ],
)
def test_each_entry_is_judged_by_its_own_size(tmp_path: Path, formula: str, agrees: bool) -> None:
    (one,) = formulas(ran(tmp_path, f"  {formula}\n", SCALES))
    assert (one.agrees, one.passed) == (agrees, agrees), one


def test_no_rounding_is_the_cause_of_a_formula(tmp_path: Path) -> None:
    given = "inputs: {x: [1, 2]}\nparameters: {w: [0.5, 0.5]}\nequations: {y: w * x, loss: sum(y)**2}\nderivation:\n"
    case = loaded(tmp_path, given + '  dw: "[1.5, 1.5] * 2 * x"\n').cases[0]
    found = explained(case, case_result("base", "float64", backprop.run(case)))
    assert found.backprop
    assert [(one.passed, one.diagnosis) for one in found.backprop.formulas] == [(False, "")]
