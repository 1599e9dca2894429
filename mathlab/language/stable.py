"""Equations rewritten where the article's form would lose the answer: `log(softmax(z))` for large logits.

The rewritten equations compute the same quantities; they are what runs, and what is differentiated, while the report
shows the article's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace as with_fields

from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, replace


def stabilised(equations: Sequence[Equation], keep: Collection[str] = ()) -> tuple[Equation, ...]:
    """The equations with `log(softmax(z))` and `log(softmax(z)[i])` taken together into log_softmax.

    The softmax may stand in an equation of its own; one whose name is in `keep` is left to be read by name, because its
    own gradient was asked for.
    """
    definitions: dict[str, Expr] = {}
    out = []
    for equation in equations:
        expr = replace(equation.expr, lambda part: _fused(part, definitions))
        if equation.name not in keep:
            definitions[equation.name] = equation.expr
        out.append(equation if expr == equation.expr else with_fields(equation, expr=expr))
    return tuple(out)


def _fused(part: Expr, definitions: dict[str, Expr]) -> Expr | None:
    match part:
        case Call("log", (Call("index", (base, *items)),)):
            logs = _log_softmax(base, definitions)
            return logs and Call("index", (logs, *items), part.attrs, part.position)
        case Call("log", (base,)):
            return _log_softmax(base, definitions)
    return None


def _log_softmax(expr: Expr, definitions: dict[str, Expr]) -> Expr | None:
    if isinstance(expr, Name):
        expr = definitions.get(expr.id, expr)
    if isinstance(expr, Call) and expr.op == "softmax":
        return Call("log_softmax", expr.args, expr.attrs, expr.position)
    return None
