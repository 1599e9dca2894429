"""What running equations takes, told from their shapes alone: nobody should have to run them to find out.

The figures are rough, and meant to be: they tell seconds from hours and megabytes from gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Cost:
    """Seconds of one run, and the bytes of what it holds at its end and of the largest array on its way."""

    seconds: float
    held: int
    largest: int

    def holding(self, size: int) -> Cost:
        """The same with so many bytes more."""
        return replace(self, held=self.held + size)


def cost(equations: Iterable[Equation], types: Types) -> Cost:
    """The cost of running `equations` once, with every result kept. `types` knows every name that they mention."""
    seconds, held, largest = 0.0, 0, 0
    for equation in equations:
        held += FLOAT * types.of(equation.expr).size
        for part in walk(equation.expr):
            if isinstance(part, Call):
                seconds += seconds_of(part, types)
                largest = max(largest, FLOAT * types.of(part).size)
    return Cost(seconds, held, largest)


def is_series(call: Call) -> bool:
    """Whether the op sums a series for each entry."""
    return any(kernel in OPS[call.op].numpy for kernel in SERIES_KERNELS)


def seconds_of(call: Call, types: Types) -> float:
    """The seconds that one op takes, its arguments once computed."""
    return seconds_between(call, types.of(call).shape, [types.of(arg).shape for arg in call.args])


def seconds_between(call: Call, made: Shape, read: Sequence[Shape]) -> float:
    """The same from the shapes of its result and of its arguments."""
    entries = max(map(math.prod, (made, *read)))
    if products := OPS[call.op].products(made, read):
        return CALL + ENTRY * entries + PRODUCT * products
    return CALL + (SERIES if is_series(call) else ENTRY) * entries
