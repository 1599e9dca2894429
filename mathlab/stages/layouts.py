"""The CSV files that stages write: their columns, and what `mathlab diff` has to know of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple

Row = tuple[str, ...]
DType = Literal["float64", "Int64", "boolean"]
KINDS: Mapping[str, DType] = {"float64": "float64", "Int64": "Int64", "boolean": "boolean"}


class Layout(NamedTuple):
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
    kinds: Mapping[str, DType] = {}
    open_ended: bool = False
    texts: Row = ()
    derived: Row = ()
    scales: Mapping[str, str] = {}
    amplified: Mapping[str, float] = {}
    rough: Row = ()
    allowed: Mapping[str, tuple[str, float]] = {}
    stages: tuple[str, ...] = ()


def _table(columns: str, keys: str) -> Layout:
    """The layout of such columns: `index value:float64`, where those without a kind are texts."""
    pairs = [column.partition(":") for column in columns.split()]
    kinds = {name: KINDS[kind] for name, _, kind in pairs if kind}
    return Layout(tuple(name for name, _, _ in pairs), tuple(keys.split()), kinds)


NODES = _table("case role name index value:float64 gradient:float64", keys="case name index")
NORMS = _table("case name role shape norm:float64 largest:float64", keys="case name")
WITNESSES = _table("case name witness relative:float64 ulp:float64 verdict message", keys="case name witness")._replace(
    derived=("relative", "ulp"),  # rounding itself, which no tolerance measures
)
FIGURES = _table(
    "case stage updates:Int64 quantity index printed computed:float64 error:float64 tolerance:float64 verdict "
    "worked_out:boolean at erratum diagnosis",
    keys="case stage updates quantity index",
)._replace(
    texts=("printed", "at", "erratum"),
    # error = computed - printed, two nearly equal numbers: it is off by no more than computed is
    scales={"error": "computed"},
    rough=("tolerance",),
    allowed={"computed": ("tolerance", 2e-5), "error": ("tolerance", 2e-5)},
)
DERIVATION = _table(
    "case name formula derived error:float64 tolerance:float64 verdict message at erratum diagnosis",
    keys="case name formula",
)._replace(
    texts=("at", "erratum"),
    rough=("tolerance",),
    allowed={"error": ("tolerance", 0.01)},
)
GRADCHECK = _table(
    "case parameter index derived:float64 complex_step:float64 central:float64 resolution:float64 "
    "absolute_error:float64 relative_error:float64 verdict passed:boolean",
    keys="case parameter index",
)._replace(
    derived=("relative_error",),
    scales={"absolute_error": "derived"},
    rough=("resolution",),
    allowed=dict.fromkeys(("derived", "complex_step", "absolute_error"), ("resolution", 0.01)),
    # a difference quotient divides the rounding of its two values by its step, which is cbrt(eps)
    amplified={"central": sys.float_info.epsilon ** (-1 / 3)},
)
TRAINING = _table("case epoch:Int64", keys="case epoch")._replace(open_ended=True)
SWEEP = _table("case run:Int64 nonfinite", keys="case run")._replace(open_ended=True, texts=("nonfinite",))
