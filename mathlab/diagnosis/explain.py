"""The results of a case with a diagnosis beside each figure and formula that differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from mathlab.diagnosis import slips
from mathlab.diagnosis.evidence import best, judged
from mathlab.diagnosis.mistakes import KINDS
from mathlab.diagnosis.rewrite import rule_of
from mathlab.diagnosis.rules import other_axis
from mathlab.diagnosis.scene import Claim, Scene, Trial, of_arrays, of_figure
from mathlab.diagnosis.search import EACH, MOST, WORK, Search
from mathlab.errors import ExpressionError, MathlabError, listed
from mathlab.experiment import Array, Case, Figure, HandFormula
from mathlab.language.equation import Graph
from mathlab.language.syntax import Call, Name, names, walk
from mathlab.language.terms import grafted
from mathlab.results import CaseResult
from mathlab.results.judged import FigureResult, FormulaResult
from mathlab.stages.backprop import allowances, by_hand, compared, random_points
from mathlab.stages.nonfinite import is_finite
from mathlab.stages.prepare import Env, Prepared, prepare

TRANSPOSED = "T(x) | x | `x` must not be transposed", "M | T(M) | `M` must be transposed"
MENDED = rule_of(("other_axis", *TRANSPOSED), {"other_axis": other_axis})  # what may make the shapes of a formula fit
NAMED = 2  # other explanations, or other figures explained, that are named beside the first


class Cause(NamedTuple):
    """A cause of what differs, the line to write instead, what it explains, and what may be the cause as well."""

    cause: str
    instead: str
    explains: tuple[str, ...]
    others: tuple[str, ...] = ()
    upon: bool = False  # it is seen once the causes before it are taken for granted
    claims: tuple[int, ...] = ()  # the positions of what it explains


class Causes(NamedTuple):
    """Every cause that was found, the one that explains most first, and how many of the known mistakes were tried."""

    causes: tuple[Cause, ...] = ()
    tried: int = 0
    known: int = 0


def causes(scene: Scene, thorough: bool = False) -> Causes:
    """What can be said about why the wrong claims of a scene are wrong; `thorough` tries all that is known."""
    most = MOST if scene.trained else min(max(WORK, EACH * len(scene.prepared.both)), MOST)
    search = Search(scene, math.inf if thorough else most * min(scene.case.share, 1.0))
    trials, tried, known = search.run()
    others = (trial._replace(tier=kind.tier) for kind in KINDS.values() for trial in kind.trials(scene))
    found = best(scene, [*trials, *(judged(scene, trial) for trial in others)], tried)
    made = {k: trial.mistake for k, trial in found.items() if trial.mistake and not scene.trained}
    first = max(made, key=lambda k: len(search.met(made[k])), default=None)
    if first is None:
        return Causes(tuple(_causes(found, search)), tried, known)
    mistake, explains = made[first], found[first].explains
    if not scene.printed and len(scene.points) == 1:
        # a program goes on from its mistakes: what this one reaches too is not explained by another one alone
        beyond = search.met(mistake).keys() - explains
        same = {k for k, other in made.items() if other.made == mistake.made}
        found = {k: trial for k, trial in found.items() if k in same or beyond.isdisjoint(trial.explains)}
    told, left = [*_causes(found, search)], {k for k in scene.wrong if k not in found}
    if left and (again := search.upon(mistake, explains)):
        # what explains the rest once the first mistake is taken for granted
        more, count, _ = again.run()
        rest = [cause for cause in _causes(best(again.scene, more, count), again) if left.intersection(cause.claims)]
        lines = {cause.instead for cause in rest}  # which explain more so than by themselves
        told = [cause for cause in told if cause == told[0] or cause.instead not in lines]
        told += [cause._replace(upon=True) for cause in rest]
    return Causes(tuple(told), tried, known)


def _causes(found: Mapping[int, Trial], search: Search) -> Iterator[Cause]:
    """Each cause once, the one that explains most first."""
    once: dict[str, Trial] = {}
    for trial in found.values():
        once.setdefault(trial.cause, trial)
    for trial in sorted(once.values(), key=lambda trial: -len(trial.explains)):
        labels = tuple(search.scene.claims[k].label for k in trial.explains)
        instead = search.instead(trial.mistake, trial.mistake.made[0].name) if trial.mistake else ""
        _, *others = dict.fromkeys([trial.cause, *(one.cause for one in trial.others)])
        yield Cause(trial.cause, instead, labels, tuple(others[:NAMED]), claims=trial.explains)


def diagnosed(
    prepared: Prepared, claims: Mapping[int, Claim], points: Sequence[Mapping[str, Array]] = ({},)
) -> dict[int, str]:
    """A sentence for each wrong claim that an explanation is found for."""
    keys, about = [*claims], [*claims.values()]
    found = causes(Scene(prepared, about, points)).causes if any(claim.wrong for claim in about) else ()
    return {keys[k]: _sentence(about[k], k, cause) for cause in reversed(found) for k in cause.claims}


def _sentence(claim: Claim, k: int, cause: Cause) -> str:
    count = claim.stated[0].size
    where = "to the last printed digit" if claim.unit is not None else "to rounding"
    fit = f"fits {f'all {count} entries ' if count > 1 else ''}{where}"
    if len(claim.stated) > 1:
        fit = f"agrees at the article's point and {len(claim.stated) - 1} random ones"
    other = [label for n, label in zip(cause.claims, cause.explains, strict=True) if n != k]
    also = f"; so does {listed(other, NAMED)}" if other else ""
    return f"{cause.cause} ({fit}{also}){''.join(f'; or {other}' for other in cause.others)}"


# --- figures


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
    first = _first_divergences(prepared, figures)

    def told(judged: Iterable[FigureResult]) -> tuple[FigureResult, ...]:
        both = ((one, said.get(id(one), ""), first.get(id(one), "")) for one in judged)
        return tuple(one._replace(diagnosis=why, first_divergence=earlier) for one, why, earlier in both)

    if backprop:
        formulas = [one._replace(diagnosis=said.get(id(one), one.diagnosis)) for one in backprop.formulas]
        backprop = replace(backprop, figures=told(backprop.figures), formulas=tuple(formulas))
    return result.having(backprop=backprop, train=train and replace(train, figures=told(train.figures)))


def _figures(case: Case, result: CaseResult) -> Iterator[tuple[Figure, FigureResult]]:
    """The figures of backprop and training beside what became of them."""
    if result.backprop:
        yield from zip(case.expected, result.backprop.figures, strict=True)
    if result.train and case.train:
        printed = [figure for _, some in sorted(case.train.after, key=lambda pair: pair[0]) for figure in some]
        yield from zip(printed, result.train.figures, strict=True)


def _differs(figure: FigureResult) -> bool:
    """Whether some number is not as computed, be it a known erratum."""
    return any(entry.verdict.label == "erratum confirmed" or not entry.verdict.passed for entry in figure.entries)


def _about_figures(prepared: Prepared, figures: Iterable[tuple[Figure, FigureResult]]) -> dict[int, str]:
    claims: dict[int, Claim] = {}
    for figure, result in figures:
        # the search computes values and gradients, and neither a Jacobian nor an optimizer's state
        jacobian = any(isinstance(part, Call) and part.op == "jacobian" for part in walk(figure.expr))
        known = not jacobian and {*names(figure.expr)} <= prepared.types.names.keys()
        if known and all(entry.error is not None for entry in result.entries):
            shape = prepared.types.of(figure.expr).shape
            claims[id(result)] = of_figure(figure, result, shape, _differs(result))
    return diagnosed(prepared, claims)


def _first_divergences(prepared: Prepared, figures: Iterable[tuple[Figure, FigureResult]]) -> dict[int, str]:
    """For each figure that fails, the earliest failing figure that it is computed from, where there is one.

    Earlier is what fewer updates were made before, then what stands earlier in the graph: the equations in their order,
    then the backward ones. After an update, everything before it is what a figure is computed from.
    """
    graph, failing = Graph(prepared.env, prepared.both), list[tuple[tuple[int, int], int, FigureResult]]()
    for figure, result in figures:
        if not result.passed and names(figure.expr):  # nothing is computed from arithmetic
            above = graph.sources(figure.expr)
            failing.append(((result.updates or 0, above.bit_length()), above, result))
    found: dict[int, str] = {}
    for when, above, result in failing:
        earlier = [one for one in failing if one[0] < when and (one[0][0] < when[0] or not one[1] & ~above)]
        if earlier:
            *_, first = min(earlier, key=lambda one: one[0])
            after = f" after {first.updates} update{'s' * (first.updates != 1)}" if first.updates is not None else ""
            found[id(result)] = f"{first.key}{after}"
    return found


# --- formulas


def _about_formulas(prepared: Prepared, formulas: Sequence[FormulaResult]) -> dict[int, str]:
    """What explains each formula that differs; it is a claim about every point at which it was evaluated."""
    values = [prepared.run(), *random_points(prepared)] if formulas else []
    written = {(formula.name, formula.text): formula for formula in prepared.case.derivation}
    claims: dict[int, Claim] = {}
    repaired: dict[int, str] = {}
    for result in formulas:
        formula = written[result.name, result.formula]
        if repair := _repair(prepared, formula, values):
            repaired[id(result)] = repair
            continue
        with suppress(MathlabError, ExpressionError):  # of what cannot be evaluated there are no numbers to explain
            stated = [*by_hand(prepared, formula, values)]
            if is_finite(stated):
                both = zip(stated, values, strict=True)
                far = [[*allowances(prepared, formula, mine, point)][-1] for mine, point in both]
                claims[id(result)] = of_arrays(formula.name, Name(formula.name), stated, far)
    points = [{name: point[name] for name in prepared.env} for point in values]
    return diagnosed(prepared, claims, points) | repaired


def _repair(prepared: Prepared, formula: HandFormula, points: Sequence[Env]) -> str:
    """What would make a formula agree at every point whose parts, or whose result, have the wrong shape."""
    known, wanted = slips.known(prepared), prepared.types.names[formula.name].shape
    with suppress(ExpressionError):
        if prepared.types.of(formula.expr).shape == wanted:
            return ""
    for slip in slips.slips(slips.places({formula.name: formula.expr}, known), MENDED):
        mended = HandFormula(formula.name, grafted(formula.expr, slip.path, slip.part))
        with suppress(ExpressionError, MathlabError):
            if prepared.types.of(mended.expr).shape == wanted:
                _, error, allowed = compared(prepared, mended, points)
                if error <= allowed:
                    must = slip.clause.replace(" runs ", " must run ")
                    return f"{must}: {mended.text} agrees at the article's point and {len(points) - 1} random ones"
    return ""
