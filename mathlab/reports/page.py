"""Results -> rich renderables. Nothing here prints; nothing here rounds what was printed in an article."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from mathlab.experiment import Array, Experiment
from mathlab.reports.checks import figure_checks, formula_check
from mathlab.reports.layout import Blocks, Paragraph, Row, Sheet, count, number, plain
from mathlab.reports.steps import between, entry_of, in_brief, section, steps
from mathlab.reports.verdicts import compared, entries, witnesses
from mathlab.results import (
    NOT_FINITE,
    CaseResult,
    EntryChecks,
    ExperimentResult,
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


def report(result: ExperimentResult) -> RenderableType:
    """Everything that ran for an experiment, case after case."""
    return Group(_heading(result.experiment), *(_case(case, len(result.cases) > 1) for case in result.cases), Text(""))


def brief(result: ExperimentResult) -> RenderableType:
    """The equations of every case with values and gradients, and what failed."""
    parts: list[RenderableType] = []
    for case in result.cases:
        title = [_title(f"{result.experiment.name}, case {case.case}")] if len(result.cases) > 1 else []
        parts += [*title, *([in_brief(case.backprop)] if case.backprop else []), Text("")]
    failed = problems(result)
    return Group(*parts, *([failed] if failed else []))


def problems(result: ExperimentResult) -> RenderableType | None:
    """Only what failed, each under its case; None when nothing did."""
    parts: list[RenderableType] = []
    for case in result.cases:
        found = [*compared(check for check in figure_checks(figures_of(case)) if check.outcome == "failed")]
        found += [part for stage in case.stages for part in STAGES[stage].failures(case)]
        found += [_warning(f"{NOT_FINITE}: {stage}: {said}") for stage, said in nonfinite_of(case).items()]
        if found:
            parts += [_title(f"{result.experiment.name}, case {case.case} ({case.dtype})"), *found, Text("")]
    return Group(*parts) if parts else None


def summary(counts: Tally) -> str:
    """The last line of a report."""
    parts = []
    if counts.figures:
        failed = f", {counts.failed} fail" if counts.failed else ""
        errata = count(counts.errata, "erratum", "errata")
        figures = count(counts.figures, "printed figure" if counts.worked_out else "figure")
        parts.append(f"{figures}, {counts.matched} match, {errata} confirmed{failed}")
    if counts.worked_out:
        failed = f", {counts.worked_out_failed} fail" if counts.worked_out_failed else ""
        parts.append(f"{counts.worked_out} worked out, {counts.worked_out_matched} match{failed}")
    if counts.formulas:
        errata = f", {count(counts.formula_errata, 'erratum', 'errata')} confirmed" if counts.formula_errata else ""
        failed = f", {counts.formulas_failed} differ" if counts.formulas_failed else ""
        agree = counts.formulas - counts.formula_errata - counts.formulas_failed
        parts.append(f"{count(counts.formulas, 'formula')}, {agree} agree{errata}{failed}")
    if counts.entries:
        lost = f", {counts.entries_nonfinite} {NOT_FINITE}" if counts.entries_nonfinite else ""
        parts.append(
            f"{count(counts.entries, 'gradient entry', 'gradient entries')} checked, "
            f"{counts.entries_refuted} refuted, {counts.entries_inconclusive} inconclusive{lost}"
        )
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
    line = Paragraph(plain(words, "bold" if counts.passed else "bold red"))
    return Group(line, Text("")) if name else line


def _heading(experiment: Experiment) -> RenderableType:
    source = experiment.source
    cited = ", ".join(part for part in (source.title, source.url) if part)
    lines = [plain(": ".join(part for part in (experiment.name, experiment.title) if part), "bold")]
    lines += [plain(f"source: {cited}")] if cited else []
    lines += [plain(f"note: {' '.join(source.note.split())}", "dim")] if source.note else []
    return Group(*(Paragraph(line) for line in lines))


def _case(result: CaseResult, one_of_many: bool) -> RenderableType:
    parts: list[RenderableType] = [Text(""), _title(f"case {result.case} ({result.dtype})")]
    parts += [part for stage in result.stages for part in STAGES[stage].page(result)]
    if one_of_many:
        parts += [Text(""), Paragraph(plain(summary(tally(result))), indent=2)]
    return Group(*parts)


def _title(words: str) -> RenderableType:
    return Paragraph(plain(words, "bold underline"))


def _warning(words: str) -> RenderableType:
    return Paragraph(plain(words, "bold yellow"), indent=2)


# Nodes


def backprop_page(case: CaseResult) -> Iterable[RenderableType]:
    """Every node with its gradient, and what they were held against."""
    result = case.backprop
    if result is None:
        return
    yield from steps(result)
    if result.first_nonfinite:
        yield _warning(result.first_nonfinite)
    if result.witnesses:
        yield from section("witnesses")
        hidden = between(result)
        yield from witnesses([one for one in result.witnesses if one.name not in hidden or not one.passed])
    if result.formulas:
        yield from section("hand-derived formulas")
        yield from compared(map(formula_check, result.formulas))
    if result.figures:
        yield from section("figures")
        yield from compared(figure_checks(result.figures))


def backprop_failures(case: CaseResult) -> Iterable[RenderableType]:
    """The formulas that differ, and what a witness says of a gradient."""
    if result := case.backprop:
        yield from compared(formula_check(formula) for formula in result.formulas if not formula.passed)
        yield from witnesses([witness for witness in result.witnesses if not witness.passed])


# Gradient check


def gradcheck_page(case: CaseResult) -> Iterable[RenderableType]:
    """The entries, the verdicts parameter by parameter, and the figures printed for the check."""
    result = case.gradcheck
    if result is None:
        return
    yield from section("gradient check")
    yield from entries(result.entries)
    checks = EntryChecks.of(result.entries)
    for parameter in dict.fromkeys(checks.parameter):
        verdicts = [v for v, owner in zip(checks.verdict, checks.parameter, strict=True) if owner == parameter]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
        yield Paragraph(plain(f"d{parameter}: {count(len(verdicts), 'entry', 'entries')}, {counts}"), indent=2)
    if result.figures:
        yield from section("figures of the gradient check")
        yield from compared(figure_checks(result.figures))


def gradcheck_failures(case: CaseResult) -> Iterable[RenderableType]:
    """The entries that are refuted."""
    if result := case.gradcheck:
        yield from entries([entry for entry in result.entries if not entry.passed])


# Training


def train_page(case: CaseResult) -> Iterable[RenderableType]:
    """Some epochs, the trained parameters, and the figures."""
    result = case.train
    if result is None:
        return
    yield from section(f"training, {count(result.updates, 'update')}")
    yield from _epochs(result)
    yield Sparkline(next(iter(result.columns.values())))
    if result.first_nonfinite:
        yield _warning(result.first_nonfinite)
    if result.parameters:
        yield from section("parameters after training")
        yield Blocks(tuple((entry_of(name, "", value),) for name, value in result.parameters.items()))
    if result.figures:
        yield from section("figures of the training")
        yield from compared(figure_checks(result.figures))


def _epochs(result: TrainResult) -> Iterable[RenderableType]:
    names = tuple(name for name in result.columns if not name.endswith("]")) or tuple(result.columns)
    epochs = max((len(result.columns[name]) for name in names), default=0)
    rows = (
        Row((plain(f"epoch {epoch}"), *(plain(number(result.columns[name][epoch])) for name in names)))
        for epoch in selected(epochs)
    )
    yield Sheet(("", *names), tuple(rows))


@dataclass(frozen=True)
class Sparkline:
    """A column of numbers as one line of bars, for people: a terminal that can show them."""

    column: Array

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not (console.is_terminal and options.encoding.startswith("utf") and np.all(np.isfinite(self.column))):
            return
        means = [float(np.mean(part)) for part in np.array_split(self.column, min(60, len(self.column)))]
        low, high = min(means), max(means)
        bars = "".join(BARS[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)
        yield Paragraph(plain(bars, "blue"), indent=2)


def selected(epochs: int) -> list[int]:
    """The first epoch, 1, 2, 5, 10, 20, 50, …, and the last of `epochs`."""
    steps = (digit * 10**power for power in range(len(str(epochs))) for digit in (1, 2, 5))
    return sorted({0, *(step for step in steps if step < epochs), epochs - 1}) if epochs else []


# The self-test


def selftest(results: Sequence[SelftestResult], quiet: bool = False) -> RenderableType:
    """What each experiment's run notices, and what it lets pass."""
    names = ("experiment", "figures", "caught", "faults", "caught", "without effect")
    rows = tuple(
        Row((plain(r.name), *(plain(str(n)) for n in counted)))
        for r in results
        for counted in [(r.figures, r.figures_caught, r.faults, r.faults_caught, r.without_effect)]
    )
    parts: list[RenderableType] = [] if quiet else [Sheet(names, rows, (0,), (0,), 0)]
    survivors = [survivor for result in results for survivor in result.survivors]
    aside = [survivor for result in results for survivor in result.set_aside]
    for title, listed in (("not caught", survivors), ("not changed", () if quiet else aside)):
        if listed:
            lines = (f"{one.what}  {one.place or ''}" for one in listed)
            parts += [*section(title), *(Paragraph(plain(line), indent=2) for line in lines)]
    figures, caught = sum(r.figures for r in results), sum(r.figures_caught for r in results)
    faults, found = sum(r.faults for r in results), sum(r.faults_caught for r in results)
    words = f"{caught} of {figures} changed figures and {found} of {faults} planted faults caught"
    return Group(
        *parts, *([Text("")] if parts else []), Paragraph(plain(words, "bold yellow" if survivors else "bold"))
    )
