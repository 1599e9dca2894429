"""CSV files as texts: the one way in which a table is written, and the one in which it is read."""

from __future__ import annotations

import csv
import io
import sys
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
    rows: list[Cells] = []
    lines: list[int] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in filter(None, reader):
                # words come again and again, as a case does, and need not be held each time
                rows.append(tuple([sys.intern(cell) if cell.isalpha() else cell for cell in row]))
                lines.append(reader.line_num)
        except csv.Error as error:
            raise ValueError(f"{error} in line {reader.line_num}") from None
    if not rows:
        raise ValueError("it has no columns")
    columns = rows.pop(0)
    del lines[0]
    if wrong := next(((row, line) for row, line in zip(rows, lines, strict=True) if len(row) != len(columns)), None):
        raise ValueError(f"line {wrong[1]} has {len(wrong[0])} cells, and the header {len(columns)}")
    return columns, rows, lines
