"""A formula whose shapes do not fit, mended: it is tried with one of its parts transposed, or over another axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mathlab.diagnosis.rewrite import text, turned
from mathlab.diagnosis.slips import parts, placed
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import HandFormula
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name
from mathlab.stages.backprop import AGREEMENT
from mathlab.stages.prepare import Env, Prepared, evaluator

MOST_AXES = 3  # over which a sum is tried to run


def repairs(prepared: Prepared, formula: HandFormula, points: Sequence[Env]) -> str:
    """What would make a formula agree at every point whose parts, or whose result, have the wrong shape."""
    shape, rtol = prepared.types.names[formula.name].shape, AGREEMENT[prepared.case.dtype]
    for what, expr in [("", formula.expr), *_turned(formula.expr)]:
        mended = Equation(formula.name, expr)
        try:
            if prepared.types.of(expr).shape != shape:
                continue
            if not what:  # its shapes fit
                return ""
            evaluate = evaluator([mended], prepared, points[0])
            pairs = [(evaluate(point)[0], point[formula.name]) for point in points]
        except (ExpressionError, MathlabError):
            continue
        if all(np.allclose(value, true, rtol=rtol, atol=0) for value, true in pairs):
            return f"{what}: {mended.text} agrees at the article's point and {len(points) - 1} random ones"
    return ""


def _turned(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """The expression with a transpose put in, or taken away, or another axis, at one place."""
    for path, part, *_ in parts(expr):
        if isinstance(part, Name | Call):
            other = turned(part)
            said = (
                f"{text(part)} must be" if isinstance(other, Call) and other.op == "T" else f"{text(other)} must not be"
            )
            yield f"{said} transposed", placed(expr, path, other)
        if isinstance(part, Call) and isinstance(axis := part.attr("axis"), int):
            for other_axis in {*range(MOST_AXES)} - {axis}:
                attrs = tuple((name, other_axis if name == "axis" else value) for name, value in part.attrs)
                made = Call(part.op, part.args, attrs)
                yield f"{part.op} must run over axis {other_axis}", placed(expr, path, made)
