"""Results -> text in the formats that other programs read. Nothing here prints; a new format is one line of `FORMATS`.

A command that is to have all of them describes what it found in a record of `mathlab.reports.report`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

from rich.console import Console, RenderableType

from mathlab.reports import data
from mathlab.reports.github import github
from mathlab.reports.junit import junit
from mathlab.reports.markdown import markdown
from mathlab.reports.report import Report

ENDLESS = 1_000_000  # columns: a file has no edge at which to fold a line


def plain(page: RenderableType) -> str:
    """Tables without colour, in lines as long as they need to be, so that they are the same everywhere."""
    text = io.StringIO()
    console = Console(
        file=text, color_system=None, force_terminal=False, highlight=False, width=ENDLESS, height=ENDLESS
    )
    console.print(page, crop=False)
    return text.getvalue()


def json(report: Report) -> str:
    """Everything, at full precision, in the form of `report.schema.json`."""
    return data.text(report.record())


FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": lambda report: plain(
        report.page()
    ),  # on a terminal the command prints the page itself, as wide as the terminal is and in colour
    "plain": lambda report: plain(report.page()),
    "json": json,
    "junit": junit,
    "github": github,
    "markdown": markdown,
}
