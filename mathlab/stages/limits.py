"""How much an experiment may ask of the machine: an article's numbers take little, and a slip or a prank takes all."""

from __future__ import annotations

from typing import NamedTuple

from mathlab.errors import MathlabError, Place
from mathlab.experiment import Case
from mathlab.language.cost import Cost


class Budget(NamedTuple):
    """The seconds and the bytes of memory that a run may take."""

    seconds: float
    size: float


class TooLarge(MathlabError):
    """What a case asks for takes longer, or more memory, than it may."""


BUDGET = Budget(3600.0, 8e9)
# What is to be quick stays well below 10 seconds and 1 GB for a whole run, whatever is estimated wrongly.
QUICK = Budget(4.0, 5e8)
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
        (size, budget.size * case.share + BYTES_A_NUMBER * numbers, "GB of memory", size / 1e9),
        (seconds, budget.seconds * case.share + SECONDS_A_NUMBER * numbers, "seconds", seconds),
    ):
        if amount > most:
            rough = f"{told:.1f}" if told < 10 else f"{told:.0f}" if told < 1e6 else f"{told:.0e}"
            raise TooLarge(f"{what} takes about {rough} {unit}{among}; --allow-large permits it", place)
