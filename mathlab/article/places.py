"""Numbers that stand where another belongs: in the place of an array's other entry, or behind another's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from mathlab.article.formats import CELL, CLOSE, OPEN, ROW, Span
from mathlab.article.labels import Called, called, folded, numbered
from mathlab.article.text import LARGEST_ARRAY, Digits, Document, Number, digits_of
from mathlab.experiment import INFINITE, Array
from mathlab.printed import without_ones
from mathlab.results import BackpropResult, ExperimentResult
from mathlab.results.judged import FigureResult, Judged

BEFORE = 400  # characters before a number, or a quote, that are near it
NAMED = 4  # values of what a number is called
FEW = 2  # numbers that may stand in any order, unless in brackets
BEGUN = re.compile(rf"(?:[\[{OPEN}]|(?<!\w)\()[\s\0$\[({CELL}{ROW}]*\Z")  # an array, and no function's arguments
ENDED = re.compile(rf"\.?[\s\0${ROW}]*[\]){CLOSE}]")
WORKED_ON = re.compile(r"[ \t\0$`}]*(?:[-+*/^@(=×·⊙]|[^\W\d](?:_?\{?\d+)?\b(?!\s*=))")  # w = 0.9 * v + ...


def misplaced(
    documents: Sequence[Document],
    figures: Sequence[FigureResult],
    spans: Mapping[str, Sequence[Sequence[Span]]],
    given: Container[float],
) -> Mapping[Number, str]:
    """The numbers of arrays that are a figure's own, but not in their places, and what belongs there.

    The array is the figure in another order, or one of its numbers is another's. It is called so; or else the figure
    stands nowhere as it should, and the array in brackets, or all of it. Then nothing is said of what is given, of
    whole numbers, and of what is part of one that stands as it should.
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
        said = called(text, begun.start()) if begun else Called()
        brackets = begun and ENDED.match(text, last.end) and "and" not in text[first.end : last.start]
        whole, printed = len(order) == len(figure.entries), {digits_of(entry.printed) for entry in order}
        inside = brackets and printed.issuperset(array[at].meant.digits for at in apart)
        named = brackets and (inside or whole) and said.equal and not said.once and folded(figure.key) in said.names
        chance = all(number.value in given for number in array) or not any(number.decimal for number in array)
        here = any(start <= first.start < end for start, end in spans[figure.at][part])
        wrong = named or (not chance and id(figure) not in right and (inside or (whole and len(order) > FEW)))
        if (not apart or (here and wrong)) and not settled.issuperset(array):
            settled.update(array)
            found |= {array[at]: f"{figure.key} has {order[at].printed} there" for at in apart}
    return found


class Named(NamedTuple):
    """An array of an experiment that figures print, or that its config gives, by the ways to number its entries.

    The values are all before training, after some of it, and in each case; each way has those of every entry's name.
    """

    experiment: int
    name: str
    values: set[float]
    ways: Sequence[Mapping[str, set[float]]]
    given: bool


Reading = tuple[Number, Named, str]  # a number, and the array of which it is called so: the whole, or an entry
Names = Mapping[str, Sequence[Named]]  # by all that a text may call an array or one of its entries


def names_of(results: Sequence[ExperimentResult], given: Sequence[Sequence[tuple[str, Array]]]) -> Names:
    """What is printed of some results, as an array or entry by entry, and what is given in each."""
    names: dict[str, list[Named]] = defaultdict(list)
    for experiment, (result, stated) in enumerate(zip(results, given, strict=True)):
        values: dict[tuple[str, tuple[int, ...]], dict[int, set[float]]] = defaultdict(lambda: defaultdict(set))
        arrays = [one for one in stated if " " not in one[0]]  # a constant has no name
        for case in result.cases:
            found = case.found("backprop", BackpropResult)
            for figure in (figure for figure in case.figures if not figure.worked_out):
                name, index = _entry(figure.key)
                own = np.array([entry.computed for entry in figure.entries]).reshape(figure.shape)
                array = (found.arrays if found else {}).get(name, own)
                if name and array.size <= LARGEST_ARRAY and (array is not own or not index):
                    arrays.append((name, array))
                    places = np.arange(array.size).reshape(array.shape)[index]
                    for at, entry in zip(places.ravel().tolist(), figure.entries, strict=True):
                        values[name, array.shape][at] |= {entry.computed, float(entry.printed)}
        for name, array in arrays:
            for at, value in enumerate(array.ravel().tolist()):
                values[name, array.shape][at].add(value)
        for (name, shape), known in values.items():
            whole, entries = folded(name.rpartition(".")[2]), [known[at] for at in sorted(known)]
            ways = [dict(zip(way, entries, strict=True)) for way in numbered(whole, shape)]
            named = Named(experiment, name, set().union(*entries), ways, any(name == one for one, _ in stated))
            for called_so in {whole, *chain(*ways)}:
                names[called_so].append(named)
    return names


def miscalled(
    documents: Sequence[Document], claims: Mapping[Number, Sequence[tuple[int, str]]], names: Names
) -> Mapping[Number, str]:
    """The numbers that the text calls something else than what accounts for them, and what that is.

    Of each number that is accounted for, `claims` has the figures that it is, by experiment and key; none where it is
    merely given. What is claimed by a formula may be called anything, and so may an entry of another array, unless an
    equals sign says what it is.
    """
    asked: list[list[Reading]] = []
    for text, number in ((one.text, number) for one in documents for number in one.numbers if number in claims):
        said, experiments = called(text, number.start), {experiment for experiment, _ in claims[number]}
        readings = [
            (number, named, name)
            for word in sorted(said.names)
            for name in (word, f"d{word}")
            for named in names.get(name, ())
            if (named.experiment in experiments if experiments else named.given)
        ]
        entries = {id(named) for _, named, name in readings if name != folded(named.name)}
        readings = [one for one in readings if one[2] != folded(one[1].name) or id(one[1]) not in entries]
        arrays = {_entry(key)[0] for _, key in claims[number]}
        alike = said.plain and not arrays.isdisjoint(named.name for _, named, _ in readings)
        sure = said.equal and (bool(experiments) or not said.once) and all(folded(array) in names for array in arrays)
        if readings and (sure or alike) and not WORKED_ON.match(text, number.end):
            asked.append(sorted(readings, key=lambda one: one[1].name not in arrays))
    calls: dict[int, list[Reading]] = defaultdict(list)
    for one in chain(*asked):
        calls[id(one[1])].append(one)
    ways = {at: _way(some) for at, some in calls.items()}
    found = {}
    for readings in asked:
        values = [ways[id(named)].get(name, named.values) for _, named, name in readings]
        number, _, name = readings[0]
        if not any(_fits(number, some) for some in values):
            told = dict.fromkeys(f"{value:.{len(number.digits[1])}g}" for value in sorted(values[0]))
            found[number] = f"{name} is {', '.join([*told][:NAMED])}"
    return found


def _way(calls: Sequence[Reading]) -> Mapping[str, set[float]]:
    """How a text numbers an array's entries: so that there are all of which it speaks, and most are what they are."""
    return max(
        calls[0][1].ways,
        key=lambda way: sum(len(calls) + _fits(number, way[name]) for number, _, name in calls if name in way),
        default={},
    )


def _fits(number: Number, values: Iterable[float]) -> bool:
    return any(abs(one.value - value) <= one.half_unit for value in values for one in (number, number.meant))


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
        for axis in reversed(range(places.ndim)):  # as they are before they are turned
            turned = np.moveaxis(places, axis, -1)
            for order in (turned.ravel(), *turned.reshape(-1, turned.shape[-1])):
                yield tuple(figure.entries[at] for at in order)
