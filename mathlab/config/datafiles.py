"""`{file: digits.csv, columns: [...]}`: arrays from files that lie beside the config."""

from __future__ import annotations

import csv
import mmap
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import did_you_mean
from mathlab.files import note

if TYPE_CHECKING:
    import pandas as pd
    from numpy.lib.npyio import NpzFile

LARGEST = 10**8  # entries of one array: 800 MB of float64
PIECE = 200_000  # entries of a CSV file that are read at a time
WIDEST = 100_000  # columns of a CSV file
LONGEST_LINE = 50_000_000  # bytes that are looked at to tell
LISTED = 10  # arrays of a file that are named
LARGEST_PACKED = 50_000_000  # bytes that any archive may unpack to; from there on
MOST_PACKED = 100  # bytes for each of its own, which data does not come near and a bomb goes beyond

Numbers = NDArray[np.floating | np.integer]


class DataError(Exception):
    """A data file that cannot be used, in one sentence."""


def beside(folder: Path, name: str, allowed: Sequence[Path] = ()) -> Path:
    """The file `name`, relative to the config's `folder`, under it or under one of the `allowed` folders.

    Raises DataError for one that is missing or lies elsewhere, links followed.
    """
    if Path(name).is_absolute() and not allowed:
        raise DataError(f"a data file is named relative to the config, not as {name!r}")
    try:
        path = (folder / name).resolve()
        inside = any(path.is_relative_to(home.resolve()) for home in (folder, *allowed))
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a NUL character, a name too long, a circle of links
        raise DataError(f"{name!r} cannot be the name of a file") from None
    if not inside:
        raise DataError(f"{name!r} lies outside the folder of the config; --allow-files permits another one")
    if not there:
        raise DataError(f"the file {name!r} does not exist")
    note(path)
    return path


def read_csv(path: Path, columns: Sequence[str] | None, but: Sequence[str], header: bool | None) -> Numbers:
    """Columns of a CSV file, but for those in `but`; None means all of them.

    One column gives shape (rows,), several give (rows, columns), in the order in which they are named. A column goes by
    its name, or by its position from 0; `first..last` are all from one to the other. The result has the narrowest type
    that holds whole numbers, else float64; the file is read in pieces, so that little else is held.

    Raises DataError, also for a file that may be meant otherwise: see `_header` and `_gapless`.
    """
    whole: Numbers | None = None
    given = _header(path, header, columns is None)
    for frame in _frames(path, header is not False):
        names = given or [str(name) for name in frame.columns]
        wanted = chosen(names, columns, but, path.name)
        part = _narrowed(_entries(frame.iloc[:, wanted], 0 if whole is None else len(whole), path.name))
        whole = part if whole is None else _extended(whole, part)
        if whole.size > LARGEST:
            raise DataError(f"{path.name} holds more than {LARGEST} entries")
    if whole is None or not len(whole):
        raise DataError(f"{path.name} has no rows")
    return np.ascontiguousarray(whole[:, 0]) if whole.shape[1] == 1 else whole


def _header(path: Path, header: bool | None, all_columns: bool) -> list[str]:
    """The names in the first row, none without a header.

    Raises DataError where `header` does not say whether the first row holds names, and it could be data; where two
    columns have one name; and where one without a name, as of a row's number, would be taken for data too.
    """
    if header is False:
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(filter(None, csv.reader(file)), [])
    except (OSError, ValueError, csv.Error):
        return []  # pandas says why
    if header is None and names and all(map(_is_number, names)):
        message = f"every cell in the first row of {path.name} is a number: say 'header: false' if it is data"
        raise DataError(f"{message}, or 'header: true' if these are names")
    if twice := next((name for name, times in Counter(filter(None, names)).items() if times > 1), None):
        raise DataError(f"{path.name} has two columns that are called {twice!r}")
    if all_columns and not all(names):
        raise DataError(f"column {names.index('')} of {path.name} has no name in the first row; choose the 'columns'")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _gapless(path: Path) -> None:
    """Raise DataError for an empty line between two that hold one number each: pandas would leave it out."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if gap := re.search(rb"\S[ \t]*\r?\n[ \t]*\r?\n\s*\S", content):
            line = content[: gap.start()].count(b"\n") + 2
            raise DataError(f"line {line} of {path.name} is empty")


def _width(path: Path) -> int:
    """How many columns the first line has, or more where its names are in quotes; pandas needs seconds for many."""
    with path.open("rb") as file:
        return file.readline(LONGEST_LINE).count(b",") + 1


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
    """The rows of a CSV file, some thousand entries at a time; a file without rows gives one empty frame."""
    import pandas as pd

    # from 3.1 on pandas reads floats exactly, and warns when it is asked to
    exact = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    try:
        width = _width(path)
        if width > WIDEST:
            raise DataError(f"{path.name} has more than {WIDEST} columns")
        if width == 1 and path.stat().st_size:
            _gapless(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with pd.read_csv(
                path,
                header=0 if header else None,
                index_col=False,
                float_precision=None if exact else "round_trip",
                low_memory=False,
                iterator=True,
            ) as reader:
                rows = 1
                while True:
                    frame = reader.get_chunk(rows)
                    yield frame
                    rows = max(1, PIECE // max(1, frame.shape[1]))
    except StopIteration:
        return
    except pd.errors.ParserWarning:  # pandas would cut them
        raise DataError(f"{path.name} has rows that are longer than its first") from None
    except (ValueError, OSError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise DataError(f"{path.name} is not a CSV file: {reason}") from None


def _entries(frame: pd.DataFrame, before: int, file: str) -> Numbers:
    """The entries of a frame, of which `before` rows have gone before: integers if all are."""
    if all(dtype.kind in "iu" for dtype in frame.dtypes):
        return frame.to_numpy()
    columns = (frame.iloc[:, at] for at in range(frame.shape[1]))
    return np.column_stack([_numbers(column, before, f"column {str(column.name)!r} of {file}") for column in columns])


def _numbers(column: pd.Series[float], before: int, what: str) -> NDArray[np.float64]:
    """The entries of one column. A column with one bad entry is read as texts, so the bad one has to be looked for."""
    import pandas as pd

    try:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    except OverflowError:  # one of Python's whole numbers, beyond float64
        numbers = pd.to_numeric(column.astype(str), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(numbers) | (column.dtype.kind == "b")
    if bad.any():
        row = int(np.argmax(bad))
        entry = column.iloc[row]
        wrong = "empty or NaN" if pd.isna(entry) else f"{str(entry)!r}, which is not a finite number"
        raise DataError(f"row {before + row + 1} in {what} is {wrong}")
    return numbers


def _narrowed(entries: Numbers) -> Numbers:
    """Integers in the narrowest type that holds them: a pixel takes one byte, not eight."""
    if entries.dtype.kind not in "iu" or not entries.size:
        return entries
    low, high = int(entries.min()), int(entries.max())
    return entries.astype(np.min_scalar_type(high if low >= 0 else min(low, ~high)))


def _extended(whole: Numbers, part: Numbers) -> Numbers:
    """`whole` with the rows of `part` added; its memory grows in place, so that it is not held twice."""
    wide = np.promote_types(whole.dtype, part.dtype)
    if wide != whole.dtype:
        whole = whole.astype(wide)
    rows = len(whole)
    whole.resize((rows + len(part), whole.shape[1]), refcheck=False)
    whole[rows:] = part
    return whole


def read_numpy(path: Path, array: str | None) -> Numbers:
    """The array of a .npy file, or the one named `array` of a .npz file, in its own type (floats: at most float64).

    Raises DataError. Pickled objects are refused.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                entries = archive[_unpackable(archive, _only(archive.files, array, path.name))]
        else:
            # mapped, so that a file that is too large is refused before it is read
            entries = np.load(path, mmap_mode="r", allow_pickle=False)
    except (DataError, MemoryError):
        raise
    except Exception:  # NumPy and zipfile stumble over a broken or hostile file in a dozen ways
        raise DataError(f"{path.name} is not a NumPy file of numbers") from None
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "iuf":
        raise DataError(f"{path.name} does not hold an array of real numbers")
    if not 0 < entries.size <= LARGEST:
        raise DataError(f"{path.name} holds {entries.size} entries; 1 to {LARGEST} can be used")
    kept = entries.dtype.newbyteorder("=") if entries.dtype.itemsize <= 8 else np.dtype(np.float64)
    values = np.array(entries, dtype=kept, order="C")
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):  # nan is both
        raise DataError(f"{path.name} holds a number that is not finite")
    return values


def _unpackable(archive: NpzFile, name: str) -> str:
    """`name`, when the archive packs that array no tighter than data can be. Raises DataError for a bomb."""
    assert archive.zip is not None  # as long as it is open
    packed = next(info for info in archive.zip.infolist() if info.filename in (name, f"{name}.npy"))
    if packed.file_size > max(LARGEST_PACKED, MOST_PACKED * packed.compress_size):
        raise DataError(f"the array {name!r} would unpack to {packed.file_size} bytes, which is too large")
    return name


def _only(names: Sequence[str], wanted: str | None, file: str) -> str:
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise DataError(f"{file} has no array {wanted!r}{did_you_mean(wanted, names)}")
    if len(names) != 1:
        listed = ", ".join([*names[:LISTED], *(["..."] if len(names) > LISTED else [])])
        raise DataError(f"{file} holds {len(names)} arrays ({listed}); choose one with 'array'")
    return names[0]
