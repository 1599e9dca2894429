"""Results -> tables of text: which CSV files there are, their columns, and how every cell is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from mathlab.experiment import Array
from mathlab.results import CaseResult, EntryCheck, ExperimentResult, FigureResult, FormulaResult, NodeResult

STAGES = ("backprop", "gradcheck", "train")
LARGEST_LISTED = 10_000  # entries; nodes.csv lists no array with more of them, gradient_norms.csv still measures it

Row = tuple[str, ...]
Owner = tuple[str, str]  # the case and the stage that a row comes from


@dataclass(frozen=True)
class Table:
    """A CSV file's content: every row has one text per column."""

    columns: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Layout:
    """What is known about one of the files.

    `columns` come first, `case` the first of them; an `open_ended` file continues with columns of its own. `keys` are
    the columns that tell its rows apart, `stages` those that write it. The rest is for `mathlab diff`: `texts` are
    compared as they are written, `derived` (computed from other columns) are not compared, `scales` names the column by
    whose size a column's tolerance is measured, and `amplified` says how many tolerances a column may differ by.
    """

    columns: Row
    keys: Row
    stages: tuple[str, ...]
    open_ended: bool = False
    texts: Row = ()
    derived: Row = ()
    scales: Mapping[str, str] = field(default_factory=dict)
    amplified: Mapping[str, float] = field(default_factory=dict)


LAYOUTS: Mapping[str, Layout] = {
    "nodes.csv": Layout(
        columns=("case", "role", "name", "index", "value", "gradient"),
        keys=("case", "name", "index"),
        stages=("backprop",),
    ),
    "gradient_norms.csv": Layout(
        columns=("case", "name", "role", "shape", "norm", "largest"),
        keys=("case", "name"),
        stages=("backprop",),
    ),
    "figures.csv": Layout(
        columns=(
            *("case", "stage", "updates", "quantity", "index"),
            *("printed", "computed", "error", "tolerance", "verdict", "at", "erratum"),
        ),
        keys=("case", "stage", "updates", "quantity", "index"),
        stages=STAGES,
        texts=("printed",),
        # error = computed - printed, two nearly equal numbers: it is off by no more than computed is
        scales={"error": "computed"},
    ),
    "derivation.csv": Layout(
        columns=("case", "name", "formula", "derived", "error", "tolerance", "verdict", "message"),
        keys=("case", "name"),
        stages=("backprop",),
    ),
    "gradcheck.csv": Layout(
        columns=(
            *("case", "parameter", "index", "derived", "complex_step", "central"),
            *("resolution", "absolute_error", "relative_error", "verdict", "passed"),
        ),
        keys=("case", "parameter", "index"),
        stages=("gradcheck",),
        derived=("relative_error",),
        scales={"absolute_error": "derived", "resolution": "derived"},
        # a difference quotient divides the rounding of its two values by its step, which is cbrt(eps)
        amplified={"central": float(np.finfo(np.float64).eps) ** (-1 / 3)},
    ),
    "training.csv": Layout(
        columns=("case", "epoch"),
        keys=("case", "epoch"),
        stages=("train",),
        open_ended=True,
    ),
}


def tables_of(result: ExperimentResult) -> dict[str, Table]:
    """The tables of the stages that ran: file name -> table, in the order of `LAYOUTS`.

    Rows are in the order of the config's cases, then of `STAGES`, whatever the order in which they ran. A table may
    have no rows (no figure was printed).

    Numbers are written in the shortest form that reads back to the same number (in float32 for float32), -0.0 as 0.0;
    an index as `0,1`, empty for a single number; what there is not (the gradient of an input) as an empty text.
    """
    return {file: join(LAYOUTS[file], parts, result) for file, parts in parts_of(result).items()}


def stages_of(case: CaseResult) -> list[str]:
    """The stages that ran for a case, in the order of `STAGES`."""
    return [stage for stage, ran in zip(STAGES, (case.backprop, case.gradcheck, case.train), strict=True) if ran]


def parts_of(result: ExperimentResult) -> dict[str, dict[Owner, Table]]:
    """File name -> the rows of each case and stage that ran and writes that file."""
    parts: dict[str, dict[Owner, Table]] = {}
    for case in result.cases:
        for file, stage, more, rows in _rows_of(case):
            columns = (*LAYOUTS[file].columns, *more)
            table = Table(columns, tuple((case.case, *row) for row in rows))
            parts.setdefault(file, {})[case.case, stage] = table
    return {file: parts[file] for file in LAYOUTS if file in parts}


def _rows_of(case: CaseResult) -> Iterator[tuple[str, str, Iterable[str], Iterable[Row]]]:
    """File name, stage, columns beyond the file's own, and rows without their case."""
    if case.backprop:
        nodes = case.backprop.nodes
        yield "nodes.csv", "backprop", (), (row for node in nodes for row in _entries(node))
        yield "gradient_norms.csv", "backprop", (), (_norms(node) for node in nodes if node.gradient is not None)
        yield "derivation.csv", "backprop", (), (_formula(formula, case.dtype) for formula in case.backprop.formulas)
    if case.gradcheck:
        yield "gradcheck.csv", "gradcheck", (), (_check(entry, case.dtype) for entry in case.gradcheck.entries)
    if case.train:
        columns = {name: _numbers(values) for name, values in case.train.columns.items()}
        epochs = map(str, range(len(next(iter(columns.values()), ()))))
        yield "training.csv", "train", columns, zip(epochs, *columns.values(), strict=True)
    for stage, ran in zip(STAGES, (case.backprop, case.gradcheck, case.train), strict=True):
        if ran:
            rows = (row for figure in ran.figures for row in _figure(figure, stage, case.dtype))
            yield "figures.csv", stage, (), rows


def _entries(node: NodeResult) -> Iterator[Row]:
    if node.value.size > LARGEST_LISTED:
        return
    gradients = [""] * node.value.size if node.gradient is None else _numbers(node.gradient)
    for index, value, gradient in zip(_indices(node.value.shape), _numbers(node.value), gradients, strict=True):
        yield node.role, node.name, index, value, gradient


def _norms(node: NodeResult) -> Row:
    assert node.gradient is not None
    # hypot neither overflows nor loses squares to underflow, and its sum does not depend on the CPU's vector width
    norm = math.hypot(*node.gradient.ravel().tolist())
    largest = np.max(np.abs(node.gradient), initial=0.0)
    shape = "x".join(map(str, node.gradient.shape)) or "scalar"
    dtype = node.gradient.dtype.name
    return node.name, node.role, shape, _number(norm, "float64"), _number(float(largest), dtype)


def _formula(formula: FormulaResult, dtype: str) -> Row:
    error, tolerance = _number(formula.error, dtype), _number(formula.tolerance, dtype)
    verdict = "match" if formula.passed else "differs"
    return formula.name, formula.formula, formula.derived, error, tolerance, verdict, formula.message


def _check(entry: EntryCheck, dtype: str) -> Row:
    index = ",".join(map(str, entry.index))
    measured = (entry.derived, entry.complex_step, entry.central, entry.resolution, entry.absolute_error)
    numbers = (_number(value, dtype) for value in (*measured, entry.relative_error))
    return entry.parameter, index, *numbers, entry.verdict, str(entry.passed).lower()


def _figure(figure: FigureResult, stage: str, dtype: str) -> Iterator[Row]:
    updates = "" if figure.updates is None else str(figure.updates)
    for index, entry in zip(_indices(figure.shape), figure.entries, strict=True):
        computed = _number(entry.computed, dtype)
        error = "" if entry.error is None else _number(float(entry.error), "float64")
        tolerance = _number(float(entry.tolerance), "float64")
        yield (
            *(stage, updates, figure.key, index, entry.printed, computed),
            *(error, tolerance, entry.verdict.label, figure.at, figure.erratum),
        )


def _indices(shape: tuple[int, ...]) -> Iterator[str]:
    return (",".join(map(str, index)) for index in np.ndindex(shape))


def _numbers(array: Array) -> list[str]:
    """The entries in C order, each as the shortest text that reads back to it in the array's own type."""
    flat = array.ravel()
    if not np.issubdtype(flat.dtype, np.floating):
        return [str(int(value)) for value in flat]
    return [str(value) for value in np.where(flat == 0, flat.dtype.type(0), flat)]  # -0.0 == 0


def _number(value: float, dtype: str) -> str:
    """One float, in the shortest digits of float32 when it is a float32 of a float32 case."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(value, dtype)
    return _numbers(narrow if float(narrow) == value else np.asarray(value, np.float64))[0]


def join(layout: Layout, parts: Mapping[Owner, Table], result: ExperimentResult) -> Table:
    """One table of all parts, by case and stage; its further columns in the order of first appearance."""
    cases = dict.fromkeys([case.name for case in result.experiment.cases] + [case.case for case in result.cases])
    rank = {name: position for position, name in enumerate(cases)}
    ordered = [parts[owner] for owner in sorted(parts, key=lambda owner: (rank[owner[0]], STAGES.index(owner[1])))]
    own = len(layout.columns)
    further = tuple(dict.fromkeys(name for part in ordered for name in part.columns[own:]))
    rows: list[Row] = []
    for part in ordered:
        if part.columns[own:] == further:
            rows += part.rows
        else:
            position = {name: at for at, name in enumerate(part.columns[own:], own)}
            source = [position.get(name) for name in further]
            rows += ((*row[:own], *("" if at is None else row[at] for at in source)) for row in part.rows)
    return Table((*layout.columns, *further), tuple(rows))
