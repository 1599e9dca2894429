"""Arrays read from files: somebody else's, and those that `nodes.csv` has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mathlab.config.datafiles import as_array, load_numpy, number_in
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Array
from mathlab.files import note, told
from mathlab.outputs.tables import rows_of

Arrays = Mapping[str, Array]
CASELESS = ""  # the case of arrays that do not say which case they are of
Entries = dict[tuple[int, ...], float]


def read(path: Path) -> dict[str, Arrays]:
    """The arrays of a file by case, those of an .npz, a folder and a CSV without a column `case` under "".

    In a folder, `dW.npy` is the array dW.

    In a CSV, `value` is the entry of the node `name` at `index` ("0,1"; empty for a single number) and `gradient` that
    of its gradient, which is then called `d<name>`; one of the two columns may be missing, and cells may be empty.

    Raises MathlabError for a file that cannot be read, and for entries that are missing or no numbers. Pickled objects
    are refused.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv") and not path.is_dir():
        raise MathlabError(f"{path}: arrays are read from .npz and .csv files, and from folders of .npy files")
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    if not files:
        raise MathlabError(f"{path} is a folder without .npy files")
    note(*files)
    with told(path, "read"):
        for file in files:
            file.open("rb").close()
        if suffix == ".csv":
            return _csv(path)
        found = ((name, array, str(file)) for file in files for name, array in load_numpy(file).items())
        return {CASELESS: {name: numbers(name, array, whose) for name, array, whose in found}}


def numbers(name: str, found: object, whose: str = "") -> Array:
    """The array as floats, of the precision that it has. Raises MathlabError where it holds anything but numbers."""
    where = f"{whose}: " if whose else ""
    try:
        array = as_array(found)
    except ValueError:
        raise MathlabError(f"{where}{name!r} is not an array") from None
    if np.ma.is_masked(found):
        raise MathlabError(f"{where}the array {name!r} is masked, and has no number in some places")
    if array.dtype.kind not in "iufb":
        raise MathlabError(f"{where}the array {name!r} does not hold real numbers, but {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _csv(path: Path) -> dict[str, Arrays]:
    try:
        (columns, _), *rows = rows_of(path)
    except ValueError as error:
        raise MathlabError(f"{path} is not a CSV file: {error}") from None
    kinds, top = {"value": "{}", "gradient": "d{}"}, Place(str(path), 1, 1)
    if not {"name", "index"} <= {*columns} or kinds.keys().isdisjoint(columns):
        raise MathlabError("the columns name, index, and value or gradient are needed", top)
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise MathlabError(f"the column {twice[0]} stands twice", top)
    entries: dict[str, dict[str, Entries]] = {}
    for cells, line in rows:
        row, place = dict(zip(columns, cells, strict=True)), top._replace(line=line)
        parts = row["index"].split(",") if row["index"] else []
        if not all(part.isascii() and part.strip().isdecimal() for part in parts):
            raise MathlabError(f"'{row['index']}' is not an index, such as 0,1", place)
        index, arrays = tuple(map(int, parts)), entries.setdefault(row.get("case") or CASELESS, {})
        for name, text in ((form.format(row["name"]), row.get(kind)) for kind, form in kinds.items()):
            if text:
                known = arrays.setdefault(name, {})
                if index in known:
                    raise MathlabError(f"{name} has the index '{row['index']}' twice", place)
                if (number := number_in(text)) is None:
                    raise MathlabError(f"{text!r} is not a number", place)
                known[index] = number
    return {case: {name: _whole(some, name, path) for name, some in arrays.items()} for case, arrays in entries.items()}


def _whole(entries: Entries, name: str, path: Path) -> Array:
    """The array whose every entry is given."""
    if len({len(index) for index in entries}) > 1:
        raise MathlabError(f"{path}: the indices of {name} have different lengths")
    shape = tuple(max(axis) + 1 for axis in zip(*entries, strict=True))
    if math.prod(shape) != len(entries):
        raise MathlabError(f"{path}: {name} has {len(entries)} entries, but its indices reach to shape {shape}")
    return np.array([entries[index] for index in np.ndindex(shape)]).reshape(shape)
