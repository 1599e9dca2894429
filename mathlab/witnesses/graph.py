"""What every witness starts from: equations, evaluated by the reference definitions, and the graph that they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import ExpressionError
from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.language.ops import EXACT
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names, parse
from mathlab.language.tables import called, rows
from mathlab.witnesses.reference import REFERENCE, Floats, Numbers, numbers

Rounding = Callable[[Numbers], Numbers]
Definitions = Mapping[str, Callable[..., Numbers]]
Evaluate = Callable[[Expr, Mapping[str, Numbers]], Numbers]

# ops that are made of others, each with the row that says of what
COMPOSED = {called(row)[0]: row for row in rows(Path(__file__).with_name("ops.txt"))}
LARGEST_EXACT = 1 << 53  # larger integers are not all floats, and NumPy would make objects of some


@cache
def _made(op: str) -> tuple[Iterable[str], Expr]:
    """The arguments of an op that is made of others, and what it is."""
    row = COMPOSED[op]
    return called(row)[1], parse(row.partition("): ")[2])


def evaluate(
    expr: Expr,
    env: Mapping[str, Numbers],
    definitions: Definitions = REFERENCE,
    rounded: Rounding | None = None,
    array: Callable[[object], Numbers] = numbers,
    who: str = "a witness",
) -> Numbers:
    """The value of an expression over arrays of any kind, by the `definitions` of the ops, or the reference's.

    `rounded` is applied to every result that rounds. `array` makes arrays of all there is, and `who` evaluates so.
    Raises ExpressionError where the arrays are refused.
    """

    def of(part: Expr) -> Numbers:
        match part:
            case Num(value):
                return array(value if abs(value) < LARGEST_EXACT else float(value))
            case Name(name):
                return array(env[name])
            case Call("maximum" | "minimum" as op, (Num() as number, Name() | Call() as other), attrs, position):
                # the second argument takes a tie, and a number that is written out takes it from either side
                return of(Call(op, (other, number), attrs, position))
            case Call(op, args, attrs, position):
                operands = [*map(of, args)]
                try:
                    if op in COMPOSED and op not in definitions:
                        arguments, body = _made(op)
                        made = dict(zip(arguments, operands, strict=True))
                        result = evaluate(body, made, definitions, None, array, who)
                    else:
                        result = array((definitions.get(op) or REFERENCE[op])(*operands, **dict(attrs)))
                except (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError) as error:
                    sentence = str(error).splitlines()[0]
                    raise ExpressionError(f"{who} cannot evaluate {op}: {sentence}", position) from None
                return result if rounded is None or op in EXACT else rounded(result)
            case _:  # what stands in an index
                return cast(Numbers, part.whole if isinstance(part, Slice) else None)

    return of(expr)


def run(
    equations: Iterable[Equation], env: Mapping[str, NDArray[np.generic]], of: Evaluate = evaluate
) -> dict[str, Numbers]:
    """`env` with the value `of` every equation added, in order; float32 arrays are taken as float64.

    Raises MathlabError, at the equation's place, for what cannot be evaluated.
    """
    known = {
        name: cast(Numbers, array.astype(np.float64) if array.dtype == np.float32 else array)
        for name, array in env.items()
    }
    with np.errstate(all="ignore"):
        for equation in equations:
            try:
                known[equation.name] = of(equation.expr, known)
            except ExpressionError as error:
                raise error.at(equation.place) from None
    return known


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
        """The same graph seen from an input of floats, or from one of the nodes that move."""
        return self._replace(wrt=node, moving=tuple(equation for equation, _ in self.between([node])))

    def between(self, wanted: Iterable[str]) -> list[tuple[Equation, list[str]]]:
        """The equations on the paths from the `wanted` names to the end, in order, each with the floats that it
        reads that move.

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
        floats = {name for name in moved if np.issubdtype(self.values[name].dtype, np.floating)}
        path = (moved & needed) - start
        return [(line, sorted(floats.intersection(names(line.expr)))) for line in self.moving if line.name in path]

    def rerun(self, start: Numbers, of: Evaluate = evaluate) -> Numbers:
        """The end when `wrt` is `start`, an array of any kind."""
        return run(self.moving, {**self.values, self.wrt: start}, of)[self.end]


def whole(equations: Sequence[Equation], values: Mapping[str, Numbers], seed: Array | None) -> Graph:
    """The graph of `equations`, seen from nowhere; `values` has those of all names.

    `seed` is the gradient of the last equation, in its shape; None for a scalar end, whose gradient is 1.
    """
    end = equations[-1].name
    weights = np.ones(values[end].shape) if seed is None else seed.astype(np.float64)
    return Graph(values, "", tuple(equations), end, weights)


def seen_from(wrt: str, equations: Sequence[Equation], env: Mapping[str, Array], seed: Array | None) -> Graph:
    """The graph of `equations` over `env` seen from `wrt`, an array of `env` or the name of an equation."""
    return whole(equations, run(equations, env), seed).seen_from(wrt)
