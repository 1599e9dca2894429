"""What is known of every number of an article: as a page, as checks, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from mathlab.article.cover import Coverage, Covered, Missing
from mathlab.article.suggest import Suggestion, Undecided
from mathlab.article.write import printing
from mathlab.errors import Place, Problem
from mathlab.reports import data
from mathlab.reports.checks import Check, Outcome
from mathlab.reports.layout import Paragraph, Row, Sheet, plain
from mathlab.reports.values import Record, place_keys
from mathlab.reports.verdicts import count

STYLES = {"checked": "green", "given": "green", "ignored": "dim", "open": "bold red"}


@dataclass(frozen=True)
class ArticleReport:
    """What was found out about the documents `files`; what was found for their open numbers, and what had no room."""

    files: Sequence[Path]
    coverage: Coverage = field(default_factory=lambda: Coverage((), ()))
    found: Sequence[Suggestion] = ()
    undecided: Sequence[Undecided] = ()
    left: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    quiet: bool = False
    command: str = "article"

    @property
    def passed(self) -> bool:
        return bool(self.coverage.numbers) and self.coverage.passed and not self.problems

    @property
    def summary(self) -> str:
        return summary(self.coverage)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        numbers = (_check(one) for one in self.coverage.numbers if one.status in ("checked", "open"))
        return (*numbers, *map(_absent, self.coverage.missing))

    def page(self) -> RenderableType:
        parts: list[RenderableType] = [Paragraph(plain(str(problem), "bold red")) for problem in self.problems]
        return Group(*parts, *page(self.coverage, self.quiet), *_told(self.found, self.undecided, self.left))

    def csv(self) -> str:
        """A row for each number, and for each that is missing; paths as the config's folder sees them."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("document", "line", "column", "number", "status", "by"))
        for one in self.coverage.numbers:
            place = one.number.place
            rows.writerow((Path(place.file).name, place.line, place.column, one.number.text, one.status, one.by))
        for absent in self.coverage.missing:
            rows.writerow(("", "", "", absent.claim.text, "missing", absent.claim.key))
        return text.getvalue()

    def record(self) -> Record:
        """Every number with its status, for JSON."""
        return data.report(self.command, self.passed, self.problems, {"article": self.content()})

    def content(self) -> Record:
        """The same, as a part of another report."""
        return {
            "documents": [str(file) for file in self.files],
            "numbers": [
                {"number": one.number.text, "status": one.status, "by": one.by, **place_keys(one.number.place)}
                for one in self.coverage.numbers
            ],
            "missing": [
                {"key": one.claim.key, "printed": one.claim.text, "at": one.claim.at, **place_keys(one.claim.place)}
                for one in self.coverage.missing
            ],
            "suggestions": [
                {"case": one.state.case, "key": one.key, "figure": printing(one), **place_keys(one.numbers[0].place)}
                for one in self.found
            ],
        }


def summary(coverage: Coverage) -> str:
    """The last line: how many numbers there are of each kind."""
    counted = [(coverage.count(status), status) for status in ("checked", "given", "ignored", "open")]
    kinds = ", ".join(f"{number} {status}" for number, status in counted)
    missing = f"; {count(len(coverage.missing), 'printed figure')} missing" if coverage.missing else ""
    wrong = f"; {count(len(coverage.wrong), 'figure')} wrong" if coverage.wrong else ""
    return f"{count(len(coverage.numbers), 'number')}: {kinds}{missing}{wrong}"


def page(coverage: Coverage, only_failures: bool = False) -> Iterable[RenderableType]:
    """A row for each number, and a sentence for each printed figure that is missing; then the summary."""
    rows = [
        Row((plain(_where(one)), plain(one.number.text), plain(one.status, _style(one)), plain(_by(one))))
        for one in coverage.numbers
        if not only_failures or one.status == "open" or _wrong(one)
    ]
    if rows:
        yield Sheet(("place", "number", "status", "by"), tuple(rows), head=(0, 1), words=(0, 1, 2, 3), indent=0)
    yield from (Paragraph(plain(absence(one), "bold red")) for one in coverage.missing)
    yield Paragraph(plain(summary(coverage), "bold" if coverage.passed else "bold red"))


def absence(one: Missing) -> str:
    """`net.yaml:9:7: 0.0778 of Y[0,1] is printed nowhere at 'outputs'; the nearest is 0.0788, notes.md:37:4`."""
    at = f" at {one.claim.at!r}" if one.claim.at else ""
    nearest = f"; the document has {one.nearest.text}, {one.nearest.place}" if one.nearest else ""
    return f"{one.claim.place}: {one.claim.text} of {one.claim.key} is printed nowhere{at}{nearest}"


def _where(one: Covered) -> str:
    return str(one.number.place)


def _wrong(one: Covered) -> bool:
    return one.claim is not None and not one.claim.verdict.passed


def _style(one: Covered) -> str:
    return "bold red" if _wrong(one) else STYLES[one.status]


def _by(one: Covered) -> str:
    if one.claim is None:
        return one.by
    return f"{one.claim.key}, {one.claim.place}: {one.claim.verdict.label}"


def _told(found: Sequence[Suggestion], undecided: Sequence[Undecided], left: Sequence[str]) -> Iterable[RenderableType]:
    owner: object = None
    for one in found:
        if one.state != owner:
            owner = one.state
            yield Paragraph(Text.assemble(plain("figures of "), plain(str(one.state), "bold")))
        yield Paragraph(plain(f"{one.key}: {printing(one)}  # {one.numbers[0].place}"), indent=2)
    for number in undecided:
        what = f" may be {', or '.join(number.candidates)}" if number.candidates else " fits nothing that is computed"
        yield Paragraph(plain(f"{number.number.place}: {number.number.text}{what}"))
    yield from (Paragraph(plain(f"not written, for there is no room for it: {key}", "yellow")) for key in left)


def _check(one: Covered) -> Check:
    outcome: Outcome = "failed" if one.status == "open" or _wrong(one) else "passed"
    verdict = "open" if one.status == "open" else one.claim.verdict.label if one.claim else one.status
    return _made(
        f"{one.number.text} at {one.number.place.line}:{one.number.place.column}", outcome, verdict, one.number.place
    )


def _absent(one: Missing) -> Check:
    place = one.claim.place or Place("", 1, 1)
    return _made(f"{one.claim.key} {one.claim.text}", "failed", "missing from the article", place)


def _made(name: str, outcome: Outcome, verdict: str, place: Place) -> Check:
    return Check("article", Path(place.file).name, "", name, outcome, verdict, place.file, place)
