"""Forward and backward once: every node, its gradient, the figures, and the hand-derived formulas."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial

import numpy as np

from mathlab.errors import ExpressionError, ShapeMismatch
from mathlab.experiment import Array, Case, HandFormula
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.shapes import MOST_AXES
from mathlab.language.syntax import Name, names
from mathlab.printed import judge
from mathlab.results import BackpropResult
from mathlab.results.judged import FormulaResult, NodeResult, Part, Role
from mathlab.stages import witness
from mathlab.stages.noise import AGREEMENT, MARGIN, noises, quantity_noise
from mathlab.stages.nonfinite import first_nonfinite, is_finite
from mathlab.stages.prepare import Env, Prepared, evaluate, evaluator, prepare, sealed
from mathlab.stages.shares import readers, shares_of

POINTS = 3  # random points at which a formula must hold too, so that a coincidence does not pass


def run(case: Case, witnesses: Sequence[str] | None = None) -> BackpropResult:
    """Forward and backward of one case, with what the `witnesses` say of its gradients (None: the default ones).

    Raises MathlabError for equations, figures or formulas that do not fit, and for a witness that cannot be had.
    """
    prepared = prepare(case)
    values = prepared.run()
    quantities = evaluate(case.expected, prepared, values)
    noise = noises(case.expected, prepared, values)
    judged = zip(case.expected, quantities, noise, strict=True)
    return BackpropResult(
        nodes=node_results(prepared, values),
        figures=tuple(judge(figure, value, "backprop", noise=measure) for figure, value, measure in judged),
        formulas=tuple(check_formulas(prepared, values)),
        witnesses=witness.run(prepared, values, witnesses),
        first_nonfinite=first_nonfinite(prepared, values),
        shares=cache(partial(shares_of, prepared, values)),
    )


def node_results(prepared: Prepared, values: Env) -> tuple[NodeResult, ...]:
    """Inputs, parameters and equations in the order of the config, each with its gradient where it has one."""
    case = prepared.case
    backward = {equation.name: equation.text for equation in prepared.backward.equations}
    written = {equation.name: equation for equation in case.equations}
    why_none = {} if prepared.forward_only else _why_none(prepared)

    def result(name: str, role: Role) -> NodeResult:
        gradient = values[f"d{name}"] if f"d{name}" in backward else None
        text, equation = backward.get(f"d{name}", ""), written.get(name)
        if name == prepared.end and gradient is None and not prepared.forward_only:
            gradient, text = np.ones((), case.dtype), "1"
        parts = prepared.backward.parts.get(name, ())
        return NodeResult(
            name=name,
            role=role,
            value=sealed(values[name]),
            equation=equation.text if equation else "",
            gradient=None if gradient is None else sealed(gradient),
            gradient_equation=text,
            parts=tuple(Part(part, backward[part], sealed(values[part])) for part in parts),
            reads=names(equation.expr) if equation else (),
            readers=readers(prepared, name),
            stores=prepared.backward.stores.get(name, ()),
            note=why_none.get(name, "") if role == "node" and gradient is None else "",
            step=equation.step if equation else None,
        )

    roles: Mapping[Role, Iterable[str]] = {"input": case.inputs, "parameter": case.parameters, "node": written}
    return tuple(result(name, role) for role, some in roles.items() for name in some)


def _why_none(prepared: Prepared) -> Mapping[str, str]:
    """What tells of a node that has no gradient of its own why."""
    end, reaching, fused = prepared.end, {prepared.end}, dict[str, str]()
    for line in prepared.case.equations[::-1]:
        if line.name in reaching:
            reaching.update(names(line.expr))
            together = f"taken together with the logarithm in {line.name}, in the stable form"
            fused |= dict.fromkeys(prepared.fused.get(line.name, ()), together)
    others = dict.fromkeys(reaching, "its gradient is not computed: none is handed back to it, or nothing needs it")
    return dict.fromkeys(prepared.nodes, f"it does not reach {end}") | others | fused


def check_formulas(prepared: Prepared, values: Env) -> Iterator[FormulaResult]:
    """Each hand-derived formula beside the derived gradient, with true values for all that it refers to.

    So one wrong line does not drag down the next. A formula must hold at the article's point and at a few random ones
    (seeded perturbations of the parameters), each entry up to `AGREEMENT`; where that is not enough, up to the
    rounding noise of both.
    """
    formulas = prepared.case.derivation
    points = [dict(values), *random_points(prepared)] if formulas else []
    derived = {equation.name: equation.text for equation in prepared.backward.equations}
    for formula in formulas:
        why, error, allowed = compared(prepared, formula, points)
        passed = error <= allowed  # which nan is not
        if formula.erratum:  # confirmed by a difference, or where nothing is allowed, by a shape; by nan it is not
            passed = not passed and (math.isfinite(error) or allowed == 0)
        text = derived.get(formula.name, "1")
        yield FormulaResult(
            formula.name, formula.text, text, error, allowed, passed, why, formula.place, formula.at, formula.erratum
        )


def compared(prepared: Prepared, formula: HandFormula, points: Sequence[Env]) -> tuple[str, float, float]:
    """What is wrong with a formula, in words, by how much, and how much is allowed, at the point where it is worst.

    An array of another shape is wrong by no measurable amount: by infinity, where nothing is allowed.
    """
    try:
        Types(prepared.types.names, prepared.types.integral).of(formula.expr)
    except ShapeMismatch as error:  # a transpose is missing, say
        return error.message, math.inf, 0.0
    except ExpressionError:
        pass  # not a wrong derivation but bad input, which evaluating it reports
    found: list[tuple[float, float]] = []
    for mine, point in zip(by_hand(prepared, formula, points), points, strict=True):
        true = np.asarray(point[formula.name], np.float64)
        if mine.shape != true.shape:
            return f"has shape {mine.shape}, but the gradient has shape {true.shape}", math.inf, 0.0
        off, agrees = np.abs(mine - true), False
        for allowed in allowances(prepared, formula, mine, point):
            agrees = bool(np.all(off <= allowed))
            if agrees:
                break
        if not agrees and np.max(off) <= np.max(allowed):  # larger entries may be off by more
            wrong = off > allowed
            off, allowed = off[wrong], allowed[wrong]
        found.append((float(np.max(off, initial=0.0)), float(np.max(allowed, initial=0.0))))
        if not agrees:  # it is wrong here: at the other points nothing needs to be measured
            elsewhere = "agrees at the article's point, but not where the parameters are others"
            return elsewhere if len(found) > 1 else "", *found[-1]
    return "", *max(found, key=lambda pair: pair[0])


def by_hand(prepared: Prepared, formula: HandFormula, points: Sequence[Env]) -> Iterator[Array]:
    """What a formula comes to at each point.

    It has the gradient's shape where no more than leading axes of length 1 tell it from that: (5,) from (1, 5).
    """
    evaluate = evaluator([formula], prepared, points[0])
    for point in points:
        mine, shape = np.asarray(evaluate(point)[0], np.float64), np.shape(point[formula.name])
        wide, wanted = ((1,) * (MOST_AXES - len(axes)) + axes for axes in (mine.shape, shape))
        yield mine.reshape(shape) if wide == wanted else mine


def allowances(prepared: Prepared, formula: HandFormula, mine: Array, point: Env) -> Iterator[Array]:
    """How far each entry of a formula, which is `mine` at a point, may be from the gradient's.

    First that is `AGREEMENT` of the entry. It may be what is left of larger terms, so then comes to it what rounding
    may do to the formula and to the gradient; what cannot be measured is none.
    """
    allowed = AGREEMENT[prepared.case.dtype] * np.where(np.isfinite(mine), np.abs(mine), 0.0)  # beside inf, nothing
    yield allowed
    gradient = Equation(formula.name, Name(formula.name))
    for noise in quantity_noise([formula, gradient], prepared, point):
        known = np.where(np.isfinite(noise), MARGIN * noise, 0.0)
        allowed = allowed + (known.reshape(mine.shape) if known.size == mine.size else np.max(known, initial=0.0))
    yield allowed


def random_points(prepared: Prepared) -> list[dict[str, Array]]:
    """All values at a few perturbed parameters; points where something is not finite are left out."""
    rng = random.Random(0)  # Python's own: NumPy's takes longer to import than all that is computed here
    case, env, kinds = prepared.case, prepared.env, prepared.types.names
    moved = [*case.parameters] or [name for name in case.inputs if kinds[name].kind == "f"]

    def perturbed(name: str) -> Array:
        shape = np.shape(env[name])
        units = np.frombuffer(rng.randbytes(4 * math.prod(shape)), "<u4") / 2**31 - 1  # from -1 to 1
        return np.asarray(env[name] + 0.5 * units.reshape(shape), case.dtype)[()]

    points = [prepared.run({name: perturbed(name) for name in moved}) for _ in range(POINTS)]
    return [point for point in points if is_finite(point[name] for name in prepared.gradients)]
