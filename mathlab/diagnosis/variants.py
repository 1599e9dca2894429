"""The table of mistakes that are tried: those in the equations, and what else may have been done: one record each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mathlab.diagnosis import kinds, roundings, schedule, values
from mathlab.diagnosis.worlds import Scene, Trial


@dataclass(frozen=True)
class Variant:
    """A kind of mistake: its name, what it is in a sentence, how soon it is believed, and the ways to try it.

    Those in the equations are tried all together.
    """

    name: str
    sentence: str
    tier: float
    trials: Callable[[Scene], Iterator[Trial]] | None = None


OTHERS: tuple[Variant, ...] = (
    Variant("truncated", "digits are cut off instead of rounded", 0.1, roundings.truncated),
    Variant("step added", "the step is added instead of subtracted", 0.9, schedule.step_added),
    Variant("sign", "the sign is the other way round", 1.35, values.sign),
    Variant("transposed", "an array is the transpose of what it should be", 1.9, values.transpose),
    Variant("swapped", "two entries, rows, columns or figures are exchanged", 1.95, values.swapped),
    Variant("number of updates", "one update or epoch more or less", 2.6, schedule.other_updates),
    Variant("constant factor", "2, 1/2, N, 1/N or the learning rate", 3.15, values.factor),
    Variant("float32", "another precision", 5, roundings.other_precision),
    Variant("rounded", "intermediate results are rounded and carried on", 5.1, roundings.roundings),
    Variant("carried on", "printed figures are carried on", 5.2, roundings.carried_on),
    # what is solved for fits one number always, so it comes after all that is not
    Variant("learning rate", "another one, solved for", 9, schedule.other_rates),
    Variant("any factor", "of an array that a program or a formula computed, solved for", 9.5, values.any_factor),
)
RULES = {**kinds.BACKWARD, **kinds.FORWARD}
VARIANTS = tuple(
    sorted(
        (*OTHERS, *(Variant(name, kind.sentence, kind.tier) for name, kind in RULES.items())), key=lambda row: row.tier
    )
)
