"""What experiments give that run one after another: their pages, or a line for each and in the end what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import RenderableType
from rich.text import Text

from mathlab.errors import Problem
from mathlab.reports import page
from mathlab.reports.checks import Report, checks
from mathlab.reports.layout import Paragraph, count, plain
from mathlab.results import ExperimentResult, Tally, tally
from mathlab.results.judged import NOT_FINITE

COUNTED = ("figures", "formulas", "entries")  # entries of gradients that were checked
LONGEST = 30  # columns of a name; what stands behind a longer one is pushed aside
SECONDS = 8  # columns
VERDICTS = r"\s*[^,]+,?"  # of which a verdict is made, and between which its line is folded


class Ran(NamedTuple):
    """An experiment that has run, in so many seconds; and what is known of the numbers of its articles."""

    result: ExperimentResult
    article: Report | None = None
    seconds: float = 0.0

    @property
    def accounted(self) -> bool:
        return self.article is None or self.article.passed


def pages(ran: Iterable[Ran], quiet: bool, brief: bool, counted: bool) -> Iterator[RenderableType]:
    """The page of each, or what failed, or the equations with their values; with its counts, if `counted`."""
    show = page.problems if quiet else page.brief if brief else page.report
    for one in ran:
        yield show(one.result)
        if counted:
            yield page.closing(tally(one.result), one.result.experiment.name)
        if one.article:
            yield one.article.page()


def lines(ran: Iterable[Ran], names: Sequence[str], timed: bool) -> Iterator[RenderableType]:
    """A line for each of the experiments called `names`; then, in full, what failed."""
    width = min(max(map(len, ("experiment", *names))), LONGEST)

    def line(name: str, cells: Sequence[str], time: str, words: Text, style: str = "") -> RenderableType:
        cells = [f"{cell:>{len(title)}}" for title, cell in zip(COUNTED, cells, strict=True)]
        cells += [f"{time:>{SECONDS}}"] if timed else []
        numbers = f"{name:{width}}  {'  '.join(cells)}  "
        return Paragraph(plain(numbers, style).append_text(words), hang=len(numbers), part=VERDICTS)

    failed: list[RenderableType] = []
    for one in ran:
        if not failed:
            failed = [Text("")]
            yield line("experiment", COUNTED, "time", plain("verdict", "bold"), "bold")
        counts = tally(one.result)
        numbers = (counts.figures + counts.worked_out, counts.formulas, counts.entries)
        style = "bold red" if not (counts.passed and one.accounted) else "green" if counts.compared else "yellow"
        words = plain(verdict(counts, one.accounted), style)
        yield line(one.result.experiment.name, [str(number or "") for number in numbers], f"{one.seconds:.2f} s", words)
        failed += [page.problems(one.result), *([one.article.page()] if one.article and not one.accounted else [])]
    yield from failed


def verdict(counts: Tally, accounted: bool = True) -> str:
    """`match`, `match, 2 errata`, `3 fail`, `not finite` …"""
    failed = counts.wrong + counts.entries_refuted + counts.contradicted
    bad = [f"{failed} fail"] if failed else []
    bad += [NOT_FINITE] if counts.nonfinite or counts.entries_nonfinite else []
    bad += [] if accounted else ["the article fails"]
    if bad or not counts.compared:
        return ", ".join(bad) or "nothing compared"
    errata = counts.errata + counts.formula_errata
    aside = [count(errata, "erratum", "errata")] if errata else []
    aside += [f"{counts.entries_inconclusive} inconclusive"] if counts.entries_inconclusive else []
    aside += ["a sample of entries"] if counts.entries_left else []
    return ", ".join(["match", *aside])


def run_report(command: str, ran: Sequence[Ran], problems: Sequence[Problem] = (), brief: bool = False) -> Report:
    """What run, backprop, gradcheck, train or sweep found."""
    results = [one.result for one in ran]
    articles = [one.article for one in ran if one.article]
    counts = sum(map(tally, results), Tally())
    read = {"articles": [article.about()["article"] for article in articles]} if articles else {}
    return Report(
        command,
        fine=counts.passed and all(one.accounted for one in ran),
        summary=page.summary(counts),
        tables=lambda quiet: (*pages(ran, quiet, brief, len(ran) > 1 and not quiet), page.closing(counts)),
        compared=lambda: [check for found in (*map(checks, results), *(a.checks for a in articles)) for check in found],
        about=lambda: {"summary": counts, "experiments": results, **read},
        problems=problems,
    )
