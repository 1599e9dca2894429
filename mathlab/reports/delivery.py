"""Where a command's report goes: to stdout, into a file, onto the summary page of a GitHub job."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathlab import terminal
from mathlab.errors import MathlabError, Problem

if TYPE_CHECKING:
    from mathlab.reports.report import Report

READ_BY_PEOPLE = ("table", "plain")  # formats; their readers read stderr too


@contextlib.contextmanager
def reporting(form: str, target: Path | None, report: Callable[[Sequence[Problem]], Report]) -> Iterator[None]:
    """What ends the command with 2 is told on stderr, and in a report that a program is waiting for as well."""
    try:
        yield
    except MathlabError as error:
        if form not in READ_BY_PEOPLE or target:
            try:
                deliver(report(error.problems), form, target)
            except MathlabError as other:
                raise MathlabError([*dict.fromkeys((*error.problems, *other.problems))]) from None
        raise


def deliver(report: Report, form: str, target: Path | None) -> None:
    """Put the report where it belongs; for GitHub, also what it shows on the job's summary page."""
    from mathlab.files import append, refuse_inputs, replace_file
    from mathlab.reports.formats import FORMATS
    from mathlab.reports.markdown import overview

    if form == "table" and target is None:
        terminal.console().print(report.page(), crop=False)
    elif target is None or str(target) == "-":
        terminal.write(FORMATS[form](report))
    else:
        refuse_inputs([target])
        replace_file(target, FORMATS[form](report))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if form == "github" and summary:
        refuse_inputs([Path(summary)])
        append(Path(summary), overview(report) + "\n")
