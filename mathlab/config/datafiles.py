"""`{file: digits.csv, columns: [...]}`: arrays from files that lie beside the config."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 10**8  # entries of one array: 800 MB of float64


class DataError(Exception):
    """A data file that cannot be used, in one sentence."""


def beside(folder: Path, name: str) -> Path:
    """The file `name` under `folder`. Raises DataError for one that is missing or lies elsewhere, links followed."""
    if Path(name).is_absolute():
        raise DataError(f"a data file is named relative to the config, not as {name!r}")
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
        there = path.is_file()
    except (OSError, ValueError, RuntimeError):  # a NUL character, a name too long, a circle of links
        raise DataError(f"{name!r} cannot be the name of a file") from None
    if not inside:
        raise DataError(f"{name!r} lies outside the folder of the config")
    if not there:
        raise DataError(f"the file {name!r} does not exist")
    return path


def read_csv(path: Path, columns: Sequence[str] | str | None, header: bool) -> tuple[NDArray[np.float64], bool]:
    """Columns of a CSV file, and whether all entries are whole numbers.

    One column gives shape (rows,), several give (rows, columns); None means all columns. Without a header columns are
    named "0", "1", ... Raises DataError.
    """
    frame = _frame(path, header)
    wanted = [columns] if isinstance(columns, str) else list(frame.columns if columns is None else columns)
    for column in wanted:
        if column not in frame.columns:
            raise DataError(f"{path.name} has no column {column!r}{did_you_mean(column, frame.columns)}")
    if not len(frame):
        raise DataError(f"{path.name} has no rows")
    entries = np.column_stack([_numbers(frame[column], f"column {column!r} of {path.name}") for column in wanted])
    integral = all(frame[column].dtype.kind in "iu" for column in wanted)
    return np.ascontiguousarray(entries[:, 0] if len(wanted) == 1 else entries), integral


def _frame(path: Path, header: bool) -> pd.DataFrame:
    import pandas as pd

    # from 3.1 on pandas reads floats exactly, and warns when it is asked to
    exact = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                header=0 if header else None,
                index_col=False,
                float_precision=None if exact else "round_trip",
                low_memory=False,
            )
    except pd.errors.ParserWarning:  # pandas would cut them
        raise DataError(f"{path.name} has rows that are longer than its first") from None
    except (ValueError, OSError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise DataError(f"{path.name} is not a CSV file: {reason}") from None
    frame.columns = pd.Index([str(column) for column in frame.columns])
    return frame


def _numbers(column: pd.Series[float], what: str) -> NDArray[np.float64]:
    """The entries of one column. A column with one bad entry is read as texts, so the bad one has to be looked for."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(numbers) | (column.dtype.kind == "b")
    if bad.any():
        row = int(np.argmax(bad))
        entry = column.iloc[row]
        wrong = "empty or NaN" if pd.isna(entry) else f"{str(entry)!r}, which is not a finite number"
        raise DataError(f"row {row + 1} in {what} is {wrong}")
    return numbers


def read_numpy(path: Path, array: str | None) -> tuple[NDArray[np.float64], bool]:
    """The array of a .npy file, or the one named `array` of a .npz file, and whether its entries are whole numbers.

    Raises DataError. Pickled objects are refused.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                entries = archive[_only(archive.files, array, path.name)]
        else:
            entries = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, KeyError, BadZipFile):
        raise DataError(f"{path.name} is not a NumPy file of numbers") from None
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "iuf":
        raise DataError(f"{path.name} does not hold an array of real numbers")
    if not 0 < entries.size <= LARGEST:
        raise DataError(f"{path.name} holds {entries.size} entries; 1 to {LARGEST} can be used")
    values = np.array(entries, dtype=np.float64, order="C")
    if not np.isfinite(values).all():
        raise DataError(f"{path.name} holds a number that is not finite")
    return values, entries.dtype.kind in "iu"


def _only(names: Sequence[str], wanted: str | None, file: str) -> str:
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise DataError(f"{file} has no array {wanted!r}{did_you_mean(wanted, names)}")
    if len(names) != 1:
        raise DataError(f"{file} holds {len(names)} arrays ({', '.join(names)}); choose one with 'array'")
    return names[0]
