"""What is to be explained: numbers that somebody states for a quantity, and how far off each of them may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array, Figure
from mathlab.language.syntax import Call, Expr, Name, Num
from mathlab.printed import read_digits
from mathlab.results import FigureResult

Outcome = Sequence[Array] | None  # what a claim's numbers would be, at each of its moments
SLACK = 1 + 1e-9  # windows are kept as floats: what lies on an edge is inside


@dataclass(frozen=True)
class Moment:
    """When a quantity is looked at: after so many updates, or at one of the points (0 is the article's own)."""

    updates: int = 0
    point: int = 0


@dataclass(frozen=True, eq=False)
class Claim:
    """Numbers stated for `quantity` at some moments, one array for each: what fits lies between `low` and `high`."""

    label: str
    quantity: Expr
    moments: tuple[Moment, ...]
    stated: tuple[Array, ...]
    low: tuple[Array, ...]
    high: tuple[Array, ...]
    unit: Array | None  # one unit of each number's last printed digit, None for numbers that a program wrote
    wrong: bool  # the numbers do not fit; the others serve as a check on explanations

    @property
    def base(self) -> Expr:
        """What the quantity is an entry of: `dW` for `dW[0, 1]`, else the quantity itself."""
        return self.quantity.args[0] if isinstance(self.quantity, Call) and self.pick else self.quantity

    @property
    def pick(self) -> tuple[int, ...]:
        """The entry that the quantity is of its base; empty for all of it."""
        match self.quantity:
            case Call("index", (Name(), *items)):
                picked = tuple(item.value for item in items if isinstance(item, Num) and isinstance(item.value, int))
                return picked if len(picked) == len(items) else ()
        return ()

    @property
    def widths(self) -> list[Array]:
        """How far apart the numbers may lie that fit, at each moment."""
        return [high - low for low, high in zip(self.low, self.high, strict=True)]

    def picked(self, bases: Iterable[Array]) -> Outcome:
        """The numbers, where its `base` has these values; None where there are none, or no such entry."""
        try:
            return [np.asarray(base)[self.pick] for base in bases] or None
        except IndexError:
            return None

    def fits(self, values: Outcome) -> bool:
        """Whether every number, at every moment, is the one stated."""
        return values is not None and all(
            low.shape == value.shape and bool(np.all((low <= value) & (value <= high)))
            for low, value, high in zip(self.low, values, self.high, strict=True)
        )


def of_figure(figure: Figure, result: FigureResult, shape: tuple[int, ...], wrong: bool) -> Claim:
    """The claim that a printed figure makes; `shape` is that of the computed value."""

    def array(numbers: Iterable[float]) -> NDArray[np.float64]:
        return np.array([*numbers], np.float64).reshape(shape)

    stated = array(float(entry.printed) for entry in result.entries)
    below = above = array(float(entry.tolerance) for entry in result.entries) * SLACK
    if figure.rounding == "truncate":  # what was cut lies further from zero
        below, above = np.where(stated < 0, below, 0), np.where(stated < 0, 0, above)
    units = array(float(read_digits(entry.printed, figure.digits).unit) for entry in result.entries)
    label = result.key if result.updates is None else f"{result.key} after {result.updates}"
    moments, low, high = (Moment(result.updates or 0),), (stated - below,), (stated + above,)
    return Claim(label, figure.quantity, moments, (stated,), low, high, units, wrong)


def of_arrays(label: str, quantity: Expr, stated: Sequence[Array], far: Sequence[Array], wrong: bool = True) -> Claim:
    """The claim that a formula, or someone else's program, makes: one array for each point, from the article's on."""
    moments = tuple(Moment(point=point) for point in range(len(stated)))
    low, high = (tuple(move(*both) for both in zip(stated, far, strict=True)) for move in (np.subtract, np.add))
    return Claim(label, quantity, moments, tuple(stated), low, high, None, wrong)
