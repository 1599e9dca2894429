"""The CSV files that stages write: their columns, and what `mathlab diff` has to know of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Row = tuple[str, ...]
DType = Literal["float64", "Int64", "boolean"]


@dataclass(frozen=True)
class Layout:
    """What is known about a CSV file.

    `columns` come first, `case` the first of them; an `open_ended` file continues with columns of its own. `keys` are
    the columns that tell its rows apart, `stages` those that write it. `kinds` are the pandas dtypes of the columns
    that are no texts; a column of its own is float64. The rest is for `mathlab diff`: `texts` are
    compared as they are written, `derived` (computed from other columns) are not compared, `scales` names the column by
    whose size a column's tolerance is measured, `amplified` says how many tolerances a column may differ by, and the
    `rough` ones, which measure rounding itself, are the same when they are of the same order of size.
    `allowed` says of a column what share of another one it may be off by: a figure's computed value need not be known
    much finer than the figure was printed.
    """

    columns: Row
    keys: Row
    kinds: Mapping[str, DType] = field(default_factory=dict)
    open_ended: bool = False
    texts: Row = ()
    derived: Row = ()
    scales: Mapping[str, str] = field(default_factory=dict)
    amplified: Mapping[str, float] = field(default_factory=dict)
    rough: Row = ()
    allowed: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    stages: tuple[str, ...] = ()


NODES = Layout(
    columns=("case", "role", "name", "index", "value", "gradient"),
    keys=("case", "name", "index"),
    kinds={"value": "float64", "gradient": "float64"},
)

NORMS = Layout(
    columns=("case", "name", "role", "shape", "norm", "largest"),
    keys=("case", "name"),
    kinds={"norm": "float64", "largest": "float64"},
)

WITNESSES = Layout(
    columns=("case", "name", "witness", "relative", "ulp", "verdict", "message"),
    keys=("case", "name", "witness"),
    kinds={"relative": "float64", "ulp": "float64"},
    derived=("relative", "ulp"),  # rounding itself, which no tolerance measures
)

FIGURES = Layout(
    columns=(
        *("case", "stage", "updates", "quantity", "index"),
        *("printed", "computed", "error", "tolerance", "verdict", "worked_out", "at", "erratum", "diagnosis"),
    ),
    keys=("case", "stage", "updates", "quantity", "index"),
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
    rough=("tolerance",),
    allowed={"computed": ("tolerance", 2e-5), "error": ("tolerance", 2e-5)},
)

DERIVATION = Layout(
    columns=(
        *("case", "name", "formula", "derived", "error", "tolerance"),
        *("verdict", "message", "at", "erratum", "diagnosis"),
    ),
    keys=("case", "name", "formula"),
    kinds={"error": "float64", "tolerance": "float64"},
    texts=("at", "erratum"),
    rough=("tolerance",),
    allowed={"error": ("tolerance", 0.01)},
)

GRADCHECK = Layout(
    columns=(
        *("case", "parameter", "index", "derived", "complex_step", "central"),
        *("resolution", "absolute_error", "relative_error", "verdict", "passed"),
    ),
    keys=("case", "parameter", "index"),
    kinds={
        **dict.fromkeys(("derived", "complex_step", "central"), "float64"),
        **dict.fromkeys(("resolution", "absolute_error", "relative_error"), "float64"),
        "passed": "boolean",
    },
    derived=("relative_error",),
    scales={"absolute_error": "derived"},
    rough=("resolution",),
    allowed=dict.fromkeys(("derived", "complex_step", "absolute_error"), ("resolution", 0.01)),
    # a difference quotient divides the rounding of its two values by its step, which is cbrt(eps)
    amplified={"central": sys.float_info.epsilon ** (-1 / 3)},
)

TRAINING = Layout(columns=("case", "epoch"), keys=("case", "epoch"), kinds={"epoch": "Int64"}, open_ended=True)

SWEEP = Layout(
    columns=("case", "run", "nonfinite"),
    keys=("case", "run"),
    kinds={"run": "Int64"},
    open_ended=True,
    texts=("nonfinite",),
)
