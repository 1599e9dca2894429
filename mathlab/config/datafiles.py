"""`{file: x.npy}`: arrays from files beside the config. A MathlabError names the one that cannot be used."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Array
from mathlab.files import missing, note

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

T = TypeVar("T")

LARGEST = 10**8  # entries of one array: 800 MB of float64
LARGEST_DRAWN = 35_000_000  # entries that one config draws: 280 MB
LISTED = 10  # arrays of a file that are named
LARGEST_PACKED = 50_000_000  # bytes that any archive may unpack to; from there on
MOST_PACKED = 100  # bytes for each of its own, which data does not come near and a bomb goes beyond
PIECE = 200_000  # entries of a CSV file that are read at a time

Numbers = NDArray[np.floating | np.integer]


class Sheet(NamedTuple):
    """A CSV file: its columns' names, and its rows in pieces, nan where there is no number, below so many of heads."""

    path: Path
    names: Sequence[str]
    pieces: Sequence[Numbers]
    heads: int


def beside(folder: Path, name: str, allowed: Sequence[Path] = ()) -> Path:
    """The file `name`, below the config's `folder` or those `allowed`, links followed. Raises MathlabError."""
    if Path(name).is_absolute() and not allowed:
        raise MathlabError(f"a data file is named relative to the config, not as {name!r}")
    named = folder / name
    try:
        path = named.resolve()
        inside = any(path.is_relative_to(home.resolve()) for home in (folder, *allowed))
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL character, a name too long, a circle of links
        why = missing(named, ()) if isinstance(error, RuntimeError) else "cannot be the name of a file"
        raise MathlabError(f"{name!r} {why}") from None
    if not inside:
        raise MathlabError(f"{name!r} lies outside the folder of the config; --allow-files permits another one")
    if not there:
        raise MathlabError(f"the file {name!r} {missing(named, (path.suffix,))}")
    note(path)
    return path


def read_numpy(path: Path, array: str | None) -> Numbers:
    """The array of a .npy file, or that `array` of a .npz file, floats as float64 at most. Raises MathlabError."""
    (entries,) = load_numpy(path, lambda names: [_only(names, array, path.name)]).values()
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "iuf":
        raise MathlabError(f"{path.name} does not hold an array of real numbers")
    if not 0 < entries.size <= LARGEST:
        raise MathlabError(f"{path.name} holds {entries.size} entries; 1 to {LARGEST} can be used")
    kept = entries.dtype.newbyteorder("=") if entries.dtype.itemsize <= 8 else np.dtype(np.float64)
    values = np.array(entries, dtype=kept, order="C")
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):  # nan is both
        raise MathlabError(f"{path.name} holds a number that is not finite")
    return values


def load_numpy(path: Path, choose: Callable[[Sequence[str]], Sequence[str]] = list) -> dict[str, NDArray[np.generic]]:
    """A .npz file's arrays, as chosen by their names, or that of a .npy file. Raises MathlabError, also for pickles."""
    try:
        if path.suffix.lower() != ".npz":  # mapped, so that a file that is too large is refused before it is read
            return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[_unpackable(archive, name)] for name in choose(archive.files)}
    except (MathlabError, MemoryError):
        raise
    except Exception as error:  # NumPy and zipfile stumble over a broken or hostile file in a dozen ways
        objects = re.search("(?i)objects in|object arrays", str(error))
        pickled = "; it holds pickled objects, which are not read" if objects else ""
        raise MathlabError(f"{path.name} is not a NumPy file of numbers{pickled}") from None


def read_csv(path: Path, header: bool | None) -> Sheet:
    """All of a CSV file, or of one of text. Raises MathlabError where the first row may be data, or names two alike."""
    pieces: list[Numbers] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _lines(file, path)
            first = next(lines, "")
            names = next(csv.reader(chain([first], lines)), [])
            if header is False:
                names, lines = [*map(str, range(len(names)))], filter(None, chain([first], lines))
            elif header is None and names and all(number_in(name) is not None for name in names):
                message = f"every cell in the first row of {path.name} is a number: say 'header: false' if it is data"
                raise MathlabError(f"{message}, or 'header: true' if these are names")
            if twice := next((name for name, times in Counter(filter(None, names)).items() if times > 1), None):
                raise MathlabError(f"{path.name} has two columns that are called {twice!r}")
            for piece in _pieces(lines, len(names), path.name, first):
                pieces.append(piece)
                if sum(one.size for one in pieces) > LARGEST:
                    raise MathlabError(f"{path.name} holds more than {LARGEST} entries")
    except (ValueError, OSError, csv.Error) as error:
        how = "; save it as UTF-8" * isinstance(error, UnicodeError)
        raise MathlabError(f"{path.name} is no table of text: {error}{how}") from None
    return Sheet(path, names, pieces, int(header is not False))


def _cell(sheet: Sheet, row: int, column: int) -> str:
    """What stands in a cell that is no number."""
    with sheet.path.open(encoding="utf-8-sig", newline="") as file, suppress(csv.Error):
        cells = next(islice(csv.reader(_lines(file, sheet.path)), row + sheet.heads, None), [])
        return "".join(cells[column : column + 1]).strip()
    return ""


def _parted(line: str) -> str:
    """A line of a text file as one of a CSV file."""
    data = line.partition("#")[0].strip()
    return data if "," in data else ",".join(data.split())


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """The lines that say something. Raises MathlabError where the only column has an empty one, which may be data."""
    first, empty = "", 0
    for number, line in enumerate(file if path.suffix.lower() == ".csv" else filter(None, map(_parted, file)), 1):
        if line.strip():
            first = first or line
            if empty and "," not in first:
                raise MathlabError(f"line {empty} of {path.name} is empty")
            yield line
        elif first:
            empty = empty or number


def _pieces(lines: Iterator[str], width: int, name: str, first: str) -> Iterator[Numbers]:
    """The rows of so many columns: at once where all are numbers, else cell by cell."""
    done = 0
    while piece := [*islice(lines, max(1, PIECE // max(1, width)))]:
        try:
            numbers = np.loadtxt(piece, delimiter=",", comments=None, ndmin=2)
        except ValueError:
            numbers = np.empty((0, 0))
        if numbers.shape[1] != width:
            rows = [*islice(csv.reader(chain(piece, lines)), len(piece))]  # of several lines, if a cell is
            if long := next((at for at, row in enumerate(rows, done + 1) if any(row[width:])), 0):
                raise MathlabError(f"row {long} of {name} is longer than its first line, {first.strip()[:80]!r}")
            cells = (number_in(cell) for row in rows for cell in (row + [""] * width)[:width])
            numbers = np.array([np.nan if cell is None else cell for cell in cells]).reshape(-1, width)
        done += len(numbers)
        yield _narrow(numbers)


def as_array(found: object) -> Array:
    """What NumPy makes of it; of a tensor that PyTorch would differentiate, its numbers."""
    return np.asarray(found.detach() if hasattr(found, "detach") else found)


def number_in(cell: str) -> float | None:
    """The float nearest to what a cell says; 1_000 is a number of Python's alone."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else None
    except ValueError:
        return None


def _narrow(numbers: Numbers) -> Numbers:
    """The same in the narrowest type of whole numbers, if that loses nothing: a pixel takes one byte, not eight."""
    low, high = numbers.min(initial=0), numbers.max(initial=0)
    if not -(2**32) < low <= high < 2**32:  # nor nan
        return numbers
    whole = numbers.astype(np.min_scalar_type(min(int(low), ~int(high)) if low < 0 else int(high)))
    return whole if whole.astype(numbers.dtype).tobytes() == numbers.tobytes() else numbers


def select(sheet: Sheet, columns: Sequence[str] | None, but: Sequence[str]) -> Numbers:
    """Some columns but for those in `but`, in the order in which they are named; None means all of them.

    A column goes by its name, or by its position from 0; `first..last` are all from one to the other. One gives shape
    (rows,), several give (rows, columns), of the narrowest type that holds whole numbers, else float64.

    Raises MathlabError for what is not there or is no finite number.
    """
    names, pieces, file = sheet.names, sheet.pieces, sheet.path.name
    if not pieces:
        raise MathlabError(f"{file} has no rows")
    if columns is None and "" in names:  # as of a row's number, which is no data
        raise MathlabError(f"column {names.index('')} of {file} has no name in the first row; choose the 'columns'")
    wanted = chosen(names, columns, but, file)
    dtype = np.result_type(*(_narrow(piece[:, wanted]).dtype for piece in pieces))
    found, row = np.empty((sum(map(len, pieces)), len(wanted)), dtype), 0  # to be filled: nothing is joined
    for piece in pieces:
        found[row : (row := row + len(piece))] = piece[:, wanted]
    if not (finite := np.isfinite(found)).all():
        row, at = np.argwhere(~finite)[0]
        text = _cell(sheet, row, wanted[at])
        wrong = f"{text!r}, which is not a finite number" if text and text.casefold() != "nan" else "empty or NaN"
        raise MathlabError(f"row {row + 1} in column {names[wanted[at]]!r} of {file} is {wrong}{parted(names)}")
    return found[:, 0] if len(wanted) == 1 else found


def parted(names: Sequence[str]) -> str:
    """A hint for columns, named in the first row, that are parted by another sign."""
    signs = (sign for sign in ";\t|" if len(names) == 1 and sign in names[0])
    return next((f"; its columns are parted by {sign!r}, and are to be by ','" for sign in signs), "")


def chosen(names: Sequence[str], columns: Sequence[str] | None, but: Sequence[str], file: str) -> list[int]:
    """The positions of the columns that are meant. Raises MathlabError for one that `file` lacks, or for none."""

    def position(word: str) -> int:
        if word in names:
            return names.index(word)
        if re.fullmatch("-?[0-9]{1,9}", word) and -len(names) <= int(word) < len(names):
            return int(word) % len(names)
        several = re.search("[,:]", word) and "; several are a list, or written first..last"
        known = several or f"; it has {', '.join(names[:LISTED])}"
        raise MathlabError(f"{file} has no column {word!r}{parted(names) or did_you_mean(word, names) or known}")

    def positions(word: str) -> Sequence[int]:
        first, dots, last = word.partition("..")
        if not dots or word in names:
            return [position(word)]
        found = range(position(first) if first else 0, (position(last) if last else len(names) - 1) + 1)
        if not found:
            raise MathlabError(f"in {file}, column {first!r} stands after {last!r}")
        return found

    every = range(len(names)) if columns is None else [at for word in columns for at in positions(word)]
    left_out = {at for word in but for at in positions(word)}
    if not (wanted := [at for at in every if at not in left_out]):
        raise MathlabError(f"no column of {file} is left")
    return wanted


def _unpackable(archive: NpzFile, name: str) -> str:
    """`name`, when the archive packs that array no tighter than data can be. Raises MathlabError for a bomb."""
    assert archive.zip is not None  # as long as it is open
    packed = next(info for info in archive.zip.infolist() if info.filename in (name, f"{name}.npy"))
    if packed.file_size > max(LARGEST_PACKED, MOST_PACKED * packed.compress_size):
        raise MathlabError(f"the array {name!r} would unpack to {packed.file_size} bytes, which is too large")
    return name


def _only(names: Sequence[str], wanted: str | None, file: str) -> str:
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise MathlabError(f"{file} has no array {wanted!r}{did_you_mean(wanted, names)}")
    if len(names) != 1:
        listed = ", ".join([*names[:LISTED], *(["..."] if len(names) > LISTED else [])])
        raise MathlabError(f"{file} holds {len(names)} arrays ({listed}); choose one with 'array'")
    return names[0]
