"""What every witness starts from: the end of the graph, and the equations through which one array moves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.language.syntax import names
from mathlab.witnesses.arrays import Floats, Numbers
from mathlab.witnesses.evaluation import Rounding, run


class Graph(NamedTuple):
    """A graph seen from `wrt`: plain values of all nodes, the equations through which it moves the end, and the end's
    gradient.

    Seen from nowhere, `wrt` is empty and all equations are kept.
    """

    values: Mapping[str, Numbers]
    wrt: str
    moving: tuple[Equation, ...]
    end: str
    seed: Floats

    @property
    def start(self) -> Floats:
        """The value of `wrt`."""
        return np.asarray(self.values[self.wrt], dtype=np.float64)

    @property
    def connected(self) -> bool:
        return self.end == self.wrt or bool(self.moving)

    def seen_from(self, node: str) -> Graph:
        """The same graph seen from an input, or from one of the nodes that move.

        Raises MathlabError when there is no such array, and when it holds no floats.
        """
        if node not in self.values:
            raise MathlabError(f"there is no '{node}' to differentiate with respect to")
        if not np.issubdtype(self.values[node].dtype, np.floating):
            raise MathlabError(f"'{node}' holds whole numbers; a derivative needs floats")
        return self._replace(wrt=node, moving=tuple(equation for equation, _ in self.between([node])))

    def between(self, wanted: Iterable[str]) -> list[tuple[Equation, list[str]]]:
        """The equations on the paths from the `wanted` names to the end, in order, each with what it reads that moves.

        Those of the wanted names themselves are none of them.
        """
        start, needed = {*wanted}, {self.end}
        moved = {*start}
        for equation in self.moving:
            if equation.name not in start and not moved.isdisjoint(names(equation.expr)):
                moved.add(equation.name)
        for equation in reversed(self.moving):
            if equation.name in needed:
                needed.update(names(equation.expr))
        return [
            (equation, sorted(moved.intersection(names(equation.expr))))
            for equation in self.moving
            if equation.name in (moved & needed) - start
        ]

    def rerun(self, start: Numbers, rounded: Rounding | None = None) -> dict[str, Numbers]:
        """The values of all nodes when `wrt` is `start`, an array of any kind; `rounded` is applied as by `run`."""
        return run(self.moving, {**self.values, self.wrt: start}, rounded)


def whole(equations: Sequence[Equation], values: Mapping[str, Numbers], seed: Array | None) -> Graph:
    """The graph of `equations`, seen from nowhere; `values` has those of all names.

    `seed` is the gradient of the last equation, in its shape; None for a scalar end, whose gradient is 1.
    Raises MathlabError when there are no equations, and when the seed does not fit the end.
    """
    if not equations:
        raise MathlabError("there are no equations to differentiate")
    end = equations[-1].name
    shape = values[end].shape
    if seed is None and values[end].size != 1:
        raise MathlabError(f"'{end}' has shape {shape}; a gradient needs a scalar end, or an upstream gradient")
    if seed is not None and seed.shape != shape:
        raise MathlabError(f"an upstream gradient of shape {seed.shape} does not fit '{end}' of shape {shape}")
    weights = np.ones(shape) if seed is None else seed.astype(np.float64)
    return Graph(values, "", tuple(equations), end, weights)


def seen_from(wrt: str, equations: Sequence[Equation], env: Mapping[str, Array], seed: Array | None) -> Graph:
    """The graph of `equations` over `env` seen from `wrt`, an array of `env` or the name of an equation.

    Raises MathlabError as `whole` and its `seen_from` do.
    """
    return whole(equations, run(equations, env), seed).seen_from(wrt)
