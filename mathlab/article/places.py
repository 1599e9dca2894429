"""Numbers that stand where another belongs: in the place of an array's other entry, or behind another's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, permutations

import numpy as np

from mathlab.article.formats import CELL, CLOSE, OPEN, ROW, Span
from mathlab.article.labels import Called, called, folded, numbered
from mathlab.article.text import LARGEST_ARRAY, Digits, Document, Number, digits_of
from mathlab.experiment import INFINITE, Array
from mathlab.printed import without_ones
from mathlab.results import BackpropResult, ExperimentResult, FigureResult, Judged

BEFORE = 400  # characters before a number, or a quote, that are near it
TELLING = 3  # digits that hardly any other number has by chance
NAMED = 4  # values of what a number is called
FEW = 2  # numbers that may stand in any order, unless in brackets
TURNS = 24  # ways to print an array, of four axes
BEGUN = re.compile(rf"(?:[\[{OPEN}]|(?<!\w)\()[\s\0$\[({CELL}{ROW}]*\Z")  # an array, and no function's arguments
ENDED = re.compile(rf"\.?[\s\0${ROW}]*[\]){CLOSE}]")
IF = re.compile(r"\b(?:if|say|suppose|instead|would|were)\b", re.IGNORECASE)  # before what is not so
ELSEWHERE = re.compile(  # before a name whose value is another for once
    r"\b(?:when|for|at|new|after|updated?|next|then|becomes?|epoch|step|iter(?:ation)?)\b", re.IGNORECASE
)
WORKED_ON = re.compile(r"[ \t\0$`}]*(?:[-+*/^@(=×·⊙]|[^\W\d](?:_?\{?\d+)?\b(?!\s*=))")  # w = 0.9 * v + ...


def misplaced(
    documents: Sequence[Document],
    figures: Sequence[FigureResult],
    spans: Mapping[str, Sequence[Sequence[Span]]],
    given: Container[float],
) -> Mapping[Number, str]:
    """The numbers of arrays in brackets that are a figure's own, but not in their places, and what belongs there.

    The array is the figure in another order, or one of its numbers is another's; it stands in brackets, or the figure
    stands nowhere as it should. Nothing is said of what is part of one that does; nor, unless it is called so, of what
    is given, of whole numbers, and, where the figure stands elsewhere, of few digits or a row.
    """
    arrays: dict[object, list[tuple[int, list[Number]]]] = defaultdict(list)
    for part, document in enumerate(documents):
        for array in ([document.numbers[member] for member in members] for _, members in document.groups):
            for key in _keys([number.meant.digits for number in array]):
                arrays[key].append((part, array))
    fits = []  # of the same size, and how many numbers are apart
    for figure in figures:
        orders = {tuple(digits_of(entry.printed) for entry in order): order for order in _orders(figure)}
        for own, order in orders.items():
            for part, array in (one for key in _keys(own) for one in arrays.get(key, ())):
                digits = [number.meant.digits for number in array]
                apart = [at for at, is_own in enumerate(own) if digits[at] != is_own]
                if sorted(digits) == sorted(own) or len(apart) == 1:
                    fits.append((part, array, apart, figure, order))
    right = {id(figure) for _, _, apart, figure, order in fits if not apart and len(order) == len(figure.entries)}
    settled: set[Number] = set()
    found: dict[Number, str] = {}
    for part, array, apart, figure, order in sorted(fits, key=lambda fit: (-len(fit[1]), len(fit[2]))):
        text, first, last = documents[part].text, array[0], array[-1]
        begun = BEGUN.search(text, max(first.start - BEFORE, 0), first.start)
        nowhere = id(figure) not in right and FEW < len(order) == len(figure.entries)
        brackets = begun and ENDED.match(text, last.end) and "and" not in text[first.end : last.start]
        known = {digits_of(entry.printed) for entry in order}
        stands = nowhere or (brackets and known.issuperset(array[at].meant.digits for at in apart))
        here = any(start <= first.start < end for start, end in spans[figure.at][part])
        chance = (
            all(number.value in given for number in array)
            or not any(number.decimal for number in array)
            or (id(figure) in right and len(order) < len(figure.entries))
            or (id(figure) in right and any(len(array[at].digits[1]) < TELLING for at in apart))
        )
        line = text[max(first.start - BEFORE, 0) : first.start].rpartition("\n")[2]
        said = called(text, begun.start()) if begun else Called()
        named = said.equal and folded(figure.key) in said.names and not (IF.search(line) or ELSEWHERE.search(line))
        if (not apart or (stands and here and (named or not chance))) and not settled.issuperset(array):
            settled.update(array)
            found |= {array[at]: f"{figure.key} has {order[at].printed} there" for at in apart}
    return found


@dataclass(frozen=True, eq=False)
class Named:
    """An array that figures print or a config gives: the values of its entries, and the ways to number these.

    A way says which entry a name means. A value is one before training, after some of it, or in one of the cases.
    """

    name: str
    values: Mapping[int, set[float]]
    ways: Sequence[Mapping[str, int]]
    given: bool

    def known(self, name: str, way: Mapping[str, int]) -> list[float]:
        """The values of what is called so: of the array, where no entry is."""
        return sorted(self.values[way[name]] if name in way else chain(*self.values.values()))

    def fits(self, number: Number, name: str, way: Mapping[str, int]) -> bool:
        values = self.known(name, way)
        return any(abs(one.value - value) <= one.half_unit for value in values for one in (number, number.meant))

    def way(self, calls: Sequence[tuple[Number, str]]) -> Mapping[str, int]:
        """How a text numbers the entries: so that there are all of which it speaks, and most are what they are."""

        def misfits(way: Mapping[str, int]) -> tuple[int, int]:
            wrong = sum(not self.fits(number, name, way) for number, name in calls)
            return -sum(name in way for _, name in calls), wrong

        return min(self.ways, key=misfits, default={})


Names = Mapping[str, Sequence[Named]]  # by all that a text may call an array or one of its entries


def names_of(result: ExperimentResult, given: Sequence[tuple[str, Array]]) -> Names:
    """What is printed of a result, as an array or entry by entry, and what is given."""
    arrays = [*given]
    values: dict[tuple[str, tuple[int, ...]], dict[int, set[float]]] = defaultdict(lambda: defaultdict(set))
    for case in result.cases:
        found = case.found("backprop", BackpropResult)
        computed = {name: one for name, one in (found.arrays if found else {}).items() if one.size <= LARGEST_ARRAY}
        for figure in case.figures:
            name, index = _entry(figure.key)
            entries = np.array([entry.computed for entry in figure.entries])
            array = computed.get(name, None if index or not name else entries.reshape(figure.shape))
            if array is not None and not figure.worked_out:
                arrays.append((name, array))
                places = np.arange(array.size).reshape(array.shape)[index]
                for at, entry in zip(places.ravel().tolist(), figure.entries, strict=True):
                    values[name, array.shape][at] |= {entry.computed, float(entry.printed)}
    for name, array in arrays:
        for at, value in enumerate(array.ravel().tolist()):
            values[name, array.shape][at].add(value)
    names: dict[str, list[Named]] = defaultdict(list)
    for (name, shape), known in values.items():
        base = folded(name.rpartition(".")[2])
        ways = [{entry: at for at, entry in enumerate(way)} for way in numbered(base, shape)]
        named = Named(name, known, ways, any(name == one for one, _ in given))
        for called_so in {base, *chain(*ways)}:
            names[called_so].append(named)
    return names


def miscalled(
    documents: Sequence[Document], claims: Mapping[Number, Mapping[int, set[str]]], names: Sequence[Names]
) -> Mapping[Number, str]:
    """The numbers that the text calls something else than what accounts for them, and what that is.

    Of each number that is accounted for, `claims` has the keys of the figures that it is, by experiment; none where it
    is merely given. What is claimed by a formula may be called anything, and so may a figure of another array, unless
    an equals sign says what it is.
    """
    asked = []
    calls: dict[Named, list[tuple[Number, str]]] = defaultdict(list)
    for text, number in ((one.text, number) for one in documents for number in one.numbers):
        start = number.start
        line = text[max(start - BEFORE, 0) : start].rpartition("\n")[2]
        if number not in claims or WORKED_ON.match(text, number.end) or IF.search(line):
            continue
        said, keys = called(text, start), claims[number]
        readings = [
            (named, name)
            for experiment in keys or range(len(names))
            for word in said.names
            for name in (word, f"d{word}")
            for named in names[experiment].get(name, ())
            if keys or named.given
        ]
        arrays = {_entry(key)[0] for some in keys.values() for key in some}
        numbered_ones = {named for named, name in readings if name != folded(named.name)}
        readings = [
            (named, name) for named, name in readings if name != folded(named.name) or named not in numbered_ones
        ]
        sure = said.equal and (len(number.digits[1]) >= TELLING if keys else not ELSEWHERE.search(line))
        alike = said.plain and not arrays.isdisjoint(named.name for named, _ in readings)
        known = all(folded(_entry(key)[0]) in names[at] for at, some in keys.items() for key in some)
        if readings and known and (sure or alike):
            asked.append((number, readings, arrays))
            for named, name in readings:
                calls[named].append((number, name))
    ways = {named: named.way(some) for named, some in calls.items()}
    found = {}
    for number, readings, arrays in asked:
        if not any(named.fits(number, name, ways[named]) for named, name in readings):
            named, name = min(readings, key=lambda one: (one[0].name not in arrays, one[1]))
            values = [f"{value:.{len(number.digits[1])}g}" for value in named.known(name, ways[named])]
            found[number] = f"{name} is {', '.join([*dict.fromkeys(values)][:NAMED])}"
    return found


def _entry(key: str) -> tuple[str, tuple[int, ...]]:
    """The array of which a figure prints an entry, a row or the whole, and where; without a name for any other."""
    plain = re.fullmatch(r"([^\W\d]\w*)(?:\[([\d, ]+)\])?", key)
    return (plain[1], tuple(int(at) for at in (plain[2] or "").split(",") if at)) if plain else ("", ())


def _keys(array: Sequence[Digits]) -> Iterator[object]:
    """What an array shares with one in another order, or in which a single number is another."""
    yield tuple(sorted(array))
    yield from ((len(array), at, array[at]) for at in (0, 1))


def _orders(figure: FigureResult) -> Iterator[tuple[Judged, ...]]:
    """The entries of an array as an article may print them: one axis after another, or a row along one of the axes."""
    if 1 < len(figure.entries) <= LARGEST_ARRAY and not any(entry.printed in INFINITE for entry in figure.entries):
        places = np.arange(len(figure.entries)).reshape(without_ones(figure.shape))
        for axes in islice(permutations(range(places.ndim)), TURNS):
            turned = places.transpose(axes)
            for order in (turned.ravel(), *turned.reshape(-1, turned.shape[-1])):
                yield tuple(figure.entries[at] for at in order)
