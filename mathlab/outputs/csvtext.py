"""CSV files as texts: the one way in which a table is written, and the one in which it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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
    """The columns of a CSV file, its rows, and the line in which each of them ends; empty lines are left out.

    Raises OSError, and ValueError with a reason for a file that is no table in UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            numbered = [(tuple(row), reader.line_num) for row in reader if row]
        except csv.Error as error:
            raise ValueError(f"{error} in line {reader.line_num}") from None
    if not numbered:
        raise ValueError("it has no columns")
    (columns, _), *rows = numbered
    if wrong := next(((row, line) for row, line in rows if len(row) != len(columns)), None):
        raise ValueError(f"line {wrong[1]} has {len(wrong[0])} cells, and the header {len(columns)}")
    return columns, [row for row, _ in rows], [line for _, line in rows]
