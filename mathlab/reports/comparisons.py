"""Two sets of outputs, somebody else's arrays and the lab's, a run before and after a change: how they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from mathlab.diagnosis.slips import listed
from mathlab.experiment import Array
from mathlab.oracle.oracle import Compared, OracleResult
from mathlab.outputs.difference import Difference
from mathlab.reports.checks import Check, Report, remarked
from mathlab.reports.layout import SHOWN, Row, Sheet, count, indexed, number, plain, said, short
from mathlab.results import NOT_FINITE, CaseResult, Outcome

EMPTY = "(empty)"  # a cell


def difference_report(a: Path, b: Path, found: Difference | None, most: int) -> Report:
    """What was found between `a` and `b`, if they were compared; at most `most` things are told."""
    changes, one_sided = found.worst(most) if found else ((), ())
    told = found and found._replace(changes=changes, one_sided=one_sided)
    return Report(
        "diff",
        fine=found is not None and found.same,
        summary=difference_summary(found) if found else "nothing was compared",
        tables=lambda _: difference_page(found, most) if found else (),
        compared=lambda: _difference_checks(found, most, a) if found else (),
        about=lambda: {"a": a, "b": b, "difference": told},
    )


def _difference_checks(found: Difference, most: int, side: Path) -> Iterator[Check]:
    """One for everything that differs, as far as it is told; one for every other file."""

    def check(file: str, name: str, verdict: str, sides: tuple[str, str, str] = ("", "", "")) -> Check:
        outcome: Outcome = "passed" if verdict == "same" else "failed"
        path = side / file if side.is_dir() else side
        return Check("cell", name or file, outcome, verdict, *sides, group=file, file=str(path))

    changes, one_sided = found.worst(most)
    for c in changes:
        yield check(c.file, f"{c.key}: {c.column}", "differs", (c.a or EMPTY, c.b or EMPTY, short(c.error)))
    for item in one_sided:
        yield check(item.file, f"{item.kind} {item.what}" * (item.kind != "file"), f"{item.side.upper()} only")
    wrong = {change.file for change in found.changes} | {item.file for item in found.one_sided}
    shown = {change.file for change in changes} | {item.file for item in one_sided}
    yield from (check(file, "", "differs" if file in wrong else "same") for file in found.files if file not in shown)


def difference_page(found: Difference, most: int) -> Iterator[RenderableType]:
    """The worst of the cells that differ, then what one side only has, `most` in all, then the counts."""
    changes, one_sided = found.worst(most)
    if changes:
        rows = (Row.of(c.file, c.key, c.column, c.a or EMPTY, c.b or EMPTY, short(c.error)) for c in changes)
        yield Sheet(("file", "row", "column", "A", "B", "relative"), tuple(rows), (0, 1, 2), (0, 1, 2), 0)
        yield Text("")
    for item in one_sided:
        inside = f" in {item.file}" if item.kind != "file" else ""
        yield said(f"{item.side.upper()} only: {item.kind} {item.what}{inside}")
    if hidden := found.changed - len(changes) + found.missing - len(one_sided):
        yield said(f"and {hidden} more", "dim")
    yield said(difference_summary(found), "bold" if found.same else "bold red")


def difference_summary(found: Difference) -> str:
    """The last line of a comparison."""
    compared = f"{count(len(found.files), 'file')}, {count(found.cells, 'cell')} compared"
    return f"{compared}, {found.changed} differ, {found.missing} on one side only"


def oracle_report(path: Path, results: Sequence[OracleResult] = (), unmatched: bool = False) -> Report:
    """What was found out about the arrays of the file at `path`, of which, with `unmatched`, some may be of nothing."""
    whole = unmatched or not any(result.ignored for result in results)
    return Report(
        "oracle",
        fine=bool(results) and all(result.passed for result in results) and whole,
        summary=oracle_summary([row for result in results for row in result.compared]),
        tables=lambda quiet: (oracle_page(result, quiet) for result in results),
        compared=lambda: (_check(row, result, path) for result in results for row in result.compared),
        about=lambda: {"arrays": path, "cases": results},
    )


def _check(row: Compared, result: OracleResult, path: Path) -> Check:
    """The numbers are those of the entry that is furthest off."""
    name = row.array if row.array == row.quantity else f"{row.array} (as {row.quantity})"
    outcome: Outcome = "passed" if row.passed else "failed"
    numbers = (number(row.computed), number(row.given), "", short(row.tolerance)) if row.fits else ("", "", "", "")
    about = remarked(entry=",".join(map(str, row.index)), message=_misfit(row), diagnosis=row.diagnosis)
    group, file = path.name, str(path)
    return Check("array", name, outcome, row.verdict, *numbers, None, about, group=group, case=result.case, file=file)


def _misfit(row: Compared) -> str:
    return "" if row.fits else f"has shape {row.shape}, but {row.quantity} has shape {row.expected}"


def oracle_page(result: OracleResult, only_failures: bool = False) -> RenderableType:
    """A row for each array, with the entry that is furthest off; below it what is known of the reason."""
    rows = []
    for row in result.compared:
        given, computed = number(row.given), number(row.computed)
        if given == computed and not row.passed:  # they differ further on
            given, computed = repr(float(row.given)), repr(float(row.computed))
        numbers = (given, computed, short(row.tolerance)) if row.fits else ("", "", "")
        verdict, entry = (
            plain(row.verdict, "green" if row.passed else "bold red"),
            str([*row.index]) if row.index else "",
        )
        cells = plain(row.array, "bold"), row.quantity, str(row.shape), entry, *numbers, verdict
        if not (only_failures and row.passed):
            rows.append(Row.of(*cells, notes=() if row.fits else (plain(_misfit(row)),)))
    names = ("array", "held against", "shape", "entry", "given", "computed", "tolerance", "verdict")
    parts: list[RenderableType] = [said(f"case {result.case}", "bold underline")]
    parts += [Sheet(names, tuple(rows), head=(0, 7), words=(0, 1, 2, 3, 7))] if rows else []
    if result.ignored:
        hint = f"{result.sought}; say it with --map {result.ignored[0]}=NAME, or --allow-unmatched"
        parts.append(said(f"not compared: {', '.join(result.ignored)} ({hint})", "yellow", 2))
    if result.first_divergence:
        parts += [*_causes(result), said(f"differs first: {result.first_divergence}", indent=2)]
    return Group(*parts, said(oracle_summary(result.compared), "bold" if result.passed else "bold red"))


def _causes(result: OracleResult) -> Iterator[RenderableType]:
    """What was found, each cause once, and what it explains; and how much was tried, where that was not all."""
    unexplained = differing = [row.array for row in result.compared if not row.passed]
    for why in result.causes:
        yield said(f"{'and then' if why.upon else 'cause'}: {why.cause}", "bold", 2)
        yield from (said(f"or: {other}", indent=4) for other in why.others)
        if why.instead:
            yield said(f"write: {why.instead}", indent=4)
        rest = [array for array in differing if array not in why.explains]
        unexplained = [array for array in unexplained if array not in why.explains]
        yield said(f"explains {listed(why.explains)}{f'; not {listed(rest)}' if rest else ''}", indent=4)
    if unexplained and result.known:
        some = f"{result.tried:,} of at least {result.known:,} mistakes tried; --thorough tries all"
        words = some if result.tried < result.known else f"none of {result.known:,} mistakes fits"
        yield said(f"no cause found for {listed(unexplained)}: {words}", indent=2)


def oracle_summary(rows: Sequence[Compared]) -> str:
    """The last line of what is said of somebody else's arrays."""
    differ = sum(not row.passed for row in rows)
    return f"{count(len(rows), 'array')}, {len(rows) - differ} agree, {differ} differ"


# What a change moves


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
        old, new = before.stages[name].arrays, after.stages[name].arrays
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


def changes_page(name: str, before: CaseResult, after: CaseResult) -> RenderableType:
    """A row for each entry that moved, of a large array for that which moved most; then how many quantities did."""
    found, quantities, fresh = moved(before, after)
    lost = (said(f"{NOT_FINITE}: {why}", "bold yellow") for why in after.nonfinite.values())
    rows = tuple(row for one in found for row in _rows(one))
    sheet = [Sheet(("quantity", "before", "after", "moved by"), rows)] if rows else []
    others = f"; {fresh} are new, or have other shapes" if fresh else ""
    words = f"{len(found)} of {count(quantities, 'quantity', 'quantities')} moved{others}; figures are not judged"
    title = said(f"{name}, case {after.case} ({after.dtype})", "bold underline")
    return Group(title, *sheet, *lost, said(words, "bold"))


def _rows(one: Moved) -> Iterable[Row]:
    entries, told = one.entries, []
    steps = {place: float(one.after[place]) - float(one.before[place]) for place in entries}
    if one.after.size > SHOWN:
        entries = [max(entries, key=lambda place: math.inf if math.isnan(steps[place]) else abs(steps[place]))]
        told = [plain(f"that which moved most of {len(one.entries)}, of {one.after.size} entries", "dim")]
    for place in entries:
        name, old, new = plain(indexed(one.name, place), "bold"), number(one.before[place]), number(one.after[place])
        yield Row.of(name, old, new, short(steps[place]), notes=told)
