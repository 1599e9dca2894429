"""What differs between two sets of outputs, and somebody else's arrays beside the lab's: as a page and as checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from mathlab.diagnosis.slips import listed
from mathlab.errors import Problem
from mathlab.oracle.oracle import Compared, OracleResult
from mathlab.outputs.difference import Difference
from mathlab.reports.checks import Check
from mathlab.reports.layout import Paragraph, Row, Sheet, count, number, plain, said, short
from mathlab.reports.report import Report
from mathlab.results import Outcome

EMPTY = "(empty)"  # a cell


def difference_report(
    a: Path, b: Path, found: Difference | None, most: int, problems: Sequence[Problem] = (), quiet: bool = False
) -> Report:
    """What was found between `a` and `b`, if they were compared; at most `most` things are told."""
    changes, one_sided = found.worst(most) if found else ((), ())
    told = found and found._replace(changes=changes, one_sided=one_sided)
    return Report(
        "diff",
        fine=found is not None and found.same,
        summary=difference_summary(found) if found else "nothing was compared",
        tables=lambda: difference_page(found, most) if found else (),
        compared=lambda: _difference_checks(found, most, a) if found else (),
        about=lambda: {"a": a, "b": b, "difference": told},
        problems=problems,
        quiet=quiet,
    )


def _difference_checks(found: Difference, most: int, side: Path) -> Iterator[Check]:
    """One for everything that differs, as far as it is told; one for every other file."""

    def check(file: str, name: str, verdict: str) -> Check:
        outcome: Outcome = "passed" if verdict == "same" else "failed"
        return Check(
            "cell", name or file, outcome, verdict, group=file, file=str(side / file if side.is_dir() else side)
        )

    changes, one_sided = found.worst(most)
    for change in changes:
        told = check(change.file, f"{change.key}: {change.column}", "differs")
        yield told._replace(expected=change.a or EMPTY, computed=change.b or EMPTY, error=short(change.error))
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


def oracle_report(
    path: Path,
    results: Sequence[OracleResult] = (),
    problems: Sequence[Problem] = (),
    quiet: bool = False,
    unmatched: bool = False,
) -> Report:
    """What was found out about the arrays of the file at `path`, of which, with `unmatched`, some may be of nothing."""
    whole = unmatched or not any(result.ignored for result in results)
    return Report(
        "oracle",
        fine=bool(results) and all(result.passed for result in results) and whole,
        summary=oracle_summary([row for result in results for row in result.compared]),
        tables=lambda: (oracle_page(result, quiet) for result in results),
        compared=lambda: (_check(row, result, path) for result in results for row in result.compared),
        about=lambda: {"arrays": path, "cases": results},
        problems=problems,
        quiet=quiet,
    )


def _check(row: Compared, result: OracleResult, path: Path) -> Check:
    """The numbers are those of the entry that is furthest off."""
    said = (("entry", ",".join(map(str, row.index))), ("message", _misfit(row)), ("diagnosis", row.diagnosis))
    return Check(
        kind="array",
        group=path.name,
        case=result.case,
        name=row.array if row.array == row.quantity else f"{row.array} (as {row.quantity})",
        outcome="passed" if row.passed else "failed",
        verdict=row.verdict,
        file=str(path),
        expected=number(row.computed) if row.fits else "",
        computed=number(row.given) if row.fits else "",
        tolerance=short(row.tolerance) if row.fits else "",
        remarks=tuple((word, text) for word, text in said if text),
    )


def _misfit(row: Compared) -> str:
    return "" if row.fits else f"has shape {row.shape}, but {row.quantity} has shape {row.expected}"


def oracle_page(result: OracleResult, only_failures: bool = False) -> RenderableType:
    """A row for each array, with the entry that is furthest off; below it what is known of the reason."""
    shown = [row for row in result.compared if not (only_failures and row.passed)]
    names = ("array", "held against", "shape", "entry", "given", "computed", "tolerance", "verdict")
    parts: list[RenderableType] = [Paragraph(plain(f"case {result.case}", "bold underline"))]
    if shown:
        parts.append(Sheet(names, tuple(map(_array_row, shown)), head=(0, 7), words=(0, 1, 2, 3, 7)))
    if result.ignored:
        hint = f"{result.sought}; say it with --map {result.ignored[0]}=NAME, or --allow-unmatched"
        parts.append(Paragraph(plain(f"not compared: {', '.join(result.ignored)} ({hint})", "yellow"), indent=2))
    if result.first_divergence:
        parts += [*_causes(result), Paragraph(plain(f"differs first: {result.first_divergence}"), indent=2)]
    words = oracle_summary(result.compared)
    return Group(*parts, Paragraph(plain(words, "bold" if result.passed else "bold red")))


def _causes(result: OracleResult) -> Iterator[RenderableType]:
    """What was found, each cause once, and what it explains; and how much was tried, where that was not all."""
    differing = [row.array for row in result.compared if not row.passed]
    told = {array for why in result.causes for array in why.explains}
    for why in result.causes:
        yield Paragraph(plain(f"{'and then' if why.upon else 'cause'}: {why.cause}", "bold"), indent=2)
        for other in why.others:
            yield Paragraph(plain(f"or: {other}"), indent=4)
        if why.instead:
            yield Paragraph(plain(f"write: {why.instead}"), indent=4)
        rest = [array for array in differing if array not in why.explains]
        yield Paragraph(plain(f"explains {listed(why.explains)}{f'; not {listed(rest)}' if rest else ''}"), indent=4)
    unexplained = [array for array in differing if array not in told]
    if unexplained and result.known:
        some = f"{result.tried:,} of at least {result.known:,} mistakes tried; --thorough tries all"
        words = some if result.tried < result.known else f"none of {result.known:,} mistakes fits"
        yield Paragraph(plain(f"no cause found for {listed(unexplained)}: {words}"), indent=2)


def oracle_summary(rows: Sequence[Compared]) -> str:
    """The last line of what is said of somebody else's arrays."""
    differ = sum(not row.passed for row in rows)
    return f"{count(len(rows), 'array')}, {len(rows) - differ} agree, {differ} differ"


def _array_row(row: Compared) -> Row:
    given, computed = number(row.given), number(row.computed)
    if given == computed and not row.passed:  # they differ further on
        given, computed = repr(float(row.given)), repr(float(row.computed))
    numbers = (given, computed, short(row.tolerance)) if row.fits else ("", "", "")
    cells = (
        *(plain(row.array, "bold"), plain(row.quantity), plain(str(row.shape))),
        *(plain(str(list(row.index)) if row.index else ""), *map(plain, numbers)),
        plain(row.verdict, "green" if row.passed else "bold red"),
    )
    return Row(cells, () if row.fits else (plain(_misfit(row)),))
