"""What a number nearly is, or is of a float32 run, where it fits nothing: told beside it, and never claimed of it."""

from __future__ import annotations

import operator
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
        one._replace(cases=tuple(replace(case, dtype="float32", name=f"{case.name} as float32") for case in one.cases))
        for one in experiments
        if all(case.dtype != "float32" for case in one.cases)
    )
    return pool(quantity for twin in twins for quantity in quantities(twin))


def near(number: Number, expected: Iterable[Fit], whole: Pool, often: Pool, singles: Callable[[], Pool]) -> str:
    """What a number that fits nothing is, or nearly is; empty where nothing is known of it.

    `expected` are the entries that should stand in its place, by what stands around it.
    """
    _, digits, last = number.digits
    said = _slip(number, expected, whole)
    if not said and len(digits) >= PRECISE and singles().chance(number) < CHANCE:
        said = "".join(f"it is {singles().name(fit)}" for fit in singles().fitting(number)[:1])
        said += ", which a case with dtype: float32 computes" * bool(said)
    places = range(last, last + min(len(digits), REPR_DIGITS))
    steps = [sign * digit * 10.0**place for place in places for digit in range(1, 10) for sign in (1, -1)]
    for some in (steps[:2], steps):
        if not said and len(some) * often.chance(number) < CHANCE:
            said = _slip(number, (fit for step in some for fit in whole.fitting(number, step)), whole)
    return said


def _slip(number: Number, fits: Iterable[Fit], whole: Pool) -> str:
    """The first value from which a number differs by its rounding alone, or in one digit, and how it does."""
    for fit in fits:
        judged = judge_number(number.text, whole.value(fit))
        kinds = {
            "cut off, not rounded": judged.verdict.label == "truncated",
            "rounded the other way": judged.error is not None and abs(judged.error) < 2 * judged.tolerance,
            "one digit differs": len(number.text) == len(judged.shown)
            and sum(map(operator.ne, number.text, judged.shown)) == 1,
        }
        how = next((kind for kind, holds in kinds.items() if holds and not judged.verdict.passed), "")
        if how:
            return f"{whole.name(fit)} is {judged.shown}: {how}"
    return ""
