"""What running equations takes, told from their shapes alone: nobody should have to run them to find out.

The figures are rough, and meant to be: they tell seconds from hours and megabytes from gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS
from mathlab.language.shapes import Shape
from mathlab.language.syntax import Call, walk

CALL = 1e-6  # seconds for an op on a small array, whatever it does,
ENTRY = 4e-9  # for each entry of what it reads or makes,
PRODUCT = 1e-10  # for each product in a matrix product,
SERIES = 3e-8  # and for each entry of an op that sums a series
SERIES_KERNELS = ("erf(", "normal_cdf(")
FLOAT = 8  # bytes


class Cost(NamedTuple):
    """Seconds of one run, and the bytes of what it holds at its end and of the largest array on its way."""

    seconds: float
    held: int
    largest: int


def cost(equations: Iterable[Equation], types: Types) -> Cost:
    """The cost of running `equations` once, with every result kept. `types` knows every name that they mention."""
    seconds, held, largest = 0.0, 0, 0
    for equation in equations:
        held += FLOAT * types.of(equation.expr).size
        for part in walk(equation.expr):
            if isinstance(part, Call):
                made = types.of(part)
                seconds += seconds_between(part.op, made.shape, tuple(types.of(arg).shape for arg in part.args))
                largest = max(largest, FLOAT * made.size)
    return Cost(seconds, held, largest)


@lru_cache(10_000)  # the steps of a loop have the same shapes
def seconds_between(op: str, made: Shape, read: tuple[Shape, ...]) -> float:
    """The seconds that one op takes, from the shapes of its result and of its arguments."""
    entries = max(map(math.prod, (made, *read)))
    if products := OPS[op].products(made, read):
        return CALL + ENTRY * entries + PRODUCT * products
    series = any(kernel in OPS[op].numpy for kernel in SERIES_KERNELS)
    return CALL + (SERIES if series else ENTRY) * entries
