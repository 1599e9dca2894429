"""CSV files as texts: the one way in which a table is written, and the one in which it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

Cells = tuple[str, ...]


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as CSV; no text for one without rows."""
    if not rows:
        return ""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def read_table(path: Path) -> tuple[Cells, list[Cells], list[int]]:
    """The columns of a CSV file, its rows, and the line in which each of them ends. Raises as `rows_of` does."""
    (columns, _), *rest = rows_of(path)
    return columns, [row for row, _ in rest], [line for _, line in rest]


def rows_of(path: Path) -> Iterator[tuple[Cells, int]]:
    """The header of a CSV file, then its rows, each with the line in which it ends; empty lines are left out.

    Raises OSError, and ValueError with a reason for a file that is no table in UTF-8.
    """
    width = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in filter(None, reader):
                width = width or len(row)
                if len(row) != width:
                    raise ValueError(f"line {reader.line_num} has {len(row)} cells, and the header {width}")
                yield tuple(row), reader.line_num
        except csv.Error as error:
            raise ValueError(f"{error} in line {reader.line_num}") from None
    if not width:
        raise ValueError("it has no columns")
