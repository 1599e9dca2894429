"""What is known of every number of an article: as a page, as checks, as JSON, as a CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from rich.console import RenderableType
from rich.text import Text

from mathlab.article.check import printing
from mathlab.article.cover import Coverage, Status
from mathlab.article.suggest import Suggestion, Undecided
from mathlab.errors import Place
from mathlab.outputs.tables import csv_text
from mathlab.reports.checks import Check, Report, remarked
from mathlab.reports.data import place_keys
from mathlab.reports.layout import Paragraph, Row, count, plain, said, sheet
from mathlab.results.judged import Outcome

STYLES = {"checked": "green", "given": "green", "ignored": "dim", "open": "bold red"}


def article_report(
    files: Sequence[Path],
    coverage: Coverage | None = None,
    found: Sequence[Suggestion] = (),
    undecided: Sequence[Undecided] = (),
    written: Sequence[str] = (),
) -> Report:
    """What was found out about the documents `files`; what was found for their open numbers, and what was written."""
    known = coverage or Coverage()
    return Report(
        "article",
        fine=bool(known.numbers) and known.passed,
        summary=article_summary(known),
        tables=lambda quiet: (*_page(known, quiet), *_told(found, undecided, written)),
        compared=lambda: _checks(known, undecided),
        about=lambda: {"article": _content(files, known, found, undecided)},
    )


def article_csv(coverage: Coverage) -> str:
    """A row for each number, and for each that is missing; paths as the config's folder sees them."""
    rows = [
        (Path(place.file).name, str(place.line), str(place.column), one.number.text, one.status, one.by)
        for one in coverage.numbers
        for place in [one.number.place]
    ]
    absent = [("", "", "", entry.printed, "missing", figure.key) for figure, entry, _ in coverage.missing]
    return csv_text(("document", "line", "column", "number", "status", "by"), [*rows, *absent])


def _content(
    files: Sequence[Path], coverage: Coverage, found: Sequence[Suggestion], undecided: Sequence[Undecided]
) -> Mapping[str, object]:
    def at(place: Place | None, **told: object) -> Mapping[str, object]:
        return {**told, **place_keys(place)}

    numbers = [at(one.number.place, number=one.number.text, status=one.status, by=one.by) for one in coverage.numbers]
    missing = [at(one.place, key=of.key, printed=one.printed, at=of.at) for of, one, _ in coverage.missing]
    told = [at(one.numbers[0].place, case=one.state.case, key=one.key, figure=printing(one)) for one in found]
    left = [at(one.number.place, number=one.number.text, candidates=one.candidates, near=one.near) for one in undecided]
    return {"documents": files, "numbers": numbers, "missing": missing, "suggestions": told, "undecided": left}


def _checks(coverage: Coverage, undecided: Sequence[Undecided]) -> Iterator[Check]:
    known = {one.number.place: remarked(may_be=", or ".join(one.candidates), nearly=one.near) for one in undecided}

    def check(name: str, passed: bool, verdict: str, place: Place) -> Check:
        outcome: Outcome = "passed" if passed else "failed"
        about = known.get(place, ())
        return Check("article", name, outcome, verdict, place=place, remarks=about, group=Path(place.file).name)

    for one in (one for one in coverage.numbers if one.status in ("checked", "open")):
        place, said_of = one.number.place, ": ".join(filter(None, (one.status, one.by)))
        verdict = one.claim.verdict.label if one.claim else said_of
        yield check(f"{one.number.text} at {place.line}:{place.column}", not one.failed, verdict, place)
    for figure, entry, _ in coverage.missing:
        yield check(f"{figure.key} {entry.printed}", False, "missing from the article", entry.place or Place(""))


def article_summary(coverage: Coverage) -> str:
    """The last line: how many numbers there are of each kind."""
    counts = Counter(one.status for one in coverage.numbers)
    kinds = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
    missing = f"; {count(len(coverage.missing), 'printed figure')} missing" if coverage.missing else ""
    differ = sum(one.failed for one in coverage.numbers if one.claim)
    wrong = f"; {count(differ, 'figure')} wrong" if differ else ""
    return f"{count(len(coverage.numbers), 'number')}: {kinds}{missing}{wrong}"


def _page(coverage: Coverage, only_failures: bool) -> Iterator[RenderableType]:
    """A row for each number, and a sentence for each printed figure that is missing; then the summary."""
    rows = []
    for one in (one for one in coverage.numbers if one.failed or not only_failures):
        by = f"{one.by}, {one.claim.place}: {one.claim.verdict.label}" if one.claim else one.by
        status = plain(one.status, "bold red" if one.failed else STYLES[one.status])
        rows.append(Row.of(str(one.number.place), one.number.text, status, by))
    yield from sheet(("place", "number", "status", "by"), rows, (0, 1), (0, 1, 2, 3), 0)
    for figure, entry, like in coverage.missing:
        at = f" at {figure.at!r}" if figure.at else ""
        nearest = f"; the document has {like.text}, {like.place}" if like else ""
        yield said(f"{entry.place}: {entry.printed} of {figure.key} is printed nowhere{at}{nearest}", "bold red")
    yield said(article_summary(coverage), "bold" if coverage.passed else "bold red")


def _told(found: Sequence[Suggestion], undecided: Sequence[Undecided], done: Sequence[str]) -> Iterable[RenderableType]:
    for state, ones in groupby(found, key=lambda one: one.state):
        yield Paragraph(Text.assemble(plain("figures of "), plain(str(state), "bold")))
        for suggested in ones:  # to be copied, and so on one line
            line = plain(f"  {suggested.key}: {printing(suggested)}  # {suggested.numbers[0].place}")
            yield Text(line.plain, no_wrap=True, overflow="ignore")
    for one in undecided:
        unknown = "has too few digits to say what it is" if one.vague else "fits nothing that is computed"
        may_be = f"may be {', or '.join(one.candidates)}" if one.candidates else unknown
        yield said("; ".join(filter(None, (f"{one.number.place}: {one.number.text} {may_be}", one.near))))
    yield from map(said, done)
