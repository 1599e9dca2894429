"""The results of a case with a diagnosis beside each figure and formula that differs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mathlab.diagnosis.claims import Claim, of_arrays, of_figure
from mathlab.diagnosis.divergence import first_divergences
from mathlab.diagnosis.evidence import Finding, findings, judged
from mathlab.diagnosis.mistakes import Mistake
from mathlab.diagnosis.repair import repairs
from mathlab.diagnosis.search import EACH, WORK, Search
from mathlab.diagnosis.variants import OTHERS
from mathlab.diagnosis.worlds import Scene
from mathlab.experiment import Array, Case, Figure
from mathlab.language.syntax import Call, Expr, Name, names, walk
from mathlab.results import CaseResult, FigureResult, FormulaResult
from mathlab.stages.backprop import AGREEMENT, formula_noise, random_points
from mathlab.stages.prepare import Prepared, evaluator, prepare

NAMED = 2  # other explanations, or other figures explained, that are named beside the first


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
    said = _about_figures(prepared, figures)
    if backprop:
        about = _about_formulas(prepared, formulas)
        backprop = replace(
            backprop,
            figures=tuple(said.get(id(figure), figure) for figure in backprop.figures),
            formulas=tuple(about.get(id(formula), formula) for formula in backprop.formulas),
        )
    if train:
        train = replace(train, figures=tuple(said.get(id(figure), figure) for figure in train.figures))
    return result.having(backprop=backprop, train=train)


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


# Figures


def _about_figures(prepared: Prepared, figures: Sequence[tuple[Figure, FigureResult]]) -> dict[int, FigureResult]:
    divergences = first_divergences(prepared, [(figure.quantity, judged) for figure, judged in figures])
    claims: list[Claim] = []
    results: list[FigureResult] = []
    for figure, result in figures:
        # the search computes values and gradients, and neither a Jacobian nor an optimizer's state
        known = not _has_jacobian(figure.quantity) and {*names(figure.quantity)} <= prepared.types.names.keys()
        if known and all(np.isfinite(entry.computed) for entry in result.entries):
            claims.append(of_figure(figure, result, prepared.types.of(figure.quantity).shape, _differs(result)))
            results.append(result)
    found = diagnosed(Scene(prepared, claims)) if any(claim.wrong for claim in claims) else {}
    said = {id(results[k]): sentence for k, sentence in found.items()}
    return {
        id(judged): replace(judged, diagnosis=said.get(id(judged), ""), first_divergence=divergence)
        for (_, judged), divergence in zip(figures, divergences, strict=True)
    }


def _has_jacobian(quantity: Expr) -> bool:
    return any(isinstance(part, Call) and part.op == "jacobian" for part in walk(quantity))


@dataclass(frozen=True)
class Cause:
    """What went wrong, and the line to write instead; the claims that it explains, and what may be the cause as well.

    `upon` says that it is seen once the causes before it are taken for granted.
    """

    text: str
    instead: str
    explains: tuple[int, ...]
    others: tuple[str, ...] = ()
    upon: bool = False


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
    others = [judged(scene, trial, row.tier) for row in OTHERS if row.trials for trial in row.trials(scene)]
    found = findings(scene, [*searched.trials, *others], searched.tried)
    told = _distinct(found, search)
    first = next((found[k].trial for k in scene.wrong if k in found), None)
    left = [k for k in scene.wrong if k not in found]
    if left and first and first.instead and not scene.trained:
        told += _upon(search, first.instead, first.explains, left)
    return Causes(tuple(told), searched.tried, searched.known)


def _distinct(found: Mapping[int, Finding], search: Search) -> list[Cause]:
    """Each cause once, the one that explains most first."""
    made: dict[str, Cause] = {}
    for finding in found.values():
        mistake = finding.trial.instead if finding.trial else None
        instead = search.instead(mistake) if mistake else ""
        made.setdefault(finding.cause, Cause(finding.cause, instead, finding.with_it, finding.others[:NAMED]))
    return sorted(made.values(), key=lambda cause: -len(cause.explains))


def _upon(search: Search, mistake: Mistake, explained: Sequence[int], left: Sequence[int]) -> list[Cause]:
    """What explains the rest once one mistake is taken for granted."""
    again = search.upon(mistake, explained)
    if again is None:
        return []
    searched = again.run()
    found = findings(again.scene, searched.trials, searched.tried)
    return [replace(cause, upon=True) for cause in _distinct(found, again) if set(cause.explains) & {*left}]


def diagnosed(scene: Scene) -> dict[int, str]:
    """A sentence for each wrong claim that an explanation is found for."""
    found = causes(scene).causes
    return {k: _sentence(scene, k, cause) for cause in reversed(found) for k in cause.explains}


def _sentence(scene: Scene, k: int, cause: Cause) -> str:
    claim = scene.claims[k]
    count = claim.stated[0].size
    where = "to the last printed digit" if claim.unit is not None else "to rounding"
    fit = f"fits {f'all {count} entries ' if count > 1 else ''}{where}"
    if len(claim.moments) > 1:
        fit = f"agrees at the article's point and {len(claim.moments) - 1} random ones"
    other = [scene.claims[n].label for n in cause.explains if n != k]
    if other:
        fit += f"; so does {_listed(other)}"
    alternatives = "".join(f"; or {other}" for other in cause.others)
    return f"{cause.text} ({fit}){alternatives}"


def _listed(labels: Sequence[str]) -> str:
    shown, rest = labels[:NAMED], len(labels) - NAMED
    words = [*shown, f"{rest} more"] if rest > 0 else [*shown]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# Formulas


def _about_formulas(prepared: Prepared, formulas: Sequence[FormulaResult]) -> dict[int, FormulaResult]:
    """Each formula that differs with what explains it; it is a claim about every point at which it was evaluated."""
    if not formulas:
        return {}
    values = [prepared.run(), *random_points(prepared)]
    points = [{name: point[name] for name in prepared.env} for point in values]
    by_hand = {(formula.name, formula.text): formula for formula in prepared.case.derivation}
    claims, judged = [], []
    about: dict[int, FormulaResult] = {}
    for formula in formulas:
        written = by_hand[formula.name, formula.formula]
        repair = repairs(prepared, written, values)
        if repair:
            about[id(formula)] = replace(formula, diagnosis=repair)
        if repair or not _typed(prepared, written.expr):
            continue
        evaluate = evaluator([written], prepared, values[0])
        stated = [np.asarray(evaluate(point)[0], np.float64) for point in values]
        sizes = [max(_largest(mine), _largest(point[formula.name])) for mine, point in zip(stated, values, strict=True)]
        tolerances = [
            np.full(mine.shape, AGREEMENT[prepared.case.dtype] * size + formula_noise(prepared, written, point))
            for mine, size, point in zip(stated, sizes, values, strict=True)
        ]
        claims.append(of_arrays(formula.name, Name(formula.name), stated, tolerances))
        judged.append(formula)
    if claims:
        for k, sentence in diagnosed(Scene(prepared, claims, points)).items():
            about[id(judged[k])] = replace(judged[k], diagnosis=sentence)
    return about


def _typed(prepared: Prepared, expr: Expr) -> bool:
    from mathlab.errors import ExpressionError

    try:
        prepared.types.of(expr)
    except ExpressionError:
        return False
    return True


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0))
