"""How much would a run notice? Every figure is changed by one last digit, and every gradient by the usual mistakes.

A changed figure is caught when it no longer matches; where the value is a tie up to its rounding noise, so
that both figures are right, the change is none. A planted fault is a copy of the derived program with one mistake
in its backward equations; it is caught when a figure, a formula, a witness or the gradient check of the case fails by
it. What is not caught is a survivor: a digit or a gradient that nobody looks at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

import numpy as np

from mathlab.diagnosis import slips
from mathlab.diagnosis.mistakes import KINDS
from mathlab.diagnosis.trials import batch_size
from mathlab.diagnosis.worlds import changed, snapshots
from mathlab.errors import ExpressionError, MathlabError, Place
from mathlab.experiment import Array, Case, Experiment, Figure, GradcheckSettings
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Num
from mathlab.printed import judge, judge_number, neighbours
from mathlab.stages import backprop, gradcheck, witness
from mathlab.stages.gradcheck import Measured, check_entries
from mathlab.stages.noise import in_float64, noises, rounding_noise
from mathlab.stages.prepare import Prepared, evaluate, prepare

ENOUGH = 0.99  # of the planted faults
SAME = 1e-12  # relative: a fault that moves no gradient by more changes nothing at the article's point

PLANTED = (
    *("mask missing", "mask reversed", "derivative missing", "upstream missing", "backward transposed", "not summed"),
    *("term missing", "term's sign"),
)


class Survivor(NamedTuple):
    """Something wrong that the run lets pass, and where it would have stood."""

    what: str
    place: Place | None = None


class SelftestResult(NamedTuple):
    """What one experiment's run notices.

    `set_aside` are the figures that were not changed: errata, and those that claim only some of their digits.
    `without_effect` counts faults that change no gradient at the article's point, and so are none there, and changes of
    a figure to the other neighbour of a tie.
    """

    name: str
    figures: int
    figures_caught: int
    faults: int
    faults_caught: int
    without_effect: int
    set_aside: tuple[Survivor, ...] = ()
    survivors: tuple[Survivor, ...] = ()


def passed(results: Sequence[SelftestResult]) -> bool:
    """Whether every changed figure was caught, and enough of the planted faults."""
    figures = all(result.figures_caught == result.figures for result in results)
    faults = sum(result.faults_caught for result in results) >= ENOUGH * sum(result.faults for result in results)
    return figures and faults


def run(experiment: Experiment) -> SelftestResult:
    """The self-test of every case. Raises MathlabError for an experiment that does not pass as it is."""
    total = SelftestResult(experiment.name, 0, 0, 0, 0, 0)
    for case in experiment.cases:
        lab = _Lab(case)
        if lab.notices(lab.prepared):
            raise MathlabError(
                f"case {case.name} does not pass as it is, so nothing can be said of changes", case.place
            )
        changed, ties, aside = _changed_figures(lab)
        lost = [Survivor(f"{case.name}: {what}", place) for what, place, caught in changed if not caught]
        faults = [(clause, lab.notices(mutant)) for clause, mutant in lab.faults() if lab.has_effect(mutant)]
        lost += [Survivor(f"{case.name}: {clause}", case.place) for clause, caught in faults if not caught]
        total = total._replace(
            figures=total.figures + len(changed),
            figures_caught=total.figures_caught + sum(caught for _, _, caught in changed),
            faults=total.faults + len(faults),
            faults_caught=total.faults_caught + sum(caught for _, caught in faults),
            without_effect=total.without_effect + sum(1 for _ in lab.faults()) - len(faults) + ties,
            set_aside=(*total.set_aside, *aside),
            survivors=(*total.survivors, *lost),
        )
    return total


def _changed_figures(lab: _Lab) -> tuple[list[tuple[str, Place | None, bool]], int, list[Survivor]]:
    """Every figure with its last digit one up and one down, and whether it then fails; how many are ties so; and those
    that are set aside.

    Of a figure with more digits than its value has, the last one that can be told apart is changed.
    """
    changed, ties, aside = [], 0, []
    for figure, value, measure in lab.figures():
        if figure.erratum or figure.digits:
            why = "an erratum" if figure.erratum else f"{figure.digits} digits are claimed"
            aside.append(Survivor(f"{lab.case.name}: {figure.key} ({why})", figure.place))
            continue
        numbers = value.ravel() if np.issubdtype(value.dtype, np.floating) else value.ravel().astype(np.float64)
        for printed, computed, noise in zip(figure.printed, numbers, measure().ravel().tolist(), strict=True):
            for text in neighbours(printed.text, noise):
                judged = judge_number(text, computed, rounding=figure.rounding, noise=noise)
                if judged.verdict.passed and _is_tie(printed.text, text, computed, noise):
                    ties += 1
                    continue
                what = f"{figure.key} with {text} in place of {printed.text}"
                changed.append((what, printed.place or figure.place, not judged.verdict.passed))
    return changed, ties, aside


def _is_tie(printed: str, changed: str, computed: float | np.floating, noise: float) -> bool:
    """Whether a value lies in the middle between two figures, as near as rounding lets anyone say."""
    middle = (Decimal(printed) + Decimal(changed)) / 2
    return math.isfinite(noise) and abs(Decimal(float(computed)) - middle) <= Decimal(float(noise))


_Stated = tuple[Figure, Array, Callable[[], Array]]


class _Lab:
    """One case with what its run looks at, measured once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.prepared = prepare(case)
        self.values = self.prepared.run()
        self.checks = self._checks(case.gradcheck) if case.gradcheck else {}
        self.noise = [*noises(case.expected, self.prepared, self.values)]  # the mistakes are judged by it too

    def _checks(self, settings: GradcheckSettings) -> Mapping[str, Callable[[Array], bool]]:
        """For every parameter, whether the gradient check refutes a gradient."""
        checked = gradcheck.checked(self.prepared)
        noise = rounding_noise(self.prepared, [f"d{name}" for name in checked])
        witnesses = gradcheck.Witnesses.of(in_float64(self.prepared), settings.step)

        def refuting(name: str) -> Callable[[Array], bool]:
            measured = Measured(*witnesses.measured(name)[:4], *witnesses.noise(name))

            def refutes(gradient: Array) -> bool:
                derived = np.asarray(gradient, np.float64)
                entries = check_entries(name, derived, noise[f"d{name}"], measured, settings.rtol)
                return any(not entry.passed for entry in entries)

            return refutes

        return {name: refuting(name) for name in checked}

    def figures(self) -> Iterator[_Stated]:
        """Every figure, the value it is held against, and what measures how far rounding moves that."""
        yield from self._stated(self.prepared)
        if self.case.gradcheck:
            result = gradcheck.run(self.case)
            for figure, found in zip(self.case.gradcheck.expected, result.figures, strict=True):
                values = np.array([entry.computed for entry in found.entries])
                yield figure, values, partial(np.zeros, values.size)
        if self.case.train:
            yield from self._trained(self.prepared)

    def _stated(self, prepared: Prepared) -> Iterator[_Stated]:
        values = prepared.run()
        yield from zip(self.case.expected, evaluate(self.case.expected, prepared, values), self.noise, strict=True)

    def _trained(self, prepared: Prepared) -> Iterator[_Stated]:
        settings = self.case.train
        if settings is None or not settings.after:
            return
        start = {name: prepared.env[name] for name in self.case.parameters}
        moments = {0: start, **snapshots(prepared, settings, [updates for updates, _ in settings.after])}
        for updates, figures in settings.after:
            values = evaluate(figures, prepared, prepared.run(moments[updates]))
            for figure, value in zip(figures, values, strict=True):
                yield figure, value, partial(np.zeros, value.shape)

    def notices(self, prepared: Prepared) -> bool:
        """Whether anything that the run looks at fails by these equations; what is quickest to see comes first."""
        values = prepared.run()
        if any(refutes(values[f"d{name}"]) for name, refutes in self.checks.items() if f"d{name}" in values):
            return True
        if not self._passes(self._stated(prepared)):
            return True
        if any(not formula.passed for formula in backprop.check_formulas(prepared, values)):
            return True
        if any(told.verdict == "contradicts" for told in witness.run(prepared, values, None)):
            return True
        return not self._passes(self._trained(prepared))

    @staticmethod
    def _passes(looked_at: Iterator[_Stated]) -> bool:
        return all(judge(figure, value, "selftest", noise=measure).passed for figure, value, measure in looked_at)

    def faults(self) -> Iterator[tuple[str, Prepared]]:
        """The prepared case with one mistake in its backward equations, for every mistake and every place."""
        equations = self.prepared.backward.equations
        known = slips.known(self.prepared)
        definitions = {equation.name: equation.expr for equation in equations}
        for kind in PLANTED:
            for slip in slips.slips(definitions, KINDS[kind].rule, known):
                changes = self._typed(slips.applied([slip], definitions))
                if changes and (mutant := changed(self.prepared, changes)):
                    yield f"{kind}: {slips.cause([slip])}", mutant
        for equation in equations:
            for clause, expr in self._whole(equation):
                if mutant := changed(self.prepared, {equation.name: expr}):
                    yield f"{clause}: {equation.name}", mutant

    def _typed(self, changes: Mapping[str, Expr]) -> dict[str, Expr]:
        """The changes, where every name keeps its shape; a mask alone is a number too."""
        types = Types(self.prepared.types.names, self.prepared.types.integral)
        try:
            found = {name: types.of(expr) for name, expr in changes.items()}
        except ExpressionError:
            return {}
        if any(type_.shape != types.names[name].shape for name, type_ in found.items()):
            return {}
        return {
            name: expr if found[name].kind == "f" else Call("mul", (expr, Num(1))) for name, expr in changes.items()
        }

    def _whole(self, equation: Equation) -> Iterator[tuple[str, Expr]]:
        """Mistakes in a gradient as a whole: its sign, a factor, a transpose that the shape hides."""
        yield "sign", Call("neg", (equation.expr,))
        factors = {"factor 2": 2.0, "factor 1/2": 0.5}
        samples = batch_size(self.prepared)
        if samples and samples > 1:
            factors |= {f"factor N = {samples}": float(samples), f"factor 1/N = 1/{samples}": 1 / samples}
        rate = self.case.train.settings.get("lr") if self.case.train else None
        if rate and rate != 1:
            factors[f"factor lr = {rate:g}"] = rate
        for clause, factor in factors.items():
            yield clause, Call("mul", (Num(factor), equation.expr))
        shape = self.prepared.types.names[equation.name].shape
        if len(shape) == 2 and shape[0] == shape[1]:
            yield "transposed", Call("T", (equation.expr,))

    def has_effect(self, prepared: Prepared) -> bool:
        """Whether a fault changes any gradient here."""
        values = prepared.run()
        return any(not _alike(values[name], self.values[name]) for name in self.prepared.gradients)


def _alike(one: Array, other: Array) -> bool:
    scale = max(float(np.max(np.abs(np.asarray(other, np.float64)), initial=0.0)), 1e-300)
    difference = np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64))
    return bool(np.all(difference <= SAME * scale))
