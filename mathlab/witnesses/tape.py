"""Reverse mode over scalars: object arrays of nodes that write every operation on a tape as they are evaluated."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.graph import seen_from
from mathlab.witnesses.reference import Floats, Numbers

Function = Callable[[np.float64], float]
Rule = Callable[[np.float64, np.float64], tuple[float, float, float]]
Method = Callable[["Node", object], "Node"]


class Tape(NamedTuple):
    """For every node in order: the nodes it was computed from, each with its local derivative."""

    parents: list[tuple[tuple[int, float], ...]]

    def node(self, value: float, *parents: tuple[int, float]) -> Node:
        self.parents.append(parents)
        return Node(self, len(self.parents) - 1, np.float64(value))


def _scalar(rule: Rule) -> tuple[Method, Method]:
    """An operation of two numbers as methods for either side, from its value and its slopes along both.

    The methods take plain numbers too, and leave arrays to NumPy.
    """

    def method(self: Node, other: object, reflected: bool = False) -> Node:
        if isinstance(other, np.ndarray):
            return NotImplemented  # type: ignore[no-any-return]  # as Python asks for
        node = other if isinstance(other, Node) else self.tape.node(float(cast(float, other)))
        a, b = (node, self) if reflected else (self, node)
        value, along_a, along_b = rule(a.value, b.value)
        return self.tape.node(value, (a.index, along_a), (b.index, along_b))

    return method, lambda self, other: method(self, other, reflected=True)


def _compared(relation: Callable[[float, float], bool]) -> Callable[[Node, object], bool]:
    """A comparison, which is of values, and leaves nothing on the tape."""
    return lambda self, other: relation(float(self), float(cast(float, other)))


def _power(a: np.float64, b: np.float64) -> tuple[float, float, float]:
    power = a**b
    # an exponent is mostly a constant, whose derivative nobody asks for and a negative base has not
    return power, b * a ** (b - 1) if b else 0.0, np.log(a) * power if a or b <= 0 else 0.0


class Node:
    """A number that knows its place on the tape. Every operation states its value and its derivatives side by side.

    Values are NumPy's floats, which divide by zero as its arrays do.
    """

    __slots__ = ("index", "tape", "value")

    def __init__(self, tape: Tape, index: int, value: np.float64) -> None:
        self.tape, self.index, self.value = tape, index, value

    def __float__(self) -> float:
        return float(self.value)

    __add__, __radd__ = _scalar(lambda a, b: (a + b, 1.0, 1.0))
    __sub__, __rsub__ = _scalar(lambda a, b: (a - b, 1.0, -1.0))
    __mul__, __rmul__ = _scalar(lambda a, b: (a * b, b, a))
    __truediv__, __rtruediv__ = _scalar(lambda a, b: (a / b, 1 / b, -(a / b) / b))
    __pow__, __rpow__ = _scalar(_power)

    __gt__, __ge__ = _compared(operator.gt), _compared(operator.ge)
    __lt__, __le__ = _compared(operator.lt), _compared(operator.le)
    __eq__, __ne__ = _compared(operator.eq), _compared(operator.ne)
    __hash__ = None  # type: ignore[assignment]  # equal values are not the same node

    def __neg__(self) -> Node:
        return self.of(operator.neg, lambda x: -1.0)

    def of(self, function: Function, slope: Function) -> Node:
        """A function of it, and the function's derivative."""
        return self.tape.node(function(self.value), (self.index, slope(self.value)))


def tape(equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None) -> Floats:
    """The gradient of the end with respect to `wrt`, in its shape, by reverse mode over scalars.

    At a tie: the slope of relu and abs at 0 is 0, maximum(a, b) routes to b (or to a number written out
    in a's place), and max and min share equally.
    Raises MathlabError for what cannot be evaluated.
    """
    graph = seen_from(wrt, equations, env, seed)
    written = Tape([])
    start = np.array([*map(written.node, graph.start.flat)], dtype=object).reshape(graph.start.shape)
    seeds: dict[int, float] = {}
    for index, node in np.ndenumerate(graph.rerun(cast(Numbers, start))):
        if isinstance(node, Node):  # an entry that does not depend on `wrt` is a plain number
            seeds[node.index] = seeds.get(node.index, 0.0) + float(graph.seed[index])
    gradients = [seeds.get(k, 0.0) for k in range(len(written.parents))]
    # parents stand before their children, so one pass from the end meets each node after all that read it
    with np.errstate(all="ignore"):
        for gradient, parents in zip(reversed(gradients), reversed(written.parents), strict=True):
            for parent, slope in parents if gradient != 0 else ():  # an untaken branch may have infinite slopes
                gradients[parent] += gradient * slope
    return np.array(gradients[: graph.start.size], dtype=np.float64).reshape(graph.start.shape)
