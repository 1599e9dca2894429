"""What a command reports: one record, which every command fills and every format renders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.console import Group, RenderableType

from mathlab.errors import Problem
from mathlab.reports import data
from mathlab.reports import page as tables
from mathlab.reports.checks import Check, checks
from mathlab.reports.data import Record
from mathlab.reports.layout import Paragraph, plain
from mathlab.reports.overview import View, showing
from mathlab.results import ExperimentResult, Tally, tally


@dataclass(frozen=True)
class Report:
    """What a command found, in every way in which a format may tell it.

    `fine` says whether all that ran is as it should be, `summary` is the last line. `tables` are the page, as on a
    terminal, `compared` everything that was compared, `about` what JSON says of it: each is made when a format asks.
    `problems` are those that ended the command, or kept an experiment from running. With `quiet`, what passed is left
    out of the formats that people read.
    """

    command: str
    fine: bool
    summary: str
    tables: Callable[[], Iterable[RenderableType]]
    compared: Callable[[], Iterable[Check]]
    about: Callable[[], Mapping[str, object]]
    problems: Sequence[Problem] = ()
    quiet: bool = False

    @property
    def passed(self) -> bool:
        """Whether the command exits with 0."""
        return self.fine and not self.problems

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Everything that was compared."""
        return tuple(self.compared())

    def page(self) -> RenderableType:
        """The problems and the tables, as on a terminal."""
        return Group(*(Paragraph(plain(str(problem), "bold red")) for problem in self.problems), *self.tables())

    def record(self) -> Record:
        """All of it, for JSON."""
        return data.report(self.command, self.passed, self.problems, self.about())


def run_report(
    command: str,
    results: Sequence[ExperimentResult] = (),
    problems: Sequence[Problem] = (),
    quiet: bool = False,
    articles: Sequence[Report] = (),
    brief: bool = False,
) -> Report:
    """What run, backprop, gradcheck or train found."""
    counts = sum(map(tally, results), Tally())

    def shown() -> Iterator[RenderableType]:
        view = View(showing(quiet, brief), counted=len(results) > 1 and not quiet)
        yield from (part for result in results for part in view.of(result))
        yield from (article.page() for article in articles)
        yield tables.closing(counts)

    def about() -> Mapping[str, object]:
        read = {"articles": [article.about()["article"] for article in articles]} if articles else {}
        return {"summary": counts, "experiments": results, **read}

    return Report(
        command,
        fine=counts.passed and all(article.passed for article in articles),
        summary=tables.summary(counts),
        tables=shown,
        compared=lambda: [check for found in (*map(checks, results), *(a.checks for a in articles)) for check in found],
        about=about,
        problems=problems,
        quiet=quiet,
    )
