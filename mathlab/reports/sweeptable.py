"""A sweep as tables: the best and the worst runs, and how the runs are spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from mathlab.experiment import Choice
from mathlab.reports.layout import Paragraph, Row, Sheet, count, number, plain
from mathlab.results import CaseResult, SweepResult

BEST, WORST, LOST = 3, 3, 5  # runs that are shown
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


def page(case: CaseResult) -> Iterable[RenderableType]:
    """The whole sweep."""
    if case.sweep:
        yield from (Text(""), Paragraph(plain(title(case.sweep), "bold")), *body(case.sweep))


def failures(case: CaseResult) -> Iterable[RenderableType]:
    """The runs that left the finite numbers."""
    if case.sweep and case.sweep.lost:
        yield lost(case.sweep)


def title(result: SweepResult) -> str:
    """`sweep, 100 runs`, and how many of them were made many at a time."""
    runs = len(result.nonfinite)
    stacked = "all" if result.stacked == runs else str(result.stacked)
    return f"sweep, {count(runs, 'run')}" + (f", {stacked} of them stacked" if result.stacked else "")


def body(result: SweepResult) -> Iterable[RenderableType]:
    """The best and the worst runs by the first reported number, the quantiles, and what is not finite."""
    ranked = result.ranked
    shown = [*ranked[:BEST], *ranked[max(len(ranked) - WORST, BEST) :]]
    if shown:
        names = ("", "run", *result.settings, *result.columns)
        yield Sheet(names, tuple(_run(result, run, ranked) for run in shown))
        yield from _quantiles(result, ranked)
    if result.lost:
        yield lost(result)


def _run(result: SweepResult, run: int, ranked: Sequence[int]) -> Row:
    rank = "best" if run == ranked[0] else "worst" if run == ranked[-1] else ""
    settings = (_setting(chosen[run]) for chosen in result.settings.values())
    values = (number(column[run]) for column in result.columns.values())
    return Row(tuple(map(plain, (rank, str(run), *settings, *values))))


def _setting(choice: Choice | None) -> str:
    """As the config writes it; a number that was drawn has more digits than anybody reads."""
    if choice is None:
        return ""
    return number(choice.number) if choice.label == repr(choice.number) else choice.label


def _quantiles(result: SweepResult, ranked: Sequence[int]) -> Iterable[RenderableType]:
    """The spread of every column over the runs that stayed finite."""
    rows = []
    for name, column in result.columns.items():
        spread = np.quantile(np.asarray(column, np.float64)[list(ranked)], list(QUANTILES.values()))
        rows.append(Row(tuple(map(plain, (name, *map(number, spread))))))
    yield Text("")
    yield Sheet(("", *QUANTILES), tuple(rows))


def lost(result: SweepResult) -> RenderableType:
    """Which runs left the finite numbers, and by what that was seen."""
    runs = result.lost
    told = ", ".join(f"run {run}: {result.nonfinite[run]}" for run in runs[:LOST])
    more = f", and {len(runs) - LOST} more" if len(runs) > LOST else ""
    return Paragraph(plain(f"{count(len(runs), 'run')} left the finite numbers: {told}{more}", "bold yellow"), indent=2)
