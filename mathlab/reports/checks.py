"""What a command reports, and results -> all that was compared: rows of sheets, items of JUnit, annotations, pytest.

What the checks of a case are called is known before it runs, so that a test session can be collected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from rich.console import Group, RenderableType

from mathlab.errors import Place, Problem
from mathlab.experiment import Case, Figure
from mathlab.reports.layout import indexed, number, quantity, said, short
from mathlab.results import BackpropResult, CaseResult, ExperimentResult, GradcheckResult, StageResult
from mathlab.results.judged import NOT_FINITE, EntryCheck, FormulaResult, Outcome
from mathlab.stages.table import STAGES, Named

Kind = Literal["figure", "worked out", "number", "formula", "gradient", "cell", "array", "article"]

FORMULA, GRADIENT = "{} = {}", "gradient check of d{}"  # what the checks of them are called,
IN = {"gradcheck": " in the gradient check"}  # and what follows the quantity of a figure of a stage
WORST = 10  # refuted entries of one gradient that are told one by one

# What the two sides of a comparison are called.
SIDES: Mapping[Kind, tuple[str, str]] = {
    "figure": ("printed", "computed"),
    "worked out": ("worked out", "computed"),
    "number": ("", ""),
    "formula": ("by hand", "derived"),
    "gradient": ("complex step", "derived"),
    "cell": ("A", "B"),
    "array": ("computed", "given"),
    "article": ("computed", "printed"),
}


class Check(NamedTuple):
    """One comparison: a printed number, a formula, the gradient check of one parameter, cells of a CSV, an array.

    A case of which some number is not finite has one for that, of the kind `number`.

    `expected` and `computed` are the two sides as they are shown, called what `SIDES` says; a side, `error` or
    `tolerance` may be empty. `remarks` are (word, sentence) pairs. `place` is where the expected value stands, or the
    file to which it belongs. `of` is the quantity alone, and `figure` the whole of which it is an entry. `group` (an
    experiment) and `case` say where it belongs; `name` is unique there.
    """

    kind: Kind
    name: str
    outcome: Outcome
    verdict: str
    expected: str = ""
    computed: str = ""
    error: str = ""
    tolerance: str = ""
    place: Place | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    of: str = ""
    figure: str = ""
    group: str = ""
    case: str = ""

    @property
    def owner(self) -> list[str]:
        return [self.group, self.case] if self.case else [self.group]

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What was compared with what and by how much they differ, as (word, text) pairs."""
        sides = zip(SIDES[self.kind], (self.expected, self.computed), strict=True)
        measured = (("error", self.error), ("tolerance", self.tolerance))
        return tuple((word, text) for word, text in (*sides, *measured) if text)

    @property
    def said(self) -> str:
        """The remarks in one line."""
        return "; ".join(f"{word}: {text}" if word else text for word, text in self.remarks)


@dataclass(frozen=True)
class Report:
    """What a command found, in every way in which a format may tell it.

    `fine` says whether all that ran is as it should be, `summary` is the last line. `tables` are the page, as on a
    terminal, `compared` everything that was compared, `about` what JSON says of it: each is made when a format asks.
    `problems` are those that ended the command, or kept an experiment from running. With `quiet`, which `tables` is
    told, what passed is left out of the formats that people read.
    """

    command: str
    fine: bool
    summary: str
    tables: Callable[[bool], Iterable[RenderableType]]
    compared: Callable[[], Iterable[Check]]
    about: Callable[[], Mapping[str, object]]
    problems: Sequence[Problem] = ()
    quiet: bool = False

    @property
    def passed(self) -> bool:
        """Whether the command exits with 0."""
        return self.fine and not self.problems

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Everything that was compared."""
        return tuple(self.compared())

    @cached_property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "failed")

    def page(self) -> RenderableType:
        """The problems and the tables, as on a terminal."""
        return Group(*(said(str(problem), "bold red") for problem in self.problems), *self.tables(self.quiet))


def sentence(check: Check) -> str:
    """The check in one line: `p[0] differs: printed 0.8032, computed 0.8022, error -0.00102, tolerance 5e-05`."""
    facts = ", ".join(f"{word} {text}" for word, text in check.facts)
    return f"{check.name}: {check.verdict}" + (f" ({facts})" if facts else "")


def explanation(check: Check) -> str:
    """The check as a few lines: where it stands, the verdict, what was compared, what is known about it."""
    said = (*check.facts, *check.remarks)
    width = max((len(word) for word, _ in said), default=0)
    lines = [f"{check.place}: {check.name}: {check.verdict}"]
    lines += [f"  {word:{width}}  {' '.join(text.split())}" for word, text in said]
    return "\n".join(lines)


def checks(result: ExperimentResult) -> tuple[Check, ...]:
    """Everything that was compared, case by case, in the order of `declared`.

    A witness has a check of its own only where it contradicts a gradient, a stage only where it is not finite.
    """
    told, places = [], {case.name: case.place for case in result.experiment.cases}
    for case in result.cases:
        found = [check for name, stage in case.stages.items() for check in STAGES[name].checks(stage)]
        for stage, first in case.nonfinite.items():
            found.append(Check("number", f"the numbers of {stage}", "failed", NOT_FINITE, remarks=(("first", first),)))
        group, file = result.experiment.name, Place(result.experiment.path)
        for check, name in zip(found, distinct(check.name for check in found), strict=True):
            place = places.get(case.case) if check.kind in ("number", "gradient") else check.place
            told.append(check._replace(name=name, group=group, case=case.case, place=place or file))
    return tuple(told)


def backprop_checks(result: BackpropResult) -> Iterator[Check]:
    """The figures, the formulas, and where a witness contradicts."""
    yield from (*figure_checks(result), *map(formula_check, result.formulas))
    for one in result.witnesses:
        if not one.passed:
            name = f"d{one.name} beside the witness {one.witness}"
            error = "" if one.relative is None else f"{short(one.relative)} (relative)"
            yield Check("gradient", name, "failed", one.verdict, error=error, remarks=remarked(message=one.message))


def gradcheck_checks(result: GradcheckResult) -> Iterator[Check]:
    """The parameters, each with the numbers of its worst entry, then the figures."""
    for parameter, entries in result.parameters.items():
        entries = sorted(entries, key=badness, reverse=True)
        refuted, worst = [entry for entry in entries if not entry.passed], entries[0]
        verdicts, size = counted(entries), result.sampled.get(parameter, len(entries))
        if size > len(entries):
            verdicts += f" (a sample: {len(entries):,} of {size:,} entries)"
        said = [("worst entry", indexed(f"d{parameter}", worst.index))]
        for one in refuted[:WORST]:
            derived, slope, central = map(number, (one.derived, one.complex_step, one.central))
            words = f"derived {derived}, complex step {slope}, central {central}: {one.verdict}"
            said.append((indexed(f"d{parameter}", one.index), words))
        if len(refuted) > WORST:
            said.append(("", f"and {len(refuted) - WORST} more"))
        numbers = number(worst.complex_step), number(worst.derived), short(worst.absolute_error)
        outcome: Outcome = "failed" if refuted else "passed"
        yield Check("gradient", GRADIENT.format(parameter), outcome, verdicts, *numbers, remarks=tuple(said))
    yield from figure_checks(result)


def figure_checks(result: StageResult | CaseResult) -> Iterator[Check]:
    """Every number of every figure: all that a stage checks which compares nothing else."""
    for figure in result.figures:
        kind: Kind = "worked out" if figure.worked_out else "figure"
        about = remarked(at=figure.at, because=figure.because, erratum=figure.erratum)
        why = remarked(diagnosis=figure.diagnosis, first_divergence=figure.first_divergence)
        whole = quantity(figure.key, (), figure.updates)
        for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
            outcome, label = entry.verdict.outcome, entry.verdict.label
            numbers = entry.printed, entry.shown, short(entry.error), short(entry.tolerance)
            in_full = (("in full", repr(entry.computed)),) if outcome == "failed" else ()
            said = (*in_full, *about, *(why if outcome != "passed" else ()))
            of = quantity(figure.key, index, figure.updates)
            name = of + IN.get(figure.stage, "")
            yield Check(kind, name, outcome, label, *numbers, entry.place, said, of, whole)


def formula_check(formula: FormulaResult) -> Check:
    """A formula beside what is derived."""
    name, verdict = FORMULA.format(formula.name, formula.formula), formula.verdict
    sides = formula.formula, formula.derived, short(formula.error), short(formula.tolerance)
    said = remarked(message=formula.message, at=formula.at, erratum=formula.erratum, diagnosis=formula.diagnosis)
    return Check("formula", name, verdict.outcome, verdict.label, *sides, formula.place, said, formula.name)


def counted(entries: Iterable[EntryCheck]) -> str:
    """`9 confirmed, 1 kink`."""
    return ", ".join(f"{number} {verdict}" for verdict, number in Counter(one.verdict for one in entries).items())


def badness(entry: EntryCheck) -> tuple[bool, bool, float]:
    """Refuted before inconclusive before confirmed, then by relative error; NaN is worst."""
    error = entry.relative_error
    return not entry.passed, entry.verdict == "inconclusive", error if error == error else float("inf")


def remarked(**remarks: str) -> tuple[tuple[str, str], ...]:
    """What there is to remark, by its word."""
    return tuple((word.replace("_", " "), text) for word, text in remarks.items() if text)


# What they are called


def declared(case: Case, stages: Sequence[str]) -> tuple[tuple[str, Place | None], ...]:
    """The names that the checks of a case will have, and where each stands, without running it.

    Raises MathlabError for a case without parameters whose inputs cannot be told apart, because it does not fit.
    """
    found = [named for stage in stages for named in STAGES[stage].names(case)]
    return tuple(zip(distinct(name for name, _ in found), (place for _, place in found), strict=True))


def backprop_names(case: Case) -> Named:
    """Of the figures, then of the formulas."""
    yield from _named("backprop", case.expected)
    yield from ((FORMULA.format(formula.name, formula.text), formula.place) for formula in case.derivation)


def gradcheck_names(case: Case) -> Named:
    """Of the parameters, then of the figures."""
    from mathlab.stages.gradcheck import checked
    from mathlab.stages.prepare import prepare

    if case.gradcheck:
        yield from ((GRADIENT.format(name), case.place) for name in case.parameters or checked(prepare(case)))
        yield from _named("gradcheck", case.gradcheck.expected)


def train_names(case: Case) -> Named:
    """Of the figures, in the order of the updates."""
    for updates, figures in sorted(case.train.after if case.train else (), key=lambda pair: pair[0]):
        yield from _named("train", figures, updates)


def _named(stage: str, figures: Iterable[Figure], updates: int | None = None) -> Named:
    for figure in figures:
        for index, printed in zip(np.ndindex(figure.shape), figure.printed, strict=True):
            yield quantity(figure.name, index, updates) + IN.get(stage, ""), printed.place or figure.place


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names; one that comes again gets a number."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield f"{name} (no. {seen[name]})" if seen[name] > 1 else name
