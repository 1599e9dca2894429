"""Two sets of outputs: what differs between them, as a page and as checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from mathlab.errors import Problem
from mathlab.outputs.difference import Difference
from mathlab.reports.checks import Check, Outcome
from mathlab.reports.layout import Row, Sheet, count, said, short
from mathlab.reports.report import Report

EMPTY = "(empty)"  # a cell


def difference_report(
    a: Path, b: Path, found: Difference | None, most: int, problems: Sequence[Problem] = (), quiet: bool = False
) -> Report:
    """What was found between `a` and `b`, if they were compared; at most `most` things are told."""
    changes, one_sided = found.worst(most) if found else ((), ())
    told = found and replace(found, changes=changes, one_sided=one_sided)
    return Report(
        "diff",
        fine=found is not None and found.same,
        summary=difference_summary(found) if found else "nothing was compared",
        tables=lambda: difference_page(found, most) if found else (),
        compared=lambda: _checks(found, most, a) if found else (),
        about=lambda: {"a": a, "b": b, "difference": told},
        problems=problems,
        quiet=quiet,
    )


def _checks(found: Difference, most: int, side: Path) -> Iterator[Check]:
    """One for everything that differs, as far as it is told; one for every other file."""

    def check(file: str, name: str, verdict: str) -> Check:
        outcome: Outcome = "passed" if verdict == "same" else "failed"
        return Check(
            "cell", name or file, outcome, verdict, group=file, file=str(side / file if side.is_dir() else side)
        )

    changes, one_sided = found.worst(most)
    for change in changes:
        told = check(change.file, f"{change.key}: {change.column}", "differs")
        yield replace(told, expected=change.a or EMPTY, computed=change.b or EMPTY, error=short(change.error))
    for item in one_sided:
        name = f"{item.kind} {item.what}" if item.kind != "file" else ""
        yield check(item.file, name, f"{item.side.upper()} only")
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
