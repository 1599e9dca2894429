"""The rows of two tables, matched by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.object_]
Positions = NDArray[np.intp]
Table = dict[str, Texts]


@dataclass(frozen=True)
class RowNames:
    """What tells the rows of one side apart: the same row has the same id on both sides.

    `nth` counts the rows of the same key, from 0.
    """

    ids: Positions
    nth: Positions
    keys: Mapping[str, Texts]

    def text(self, row: int) -> str:
        """The row's key, for people; a row without one by its number, from 1."""
        if not self.keys:
            return str(row + 1)
        named = ", ".join(f"{key}={texts[row]}" for key, texts in self.keys.items() if texts[row] != "")
        return f"{named} (no. {self.nth[row] + 1})" if self.nth[row] else named


@dataclass(frozen=True)
class Rows:
    """Row numbers: `in_a` and `in_b` are the same rows pair by pair."""

    in_a: Positions
    in_b: Positions
    only_a: Positions
    only_b: Positions


def row_names(a: Table, b: Table, keys: Sequence[str]) -> tuple[RowNames, RowNames]:
    """What the rows of each table are called by the columns `keys`; without any, by where they stand."""
    import pandas as pd

    count = len(next(iter(a.values())))
    total = count + len(next(iter(b.values())))
    codes = np.zeros(total, np.intp)
    for key in keys:
        code, distinct = pd.factorize(np.concatenate([a[key], b[key]]))
        codes = pd.factorize(codes * len(distinct) + code)[0]  # small again, so that the next product fits
    nth = np.concatenate([_nth(codes[:count]), _nth(codes[count:])])
    ids = codes * (nth.max(initial=0) + 1) + nth
    return (
        RowNames(ids[:count], nth[:count], {key: a[key] for key in keys}),
        RowNames(ids[count:], nth[count:], {key: b[key] for key in keys}),
    )


def _nth(codes: Positions) -> Positions:
    """How many times each code has occurred before."""
    import pandas as pd

    return np.asarray(pd.Series(codes).groupby(codes).cumcount(), np.intp)


def match(a: Table, b: Table, keys: Sequence[str], texts: Sequence[str]) -> Rows:
    """The rows of the same key; of several of one key, first those that say the same in `texts`."""
    rows = pairs(*row_names(a, b, (*keys, *texts)))
    left_a, left_b = (
        {name: table[name][only] for name in table} for table, only in ((a, rows.only_a), (b, rows.only_b))
    )
    left = pairs(*row_names(left_a, left_b, keys))
    in_a = np.concatenate([rows.in_a, rows.only_a[left.in_a]])
    in_b = np.concatenate([rows.in_b, rows.only_b[left.in_b]])
    order = np.argsort(in_a)
    return Rows(in_a[order], in_b[order], rows.only_a[left.only_a], rows.only_b[left.only_b])


def pairs(a: RowNames, b: RowNames) -> Rows:
    """The rows that are called the same."""
    import pandas as pd

    ids_a, ids_b = a.ids, b.ids

    partner = np.asarray(pd.Index(ids_b).get_indexer(pd.Index(ids_a)), np.intp)
    in_a = np.flatnonzero(partner >= 0)
    in_b = partner[in_a]
    alone_b = np.ones(len(ids_b), np.bool_)
    alone_b[in_b] = False
    return Rows(in_a, in_b, np.flatnonzero(partner < 0), np.flatnonzero(alone_b))
