"""A CSV file of plain decimals such as 12 and -0.5, read by NumPy a block at a time: exactly, and without a parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDEST = 100_000  # columns of a file
BLOCK = 2**18  # bytes that are read at a time: what is made of them stays in the cache
WHOLE = 18  # digits of a whole number, which int64 holds all of
EXACT = (
    15  # digits of a decimal: float64 holds them, and the power of ten below them, so that the quotient is rounded once
)
POWERS = np.array([10.0**k for k in range(EXACT + 1)] + [1.0])  # the last, at -1, is for what has no point

ZERO, COMMA, NEWLINE, POINT, MINUS = (ord(sign) for sign in "0,\n.-")

Indices = NDArray[np.intp]


class NotPlain(Exception):
    """The file holds something else as well: a text, an exponent, an empty cell, a row of another length."""


@dataclass(frozen=True)
class Decimals:
    """Rows of a file: the digits of every cell as one whole number, and how many of them stand after its point.

    `places` is -1 in cells without a point, and None where no cell has one.
    """

    names: Sequence[str]
    digits: NDArray[np.integer]
    places: NDArray[np.integer] | None

    def entries(self, wanted: Sequence[int], before: int) -> NDArray[np.floating | np.integer]:
        """The entries of some columns: integers if all are. Every row is good, however many came `before`."""
        digits = self.digits.take(wanted, axis=1)
        if self.places is None or (places := self.places.take(wanted, axis=1)).max() < 0:
            return digits
        numbers: NDArray[np.floating] = digits / POWERS[places]
        return numbers


def blocks(path: Path, names: Sequence[str], header: bool) -> Iterator[Decimals]:
    """The rows of a file, from the first on that is no header; `names` are its columns', or none.

    Raises NotPlain, also after some rows, and for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(BLOCK)
            width = first.count(b",") + 1
            if width > WIDEST or (header and (width != len(names) or b'"' in first)):
                raise NotPlain
            names = names or [*map(str, range(width))]
            rest = b"" if header else first
            while piece := file.read(BLOCK):
                lines, newline, rest = (rest + piece).rpartition(b"\n")
                if not newline:
                    raise NotPlain
                yield _block(lines + newline, names)
            if rest:
                yield _block(rest + b"\n", names)
    except OSError:
        raise NotPlain from None


def _block(text: bytes, names: Sequence[str]) -> Decimals:
    """What whole lines hold."""
    characters = np.frombuffer(text.replace(b"\r\n", b"\n"), np.uint8)
    digits = characters - np.uint8(ZERO)
    marks = np.flatnonzero(digits > 9)
    signs = characters[marks]
    ends = marks[(signs == COMMA) | (signs == NEWLINE)]
    if not len(ends) or len(ends) % len(names):
        raise NotPlain
    rows = characters[ends].reshape(-1, len(names))
    if (rows[:, -1] != NEWLINE).any() or (rows[:, :-1] != COMMA).any():
        raise NotPlain
    if len(ends) == len(marks):
        return Decimals(names, _whole(digits, ends, WHOLE).reshape(rows.shape), None)
    points, minuses = marks[signs == POINT], marks[signs == MINUS]
    if len(ends) + len(points) + len(minuses) != len(marks):
        raise NotPlain
    places, negative = _places(points, ends), _negative(minuses, ends)
    between = np.union1d(points, minuses)
    found = _whole(np.delete(digits, between), ends - np.searchsorted(between, ends), EXACT)
    if (found[negative] == 0).any():  # -0.0 has a sign that no whole number has
        raise NotPlain
    found = found.astype(np.int64)
    found[negative] *= -1
    return Decimals(names, found.reshape(rows.shape), places.reshape(rows.shape))


def _places(points: Indices, ends: Indices) -> NDArray[np.int8]:
    """How many digits stand after the point of each cell, -1 where it has none."""
    cells = np.searchsorted(ends, points)
    if (cells[1:] == cells[:-1]).any():
        raise NotPlain
    places = np.full(len(ends), -1)
    places[cells] = ends[cells] - points - 1
    if places.max() > EXACT:
        raise NotPlain
    return places.astype(np.int8)


def _negative(minuses: Indices, ends: Indices) -> Indices:
    """The cells that begin with a minus."""
    cells = np.searchsorted(ends, minuses)
    if (minuses != np.where(cells > 0, ends[cells - 1] + 1, 0)).any():
        raise NotPlain
    return cells


def _whole(digits: NDArray[np.uint8], ends: Indices, most: int) -> NDArray[np.integer]:
    """The numbers whose digits end before `ends`, with one character between them, in a type that holds them."""
    lengths = np.diff(ends, prepend=-1) - 1
    longest = int(lengths.max())
    if lengths.min() < 1 or longest > most:
        raise NotPlain
    kind = np.min_scalar_type(10**longest - 1)
    numbers = digits[ends - 1].astype(kind)
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        numbers[longer] += digits[ends[longer] - (place + 1)] * kind.type(10**place)
    return numbers
