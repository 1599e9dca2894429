"""What a terminal is shown while experiments run: their pages, or a line for each and in the end what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from mathlab.reports import page
from mathlab.reports.layout import Paragraph, count, plain
from mathlab.results import NOT_FINITE, ExperimentResult, Tally, tally

if TYPE_CHECKING:
    from mathlab.reports.report import Report

Show = Callable[[ExperimentResult], RenderableType | None]

COUNTED = ("figures", "formulas", "entries")  # entries of gradients that were checked
LONGEST = 30  # columns of a name; what stands behind a longer one is pushed aside
SECONDS = 8  # columns


def showing(quiet: bool, brief: bool) -> Show:
    """What failed, the equations with their values, or the whole page."""
    return page.problems if quiet else page.brief if brief else page.report


@dataclass
class View:
    """What a terminal is shown: what `show` makes of every experiment, each with its counts if `counted`.

    Where there are `names`, a line for each in place of that, and in the end what failed; with the `time` that it took.
    """

    show: Show
    counted: bool = False
    names: Sequence[str] = ()
    time: bool = False
    failed: list[RenderableType] | None = None

    def of(
        self, result: ExperimentResult, article: Report | None = None, seconds: float = 0
    ) -> Iterator[RenderableType]:
        """What is shown as soon as one experiment has run."""
        if self.names:
            yield from self._summed(result, article, seconds)
            return
        if shown := self.show(result):
            yield shown
        if self.counted:
            yield page.closing(tally(result), result.experiment.name)
        if article:
            yield article.page()

    def _summed(self, result: ExperimentResult, article: Report | None, seconds: float) -> Iterator[RenderableType]:
        if self.failed is None:
            yield self._line("experiment", COUNTED, "time", plain("verdict", "bold"), "bold")
        counts, accounted = tally(result), article is None or article.passed
        numbers = (counts.figures + counts.worked_out, counts.formulas, counts.entries)
        style = "bold red" if not (counts.passed and accounted) else "green" if counts.compared else "yellow"
        words = plain(verdict(counts, accounted), style)
        yield self._line(result.experiment.name, [str(number or "") for number in numbers], f"{seconds:.2f} s", words)
        failed = page.problems(result)
        self.failed = [*(self.failed or ()), *([failed] if failed else [])]
        self.failed += [article.page()] if article and not article.passed else []

    def _line(self, name: str, cells: Sequence[str], time: str, words: Text, style: str = "") -> RenderableType:
        width = min(max(map(len, ("experiment", *self.names))), LONGEST)
        cells = [f"{cell:>{len(title)}}" for title, cell in zip(COUNTED, cells, strict=True)]
        cells += [f"{time:>{SECONDS}}"] if self.time else []
        return Paragraph(plain(f"{name:{width}}  {'  '.join(cells)}  ", style).append_text(words))

    def rest(self) -> Iterable[RenderableType]:
        """What is shown after all of them."""
        return () if self.failed is None else (Text(""), *self.failed)


def verdict(counts: Tally, accounted: bool = True) -> str:
    """`match`, `match, 2 errata`, `3 fail`, `not finite` …"""
    failed = counts.failed + counts.worked_out_failed + counts.formulas_failed
    failed += counts.entries_refuted + counts.contradicted
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
