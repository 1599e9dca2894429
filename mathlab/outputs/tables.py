"""Results -> tables of text: which CSV files there are, their columns, and how every cell is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mathlab.experiment import Array, Choice
from mathlab.results import (
    CaseResult,
    EntryCheck,
    EntryChecks,
    ExperimentResult,
    FigureResult,
    FormulaResult,
    NodeResult,
    SweepResult,
    WitnessResult,
)

STAGES = ("backprop", "gradcheck", "train", "sweep")
LARGEST_LISTED = 10_000  # entries; nodes.csv lists no array with more of them, gradient_norms.csv still measures it

Row = tuple[str, ...]
DType = Literal["float64", "Int64", "boolean"]
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
    the columns that tell its rows apart, `stages` those that write it. `kinds` are the pandas dtypes of the columns
    that are no texts; a column of its own is float64. The rest is for `mathlab diff`: `texts` are
    compared as they are written, `derived` (computed from other columns) are not compared, `scales` names the column by
    whose size a column's tolerance is measured, and `amplified` says how many tolerances a column may differ by.
    """

    columns: Row
    keys: Row
    stages: tuple[str, ...]
    kinds: Mapping[str, DType] = field(default_factory=dict)
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
        kinds={"value": "float64", "gradient": "float64"},
    ),
    "gradient_norms.csv": Layout(
        columns=("case", "name", "role", "shape", "norm", "largest"),
        keys=("case", "name"),
        stages=("backprop",),
        kinds={"norm": "float64", "largest": "float64"},
    ),
    "witnesses.csv": Layout(
        columns=("case", "name", "witness", "relative", "ulp", "verdict", "message"),
        keys=("case", "name", "witness"),
        stages=("backprop",),
        kinds={"relative": "float64", "ulp": "float64"},
        derived=("relative", "ulp"),  # rounding itself, which no tolerance measures
    ),
    "figures.csv": Layout(
        columns=(
            *("case", "stage", "updates", "quantity", "index"),
            *("printed", "computed", "error", "tolerance", "verdict", "worked_out", "at", "erratum", "diagnosis"),
        ),
        keys=("case", "stage", "updates", "quantity", "index"),
        stages=("backprop", "gradcheck", "train"),
        kinds={
            "updates": "Int64",
            "computed": "float64",
            "error": "float64",
            "tolerance": "float64",
            "worked_out": "boolean",
        },
        texts=("printed", "at", "erratum"),
        # error = computed - printed, two nearly equal numbers: it is off by no more than computed is
        scales={"error": "computed"},
    ),
    "derivation.csv": Layout(
        columns=(
            *("case", "name", "formula", "derived", "error", "tolerance"),
            *("verdict", "message", "at", "erratum", "diagnosis"),
        ),
        keys=("case", "name", "formula"),
        stages=("backprop",),
        kinds={"error": "float64", "tolerance": "float64"},
        texts=("at", "erratum"),
    ),
    "gradcheck.csv": Layout(
        columns=(
            *("case", "parameter", "index", "derived", "complex_step", "central"),
            *("resolution", "absolute_error", "relative_error", "verdict", "passed"),
        ),
        keys=("case", "parameter", "index"),
        stages=("gradcheck",),
        kinds={
            **dict.fromkeys(("derived", "complex_step", "central"), "float64"),
            **dict.fromkeys(("resolution", "absolute_error", "relative_error"), "float64"),
            "passed": "boolean",
        },
        derived=("relative_error",),
        scales={"absolute_error": "derived", "resolution": "derived"},
        # a difference quotient divides the rounding of its two values by its step, which is cbrt(eps)
        amplified={"central": float(np.finfo(np.float64).eps) ** (-1 / 3)},
    ),
    "training.csv": Layout(
        columns=("case", "epoch"),
        keys=("case", "epoch"),
        stages=("train",),
        kinds={"epoch": "Int64"},
        open_ended=True,
    ),
    "sweep.csv": Layout(
        columns=("case", "run", "nonfinite"),
        keys=("case", "run"),
        stages=("sweep",),
        kinds={"run": "Int64"},
        open_ended=True,
        texts=("nonfinite",),
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
    return [stage for stage in STAGES if getattr(case, stage)]


def parts_of(result: ExperimentResult) -> dict[str, dict[Owner, Table]]:
    """File name -> the rows of each case and stage that ran and writes that file."""
    parts: dict[str, dict[Owner, Table]] = {}
    for case in result.cases:
        for file, stage, more, rows in _rows_of(case):
            own = LAYOUTS[file].columns
            columns = (*own, *(f"{name} (value)" if name in own else name for name in more))
            table = Table(columns, tuple((case.case, *row) for row in rows))
            parts.setdefault(file, {})[case.case, stage] = table
    return {file: parts[file] for file in LAYOUTS if file in parts}


def _rows_of(case: CaseResult) -> Iterator[tuple[str, str, Iterable[str], Iterable[Row]]]:
    """File name, stage, columns beyond the file's own, and rows without their case."""
    if case.backprop:
        nodes = case.backprop.nodes
        yield "nodes.csv", "backprop", (), (row for node in nodes for row in _entries(node))
        yield "gradient_norms.csv", "backprop", (), (_norms(node) for node in nodes if node.gradient is not None)
        yield "witnesses.csv", "backprop", (), map(_witness, case.backprop.witnesses)
        yield "derivation.csv", "backprop", (), (_formula(formula, case.dtype) for formula in case.backprop.formulas)
    if case.gradcheck:
        yield "gradcheck.csv", "gradcheck", (), _checks(case.gradcheck.entries, case.dtype)
    if case.train:
        columns = {name: _numbers(values) for name, values in case.train.columns.items()}
        epochs = map(str, range(len(next(iter(columns.values()), ()))))
        yield "training.csv", "train", columns, zip(epochs, *columns.values(), strict=True)
    if case.sweep:
        yield "sweep.csv", "sweep", *_runs(case.sweep)
    for stage, ran in (("backprop", case.backprop), ("gradcheck", case.gradcheck), ("train", case.train)):
        if ran:
            rows = (row for figure in ran.figures for row in _figure(figure, stage, case.dtype))
            yield "figures.csv", stage, (), rows


def _runs(result: SweepResult) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The columns of a sweep's own, and its rows: settings as the config writes them, arrays by their place in it."""
    settings = [["" if choice is None else _chosen(choice) for choice in chosen] for chosen in result.settings.values()]
    columns = [_numbers(values) for values in result.columns.values()]
    runs = map(str, range(len(result.nonfinite)))
    return (*result.settings, *result.columns), zip(runs, result.nonfinite, *settings, *columns, strict=True)


def _chosen(choice: Choice) -> str:
    whole = choice.number == int(choice.number) and abs(choice.number) < 2**53 and "." not in choice.label
    return str(int(choice.number)) if whole else _number(choice.number, "float64")


def _entries(node: NodeResult) -> Iterator[Row]:
    if node.value.size > LARGEST_LISTED:
        return
    gradients = [""] * node.value.size if node.gradient is None else _numbers(node.gradient)
    for index, value, gradient in zip(_indices(node.value.shape), _numbers(node.value), gradients, strict=True):
        yield node.role, node.name, index, value, gradient


def _norms(node: NodeResult) -> Row:
    assert node.gradient is not None
    norm = _euclidean(node.gradient.ravel())
    largest = np.maximum(np.max(node.gradient, initial=0.0), -np.min(node.gradient, initial=0.0))
    shape = "x".join(map(str, node.gradient.shape)) or "scalar"
    dtype = node.gradient.dtype.name
    return node.name, node.role, shape, _number(norm, "float64"), _number(float(largest), dtype)


def _euclidean(flat: Array) -> float:
    """The norm, by hypot: it neither overflows nor loses squares to underflow, whatever the CPU's vector width."""
    pieces = (flat[start : start + LARGEST_LISTED] for start in range(0, flat.size, LARGEST_LISTED))
    return math.hypot(*(math.hypot(*piece.tolist()) for piece in pieces))  # Python's floats take room


def _formula(formula: FormulaResult, dtype: str) -> Row:
    error, tolerance = _number(formula.error, dtype), _number(formula.tolerance, dtype)
    said = (formula.label, formula.message, formula.at, formula.erratum, formula.diagnosis)
    return formula.name, formula.formula, formula.derived, error, tolerance, *said


def _witness(found: WitnessResult) -> Row:
    relative, ulp = ("" if error is None else _number(error, "float64") for error in (found.relative, found.ulp))
    return found.name, found.witness, relative, ulp, found.verdict, found.message


def _checks(entries: Sequence[EntryCheck], dtype: str) -> Iterator[Row]:
    checks = EntryChecks.of(entries)
    index = (",".join(map(str, place)) for place in checks.indices)
    measured = (checks.derived, checks.complex_step, checks.central, checks.resolution)
    numbers = (_column(values, dtype) for values in (*measured, checks.absolute_error, checks.relative_error))
    passed = (str(passed).lower() for passed in checks.passed)
    return zip(checks.parameter, index, *numbers, checks.verdict, passed, strict=True)


def _figure(figure: FigureResult, stage: str, dtype: str) -> Iterator[Row]:
    updates = "" if figure.updates is None else str(figure.updates)
    for index, entry in zip(_indices(figure.shape), figure.entries, strict=True):
        computed = _number(entry.computed, dtype)
        error = "" if entry.error is None else _number(float(entry.error), "float64")
        tolerance = _number(float(entry.tolerance), "float64")
        yield (
            *(stage, updates, figure.key, index, entry.printed, computed),
            *(error, tolerance, entry.verdict.label, str(figure.worked_out).lower()),
            *(figure.at, figure.erratum, figure.diagnosis),
        )


def _indices(shape: tuple[int, ...]) -> Iterator[str]:
    return (",".join(map(str, index)) for index in np.ndindex(shape))


def _numbers(array: Array) -> list[str]:
    """The entries in C order, each as the shortest text that reads back to it in the array's own type."""
    flat = array.ravel()
    if not np.issubdtype(flat.dtype, np.floating):
        return [str(int(value)) for value in flat]
    return [str(value) for value in np.where(flat == 0, flat.dtype.type(0), flat)]  # -0.0 == 0


def _column(values: Sequence[float], dtype: str) -> list[str]:
    """Many of what `_number` writes."""
    exact = np.asarray(values, np.float64)
    if dtype == "float64":
        return _numbers(exact)
    with np.errstate(over="ignore"):
        narrow = exact.astype(dtype)
    short = narrow.astype(np.float64) == exact
    return [text if fits else whole for fits, text, whole in zip(short, _numbers(narrow), _numbers(exact), strict=True)]


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
