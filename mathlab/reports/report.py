"""What a command reports: one record a command, each of which can say what it found in every way a format needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Group, RenderableType

from mathlab.errors import Problem
from mathlab.outputs.difference import Change, Difference, OneSided
from mathlab.reports import data
from mathlab.reports import page as tables
from mathlab.reports.checks import Check, Outcome, checks
from mathlab.reports.layout import Paragraph, number, plain, short
from mathlab.reports.overview import showing
from mathlab.reports.values import Record
from mathlab.results import ExperimentResult, Tally, tally

if TYPE_CHECKING:
    from mathlab.oracle.oracle import Compared, OracleResult
    from mathlab.reports.article import ArticleReport


class Report(Protocol):
    """What the formats need to know of a command's results.

    `problems` are those that ended the command, or kept an experiment from running.
    """

    @property
    def command(self) -> str: ...

    @property
    def problems(self) -> Sequence[Problem]: ...

    @property
    def passed(self) -> bool:
        """Whether the command exits with 0."""

    @property
    def quiet(self) -> bool:
        """Whether what passed is left out of the formats that people read."""

    @property
    def summary(self) -> str:
        """The last line."""

    @property
    def checks(self) -> Sequence[Check]:
        """Everything that was compared."""

    def page(self) -> RenderableType:
        """The tables, as on a terminal."""

    def record(self) -> Record:
        """All of it, for JSON."""


@dataclass(frozen=True)
class RunReport:
    """What run, backprop, gradcheck or train found."""

    command: str
    results: Sequence[ExperimentResult] = ()
    problems: Sequence[Problem] = ()
    quiet: bool = False
    articles: Sequence[ArticleReport] = ()
    brief: bool = False

    @cached_property
    def _counts(self) -> Tally:
        return sum(map(tally, self.results), Tally())

    @property
    def passed(self) -> bool:
        return self._counts.passed and not self.problems and all(article.passed for article in self.articles)

    @property
    def summary(self) -> str:
        return tables.summary(self._counts)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        own = [check for result in self.results for check in checks(result)]
        return (*own, *(check for article in self.articles for check in article.checks))

    def page(self) -> RenderableType:
        parts = _told(self.problems)
        for result in self.results:
            page = showing(self.quiet, self.brief)(result)
            parts += [page] if page else []
            if len(self.results) > 1 and not self.quiet:
                parts.append(tables.closing(tally(result), result.experiment.name))
        return Group(*parts, *(article.page() for article in self.articles), tables.closing(self._counts))

    def record(self) -> Record:
        about = {"summary": self._counts, "experiments": self.results}
        read = {"articles": [article.content() for article in self.articles]} if self.articles else {}
        return data.report(self.command, self.passed, self.problems, {**about, **read})


@dataclass(frozen=True)
class DiffReport:
    """What diff found between `a` and `b`; at most `most` things are told."""

    a: Path
    b: Path
    found: Difference | None = None
    most: int = 20
    problems: Sequence[Problem] = ()
    command: str = "diff"
    quiet: bool = False

    @property
    def passed(self) -> bool:
        return self.found is not None and self.found.same and not self.problems

    @property
    def summary(self) -> str:
        return tables.difference_summary(self.found) if self.found else "nothing was compared"

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """One for everything that differs, as far as it is told; one for every other file."""
        if self.found is None:
            return ()
        changes, one_sided = self.found.worst(self.most)
        told = [*map(self._changed, changes), *map(self._alone, one_sided)]
        wrong = {change.file for change in self.found.changes} | {item.file for item in self.found.one_sided}
        rest = [file for file in self.found.files if file not in {check.group for check in told}]
        return (*told, *(self._check(file, "", "differs" if file in wrong else "same") for file in rest))

    def _changed(self, change: Change) -> Check:
        check = self._check(change.file, f"{change.key}: {change.column}", "differs")
        return replace(check, expected=change.a or "(empty)", computed=change.b or "(empty)", error=short(change.error))

    def _alone(self, item: OneSided) -> Check:
        name = f"{item.kind} {item.what}" if item.kind != "file" else ""
        return self._check(item.file, name, f"{item.side.upper()} only")

    def _check(self, file: str, name: str, verdict: str) -> Check:
        path = self.a / file if self.a.is_dir() else self.a
        outcome: Outcome = "passed" if verdict == "same" else "failed"
        return Check("cell", file, "", name or file, outcome, verdict, str(path))

    def page(self) -> RenderableType:
        found = [tables.difference(self.found, self.most)] if self.found else []
        return Group(*_told(self.problems), *found)

    def record(self) -> Record:
        changes, one_sided = self.found.worst(self.most) if self.found else ((), ())
        told = self.found and replace(self.found, changes=changes, one_sided=one_sided)
        about = {"a": self.a, "b": self.b, "difference": told}
        return data.report(self.command, self.passed, self.problems, about)


@dataclass(frozen=True)
class OracleReport:
    """What oracle found out about the arrays of the file at `path`."""

    path: Path
    results: Sequence[OracleResult] = ()
    problems: Sequence[Problem] = ()
    quiet: bool = False
    unmatched: bool = False  # whether arrays may be left that nothing was held against
    command: str = "oracle"

    @property
    def passed(self) -> bool:
        whole = self.unmatched or not any(result.ignored for result in self.results)
        return bool(self.results) and all(result.passed for result in self.results) and whole and not self.problems

    @property
    def summary(self) -> str:
        return tables.oracle_summary([row for result in self.results for row in result.compared])

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        return tuple(self._check(row, result) for result in self.results for row in result.compared)

    def _check(self, row: Compared, result: OracleResult) -> Check:
        """The numbers are those of the entry that is furthest off."""
        misfit = "" if row.fits else f"has shape {row.shape}, but {row.quantity} has shape {row.expected}"
        said = (("entry", ",".join(map(str, row.index))), ("message", misfit), ("diagnosis", row.diagnosis))
        return Check(
            kind="array",
            group=self.path.name,
            case=result.case,
            name=row.array if row.array == row.quantity else f"{row.array} (as {row.quantity})",
            outcome="passed" if row.passed else "failed",
            verdict="agrees" if row.passed else "differs",
            file=str(self.path),
            expected=number(row.computed) if row.fits else "",
            computed=number(row.given) if row.fits else "",
            tolerance=short(row.tolerance) if row.fits else "",
            remarks=tuple((word, text) for word, text in said if text),
        )

    def page(self) -> RenderableType:
        return Group(*_told(self.problems), *(tables.oracle(result, self.quiet) for result in self.results))

    def record(self) -> Record:
        about = {"arrays": self.path, "cases": self.results}
        return data.report(self.command, self.passed, self.problems, about)


def _told(problems: Sequence[Problem]) -> list[RenderableType]:
    return [Paragraph(plain(str(problem), "bold red")) for problem in problems]
