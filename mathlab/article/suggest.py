"""Which computed value a printed number is: all that an experiment computes, searched by the printed digits.

Chance is counted: among some thousand values a number of two digits fits dozens, one of eight hardly ever a wrong one.
In between, what stands beside it decides, or nothing does, and the candidates are listed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mathlab.article.cover import BEHIND, Coverage, regions
from mathlab.article.near import Near
from mathlab.article.pool import DERIVED, Pool, Quantity, State, half_unit, quantities
from mathlab.article.text import Document, Number
from mathlab.experiment import Experiment
from mathlab.printed import without_ones

CERTAIN = 0.02  # the values that a number may be expected to fit by chance, where it is believed for itself,
SUPPORTED = 0.1  # and where it is what a neighbour is, of the same run
SAME = 1e-6  # relative: values that no article tells apart
FEW = 3  # characters of a number that may be anything
BESIDE = 200  # characters between numbers that belong together
LISTED = 5  # candidates of a number that stays open


@dataclass(frozen=True)
class Suggestion:
    """A number or array of the document that is one of the quantities, and the words by which it is found again."""

    state: State
    key: str
    numbers: tuple[Number, ...]
    shape: tuple[int, ...]
    at: str = ""


@dataclass(frozen=True)
class Undecided:
    """A number that stays open, and what it may be; the fewer digits, the more. One that fits nothing may be `near`."""

    number: Number
    candidates: tuple[str, ...]
    near: str = ""


def suggest(coverage: Coverage, experiments: Sequence[Experiment]) -> tuple[list[Suggestion], list[Undecided]]:
    """What the open numbers of the documents are, in their order, and what could not be decided.

    Raises MathlabError for a case that cannot run.
    """
    pool = Pool.of(quantity for experiment in experiments for quantity in quantities(experiment))
    near = Near(pool, experiments)
    found: list[Suggestion] = []
    undecided: list[Undecided] = []
    for document in coverage.documents:
        numbers = {
            one.number.start for one in coverage.numbers if one.status == "open" and one.number in document.numbers
        }
        search = _Search(document, pool, numbers)
        found += [replace(one, at=_at(document, one.numbers)) for one in search.run()]
        for position, number in enumerate(document.numbers):
            if number.start in search.open:
                fits = tuple(dict.fromkeys(map(pool.name, pool.fitting(number))))[:LISTED]
                told = near.told(number, [*search.expected(position)]) if not fits and number.decimal else ""
                undecided.append(Undecided(number, fits, told))
    return found, undecided


@dataclass(frozen=True)
class _Placed:
    """A number that is found, as an entry of a quantity."""

    number: Number
    quantity: Quantity
    entry: int


class _Search:
    """The open numbers of one document, one after another taken out by what they are found to be."""

    def __init__(self, document: Document, pool: Pool, unknown: set[int]) -> None:
        self.document, self.pool, self.open = document, pool, unknown
        self.placed: dict[int, _Placed] = {}  # by position in the document's numbers
        self.found: list[Suggestion] = []

    def run(self) -> list[Suggestion]:
        """What is found: arrays first, then single numbers, again and again while one helps another."""
        self.arrays()
        rules = (self._next_entry, self._certain, self._again, self._beside)
        while any(self._single(position, rule) for rule in rules for position in range(len(self.document.numbers))):
            pass
        return sorted(self.found, key=lambda one: one.numbers[0].start)

    def take(self, quantity: Quantity, members: Sequence[int], entries: Sequence[int], whole: Suggestion) -> None:
        self.found.append(whole)
        for member, entry in zip(members, entries, strict=True):
            number = self.document.numbers[member]
            self.placed[member] = _Placed(number, quantity, entry)
            self.open.discard(number.start)

    def arrays(self) -> None:
        """Arrays first, the largest of them: all of their digits together leave little to chance."""
        for shape, members in sorted(self.document.groups, key=lambda group: -len(group[1])):
            numbers = tuple(self.document.numbers[member] for member in members)
            if len(numbers) > 1 and any(number.start in self.open for number in numbers):
                fits = [quantity for quantity in self.pool.quantities if _is(quantity, shape, numbers)]
                told = math.prod(self.pool.chance(number) for number in numbers if number.decimal)
                if fits and any(number.decimal for number in numbers) and told < CERTAIN:
                    best = min(fits, key=lambda quantity: (self._apart(quantity, members[0]), quantity.rank))
                    self.take(best, members, range(len(members)), Suggestion(best.state, best.key, numbers, shape))

    def _single(self, position: int, rule: Callable[[int, list[int]], list[int]]) -> bool:
        """Whether a number is found by a rule: which of the entries that fit it are left, all of the same value."""
        number = self.document.numbers[position]
        if number.start not in self.open or not (number.decimal or number.percent):
            return False
        fits = rule(position, self.pool.fitting(number))
        values = self.pool.values[fits]
        if not fits or np.ptp(values) > SAME * np.max(np.abs(values)):
            return False
        best = min(fits, key=lambda at: (self._apart(self.pool.quantity(at), position), self.pool.rank(at)))
        quantity = self.pool.quantity(best)
        whole = Suggestion(quantity.state, self.pool.key(best), (number,), ())
        self.take(quantity, [position], [int(self.pool.entries[best])], whole)
        return True

    def _certain(self, position: int, fits: list[int]) -> list[int]:
        return fits if self.pool.chance(self.document.numbers[position]) < CERTAIN else []

    def _next_entry(self, position: int, fits: list[int]) -> list[int]:
        """The entry after the one that is printed just before."""
        before = self.placed.get(position - 1)
        if before is None or self._distance(position, position - 1) > BESIDE:
            return []
        return [
            at for at in fits if self.pool.quantity(at) == before.quantity and self.pool.entries[at] == before.entry + 1
        ]

    def _again(self, position: int, fits: list[int]) -> list[int]:
        """What the same digits are elsewhere, if they are one thing there."""
        number = self.document.numbers[position]
        known = {(id(p.quantity), p.entry) for p in self.placed.values() if p.number.digits == number.digits}
        return (
            [at for at in fits if (id(self.pool.quantity(at)), int(self.pool.entries[at])) in known]
            if len(known) == 1
            else []
        )

    def _beside(self, position: int, fits: list[int]) -> list[int]:
        """An entry of a run that numbers around it belong to."""
        if self.pool.chance(self.document.numbers[position]) > SUPPORTED:
            return []
        near = {one.quantity.state for one in self._around(position, BEHIND)}
        return [at for at in fits if self.pool.quantity(at).state in near]

    def expected(self, position: int) -> Iterator[tuple[Quantity, int]]:
        """What should stand in the place of a number: the entry next to its neighbours', or the rest of an array."""
        for step in (-1, 1):
            beside = self.placed.get(position + step)
            close = beside and self._distance(position, position + step) < BESIDE
            if beside and close and 0 <= beside.entry - step < beside.quantity.value.size:
                yield beside.quantity, beside.entry - step
        for shape, members in self.document.groups:
            if position in members:
                entry = members.index(position)
                others = [self.document.numbers[member] for member in members if member != position]
                told = math.prod(self.pool.chance(number) for number in others if number.decimal)
                fits = (one for one in self.pool.quantities if _is(one, shape, others, without=entry))
                yield from ((one, entry) for one in (fits if told < CERTAIN else ()))

    def _distance(self, a: int, b: int) -> int:
        return abs(self.document.numbers[a].start - self.document.numbers[b].start)

    def _apart(self, quantity: Quantity, position: int) -> tuple[int, ...]:
        """How far a quantity is from what stands around: 0 where a neighbour belongs to its run, or to itself."""
        near = {one.quantity.state for one in self._around(position, BEHIND)}
        close = {one.quantity.name for one in self._around(position, BESIDE)}
        return int(bool(near) and quantity.state not in near), quantity.rank // DERIVED, int(quantity.name not in close)

    def _around(self, position: int, characters: int) -> list[_Placed]:
        return [one for at, one in self.placed.items() if self._distance(at, position) < characters]


def _is(quantity: Quantity, shape: tuple[int, ...], numbers: Sequence[Number], without: int | None = None) -> bool:
    """Whether these are the entries of a quantity, or all of them but one."""
    values = quantity.value.ravel().tolist()
    if len(values) != math.prod(shape) or without_ones(shape) != without_ones(quantity.value.shape):
        return False
    if without is not None:
        del values[without]
    pairs = zip(values, numbers, strict=True)
    return all(abs(value - float(number.text)) <= half_unit(number) for value, number in pairs)


def _at(document: Document, numbers: Sequence[Number]) -> str:
    """The nearest heading, if it leads to the numbers; else the words before them, as many as it takes."""
    start = numbers[0].start
    heading = document.under(start)
    before = re.findall(r"[^\W\d]\w*(?:[ ,.:'=()-]+\w+)*", document.text[max(start - 300, 0) : start])
    pointers = [heading.title] if heading else []
    pointers += [words[-60:].partition(" ")[2] or words[-60:] for words in reversed(before) if len(words) > 3]
    found = (pointer for pointer in pointers if any(a <= start < b for a, b in regions(document, pointer)))
    return next(found, "")
