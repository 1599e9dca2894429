"""Two sets of outputs, somebody else's arrays and the lab's, a run before and after a change: how they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import starmap
from pathlib import Path

import numpy as np
from rich.console import RenderableType, group
from rich.text import Text

from mathlab.errors import Place, listed
from mathlab.experiment import Array
from mathlab.oracle.oracle import Compared, OracleResult
from mathlab.outputs.difference import Difference
from mathlab.reports.checks import Check, Report, remarked
from mathlab.reports.layout import SHOWN, Row, count, indexed, number, plain, said, sheet, short
from mathlab.results import CaseResult
from mathlab.results.judged import NOT_FINITE, Outcome

EMPTY = "(empty)"  # a cell
STYLES = {True: "green", False: "bold red"}  # of what passes, and of what does not


def difference_report(a: Path, b: Path, found: Difference | None, most: int) -> Report:
    """What was found between `a` and `b`, if they were compared; at most `most` things are told."""
    whole = found or Difference()
    told = whole.worst(most)

    def check(file: str, name: str, verdict: str, sides: tuple[str, str, str] = ("", "", "")) -> Check:
        outcome: Outcome = "passed" if verdict == "same" else "failed"
        place = Place(str(a / file if a.is_dir() else a))
        return Check("cell", name or file, outcome, verdict, *sides, place=place, group=file)

    def checks() -> Iterator[Check]:
        """One for everything that differs, as far as it is told; one for every other file."""
        for c in told.changes:
            yield check(c.file, f"{c.key}: {c.column}", "differs", (c.a or EMPTY, c.b or EMPTY, _part(c.error)))
        for item in told.one_sided:
            yield check(
                item.file, "" if item.kind == "file" else f"{item.kind} {item.what}", f"{item.side.upper()} only"
            )
        shown, wrong = ({c.file for c in of.changes} | {item.file for item in of.one_sided} for of in (told, whole))
        rest = (file for file in whole.files if file not in shown)
        yield from (check(file, "", "differs" if file in wrong else "same") for file in rest)

    return Report(
        "diff",
        fine=bool(found) and whole.same,
        summary=difference_summary(whole) if found else "nothing was compared",
        tables=lambda _: difference_page(told) if found else (),
        compared=checks,
        about=lambda: {"a": a, "b": b, "difference": found and told},
    )


def difference_page(told: Difference) -> Iterator[RenderableType]:
    """The cells that differ, then what one side only has, as far as they are told, then the counts."""
    rows = [Row.of(c.file, c.key, c.column, c.a or EMPTY, c.b or EMPTY, _part(c.error)) for c in told.changes]
    yield from sheet(("file", "row", "column", "A", "B", "relative"), rows, (0, 1, 2), (0, 1, 2), 0)
    yield from [Text("")] if rows else ()
    for item in told.one_sided:
        inside = f" in {item.file}" if item.kind != "file" else ""
        yield said(f"{item.side.upper()} only: {item.kind} {item.what}{inside}")
    if hidden := told.changed - len(rows) + told.missing - len(told.one_sided):
        yield said(f"and {hidden} more", "dim")
    yield said(difference_summary(told), "bold" if told.same else "bold red")


def _part(error: float) -> str:
    """By what part a cell differs; nothing of a text, as a verdict is, or of what is not finite."""
    return short(error) if math.isfinite(error) else ""


def difference_summary(found: Difference) -> str:
    """The last line of a comparison."""
    compared = f"{count(len(found.files), 'file')}, {count(found.cells, 'cell')} compared"
    return f"{compared}, {found.changed} differ, {found.missing} on one side only"


def oracle_report(path: Path, results: Sequence[OracleResult] = (), unmatched: bool = False) -> Report:
    """What was found out about the arrays of the file at `path`, of which, with `unmatched`, some may be of nothing."""

    def check(row: Compared, case: str) -> Check:
        """The numbers are those of the entry that is furthest off."""
        name = row.array if row.array == row.quantity else f"{row.array} (as {row.quantity})"
        outcome: Outcome = "passed" if row.passed else "failed"
        numbers = (number(row.computed), number(row.given), "", short(row.tolerance)) if row.fits else ("", "", "", "")
        about = remarked(entry=",".join(map(str, row.index)), message=_misfit(row), diagnosis=row.diagnosis)
        return Check("array", name, outcome, row.verdict, *numbers, Place(str(path)), about, group=path.name, case=case)

    compared = [(row, result.case) for result in results for row in result.compared]
    whole = unmatched or not any(result.ignored for result in results)
    return Report(
        "oracle",
        fine=bool(results) and all(result.passed for result in results) and whole,
        summary=oracle_summary([row for row, _ in compared]),
        tables=lambda quiet: (oracle_page(result, quiet) for result in results),
        compared=lambda: starmap(check, compared),
        about=lambda: {"arrays": path, "cases": results},
    )


def _misfit(row: Compared) -> str:
    return "" if row.fits else f"has shape {row.shape}, but {row.quantity} has shape {row.expected}"


@group()
def oracle_page(result: OracleResult, only_failures: bool = False) -> Iterator[RenderableType]:
    """A row for each array, with the entry that is furthest off; below it what is known of the reason."""
    rows = []
    for row in (row for row in result.compared if not (only_failures and row.passed)):
        given, computed = number(row.given), number(row.computed)
        if given == computed and not row.passed:  # they differ further on
            given, computed = repr(float(row.given)), repr(float(row.computed))
        numbers = (given, computed, short(row.tolerance)) if row.fits else ("", "", "")
        verdict, entry = plain(row.verdict, STYLES[row.passed]), str([*row.index]) if row.index else ""
        cells = plain(row.array, "bold"), row.quantity, str(row.shape), entry, *numbers, verdict
        rows.append(Row.of(*cells, notes=() if row.fits else (plain(_misfit(row)),)))
    yield said(f"case {result.case}", "bold underline")
    names = ("array", "held against", "shape", "entry", "given", "computed", "tolerance", "verdict")
    yield from sheet(names, rows, (0, 7), (0, 1, 2, 3, 7))
    if result.ignored:
        hint = f"{result.sought}; say it with --map {result.ignored[0]}=NAME or names=; --allow-unmatched lets it be"
        yield said(f"not compared: {', '.join(result.ignored)} ({hint})", "yellow", 2)
    if result.first_divergence:
        yield from _causes(result)
        yield said(f"differs first: {result.first_divergence}", indent=2)
    yield said(oracle_summary(result.compared), "bold" if result.passed else "bold red")


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


@group()
def changes_page(name: str, before: CaseResult, after: CaseResult, quiet: bool = False) -> Iterator[RenderableType]:
    """A row for each entry that moved, of the quantity first whose largest step is the largest part of it; then counts.

    A quantity is new where it is in the second run alone, or has another shape there.
    """
    pairs: list[tuple[str, Array | None, Array]] = []
    gone: list[str] = []
    for stage, result in before.stages.items():
        old = result.arrays
        gone += [key for key in old if key not in after.stages[stage].arrays]
        pairs += [(key, old.get(key), new) for key, new in after.stages[stage].arrays.items()]
    both = [_moved(key, old, new) for key, old, new in pairs if old is not None and np.shape(old) == np.shape(new)]
    moved = sorted((found for found in both if found[1]), key=lambda found: -found[0])
    yield said(f"{name}, case {after.case} ({after.dtype})", "bold underline")
    rows = (row for _, some in moved for row in some)
    yield from sheet(("quantity", "before", "after", "moved by"), () if quiet else rows)
    yield from (said(f"{NOT_FINITE}: {why}", "bold yellow") for why in after.nonfinite.values())
    others = f"; {len(pairs) - len(both)} are new, or have other shapes" if len(pairs) > len(both) else ""
    others += f"; gone {'is' if len(gone) == 1 else 'are'} {listed(gone)}" if gone else ""
    words = f"{len(moved)} of {count(len(pairs), 'quantity', 'quantities')} moved{others}; figures are not judged"
    yield said(words, "bold")


def _moved(key: str, old: Array, new: Array) -> tuple[float, list[Row]]:
    """By what part a quantity moved, and its rows; of a large array that of the entry which moved most."""
    with np.errstate(all="ignore"):
        steps = np.abs(np.float64(new) - np.float64(old))
        size = np.max(steps, initial=0) / max(np.max(np.abs(old), initial=0), np.max(np.abs(new), initial=0))
    differ = np.argwhere((old != new) & ~(np.isnan(old) & np.isnan(new)))
    entries, told = [tuple(map(int, place)) for place in differ], []
    if new.size > SHOWN and entries:
        told = [plain(f"that which moved most of {len(entries)}, of {new.size} entries", "dim")]
        entries = [max(entries, key=lambda at: math.inf if math.isnan(steps[at]) else steps[at])]
    sides = ((at, number(old[at]), number(new[at]), short(float(new[at]) - float(old[at]))) for at in entries)
    rows = [Row.of(plain(indexed(key, at), "bold"), *numbers, notes=told) for at, *numbers in sides]
    return float(size) if math.isfinite(size) else math.inf, rows
