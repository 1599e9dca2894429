"""Two sets of output files -> what differs, number by number with a tolerance, and the worst first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.outputs.csvtext import read_table
from mathlab.stages.layouts import Layout
from mathlab.stages.table import every_file

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


Side = Literal["a", "b"]
Numbers = NDArray[np.float64]

NOT_FINITE = {"nan": "nan", "inf": "inf", "infinity": "inf", "-inf": "-inf", "-infinity": "-inf"}  # as it is written
WHOLE = re.compile("[-+]?[0-9]{1,18}")
ORDER = 10.0  # times: two measurements of rounding, on two machines
LISTED = 1_000  # of each kind and file; the counts are complete


@dataclass(frozen=True)
class Change:
    """One cell that differs.

    `error` is |a - b| relative to |b|, or to what stands for it in the file's layout; inf where that is not a finite
    number.
    """

    file: str
    key: str
    column: str
    a: str
    b: str
    error: float


@dataclass(frozen=True)
class OneSided:
    """A file, column or row (`what`, of `file`) that only one side has."""

    file: str
    kind: Literal["file", "column", "row"]
    what: str
    side: Side


@dataclass(frozen=True)
class Difference:
    """What two sets of files do not share.

    `files` were compared, in `cells` cells (those of the key columns not counted). `changed` cells differ, of which
    `changes` holds the worst, the worst first; `missing` files, columns and rows are on one side only, of which
    `one_sided` holds the first.
    """

    files: tuple[str, ...]
    cells: int
    changed: int
    changes: tuple[Change, ...]
    missing: int
    one_sided: tuple[OneSided, ...]

    @property
    def same(self) -> bool:
        return not (self.changed or self.missing)

    def worst(self, most: int) -> tuple[tuple[Change, ...], tuple[OneSided, ...]]:
        """At most `most` of them: the worst changes and the first one-sided, neither of which crowds out the other."""
        changes = self.changes[: max(most - len(self.one_sided), (most + 1) // 2)]
        return changes, self.one_sided[: most - len(changes)]


def compare(a: Path, b: Path, rtol: float = 1e-9, atol: float = 1e-12) -> Difference:
    """Compare two CSV files, or two folders with all the CSV files in them (run.json is not compared).

    Rows are matched by the key columns of the file's layout; where a key occurs several times, by its texts too (what
    was printed), and then by the order of its occurrences. In a CSV that mathlab does not write, the columns of text
    are the key, and as many of those that hold whole numbers, from the left, as it takes to tell the rows apart; where
    there are none, or where nothing else would be left, the number of the row is.

    Two cells are the same when their texts are; when both are numbers and |a - b| <= atol + rtol*|b|; or when both are
    NaN. Where the layout says so, |b| is the size of another column, the tolerance a multiple, or a share of what the
    row itself allows; and what measures rounding is only to be of the same order of size. With an rtol of 0 none of
    this holds: then all that is not the same differs. An empty cell is the same as an empty cell only.

    Raises MathlabError for what cannot be read or is no table, and when there is nothing to compare: no file that both
    sides have, or no row on either side.
    """
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not 0 <= value < math.inf:
            raise MathlabError(f"{name} is {value}, but a tolerance is a number from 0 up")
    in_a, in_b = _files(a), _files(b)
    if a.is_dir() != b.is_dir():
        raise MathlabError(f"{a} and {b} cannot be compared: one is a folder, the other a file")
    if not a.is_dir():
        in_b = dict(zip(in_a, in_b.values(), strict=True))
    common = [file for file in in_a if file in in_b]
    if not common:
        raise MathlabError(f"nothing to compare: {a} and {b} have no CSV file in common")
    alone = _one_sided("", "file", in_a, in_b)
    parts = [_compare_files(file, in_a[file], in_b[file], rtol, atol) for file in common]
    if not any(part.cells or part.missing for part in parts):
        raise MathlabError(f"nothing to compare: the CSV files of {a} and {b} have no rows")
    changes = sorted((change for part in parts for change in part.changes), key=lambda change: -change.error)
    return Difference(
        files=tuple(common),
        cells=sum(part.cells for part in parts),
        changed=sum(part.changed for part in parts),
        changes=tuple(changes),
        missing=len(alone) + sum(part.missing for part in parts),
        one_sided=(*alone, *(item for part in parts for item in part.one_sided)),
    )


def _files(path: Path) -> dict[str, Path]:
    """The CSV files at `path`, by their path inside it."""
    if not path.exists():
        raise MathlabError(f"{path} does not exist")
    if not (path.is_file() or path.is_dir() or path.is_fifo()):  # a device may never end
        raise MathlabError(f"{path} is neither a file nor a folder")
    if not path.is_dir():
        return {path.name: path}
    files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*.csv"))}
    for file in files.values():
        if not file.is_file():  # a pipe in a folder is nothing that somebody writes to
            raise MathlabError(f"{file} is not a file")
    return files


def renewal(folder: Path) -> str:
    """How to renew a folder in which a file has the columns of another version of mathlab; empty where none has."""
    layouts = every_file()
    for path in _files(folder).values() if folder.is_dir() else ():
        with path.open(encoding="utf-8", errors="replace") as file:
            columns = file.readline().rstrip("\n").split(",")
        own = layouts[path.name].columns if path.name in layouts else ()
        if columns[: len(own)] != [*own]:
            how = f"`mathlab run --out {folder}` makes the folder anew"
            return f"{path} is not as this version of mathlab writes it; {how}"
    return ""


def _one_sided(
    file: str, kind: Literal["file", "column"], a: Mapping[str, object], b: Mapping[str, object]
) -> list[OneSided]:
    sides: tuple[tuple[Side, list[str]], ...] = (
        ("a", [x for x in a if x not in b]),
        ("b", [x for x in b if x not in a]),
    )
    return [OneSided(file or name, kind, name, side) for side, names in sides for name in names]


def _compare_files(file: str, path_a: Path, path_b: Path, rtol: float, atol: float) -> Difference:
    a, b = _read(path_a), _read(path_b)
    layout = _layout((path_a.name, path_b.name), a, b)
    for path, table in ((path_a, a), (path_b, b)):
        for key in layout.keys:
            if key not in table:
                raise MathlabError(f"{path} has no column {key!r}, by which its rows are told apart")
    rows = match(a, b, layout.keys, [name for name in layout.texts if name in a and name in b])

    columns = [name for name in a if name in b and name not in layout.keys and name not in layout.derived]
    changed = 0
    changes: list[Change] = []
    for column in columns:
        texts_a, texts_b = a[column][rows.in_a], b[column][rows.in_b]
        where = np.flatnonzero(texts_a != texts_b)
        errors = np.full(len(where), np.inf)
        if column not in layout.texts:
            of_b = {name: cells[rows.in_b[where]] for name, cells in b.items()}
            apart, errors = _apart(layout, column, texts_a[where], of_b, rtol, atol)
            where = where[apart]
        changed += len(where)
        worst = np.argsort(-errors, kind="stable")[:LISTED]
        names = _told(b, layout.keys, rows.in_b[where[worst]])
        for at, name, error in zip(where[worst], names, errors[worst], strict=True):
            changes.append(Change(file, name, column, texts_a[at], texts_b[at], float(error)))
    changes.sort(key=lambda change: -change.error)

    one_sided = _one_sided(file, "column", a, b)
    missing = len(one_sided) + len(rows.only_a) + len(rows.only_b)
    sides: tuple[tuple[Side, Table, Positions], ...] = (("a", a, rows.only_a), ("b", b, rows.only_b))
    for side, table, only in sides:
        one_sided += [OneSided(file, "row", name, side) for name in _told(table, layout.keys, only[:LISTED])]
    cells = len(rows.in_a) * len(columns)
    return Difference((file,), cells, changed, tuple(changes[:LISTED]), missing, tuple(one_sided))


def _told(table: Table, keys: Sequence[str], rows: Positions) -> list[str]:
    """What some rows are called, for people; of a large table, the names of all would be large too."""
    wanted = {*rows.tolist()}
    names = {row: told(name, keys) for row, name in enumerate(called(table, keys)) if row in wanted} if wanted else {}
    return [names[row] for row in rows.tolist()]


# Reading


def _read(path: Path) -> Table:
    """The file's columns, every cell as its text. A column name that comes again gets a number."""
    try:
        columns, rows = read_table(path)[:2]
    except OSError as error:
        raise MathlabError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MathlabError(f"{path} is not a CSV table: {error}") from None
    table: Table = {}
    for at, column in enumerate(columns):
        name, count = column, 1
        while name in table:
            count += 1
            name = f"{column} ({count})"
        table[name] = np.array([row[at] for row in rows], STRINGS)
    return table


def _layout(names: tuple[str, str], a: Table, b: Table) -> Layout:
    """How rows and columns are compared: by a file's name, or its columns, or what the cells look like."""
    known = every_file()
    by_name = [known[name] for name in names if name in known]
    by_columns = [layout for layout in known.values() if layout.columns == tuple(a) == tuple(b)]
    return next(iter([*by_name, *by_columns]), None) or Layout(columns=tuple(a), keys=_key_columns(a, b), stages=())


def _key_columns(a: Table, b: Table) -> tuple[str, ...]:
    """The columns of both in which something is neither a number nor empty, and what else it takes of whole numbers."""
    common = [name for name in a if name in b]
    texts = [name for name in common if not (_all_numbers(a[name]) and _all_numbers(b[name]))]
    keys = [*texts]
    for name in common:
        if not _repeated(a, b, keys):
            break
        if name not in texts and all(WHOLE.fullmatch(text) for table in (a, b) for text in table[name]):
            keys.append(name)
    if len(keys) == len(common) or _repeated(a, b, keys):
        keys = texts
    return () if keys == common else tuple(keys)


def _repeated(a: Table, b: Table, keys: Sequence[str]) -> bool:
    """Whether a key occurs twice on one side."""
    return any(nth for table in (a, b) for _, nth in called(table, keys))


def _all_numbers(texts: Texts) -> bool:
    return all(text.lower() in ("", "nan") or not math.isnan(_number(text)) for text in texts)


def _numbers(texts: Texts) -> Numbers:
    """Each text as the float nearest to it; NaN for what is none."""
    return np.array([_number(text) for text in texts], np.float64)


def _number(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


# Comparing cells


def _apart(
    layout: Layout, column: str, a: Texts, b: Table, rtol: float, atol: float
) -> tuple[NDArray[np.bool_], Numbers]:
    """Which of a column's cells differ by more than is allowed, and those by what part of their size (else inf)."""
    x, y, size = _numbers(a), _numbers(b[column]), _numbers(b.get(layout.scales.get(column, column), b[column]))
    size, times = np.abs(np.where(np.isfinite(size), size, y)), layout.amplified.get(column, 1.0)
    with np.errstate(all="ignore"):  # infinities, and division by a size of 0
        gap = np.abs(x - y)
        error = gap / size
        same = (x == y) | (np.isfinite(gap) & (gap <= times * (atol + rtol * size)))
        if rtol and column in layout.rough:
            same |= (x > 0) & (y > 0) & (x <= ORDER * y) & (y <= ORDER * x)
        if rtol and column in layout.allowed:
            other, share = layout.allowed[column]
            same |= gap <= share * _numbers(b[other])
    for at in np.flatnonzero(~np.isfinite(x) & ~np.isfinite(y)):  # no numbers, or such as float64 cannot hold
        same[at] = NOT_FINITE.get(a[at].lower(), 0) == NOT_FINITE.get(b[column][at].lower())
    return ~same, np.where(np.isfinite(error), error, np.inf)[~same]
