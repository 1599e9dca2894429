"""What the stages computed for a case, as arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np

from mathlab.experiment import Array
from mathlab.results import CaseResult, EntryChecks


def of_backprop(case: CaseResult) -> Mapping[str, Array]:
    """Every value, and every gradient as `d<name>`."""
    found: dict[str, Array] = {}
    for node in case.backprop.nodes if case.backprop else ():
        found[node.name] = node.value
        if node.gradient is not None:
            found[f"d{node.name}"] = node.gradient
    return found


def of_gradcheck(case: CaseResult) -> Mapping[str, Array]:
    """The derived gradient of every parameter of which all entries were checked."""
    checks = EntryChecks.of(case.gradcheck.entries if case.gradcheck else ())
    found: dict[str, Array] = {}
    rows = zip(checks.parameter, checks.indices, checks.derived, strict=True)
    for parameter, entries in groupby(rows, key=lambda row: row[0]):
        if case.gradcheck and parameter in case.gradcheck.sampled:
            continue
        listed = list(entries)
        shape = tuple(length + 1 for length in listed[-1][1])  # in C order, so that the last is the furthest
        found[f"d{parameter}"] = np.array([derived for *_, derived in listed]).reshape(shape)
    return found


def of_train(case: CaseResult) -> Mapping[str, Array]:
    """The parameters after training, and what was reported of the last epoch."""
    if not case.train:
        return {}
    columns = case.train.columns
    whole = [name for name in columns if not name.endswith("]")] or [*columns]  # W[0,0] is in W
    last = {name: np.asarray(columns[name][-1]) for name in whole if len(columns[name])}
    return {**last, **case.train.parameters}
