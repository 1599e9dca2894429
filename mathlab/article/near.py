"""What a number nearly is, or is of a float32 run, where it fits nothing: told beside it, and never claimed of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mathlab.article.pool import Fit, Pool, pool, quantities
from mathlab.article.text import Number
from mathlab.experiment import Experiment
from mathlab.printed import REPR_DIGITS, judge_number

PRECISE = 6  # significant digits, by which float32 tells from float64
CHANCE = 0.1  # the values that all the numbers like a number may be expected to fit by chance


def float32_twins(experiments: Sequence[Experiment]) -> Pool:
    """What float32 runs compute of the experiments in which no case has that type."""
    twins = (
        replace(one, cases=tuple(replace(case, dtype="float32", name=f"{case.name} as float32") for case in one.cases))
        for one in experiments
        if all(case.dtype != "float32" for case in one.cases)
    )
    return pool(quantity for twin in twins for quantity in quantities(twin))


def near(number: Number, expected: Iterable[Fit], whole: Pool, often: Pool, singles: Callable[[], Pool]) -> str:
    """What a number that fits nothing is, or nearly is; empty where nothing is known of it.

    `expected` are the entries that should stand in its place, by what stands around it.
    """
    _, digits, last = number.digits
    count = min(len(digits), REPR_DIGITS)
    mistyped = [digit * 10.0 ** (last + at) for at in range(count) for digit in range(1, 10)]
    if said := _slip(number, expected, whole):
        return said
    precise = len(digits) >= PRECISE and singles().chance(number) < CHANCE
    if precise and (fits := singles().fitting(number)):
        return f"it is {singles().name(fits[0])}, which a case with dtype: float32 computes"
    for steps in (mistyped[:1], mistyped):
        offsets = [sign * step for step in steps for sign in (1, -1)]
        if len(offsets) * often.chance(number) < CHANCE:
            fits = [fit for offset in offsets for fit in whole.fitting(number, offset)]
            if said := _slip(number, fits, whole):
                return said
    return ""


def _slip(number: Number, fits: Iterable[Fit], some: Pool) -> str:
    slips = ((fit, slip(number, some.value(fit))) for fit in fits)
    return next((f"{some.name(fit)} is {said}" for fit, said in slips if said), "")


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
