"""Which computed value a printed number is: all that an experiment computes, searched by the printed digits.

Chance is counted: among some thousand values a number of two digits fits dozens, one of eight hardly ever a wrong one.
In between, the run that the numbers around it are of decides, or nothing does, and the candidates are listed.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mathlab.article.cover import BEHIND, Coverage, regions
from mathlab.article.near import Near
from mathlab.article.pool import DERIVED, Fit, Pool, State, quantities, share
from mathlab.article.text import Document, Number
from mathlab.experiment import Experiment

CERTAIN = 0.02  # the values that a number may be expected to fit by chance, where it is believed for itself,
SUPPORTED = 0.05  # and where it is of the run that is spoken of
SAME = 1e-6  # relative: values that no article tells apart
BESIDE = 200  # characters between numbers that belong together
TOGETHER = 300  # characters around a number in which others tell which run is spoken of
TOLD = 0.5  # a number that more values of a run fit by chance tells nothing of it
LISTED = 5  # candidates of a number that stays open
DIGITS = 2  # that a number has at least, if anything is said of it


@dataclass(frozen=True)
class Suggestion:
    """A number or array of the document that is one of the quantities, and the words by which it is found again."""

    state: State
    key: str
    numbers: tuple[Number, ...]
    shape: tuple[int, ...]
    at: str


@dataclass(frozen=True)
class Undecided:
    """A number that stays open, and what it may be; one that fits nothing may be `near` something.

    One of a single digit fits so much that nothing is said of it: `vague`.
    """

    number: Number
    candidates: tuple[str, ...]
    near: str = ""
    vague: bool = False


def suggest(coverage: Coverage, experiments: Sequence[Experiment]) -> tuple[list[Suggestion], list[Undecided]]:
    """What the open numbers of the documents are, in their order, and what could not be decided.

    Raises MathlabError for a case that cannot run.
    """
    pool = Pool(quantity for experiment in experiments for quantity in quantities(experiment))
    near = Near(pool, experiments)
    found: list[Suggestion] = []
    undecided: list[Undecided] = []
    unknown = {id(one.number) for one in coverage.numbers if one.status == "open"}
    for document in coverage.documents:
        search = _Search(document, pool, [at for at, one in enumerate(document.numbers) if id(one) in unknown])
        found += search.run()
        for at in sorted(search.open):
            number = document.numbers[at]
            vague = number.significant < DIGITS
            fits = [] if vague else pool.fitting(number)
            told = near.told(number, search.expected(at)) if number.decimal and not fits and not vague else ""
            names = dict.fromkeys(map(pool.name, fits))
            undecided.append(Undecided(number, tuple(names)[:LISTED], told, vague))
    return found, undecided


class _Search:
    """The open numbers of one document, one after another taken out by what they are found to be."""

    def __init__(self, document: Document, pool: Pool, unknown: Sequence[int]) -> None:
        self.document, self.pool, self.open = document, pool, set(unknown)
        self.starts = [number.start for number in document.numbers]
        self.placed: dict[int, Fit] = {}  # by position in the document's numbers,
        self.told: dict[int, set[State]] = {}  # as are the runs that numbers around tell of
        self.found: list[Suggestion] = []

    def run(self) -> list[Suggestion]:
        """What is found: arrays first, the largest of them, then single numbers, as long as one helps another."""
        groups = sorted(self.document.groups, key=lambda group: -len(group[1]))
        for shape, members in groups:
            self.array(shape, members, set())
        self.told = {at: states for at in sorted(self.open) if (states := self.spoken_of(at))}
        done = -1
        while done < len(self.placed):
            done = len(self.placed)
            for shape, members in groups:
                self.array(shape, members, self.runs(members[0]))
            for rule in (self.next_entry, self.certain, self.again, self.of_the_run):
                for at in sorted(self.open):
                    number = self.document.numbers[at]
                    if number.decimal or number.percent:
                        self.take((), (at,), rule(at, number))
        return sorted(self.found, key=lambda one: one.numbers[0].start)

    def take(self, shape: tuple[int, ...], members: Sequence[int], fits: Sequence[Fit]) -> None:
        """Make of numbers what all of the fits have in common, by the name of the likeliest, if they do."""
        rows = [self.pool.quantities[at].value.ravel()[entry : entry + len(members)] for at, entry in fits]
        if not fits or any(np.max(np.abs(row - rows[0])) > SAME * np.max(np.abs(row)) for row in rows):
            return
        best = min(fits, key=lambda fit: (*self.apart(fit, members[0]), *self.pool.rank(fit)[bool(shape) :]))
        quantity = self.pool.quantities[best[0]]
        key = quantity.key if shape else self.pool.key(best)
        numbers = tuple(self.document.numbers[member] for member in members)
        self.found.append(Suggestion(quantity.state, key, numbers, shape, _at(self.document, numbers)))
        for entry, member in enumerate(members, start=best[1]):
            self.placed[member] = best[0], entry
            self.open.discard(member)

    def array(self, shape: tuple[int, ...], members: Sequence[int], runs: set[State]) -> None:
        """An array whose digits together leave little to chance, among all that is computed or some runs of it."""
        if self.open.isdisjoint(members):
            return
        numbers = [self.document.numbers[member] for member in members]
        alike = self.of_runs(self.pool.alike(shape), runs)
        if (len(alike) + 1) * _together(numbers) < CERTAIN:
            self.take(shape, members, self.of_runs(self.pool.arrays(shape, numbers), runs))

    def of_runs(self, fits: Sequence[Fit], runs: set[State]) -> list[Fit]:
        """Those that are of some runs, or all where no run is named."""
        return [fit for fit in fits if not runs or self.pool.quantities[fit[0]].state in runs]

    # Which of the entries that fit a number it is

    def next_entry(self, at: int, number: Number) -> list[Fit]:
        """The entry after the one that is printed just before."""
        before = self.placed.get(at - 1)
        if before is None or self.starts[at] - self.starts[at - 1] > BESIDE:
            return []
        fit = before[0], before[1] + 1
        inside = fit[1] < self.pool.quantities[fit[0]].value.size
        return [fit] if inside and abs(self.pool.value(fit) - number.value) <= number.half_unit else []

    def certain(self, at: int, number: Number) -> list[Fit]:
        return self.pool.fitting(number) if self.pool.chance(number) < CERTAIN else []

    def again(self, at: int, number: Number) -> list[Fit]:
        """What the same digits are elsewhere, if they are one thing there."""
        if number.significant < DIGITS:
            return []
        known = {fit for other, fit in self.placed.items() if self.document.numbers[other].digits == number.digits}
        return [*known] if len(known) == 1 else []

    def of_the_run(self, at: int, number: Number) -> list[Fit]:
        """An entry of a run that the numbers around it are of."""
        for runs in (self.runs(at, BESIDE), self.runs(at, BEHIND)):
            if runs and sum(self.pool.chance(number, run) for run in runs) < SUPPORTED:
                return self.of_runs(self.pool.fitting(number), runs)
        return []

    # What stands around

    def around(self, at: int, characters: int) -> range:
        """The numbers so near to one, itself among them."""
        start = self.starts[at]
        return range(bisect_right(self.starts, start - characters), bisect_left(self.starts, start + characters))

    def runs(self, at: int, characters: int = BEHIND) -> set[State]:
        near = {self.pool.quantities[self.placed[n][0]].state for n in self.around(at, characters) if n in self.placed}
        return near | self.told.get(at, set())

    def spoken_of(self, at: int) -> set[State]:
        """The runs that so many numbers around are of that it is no chance, with how many runs there are."""
        near = [self.document.numbers[n] for n in self.around(at, TOGETHER) if n in self.open]
        near = [*{number.digits: number for number in near if number.decimal}.values()]
        scores = {}
        for state in self.pool.states:
            told = [chance for number in near if (chance := self.pool.evidence(number, state)) < TOLD]
            scores[state] = math.prod(told) * math.comb(len(near), len(told)) * len(self.pool.states)
        best = min(scores.values(), default=1.0)
        return {state for state, score in scores.items() if score <= best * 10} if best < CERTAIN else set()

    def apart(self, fit: Fit, at: int) -> tuple[int, ...]:
        """How far a quantity is from what stands around: 0 where a neighbour belongs to its run, or to itself."""
        quantity, near = self.pool.quantities[fit[0]], self.runs(at)
        close = {self.pool.quantities[self.placed[n][0]].name for n in self.around(at, BESIDE) if n in self.placed}
        return int(bool(near) and quantity.state not in near), quantity.rank // DERIVED, int(quantity.name not in close)

    def expected(self, at: int) -> Iterator[Fit]:
        """What should stand in the place of a number: the entry next to its neighbours', or the rest of an array."""
        for step in (-1, 1):
            beside = self.placed.get(at + step) if at + step in self.around(at, BESIDE) else None
            if beside and 0 <= beside[1] - step < self.pool.quantities[beside[0]].value.size:
                yield beside[0], beside[1] - step
        for shape, members in self.document.groups:
            if at in members:
                entry, numbers = members.index(at), [self.document.numbers[member] for member in members]
                rest = [number for number in numbers if number is not numbers[entry]]
                if (len(self.pool.alike(shape)) + 1) * _together(rest) < CERTAIN:
                    yield from ((one, entry) for one, _ in self.pool.arrays(shape, numbers, without=entry))


def _together(numbers: Sequence[Number]) -> float:
    """Which part of all arrays of some size numbers of these digits fit.

    Equal ones, and one that the others make up to a whole number as probabilities do, say nothing on their own.
    """
    shares = sorted({number.digits[1:]: share(number) for number in numbers}.values(), reverse=True)
    total = sum(number.value for number in numbers)
    dependent = abs(total - round(total)) <= sum(number.half_unit for number in numbers)
    return math.prod(shares[: len(shares) - dependent])


def _at(document: Document, numbers: Sequence[Number]) -> str:
    """The nearest heading, if it leads to the numbers; else the words before them, as many as it takes."""
    start = numbers[0].start
    heading = document.under(start)
    before = re.findall(r"[^\W\d]\w*(?:[ ,.:'=()-]+\w+)*", document.text[max(start - 300, 0) : start])
    pointers = [heading.title] if heading else []
    pointers += [words[-60:].partition(" ")[2] or words[-60:] for words in reversed(before) if len(words) > 3]
    found = (pointer for pointer in pointers if any(a <= start < b for a, b in regions(document, pointer)))
    return next(found, "")
