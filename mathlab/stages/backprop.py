"""Forward and backward once: every node, its gradient, the figures, and the hand-derived formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial

import numpy as np

from mathlab.errors import ExpressionError, ShapeMismatch
from mathlab.experiment import Array, Case, HandFormula
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.shapes import MOST_AXES
from mathlab.language.syntax import Name, names
from mathlab.printed import judge
from mathlab.results import BackpropResult, FormulaResult, NodeResult, Part, Role
from mathlab.stages import witness
from mathlab.stages.noise import AGREEMENT, noises, quantity_noise
from mathlab.stages.nonfinite import first_nonfinite, is_finite
from mathlab.stages.prepare import Env, Prepared, evaluate, evaluator, prepare, sealed
from mathlab.stages.shares import readers, shares_of

Comparison = tuple[str, float, float]

POINTS = 3  # random points at which a formula must hold too, so that a coincidence does not pass


def run(case: Case, witnesses: Sequence[str] | None = None) -> BackpropResult:
    """Forward and backward of one case, with what the `witnesses` say of its gradients (None: the default ones).

    Raises MathlabError for equations, figures or formulas that do not fit, and for a witness that cannot be had.
    """
    prepared = prepare(case)
    values = prepared.run()
    quantities = evaluate(case.expected, prepared, values)
    noise = noises(case.expected, prepared, values)
    figures = tuple(
        judge(figure, value, stage="backprop", noise=measure)
        for figure, value, measure in zip(case.expected, quantities, noise, strict=True)
    )
    formulas = check_formulas(prepared, values)
    return BackpropResult(
        nodes=node_results(prepared, values),
        figures=figures,
        formulas=formulas,
        witnesses=witness.run(prepared, values, witnesses),
        first_nonfinite=first_nonfinite(prepared, values),
        shares=cache(partial(shares_of, prepared, values)),
    )


def node_results(prepared: Prepared, values: Env) -> tuple[NodeResult, ...]:
    """Inputs, parameters and equations in the order of the config, each with its gradient where it has one."""
    case = prepared.case
    backward = {equation.name: equation.text for equation in prepared.backward.equations}
    written = {equation.name: equation for equation in case.equations}
    why_none = _why_none(prepared)

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
            note=why_none(name) if role == "node" and gradient is None else "",
            step=equation.step if equation else None,
        )

    roles: Mapping[Role, Iterable[str]] = {"input": case.inputs, "parameter": case.parameters, "node": written}
    return tuple(result(name, role) for role, some in roles.items() for name in some)


def _why_none(prepared: Prepared) -> Callable[[str], str]:
    """What tells of a node that has no gradient of its own why."""
    end, derived = prepared.end, {*prepared.gradients}
    needed = {name for name in prepared.types.names if f"d{name}" in derived}  # and all that is made of them
    reaching, fused = {end}, dict[str, str]()
    for equation in prepared.case.equations:
        needed |= {equation.name} if needed.intersection(names(equation.expr)) else set()
    for written, run in zip(prepared.case.equations[::-1], prepared.equations[::-1], strict=True):
        for name in names(written.expr) if written.name in reaching else ():
            reaching.add(name)
            if name not in names(run.expr):
                fused.setdefault(name, written.name)
            elif written.name in fused and f"d{written.name}" not in derived:
                fused.setdefault(name, fused[written.name])

    def note(name: str) -> str:
        if prepared.forward_only:
            return ""
        if name not in reaching:
            return f"it does not reach {end}"
        if name not in needed:
            return "its gradient is not computed: nothing before it needs one"
        if name in fused:
            return f"taken together with the logarithm in {fused[name]}, in the stable form"
        return f"it reaches {end} only through what has no derivative"

    return note


def check_formulas(prepared: Prepared, values: Env) -> tuple[FormulaResult, ...]:
    """Each hand-derived formula beside the derived gradient, with true values for all that it refers to.

    So one wrong line does not drag down the next. A formula must hold at the article's point and at a few random ones
    (seeded normal perturbations of the parameters), up to `AGREEMENT`; where that is not enough, up to the rounding
    noise of both.
    """
    case = prepared.case
    if not case.derivation:
        return ()
    misfits = {formula: message for formula in case.derivation if (message := _misfit(formula, prepared))}
    fitting = [formula for formula in case.derivation if formula not in misfits]
    points = [dict(values), *random_points(prepared)]
    at_points = zip(*map(evaluator(fitting, prepared, values), points), strict=True)
    found = dict(zip(fitting, at_points, strict=True))  # by hand, at every point
    derived = {equation.name: equation.text for equation in prepared.backward.equations}
    results = []
    for formula in case.derivation:
        message, error, allowed = misfits.get(formula, ""), math.inf, 0.0
        if formula in found:
            message, error, allowed = _compared(prepared, formula, found[formula], points)
        # what is not finite is wrong, but confirms nothing about the article; what has no array of the gradient's shape
        # is wrong by no measurable amount
        wrong = not error <= allowed
        passed = wrong and (math.isfinite(error) or allowed == 0) if formula.erratum else not wrong
        about = (passed, message, formula.place, formula.at, formula.erratum)
        text = derived.get(formula.name, "1")
        results.append(FormulaResult(formula.name, formula.text, text, error, allowed, *about))
    return tuple(results)


def _misfit(formula: HandFormula, prepared: Prepared) -> str:
    """Why the formula's parts do not fit together (a transpose is missing, say); empty where they do."""
    try:
        Types(prepared.types.names, prepared.types.integral).of(formula.expr)
    except ShapeMismatch as error:
        return error.message
    except ExpressionError:
        pass  # not a wrong derivation but bad input, which evaluating it reports
    return ""


def _compared(prepared: Prepared, formula: HandFormula, by_hand: Sequence[Array], points: Sequence[Env]) -> Comparison:
    """What is wrong with a formula, in words, by how much, and how much is allowed, at the point where it is worst.

    No more than leading axes of length 1 may tell it from the gradient: (5,) from (1, 5).
    """
    found: list[tuple[float, float]] = []
    for values, point in zip(by_hand, points, strict=True):
        mine, true = np.asarray(values, np.float64), np.asarray(point[formula.name], np.float64)
        if len({(1,) * (MOST_AXES - array.ndim) + array.shape for array in (mine, true)}) > 1:
            return f"has shape {mine.shape}, but the gradient has shape {true.shape}", math.inf, 0.0
        error = float(np.max(np.abs(mine.reshape(true.shape) - true), initial=0.0))
        here = max(float(np.max(np.abs(true), initial=0.0)), float(np.max(np.abs(mine), initial=0.0)))
        allowed = AGREEMENT[prepared.case.dtype] * here
        found.append((error, allowed if error <= allowed else allowed + formula_noise(prepared, formula, point)))
        if not error <= found[-1][1]:  # it is wrong here: at the other points nothing needs to be measured
            elsewhere = "agrees at the article's point, but not where the parameters are others"
            return elsewhere if len(found) > 1 else "", *found[-1]
    return "", *max(found, key=lambda pair: pair[0])


def formula_noise(prepared: Prepared, formula: Equation, point: Env) -> float:
    """What rounding may put between a formula and the gradient that it is of; what cannot be measured is none."""
    gradient = Equation(formula.name, Name(formula.name))
    noise = (float(np.max(entries, initial=0.0)) for entries in quantity_noise([formula, gradient], prepared, point))
    return sum(largest for largest in noise if math.isfinite(largest))


def random_points(prepared: Prepared) -> list[dict[str, Array]]:
    """All values at a few perturbed parameters; points where something is not finite are left out."""
    rng = np.random.default_rng(0)
    case, env, kinds = prepared.case, prepared.env, prepared.types.names
    moved = [*case.parameters] or [name for name in case.inputs if kinds[name].kind == "f"]

    def perturbed(name: str) -> Array:
        return np.asarray(env[name] + 0.3 * rng.standard_normal(np.shape(env[name])), case.dtype)[()]

    points = [prepared.run({name: perturbed(name) for name in moved}) for _ in range(POINTS)]
    return [point for point in points if is_finite(point[name] for name in prepared.gradients)]
