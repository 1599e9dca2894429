"""Results -> rich renderables. Nothing here prints; nothing here rounds what was printed in an article."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType, group
from rich.text import Text

from mathlab.experiment import Choice
from mathlab.reports.checks import SIDES, WORST, Check, badness, counted, figure_checks, formula_check
from mathlab.reports.layout import Blocks, Paragraph, Row, Sheet, count, indexed, number, plain, said, sheet, short
from mathlab.reports.steps import between, entry_of, in_brief, section, steps
from mathlab.results import BackpropResult, ExperimentResult, GradcheckResult, SweepResult, Tally, TrainResult, tally
from mathlab.results.judged import NOT_FINITE, EntryCheck, WitnessResult
from mathlab.stages.table import STAGES

if TYPE_CHECKING:
    from mathlab.diagnosis.selftest import SelftestResult

TITLE, LOST = "bold underline", "bold yellow"
FIGURES = {"backprop": "figures", "gradcheck": "figures of the gradient check", "train": "figures of the training"}
CHECKED = 40  # entries of a gradient check; a longer one shows its worst

CALLED = {"at": "", "message": "", "first divergence": "differs first: "}  # remarks, which else are as they are called
MEANING = {
    "truncated": "printed cut off, not rounded; 'rounding: truncate' in the config judges it as cut off",
    "rounded": "printed rounded, where the config says 'rounding: truncate'",
    "off by": "so many units of the last printed digit",
    "erratum refuted": "the config calls it an erratum, but it agrees with what is computed",
    "inconclusive": "rounding hides the answer: neither confirmed nor refuted, and no failure",
    "kink": "there is a corner here: the derivative lies between the slopes on its two sides",
}

STYLES = {
    "confirmed": "green",
    "kink": "green",
    "inconclusive": "yellow",
    "skipped": "yellow",
    "erratum confirmed": "cyan",
}


@group()
def report(result: ExperimentResult) -> Iterator[RenderableType]:
    """Everything that ran for an experiment, case after case."""
    about, source = result.experiment, result.experiment.source
    yield said(": ".join(filter(None, (about.name, about.title))), "bold")
    if cited := ", ".join(filter(None, (source.title, source.url))):
        yield said(f"source: {cited}")
    if source.note:
        yield said(f"note: {' '.join(source.note.split())}", "dim")
    for case in result.cases:
        yield from (Text(""), said(f"case {case.case} ({case.dtype})", TITLE))
        for name, stage in case.stages.items():
            yield from STAGES[name].page(stage)
            if stage.figures:
                yield from section(FIGURES.get(name, f"figures of {name}"))
                yield from compared(figure_checks(stage))
        if len(result.cases) > 1:
            yield from (Text(""), said(summary(tally(case)), indent=2))
    yield Text("")


@group()
def brief(result: ExperimentResult) -> Iterator[RenderableType]:
    """The equations of every case with values and gradients, and what failed."""
    for case in result.cases:
        if len(result.cases) > 1:
            yield said(f"{result.experiment.name}, case {case.case}", TITLE)
        if case.backprop:
            yield in_brief(case.backprop)
        yield Text("")
    yield problems(result)


@group()
def problems(result: ExperimentResult) -> Iterator[RenderableType]:
    """Only what failed, each under its case; nothing when nothing did."""
    for case in result.cases:
        found: list[RenderableType] = [  # first, for the rest may come of it
            said(f"{NOT_FINITE} in {stage}: {what}", LOST, 2) for stage, what in case.nonfinite.items()
        ]
        found += compared(check for check in figure_checks(case) if check.outcome == "failed")
        found += [part for name, stage in case.stages.items() for part in STAGES[name].failures(stage)]
        if found:
            yield from (said(f"{result.experiment.name}, case {case.case} ({case.dtype})", TITLE), *found, Text(""))


def checked_of(number: int, left: int, one: str, many: str) -> str:
    """`4 entries`, or `10,000 of 1,000,000 entries` of a sample."""
    return f"{number:,} of {number + left:,} {many}" if left else count(number, one, many)


def summary(counts: Tally) -> str:
    """The last line of a report."""

    def some(number: int, words: str) -> str:
        return f", {number} {words}" if number else ""

    figures = count(counts.figures, "printed figure" if counts.worked_out else "figure")
    errata = count(counts.errata, "erratum", "errata")
    agree = counts.formulas - counts.formula_errata - counts.formulas_failed
    confirmed = some(counts.formula_errata, f"{'erratum' if counts.formula_errata == 1 else 'errata'} confirmed")
    entries = checked_of(counts.entries, counts.entries_left, "gradient entry", "gradient entries")
    doubts = f"{counts.entries_refuted} refuted, {counts.entries_inconclusive} inconclusive"
    worked_out = f"{counts.worked_out} worked out, {counts.worked_out_matched} match"
    formulas = f"{count(counts.formulas, 'formula')}, {agree} agree{confirmed}"
    kinds = (
        (counts.figures, f"{figures}, {counts.matched} match, {errata} confirmed{some(counts.failed, 'fail')}"),
        (counts.worked_out, worked_out + some(counts.worked_out_failed, "fail")),
        (counts.formulas, formulas + some(counts.formulas_failed, "differ")),
        (counts.entries, f"{entries} checked, {doubts}{some(counts.entries_nonfinite, NOT_FINITE)}"),
        (counts.contradicted, f"{count(counts.contradicted, 'gradient')} contradicted by a witness"),
        (counts.runs_lost, f"{counts.runs_lost} of {count(counts.runs, 'run')} {NOT_FINITE}"),
        (counts.nonfinite, f"{count(counts.nonfinite, 'case')} {NOT_FINITE}"),
    )
    return "; ".join(words for counted, words in kinds if counted) or "no figures to compare"


def closing(counts: Tally, name: str = "") -> RenderableType:
    """The summary as the last line of a report, or of one experiment's part of it."""
    words = f"{name}: {summary(counts)}" if name else summary(counts)
    line = Paragraph(plain(words, "bold" if counts.passed else "bold red"), apart="; ")
    return Group(line, Text("")) if name else line


# What was compared, as sheets


def compared(found: Iterable[Check]) -> Iterable[RenderableType]:
    """A row for every number that was printed, then worked out, and for every formula; below it what is known of it.

    What is said of a whole figure stands once, below the last of its numbers. A message is the lab's own.
    """
    every = [*found]
    for kind in SIDES:
        rows, of_kind = [], [check for check in every if check.kind == kind]
        for check, after in zip_longest(of_kind, of_kind[1:]):
            untold = after.remarks if after and check.figure and after.figure == check.figure else ()
            notes = [plain(str(check.place), "bold red")] if check.place and check.outcome == "failed" else []
            for word, text in check.remarks:
                if word != "in full" and (word, text) not in untold:
                    called = CALLED.get(word, f"{word}: ")
                    notes.append(plain(called + text, "" if word == "message" else "dim"))
            texts = (check.of, check.expected, check.computed, check.error, check.tolerance)
            rows.append(Row.of(*texts, _verdict(check.verdict, check.outcome != "failed"), notes=notes))
        names = ("gradient" if kind == "formula" else "quantity", *SIDES[kind], "error", "tolerance", "verdict")
        yield from sheet(names, explained(rows), (0, 5), (0, 1, 2, 5) if kind == "formula" else (0, 5))


def _verdict(label: str, passed: bool) -> Text:
    return plain(label, STYLES.get(label, "green") if passed else "bold red")


def explained(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, whose last cell is a verdict; what it means stands once, where it is not obvious."""
    untold = dict(MEANING)
    for row in rows:
        meaning = untold.pop(row.cells[-1].plain.rstrip(" 0123456789"), "")
        yield row._replace(notes=(plain(meaning, "dim"), *row.notes)) if meaning else row


def witnesses(results: Iterable[WitnessResult]) -> Iterable[RenderableType]:
    """Gradients beside witnesses."""
    rows = []
    for one in results:
        errors = ("" if error is None else short(error) for error in (one.relative, one.ulp))
        notes = [plain(one.message, "dim")] if one.message else []
        rows.append(Row.of(f"d{one.name}", one.witness, *errors, _verdict(one.verdict, one.passed), notes=notes))
    return sheet(("gradient", "witness", "relative", "ulp", "verdict"), rows, (0, 1, 4), (0, 1, 4))


def entries(checks: Sequence[EntryCheck]) -> Iterable[RenderableType]:
    """Every entry that was checked; of more than `CHECKED`, the worst."""
    shown, rows = checks, []
    if len(checks) > CHECKED:
        shown = sorted(checks, key=badness, reverse=True)[:WORST]
        yield said(f"the {len(shown)} worst of {len(checks)} entries", indent=2)
    for one in shown:
        numbers = map(number, (one.derived, one.complex_step, one.central))
        errors = map(short, (one.resolution, one.absolute_error, one.relative_error))
        name = indexed(f"d{one.parameter}", one.index)
        rows.append(Row.of(name, *numbers, *errors, _verdict(one.verdict, one.passed)))
    names = ("entry", "derived", "complex step", "central", "resolution", "absolute", "relative", "verdict")
    yield from sheet(names, explained(rows), (0, 7), (0, 7))


# The stages


def backprop_page(result: BackpropResult) -> Iterable[RenderableType]:
    """Every node with its gradient, and what they were held against."""
    yield from steps(result)
    if result.first_nonfinite:
        yield said(result.first_nonfinite, LOST, 2)
    if result.witnesses:
        hidden = between(result)
        shown = (one for one in result.witnesses if one.name not in hidden or not one.passed)
        yield from (*section("witnesses"), *witnesses(shown))
    if result.formulas:
        yield from (*section("hand-derived formulas"), *compared(map(formula_check, result.formulas)))


def backprop_failures(result: BackpropResult) -> Iterable[RenderableType]:
    """The formulas that differ, and what a witness says of a gradient."""
    yield from compared(formula_check(formula) for formula in result.formulas if not formula.passed)
    yield from witnesses(witness for witness in result.witnesses if not witness.passed)


def gradcheck_page(result: GradcheckResult) -> Iterable[RenderableType]:
    """The entries, and the verdicts parameter by parameter."""
    yield from (*section("gradient check"), *entries(result.entries))
    for parameter, found in result.parameters.items():
        left = result.sampled.get(parameter, len(found)) - len(found)
        yield said(f"d{parameter}: {checked_of(len(found), left, 'entry', 'entries')}, {counted(found)}", indent=2)


def gradcheck_failures(result: GradcheckResult) -> Iterable[RenderableType]:
    """The entries that are refuted."""
    return entries([entry for entry in result.entries if not entry.passed])


def train_page(result: TrainResult) -> Iterable[RenderableType]:
    """Some epochs, and the trained parameters."""
    epochs = selected(max(map(len, result.whole.values()), default=0))
    rows = (Row.of(f"epoch {at}", *(number(column[at]) for column in result.whole.values())) for at in epochs)
    yield from (*section(f"training, {count(result.updates, 'update')}"), Sheet(("", *result.whole), tuple(rows)))
    if result.first_nonfinite:
        yield said(result.first_nonfinite, LOST, 2)
    if result.parameters:
        yield from section("parameters after training")
        yield Blocks(tuple((entry_of(name, "", value),) for name, value in result.parameters.items()))


def selected(epochs: int) -> list[int]:
    """The first epoch, 1, 2, 5, 10, 20, 50, …, and the last of `epochs`."""
    steps = (digit * 10**power for power in range(len(str(epochs))) for digit in (1, 2, 5))
    return sorted({0, *(step for step in steps if step < epochs), epochs - 1}) if epochs else []


@group()
def selftest(results: Sequence[SelftestResult], quiet: bool = False) -> Iterator[RenderableType]:
    """What each experiment's run notices, and what it lets pass."""
    names = ("experiment", "figures", "caught", "faults", "caught", "without effect")
    counted = [(r.figures, r.figures_caught, r.faults, r.faults_caught, r.without_effect) for r in results]
    figures, caught, faults, found, _ = map(sum, zip(*counted, strict=True))
    survivors = [survivor for result in results for survivor in result.survivors]
    aside = [survivor for result in results for survivor in result.set_aside if not quiet]
    if not quiet:
        rows = (Row.of(r.name, *map(str, of)) for r, of in zip(results, counted, strict=True))
        yield Sheet(names, tuple(rows), indent=0)
    for title, listed in (("not caught", survivors), ("not changed", aside)):
        if listed:
            yield from (*section(title), *(said(f"{one.what}  {one.place or ''}", indent=2) for one in listed))
    if not quiet or survivors:
        yield Text("")
    words = f"{caught} of {figures} changed figures and {found} of {faults} planted faults caught"
    yield said(words, "bold yellow" if survivors else "bold")


BEST, LAST, TOLD = 3, 3, 5  # runs that are shown
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


def sweep_page(result: SweepResult) -> Iterable[RenderableType]:
    """The best and the worst runs by the first reported number, the quantiles, and what is not finite."""
    runs, ranked, columns = len(result.nonfinite), result.ranked, result.columns
    stacked = f", {'all' if result.stacked == runs else result.stacked} of them stacked" if result.stacked else ""
    yield from section(f"sweep, {count(runs, 'run')}{stacked}")
    rows, spread = [], []
    for run in (*ranked[:BEST], *ranked[max(len(ranked) - LAST, BEST) :]):
        rank = "best" if run == ranked[0] else "worst" if run == ranked[-1] else ""
        settings = (_setting(choices[run]) for choices in result.settings.values())
        rows.append(Row.of(rank, str(run), *settings, *(number(column[run]) for column in columns.values())))
    if ranked:
        for name, column in columns.items():  # over the runs that stayed finite
            finite = np.asarray(column, np.float64)[ranked]
            spread.append(Row.of(name, *map(number, np.quantile(finite, [*QUANTILES.values()]))))
        yield Sheet(("", "run", *result.settings, *columns), tuple(rows))
        yield from (Text(""), Sheet(("", *QUANTILES), tuple(spread)))
    yield from sweep_failures(result)


def sweep_failures(result: SweepResult) -> Iterable[RenderableType]:
    """Which runs left the finite numbers, and by what that was seen."""
    if runs := result.lost:
        told = ", ".join(f"run {run}: {result.nonfinite[run]}" for run in runs[:TOLD])
        more = f", and {len(runs) - TOLD} more" if len(runs) > TOLD else ""
        yield said(f"{count(len(runs), 'run')} left the finite numbers: {told}{more}", "bold yellow", 2)


def _setting(choice: Choice | None) -> str:
    """As the config writes it; a number that was drawn has more digits than anybody reads."""
    if choice is None:
        return ""
    return number(choice.number) if choice.label == repr(choice.number) else choice.label
