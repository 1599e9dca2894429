"""A formula whose shapes do not fit, mended: it is tried with one of its parts transposed, or over another axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import HandFormula
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, unparse
from mathlab.stages.backprop import AGREEMENT
from mathlab.stages.prepare import Env, Prepared, evaluator

MOST_AXES = 3  # over which a sum is tried to run


def repairs(prepared: Prepared, formula: HandFormula, points: Sequence[Env]) -> str:
    """What would make a formula agree at every point whose parts, or whose result, have the wrong shape."""
    shape = prepared.types.names[formula.name].shape
    try:
        if prepared.types.of(formula.expr).shape == shape:
            return ""
    except ExpressionError:
        pass
    for what, expr in _turned(formula.expr):
        mended = Equation(formula.name, expr)
        try:
            if prepared.types.of(expr).shape != shape:
                continue
            evaluate = evaluator([mended], prepared, points[0])
            values = [evaluate(point)[0] for point in points]
        except (ExpressionError, MathlabError):
            continue
        rtol = AGREEMENT[prepared.case.dtype]
        pairs = zip(values, points, strict=True)
        if all(np.allclose(value, point[formula.name], rtol=rtol, atol=0) for value, point in pairs):
            return f"{what}: {mended.text} agrees at the article's point and {len(points) - 1} random ones"
    return ""


def _turned(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """The expression with a transpose put in, or taken away, or another axis, at one place."""
    match expr:
        case Call("T", (inner,)):
            yield f"{unparse(inner)} must not be transposed", inner
        case _ if isinstance(expr, Name | Call):
            yield f"{unparse(expr)} must be transposed", Call("T", (expr,))
    if isinstance(expr, Call) and isinstance(axis := expr.attr("axis"), int):
        for other in range(MOST_AXES):
            if other != axis:
                attrs = tuple((name, other if name == "axis" else value) for name, value in expr.attrs)
                yield f"{expr.op} must run over axis {other}", Call(expr.op, expr.args, attrs)
    if isinstance(expr, Call) and expr.op != "T":
        for position, arg in enumerate(expr.args):
            for what, new in _turned(arg):
                yield what, Call(expr.op, (*expr.args[:position], new, *expr.args[position + 1 :]), expr.attrs)
