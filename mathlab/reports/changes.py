"""What a changed number moves: before and after, what moved most first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from rich.console import Group, RenderableType

from mathlab.experiment import Array
from mathlab.reports.layout import SHOWN, Row, Sheet, count, indexed, number, plain, said, short
from mathlab.results import NOT_FINITE, CaseResult, nonfinite_of
from mathlab.stages.table import STAGES


class Moved(NamedTuple):
    """A quantity of which some `entries` are others: `size` is the largest step beside the larger of the two arrays."""

    name: str
    before: Array
    after: Array
    entries: list[tuple[int, ...]]
    size: float


def moved(before: CaseResult, after: CaseResult) -> tuple[list[Moved], int, int]:
    """What differs between two runs of a case, what moved most first; of how many quantities; and how many are new.

    A quantity is new where it is in the second run alone, or has another shape there.
    """
    found, quantities, fresh = [], 0, 0
    for name in before.stages:
        old, new = STAGES[name].arrays(before), STAGES[name].arrays(after)
        quantities += len(new)
        both = [key for key in new if key in old and np.shape(old[key]) == np.shape(new[key])]
        found += [one for key in both if (one := _moved(key, old[key], new[key]))]
        fresh += len(new) - len(both)
    return sorted(found, key=lambda one: -one.size), quantities, fresh


def _moved(name: str, before: Array, after: Array) -> Moved | None:
    differ = np.asarray((before != after) & ~(np.isnan(before) & np.isnan(after)))
    if not differ.any():
        return None
    with np.errstate(all="ignore"):
        old, new = np.float64(before), np.float64(after)
        size = float(np.max(np.abs(new - old)) / max(np.max(np.abs(old)), np.max(np.abs(new))))
    entries = [tuple(map(int, place)) for place in np.argwhere(differ)]
    return Moved(name, before, after, entries, size if math.isfinite(size) else math.inf)


def page(name: str, before: CaseResult, after: CaseResult) -> RenderableType:
    """A row for each entry that moved, of a large array for that which moved most; then how many quantities did."""
    found, quantities, fresh = moved(before, after)
    lost = (said(f"{NOT_FINITE}: {why}", "bold yellow") for why in nonfinite_of(after).values())
    rows = tuple(row for one in found for row in _rows(one))
    sheet = [Sheet(("quantity", "before", "after", "moved by"), rows)] if rows else []
    others = f"; {fresh} are new, or have other shapes" if fresh else ""
    words = f"{len(found)} of {count(quantities, 'quantity', 'quantities')} moved{others}; figures are not judged"
    title = said(f"{name}, case {after.case} ({after.dtype})", "bold underline")
    return Group(title, *sheet, *lost, said(words, "bold"))


def _rows(one: Moved) -> Iterable[Row]:
    def step(place: tuple[int, ...]) -> float:
        return float(one.after[place]) - float(one.before[place])

    entries, told = one.entries, []
    if one.after.size > SHOWN:
        entries = [max(one.entries, key=lambda place: math.inf if math.isnan(step(place)) else abs(step(place)))]
        told = [plain(f"that which moved most of {len(one.entries)}, of {one.after.size} entries", "dim")]
    for place in entries:
        name, old, new = plain(indexed(one.name, place), "bold"), number(one.before[place]), number(one.after[place])
        yield Row.of(name, old, new, short(step(place)), notes=told)
