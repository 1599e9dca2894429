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
from typing import Literal, NamedTuple

import numpy as np

from mathlab.diagnosis import slips
from mathlab.diagnosis.mistakes import KINDS
from mathlab.diagnosis.trials import batch_size
from mathlab.diagnosis.worlds import changed, computing
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Array, Case, Experiment, Figure
from mathlab.language.equation import Equation, by_name
from mathlab.language.syntax import Call, Expr, Num
from mathlab.printed import judge, judge_number, neighbours
from mathlab.results.judged import EntryCheck
from mathlab.stages import backprop, gradcheck, witness
from mathlab.stages.gradcheck import Measured, Witnesses, check_entries, checked
from mathlab.stages.noise import Floats, in_float64, noises, rounding_noise
from mathlab.stages.prepare import Prepared, evaluate, prepare
from mathlab.stages.updates import Training

ENOUGH = 0.99  # of the planted faults
SAME = 1e-12  # relative: a fault that moves no gradient by more changes nothing at the article's point

PLANTED = (
    *("mask missing", "mask reversed", "derivative missing", "upstream missing", "backward transposed", "not summed"),
    *("term missing", "term's sign", "line's sign"),
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


Outcome = Literal["caught", "lost", "without effect", "set aside"]
Told = tuple[Outcome, Survivor]


def run(experiment: Experiment) -> SelftestResult:
    """The self-test of every case. Raises MathlabError for an experiment that does not pass as it is."""
    figures: list[Told] = []
    faults: list[Told] = []
    for case in experiment.cases:
        lab = _Lab(case)
        if lab.notices(lab.prepared):
            message = f"case {case.name} does not pass as it is, so nothing can be said of changes"
            raise MathlabError(message, case.place)
        figures += lab.changed_figures()
        faults += lab.planted_faults()

    def some(of: Sequence[Told], *outcomes: Outcome) -> tuple[Survivor, ...]:
        return tuple(one for outcome, one in of if outcome in outcomes)

    return SelftestResult(
        experiment.name,
        figures=len(some(figures, "caught", "lost")),
        figures_caught=len(some(figures, "caught")),
        faults=len(some(faults, "caught", "lost")),
        faults_caught=len(some(faults, "caught")),
        without_effect=len(some([*figures, *faults], "without effect")),
        set_aside=some(figures, "set aside"),
        survivors=some([*figures, *faults], "lost"),
    )


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
        self.noise = [*noises(case.expected, self.prepared, self.values)]  # the mistakes are judged by it too
        self.checks: dict[str, Callable[[Floats], list[EntryCheck]]] = {}  # of every parameter, what checks a gradient
        if settings := case.gradcheck:
            noise = rounding_noise(self.prepared, [f"d{name}" for name in checked(self.prepared)])
            witnesses = Witnesses.of(in_float64(self.prepared), settings.step)
            for name in checked(self.prepared):
                measured = Measured(*witnesses.measured(name)[:3], *witnesses.noise(name))
                blur = noise[f"d{name}"]
                self.checks[name] = partial(check_entries, name, noise=blur, measured=measured, rtol=settings.rtol)

    def figures(self) -> Iterator[_Stated]:
        """Every figure, the value it is held against, and what measures how far rounding moves that."""
        yield from self._stated(self.prepared)
        if self.case.gradcheck:
            result = gradcheck.run(self.case)
            for figure, found in zip(self.case.gradcheck.expected, result.figures, strict=True):
                values = np.array([entry.computed for entry in found.entries])
                yield figure, values, partial(np.zeros, values.size)
        yield from self._trained(self.prepared)

    def _stated(self, prepared: Prepared) -> Iterator[_Stated]:
        values = prepared.run()
        yield from zip(self.case.expected, evaluate(self.case.expected, prepared, values), self.noise, strict=True)

    def _trained(self, prepared: Prepared) -> Iterator[_Stated]:
        settings = self.case.train
        if settings and settings.after:
            training = Training(prepared, settings).settled()
            moments = training.states(dict(settings.after), lambda size: computing(training.on(size)))
            for updates, figures in settings.after:
                values = evaluate(figures, prepared, prepared.run(moments[updates]))
                for figure, value in zip(figures, values, strict=True):
                    yield figure, value, partial(np.zeros, value.shape)

    def notices(self, prepared: Prepared) -> bool:
        """Whether anything that the run looks at fails by these equations; what is quickest to see comes first."""
        values = prepared.run()
        derived = ((check, values[f"d{name}"]) for name, check in self.checks.items() if f"d{name}" in values)
        return (
            any(not entry.passed for check, gradient in derived for entry in check(np.asarray(gradient, np.float64)))
            or self._differs(self._stated(prepared))
            or any(not formula.passed for formula in backprop.check_formulas(prepared, values))
            or any(told.verdict == "contradicts" for told in witness.run(prepared, values, None))
            or self._differs(self._trained(prepared))
        )

    @staticmethod
    def _differs(looked_at: Iterator[_Stated]) -> bool:
        return any(not judge(figure, value, "selftest", noise=measure).passed for figure, value, measure in looked_at)

    def changed_figures(self) -> Iterator[Told]:
        """Every figure with its last digit one up and one down, and whether it then fails; some are set aside.

        Of a figure with more digits than its value has, the last one that can be told apart is changed.
        """
        for figure, value, measure in self.figures():
            if figure.erratum or figure.digits:
                why = "an erratum" if figure.erratum else f"{figure.digits} digits are claimed"
                yield "set aside", Survivor(f"{self.case.name}: {figure.name} ({why})", figure.place)
                continue
            numbers = value.ravel() if np.issubdtype(value.dtype, np.floating) else value.ravel().astype(np.float64)
            for printed, computed, noise in zip(figure.printed, numbers, measure().ravel().tolist(), strict=True):
                for text in neighbours(printed.text, noise, isinstance(computed, np.float32)):
                    passes = judge_number(text, computed, rounding=figure.rounding, noise=noise).verdict.passed
                    tie = passes and _is_tie(printed.text, text, computed, noise)
                    what = f"{self.case.name}: {figure.name} with {text} in place of {printed.text}"
                    outcome: Outcome = "without effect" if tie else "lost" if passes else "caught"
                    yield outcome, Survivor(what, printed.place or figure.place)

    def planted_faults(self) -> Iterator[Told]:
        """Every mistake at every place of the backward equations, and whether it is caught."""
        for clause, changes in dict(self._faults()).items():  # one that two rules make is one
            # a mask alone is a number too
            mutant = changed(self.prepared, {name: Call("mul", (expr, Num(1))) for name, expr in changes.items()})
            known = self.prepared.types.names
            if mutant and all(mutant.types.names[name].shape == known[name].shape for name in changes):
                outcome: Outcome = "without effect"
                if self._has_effect(mutant):
                    outcome = "caught" if self.notices(mutant) else "lost"
                yield outcome, Survivor(f"{self.case.name}: {clause}", self.case.place)

    def _faults(self) -> Iterator[tuple[str, Mapping[str, Expr]]]:
        definitions = by_name(self.prepared.backward.equations)
        places = [*slips.places(definitions, slips.known(self.prepared))]
        for kind in PLANTED:
            for slip in slips.slips(places, KINDS[kind].rule):
                yield f"{kind}: {slips.cause([slip])}", slips.applied([slip], definitions)
        for equation in self.prepared.backward.equations:
            yield from ((f"{clause}: {equation.name}", {equation.name: expr}) for clause, expr in self._whole(equation))

    def _whole(self, equation: Equation) -> Iterator[tuple[str, Expr]]:
        """Mistakes in a gradient as a whole: a factor, a transpose that the shape hides."""
        factors = {"factor 2": 2.0, "factor 1/2": 0.5}
        if samples := batch_size(self.prepared):
            factors |= {f"factor N = {samples}": float(samples), f"factor 1/N = 1/{samples}": 1 / samples}
        rate = self.case.train.settings.get("lr") if self.case.train else None
        if rate and rate != 1:
            factors[f"factor lr = {rate:g}"] = rate
        yield from ((clause, Call("mul", (Num(factor), equation.expr))) for clause, factor in factors.items())
        shape = self.prepared.types.names[equation.name].shape
        if len(shape) == 2 and shape[0] == shape[1]:
            yield "transposed", Call("T", (equation.expr,))

    def _has_effect(self, prepared: Prepared) -> bool:
        """Whether a fault changes any gradient here."""
        values = prepared.run()
        for name in self.prepared.gradients:
            one, other = (np.asarray(some[name], np.float64) for some in (values, self.values))
            scale = max(float(np.max(np.abs(other), initial=0.0)), 1e-300)
            if not np.all(np.abs(one - other) <= SAME * scale):
                return True
        return False
