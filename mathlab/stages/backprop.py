"""Forward and backward once: every node, its gradient, the figures, and the hand-derived formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mathlab.experiment import Array, Case
from mathlab.language.equation import Equation
from mathlab.language.latex import latex_equation
from mathlab.language.syntax import names
from mathlab.printed import judge
from mathlab.results import BackpropResult, FormulaResult, NodeResult, Part, Role
from mathlab.stages.prepare import Env, Prepared, evaluate, prepare

POINTS = 3  # random points at which a formula must hold too, so that a coincidence does not pass
AGREEMENT = {"float64": 1e-9, "float32": 1e-4}  # relative to the largest entry of the gradient


def run(case: Case) -> BackpropResult:
    """Forward and backward of one case. Raises MathlabError for equations, figures or formulas that do not fit."""
    prepared = prepare(case)
    values = prepared.run()
    quantities = evaluate(case.expected, prepared, values)
    figures = tuple(
        judge(figure, value, stage="backprop") for figure, value in zip(case.expected, quantities, strict=True)
    )
    return BackpropResult(node_results(prepared, values), figures, check_formulas(prepared, values))


def node_results(prepared: Prepared, values: Env) -> tuple[NodeResult, ...]:
    """Inputs, parameters and equations in the order of the config, each with its gradient where it has one."""
    case = prepared.case
    backward = {equation.name: equation.text for equation in prepared.backward.equations}
    texts = {equation.name: equation.text for equation in case.equations}
    roles: list[tuple[str, Role]] = [
        *((name, "input") for name in case.inputs),
        *((name, "parameter") for name in case.parameters),
        *((name, "node") for name in texts),
    ]
    results = []
    for name, role in roles:
        gradient = values.get(f"d{name}") if f"d{name}" in backward else None
        text = backward.get(f"d{name}", "")
        if name == prepared.end and gradient is None:
            gradient, text = np.ones((), case.dtype), "1"
        results.append(
            NodeResult(
                name=name,
                role=role,
                value=np.asarray(values[name]),
                equation=texts.get(name, ""),
                gradient=None if gradient is None else np.asarray(gradient),
                gradient_equation=text,
                parts=tuple(
                    Part(part, backward[part], np.asarray(values[part]))
                    for part in prepared.backward.parts.get(name, ())
                ),
                stores=prepared.backward.stores.get(name, ()),
                note=_note(prepared, name) if role == "node" and gradient is None else "",
            )
        )
    return tuple(results)


def _note(prepared: Prepared, name: str) -> str:
    """Why a node has no gradient of its own."""
    for written, run in zip(prepared.case.equations, prepared.equations, strict=True):
        if name in names(written.expr) and name not in names(run.expr):
            return f"taken together with the logarithm in {written.name}, in the stable form"
    return f"no gradient flows through it to {prepared.end}"


def check_formulas(prepared: Prepared, values: Env) -> tuple[FormulaResult, ...]:
    """Each hand-derived formula beside the derived gradient, with true values for all that it refers to.

    So one wrong line does not drag down the next. A formula must hold at the article's point and at a few random ones
    (seeded normal perturbations of the parameters), up to rounding as the program itself shows it when it is shaken.
    """
    case = prepared.case
    if not case.derivation:
        return ()
    points = [dict(values), *_random_points(prepared)]
    at_points = [evaluate(case.derivation, prepared, point) for point in points]
    noise = _noise(prepared, [formula.name for formula in case.derivation])
    derived = {equation.name: equation.text for equation in prepared.backward.equations}
    results = []
    for position, formula in enumerate(case.derivation):
        pairs = [
            (np.asarray(by_hand[position], np.float64), np.asarray(point[formula.name], np.float64))
            for by_hand, point in zip(at_points, points, strict=True)
        ]
        results.append(
            _compare_formula(formula, pairs, derived.get(formula.name, "1"), case.dtype, noise[formula.name])
        )
    return tuple(results)


def _compare_formula(
    formula: Equation, pairs: Sequence[tuple[Array, Array]], derived: str, dtype: str, noise: float
) -> FormulaResult:
    by_hand, gradient = pairs[0]
    if by_hand.shape != gradient.shape:
        message = f"has shape {by_hand.shape}, but the gradient has shape {gradient.shape}"
        return FormulaResult(formula.name, formula.text, derived, np.inf, 0.0, False, message, formula.place)
    scale = max(float(np.max(np.abs(gradient), initial=0.0)), float(np.max(np.abs(by_hand), initial=0.0)))
    errors, allowed = [], []
    for mine, true in pairs:
        here = max(float(np.max(np.abs(true), initial=0.0)), float(np.max(np.abs(mine), initial=0.0)))
        errors.append(float(np.max(np.abs(mine - true), initial=0.0)))
        allowed.append(AGREEMENT[dtype] * here + noise * (here / scale if scale else 1.0))
    bad = [k for k, (error, limit) in enumerate(zip(errors, allowed, strict=True)) if not error <= limit]
    worst = bad[0] if bad else int(np.argmax(errors))
    message = "agrees at the article's point, but not where the parameters are others" if bad and bad[0] > 0 else ""
    return FormulaResult(
        formula.name, formula.text, derived, errors[worst], allowed[worst], not bad, message, formula.place
    )


def _random_points(prepared: Prepared) -> list[dict[str, Array]]:
    """All values at a few perturbed parameters; points where something is not finite are left out."""
    rng = np.random.default_rng(0)
    moved = list(prepared.case.parameters) or [
        name for name in prepared.case.inputs if prepared.types.names[name].kind == "f"
    ]
    points = []
    for _ in range(POINTS):
        parameters = {
            name: np.asarray(
                prepared.env[name] + 0.3 * rng.standard_normal(np.shape(prepared.env[name])), prepared.case.dtype
            )[()]
            for name in moved
        }
        values = prepared.run(parameters)
        if all(np.all(np.isfinite(values[name])) for name in prepared.gradients):
            points.append(values)
    return points


def _noise(prepared: Prepared, gradients: list[str]) -> dict[str, float]:
    """How far the gradients move when every value is shaken in its last place."""
    rng = np.random.default_rng(0)
    runs = [prepared.shaken(rng) for _ in range(4)]
    return {
        name: 4 * max(float(np.max(np.abs(run[name] - runs[0][name]), initial=0.0)) for run in runs)
        for name in gradients
    }


def derivation(case: Case, form: Literal["text", "latex", "numpy"]) -> str:
    """The case's equations in both directions as text or LaTeX, or as the NumPy program that runs."""
    prepared = prepare(case)
    if form == "numpy":
        return prepared.program.listing()
    if form == "latex":
        lines = [latex_equation(equation, prepared.end) for equation in (*case.equations, *prepared.backward.equations)]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n"
    blocks = [
        "\n".join(f"{equation.name} = {equation.text}" for equation in equations)
        for equations in (case.equations, prepared.backward.equations)
    ]
    stores = "\n".join(f"{name} stores {', '.join(kept)}" for name, kept in prepared.backward.stores.items() if kept)
    return "\n\n".join([*blocks, stores]) + "\n"
