"""Reverse mode over scalars: object arrays of nodes that write every operation on a tape as they are evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.arrays import Floats, Numbers
from mathlab.witnesses.graph import seen_from

Function = Callable[[np.float64], float]


@dataclass(frozen=True, slots=True)
class Tape:
    """For every node in order: the nodes it was computed from, each with its local derivative."""

    parents: list[tuple[tuple[int, float], ...]] = field(default_factory=list)

    def node(self, value: float, *parents: tuple[int, float]) -> Node:
        self.parents.append(parents)
        return Node(self, len(self.parents) - 1, np.float64(value))

    def gradients(self, seeds: Mapping[int, float]) -> list[float]:
        """The gradient of every node, from those of the ends. The tape stays as it is."""
        gradients = [0.0] * len(self.parents)
        for index, seed in seeds.items():
            gradients[index] = seed
        # parents stand before their children, so one pass from the end meets each node after all that read it
        with np.errstate(all="ignore"):
            for index in reversed(range(len(gradients))):
                if gradients[index] != 0:  # a branch that was not taken may have infinite slopes
                    for parent, slope in self.parents[index]:
                        gradients[parent] += gradients[index] * slope
        return gradients


def _scalar(operation: Callable[[Node, Node], Node]) -> Callable[[Node, object], Node]:
    """An operation of two nodes, as a method that takes a plain number too and leaves arrays to NumPy."""

    def method(self: Node, other: object) -> Node:
        return NotImplemented if isinstance(other, np.ndarray) else operation(self, self._lifted(other))

    return method


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A number that knows its place on the tape. Every operation states its value and its derivatives side by side.

    Values are NumPy's floats, which divide by zero as its arrays do.
    """

    tape: Tape
    index: int
    value: np.float64

    def __float__(self) -> float:
        return float(self.value)

    def _lifted(self, other: object) -> Node:
        return other if isinstance(other, Node) else self.tape.node(float(cast(float, other)))

    def _unary(self, value: float, slope: float) -> Node:
        return self.tape.node(value, (self.index, slope))

    def _binary(self, other: Node, value: float, mine: float, theirs: float) -> Node:
        return self.tape.node(value, (self.index, mine), (other.index, theirs))

    @_scalar
    def __add__(self, other: Node) -> Node:
        return self._binary(other, self.value + other.value, 1.0, 1.0)

    @_scalar
    def __sub__(self, other: Node) -> Node:
        return self._binary(other, self.value - other.value, 1.0, -1.0)

    @_scalar
    def __mul__(self, other: Node) -> Node:
        return self._binary(other, self.value * other.value, other.value, self.value)

    @_scalar
    def __truediv__(self, other: Node) -> Node:
        quotient = self.value / other.value
        return self._binary(other, quotient, 1 / other.value, -quotient / other.value)

    @_scalar
    def __pow__(self, other: Node) -> Node:
        power = self.value**other.value
        in_base = other.value * self.value ** (other.value - 1) if other.value else 0.0
        in_exponent = np.log(self.value) * power if self.value or other.value <= 0 else 0.0
        # an exponent is mostly a constant, whose derivative nobody asks for and a negative base has not
        return self._binary(other, power, in_base, in_exponent)

    @_scalar
    def __radd__(self, other: Node) -> Node:
        return other + self

    @_scalar
    def __rsub__(self, other: Node) -> Node:
        return other - self

    @_scalar
    def __rmul__(self, other: Node) -> Node:
        return other * self

    @_scalar
    def __rtruediv__(self, other: Node) -> Node:
        return other / self

    @_scalar
    def __rpow__(self, other: Node) -> Node:
        return other**self

    def __neg__(self) -> Node:
        return self._unary(-self.value, -1.0)

    # comparisons are of values, and leave nothing on the tape
    def __gt__(self, other: object) -> bool:
        return float(self) > float(cast(float, other))

    def __ge__(self, other: object) -> bool:
        return float(self) >= float(cast(float, other))

    def __lt__(self, other: object) -> bool:
        return float(self) < float(cast(float, other))

    def __le__(self, other: object) -> bool:
        return float(self) <= float(cast(float, other))

    def __eq__(self, other: object) -> bool:
        return float(self) == float(cast(float, other))

    def __ne__(self, other: object) -> bool:
        return float(self) != float(cast(float, other))

    __hash__ = None  # type: ignore[assignment]  # equal values are not the same node

    def of(self, function: str) -> Node:
        """One of `FUNCTIONS` of it."""
        value, slope = FUNCTIONS[function]
        return self._unary(value(self.value), slope(self.value))


# a function and its derivative, side by side
FUNCTIONS: Mapping[str, tuple[Function, Function]] = {
    "exp": (np.exp, np.exp),
    "expm1": (np.expm1, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "log1p": (np.log1p, lambda x: 1 / (1 + x)),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "erf": (math.erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2))),
    "normal_cdf": (
        lambda x: math.erfc(-x / math.sqrt(2)) / 2,
        lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    ),
}


def tape(equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None) -> Floats:
    """The gradient of the end with respect to `wrt`, in its shape, by reverse mode over scalars.

    At a tie: the slope of relu and abs at 0 is 0, maximum(a, b) routes to b (or to a number written out
    in a's place), and max and min share equally.
    `seed` is the gradient of the end in its shape, None for a scalar end; the result is that of sum(seed * end).
    Raises MathlabError as `seen_from` does, and for what cannot be evaluated.
    """
    graph = seen_from(wrt, equations, env, seed)
    written = Tape()
    start = np.empty(graph.start.shape, dtype=object)
    for index, value in np.ndenumerate(graph.start):
        start[index] = written.node(value)
    if not graph.connected:
        return np.zeros(start.shape)
    end = graph.rerun(cast(Numbers, start))[graph.end]
    seeds: dict[int, float] = {}
    for index, node in np.ndenumerate(end):
        if isinstance(node, Node):  # an entry that does not depend on `wrt` is a plain number
            seeds[node.index] = seeds.get(node.index, 0.0) + float(graph.seed[index])
    gradients = written.gradients(seeds)
    return np.array(gradients[: start.size], dtype=np.float64).reshape(start.shape)
