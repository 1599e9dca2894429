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
    behind: dict[str, set[str]] = {name: {name} for name in prepared.env}  # all that each name is computed from
    for line in prepared.both:
        behind[line.name] = {line.name}.union(*(behind[name] for name in names(line.expr) if name in behind))
    rank = {name: position for position, name in enumerate(behind)}
    read = [{name for name in names(quantity) if name in rank} for quantity, _ in figures]
    when = [
        (figure.updates or 0, max((rank[name] for name in some), default=0))
        for some, (_, figure) in zip(read, figures, strict=True)
    ]
    failing = [k for k, (_, figure) in enumerate(figures) if not figure.passed]
    found = [""] * len(figures)
    for k in failing:
        above: set[str] = set().union(*(behind[name] for name in read[k]))
        earlier = [j for j in failing if when[j] < when[k] and (when[j][0] < when[k][0] or read[j] <= above)]
        if earlier:
            first = figures[min(earlier, key=lambda j: when[j])][1]
            after = f" after {first.updates} update{'s' * (first.updates != 1)}" if first.updates is not None else ""
            found[k] = f"{first.key}{after}"
    return found
