"""What every witness starts from: the end of the graph, and the equations through which one array moves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.frozen import dataclass
from mathlab.language.equation import Equation
from mathlab.language.syntax import names
from mathlab.witnesses.arrays import Floats, Numbers
from mathlab.witnesses.evaluation import Rounding, run


@dataclass(frozen=True)
class Graph:
    """A graph seen from `wrt`: plain values of all nodes, the equations that move with it, and the end's gradient."""

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
        return self.end == self.wrt or any(equation.name == self.end for equation in self.moving)

    @property
    def readers(self) -> tuple[Equation, ...]:
        """The equations that mention `wrt` themselves."""
        return tuple(equation for equation in self.moving if self.wrt in names(equation.expr))

    def seen_from(self, node: str) -> Graph:
        """The same graph seen from one of the nodes that move."""
        return replace(self, wrt=node, moving=_moving(self.moving, node))

    def rerun(self, start: Numbers, rounded: Rounding | None = None) -> dict[str, Numbers]:
        """The values of all nodes when `wrt` is `start`, an array of any kind; `rounded` is applied as by `run`."""
        return run(self.moving, {**self.values, self.wrt: start}, rounded)


def seen_from(wrt: str, equations: Sequence[Equation], env: Mapping[str, Array], seed: Array | None) -> Graph:
    """The graph of `equations` over `env` seen from `wrt`, an array of `env` or the name of an equation.

    `seed` is the gradient of the last equation, in its shape; None for a scalar end, whose gradient is 1.
    Raises MathlabError when there is no `wrt`, when it holds no floats, and when the seed does not fit the end.
    """
    if not equations:
        raise MathlabError("there are no equations to differentiate")
    values = run(equations, env)
    end = equations[-1].name
    if wrt not in values:
        raise MathlabError(f"there is no '{wrt}' to differentiate with respect to")
    if not np.issubdtype(values[wrt].dtype, np.floating):
        raise MathlabError(f"'{wrt}' holds whole numbers; a derivative needs floats")
    shape = values[end].shape
    if seed is None and values[end].size != 1:
        raise MathlabError(f"'{end}' has shape {shape}; a gradient needs a scalar end, or an upstream gradient")
    if seed is not None and seed.shape != shape:
        raise MathlabError(f"an upstream gradient of shape {seed.shape} does not fit '{end}' of shape {shape}")
    weights = np.ones(shape) if seed is None else seed.astype(np.float64)
    return Graph(values, wrt, _moving(equations, wrt), end, weights)


def _moving(equations: Sequence[Equation], wrt: str) -> tuple[Equation, ...]:
    moved = {wrt}
    moving = []
    for equation in equations:
        if equation.name != wrt and not moved.isdisjoint(names(equation.expr)):
            moved.add(equation.name)
            moving.append(equation)
    return tuple(moving)
