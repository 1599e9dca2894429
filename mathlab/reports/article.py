"""What is known of every number of an article: as a page, as checks, as JSON, as a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from rich.console import RenderableType
from rich.text import Text

from mathlab.article.check import printing
from mathlab.article.cover import Coverage, Status
from mathlab.article.suggest import Suggestion, Undecided
from mathlab.article.text import Number
from mathlab.errors import Place, Problem
from mathlab.outputs.csvtext import csv_text
from mathlab.reports.checks import Check
from mathlab.reports.data import place_keys
from mathlab.reports.layout import Paragraph, Row, Sheet, count, plain
from mathlab.reports.report import Report
from mathlab.results import FigureResult, Judged, Outcome

STYLES = {"checked": "green", "given": "green", "ignored": "dim", "open": "bold red"}


def article_report(
    files: Sequence[Path],
    coverage: Coverage | None = None,
    found: Sequence[Suggestion] = (),
    undecided: Sequence[Undecided] = (),
    left: Sequence[str] = (),
    problems: Sequence[Problem] = (),
    quiet: bool = False,
) -> Report:
    """What was found out about the documents `files`; what was found for their open numbers, and what had no room."""
    known = coverage or Coverage()
    return Report(
        "article",
        fine=bool(known.numbers) and known.passed,
        summary=article_summary(known),
        tables=lambda: (*_page(known, quiet), *_told(found, undecided, left)),
        compared=lambda: _checks(known, undecided),
        about=lambda: {"article": _content(files, known, found, undecided)},
        problems=problems,
        quiet=quiet,
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
    known = {one.number.place: one for one in undecided}

    def check(name: str, passed: bool, verdict: str, place: Place, *remarks: tuple[str, str]) -> Check:
        said = tuple(remark for remark in remarks if remark[1])
        outcome: Outcome = "passed" if passed else "failed"
        return Check(
            "article", name, outcome, verdict, Path(place.file).name, file=place.file, place=place, remarks=said
        )

    for one in (one for one in coverage.numbers if one.status in ("checked", "open")):
        number, place, said = one.number, one.number.place, known.get(one.number.place)
        about = (("may be", ", or ".join(said.candidates)), ("nearly", said.near)) if said else ()
        verdict = one.claim.verdict.label if one.claim else one.status
        yield check(f"{number.text} at {place.line}:{place.column}", not one.failed, verdict, place, *about)
    for figure, entry, _ in coverage.missing:
        name = f"{figure.key} {entry.printed}"
        yield check(name, False, "missing from the article", entry.place or Place("", 1, 1))


def article_summary(coverage: Coverage) -> str:
    """The last line: how many numbers there are of each kind."""
    kinds = ", ".join(f"{coverage.count(status)} {status}" for status in get_args(Status))
    missing = f"; {count(len(coverage.missing), 'printed figure')} missing" if coverage.missing else ""
    wrong = f"; {count(len(coverage.wrong), 'figure')} wrong" if coverage.wrong else ""
    return f"{count(len(coverage.numbers), 'number')}: {kinds}{missing}{wrong}"


def _page(coverage: Coverage, only_failures: bool) -> Iterator[RenderableType]:
    """A row for each number, and a sentence for each printed figure that is missing; then the summary."""
    rows = []
    for one in coverage.numbers:
        claim, style = one.claim, "bold red" if one.failed else STYLES[one.status]
        by = f"{one.by}, {claim.place}: {claim.verdict.label}" if claim else one.by
        if one.failed or not only_failures:
            cells = plain(str(one.number.place)), plain(one.number.text), plain(one.status, style), plain(by)
            rows.append(Row(cells))
    if rows:
        yield Sheet(("place", "number", "status", "by"), tuple(rows), head=(0, 1), words=(0, 1, 2, 3), indent=0)
    yield from (Paragraph(plain(_absence(*one), "bold red")) for one in coverage.missing)
    yield Paragraph(plain(article_summary(coverage), "bold" if coverage.passed else "bold red"))


def _absence(figure: FigureResult, entry: Judged, like: Number | None) -> str:
    """`net.yaml:9:7: 0.0778 of Y[0,1] is printed nowhere at 'outputs'; the nearest is 0.0788, notes.md:37:4`."""
    at = f" at {figure.at!r}" if figure.at else ""
    nearest = f"; the document has {like.text}, {like.place}" if like else ""
    return f"{entry.place}: {entry.printed} of {figure.key} is printed nowhere{at}{nearest}"


def _told(found: Sequence[Suggestion], undecided: Sequence[Undecided], left: Sequence[str]) -> Iterable[RenderableType]:
    for state, ones in groupby(found, key=lambda one: one.state):
        yield Paragraph(Text.assemble(plain("figures of "), plain(str(state), "bold")))
        yield from (Paragraph(plain(f"{one.key}: {printing(one)}  # {one.numbers[0].place}"), indent=2) for one in ones)
    for one in undecided:
        unknown = "has too few digits to say what it is" if one.vague else "fits nothing that is computed"
        may_be = f"may be {', or '.join(one.candidates)}" if one.candidates else unknown
        yield Paragraph(plain("; ".join(filter(None, (f"{one.number.place}: {one.number.text} {may_be}", one.near)))))
    yield from (Paragraph(plain(f"not written, for there is no room for it: {key}", "yellow")) for key in left)
