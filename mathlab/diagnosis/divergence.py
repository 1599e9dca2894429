"""Where a computation goes wrong first: the earliest node, and in training the earliest update, that differs."""

from __future__ import annotations

from collections.abc import Sequence

from mathlab.language.syntax import Expr, names
from mathlab.results import FigureResult
from mathlab.stages.prepare import Prepared


def first_divergences(prepared: Prepared, figures: Sequence[tuple[Expr, FigureResult]]) -> list[str]:
    """For each figure that fails, the earliest failing figure that it is computed from; "" where it is the first.

    Earlier is what fewer updates were made before, then what stands earlier in the graph: the equations in their order,
    then the backward ones. After an update, everything before it is what a figure is computed from.
    """
    order = [*prepared.env, *(equation.name for equation in prepared.both)]
    rank = {name: position for position, name in enumerate(order)}
    behind = _ancestors(prepared)
    read = [{name for name in names(quantity) if name in rank} for quantity, _ in figures]
    when = [
        (figure.updates or 0, max((rank[name] for name in read[k]), default=0)) for k, (_, figure) in enumerate(figures)
    ]
    failing = [k for k, (_, figure) in enumerate(figures) if not figure.passed]
    found = []
    for k, (_, figure) in enumerate(figures):
        above = set(read[k]).union(*(behind[name] for name in read[k]))
        earlier = [j for j in failing if when[j] < when[k] and (when[j][0] < when[k][0] or read[j] <= above)]
        found.append(_label(figures[min(earlier, key=lambda j: when[j])][1]) if earlier and not figure.passed else "")
    return found


def _ancestors(prepared: Prepared) -> dict[str, set[str]]:
    """Everything that each name is computed from."""
    behind: dict[str, set[str]] = {name: set() for name in prepared.env}
    for equation in prepared.both:
        read = [name for name in names(equation.expr) if name in behind]
        behind[equation.name] = set(read).union(*(behind[name] for name in read))
    return behind


def _label(figure: FigureResult) -> str:
    if figure.updates is None:
        return figure.key
    return f"{figure.key} after {figure.updates} update{'s' * (figure.updates != 1)}"
