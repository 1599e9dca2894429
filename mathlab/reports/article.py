"""What is known of every number of an article: as a page, as checks, as JSON, as a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from mathlab.article.cover import Coverage, Covered, Missing
from mathlab.article.suggest import Suggestion, Undecided
from mathlab.article.write import printing
from mathlab.errors import Place, Problem
from mathlab.outputs.csvtext import csv_text
from mathlab.reports.checks import Check
from mathlab.reports.layout import Paragraph, Row, Sheet, count, plain
from mathlab.reports.report import Report
from mathlab.reports.values import Json, Record, place_keys

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
    known = coverage or Coverage((), ())
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
    absent = [("", "", "", one.claim.text, "missing", one.claim.key) for one in coverage.missing]
    return csv_text(("document", "line", "column", "number", "status", "by"), [*rows, *absent])


def _content(
    files: Sequence[Path], coverage: Coverage, found: Sequence[Suggestion], undecided: Sequence[Undecided]
) -> Record:
    def at(place: Place | None, **told: Json) -> Record:
        return {**told, **place_keys(place)}

    numbers = (at(one.number.place, number=one.number.text, status=one.status, by=one.by) for one in coverage.numbers)
    claims = (one.claim for one in coverage.missing)
    return {
        "documents": [str(file) for file in files],
        "numbers": [*numbers],
        "missing": [at(claim.place, key=claim.key, printed=claim.text, at=claim.at) for claim in claims],
        "suggestions": [
            at(one.numbers[0].place, case=one.state.case, key=one.key, figure=printing(one)) for one in found
        ],
        "undecided": [
            at(one.number.place, number=one.number.text, candidates=[*one.candidates], near=one.near)
            for one in undecided
        ],
    }


def _checks(coverage: Coverage, undecided: Sequence[Undecided]) -> Iterator[Check]:
    known = {one.number.place: one for one in undecided}
    for one in (one for one in coverage.numbers if one.status in ("checked", "open")):
        number, place = one.number, one.number.place
        verdict = one.claim.verdict.label if one.claim else one.status
        said = known.get(place)
        about = (("may be", ", or ".join(said.candidates)), ("nearly", said.near)) if said else ()
        yield _check(f"{number.text} at {place.line}:{place.column}", not _failed(one), verdict, place, *about)
    for absent in coverage.missing:
        claim = absent.claim
        yield _check(f"{claim.key} {claim.text}", False, "missing from the article", claim.place or Place("", 1, 1))


def _check(name: str, passed: bool, verdict: str, place: Place, *about: tuple[str, str]) -> Check:
    group, said = Path(place.file).name, tuple(remark for remark in about if remark[1])
    return Check(
        "article", name, "passed" if passed else "failed", verdict, group, file=place.file, place=place, remarks=said
    )


def article_summary(coverage: Coverage) -> str:
    """The last line: how many numbers there are of each kind."""
    counted = [(coverage.count(status), status) for status in ("checked", "given", "ignored", "open")]
    kinds = ", ".join(f"{number} {status}" for number, status in counted)
    missing = f"; {count(len(coverage.missing), 'printed figure')} missing" if coverage.missing else ""
    wrong = f"; {count(len(coverage.wrong), 'figure')} wrong" if coverage.wrong else ""
    return f"{count(len(coverage.numbers), 'number')}: {kinds}{missing}{wrong}"


def _page(coverage: Coverage, only_failures: bool) -> Iterator[RenderableType]:
    """A row for each number, and a sentence for each printed figure that is missing; then the summary."""
    rows = []
    for one in coverage.numbers:
        claim, style = one.claim, "bold red" if _failed(one) else STYLES[one.status]
        by = f"{claim.key}, {claim.place}: {claim.verdict.label}" if claim else one.by
        if not only_failures or _failed(one):
            cells = plain(str(one.number.place)), plain(one.number.text), plain(one.status, style), plain(by)
            rows.append(Row(cells))
    if rows:
        yield Sheet(("place", "number", "status", "by"), tuple(rows), head=(0, 1), words=(0, 1, 2, 3), indent=0)
    yield from (Paragraph(plain(_absence(one), "bold red")) for one in coverage.missing)
    yield Paragraph(plain(article_summary(coverage), "bold" if coverage.passed else "bold red"))


def _absence(one: Missing) -> str:
    """`net.yaml:9:7: 0.0778 of Y[0,1] is printed nowhere at 'outputs'; the nearest is 0.0788, notes.md:37:4`."""
    at = f" at {one.claim.at!r}" if one.claim.at else ""
    nearest = f"; the document has {one.nearest.text}, {one.nearest.place}" if one.nearest else ""
    return f"{one.claim.place}: {one.claim.text} of {one.claim.key} is printed nowhere{at}{nearest}"


def _failed(one: Covered) -> bool:
    return one.status == "open" or (one.claim is not None and not one.claim.verdict.passed)


def _told(found: Sequence[Suggestion], undecided: Sequence[Undecided], left: Sequence[str]) -> Iterable[RenderableType]:
    owner: object = None
    for one in found:
        if one.state != owner:
            owner = one.state
            yield Paragraph(Text.assemble(plain("figures of "), plain(str(one.state), "bold")))
        yield Paragraph(plain(f"{one.key}: {printing(one)}  # {one.numbers[0].place}"), indent=2)
    for number in undecided:
        what = f" may be {', or '.join(number.candidates)}" if number.candidates else " fits nothing that is computed"
        what += f"; {number.near}" if number.near else ""
        yield Paragraph(plain(f"{number.number.place}: {number.number.text}{what}"))
    yield from (Paragraph(plain(f"not written, for there is no room for it: {key}", "yellow")) for key in left)
