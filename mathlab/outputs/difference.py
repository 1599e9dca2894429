"""Two sets of output files -> what differs, number by number with a tolerance, and the worst first."""

from __future__ import annotations

import math
import operator
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mathlab.config.datafiles import number_in
from mathlab.errors import MathlabError
from mathlab.files import note, told
from mathlab.outputs.tables import rows_of
from mathlab.stages.table import Layout, Row, every_file

Texts: TypeAlias = NDArray[np.str_]
Rows: TypeAlias = Sequence[int] | slice

TEXT = np.dtypes.StringDType()  # a quarter of what Python's own texts take
ALL = slice(None)
AT_ONCE = 10_000  # rows that are held as Python's texts

NOT_FINITE = {"nan": "nan", "inf": "inf", "infinity": "inf", "-inf": "-inf", "-infinity": "-inf"}  # as it is written
ORDER = 10.0  # times: two measurements of rounding, on two machines
LISTED = 1_000  # of each kind and file; the counts are complete


class Change(NamedTuple):
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


class OneSided(NamedTuple):
    """A file, column or row (`what`, of `file`) that only one side has."""

    file: str
    kind: Literal["file", "column", "row"]
    what: str
    side: Literal["a", "b"]


class Difference(NamedTuple):
    """What two sets of files do not share.

    `files` were compared, in `cells` cells (those of the key columns not counted). `changed` cells differ, of which
    `changes` holds the worst, the worst first; `missing` files, columns and rows are on one side only, of which
    `one_sided` holds the first.
    """

    files: tuple[str, ...] = ()
    cells: int = 0
    changed: int = 0
    changes: tuple[Change, ...] = ()
    missing: int = 0
    one_sided: tuple[OneSided, ...] = ()

    def __add__(self, other: Difference) -> Difference:  # type: ignore[override]  # what one finds and what the other
        return Difference(*map(operator.add, self, other))

    @property
    def same(self) -> bool:
        return not (self.changed or self.missing)

    def worst(self, most: int) -> Difference:
        """With at most `most` things: the worst changes and the first one-sided; neither crowds out the other."""
        changes = self.changes[: max(most - len(self.one_sided), (most + 1) // 2)]
        return self._replace(changes=changes, one_sided=self.one_sided[: most - len(changes)])


def compare(a: Path, b: Path, rtol: float = 1e-9, atol: float = 1e-12) -> Difference:
    """Compare two CSV files, or two folders with all the CSV files in them (run.json is not compared).

    Rows are matched by the key columns of the file's layout; where a key occurs several times, by its texts too (what
    was printed), and then by the order of its occurrences; those of a CSV that mathlab does not write, by their number.

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
    alone = tuple(_one_sided("", "file", in_a, in_b))
    found = sum((_compare_files(file, in_a[file], in_b[file], rtol, atol) for file in common), Difference())
    if not (found.cells or found.missing):
        raise MathlabError(f"nothing to compare: the CSV files of {a} and {b} have no rows")
    worst = sorted(found.changes, key=lambda change: -change.error)
    return Difference(missing=len(alone), one_sided=alone) + found._replace(changes=tuple(worst))


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
            how = f"`mathlab run --out {shlex.quote(str(path.parents[1]))} FILE…` of its configs makes the folder anew"
            return f"{path} is not as this version of mathlab writes it; {how}"
    return ""


def _one_sided(
    file: str, kind: Literal["file", "column"], a: Mapping[str, object], b: Mapping[str, object]
) -> list[OneSided]:
    alone = [OneSided(file or name, kind, name, "a") for name in a if name not in b]
    return alone + [OneSided(file or name, kind, name, "b") for name in b if name not in a]


def _compare_files(file: str, path_a: Path, path_b: Path, rtol: float, atol: float) -> Difference:
    a, b = _read(path_a), _read(path_b)
    layout = _layout((path_a.name, path_b.name), a, b)
    for path, table in ((path_a, a), (path_b, b)):
        for key in (key for key in layout.keys if key not in table):
            raise MathlabError(f"{path} has no column {key!r}, by which its rows are told apart")
    rows_a, rows_b, only_a, only_b = _matched(a, b, layout)
    columns = [name for name in a if name in b and name not in (*layout.keys, *layout.derived)]
    changed = 0

    def differing() -> Iterator[tuple[float, int, int, str, str]]:
        nonlocal changed
        for at, column in enumerate(columns):
            texts, others = a[column][rows_a], b[column][rows_b]
            unlike = np.flatnonzero(texts != others)
            for place, text, other in zip(unlike.tolist(), texts[unlike], others[unlike], strict=True):
                row = rows_b[place]
                error = _error(layout, column, text, other, partial(b.cell, row), rtol, atol)
                if error is not None:
                    changed += 1
                    yield -error, at, row, text, other

    worst = nsmallest(LISTED, differing(), key=lambda one: one[:2])
    names = b.named(layout.keys, [row for _, _, row, *_ in worst])
    changes = [
        Change(file, name, columns[at], text_a, text_b, -error)
        for name, (error, at, _, text_a, text_b) in zip(names, worst, strict=True)
    ]
    one_sided = _one_sided(file, "column", a, b)
    missing = len(one_sided) + len(only_a) + len(only_b)
    one_sided += [OneSided(file, "row", name, "a") for name in a.named(layout.keys, only_a[:LISTED])]
    one_sided += [OneSided(file, "row", name, "b") for name in b.named(layout.keys, only_b[:LISTED])]
    return Difference((file,), len(rows_a) * len(columns), changed, tuple(changes), missing, tuple(one_sided))


class Grid(dict[str, Texts]):
    """The columns of a CSV file, every cell as its text."""

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.values())))

    def cell(self, row: int, name: str) -> str:
        """A cell, empty in a column that is not there."""
        return str(self[name][row]) if name in self else ""

    def called(self, names: Sequence[str], rows: Rows = ALL) -> Iterator[tuple[Row, int]]:
        """What each of the rows is called by some columns, and how many of that name stand before it."""
        seen = Counter[Row]()
        for _, *texts in zip(np.arange(self.size)[rows], *(self[name][rows] for name in names), strict=True):
            cells = tuple(texts)
            yield cells, seen[cells]
            seen[cells] += 1

    def named(self, keys: Sequence[str], rows: Sequence[int]) -> list[str]:
        """What some rows are called, for people; without keys, by their numbers, from 1."""
        wanted, names = {*rows}, {}
        for row, (texts, nth) in enumerate(self.called(keys) if rows else ()):
            if row in wanted:
                name = ", ".join(f"{key}={text}" for key, text in zip(keys, texts, strict=True) if text)
                names[row] = str(nth + 1) if not keys else f"{name} (no. {nth + 1})" if nth else name
        return [names[row] for row in rows]


def _matched(a: Grid, b: Grid, layout: Layout) -> tuple[Sequence[int], ...]:
    """The rows of a and b of the same key, and those of one side; of several, first those of the same texts."""
    left_a: Sequence[int] = range(a.size)
    left_b: Sequence[int] = range(b.size)
    names = (*layout.keys, *(name for name in layout.texts if name in a and name in b))
    if a.size == b.size and all(np.array_equal(a[name], b[name]) for name in names):
        return left_a, left_b, (), ()  # as it mostly is, and takes no dictionary
    pairs: dict[int, int] = {}
    for columns in (names, layout.keys):
        partners = dict(zip(b.called(columns, left_b), left_b, strict=True))
        named = zip(left_a, a.called(columns, left_a), strict=True)
        pairs |= {row: partners.pop(name) for row, name in named if name in partners}
        left_a, left_b = [row for row in left_a if row not in pairs], [*partners.values()]
    return sorted(pairs), [pairs[row] for row in sorted(pairs)], left_a, left_b


def _read(path: Path) -> Grid:
    """The file's table. A column name that comes again gets a number."""
    note(path)
    try:
        with told(path, "read"):
            rows = rows_of(path)
            header, _ = next(rows)
            blocks = [[np.array([], TEXT)] for _ in header]
            while block := [row for row, _ in islice(rows, AT_ONCE)]:
                for parts, texts in zip(blocks, zip(*block, strict=True), strict=True):
                    parts.append(np.array(texts, TEXT))
    except ValueError as error:
        raise MathlabError(f"{path} is not a CSV table: {error}") from None
    columns = Grid()
    for column, parts in zip(header, blocks, strict=True):
        numbered = (f"{column} ({number})" for number in count(2))
        columns[next(name for name in chain([column], numbered) if name not in columns)] = np.concatenate(parts)
    return columns


def _layout(names: tuple[str, str], a: Grid, b: Grid) -> Layout:
    """How rows and columns are compared: by a file's name, or its columns; of what is not ours, row by row."""
    known = every_file()
    by_name = [known[name] for name in names if name in known]
    by_columns = [layout for layout in known.values() if [*layout.columns] == [*a] == [*b]]
    return next(iter([*by_name, *by_columns]), Layout((*a,), ()))


def _number(text: str) -> float:
    """The float nearest to a text; NaN for what is none."""
    found = number_in(text)
    return math.nan if found is None else found


def _error(
    layout: Layout, column: str, a: str, b: str, row: Callable[[str], str], rtol: float, atol: float
) -> float | None:
    """By what part of its size a cell is off from one of another text, in a `row` (inf: by no number), or None."""
    if column in layout.texts:
        return math.inf
    x, y = _number(a), _number(b)
    if not (math.isfinite(x) or math.isfinite(y)):  # no numbers, or such as float64 cannot hold
        return None if NOT_FINITE.get(a.lower(), "") == NOT_FINITE.get(b.lower()) else math.inf
    size = _number(row(layout.scales[column])) if column in layout.scales else y
    gap, size = abs(x - y), abs(size if math.isfinite(size) else y)
    allowed = layout.amplified.get(column, 1.0) * (atol + rtol * size)
    if rtol and column in layout.allowed:
        other, share = layout.allowed[column]
        allowed = max(allowed, share * _number(row(other)))
    alike = math.isfinite(gap) and gap <= allowed
    alike |= bool(rtol) and column in layout.rough and 0 < x <= ORDER * y and 0 < y <= ORDER * x
    error = gap / size if size else math.inf
    return None if alike else error if math.isfinite(error) else math.inf
