"""Expressions and equations evaluated by the reference definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import ExpressionError, did_you_mean
from mathlab.language.equation import Equation
from mathlab.language.ops import EXACT
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice
from mathlab.witnesses.arrays import Numbers, as_index, numbers
from mathlab.witnesses.reference import REFERENCE

Rounding = Callable[[Numbers], Numbers]
Definitions = Mapping[str, Callable[..., Numbers]]

LARGEST_EXACT = 1 << 53  # larger integers are not all floats, and NumPy would make objects of some


def evaluate(
    expr: Expr,
    env: Mapping[str, Numbers],
    rounded: Rounding | None = None,
    definitions: Definitions = REFERENCE,
) -> Numbers:
    """The value of an expression over arrays of any kind, by the `definitions` of the ops.

    `rounded` is applied to every result that rounds.

    Raises ExpressionError for a name or op that does not exist, and where NumPy refuses the arrays.
    """
    match expr:
        case Num(value):
            return np.asarray(value if abs(value) < LARGEST_EXACT else float(value))
        case Name(name, position):
            if name not in env:
                raise ExpressionError(f"unknown name '{name}'{did_you_mean(name, env)}", position)
            return env[name]
        case Call("index", (base, *items), _, position):
            array = evaluate(base, env, rounded, definitions)
            return _tried("index", lambda: array[tuple(_item(item, env) for item in items)], position)
        case Call("scatter", (given, base, *items), _, position):
            shape, added = np.shape(evaluate(base, env, rounded)), evaluate(given, env, rounded)
            place = tuple(_item(item, env) for item in items)
            return _tried("scatter", lambda: _scattered(np.zeros(shape, added.dtype), place, added), position)
        case Call("maximum" | "minimum" as op, (Num() as number, Name() | Call() as other), attrs, position):
            # the second argument takes a tie, and a number that is written out takes it from either side
            return evaluate(Call(op, (other, number), attrs, position), env, rounded, definitions)
        case Call(op, args, attrs, position) if op in definitions:
            function, arrays = definitions[op], [evaluate(arg, env, rounded, definitions) for arg in args]
            result = _tried(op, lambda: function(*arrays, **dict(attrs)), position)
            return result if rounded is None or op in EXACT else rounded(result)
        case Call(op, _, _, position):
            raise ExpressionError(f"the witnesses have no definition of '{op}'", position)
        case _:
            raise ExpressionError("a slice or None stands for a number", expr.position)


def _scattered(array: Numbers, place: tuple[slice | NDArray[np.intp] | None, ...], added: Numbers) -> Numbers:
    """The array, zeros, with what is added in its place; an entry that is named twice gets both."""
    np.add.at(array, place, added)  # type: ignore[arg-type]  # NumPy's stubs want a narrower index
    return array


def _item(item: Expr, env: Mapping[str, Numbers]) -> slice | NDArray[np.intp] | None:
    match item:
        case Slice(start, stop, step):
            return slice(start, stop, step)
        case NewAxis():
            return None
        case _:
            return as_index(evaluate(item, env))


def _tried(op: str, compute: Callable[[], Numbers], position: int) -> Numbers:
    try:
        return np.asarray(compute())
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise ExpressionError(f"a witness cannot evaluate {op}: {error}", position) from None


def _widened(array: NDArray[np.generic]) -> Numbers:
    return numbers(array.astype(np.float64) if array.dtype == np.float32 else array)


def run(
    equations: Sequence[Equation], env: Mapping[str, NDArray[np.generic]], rounded: Rounding | None = None
) -> dict[str, Numbers]:
    """`env` with the value of every equation added, in order; float32 arrays are taken as float64.

    `rounded` is applied to every result that rounds.

    Raises MathlabError, at the equation's place, for what cannot be evaluated.
    """
    known = {name: _widened(array) for name, array in env.items()}
    with np.errstate(all="ignore"):
        for equation in equations:
            try:
                known[equation.name] = evaluate(equation.expr, known, rounded)
            except ExpressionError as error:
                raise error.at(equation.place) from None
    return known
