"""A report as Markdown: for a comment on a pull request, and for the summary page of a GitHub job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from mathlab.reports.checks import SIDES, Check
from mathlab.reports.report import Report
from mathlab.terminal import harmless

MOST = 500  # rows of failures; a job's summary may have 1 MB

SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&#])")
BLOCK = re.compile(r"^(\d*)([-+=.)])")  # what may begin a list, or underline a heading
MENTION = re.compile(r"(?<!\w)@(?=\w)")  # GitHub would tell somebody of that name


def markdown(report: Report) -> str:
    """The overview; then, unless the report is quiet, everything that passes."""
    rest = [check for check in report.checks if check.outcome != "failed"]
    passes = ["### What passes", _table(rest)] if rest and not report.quiet else []
    return "\n\n".join([overview(report).rstrip("\n"), *passes]) + "\n"


def overview(report: Report) -> str:
    """The counts of every group, and what fails."""
    failed = [check for check in report.checks if check.outcome == "failed"]
    blocks = [f"## mathlab {report.command}: {'passed' if report.passed else 'failed'}", _begun(report.summary)]
    if report.problems:
        blocks.append("\n".join(f"- {_begun(str(problem))}" for problem in report.problems))
    if report.checks:
        blocks.append(_totals(report.checks))
    if failed:
        blocks += ["### What fails", _table(failed[:MOST])]
        blocks += [f"and {len(failed) - MOST} more"] if len(failed) > MOST else []
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """Data as it is read, in a table's cell too: no character of it is markup, and a line break is a space."""
    line = SPECIAL.sub(r"\\\1", harmless(" ".join(text.split())))
    return MENTION.sub("@<!-- -->", line)


def _begun(text: str) -> str:
    """The same where a line begins, and a few more characters would be markup."""
    return BLOCK.sub(r"\1\\\2", escape(text))


def _totals(checks: Sequence[Check]) -> str:
    rows = []
    for group, of_group in groupby(checks, key=lambda check: check.group):
        outcomes = [check.outcome for check in of_group]
        counts = (outcomes.count("passed"), outcomes.count("erratum"), outcomes.count("failed"))
        rows.append((group, *map(str, counts)))
    return _rows(("", "passed", "errata", "failed"), rows)


def _table(checks: Sequence[Check]) -> str:
    """The columns are named by the kinds of check that there are."""
    kinds = dict.fromkeys(check.kind for check in checks)
    sides = [" / ".join(dict.fromkeys(SIDES[kind][side] for kind in kinds)) for side in (0, 1)]
    rows = [(*_cells(check), check.said) for check in checks]
    return _rows(("", "check", *sides, "error", "tolerance", "verdict", "where", "remarks"), rows)


def _cells(check: Check) -> Iterator[str]:
    yield f"{check.group}, {check.case}" if check.case else check.group
    yield from (check.name, check.expected, check.computed, check.error, check.tolerance, check.verdict, check.where)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
