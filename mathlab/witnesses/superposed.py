"""What the steps of one array's entries come to at the end, added up from those of the nodes that read it.

An entry of a weight moves one column of one node, and each entry of that column is moved by many weights. So it is
enough to find out what the end makes of a step of every entry of the node, and what a step of every weight makes of the
node: for a dense layer that is a step for each entry of its output instead of one for each entry of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mathlab.language.syntax import Expr
from mathlab.witnesses.arrays import Floats, Numbers, numbers
from mathlab.witnesses.copies import stacks
from mathlab.witnesses.graph import Graph
from mathlab.witnesses.reference import REFERENCE
from mathlab.witnesses.stack import Operand, Stack, taken
from mathlab.witnesses.stacked import NotStacked, Stacker
from mathlab.witnesses.stepped import STEP, has_kink, repaired, stacked

GROWTH = 4  # times as many entries in what reads a node as in the node are worth it,
LINEAR = 1e-9  # relative: how far a random direction may be from the superposition of its entries


@dataclass(frozen=True)
class Responses:
    """The complex step of every entry of the nodes, each found once for all that read it.

    The imaginary part that arrives at the end is linear in those that leave a node: what bends is of the order of the
    step, 1e-120 of it. So the slopes of a node are those of its readers times what a step of it makes of them, and
    each op is evaluated at complex numbers only where a step of the node before it arrives. `asked` are the names whose
    slopes will be asked for.
    """

    graph: Graph
    asked: Sequence[str] = ()
    found: dict[str, Floats] = field(default_factory=dict)
    bases: dict[Expr, Numbers] = field(default_factory=dict)

    @cached_property
    def smooth(self) -> bool:
        """Whether a step of all that will be asked for meets no kink: then a step of one of them meets none either."""
        return bool(self.asked) and not has_kink(self.graph, self.asked)

    def slopes(self, graph: Graph) -> Floats | None:
        """The slope of every entry of `graph.wrt`, in C order; `graph` has no kink where it is evaluated.

        A step of all entries at once, in a random direction, must find the same; None is returned where it does not,
        where there is nothing to gain, and where some op cannot be stacked.
        """
        if graph.end == graph.wrt or not self._pays(graph, graph.wrt, growth=1):
            return None
        try:
            self._measure(graph)
            slopes = self._through(graph, graph.wrt)
        except NotStacked:
            return None
        direction = np.random.default_rng(1).standard_normal(slopes.size)
        with np.errstate(all="ignore"):
            moved = graph.start + 1j * STEP * direction.reshape(graph.start.shape)
            found = float(np.sum(graph.seed * graph.rerun(numbers(moved))[graph.end].imag)) / STEP
            terms = slopes * direction
            return slopes if abs(found - np.sum(terms)) <= LINEAR * np.sum(np.abs(terms)) else None

    def _pays(self, graph: Graph, node: str, growth: int) -> bool:
        """Whether the readers of a node, if they are not known, are few entries beside its own."""
        unknown = (reader.name for reader in graph.readers_of(node) if reader.name not in self.found)
        return sum(np.size(graph.values[name]) for name in unknown) <= growth * np.size(graph.values[node])

    def _measure(self, graph: Graph) -> None:
        """Find the slopes of the nodes that read `graph.wrt`, and of those from which they follow, from the end on."""
        needed: set[str] = set()
        pending = [graph.wrt]
        while pending:
            for reader in graph.readers_of(pending.pop()):
                if reader.name not in needed and reader.name not in self.found:
                    needed.add(reader.name)
                    pending += [reader.name] if self._pays(graph, reader.name, GROWTH) else []
        for equation in reversed(graph.moving):
            if equation.name in needed:
                self.found[equation.name] = self._of_node(graph, equation.name)

    def _of_node(self, graph: Graph, node: str) -> Floats:
        if node == graph.end:
            return graph.seed
        if not np.issubdtype(graph.values[node].dtype, np.floating):
            raise NotStacked
        seen = graph.seen_from(node)
        if all(reader.name in self.found for reader in seen.readers):
            return repaired(self._through(seen, node), seen, STEP)
        slopes = stacked(seen, np.arange(seen.start.size), STEP)
        if slopes is None:
            raise NotStacked
        return repaired(slopes, seen, STEP)

    def _through(self, graph: Graph, node: str) -> Floats:
        """The slopes of a node's entries, in C order, from those of all its readers."""
        start = np.asarray(graph.values[node], np.float64).ravel()
        slopes = np.zeros(start.size)
        stacker = Stacker(REFERENCE, graph.values, bases=self.bases)
        points = numbers(start[None] + 1j * STEP)
        with np.errstate(all="ignore"):
            for part, stack in stacks(stacker, node, np.arange(start.size), points, graph.readers_of(node)):
                for reader in graph.readers_of(node):
                    slopes[part] += _carried(stacker.evaluate(reader.expr, {node: stack}), self.found[reader.name])
        return slopes / STEP + 0.0


def _carried(moved: Operand, slopes: Floats) -> Floats:
    """What every copy's step of a node, of slopes in its shape, comes to at the end."""
    if not isinstance(moved, Stack):
        return np.zeros(())
    step = moved.new.imag
    weighted = taken(numbers(slopes), moved.at).real * step
    if not np.isfinite(slopes).all():
        weighted = np.where(step == 0, 0.0, weighted)
    return np.asarray(np.sum(weighted, axis=tuple(range(weighted.ndim - 1))))
