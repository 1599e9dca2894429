"""A report as workflow commands of GitHub Actions: an annotation at the line of each figure that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mathlab.errors import Place
from mathlab.reports.checks import sentence
from mathlab.reports.report import Report
from mathlab.terminal import harmless

MOST = 10  # annotations; GitHub shows no more of one step


def github(report: Report) -> str:
    """At most `MOST` annotations, then how many more there are, then the summary."""
    annotations = list(_annotations(report))
    lines = annotations[:MOST]
    if len(annotations) > MOST:
        lines.append(f"and {len(annotations) - MOST} more")
    return "\n".join([*lines, harmless(report.summary)]) + "\n"


def _annotations(report: Report) -> Iterator[str]:
    for problem in report.problems:
        yield _annotation(problem.message, problem.place)
    for check in report.checks:
        if check.outcome == "failed":
            owner = f"{check.group}, case {check.case}" if check.case else check.group
            known = f"; {check.said}" if check.said else ""
            yield _annotation(f"{owner}: {sentence(check)}{known}", check.place, check.file)


def _annotation(message: str, place: Place | None, file: str = "") -> str:
    where = []
    if place or file:
        where.append(f"file={_property(_in_workspace(place.file if place else file))}")
    if place:
        where += [f"line={place.line}", f"col={place.column}"]
    return f"::error {','.join(where)}::{_data(message)}" if where else f"::error::{_data(message)}"


def _in_workspace(file: str) -> str:
    """The path from the repository's root, which is what GitHub looks it up by."""
    root, path = os.environ.get("GITHUB_WORKSPACE"), os.path.abspath(file)
    if root and os.path.commonpath([os.path.abspath(root), path]) == os.path.abspath(root):
        return os.path.relpath(path, root)
    return file


def _data(text: str) -> str:
    """Escaped as GitHub's runner unescapes it."""
    return harmless(text, kept="\r\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
