"""Numbers that stand where another belongs: in the place of an array's other entry, or behind another's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice, permutations

import numpy as np

from mathlab.article.formats import CELL, CLOSE, OPEN, ROW, Span
from mathlab.article.text import LARGEST_ARRAY, Digits, Document, Number, digits_of
from mathlab.experiment import INFINITE
from mathlab.printed import without_ones
from mathlab.results import FigureResult, Judged

BEFORE = 400  # characters before a number, or a quote, that are near it
TELLING = 3  # digits that hardly any other number has by chance
TURNS = 24  # ways to print an array, of four axes
BEGUN = re.compile(rf"(?:[\[{OPEN}]|(?<!\w)\()[\s\0$\[({CELL}{ROW}]*\Z")  # an array, and no function's arguments
ENDED = re.compile(rf"\.?[\s\0${ROW}]*[\]){CLOSE}]")
EQUALS = re.compile(  # a name alone: no part of a formula, no hat, and no weight after an update
    rf"(?:^[\s\0>*$`&{ROW}-]*|[,;=&$][ $`]*|[:.][ $`]+|\b(?:and|with|let|where|weight|bias|input|from) [$`]?)"
    r"([^\W\d][\w{]*)[}$`& ]*=[\s\0$`]*\Z",
    re.MULTILINE,
)
ELSEWHERE = re.compile(  # before a name whose value is another for once
    r"\b(?:if|when|for|at|say|suppose|instead|would|were|new|after|updated?|next|then|becomes?|epoch|step|iter(?:ation)?)\b",
    re.IGNORECASE,
)
WORKED_ON = re.compile(r"[\s\0$`}]*(?:[-+*/^@(=×·⊙]|[^\W\d](?:_?\{?\d+)?\b(?!\s*=))")  # w = 0.9 * v + ...


def misplaced(
    documents: Sequence[Document],
    figures: Sequence[FigureResult],
    spans: Mapping[str, Sequence[Sequence[Span]]],
    given: Container[float],
) -> Mapping[Number, str]:
    """The numbers of arrays in brackets that are a figure's own, but not in their places, and what belongs there.

    The array is the figure in another order, or one of its numbers is another's. Nothing is said of what is part of one
    that stands as it should; nor, unless it is called so, of what is given, of whole numbers, and, where the figure
    stands elsewhere, of few digits or a row.
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
                if sorted(digits) == sorted(own) or (len(apart) == 1 and digits[apart[0]] in own):
                    fits.append((part, array, apart, figure, order))
    right = {id(figure) for _, _, apart, figure, order in fits if not apart and len(order) == len(figure.entries)}
    settled: set[Number] = set()
    found: dict[Number, str] = {}
    for part, array, apart, figure, order in sorted(fits, key=lambda fit: (-len(fit[1]), len(fit[2]))):
        text, first, last = documents[part].text, array[0], array[-1]
        begun = BEGUN.search(text, max(first.start - BEFORE, 0), first.start)
        stands = begun and ENDED.match(text, last.end) and "and" not in text[first.end : last.start]
        here = any(start <= first.start < end for start, end in spans[figure.at][part])
        chance = (
            all(number.value in given for number in array)
            or not any(number.decimal for number in array)
            or (id(figure) in right and len(order) < len(figure.entries))
            or (id(figure) in right and any(len(array[at].digits[1]) < TELLING for at in apart))
        )
        named = begun and called(text, begun.start()) == figure.key.replace("_", "")
        if (not apart or (stands and here and (named or not chance))) and not settled.issuperset(array):
            settled.update(array)
            found |= {array[at]: f"{figure.key} has {order[at].printed} there" for at in apart}
    return found


def called(text: str, start: int) -> str:
    """The name that the text says to equal what begins there, as it is without its marks; empty where it says none."""
    found = EQUALS.search(text, max(start - BEFORE, 0), start)
    line = text[max(start - BEFORE, 0) : start].rpartition("\n")[2]
    return re.sub(r"[_{]", "", found[1]) if found and not ELSEWHERE.search(line) else ""


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
