"""Results -> rich renderables. Nothing here prints; nothing here rounds what was printed in an article."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from mathlab.experiment import Array, Choice, Experiment
from mathlab.reports.checks import figure_checks, formula_check
from mathlab.reports.layout import Blocks, Paragraph, Row, Sheet, count, number, plain, said
from mathlab.reports.steps import between, entry_of, in_brief, section, steps
from mathlab.reports.verdicts import compared, entries, witnesses
from mathlab.results import (
    NOT_FINITE,
    CaseResult,
    EntryChecks,
    ExperimentResult,
    SweepResult,
    Tally,
    TrainResult,
    figures_of,
    nonfinite_of,
    tally,
)
from mathlab.stages.table import STAGES

if TYPE_CHECKING:
    from mathlab.diagnosis.selftest import SelftestResult

BARS = "▁▂▃▄▅▆▇█"
TITLE, LOST = "bold underline", "bold yellow"
FIGURES = {"backprop": "figures", "gradcheck": "figures of the gradient check", "train": "figures of the training"}


def report(result: ExperimentResult) -> RenderableType:
    """Everything that ran for an experiment, case after case."""
    return Group(_heading(result.experiment), *(_case(case, len(result.cases) > 1) for case in result.cases), Text(""))


def brief(result: ExperimentResult) -> RenderableType:
    """The equations of every case with values and gradients, and what failed."""
    parts: list[RenderableType] = []
    for case in result.cases:
        parts += [said(f"{result.experiment.name}, case {case.case}", TITLE)] if len(result.cases) > 1 else []
        parts += [*([in_brief(case.backprop)] if case.backprop else []), Text("")]
    failed = problems(result)
    return Group(*parts, *([failed] if failed else []))


def problems(result: ExperimentResult) -> RenderableType | None:
    """Only what failed, each under its case; None when nothing did."""
    parts: list[RenderableType] = []
    for case in result.cases:
        found = [*compared(check for check in figure_checks(figures_of(case)) if check.outcome == "failed")]
        found += [part for stage in case.stages for part in STAGES[stage].failures(case)]
        found += [said(f"{NOT_FINITE}: {stage}: {what}", LOST, 2) for stage, what in nonfinite_of(case).items()]
        if found:
            parts += [said(f"{result.experiment.name}, case {case.case} ({case.dtype})", TITLE), *found, Text("")]
    return Group(*parts) if parts else None


def checked_of(number: int, left: int, one: str, many: str) -> str:
    """`4 entries`, or `10,000 of 1,000,000 entries` of a sample."""
    return f"{number:,} of {number + left:,} {many}" if left else count(number, one, many)


def summary(counts: Tally) -> str:
    """The last line of a report."""

    def some(number: int, words: str) -> str:
        return f", {number} {words}" if number else ""

    parts, agree = [], counts.formulas - counts.formula_errata - counts.formulas_failed
    if counts.figures:
        figures = count(counts.figures, "printed figure" if counts.worked_out else "figure")
        errata = count(counts.errata, "erratum", "errata")
        parts.append(f"{figures}, {counts.matched} match, {errata} confirmed{some(counts.failed, 'fail')}")
    if counts.worked_out:
        failed = some(counts.worked_out_failed, "fail")
        parts.append(f"{counts.worked_out} worked out, {counts.worked_out_matched} match{failed}")
    if counts.formulas:
        errata = some(counts.formula_errata, f"{'erratum' if counts.formula_errata == 1 else 'errata'} confirmed")
        differ = some(counts.formulas_failed, "differ")
        parts.append(f"{count(counts.formulas, 'formula')}, {agree} agree{errata}{differ}")
    if counts.entries:
        checked = f"{checked_of(counts.entries, counts.entries_left, 'gradient entry', 'gradient entries')} checked"
        doubts = f"{counts.entries_refuted} refuted, {counts.entries_inconclusive} inconclusive"
        parts.append(f"{checked}, {doubts}{some(counts.entries_nonfinite, NOT_FINITE)}")
    if counts.contradicted:
        parts.append(f"{count(counts.contradicted, 'gradient')} contradicted by a witness")
    if counts.runs_lost:
        parts.append(f"{counts.runs_lost} of {count(counts.runs, 'run')} {NOT_FINITE}")
    if counts.nonfinite:
        parts.append(f"{count(counts.nonfinite, 'case')} {NOT_FINITE}")
    return "; ".join(parts) or "no figures to compare"


def closing(counts: Tally, name: str = "") -> RenderableType:
    """The summary as the last line of a report, or of one experiment's part of it."""
    words = f"{name}: {summary(counts)}" if name else summary(counts)
    line = Paragraph(plain(words, "bold" if counts.passed else "bold red"), apart="; ")
    return Group(line, Text("")) if name else line


def _heading(experiment: Experiment) -> RenderableType:
    source = experiment.source
    cited = ", ".join(part for part in (source.title, source.url) if part)
    lines = [said(": ".join(part for part in (experiment.name, experiment.title) if part), "bold")]
    lines += [said(f"source: {cited}")] if cited else []
    lines += [said(f"note: {' '.join(source.note.split())}", "dim")] if source.note else []
    return Group(*lines)


def _case(result: CaseResult, one_of_many: bool) -> RenderableType:
    parts: list[RenderableType] = [Text(""), said(f"case {result.case} ({result.dtype})", TITLE)]
    for name, stage in result.stages.items():
        parts += STAGES[name].page(result)
        if stage.figures:
            parts += section(FIGURES.get(name, f"figures of {name}"))
            parts += compared(figure_checks(stage.figures))
    parts += [Text(""), said(summary(tally(result)), indent=2)] if one_of_many else []
    return Group(*parts)


# The stages


def backprop_page(case: CaseResult) -> Iterable[RenderableType]:
    """Every node with its gradient, and what they were held against."""
    if result := case.backprop:
        yield from steps(result)
        if result.first_nonfinite:
            yield said(result.first_nonfinite, LOST, 2)
        if result.witnesses:
            hidden = between(result)
            shown = [one for one in result.witnesses if one.name not in hidden or not one.passed]
            yield from (*section("witnesses"), *witnesses(shown))
        if result.formulas:
            yield from (*section("hand-derived formulas"), *compared(map(formula_check, result.formulas)))


def backprop_failures(case: CaseResult) -> Iterable[RenderableType]:
    """The formulas that differ, and what a witness says of a gradient."""
    if result := case.backprop:
        yield from compared(formula_check(formula) for formula in result.formulas if not formula.passed)
        yield from witnesses([witness for witness in result.witnesses if not witness.passed])


def gradcheck_page(case: CaseResult) -> Iterable[RenderableType]:
    """The entries, the verdicts parameter by parameter, and the figures printed for the check."""
    if result := case.gradcheck:
        yield from (*section("gradient check"), *entries(result.entries))
        checks, verdicts = EntryChecks.of(result.entries), defaultdict[str, Counter[str]](Counter)
        for parameter, verdict in zip(checks.parameter, checks.verdict, strict=True):
            verdicts[parameter][verdict] += 1
        for parameter, found in verdicts.items():
            counts = ", ".join(f"{number} {verdict}" for verdict, number in found.items())
            left = result.sampled.get(parameter, found.total()) - found.total()
            yield said(f"d{parameter}: {checked_of(found.total(), left, 'entry', 'entries')}, {counts}", indent=2)


def gradcheck_failures(case: CaseResult) -> Iterable[RenderableType]:
    """The entries that are refuted."""
    if result := case.gradcheck:
        yield from entries([entry for entry in result.entries if not entry.passed])


def train_page(case: CaseResult) -> Iterable[RenderableType]:
    """Some epochs, the trained parameters, and the figures."""
    if result := case.train:
        yield from (*section(f"training, {count(result.updates, 'update')}"), _epochs(result))
        yield Sparkline(next(iter(result.columns.values())))
        if result.first_nonfinite:
            yield said(result.first_nonfinite, LOST, 2)
        if result.parameters:
            yield from section("parameters after training")
            yield Blocks(tuple((entry_of(name, "", value),) for name, value in result.parameters.items()))


def _epochs(result: TrainResult) -> RenderableType:
    names = tuple(name for name in result.columns if not name.endswith("]")) or tuple(result.columns)
    epochs = selected(max((len(result.columns[name]) for name in names), default=0))
    rows = (Row.of(f"epoch {at}", *(number(result.columns[name][at]) for name in names)) for at in epochs)
    return Sheet(("", *names), tuple(rows))


class Sparkline(NamedTuple):
    """A column of numbers as one line of bars, for people: a terminal that can show them."""

    column: Array

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not (console.is_terminal and options.encoding.startswith("utf") and np.all(np.isfinite(self.column))):
            return
        means = [float(np.mean(part)) for part in np.array_split(self.column, min(60, len(self.column)))]
        low, high = min(means), max(means)
        bars = "".join(BARS[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)
        yield said(bars, "blue", 2)


def selected(epochs: int) -> list[int]:
    """The first epoch, 1, 2, 5, 10, 20, 50, …, and the last of `epochs`."""
    steps = (digit * 10**power for power in range(len(str(epochs))) for digit in (1, 2, 5))
    return sorted({0, *(step for step in steps if step < epochs), epochs - 1}) if epochs else []


def selftest(results: Sequence[SelftestResult], quiet: bool = False) -> RenderableType:
    """What each experiment's run notices, and what it lets pass."""
    names = ("experiment", "figures", "caught", "faults", "caught", "without effect")
    counted = [(r.figures, r.figures_caught, r.faults, r.faults_caught, r.without_effect) for r in results]
    rows = tuple(Row.of(r.name, *map(str, numbers)) for r, numbers in zip(results, counted, strict=True))
    parts: list[RenderableType] = [] if quiet else [Sheet(names, rows, (0,), (0,), 0)]
    survivors = [survivor for result in results for survivor in result.survivors]
    aside = [survivor for result in results for survivor in result.set_aside]
    for title, listed in (("not caught", survivors), ("not changed", () if quiet else aside)):
        if listed:
            parts += [*section(title), *(said(f"{one.what}  {one.place or ''}", indent=2) for one in listed)]
    figures, caught, faults, found, _ = map(sum, zip(*counted, strict=True))
    words = f"{caught} of {figures} changed figures and {found} of {faults} planted faults caught"
    return Group(*parts, *([Text("")] if parts else []), said(words, "bold yellow" if survivors else "bold"))


BEST, LAST, TOLD = 3, 3, 5  # runs that are shown
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


def sweep_page(case: CaseResult) -> Iterable[RenderableType]:
    """The best and the worst runs by the first reported number, the quantiles, and what is not finite."""
    if result := case.sweep:
        runs, ranked = len(result.nonfinite), result.ranked
        stacked = f", {'all' if result.stacked == runs else result.stacked} of them stacked" if result.stacked else ""
        yield from (Text(""), said(f"sweep, {count(runs, 'run')}{stacked}", "bold"))
        if ranked:
            rows = []
            for run in (*ranked[:BEST], *ranked[max(len(ranked) - LAST, BEST) :]):
                rank = "best" if run == ranked[0] else "worst" if run == ranked[-1] else ""
                values = (number(column[run]) for column in result.columns.values())
                rows.append(Row.of(rank, str(run), *(_setting(one[run]) for one in result.settings.values()), *values))
            yield Sheet(("", "run", *result.settings, *result.columns), tuple(rows))
            yield from (Text(""), _quantiles(result, ranked))
        yield from sweep_failures(case)


def sweep_failures(case: CaseResult) -> Iterable[RenderableType]:
    """Which runs left the finite numbers, and by what that was seen."""
    if case.sweep and (runs := case.sweep.lost):
        told = ", ".join(f"run {run}: {case.sweep.nonfinite[run]}" for run in runs[:TOLD])
        more = f", and {len(runs) - TOLD} more" if len(runs) > TOLD else ""
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
