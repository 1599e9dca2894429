"""What a number nearly is, or is of a float32 run, where it fits nothing: told beside it, and never claimed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

import numpy as np

from mathlab.article.pool import Fit, Pool, quantities
from mathlab.article.text import Number
from mathlab.experiment import Experiment
from mathlab.printed import REPR_DIGITS, judge_number, read_digits

PRECISE = 6  # significant digits, by which float32 tells from float64
GRAIN = 2.0**-22  # relative: what another order of the same steps makes of a float32
CHANCE = 0.1  # the values that all the numbers like a number may be expected to fit by chance


@dataclass(frozen=True)
class Near:
    """What open numbers are held against: all that is computed, and what float32 runs of the same nets compute."""

    pool: Pool
    experiments: Sequence[Experiment]

    @cached_property
    def singles(self) -> Pool:
        """Float32 twins of the experiments in which no case has that type."""
        twins = (
            replace(
                one, cases=tuple(replace(case, dtype="float32", name=f"{case.name} as float32") for case in one.cases)
            )
            for one in self.experiments
            if all(case.dtype != "float32" for case in one.cases)
        )
        return Pool(quantity for twin in twins for quantity in quantities(twin))

    def told(self, number: Number, expected: Iterable[Fit]) -> str:
        """What a number that fits nothing is, or nearly is; empty where nothing is known of it.

        `expected` are the entries that should stand in its place, by what stands around it.
        """
        digits = len(number.digits[1])
        if said := self._slip(number, expected):
            return said
        precise = digits >= PRECISE and self.singles.chance(number) < CHANCE
        if precise and (fits := self.singles.fitting(number)):
            return self._single(fits[0])
        for like in _alike(number) if digits <= REPR_DIGITS + 2 else ():
            if sum(map(self.pool.chance, like)) < CHANCE:
                fits = [fit for other in like for fit in self.pool.fitting(other)]
                if said := self._slip(number, fits):
                    return said
        if precise and float(str(np.float32(number.value))) == number.value:  # the whole text of a float32
            fits = self.singles.fitting(number, slack=GRAIN * abs(number.value))
            return self._single(fits[0]) if fits else ""
        return ""

    def _slip(self, number: Number, fits: Iterable[Fit]) -> str:
        slips = ((fit, slip(number, self.pool.value(fit))) for fit in fits)
        return next((f"{self.pool.name(fit)} is {said}" for fit, said in slips if said), "")

    def _single(self, fit: Fit) -> str:
        return f"it is {self.singles.name(fit)}, which a case with dtype: float32 computes"


def slip(number: Number, value: float) -> str:
    """What a number would be for a value, and how it differs; empty unless by its rounding alone, or in one digit."""
    judged = judge_number(number.text, value)
    differ = sum(a != b for a, b in zip(number.text, judged.shown, strict=False))
    if judged.verdict.passed:
        return ""
    if judged.verdict.label == "truncated":
        return f"{judged.shown}: cut off, not rounded"
    if judged.error is not None and abs(judged.error) < 2 * judged.tolerance:
        return f"{judged.shown}: rounded the other way"
    one = differ == 1 and len(number.text) == len(judged.shown)
    return f"{judged.shown}: one digit differs" if one else ""


def _alike(number: Number) -> Iterator[list[Number]]:
    """The numbers one unit of the last digit beside it, then those that differ in one digit, leading zeros aside."""
    mantissa, e, power = number.text.partition("e")
    unit = read_digits(mantissa).unit
    first = len(mantissa) - len(mantissa.lstrip("-0."))
    digits = [
        (at, digit) for at in range(first, len(mantissa)) for digit in "0123456789" if mantissa[at] not in ".-" + digit
    ]
    mistyped = [f"{mantissa[:at]}{digit}{mantissa[at + 1 :]}" for at, digit in digits]
    for texts in ([str(Decimal(mantissa) + unit), str(Decimal(mantissa) - unit)], mistyped):
        yield [replace(number, text=f"{text}{e}{power}") for text in texts]
