"""Which computed value a printed number is: all that an experiment computes, searched by the printed digits.

Chance is counted: among some thousand values a number of two digits fits dozens, one of eight hardly ever a wrong one.
In between, the name before it or the run that the numbers around it are of decides, or nothing does, and the candidates
are listed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mathlab.article.cover import BEHIND, Coverage
from mathlab.article.labels import count_of, counters, labelled, labels, pointer
from mathlab.article.near import float32_twins, near
from mathlab.article.pool import DERIVED, FAR, SAME, Fit, Pool, State, quantities
from mathlab.article.text import Document, Number
from mathlab.errors import MathlabError
from mathlab.experiment import Experiment

CERTAIN = 0.02  # the values that a number may be expected to fit by chance, where it is believed for itself,
CALLED = 0.05  # where it is called so,
BESIDE = 200  # characters between numbers that belong together
SUPPORTED = {BESIDE: 0.05, BEHIND: 0.03}  # and where it is of a run that numbers so near to it are of
TOGETHER = 300  # characters around a number in which others tell which run is spoken of
TOLD = 0.5  # a number that more values of a run fit by chance tells nothing of it
MOST = 5_000  # open numbers
MANY = 50  # numbers on either side of one that are looked at
DIAGNOSED = 500  # numbers that fit nothing of which it is told what they nearly are
NEVER = -(10**9)
LISTED = 5  # candidates of a number that stays open
VAGUE = 0.04  # of one digit: nothing is said of a number that this part of all values of its size fits

Item = tuple[tuple[int, ...], tuple[int, ...]]  # a shape, and the positions of its numbers: () and one of them


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
    whole = {count_of(one) for document in coverage.documents for one in document.numbers}
    epochs = {count + more for count in whole for more in (-1, 0, 1)}
    pool = Pool(quantity for experiment in experiments for quantity in quantities(experiment, epochs))
    singles = cache(lambda: float32_twins(experiments))
    ends = {case.equations[-1].name for experiment in experiments for case in experiment.cases}
    found: list[Suggestion] = []
    undecided: list[Undecided] = []
    for document in coverage.documents:
        search = _Search(document, pool, ends, [at for at, one in enumerate(document.numbers) if id(one) in unknown])
        found += search.run()
        for at in sorted(search.open):
            number = search.numbers[at]
            vague = number.share > VAGUE
            fits = [] if vague else pool.fitting(number)
            asked = number.decimal and not fits and not vague and len(undecided) < DIAGNOSED
            told = near(number, search.expected(at), pool, singles) if asked else ""
            names = dict.fromkeys(map(pool.name, fits))
            undecided.append(Undecided(document.numbers[at], tuple(names)[:LISTED], told, vague))
    return found, undecided


class _Search:
    """The open numbers of one document, one after another taken out by what they are found to be."""

    def __init__(self, document: Document, pool: Pool, ends: Collection[str], unknown: Sequence[int]) -> None:
        self.document, self.pool, self.open = document, pool, set(unknown)
        self.numbers = [number.fraction for number in document.numbers]
        self.starts = [number.start for number in document.numbers]
        self.names = labelled(pool, ends)
        self.called = cache(lambda at: labels(document.text, self.starts[at]))
        self.after: dict[int, set[State]] = defaultdict(set)
        for state in pool.states:
            for count in state.counts:
                self.after[count].add(state)
        self.counters = {at: found for at in unknown if (found := counters(document, at))}
        self.placed: dict[int, Fit] = {}  # by position in the document's numbers,
        self.told: dict[int, set[State]] = {}  # as are the runs that numbers around tell of
        self.shifted = 0
        self.found: list[tuple[Item, Sequence[Fit]]] = []

    def run(self) -> list[Suggestion]:
        """What is found: arrays first, the largest of them, then single numbers, as long as one helps another."""
        arrays: list[Item] = sorted(self.document.groups, key=lambda group: -len(group[1]))
        single: list[Item] = [((), (at,)) for at in sorted(self.open) if self.numbers[at].decimal]
        for item in arrays:
            self.claim(item, self.believed(item, self.pool.often, CERTAIN))
        self.told = {at: states for at in sorted(self.open) if (states := self.spoken_of(at))}
        self.shifted = self.shift()
        done = -1
        while done < len(self.placed):
            done = len(self.placed)
            for item in (*arrays, *single):
                for found in self.attempts(item) if not self.open.isdisjoint(item[1]) else ():
                    self.claim(item, found)
        for item, fits in self.found:  # of equal ones, now that all is known that stands around
            self.place(item, fits)
        named = (self.named(item) for item, _ in self.found)
        return sorted(named, key=lambda one: one.numbers[0].start)

    def attempts(self, item: Item) -> Iterator[list[Fit]]:
        """What an item may be by its digits and what stands beside it, or its name, or what is spoken of."""
        (first, *more) = item[1]
        if not more:
            number = self.numbers[first]
            yield [fit for fit in self.beside(first) if abs(self.pool.value(fit) - number.value) <= number.half_unit]
        yield self.believed(item, self.counted(first, self.shifted), min(SUPPORTED.values()))
        yield self.believed(item, self.pool.often, CERTAIN)
        for runs in (self.counted(first, self.shifted), frozenset(self.pool.states)):
            yield self.by_name(item, runs)
        for characters, supported in SUPPORTED.items():
            if runs := self.runs(first, characters):
                yield self.believed(item, runs, supported)

    def believed(self, item: Item, runs: frozenset[State], limit: float) -> list[Fit]:
        """The quantities or entries of some runs that are printed so, if that is no chance."""
        shape, members = item
        if not runs or self.open.isdisjoint(members):
            return []
        number, pool = self.numbers[members[0]], self.pool
        if shape:
            return pool.arrays([self.numbers[member] for member in members], shape, runs, limit)
        likely = FAR if pool.chance(number, pool.distinct(runs)) < CERTAIN else DERIVED  # a sum must be certain
        fits = pool.fitting(number, runs=runs) if pool.chance(number, pool.distinct(runs)) < limit else []
        return [fit for fit in fits if pool.quantities[fit[0]].rank % FAR < likely]

    def by_name(self, item: Item, runs: frozenset[State]) -> list[Fit]:
        """Entries of what is called as the words before a number say, of some runs."""
        shape, (first, *_) = item
        number, pool = self.numbers[first], self.pool
        called = self.called(first) if runs and not shape else ()
        known = {fit for name in called for fit in self.names.get(name, ()) if self.state(fit) in runs}
        fits = [fit for fit in pool.fitting(number, runs=runs) if fit in known] if known else []
        if not fits:
            return []
        apart = np.unique(np.array([pool.value(fit) for fit in known]).round(12))
        return fits if pool.chance(number, apart) - number.share < CALLED else []

    def claim(self, item: Item, fits: Sequence[Fit]) -> None:
        """Make of numbers that are open what all of the fits have in common, if they do."""
        size, unknown = len(item[1]), not self.open.isdisjoint(item[1])
        rows = [(fit, self.pool.quantities[fit[0]].value.ravel()[fit[1] : fit[1] + size]) for fit in fits if unknown]
        nodes = [one for one in rows if self.pool.quantities[one[0][0]].rank < DERIVED]  # v rather than v + eps
        for alike in (rows, nodes):
            if alike and all(np.max(np.abs(row - alike[0][1])) <= SAME * np.max(np.abs(row)) for _, row in alike):
                self.found.append((item, [fit for fit, _ in alike]))
                self.place(*self.found[-1])
                break

    def place(self, item: Item, fits: Sequence[Fit]) -> None:
        shape, members = item
        best = min(fits, key=lambda fit: (*self.apart(fit, members), *self.pool.rank(fit)[bool(shape) :]))
        self.placed |= {member: (best[0], entry) for entry, member in enumerate(members, start=best[1])}
        self.open.difference_update(members)

    def named(self, item: Item) -> Suggestion:
        shape, members = item
        fit = self.placed[members[0]]
        quantity, numbers = self.pool.quantities[fit[0]], tuple(self.numbers[member] for member in members)
        key = quantity.key if shape else self.pool.key(fit)
        return Suggestion(quantity.state, key, numbers, shape, pointer(self.document, numbers[0].start))

    # What stands around

    def counted(self, at: int, shift: int) -> frozenset[State]:
        """The runs after so many updates or epochs as the line or row of a number counts, and some more."""
        counts = {count + shift for count in self.counters.get(at, ())}
        return frozenset(state for count in counts for state in self.after[count])

    def shift(self) -> int:
        """How many more updates than the text counts its numbers are of: -1 if it counts a loss before its update."""
        single = [((), (at,)) for at in self.counters if at in self.open and self.numbers[at].decimal]

        def fit(shift: int) -> int:
            return sum(bool(self.believed(item, self.counted(item[1][0], shift), CERTAIN)) for item in single)

        best = max((0, -1, 1), key=fit)
        return best if single and fit(best) >= len(single) / 2 else NEVER

    def around(self, at: int, characters: int) -> range:
        """The numbers so near to one, itself among them."""
        start = self.starts[at]
        first, last = bisect_right(self.starts, start - characters), bisect_left(self.starts, start + characters)
        return range(max(first, at - MANY), min(last, at + MANY))

    def state(self, fit: Fit) -> State:
        return self.pool.quantities[fit[0]].state

    def runs(self, at: int, characters: int) -> frozenset[State]:
        near = {self.state(self.placed[n]) for n in self.around(at, characters) if n in self.placed}
        return frozenset(near | self.told.get(at, set()))

    def spoken_of(self, at: int) -> set[State]:
        """The runs that so many numbers around are of that it is no chance, with how many runs there are."""
        near = [self.numbers[n] for n in self.around(at, TOGETHER) if n in self.open and self.numbers[n].decimal]
        each = {number.digits: number for number in near}.values()
        chances = np.array([self.pool.evidence(number) for number in each]).reshape(len(each), -1)
        told, states = chances < TOLD, self.pool.states
        ways = [math.comb(len(each), count) for count in told.sum(axis=0)]
        scores = np.where(told, chances, 1).prod(axis=0) * ways * len(states)
        best = scores.min(initial=1.0)
        return {state for state, score in zip(states, scores, strict=True) if score <= best * 10 and best < CERTAIN}

    def apart(self, fit: Fit, members: Sequence[int]) -> tuple[int, ...]:
        """How far a quantity is from what stands around: from the section's case, a neighbour's run, its node."""
        quantity, start = self.pool.quantities[fit[0]], self.starts[members[0]]
        others = [at for at in self.around(members[0], BEHIND) if at in self.placed and at not in members]
        near = {at: self.pool.quantities[self.placed[at][0]] for at in others}
        section = self.document.under(start)
        here = Counter(one.state.case for at, one in near.items() if self.document.under(self.starts[at]) == section)
        runs = {one.state for one in near.values()} | self.told.get(members[0], set())
        close = {one.of for at, one in near.items() if abs(self.starts[at] - start) < BESIDE}
        strange = int(bool(runs) and quantity.state not in runs)
        elsewhere = max(here.values(), default=0) - here[quantity.state.case]
        return elsewhere, strange, quantity.rank // DERIVED, int(quantity.of not in close)

    def beside(self, at: int) -> Iterator[Fit]:
        """The entry after the one that is printed just before, and the one before that which is printed just behind."""
        for step in (-1, 1):
            known = self.placed.get(at + step) if at + step in self.around(at, BESIDE) else None
            if known and 0 <= known[1] - step < self.pool.quantities[known[0]].value.size:
                yield known[0], known[1] - step

    def expected(self, at: int) -> Iterable[Fit]:
        """What should stand in the place of a number: the entry beside its neighbours', or the rest of an array."""
        yield from self.beside(at)
        for shape, members in (group for group in self.document.groups if at in group[1]):
            entry = members.index(at)
            numbers = [self.numbers[member] for member in members]
            yield from (
                (one, entry) for one, _ in self.pool.arrays(numbers, shape, self.pool.often, CERTAIN, but=entry)
            )
