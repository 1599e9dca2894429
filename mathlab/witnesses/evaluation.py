"""Expressions and equations evaluated by the reference definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import ExpressionError, did_you_mean
from mathlab.language.equation import Equation
from mathlab.language.ops import EXACT
from mathlab.language.syntax import Call, Expr, Name, Num, Slice
from mathlab.witnesses.arrays import Numbers, numbers
from mathlab.witnesses.reference import REFERENCE

Rounding = Callable[[Numbers], Numbers]
Definitions = Mapping[str, Callable[..., Numbers]]

LARGEST_EXACT = 1 << 53  # larger integers are not all floats, and NumPy would make objects of some


def evaluate(
    expr: Expr,
    env: Mapping[str, Numbers],
    rounded: Rounding | None = None,
    definitions: Definitions = REFERENCE,
    array: Callable[[object], Numbers] = numbers,
    who: str = "a witness",
) -> Numbers:
    """The value of an expression over arrays of any kind, by the `definitions` of the ops, or the reference's.

    `rounded` is applied to every result that rounds. `array` makes arrays of numbers, and `who` evaluates so.

    Raises ExpressionError for a name or op that does not exist, and where the arrays are refused.
    """

    def of(part: Expr) -> Numbers:
        match part:
            case Num(value):
                return array(value if abs(value) < LARGEST_EXACT else float(value))
            case Name(name, position):
                if name not in env:
                    raise ExpressionError(f"unknown name '{name}'{did_you_mean(name, env)}", position)
                return env[name]
            case Call("maximum" | "minimum" as op, (Num() as number, Name() | Call() as other), attrs, position):
                # the second argument takes a tie, and a number that is written out takes it from either side
                return of(Call(op, (other, number), attrs, position))
            case Call(op, args, attrs, position):
                if (function := definitions.get(op) or REFERENCE.get(op)) is None:
                    raise ExpressionError(f"the witnesses have no definition of '{op}'", position)
                operands = [*map(of, args)]
                try:
                    result = array(function(*operands, **dict(attrs)))
                except (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError) as error:
                    sentence = str(error).splitlines()[0]
                    raise ExpressionError(f"{who} cannot evaluate {op}: {sentence}", position) from None
                return result if rounded is None or op in EXACT else rounded(result)
            case _:  # what stands in an index
                return cast(Numbers, part.whole if isinstance(part, Slice) else None)

    return of(expr)


def run(
    equations: Sequence[Equation], env: Mapping[str, NDArray[np.generic]], rounded: Rounding | None = None
) -> dict[str, Numbers]:
    """`env` with the value of every equation added, in order; float32 arrays are taken as float64.

    `rounded` is applied to every result that rounds.

    Raises MathlabError, at the equation's place, for what cannot be evaluated.
    """
    known = {
        name: numbers(array.astype(np.float64) if array.dtype == np.float32 else array) for name, array in env.items()
    }
    with np.errstate(all="ignore"):
        for equation in equations:
            try:
                known[equation.name] = evaluate(equation.expr, known, rounded)
            except ExpressionError as error:
                raise error.at(equation.place) from None
    return known
