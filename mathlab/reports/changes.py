"""What a changed number moves: before and after, what moved most first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType

from mathlab.experiment import Array
from mathlab.reports.layout import SHOWN, Paragraph, Row, Sheet, count, indexed, number, plain, short
from mathlab.results import NOT_FINITE, CaseResult, nonfinite_of
from mathlab.stages.table import STAGES


@dataclass(frozen=True)
class Moved:
    """A quantity of which some entries are others: `size` is the largest step beside the larger of the two arrays."""

    name: str
    before: Array
    after: Array
    size: float

    @property
    def entries(self) -> list[tuple[int, ...]]:
        """Those that moved, in C order."""
        return list(
            zip(*map(np.ndarray.tolist, np.nonzero(np.atleast_1d(_differ(self.before, self.after)))), strict=True)
        )


def moved(before: CaseResult, after: CaseResult) -> tuple[list[Moved], int]:
    """What differs between two runs of a case, what moved most first; and of how many quantities."""
    found, quantities = [], 0
    for name in before.stages:
        old, new = STAGES[name].arrays(before), STAGES[name].arrays(after)
        quantities += len(new)
        found += [Moved(key, old[key], new[key], _size(old[key], new[key])) for key in new if key in old]
    return sorted((one for one in found if one.size), key=lambda one: -one.size), quantities


def page(name: str, before: CaseResult, after: CaseResult) -> RenderableType:
    """A row for each entry that moved, of a large array for that which moved most; then how many quantities did."""
    found, quantities = moved(before, after)
    lost = [Paragraph(plain(f"{NOT_FINITE}: {said}", "bold yellow")) for said in nonfinite_of(after).values()]
    rows = tuple(row for one in found for row in _rows(one))
    sheet = [Sheet(("quantity", "before", "after", "moved by"), rows)] if rows else []
    words = f"{len(found)} of {count(quantities, 'quantity', 'quantities')} moved; figures are not judged"
    title = Paragraph(plain(f"{name}, case {after.case} ({after.dtype})", "bold underline"))
    return Group(title, *sheet, *lost, Paragraph(plain(words, "bold")))


def _rows(one: Moved) -> Iterable[Row]:
    entries = one.entries
    large = one.after.size > SHOWN
    if large:
        with np.errstate(all="ignore"):
            steps = np.abs(np.float64(one.after) - np.float64(one.before))
        entries = [tuple(map(int, np.unravel_index(np.argmax(np.nan_to_num(steps, nan=math.inf)), steps.shape)))]
    told = (plain(f"that which moved most of {len(one.entries)}, of {one.after.size} entries", "dim"),) if large else ()
    for index in entries:
        index = index if one.after.ndim else ()
        old, new = one.before[index], one.after[index]
        step = short(float(new) - float(old))
        yield Row((plain(indexed(one.name, index), "bold"), *map(plain, (number(old), number(new), step))), told)


def _differ(before: Array, after: Array) -> NDArray[np.bool_]:
    return np.asarray((before != after) & ~(np.isnan(before) & np.isnan(after)))


def _size(before: Array, after: Array) -> float:
    if not np.any(_differ(before, after)):
        return 0.0
    with np.errstate(all="ignore"):
        old, new = np.float64(before), np.float64(after)
        largest = float(np.max(np.abs(new - old)) / max(np.max(np.abs(old)), np.max(np.abs(new))))
    return largest if math.isfinite(largest) else math.inf
