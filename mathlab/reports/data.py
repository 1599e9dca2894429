"""Results -> the JSON report, by one walk over their records: every field under its name, every number in full.

Where the form that `report.schema.json` lays down is another one, `FORMS` says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from mathlab import __version__
from mathlab.errors import Place
from mathlab.experiment import Array
from mathlab.outputs.tables import LARGEST_LISTED
from mathlab.reports.checks import Report
from mathlab.results import BackpropResult, SweepResult, TrainResult, tally
from mathlab.results.judged import FigureResult, Share
from mathlab.stages.table import STAGES
from mathlab.terminal import LONGEST_TEXT, harmless

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"
Record: TypeAlias = dict[str, Json]

VERSION = 1  # of the form; a key that goes, or changes its meaning, makes a new one


def told(value: object) -> Json:
    """A value as JSON has it: a record as its fields, of which `place` becomes three; an array as nested lists."""
    match value:
        case str():
            return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}..."
        case None | bool() | int():
            return value
        case float() | Decimal():
            return number(float(value))
        case np.generic():
            return told(value.item())
        case np.ndarray():
            return array(value)
        case Path():
            return str(value)
        case Mapping():
            return {str(key): told(part) for key, part in value.items()}
        case Sequence() if not hasattr(value, "_fields"):
            return [told(part) for part in value]
    return record(value)


def of_report(report: Report) -> Record:
    """All of a report, in the form of `report.schema.json`."""
    found = {"version": VERSION, "mathlab": __version__, "command": report.command, "passed": report.passed}
    return {key: told(part) for key, part in {**found, "problems": [*report.problems], **report.about()}.items()}


def record(value: object) -> Record:
    """A named tuple or a dataclass as its fields."""
    form = FORMS.get(type(value).__name__, Form())
    found: Record = {}
    of_dataclass = () if isinstance(value, tuple) else (part.name for part in fields(value))  # type: ignore[arg-type]
    for name in getattr(value, "_fields", of_dataclass):
        if name == "place":
            found |= place_keys(getattr(value, name))
        elif name not in form.without:
            found[form.called.get(name, name)] = told(getattr(value, name))
    return found | {key: told(of(value)) for key, of in form.more.items()}


def text(record: Record) -> str:
    """The record as JSON in ASCII, so that no terminal or locale can change it."""
    written = json.dumps(record, indent=1, allow_nan=False) + "\n"
    return harmless(written, "\n", lambda character: f"\\u{ord(character):04x}", None)


def number(value: float) -> Json:
    """A float in its shortest form that reads back to it, -0.0 as 0.0; what JSON has no number for, as a text."""
    if math.isfinite(value):
        return float(value) + 0.0
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def array(values: Array) -> Json:
    """Nested lists in C order; null for more than `LARGEST_LISTED` entries, which nodes.csv leaves out too."""
    if values.size > LARGEST_LISTED:
        return None
    floating = np.issubdtype(values.dtype, np.floating)
    return told((values if floating else values.astype(np.int64)).tolist())


def place_keys(place: Place | None) -> Record:
    """File, line and column."""
    return {name: getattr(place, name, None) or None for name in ("file", "line", "column")}


class Form(NamedTuple):
    """How the JSON of a record differs from its fields: what they are `called`, what is left out, what comes to it."""

    called: Mapping[str, str] = {}
    without: tuple[str, ...] = ()
    more: Mapping[str, Callable[..., object]] = {}  # of the record


def _entries(figure: FigureResult) -> list[Record]:
    indices = np.ndindex(figure.shape)
    return [{"index": told(index), **record(entry)} for index, entry in zip(indices, figure.entries, strict=True)]


def _nodes(result: BackpropResult) -> list[Record]:
    return [{**record(node), "shares": told(result.shares(node.name))} for node in result.nodes]


def _factor(share: Share, name: str) -> Record | None:
    found = (part for part in share.factors if part.name == name)
    return next(({"equation": part.equation, "value": array(part.value)} for part in found), None)


def _columns(result: TrainResult | SweepResult) -> dict[str, list[float]]:
    """As they are in the CSV, however many entries they have."""
    return {name: column.astype(np.float64).tolist() for name, column in result.columns.items()}


PASSED, LABEL = {"passed": attrgetter("passed")}, {"verdict": attrgetter("verdict.label")}
EXPERIMENT = {"name": "name", "config": "path", "sha256": "sha256", "title": "title", "source": "source"}
# a case's stages stand beside each other, null for one that did not run
STAGED = {name: partial(lambda case, name: case.stages.get(name), name=name) for name in STAGES}

FORMS: Mapping[str, Form] = {
    "ExperimentResult": Form(
        without=("experiment", "cases"),
        more={
            **{key: attrgetter(f"experiment.{name}") for key, name in EXPERIMENT.items()},
            "passed": lambda result: tally(result).passed,
            "summary": tally,
            "cases": lambda result: result.cases,
        },
    ),
    "Source": Form(without=("article", "ignore")),
    "CaseResult": Form(
        without=("stages",), more={"passed": lambda case: tally(case).passed, "summary": tally, **STAGED}
    ),
    "BackpropResult": Form(without=("shares", "nodes"), more={"nodes": _nodes}),
    "NodeResult": Form(without=("readers", "step"), more={"shape": lambda node: node.value.shape}),
    "Share": Form(
        {"reader": "from"}, ("factors",), {name: partial(_factor, name=name) for name in ("upstream", "local")}
    ),
    "FigureResult": Form({"key": "quantity"}, ("stage", "entries"), {**PASSED, "entries": _entries}),
    "Judged": Form(without=("verdict",), more={**LABEL, "passed": lambda entry: entry.verdict.passed}),
    "FormulaResult": Form(more=LABEL),
    "WitnessResult": Form(more=PASSED),
    "TrainResult": Form(more={"columns": _columns}),
    "SweepResult": Form(more={"columns": _columns, "runs": lambda result: len(result.nonfinite)}),
    "OracleResult": Form({"compared": "arrays"}, ("sought",), PASSED),
    "Cause": Form(without=("claims",)),
    "Compared": Form(called={"expected": "expected_shape"}),
    "Choice": Form(called={"label": "written"}, without=("value",)),
    "Change": Form(called={"key": "row", "error": "relative_error"}),
}
