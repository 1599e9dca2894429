"""What running equations takes, and how much of it an experiment may ask for.

An article's numbers take little, and a slip or a prank takes all. So what they take is told from the shapes alone:
nobody should have to run them to find out. The figures are rough, and meant to be: they tell seconds from hours and
megabytes from gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mathlab.errors import MathlabError, Place
from mathlab.experiment import Case
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
    """Seconds of one run, the bytes of what it holds at its end and of the largest array on its way, and roughly its
    operations on single numbers.
    """

    seconds: float
    held: int
    largest: int
    operations: int = 0


def cost(equations: Iterable[Equation], types: Types) -> Cost:
    """The cost of running `equations` once, with every result kept. `types` knows every name that they mention."""
    seconds, held, largest, operations = 0.0, 0, 0, 0
    for equation in equations:
        held += FLOAT * types.of(equation.expr).size
        for part in walk(equation.expr):
            if isinstance(part, Call):
                made = types.of(part)
                once, count = work(part.op, made.shape, tuple(types.of(arg).shape for arg in part.args))
                seconds, operations = seconds + once, operations + count
                largest = max(largest, FLOAT * made.size)
    return Cost(seconds, held, largest, operations)


@lru_cache(10_000)  # the steps of a loop have the same shapes
def work(op: str, made: Shape, read: tuple[Shape, ...]) -> tuple[float, int]:
    """The seconds and operations that one op takes, from the shapes of its result and of its arguments."""
    entries, products = max(map(math.prod, (made, *read))), OPS[op].products(made, read)
    series = any(kernel in OPS[op].numpy for kernel in SERIES_KERNELS)
    return CALL + (SERIES if series else ENTRY) * entries + PRODUCT * products, max(entries, 2 * products)


class TooLarge(MathlabError):
    """What a case asks for takes longer, or more memory, than it may."""


BUDGET = Cost(seconds=3600.0, held=8_000_000_000, largest=0)  # that a run may take
# What is to be quick stays well below 10 seconds and 1 GB for a whole run, whatever is estimated wrongly.
QUICK = Cost(seconds=4.0, held=500_000_000, largest=0)
# Data that somebody really has may be worked on for longer, and a few copies of it held: for each of its numbers
SECONDS_A_NUMBER = 2e-5
BYTES_A_NUMBER = 48


def check(case: Case, what: str, once: Cost, times: int, kept: float, place: Place | None, each: float = 0) -> None:
    """Raise TooLarge, at `place`, when `what` takes longer or more memory than `case` may.

    It runs what costs `once` so many `times`, and `kept` times holds what that leaves behind at the same moment; `each`
    is how many bytes more every run leaves.
    """
    budget = QUICK if case.quick else BUDGET
    values = (*case.inputs.values(), *case.parameters.values())
    numbers = sum(value.array.size for value in values if value.from_file)
    size, seconds = kept * once.held + 2 * once.largest + times * each, times * once.seconds
    among = "" if case.share == 1 else f", as one of {round(1 / case.share)} cases"
    for amount, most, unit, told in (
        (size, budget.held * case.share + BYTES_A_NUMBER * numbers, "GB of memory", size / 1e9),
        (seconds, budget.seconds * case.share + SECONDS_A_NUMBER * numbers, "seconds", seconds),
    ):
        if amount > most:
            rough = f"{told:.1f}" if told < 10 else f"{told:.0f}" if told < 1e6 else f"{told:.0e}"
            raise TooLarge(f"{what} takes about {rough} {unit}{among}; --allow-large permits it", place)
