"""Reverse mode over scalars: object arrays of nodes that write every operation on a tape as they are evaluated."""

from __future__ import annotations

import operator
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


Operation = Callable[["Node", "Node"], "Node"]
Method = Callable[["Node", object], "Node"]


def _scalar(operation: Operation) -> tuple[Method, Method]:
    """An operation of two nodes as methods for either side: they take plain numbers too, and leave arrays to NumPy."""

    def method(self: Node, other: object) -> Node:
        return NotImplemented if isinstance(other, np.ndarray) else operation(self, self._lifted(other))

    def reflected(self: Node, other: object) -> Node:
        return NotImplemented if isinstance(other, np.ndarray) else operation(self._lifted(other), self)

    return method, reflected


def _compared(relation: Callable[[float, float], bool]) -> Callable[[Node, object], bool]:
    """A comparison, which is of values, and leaves nothing on the tape."""
    return lambda self, other: relation(float(self), float(cast(float, other)))


def _power(a: Node, b: Node) -> Node:
    power = a.value**b.value
    in_base = b.value * a.value ** (b.value - 1) if b.value else 0.0
    # an exponent is mostly a constant, whose derivative nobody asks for and a negative base has not
    in_exponent = np.log(a.value) * power if a.value or b.value <= 0 else 0.0
    return a._binary(b, power, in_base, in_exponent)


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

    __add__, __radd__ = _scalar(lambda a, b: a._binary(b, a.value + b.value, 1.0, 1.0))
    __sub__, __rsub__ = _scalar(lambda a, b: a._binary(b, a.value - b.value, 1.0, -1.0))
    __mul__, __rmul__ = _scalar(lambda a, b: a._binary(b, a.value * b.value, b.value, a.value))
    __truediv__, __rtruediv__ = _scalar(
        lambda a, b: a._binary(b, a.value / b.value, 1 / b.value, -(a.value / b.value) / b.value)
    )
    __pow__, __rpow__ = _scalar(_power)

    def __neg__(self) -> Node:
        return self._unary(-self.value, -1.0)

    __gt__, __ge__ = _compared(operator.gt), _compared(operator.ge)
    __lt__, __le__ = _compared(operator.lt), _compared(operator.le)
    __eq__, __ne__ = _compared(operator.eq), _compared(operator.ne)
    __hash__ = None  # type: ignore[assignment]  # equal values are not the same node

    def of(self, function: Function, slope: Function) -> Node:
        """A function of it, and the function's derivative."""
        return self._unary(function(self.value), slope(self.value))


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
