"""Results -> a flat list of what was compared: the items of a JUnit file, of annotations, of a pytest session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mathlab.errors import Place
from mathlab.experiment import Experiment
from mathlab.reports.layout import number, short
from mathlab.reports.names import distinct, figure_name, formula_name, gradient_name
from mathlab.reports.verdicts import badness, indexed
from mathlab.results import (
    NOT_FINITE,
    CaseResult,
    EntryCheck,
    ExperimentResult,
    FigureResult,
    FormulaResult,
    GradcheckResult,
    WitnessResult,
    nonfinite_of,
)
from mathlab.stages.table import STAGES

Kind = Literal["figure", "worked out", "number", "formula", "gradient", "cell", "array", "article"]
Outcome = Literal["passed", "failed", "erratum"]

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


@dataclass(frozen=True)
class Check:
    """One comparison: a printed number, a formula, the gradient check of one parameter, cells of a CSV, an array.

    A case of which some number is not finite has one for that, of the kind `number`.

    `group` (an experiment) and `case` say where it belongs; `name` is unique there. `expected` and `computed` are the
    two sides as they are shown, called what `SIDES` says; a side, `error` or `tolerance` may be empty. `remarks` are
    (word, sentence) pairs. `place` is where the expected value stands; without one, `file` still says in which file.
    """

    kind: Kind
    group: str
    case: str
    name: str
    outcome: Outcome
    verdict: str
    file: str
    place: Place | None = None
    expected: str = ""
    computed: str = ""
    error: str = ""
    tolerance: str = ""
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def where(self) -> str:
        return str(self.place or self.file)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What was compared with what and by how much they differ, as (word, text) pairs."""
        sides = zip(SIDES[self.kind], (self.expected, self.computed), strict=True)
        measured = (("error", self.error), ("tolerance", self.tolerance))
        return tuple((word, text) for word, text in (*sides, *measured) if text)


def sentence(check: Check) -> str:
    """The check in one line: `p[0] differs: printed 0.8032, computed 0.8022, error -0.00102, tolerance 5e-05`."""
    facts = ", ".join(f"{word} {text}" for word, text in check.facts)
    return f"{check.name}: {check.verdict}" + (f" ({facts})" if facts else "")


def explanation(check: Check) -> str:
    """The check as a few lines: where it stands, the verdict, what was compared, what is known about it."""
    said = (*check.facts, *check.remarks)
    width = max((len(word) for word, _ in said), default=0)
    lines = [f"{check.where}: {check.name}: {check.verdict}"]
    lines += [f"  {word:{width}}  {' '.join(text.split())}" for word, text in said]
    return "\n".join(lines)


def checks(result: ExperimentResult) -> tuple[Check, ...]:
    """Everything that was compared, case by case, in the order of `names.declared`.

    A witness has a check of its own only where it contradicts a gradient, a stage only where it is not finite.
    """
    places = {case.name: case.place for case in result.experiment.cases}
    return tuple(
        replace(check, name=name)
        for case in result.cases
        for check, name in _named(list(_of_case(case, result.experiment, places.get(case.case))))
    )


def _named(found: Sequence[Check]) -> Iterator[tuple[Check, str]]:
    return zip(found, distinct(check.name for check in found), strict=True)


def _of_case(case: CaseResult, experiment: Experiment, place: Place | None) -> Iterator[Check]:
    group, file = experiment.name, experiment.path
    for stage in case.stages:
        yield from STAGES[stage].checks(case, group, file, place)
    for stage, said in nonfinite_of(case).items():
        name = f"the numbers of {stage}"
        yield Check("number", group, case.case, name, "failed", NOT_FINITE, file, place, remarks=(("first", said),))


def backprop_checks(case: CaseResult, group: str, file: str, place: Place | None) -> Iterator[Check]:
    """The figures, the formulas, and where a witness contradicts."""
    if result := case.backprop:
        yield from figure_checks(result.figures, group, case.case, file)
        for formula in result.formulas:
            yield _formula(formula, group, case.case, file)
        for witness in result.witnesses:
            if not witness.passed:
                yield _contradiction(witness, group, case.case, file, place)


def gradcheck_checks(case: CaseResult, group: str, file: str, place: Place | None) -> Iterator[Check]:
    """The parameters, then the figures."""
    if result := case.gradcheck:
        yield from _gradients(result, place, group, case.case, file)
        yield from figure_checks(result.figures, group, case.case, file)


def train_checks(case: CaseResult, group: str, file: str, place: Place | None) -> Iterator[Check]:
    """The figures, in the order of the updates."""
    if result := case.train:
        figures = sorted(result.figures, key=lambda figure: figure.updates or 0)
        yield from figure_checks(figures, group, case.case, file)


def figure_checks(figures: Iterable[FigureResult], group: str, case: str, file: str) -> Iterator[Check]:
    """Every number of every figure."""
    for figure in figures:
        yield from _figure(figure, group, case, file)


def _figure(figure: FigureResult, group: str, case: str, file: str) -> Iterator[Check]:
    about = (("at", figure.at), ("because", figure.because), ("erratum", figure.erratum))
    why = (("diagnosis", figure.diagnosis), ("first divergence", figure.first_divergence))
    for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        outcome = _outcome(entry.verdict.passed, entry.verdict.label)
        in_full = (("in full", repr(entry.computed)),) if outcome == "failed" else ()
        yield Check(
            kind="worked out" if figure.worked_out else "figure",
            group=group,
            case=case,
            name=figure_name(figure.stage, figure.key, index, figure.updates),
            outcome=outcome,
            verdict=entry.verdict.label,
            file=file,
            place=entry.place,
            expected=entry.printed,
            computed=entry.shown,
            error=short(entry.error),
            tolerance=short(entry.tolerance),
            remarks=(*in_full, *_said(about), *(_said(why) if outcome != "passed" else ())),
        )


def _formula(formula: FormulaResult, group: str, case: str, file: str) -> Check:
    return Check(
        kind="formula",
        group=group,
        case=case,
        name=formula_name(formula.name, formula.formula),
        outcome=_outcome(formula.passed, formula.label),
        verdict=formula.label,
        file=file,
        place=formula.place,
        expected=formula.formula,
        computed=formula.derived,
        error=short(formula.error),
        tolerance=short(formula.tolerance),
        remarks=_said(
            (
                ("message", formula.message),
                ("at", formula.at),
                ("erratum", formula.erratum),
                ("diagnosis", formula.diagnosis),
            )
        ),
    )


def _contradiction(result: WitnessResult, group: str, case: str, file: str, place: Place | None) -> Check:
    return Check(
        kind="gradient",
        group=group,
        case=case,
        name=f"d{result.name} beside the witness {result.witness}",
        outcome="failed",
        verdict=result.verdict,
        file=file,
        place=place,
        error="" if result.relative is None else f"{short(result.relative)} (relative)",
        remarks=_said((("message", result.message),)),
    )


def _gradients(result: GradcheckResult, place: Place | None, group: str, case: str, file: str) -> Iterator[Check]:
    """A check for every parameter; the numbers shown are those of its worst entry."""
    for parameter in dict.fromkeys(entry.parameter for entry in result.entries):
        entries = sorted((entry for entry in result.entries if entry.parameter == parameter), key=badness, reverse=True)
        refuted = [entry for entry in entries if not entry.passed]
        verdicts = Counter(entry.verdict for entry in entries)
        told = tuple((_entry_name(entry), _entry_words(entry)) for entry in refuted[:WORST])
        more = (("", f"and {len(refuted) - WORST} more"),) if len(refuted) > WORST else ()
        yield Check(
            kind="gradient",
            group=group,
            case=case,
            name=gradient_name(parameter),
            outcome="failed" if refuted else "passed",
            verdict=", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
            file=file,
            place=place,
            expected=number(entries[0].complex_step),
            computed=number(entries[0].derived),
            error=short(entries[0].absolute_error),
            remarks=(("worst entry", _entry_name(entries[0])), *told, *more),
        )


def _entry_name(entry: EntryCheck) -> str:
    return indexed(f"d{entry.parameter}", entry.index)


def _entry_words(entry: EntryCheck) -> str:
    numbers = (("derived", entry.derived), ("complex step", entry.complex_step), ("central", entry.central))
    return ", ".join(f"{word} {number(value)}" for word, value in numbers) + f": {entry.verdict}"


def _outcome(passed: bool, label: str) -> Outcome:
    return "failed" if not passed else "erratum" if label == "erratum confirmed" else "passed"


def _said(remarks: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((word, text) for word, text in remarks if text)
