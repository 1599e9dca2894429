"""Results -> tables of text: which CSV files there are, their columns, and how every cell is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array, Choice
from mathlab.results import (
    CaseResult,
    EntryCheck,
    ExperimentResult,
    FigureResult,
    FormulaResult,
    NodeResult,
)
from mathlab.stages.table import STAGES, Layout, Row, Rows, every_file

FIGURES = "figures.csv"
LARGEST_LISTED = 10_000  # entries; nodes.csv lists no array with more of them, gradient_norms.csv still measures it

Owner = tuple[str, str]  # the case and the stage that a row comes from


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
    known = every_file()
    return {file: join(known[file], parts, result) for file, parts in parts_of(result).items()}


def parts_of(result: ExperimentResult) -> dict[str, dict[Owner, Table]]:
    """File name -> the rows of each case and stage that ran and writes that file."""
    parts: dict[str, dict[Owner, Table]] = {}
    known = every_file()
    for case in result.cases:
        for stage in case.stages:
            for file, more, rows in (*STAGES[stage].rows(case), *_figures(case, stage)):
                own = known[file].columns
                columns = (*own, *(f"{name} (value)" if name in own else name for name in more))
                table = Table(columns, tuple((case.case, *row) for row in rows))
                parts.setdefault(file, {})[case.case, stage] = table
    return {file: parts[file] for file in known if file in parts}


def _figures(case: CaseResult, stage: str) -> Rows:
    """What was printed for a stage, whichever it is."""
    if FIGURES in STAGES[stage].files:
        found = case.stages[stage].figures
        yield FIGURES, (), (row for figure in found for row in _figure(figure, stage, case.dtype))


def backprop_rows(case: CaseResult) -> Rows:
    """Every node, its gradient, what the witnesses say of it, and the hand-derived formulas."""
    if found := case.backprop:
        yield "nodes.csv", (), (row for node in found.nodes for row in _entries(node))
        yield "gradient_norms.csv", (), (_norms(node) for node in found.nodes if node.gradient is not None)
        yield "witnesses.csv", (), (_cells("float64", *witness) for witness in found.witnesses)
        yield "derivation.csv", (), (_formula(formula, case.dtype) for formula in found.formulas)


def gradcheck_rows(case: CaseResult) -> Rows:
    """Every entry that was checked."""
    if found := case.gradcheck:
        yield "gradcheck.csv", (), _checks(found.entries, case.dtype)


def train_rows(case: CaseResult) -> Rows:
    """Every epoch."""
    if found := case.train:
        columns = {name: _numbers(values) for name, values in found.columns.items()}
        epochs = map(str, range(len(next(iter(columns.values()), ()))))
        yield "training.csv", columns, zip(epochs, *columns.values(), strict=True)


def sweep_rows(case: CaseResult) -> Rows:
    """Every run: settings as the config writes them, arrays by their place in it."""
    if found := case.sweep:
        runs, columns = map(str, range(len(found.nonfinite))), map(_numbers, found.columns.values())
        settings = (map(_chosen, chosen) for chosen in found.settings.values())
        rows = zip(runs, found.nonfinite, *settings, *columns, strict=True)
        yield "sweep.csv", (*found.settings, *found.columns), rows


def _chosen(choice: Choice | None) -> str:
    if choice is None:
        return ""
    whole = choice.number == int(choice.number) and abs(choice.number) < 2**53 and "." not in choice.label
    return str(int(choice.number)) if whole else _cell(choice.number, "float64")


def _entries(node: NodeResult) -> Iterator[Row]:
    if node.value.size > LARGEST_LISTED:
        return
    gradients = [""] * node.value.size if node.gradient is None else _numbers(node.gradient)
    for index, *texts in zip(np.ndindex(node.value.shape), _numbers(node.value), gradients, strict=True):
        yield *_cells("", node.role, node.name, index), *texts


def _norms(node: NodeResult) -> Row:
    assert node.gradient is not None
    norm = _euclidean(node.gradient.ravel())
    largest = np.maximum(np.max(node.gradient, initial=0.0), -np.min(node.gradient, initial=0.0))
    shape = "x".join(map(str, node.gradient.shape)) or "scalar"
    return *_cells("float64", node.name, node.role, shape, norm), _cell(float(largest), node.gradient.dtype.name)


def _euclidean(flat: Array) -> float:
    """The norm, by hypot: it neither overflows nor loses squares to underflow, whatever the CPU's vector width."""
    pieces = (flat[start : start + LARGEST_LISTED] for start in range(0, flat.size, LARGEST_LISTED))
    return math.hypot(*(math.hypot(*piece.tolist()) for piece in pieces))  # Python's floats take room


def _formula(formula: FormulaResult, dtype: str) -> Row:
    said = (formula.verdict.label, formula.message, formula.at, formula.erratum, formula.diagnosis)
    return _cells(dtype, formula.name, formula.formula, formula.derived, formula.error, formula.tolerance, *said)


def _checks(entries: Sequence[EntryCheck], dtype: str) -> Iterator[Row]:
    parameter, index, *numbers, verdict, passed = zip(*entries, strict=True) if entries else [()] * 10
    indices = (",".join(map(str, place)) for place in index)
    columns = (_column(values, dtype) for values in numbers)
    return zip(parameter, indices, *columns, verdict, (str(each).lower() for each in passed), strict=True)


def _figure(figure: FigureResult, stage: str, dtype: str) -> Iterator[Row]:
    for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        judged = (entry.printed, entry.computed, entry.error, entry.tolerance, entry.verdict.label)
        about = (figure.worked_out, figure.at, figure.erratum, figure.diagnosis)
        yield _cells(dtype, stage, figure.updates, figure.key, index, *judged, *about)


def _numbers(array: Array) -> list[str]:
    """The entries in C order, each as the shortest text that reads back to it in the array's own type."""
    flat = array.ravel()
    if not np.issubdtype(flat.dtype, np.floating):
        return [str(int(value)) for value in flat]
    return [str(value) for value in np.where(flat == 0, flat.dtype.type(0), flat)]  # -0.0 == 0


def _column(values: Sequence[float], dtype: str) -> list[str]:
    """Many floats, each in the shortest digits of float32 where it is a float32 of a float32 case."""
    exact = np.asarray(values, np.float64)
    if dtype == "float64":
        return _numbers(exact)
    with np.errstate(over="ignore"):
        narrow = exact.astype(dtype)
    short = narrow.astype(np.float64) == exact
    return [text if fits else whole for fits, text, whole in zip(short, _numbers(narrow), _numbers(exact), strict=True)]


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
        case float() | Decimal():
            return _column([float(value)], dtype if isinstance(value, float) else "float64")[0]
    return str(value)


def join(layout: Layout, parts: Mapping[Owner, Table], result: ExperimentResult) -> Table:
    """One table of all parts, by case and stage; its further columns in the order of first appearance.

    A column in which none of the rows has anything is left out: it was that of another case, whose rows are gone.
    """
    cases = dict.fromkeys([case.name for case in result.experiment.cases] + [case.case for case in result.cases])
    rank, stages = {name: position for position, name in enumerate(cases)}, [*STAGES]
    ordered = [parts[owner] for owner in sorted(parts, key=lambda owner: (rank[owner[0]], stages.index(owner[1])))]
    columns = dict.fromkeys(layout.columns)
    for part in ordered:
        further = enumerate(part.columns[len(layout.columns) :], len(layout.columns))
        columns |= dict.fromkeys(name for at, name in further if any(row[at] for row in part.rows))
    rows: list[Row] = []
    for part in ordered:
        source = [part.columns.index(name) if name in part.columns else -1 for name in columns]  # the last is empty
        rows += (tuple([(*row, "")[at] for at in source]) for row in part.rows)
    return Table(tuple(columns), tuple(rows))
