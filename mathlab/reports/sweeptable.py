"""A sweep as tables: the best and the worst runs, and how the runs are spread."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from mathlab.experiment import Choice
from mathlab.reports.layout import Row, Sheet, count, number, said
from mathlab.results import CaseResult, SweepResult

BEST, WORST, LOST = 3, 3, 5  # runs that are shown
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


def page(case: CaseResult) -> Iterable[RenderableType]:
    """The best and the worst runs by the first reported number, the quantiles, and what is not finite."""
    if result := case.sweep:
        runs, ranked = len(result.nonfinite), result.ranked
        stacked = f", {'all' if result.stacked == runs else result.stacked} of them stacked" if result.stacked else ""
        yield from (Text(""), said(f"sweep, {count(runs, 'run')}{stacked}", "bold"))
        if ranked:
            rows = []
            for run in (*ranked[:BEST], *ranked[max(len(ranked) - WORST, BEST) :]):
                rank = "best" if run == ranked[0] else "worst" if run == ranked[-1] else ""
                values = (number(column[run]) for column in result.columns.values())
                rows.append(Row.of(rank, str(run), *(_setting(one[run]) for one in result.settings.values()), *values))
            yield Sheet(("", "run", *result.settings, *result.columns), tuple(rows))
            yield from (Text(""), _quantiles(result, ranked))
        yield from failures(case)


def failures(case: CaseResult) -> Iterable[RenderableType]:
    """Which runs left the finite numbers, and by what that was seen."""
    if case.sweep and (runs := case.sweep.lost):
        told = ", ".join(f"run {run}: {case.sweep.nonfinite[run]}" for run in runs[:LOST])
        more = f", and {len(runs) - LOST} more" if len(runs) > LOST else ""
        yield said(f"{count(len(runs), 'run')} left the finite numbers: {told}{more}", "bold yellow", 2)


def _setting(choice: Choice | None) -> str:
    """As the config writes it; a number that was drawn has more digits than anybody reads."""
    if choice is None:
        return ""
    return number(choice.number) if choice.label == repr(choice.number) else choice.label


def _quantiles(result: SweepResult, ranked: list[int]) -> RenderableType:
    """The spread of every column over the runs that stayed finite."""
    columns = ((name, np.asarray(column, np.float64)[ranked]) for name, column in result.columns.items())
    spread = ((name, np.quantile(column, [*QUANTILES.values()])) for name, column in columns)
    return Sheet(("", *QUANTILES), tuple(Row.of(name, *map(number, numbers)) for name, numbers in spread))
