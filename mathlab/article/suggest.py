"""Which computed value a printed number is: all that an experiment computes, searched by the printed digits.

Chance is counted: among some thousand values a number of two digits fits dozens, one of eight hardly ever a wrong one.
In between, the run that the numbers around it are of decides, or nothing does, and the candidates are listed.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mathlab.article.cover import BEHIND, Coverage, regions
from mathlab.article.near import Near
from mathlab.article.pool import DERIVED, SAME, Fit, Pool, State, quantities
from mathlab.article.text import Document, Group, Number
from mathlab.errors import MathlabError
from mathlab.experiment import Experiment

CERTAIN = 0.02  # the values that a number may be expected to fit by chance, where it is believed for itself,
BESIDE = 200  # characters between numbers that belong together
SUPPORTED = {BESIDE: 0.05, BEHIND: 0.03}  # and where it is of a run that numbers so near to it are of
TOGETHER = 300  # characters around a number in which others tell which run is spoken of
TOLD = 0.5  # a number that more values of a run fit by chance tells nothing of it
MOST = 5_000  # open numbers
MANY = 50  # numbers on either side of one that are looked at
DIAGNOSED = 500  # numbers that fit nothing of which it is told what they nearly are
LISTED = 5  # candidates of a number that stays open
VAGUE = 0.04  # of one digit: nothing is said of a number that this part of all values of its size fits


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

    Raises MathlabError for a case that cannot run, and for more open numbers than can be searched.
    """
    unknown = {id(one.number): one.number.place for one in coverage.numbers if one.status == "open"}
    if len(unknown) > MOST:
        place = [*unknown.values()][MOST]
        raise MathlabError(f"{len(unknown)} numbers are open, and {MOST} are the limit of a search", place)
    pool = Pool(quantity for experiment in experiments for quantity in quantities(experiment))
    near = Near(pool, experiments)
    found: list[Suggestion] = []
    undecided: list[Undecided] = []
    for document in coverage.documents:
        search = _Search(document, pool, [at for at, one in enumerate(document.numbers) if id(one) in unknown])
        found += search.run()
        for at in sorted(search.open):
            number = search.numbers[at]
            vague = number.share > VAGUE
            fits = [] if vague else pool.fitting(number)
            asked = number.decimal and not fits and not vague and len(undecided) < DIAGNOSED
            told = near.told(number, search.expected(at)) if asked else ""
            names = dict.fromkeys(map(pool.name, fits))
            undecided.append(Undecided(document.numbers[at], tuple(names)[:LISTED], told, vague))
    return found, undecided


class _Search:
    """The open numbers of one document, one after another taken out by what they are found to be."""

    def __init__(self, document: Document, pool: Pool, unknown: Sequence[int]) -> None:
        self.document, self.pool, self.open = document, pool, set(unknown)
        self.numbers = [number.fraction if number.percent else number for number in document.numbers]
        self.starts = [number.start for number in document.numbers]
        self.groups: dict[int, list[Group]] = defaultdict(list)
        for group in document.groups:
            for member in group[1]:
                self.groups[member].append(group)
        self.placed: dict[int, Fit] = {}  # by position in the document's numbers,
        self.told: dict[int, set[State]] = {}  # as are the runs that numbers around tell of
        self.found: list[tuple[tuple[int, ...], tuple[int, ...], Sequence[Fit]]] = []

    def run(self) -> list[Suggestion]:
        """What is found: arrays first, the largest of them, then single numbers, as long as one helps another."""
        groups = sorted(self.document.groups, key=lambda group: -len(group[1]))
        for shape, members in groups:
            self.array(shape, members, frozenset())
        self.told = {at: states for at in sorted(self.open) if (states := self.spoken_of(at))}
        done = -1
        while done < len(self.placed):
            done = len(self.placed)
            for shape, members in groups:
                self.array(shape, members, self.runs(members[0]))
            for rule in (self.next_entry, self.certain, self.of_the_run):
                for at in sorted(self.open):
                    if self.numbers[at].decimal:
                        self.take((), (at,), rule(at, self.numbers[at]))
        for shape, members, fits in self.found:  # of equal ones, now that all is known that stands around
            self.place(shape, members, fits)
        named = (self.named(shape, members) for shape, members, _ in self.found)
        return sorted(named, key=lambda one: one.numbers[0].start)

    def take(self, shape: tuple[int, ...], members: tuple[int, ...], fits: Sequence[Fit]) -> None:
        """Make of numbers what all of the fits have in common, if they do."""
        rows = [self.pool.quantities[at].value.ravel()[entry : entry + len(members)] for at, entry in fits]
        if fits and all(np.max(np.abs(row - rows[0])) <= SAME * np.max(np.abs(row)) for row in rows):
            self.found.append((shape, members, fits))
            self.place(shape, members, fits)

    def place(self, shape: tuple[int, ...], members: tuple[int, ...], fits: Sequence[Fit]) -> None:
        best = min(fits, key=lambda fit: (*self.apart(fit, members), *self.pool.rank(fit)[bool(shape) :]))
        self.placed |= {member: (best[0], entry) for entry, member in enumerate(members, start=best[1])}
        self.open.difference_update(members)

    def named(self, shape: tuple[int, ...], members: tuple[int, ...]) -> Suggestion:
        fit = self.placed[members[0]]
        quantity, numbers = self.pool.quantities[fit[0]], tuple(self.numbers[member] for member in members)
        key = quantity.key if shape else self.pool.key(fit)
        return Suggestion(quantity.state, key, numbers, shape, _at(self.document, numbers))

    def array(self, shape: tuple[int, ...], members: tuple[int, ...], runs: frozenset[State]) -> None:
        """An array whose digits together leave little to chance, among all that is computed or some runs of it."""
        if self.open.isdisjoint(members):
            return
        numbers = [self.numbers[member] for member in members]
        fits, alike = self.pool.arrays(shape, numbers, runs)
        if (alike + 1) * _together(numbers) < CERTAIN:
            self.take(shape, members, fits)

    # Which of the entries that fit a number it is

    def next_entry(self, at: int, number: Number) -> list[Fit]:
        return [fit for fit in self.beside(at) if abs(self.pool.value(fit) - number.value) <= number.half_unit]

    def certain(self, at: int, number: Number) -> list[Fit]:
        return self.pool.fitting(number) if self.pool.chance(number) < CERTAIN else []

    def of_the_run(self, at: int, number: Number) -> list[Fit]:
        """An entry of a run that the numbers around it are of."""
        for characters, supported in SUPPORTED.items():
            runs = self.runs(at, characters)
            if runs and self.pool.chance(number, runs) < supported:
                return [fit for fit in self.pool.fitting(number) if self.pool.quantities[fit[0]].state in runs]
        return []

    # What stands around

    def around(self, at: int, characters: int) -> range:
        """The numbers so near to one, itself among them."""
        start = self.starts[at]
        first, last = bisect_right(self.starts, start - characters), bisect_left(self.starts, start + characters)
        return range(max(first, at - MANY), min(last, at + MANY))

    def runs(self, at: int, characters: int = BEHIND) -> frozenset[State]:
        near = {self.pool.quantities[self.placed[n][0]].state for n in self.around(at, characters) if n in self.placed}
        return frozenset(near | self.told.get(at, set()))

    def spoken_of(self, at: int) -> set[State]:
        """The runs that so many numbers around are of that it is no chance, with how many runs there are."""
        near = [self.numbers[n] for n in self.around(at, TOGETHER) if n in self.open and self.numbers[n].decimal]
        each = {number.digits: number for number in near}.values()
        scores = {}
        for state in self.pool.states:
            told = [chance for number in each if (chance := self.pool.evidence(number, state)) < TOLD]
            scores[state] = math.prod(told) * math.comb(len(each), len(told)) * len(self.pool.states)
        best = min(scores.values(), default=1.0)
        return {state for state, score in scores.items() if score <= best * 10} if best < CERTAIN else set()

    def apart(self, fit: Fit, members: Sequence[int]) -> tuple[int, ...]:
        """How far a quantity is from what stands around: from the section's case, a neighbour's run, its node."""
        quantity, start = self.pool.quantities[fit[0]], self.starts[members[0]]
        others = [at for at in self.around(members[0], BEHIND) if at in self.placed and at not in members]
        near = {at: self.pool.quantities[self.placed[at][0]] for at in others}
        section = self.document.under(start)
        here = Counter(one.state.case for at, one in near.items() if self.document.under(self.starts[at]) == section)
        runs = {one.state for one in near.values()} | self.told.get(members[0], set())
        close = {one.name for at, one in near.items() if abs(self.starts[at] - start) < BESIDE}
        strange = int(bool(runs) and quantity.state not in runs)
        elsewhere = max(here.values(), default=0) - here[quantity.state.case]
        return elsewhere, strange, quantity.rank // DERIVED, int(quantity.name not in close)

    def beside(self, at: int) -> Iterator[Fit]:
        """The entry after the one that is printed just before, and the one before that which is printed just behind."""
        for step in (-1, 1):
            known = self.placed.get(at + step) if at + step in self.around(at, BESIDE) else None
            if known and 0 <= known[1] - step < self.pool.quantities[known[0]].value.size:
                yield known[0], known[1] - step

    def expected(self, at: int) -> Iterator[Fit]:
        """What should stand in the place of a number: the entry beside its neighbours', or the rest of an array."""
        yield from self.beside(at)
        for shape, members in self.groups[at]:
            entry, numbers = members.index(at), [self.numbers[member] for member in members]
            fits, alike = self.pool.arrays(shape, numbers, without=entry)
            told = (alike + 1) * _together([*numbers[:entry], *numbers[entry + 1 :]])
            yield from ((one, entry) for one, _ in (fits if told < CERTAIN else ()))


def _together(numbers: Sequence[Number]) -> float:
    """Which part of all arrays of some size numbers of these digits fit.

    Equal ones, and one that the others make up to a whole number as probabilities do, say nothing on their own.
    """
    shares = sorted({number.digits[1:]: number.share for number in numbers}.values(), reverse=True)
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
