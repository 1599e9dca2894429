"""`{file: digits.csv, columns: [...]}`: columns of a CSV file, which is read once for all that are wanted of it."""

from __future__ import annotations

import csv
import mmap
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mathlab.config.datafiles import LARGEST, DataError, Numbers
from mathlab.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Sheet: TypeAlias = "tuple[Sequence[str], Sequence[pd.DataFrame]]"  # the names of columns, and the rows in pieces

PIECE = 1_000_000  # entries of a CSV file that are read at a time
WIDEST = 100_000  # columns of a file; pandas needs seconds for more
LONGEST_LINE = 50_000_000  # bytes that are looked at to tell


def read_csv(path: Path, header: bool | None) -> Sheet:
    """The names of a file's columns and its rows, whole numbers as narrow as they are. Raises DataError."""
    names = _header(path, header)
    pieces, entries = [], 0
    for frame in _frames(path, header is not False):
        pieces.append(_slim(frame))
        entries += frame.size
        if entries > LARGEST:
            raise DataError(f"{path.name} holds more than {LARGEST} entries")
    return names or [*map(str, pieces[0].columns)], pieces


def select(sheet: Sheet, columns: Sequence[str] | None, but: Sequence[str], file: str) -> Numbers:
    """Some columns but for those in `but`, in the order in which they are named; None means all of them.

    A column goes by its name, or by its position from 0; `first..last` are all from one to the other. One gives shape
    (rows,), several give (rows, columns), of the narrowest type that holds whole numbers, else float64.

    Raises DataError for what is not there or is no finite number.
    """
    names, pieces = sheet
    if columns is None and "" in names:  # as of a row's number, which is no data
        raise DataError(f"column {names.index('')} of {file} has no name in the first row; choose the 'columns'")
    wanted = chosen(names, columns, but, file)
    if not any(map(len, pieces)):
        raise DataError(f"{file} has no rows")
    dtype = _narrowest(piece.iloc[:, wanted].to_numpy() for piece in pieces)
    found, row = np.empty((sum(map(len, pieces)), len(wanted)), dtype), 0  # which is filled, so that nothing is joined
    for piece in pieces:
        entries = _entries(piece.iloc[:, wanted], [names[at] for at in wanted], file, row)
        found[row : (row := row + len(piece))] = entries
    return found[:, 0] if len(wanted) == 1 else found


def _header(path: Path, header: bool | None) -> list[str]:
    """The names in the first row, none without a header. Raises DataError where it may be data, or has two alike."""
    if header is False:
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(filter(None, csv.reader(file)), [])
    except (OSError, ValueError, csv.Error):
        return []  # pandas says why
    try:
        numbers = [*map(float, names)]
    except ValueError:
        numbers = []
    if header is None and numbers:
        message = f"every cell in the first row of {path.name} is a number: say 'header: false' if it is data"
        raise DataError(f"{message}, or 'header: true' if these are names")
    if twice := next((name for name, times in Counter(filter(None, names)).items() if times > 1), None):
        raise DataError(f"{path.name} has two columns that are called {twice!r}")
    return names


def chosen(names: Sequence[str], columns: Sequence[str] | None, but: Sequence[str], file: str) -> list[int]:
    """The positions of the columns that are meant. Raises DataError for one that `file` does not have, or for none."""
    every = range(len(names)) if columns is None else [at for word in columns for at in _positions(word, names, file)]
    left_out = {at for word in but for at in _positions(word, names, file)}
    found = [at for at in every if at not in left_out]
    if not found:
        raise DataError(f"no column of {file} is left")
    return found


def _positions(word: str, names: Sequence[str], file: str) -> Sequence[int]:
    first, dots, last = word.partition("..")
    if not dots or word in names:
        return [_position(word, names, file)]
    start = _position(first, names, file) if first else 0
    stop = _position(last, names, file) if last else len(names) - 1
    if start > stop:
        raise DataError(f"in {file}, column {first!r} stands after {last!r}")
    return range(start, stop + 1)


def _position(word: str, names: Sequence[str], file: str) -> int:
    if word in names:
        return names.index(word)
    if re.fullmatch("-?[0-9]{1,9}", word) and -len(names) <= int(word) < len(names):
        return int(word) % len(names)
    raise DataError(f"{file} has no column {word!r}{did_you_mean(word, names)}")


def _frames(path: Path, header: bool) -> Iterator[pd.DataFrame]:
    """The rows of a file, piece by piece; one without rows gives one empty frame."""
    import pandas as pd

    try:
        with path.open("rb") as file:
            width = file.readline(LONGEST_LINE).count(b",") + 1  # or more, where names in quotes hold commas
        if width > WIDEST:
            raise DataError(f"{path.name} has more than {WIDEST} columns")
        if width == 1 and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if gap := re.search(rb"\S[ \t]*\r?\n[ \t]*\r?\n\s*\S", content):
                    line = content[: gap.start()].count(b"\n") + 2
                    raise DataError(f"line {line} of {path.name} is empty")  # which pandas would leave out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # floats are read exactly, and from pandas 3.1 on one need not ask for it
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with pd.read_csv(
                path,
                header=0 if header else None,
                index_col=False,
                float_precision="round_trip",
                low_memory=False,
                iterator=True,
            ) as reader:
                rows = 1
                while True:
                    yield (frame := reader.get_chunk(rows).copy())  # with columns of one type as one array
                    rows = max(1, PIECE // max(1, frame.shape[1]))
    except StopIteration:
        return
    except pd.errors.ParserWarning:  # pandas would cut them
        raise DataError(f"{path.name} has rows that are longer than its first") from None
    except (ValueError, OSError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise DataError(f"{path.name} is not a CSV file: {reason}") from None


def _slim(frame: pd.DataFrame) -> pd.DataFrame:
    """The same numbers in less room, and truth values, which are none, as texts."""
    whole, truths = frame.select_dtypes(np.int64), frame.select_dtypes(bool)
    slim = _narrowest([whole.to_numpy()])
    if whole.shape == frame.shape:
        return frame.astype(slim)  # as one array, where each column would become one
    if whole.empty and truths.empty:
        return frame
    return frame.astype({**dict.fromkeys(whole, slim), **dict.fromkeys(truths, str)})


def _entries(rows: pd.DataFrame, names: Sequence[str], file: str, before: int) -> Numbers:
    """The entries of columns of these `names`, below so many rows. Raises DataError for the first bad one."""
    import pandas as pd

    if {dtype.kind for dtype in rows.dtypes} <= {*"iuf"} and np.isfinite(numbers := rows.to_numpy()).all():
        return numbers
    columns: list[NDArray[np.float64]] = []
    for at, name in enumerate(names):
        column = rows.iloc[:, at]  # read as texts, if one entry is bad
        try:
            read = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        except OverflowError:  # one of Python's whole numbers, beyond float64
            read = pd.to_numeric(column.astype(str), errors="coerce").to_numpy(dtype=np.float64)
        if (bad := ~np.isfinite(read)).any():
            row = int(np.argmax(bad))
            entry = column.iloc[row]
            wrong = "empty or NaN" if pd.isna(entry) else f"{str(entry)!r}, which is not a finite number"
            raise DataError(f"row {before + row + 1} in column {name!r} of {file} is {wrong}")
        columns.append(read)
    return np.column_stack(columns)


def _narrowest(arrays: Iterable[Numbers]) -> np.dtype[np.generic]:
    """The narrowest type that holds whole numbers, what int64 holds as no uint64: a pixel takes one byte, not eight."""
    low = high = 0
    for one in arrays:
        if one.dtype.kind not in "iu":
            return np.dtype(np.float64)
        low, high = min(low, int(one.min(initial=0))), max(high, int(one.max(initial=0)))
    signed = low < 0 or 2**32 <= high < 2**63
    dtype = np.min_scalar_type(min(low, ~high) if signed else high)
    return dtype if dtype.kind in "iu" else np.dtype(np.float64)
