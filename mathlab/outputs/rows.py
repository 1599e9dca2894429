"""The rows of two tables, matched by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRINGS = np.dtypes.StringDType()  # which holds a text in a third of the memory that Python takes for it
Texts = NDArray[np.str_]  # of STRINGS
Positions = NDArray[np.intp]
Table = dict[str, Texts]
Called = tuple[tuple[str, ...], int]  # a row's key, and how many rows of that key stand before it


@dataclass(frozen=True)
class Rows:
    """Row numbers: `in_a` and `in_b` are the same rows pair by pair."""

    in_a: Positions
    in_b: Positions
    only_a: Positions
    only_b: Positions


def called(table: Table, keys: Sequence[str], rows: Iterable[int] | None = None) -> Iterator[Called]:
    """What each of the rows is called by the columns `keys`; without any, by where it stands."""
    count = len(next(iter(table.values())))
    columns = [table[key] for key in keys]
    seen: dict[tuple[str, ...], int] = {}
    for row in range(count) if rows is None else rows:
        cells = tuple([column[row] for column in columns])
        nth = seen[cells] = seen.get(cells, -1) + 1
        yield cells, nth


def told(name: Called, keys: Sequence[str]) -> str:
    """A row's key, for people; a row without one by its number, from 1."""
    texts, nth = name
    if not keys:
        return str(nth + 1)
    named = ", ".join(f"{key}={text}" for key, text in zip(keys, texts, strict=True) if text != "")
    return f"{named} (no. {nth + 1})" if nth else named


def match(a: Table, b: Table, keys: Sequence[str], texts: Sequence[str]) -> Rows:
    """The rows of the same key; of several of one key, first those that say the same in `texts`."""
    count_a, count_b = (len(next(iter(table.values()))) for table in (a, b))
    if count_a == count_b and all(np.array_equal(a[name], b[name]) for name in (*keys, *texts)):
        every, none = np.arange(count_a), np.arange(0)  # each is where its partner is: what is below, in less memory
        return Rows(every, every, none, none)
    only_a, only_b = list(range(count_a)), list(range(count_b))
    pairs: dict[int, int] = {}
    for names in ((*keys, *texts), keys) if texts else (keys,):
        place = dict(zip(called(b, names, only_b), only_b, strict=True))
        named = zip(only_a, called(a, names, only_a), strict=True)
        pairs |= {row: place.pop(name) for row, name in named if name in place}
        only_a, only_b = [row for row in only_a if row not in pairs], [*place.values()]
    in_a = sorted(pairs)
    return Rows(*(np.array(rows, np.intp) for rows in (in_a, [pairs[row] for row in in_a], only_a, only_b)))
