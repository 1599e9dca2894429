"""Results -> a flat list of what was compared: the rows of sheets, the items of JUnit, annotations and pytest.

What the checks of a case are called is known before it runs, so that a test session can be collected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from mathlab.errors import Place
from mathlab.experiment import Case, Figure
from mathlab.reports.layout import indexed, number, quantity, short
from mathlab.results import (
    NOT_FINITE,
    CaseResult,
    EntryCheck,
    ExperimentResult,
    FigureResult,
    FormulaResult,
    Outcome,
    nonfinite_of,
)
from mathlab.stages.table import STAGES, Named

Kind = Literal["figure", "worked out", "number", "formula", "gradient", "cell", "array", "article"]

FORMULA, GRADIENT = "{} = {}", "gradient check of d{}"  # what the checks of them are called
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

    `group` (an experiment) and `case` say where it belongs; `name` is unique there. `of` is the quantity alone, and
    `figure` the whole of which it is an entry. `expected` and `computed` are the two sides as they are shown, called
    what `SIDES` says; a side, `error` or `tolerance` may be empty. `remarks` are (word, sentence) pairs. `place` is
    where the expected value stands; without one, `file` still says in which file.
    """

    kind: Kind
    name: str
    outcome: Outcome
    verdict: str
    group: str = ""
    case: str = ""
    file: str = ""
    place: Place | None = None
    of: str = ""
    figure: str = ""
    expected: str = ""
    computed: str = ""
    error: str = ""
    tolerance: str = ""
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def owner(self) -> list[str]:
        return [self.group, self.case] if self.case else [self.group]

    @property
    def where(self) -> str:
        return str(self.place or self.file)

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
    """Everything that was compared, case by case, in the order of `declared`.

    A witness has a check of its own only where it contradicts a gradient, a stage only where it is not finite.
    """
    told, places = [], {case.name: case.place for case in result.experiment.cases}
    for case in result.cases:
        found = [check for stage in case.stages for check in STAGES[stage].checks(case)]
        for stage, first in nonfinite_of(case).items():
            found.append(Check("number", f"the numbers of {stage}", "failed", NOT_FINITE, remarks=(("first", first),)))
        group, file = result.experiment.name, result.experiment.path
        for check, name in zip(found, distinct(check.name for check in found), strict=True):
            place = places.get(case.case) if check.kind in ("number", "gradient") else check.place
            told.append(check._replace(name=name, group=group, case=case.case, file=file, place=place))
    return tuple(told)


def backprop_checks(case: CaseResult) -> Iterator[Check]:
    """The figures, the formulas, and where a witness contradicts."""
    if result := case.backprop:
        yield from (*figure_checks(result.figures), *map(formula_check, result.formulas))
        for witness in result.witnesses:
            if not witness.passed:
                name = f"d{witness.name} beside the witness {witness.witness}"
                error = "" if witness.relative is None else f"{short(witness.relative)} (relative)"
                remarks = remarked(message=witness.message)
                yield Check("gradient", name, "failed", witness.verdict, error=error, remarks=remarks)


def gradcheck_checks(case: CaseResult) -> Iterator[Check]:
    """The parameters, then the figures."""
    if result := case.gradcheck:
        of_each: dict[str, list[EntryCheck]] = defaultdict(list)
        for entry in result.entries:
            of_each[entry.parameter].append(entry)
        yield from (_gradient(*one, result.sampled.get(one[0], 0)) for one in of_each.items())
        yield from figure_checks(result.figures)


def train_checks(case: CaseResult) -> Iterator[Check]:
    """The figures, in the order of the updates."""
    if result := case.train:
        yield from figure_checks(sorted(result.figures, key=lambda figure: figure.updates or 0))


def figure_checks(figures: Iterable[FigureResult]) -> Iterator[Check]:
    """Every number of every figure."""
    for figure in figures:
        about = remarked(at=figure.at, because=figure.because, erratum=figure.erratum)
        why = remarked(diagnosis=figure.diagnosis, first_divergence=figure.first_divergence)
        for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
            outcome = entry.verdict.outcome
            in_full = (("in full", repr(entry.computed)),) if outcome == "failed" else ()
            yield Check(
                kind="worked out" if figure.worked_out else "figure",
                name=_figure_name(figure.stage, figure.key, index, figure.updates),
                outcome=outcome,
                verdict=entry.verdict.label,
                place=entry.place,
                of=quantity(figure.key, index, figure.updates),
                figure=quantity(figure.key, (), figure.updates),
                expected=entry.printed,
                computed=entry.shown,
                error=short(entry.error),
                tolerance=short(entry.tolerance),
                remarks=(*in_full, *about, *(why if outcome != "passed" else ())),
            )


def formula_check(formula: FormulaResult) -> Check:
    """A formula beside what is derived."""
    return Check(
        kind="formula",
        name=FORMULA.format(formula.name, formula.formula),
        outcome=formula.verdict.outcome,
        verdict=formula.verdict.label,
        place=formula.place,
        of=formula.name,
        expected=formula.formula,
        computed=formula.derived,
        error=short(formula.error),
        tolerance=short(formula.tolerance),
        remarks=remarked(message=formula.message, at=formula.at, erratum=formula.erratum, diagnosis=formula.diagnosis),
    )


def _gradient(parameter: str, entries: Sequence[EntryCheck], size: int) -> Check:
    """The check of a parameter, with the numbers of its worst entry; `size` is 0 but where it is of a sample."""
    worst, *_ = entries = sorted(entries, key=badness, reverse=True)
    refuted = [entry for entry in entries if not entry.passed]
    verdicts = Counter(entry.verdict for entry in entries)
    sampled = f" (a sample: {len(entries):,} of {size:,} entries)" if size > len(entries) else ""
    remarks = [("worst entry", indexed(f"d{parameter}", worst.index))]
    for one in refuted[:WORST]:
        numbers = (("derived", one.derived), ("complex step", one.complex_step), ("central", one.central))
        words = ", ".join(f"{word} {number(value)}" for word, value in numbers)
        remarks.append((indexed(f"d{parameter}", one.index), f"{words}: {one.verdict}"))
    remarks += [("", f"and {len(refuted) - WORST} more")] if len(refuted) > WORST else []
    return Check(
        kind="gradient",
        name=GRADIENT.format(parameter),
        outcome="failed" if refuted else "passed",
        verdict=", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + sampled,
        expected=number(worst.complex_step),
        computed=number(worst.derived),
        error=short(worst.absolute_error),
        remarks=tuple(remarks),
    )


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
    yield from _declared_figures("backprop", case.expected)
    yield from ((FORMULA.format(formula.name, formula.text), formula.place) for formula in case.derivation)


def gradcheck_names(case: Case) -> Named:
    """Of the parameters, then of the figures."""
    from mathlab.stages.gradcheck import checked
    from mathlab.stages.prepare import prepare

    if case.gradcheck:
        yield from ((GRADIENT.format(name), case.place) for name in case.parameters or checked(prepare(case)))
        yield from _declared_figures("gradcheck", case.gradcheck.expected)


def train_names(case: Case) -> Named:
    """Of the figures, in the order of the updates."""
    for updates, figures in sorted(case.train.after if case.train else (), key=lambda pair: pair[0]):
        yield from _declared_figures("train", figures, updates)


def _declared_figures(stage: str, figures: Iterable[Figure], updates: int | None = None) -> Named:
    for figure in figures:
        for index, printed in zip(np.ndindex(figure.shape), figure.printed, strict=True):
            yield _figure_name(stage, figure.key, index, updates), printed.place or figure.place


def _figure_name(stage: str, key: str, index: tuple[int, ...], updates: int | None) -> str:
    """`p[0]`, `loss after 2 updates`, `central_W[0,1] in the gradient check`."""
    return quantity(key, index, updates) + (" in the gradient check" if stage == "gradcheck" else "")


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names; one that comes again gets a number."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield f"{name} (no. {seen[name]})" if seen[name] > 1 else name
