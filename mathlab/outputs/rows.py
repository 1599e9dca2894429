"""The rows of two tables, matched by their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.object_]
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


def called(table: Table, keys: Sequence[str], rows: Iterable[int] | None = None) -> list[Called]:
    """What each of the rows is called by the columns `keys`; without any, by where it stands."""
    count = len(next(iter(table.values())))
    cells = list(zip(*(table[key] for key in keys), strict=True)) if keys else list(repeat((), count))
    seen: Counter[tuple[str, ...]] = Counter()
    found = []
    for row in range(count) if rows is None else rows:
        found.append((cells[row], seen[cells[row]]))
        seen[cells[row]] += 1
    return found


def told(name: Called, keys: Sequence[str]) -> str:
    """A row's key, for people; a row without one by its number, from 1."""
    texts, nth = name
    if not keys:
        return str(nth + 1)
    named = ", ".join(f"{key}={text}" for key, text in zip(keys, texts, strict=True) if text != "")
    return f"{named} (no. {nth + 1})" if nth else named


def match(a: Table, b: Table, keys: Sequence[str], texts: Sequence[str]) -> Rows:
    """The rows of the same key; of several of one key, first those that say the same in `texts`."""
    only_a, only_b = (list(range(len(next(iter(table.values()))))) for table in (a, b))
    pairs: dict[int, int] = {}
    for names in ((*keys, *texts), keys) if texts else (keys,):
        place = dict(zip(called(b, names, only_b), only_b, strict=True))
        named = zip(only_a, called(a, names, only_a), strict=True)
        pairs |= {row: place.pop(name) for row, name in named if name in place}
        only_a, only_b = [row for row in only_a if row not in pairs], [*place.values()]
    in_a = sorted(pairs)
    return Rows(*(np.array(rows, np.intp) for rows in (in_a, [pairs[row] for row in in_a], only_a, only_b)))
