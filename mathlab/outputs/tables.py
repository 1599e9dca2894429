"""Results -> tables of text -> CSV: which columns they have, how every cell is written, and how a file is read."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array, Choice
from mathlab.results import BackpropResult, ExperimentResult, GradcheckResult, StageResult, SweepResult, TrainResult
from mathlab.results.judged import FigureResult, FormulaResult, NodeResult
from mathlab.stages.table import STAGES, Layout, Row, Rows, every_file

FIGURES = "figures.csv"
LARGEST_LISTED = 10_000  # entries; nodes.csv lists no array with more of them, gradient_norms.csv still measures it


class Table(NamedTuple):
    """A CSV file's content: every row has one text per column."""

    columns: Row
    rows: tuple[Row, ...]


def tables_of(result: ExperimentResult) -> dict[str, Table]:
    """The tables of the stages that ran: file name -> table, in the order of the table of stages.

    Rows are in the order of the config's cases, then of that table, whatever the order in which they ran. A table may
    have no rows (no figure was printed).

    Numbers are written in the shortest form that reads back to the same number (in float32 for float32), -0.0 as 0.0;
    an index as `0,1`, empty for a single number; what there is not (the gradient of an input) as an empty text.
    """
    known, made = every_file(), parts_of(result)
    return {file: join(known[file], made[file], result) for file in known if file in made}


def parts_of(result: ExperimentResult) -> Mapping[str, list[Table]]:
    """File name -> a table for each case and stage that ran and writes that file."""
    parts, known = defaultdict[str, list[Table]](list), every_file()
    for case in result.cases:
        for stage, found in case.stages.items():
            for file, more, rows in (*STAGES[stage].rows(found, case.dtype), *_figures(found, stage, case.dtype)):
                own = known[file].columns
                columns = (*own, *(f"{name} (value)" if name in own else name for name in more))
                parts[file].append(Table(columns, tuple((case.case, *row) for row in rows)))
    return parts


def owner(layout: Layout, row: Row) -> tuple[str, str]:
    """The case and the stage that a row comes from."""
    return row[0], row[1] if "stage" in layout.columns else layout.stages[0]


def join(layout: Layout, parts: Sequence[Table], result: ExperimentResult) -> Table:
    """One table of all parts, by case and stage; its further columns in the order of first appearance.

    A column in which none of the rows has anything is left out: it was that of another case, whose rows are gone.
    """
    cases = [case.name for case in result.experiment.cases] + [case.case for case in result.cases]

    def turn(part: Table) -> tuple[int, int]:
        case, stage = owner(layout, part.rows[0])
        return cases.index(case), [*STAGES].index(stage)

    ordered = sorted((part for part in parts if part.rows), key=turn)
    columns = dict.fromkeys(layout.columns)
    for part in ordered:
        further = [*enumerate(part.columns)][len(layout.columns) :]
        columns |= dict.fromkeys(name for at, name in further if any(row[at] for row in part.rows))
    rows: list[Row] = []
    for part in ordered:
        picked = itemgetter(*(part.columns.index(name) if name in part.columns else -1 for name in columns))
        rows += (picked((*row, "")) for row in part.rows)
    return Table(tuple(columns), tuple(rows))


def _figures(found: StageResult, stage: str, dtype: str) -> Rows:
    """What was printed for a stage, whichever it is."""
    if FIGURES in STAGES[stage].files:
        yield FIGURES, (), (row for figure in found.figures for row in _figure(figure, stage, dtype))


def backprop_rows(found: BackpropResult, dtype: str) -> Rows:
    """Every node, its gradient, what the witnesses say of it, and the hand-derived formulas."""
    yield "nodes.csv", (), (row for node in found.nodes for row in _entries(node))
    yield "gradient_norms.csv", (), (_norms(n, n.gradient) for n in found.nodes if n.gradient is not None)
    yield "witnesses.csv", (), (_cells("float64", *witness) for witness in found.witnesses)
    yield "derivation.csv", (), (_formula(formula, dtype) for formula in found.formulas)


def gradcheck_rows(found: GradcheckResult, dtype: str) -> Rows:
    """Every entry that was checked."""
    yield "gradcheck.csv", (), (_cells(dtype, *entry) for entry in found.entries)


def train_rows(found: TrainResult, dtype: str) -> Rows:
    """Every epoch."""
    columns = {name: _numbers(values) for name, values in found.columns.items()}
    epochs = map(str, range(len(next(iter(columns.values()), ()))))
    yield "training.csv", columns, zip(epochs, *columns.values(), strict=True)


def sweep_rows(found: SweepResult, dtype: str) -> Rows:
    """Every run: settings as the config writes them, arrays by their place in it."""
    runs, columns = map(str, range(len(found.nonfinite))), map(_numbers, found.columns.values())
    settings = (map(_chosen, chosen) for chosen in found.settings.values())
    rows = zip(runs, found.nonfinite, *settings, *columns, strict=True)
    yield "sweep.csv", (*found.settings, *found.columns), rows


def _chosen(choice: Choice | None) -> str:
    if choice is None:
        return ""
    whole = choice.number == int(choice.number) and abs(choice.number) < 2**53 and "." not in choice.label
    return _cell(int(choice.number) if whole else choice.number, "float64")


def _entries(node: NodeResult) -> Iterator[Row]:
    if node.value.size <= LARGEST_LISTED:
        gradients = repeat("") if node.gradient is None else _numbers(node.gradient)
        for index, value, gradient in zip(np.ndindex(node.value.shape), _numbers(node.value), gradients, strict=False):
            yield *_cells("", node.role, node.name, index), value, gradient


def _norms(node: NodeResult, gradient: Array) -> Row:
    """The norm by hypot: it neither overflows nor loses squares to underflow, whatever the CPU's vector width."""
    pieces = np.split(gradient.ravel(), range(LARGEST_LISTED, gradient.size, LARGEST_LISTED))
    norm = math.hypot(*(math.hypot(*piece.tolist()) for piece in pieces))  # Python's floats take room
    shape = "x".join(map(str, gradient.shape)) or "scalar"
    return *_cells("float64", node.name, node.role, shape, norm), *_numbers(np.max(np.abs(gradient), initial=0.0))


def _formula(formula: FormulaResult, dtype: str) -> Row:
    said = (formula.verdict.label, formula.message, formula.at, formula.erratum, formula.diagnosis)
    return _cells(dtype, formula.name, formula.formula, formula.derived, formula.error, formula.tolerance, *said)


def _figure(figure: FigureResult, stage: str, dtype: str) -> Iterator[Row]:
    for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        judged = (entry.printed, entry.computed, entry.error, entry.tolerance, entry.verdict.label)
        about = (figure.worked_out, figure.at, figure.erratum, figure.diagnosis)
        yield _cells(dtype, stage, figure.updates, figure.key, index, *judged, *about)


def _numbers(array: Array) -> list[str]:
    """The entries in C order, each as the shortest text that reads back to it in the array's own type."""
    flat = array.ravel() + 0  # -0.0 becomes 0.0, and a truth value a number
    return [str(value) for value in (flat if flat.dtype == np.float32 else flat.tolist())]


def _cells(dtype: str, *values: object) -> Row:
    """Each value as its text: a float in the digits of `dtype`, an exact decimal in those of float64."""
    return tuple(_cell(value, dtype) for value in values)


def _cell(value: object, dtype: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case float() if dtype == "float32":
            with np.errstate(over="ignore"):
                narrow = np.float32(value)
            return str(narrow + 0 if float(narrow) == value else float(value))  # it need not be one of a float32
        case float() | Decimal():
            return str(float(value) + 0.0)
    return str(value)


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as CSV; no text for one without rows."""
    if not rows:
        return ""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def rows_of(path: Path) -> Iterator[tuple[Row, int]]:
    """The header of a CSV file, then its rows, each with the line in which it ends; empty lines are left out.

    Raises OSError, and ValueError with a reason for a file that is no table in UTF-8.
    """
    width = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in filter(None, reader):
                width = width or len(row)
                if len(row) != width:
                    raise ValueError(f"line {reader.line_num} has {len(row)} cells, and the header {width}")
                yield tuple(row), reader.line_num
        except csv.Error as error:
            raise ValueError(f"{error} in line {reader.line_num}") from None
    if not width:
        raise ValueError("it has no columns")
