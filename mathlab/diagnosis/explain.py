"""The results of a case with a diagnosis beside each figure and formula that differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from mathlab.diagnosis.claims import Claim, of_arrays, of_figure
from mathlab.diagnosis.divergence import first_divergences
from mathlab.diagnosis.evidence import best, judged
from mathlab.diagnosis.mistakes import KINDS
from mathlab.diagnosis.repair import repairs
from mathlab.diagnosis.search import EACH, WORK, Search
from mathlab.diagnosis.slips import listed
from mathlab.diagnosis.worlds import Scene, Trial
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case, Figure
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Name, names, walk
from mathlab.results import CaseResult, FigureResult, FormulaResult
from mathlab.stages.backprop import AGREEMENT, formula_noise, random_points
from mathlab.stages.prepare import Prepared, evaluator, prepare

NAMED = 2  # other explanations, or other figures explained, that are named beside the first


@dataclass(frozen=True)
class Cause:
    """A cause of what differs, the line to write instead, what it explains, and what may be the cause as well.

    `upon` says that it is seen once the causes before it are taken for granted; `claims` are the positions of what it
    explains.
    """

    cause: str
    instead: str
    explains: tuple[str, ...]
    others: tuple[str, ...] = ()
    upon: bool = False
    claims: tuple[int, ...] = ()


@dataclass(frozen=True)
class Causes:
    """Every cause that was found, the one that explains most first, and how many of the known mistakes were tried."""

    causes: tuple[Cause, ...] = ()
    tried: int = 0
    known: int = 0


def causes(scene: Scene, thorough: bool = False) -> Causes:
    """What can be said about why the wrong claims of a scene are wrong; `thorough` tries all that is known."""
    equations = len(scene.prepared.both)
    search = Search(scene, math.inf if thorough else max(WORK, EACH * equations) * min(scene.case.share, 1.0))
    searched = search.run()
    others = (replace(trial, tier=kind.tier) for kind in KINDS.values() for trial in kind.trials(scene))
    found = best(scene, [*searched.trials, *(judged(scene, trial) for trial in others)], searched.tried)
    told = [*_causes(found.values(), search)]
    first = next((found[k].mistake for k in scene.wrong if k in found), None)
    left = {k for k in scene.wrong if k not in found}
    if left and first and not scene.trained:
        again = search.upon(first, next(iter(found.values())).explains)
        if again:  # what explains the rest once the first mistake is taken for granted
            more = again.run()
            rest = _causes(best(again.scene, more.trials, more.tried).values(), again)
            told += [replace(cause, upon=True) for cause in rest if left.intersection(cause.claims)]
    return Causes(tuple(told), searched.tried, searched.known)


def _causes(found: Iterable[Trial], search: Search) -> Iterator[Cause]:
    """Each cause once, the one that explains most first."""
    once: dict[str, Trial] = {}
    for trial in found:
        once.setdefault(trial.cause, trial)
    for trial in sorted(once.values(), key=lambda trial: -len(trial.explains)):
        instead = search.instead(trial.mistake) if trial.mistake else ""
        labels = tuple(search.scene.claims[k].label for k in trial.explains)
        yield Cause(trial.cause, instead, labels, trial.others[:NAMED], claims=trial.explains)


def diagnosed(
    prepared: Prepared, claims: Mapping[int, Claim], points: Sequence[Mapping[str, Array]] = ({},)
) -> dict[int, str]:
    """A sentence for each wrong claim that an explanation is found for."""
    scene, keys = Scene(prepared, [*claims.values()], points), [*claims]
    return {keys[k]: _sentence(scene, k, cause) for cause in reversed(causes(scene).causes) for k in cause.claims}


def _sentence(scene: Scene, k: int, cause: Cause) -> str:
    claim = scene.claims[k]
    count = claim.stated[0].size
    where = "to the last printed digit" if claim.unit is not None else "to rounding"
    fit = f"fits {f'all {count} entries ' if count > 1 else ''}{where}"
    if len(claim.moments) > 1:
        fit = f"agrees at the article's point and {len(claim.moments) - 1} random ones"
    other = [label for n, label in zip(cause.claims, cause.explains, strict=True) if n != k]
    also = f"; so does {listed(other, NAMED)}" if other else ""
    return f"{cause.cause} ({fit}{also}){''.join(f'; or {other}' for other in cause.others)}"


# Figures and formulas


def explained(case: Case, result: CaseResult) -> CaseResult:
    """The results of backprop and train, with what can be said about why something differs.

    `result` must come from `case`. What is an erratum is explained too. Where nothing differs this is `result` itself.
    """
    backprop, train = result.backprop, result.train
    figures = [*_figures(case, result)]
    formulas = [formula for formula in (backprop.formulas if backprop else ()) if not formula.agrees]
    if not formulas and not any(_differs(judged) for _, judged in figures):
        return result
    prepared = prepare(case)
    said = _about_figures(prepared, figures) | _about_formulas(prepared, formulas)
    divergences = first_divergences(prepared, [(figure.quantity, judged) for figure, judged in figures])
    first = {id(judged): divergence for (_, judged), divergence in zip(figures, divergences, strict=True)}

    def told(judged: Iterable[FigureResult]) -> tuple[FigureResult, ...]:
        return tuple(replace(one, diagnosis=said.get(id(one), ""), first_divergence=first[id(one)]) for one in judged)

    if backprop:
        formulas = [replace(one, diagnosis=said.get(id(one), one.diagnosis)) for one in backprop.formulas]
        backprop = replace(backprop, figures=told(backprop.figures), formulas=tuple(formulas))
    return result.having(backprop=backprop, train=train and replace(train, figures=told(train.figures)))


def _figures(case: Case, result: CaseResult) -> Iterator[tuple[Figure, FigureResult]]:
    """The figures of backprop and training beside what became of them."""
    if result.backprop:
        yield from zip(case.expected, result.backprop.figures, strict=True)
    if result.train and case.train:
        for updates, printed in case.train.after:
            judged = [figure for figure in result.train.figures if figure.updates == updates]
            yield from zip(printed, judged, strict=True)


def _differs(figure: FigureResult) -> bool:
    """Whether some number is not as computed, be it a known erratum."""
    return any(entry.verdict.label == "erratum confirmed" or not entry.verdict.passed for entry in figure.entries)


def _about_figures(prepared: Prepared, figures: Iterable[tuple[Figure, FigureResult]]) -> dict[int, str]:
    claims: dict[int, Claim] = {}
    for figure, result in figures:
        # the search computes values and gradients, and neither a Jacobian nor an optimizer's state
        jacobian = any(isinstance(part, Call) and part.op == "jacobian" for part in walk(figure.quantity))
        known = not jacobian and {*names(figure.quantity)} <= prepared.types.names.keys()
        if known and all(np.isfinite(entry.computed) for entry in result.entries):
            shape = prepared.types.of(figure.quantity).shape
            claims[id(result)] = of_figure(figure, result, shape, _differs(result))
    return diagnosed(prepared, claims) if any(claim.wrong for claim in claims.values()) else {}


def _about_formulas(prepared: Prepared, formulas: Sequence[FormulaResult]) -> dict[int, str]:
    """What explains each formula that differs; it is a claim about every point at which it was evaluated."""
    values = [prepared.run(), *random_points(prepared)] if formulas else []
    by_hand = {(formula.name, formula.text): formula for formula in prepared.case.derivation}
    written = {id(formula): by_hand[formula.name, formula.formula] for formula in formulas}
    repaired = {key: repair for key, formula in written.items() if (repair := repairs(prepared, formula, values))}
    claims: dict[int, Claim] = {}
    for key, formula in ((key, formula) for key, formula in written.items() if key not in repaired):
        with suppress(MathlabError, ExpressionError):  # of what cannot be evaluated there are no numbers to explain
            evaluate = evaluator([formula], prepared, values[0])
            stated = [np.asarray(evaluate(point)[0], np.float64) for point in values]
            far = [_tolerance(prepared, formula, *both) for both in zip(stated, values, strict=True)]
            claims[key] = of_arrays(formula.name, Name(formula.name), stated, far)
    points = [{name: point[name] for name in prepared.env} for point in values]
    return (diagnosed(prepared, claims, points) if claims else {}) | repaired


def _tolerance(prepared: Prepared, formula: Equation, mine: Array, point: Mapping[str, Array]) -> Array:
    """How far a formula may be from what is derived."""
    largest = max(float(np.max(np.abs(one), initial=0.0)) for one in (mine, point[formula.name]))
    return np.full(mine.shape, AGREEMENT[prepared.case.dtype] * largest + formula_noise(prepared, formula, point))
