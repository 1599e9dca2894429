"""What a JSON report is made of: numbers, arrays and places, and the schema that it keeps to."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import TypeAlias, cast

import numpy as np

from mathlab.errors import Place
from mathlab.experiment import Array
from mathlab.outputs.tables import LARGEST_LISTED
from mathlab.terminal import harmless

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"
Record: TypeAlias = dict[str, Json]


def schema() -> Record:
    """The JSON Schema (2020-12) of the report."""
    text = files("mathlab.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    return cast(Record, json.loads(text))


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
    if np.issubdtype(values.dtype, np.floating):
        finite = bool(np.isfinite(values).all())
        return cast(Json, (values + 0.0).tolist()) if finite else _spelt(values.tolist())
    return cast(Json, values.astype(np.int64).tolist())


def _spelt(values: object) -> Json:
    return [_spelt(value) for value in values] if isinstance(values, list) else number(cast(float, values))


def place_keys(place: Place | None) -> Record:
    """File, line and column."""
    if place is None:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}
