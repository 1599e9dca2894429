"""Which computed value a printed number is: all that an experiment computes, searched by the printed digits.

Chance is counted: among some thousand values a number of two digits fits dozens, one of eight hardly ever a wrong one.
In between, the name before it or the run that the numbers around it are of decides, or nothing does, and the candidates
are listed. What fits nothing but nearly does is told, and never claimed.
"""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from mathlab.article.cover import BEHIND, Coverage, pointer
from mathlab.article.labels import called, counters, folded, numbered
from mathlab.article.pool import DERIVED, FAR, SAME, Fit, Pool, State, pool, quantities
from mathlab.article.text import Digits, Document, Group, Number
from mathlab.errors import MathlabError
from mathlab.experiment import Experiment
from mathlab.printed import REPR_DIGITS, judge_number

CERTAIN = 0.02  # the values that a number may be expected to fit by chance, where it is believed for itself,
CALLED = 0.05  # where it is called so,
BESIDE = 200  # characters between numbers that belong together
SUPPORTED = {BESIDE: 0.05, BEHIND: 0.03}  # and where it is of a run that numbers so near to it are of
MOST = 5_000  # open numbers
MANY = 50  # numbers on either side of one that are looked at
DIAGNOSED = 500  # numbers that fit nothing of which it is told what they nearly are
NEVER = -(10**9)
LISTED = 5  # candidates of a number that stays open
VAGUE = 0.04  # of one digit: nothing is said of a number that this part of all values of its size fits
PRECISE = 6  # significant digits, by which float32 tells from float64
LOSS = ("loss", "Loss", "cost", "Cost", "error", "Error", "objective")  # what articles call the end
NEARLY = 0.1  # the values that all the numbers like a number may be expected to fit by chance


class Suggestion(NamedTuple):
    """A number or array of the document that is one of the quantities, and the words by which it is found again."""

    state: State
    key: str
    numbers: tuple[Number, ...]
    shape: tuple[int, ...]
    at: str


class Undecided(NamedTuple):
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
    unknown = [one.number for one in coverage.numbers if one.status == "open" and not one.by]
    if further := unknown[MOST:]:
        raise MathlabError(f"{len(unknown)} numbers are open, and {MOST} are the limit of a search", further[0].place)
    whole = {one.value for document in coverage.documents for one in document.numbers if not one.decimal}
    epochs = {count + more for count in whole for more in (-1, 0, 1)}
    pooled = pool(quantity for experiment in experiments for quantity in quantities(experiment, epochs))
    singles = cache(lambda: _float32_twins(experiments))
    found: list[Suggestion] = []
    undecided: list[Undecided] = []
    for document in coverage.documents:
        search = _Search(document, pooled, experiments, frozenset(unknown))
        found += search.run()
        for at in sorted(search.open):
            number = search.numbers[at]
            vague = number.share > VAGUE
            fits = [] if vague else pooled.fitting(number)
            asked = number.decimal and not fits and not vague and len(undecided) < DIAGNOSED
            told = next(search.near(at, singles), "") if asked else ""
            names = dict.fromkeys(map(pooled.name, fits))
            undecided.append(Undecided(document.numbers[at], tuple(names)[:LISTED], told, vague))
    return found, undecided


def _float32_twins(experiments: Sequence[Experiment]) -> Pool:
    """What float32 runs compute of the experiments in which no case has that type."""
    twins = (
        one._replace(cases=tuple(replace(case, dtype="float32", name=f"{case.name} as float32") for case in one.cases))
        for one in experiments
        if all(case.dtype != "float32" for case in one.cases)
    )
    return pool(quantity for twin in twins for quantity in quantities(twin))


def _labelled(pool: Pool, ends: Container[str]) -> Mapping[str, list[Fit]]:
    """Nodes, gradients and parameters, by what an article may call them: the name of all entries, norm and mean of one.

    Where there are few, each entry has names of its own too.
    """
    found: dict[str, list[Fit]] = defaultdict(list)
    for start, quantity in zip(pool.starts.tolist(), pool.quantities, strict=True):
        size, name = quantity.value.size, folded(quantity.of)
        alone = size == 1 and quantity.key.endswith(f"({quantity.of})")
        if not quantity.of.isidentifier() or not (alone or quantity.key == quantity.of):
            continue
        wholes = {name, name.casefold() if len(name) > 2 else name, *(LOSS if quantity.of in ends else ())}
        for way in (*([whole] * min(size, 1_000) for whole in wholes), *numbered(name, quantity.value.shape)):
            for fit, entry in enumerate(way, start):
                found[entry].append(fit)
    return found


class _Search:
    """The open numbers of one document, one after another taken out by what they are found to be."""

    def __init__(
        self, document: Document, pooled: Pool, experiments: Sequence[Experiment], unknown: Container[Number]
    ) -> None:
        self.document, self.pool = document, pooled
        self.open = {at for at, one in enumerate(document.numbers) if one in unknown}
        self.numbers = [number.meant for number in document.numbers]
        self.starts = [number.start for number in document.numbers]
        names = _labelled(pooled, {case.equations[-1].name for experiment in experiments for case in experiment.cases})
        self.words = cache(lambda at: called(document.text, self.starts[at]).names)
        self.called = cache(lambda at: [fit for name in self.words(at) for fit in names.get(name, ())])
        self.states = [*dict.fromkeys(quantity.state for quantity in pooled.quantities)]
        self.of = cache(lambda runs: pooled.where(lambda quantity: quantity.state in runs))
        self.often = self.of(frozenset(state for state in self.states if not state.aside))
        self.counters = {at: found for at in sorted(self.open) if (found := counters(document, at))}
        self.said: dict[Digits, set[Fit]] = defaultdict(set)  # by the digits that say it,
        self.placed: dict[int, Fit] = {}  # by position in the document's numbers,
        self.found: list[tuple[Group, Sequence[Fit]]] = []

    def run(self) -> list[Suggestion]:
        """What is found: arrays first, the largest of them, then single numbers, as long as one helps another."""
        arrays: list[Group] = sorted(self.document.groups, key=lambda group: -len(group[1]))
        single: list[Group] = [((), (at,)) for at in sorted(self.open) if self.numbers[at].decimal]
        for item in arrays:
            self.claim(item, self.often, CERTAIN)
        shift, done = self.shift(), -1
        while done < len(self.placed):
            done = len(self.placed)
            for item in (*arrays, *single):
                for some, limit in self.contexts(item, shift) if not self.open.isdisjoint(item[1]) else ():
                    self.claim(item, some, limit)
        for item, fits in self.found:  # of equal ones, now that all is known that stands around
            self.place(item, fits)
        named = []
        for (shape, members), _ in self.found:
            fit, numbers = self.placed[members[0]], tuple(self.numbers[member] for member in members)
            quantity, at = self.pool.owner(fit), pointer(self.document, numbers[0].start)
            named.append(Suggestion(quantity.state, quantity.key if shape else self.pool.key(fit), numbers, shape, at))
        return sorted(named, key=lambda one: one.numbers[0].start)

    def contexts(self, item: Group, shift: int) -> Iterator[tuple[Pool, float]]:
        """Where an item is sought, and how many values it may fit there by chance.

        That is what stands beside what is known, what is counted, what it is called, what is said again, and the runs
        of what stands around.
        """
        shape, (first, *_) = item
        counted = self.counted(first, shift)
        if not shape:
            yield self.pool.at(self.beside(first)), math.inf
        yield self.of(counted), min(SUPPORTED.values())
        yield self.often, CERTAIN
        for runs in (counted, self.states) if not shape else ():
            called = (fit for fit in self.called(first) if self.pool.owner(fit).state in runs)
            yield self.pool.at(called), CALLED + self.numbers[first].share
        digits = self.numbers[first].digits
        yield self.pool.at(self.said[digits] if len(digits[1]) > 2 else ()), CERTAIN  # two say many a thing
        yield self.pool.at(map(self.placed.__getitem__, self.known(first, BEHIND))), CERTAIN
        for characters, supported in SUPPORTED.items():
            yield self.of(self.runs(first, characters)), supported

    def believed(self, item: Group, some: Pool, limit: float) -> list[Fit]:
        """The quantities or entries, of some, that are printed so, if no more than `limit` are by chance."""
        shape, members = item
        if not some.fits.size or self.open.isdisjoint(members):
            return []
        if shape:
            return some.arrays([self.numbers[member] for member in members], shape, limit)
        number, chance = self.numbers[members[0]], some.chance(self.numbers[members[0]])
        fits = some.fitting(number) if chance <= limit else []
        sure = chance < CERTAIN or limit > CALLED  # as a sum must be, or called so
        return [fit for fit in fits if sure or self.pool.owner(fit).rank % FAR < DERIVED]

    def claim(self, item: Group, some: Pool, limit: float) -> None:
        """Make of numbers that are open what all that is believed of them has in common, if it does."""
        rows = [(fit, self.pool.flat[fit : fit + len(item[1])]) for fit in self.believed(item, some, limit)]
        nodes = [one for one in rows if self.pool.owner(one[0]).rank < DERIVED]  # v rather than v + eps
        for alike in (rows, nodes):
            if alike and all(np.max(np.abs(row - alike[0][1])) <= SAME * np.max(np.abs(row)) for _, row in alike):
                self.found.append((item, [fit for fit, _ in alike]))
                self.place(*self.found[-1])
                break

    def place(self, item: Group, fits: Sequence[Fit]) -> None:
        """Of what fits alike, what an array is called, or what is nearest to what stands around: by section, by run."""
        shape, members = item
        section, near = self.document.under(self.starts[members[0]]), self.known(members[0], BEHIND, members)
        beside = [self.placed[n] for n in near if self.document.under(self.starts[n]) == section]
        here = Counter(self.pool.owner(fit).state.case for fit in beside)
        runs = self.runs(members[0], BEHIND, members)
        named, words = self.called(members[0]), self.words(members[0])
        initials = {f"d{word[0]}" for word in words if word in ("weight", "bias")}  # of their gradients

        def apart(fit: Fit) -> tuple[int, ...]:
            quantity, further = self.pool.owner(fit), self.pool.rank(fit)[bool(shape) :]
            known = fit in named or quantity.key.partition("(")[0] in words or quantity.of[:2].lower() in initials
            return not known, -here[quantity.state.case], bool(runs) and quantity.state not in runs, *further

        best = min(fits, key=apart)
        for member, fit in zip(members, range(best, best + len(members)), strict=True):
            self.placed[member] = fit
            self.said[self.numbers[member].digits].add(fit)
        self.open.difference_update(members)

    def counted(self, at: int, shift: int) -> frozenset[State]:
        """The runs after so many updates or epochs as the line or row of a number counts, and some more."""
        counts = {count + shift for count in self.counters.get(at, ())}
        return frozenset(state for state in self.states if not counts.isdisjoint(state.counts))

    def shift(self) -> int:
        """How many more updates than the text counts its numbers are of: -1 if it counts a loss before its update."""
        single = [at for at in self.counters if at in self.open and self.numbers[at].decimal]
        lines = {at: self.numbers[at].place.line for at in single}

        def told(shift: int) -> set[int]:
            runs = {at: self.of(self.counted(at, shift)) for at in lines}
            return {line for at, line in lines.items() if self.believed(((), (at,)), runs[at], CERTAIN)}

        best = max((0, -1, 1), key=lambda shift: len(told(shift)))
        return best if lines and len(told(best)) >= len({*lines.values()}) / 2 else NEVER

    def known(self, at: int, characters: int, but: Sequence[int] = ()) -> list[int]:
        """The numbers so near to one, itself among them, of which it is known what they are, save some."""
        start = self.starts[at]
        first, last = bisect_right(self.starts, start - characters), bisect_left(self.starts, start + characters)
        near = range(max(first, at - MANY), min(last, at + MANY))
        return [n for n in near if n in self.placed and n not in but]

    def runs(self, at: int, characters: int, but: Sequence[int] = ()) -> frozenset[State]:
        """What those are of."""
        return frozenset(self.pool.owner(self.placed[n]).state for n in self.known(at, characters, but))

    def beside(self, at: int) -> Iterator[Fit]:
        """The entry after the one that is printed just before, and the one before that which is printed just behind."""
        for step in (-1, 1):
            if at + step in self.known(at, BESIDE):
                known = self.placed[at + step]
                first = int(self.pool.starts[self.pool.owners[known]])
                if 0 <= known - step - first < self.pool.owner(known).value.size:
                    yield known - step

    def near(self, at: int, singles: Callable[[], Pool]) -> Iterator[str]:
        """What a number that fits nothing is of a float32 run, or nearly is, if anything is known of it."""
        number, often = self.numbers[at], self.often
        _, digits, last = number.digits
        yield from self.slips(number, self.beside(at))  # in its place, by what stands around it
        for shape, members in (group for group in self.document.groups if at in group[1]):
            entry = members.index(at)
            found = often.arrays([self.numbers[member] for member in members], shape, CERTAIN, but=entry)
            yield from self.slips(number, (first + entry for first in found))
        if len(digits) >= PRECISE and singles().chance(number) < NEARLY:
            for twin in map(singles().name, singles().fitting(number)):
                yield f"it is {twin}, which a case with dtype: float32 computes"
        places = range(last, last + min(len(digits), REPR_DIGITS))
        steps = [sign * digit * 10.0**place for place in places for digit in range(1, 10) for sign in (1, -1)]
        smaller = replace(number, text=re.sub("[1-9]", "0", number.text, count=1))  # around which there are more values
        for some in (steps[:2], steps):
            if len(some) * max(often.chance(number), often.chance(smaller)) < NEARLY:
                yield from self.slips(number, (fit for step in some for fit in self.pool.fitting(number, step)))

    def slips(self, number: Number, fits: Iterable[Fit]) -> Iterator[str]:
        """The values from which a number differs by its rounding alone, or in one digit, and how it does."""
        for fit in fits:
            judged = judge_number(number.text, self.pool.flat[fit])
            one_digit = len(number.text) == len(judged.shown) and sum(map(operator.ne, number.text, judged.shown)) == 1
            kinds = {
                "cut off, not rounded": judged.verdict.label == "truncated",
                "rounded the other way": judged.error is not None and abs(judged.error) < 2 * judged.tolerance,
                "one digit differs": one_digit,
            }
            if not judged.verdict.passed:
                yield from (f"{self.pool.name(fit)} is {judged.shown}: {how}" for how, holds in kinds.items() if holds)
