"""How parameters move: one record per optimizer, its update written in the equation language."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from mathlab.language.tables import called, table

Lines = Mapping[str, str]

ROWS = table(Path(__file__).with_suffix(".txt"))
CLIP_EPS = 1e-6  # what PyTorch's clip_grad_norm_ adds to the norm


class Update(NamedTuple):
    """The lines of an update in order, under the settings that are given."""

    lines: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """What figures may name of it: the state, and what is made of that alone."""
        return tuple(part for part, _ in self.lines if part not in ("w", "g"))

    @property
    def state(self) -> tuple[str, ...]:
        """The arrays of w's shape that start at zero: what is made of what it was."""
        return tuple(part for part, text in self.lines if part in self.shown and _reads(text, part))


class Optimizer(NamedTuple):
    """An update rule, as `optimizers.txt` tells of it."""

    settings: Mapping[str, float | None]  # with its default; None: it must be given
    update: Lines  # to the new state and the new `w`, in order
    options: Mapping[str, Lines]  # what nothing is computed for unless given

    @property
    def switches(self) -> frozenset[str]:
        """The options that are no numbers, but given or not."""
        return frozenset(name for name, lines in self.options.items() if not _reads(" ".join(lines.values()), name))

    def unfit(self, setting: str, number: float, text: str) -> str:
        """What is said of a setting that is negative or not finite, or of a share that leaves nothing; else ''."""
        called = "the learning rate" if setting == "lr" else setting
        if number >= 1 and f"(1 - {setting})" in " ".join(self.update.values()):
            return f"{called} is {text}; it is to be less than 1"
        return "" if 0 <= number < math.inf else f"{called} is {text}; it is to be 0 or more"

    def under(self, given: Collection[str]) -> Update:
        """The update under the settings that are given, with what options add to g, or put in place of its lines."""
        of_gradient: list[tuple[str, str]] = []
        instead: dict[str, Lines] = {}
        for added in (lines for option, lines in self.options.items() if option in given):
            *_, last = added
            if last in self.update:
                instead[last] = added
            else:
                of_gradient += added.items()
        own = (instead.get(part, {part: text}).items() for part, text in self.update.items())
        return Update((*of_gradient, *itertools.chain.from_iterable(own)))


def _reads(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _optimizer(row: str) -> tuple[str, Optimizer]:
    """The name and the rule of one row."""
    name, said = called(row)
    settings = {setting: float(default) if default else None for setting, default in said.items()}
    heads = [head for head in ROWS if head.startswith(("every with ", f"{name} with "))]
    options = {head.split()[-1]: ROWS[head] for head in heads}
    added = {option: lines for option, lines in options.items() if option not in settings}
    return name, Optimizer(settings, ROWS[row], added)


OPTIMIZERS: Mapping[str, Optimizer] = dict(_optimizer(row) for row in ROWS if "(" in row)
SETTINGS: Mapping[str, Mapping[str, float | None]] = {
    name: {**rule.settings, **dict.fromkeys((*rule.options, "clip_eps"))} for name, rule in OPTIMIZERS.items()
}
SCHEDULED = ("t", "epoch", "pi")  # what the learning rate may read: updates and epochs, from 1, and the constant
