"""Rows -> lines that fit the terminal. A line is wrapped between words only: no digit is cut, no number broken in two.

Everything here is a rich renderable that decides by measuring: a sheet whose rows fit is a table, one whose rows do not
is a block of short lines a row. Print them with `crop=False`, so that a word wider than the terminal stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.text import Text

from mathlab.experiment import Array
from mathlab.terminal import harmless

GAP = 2
SHOWN = 16  # entries; a larger array is summarised

Places: TypeAlias = tuple[int, ...]  # of columns, from 0


def plain(words: str, style: str = "") -> Text:
    """Data as text: brackets are not markup, and what could command is spelt out."""
    return Text(harmless(words.replace("\n", " ")), style=style, no_wrap=True, overflow="ignore", end="")


def wrapped(text: Text, width: int, indent: int = 0, hang: int = 0, part: str = r"\s*\S+") -> Iterator[Text]:
    """The lines of `text` within `width`, set in by `indent`, and by `hang` more from the second line on.

    It is broken between what fits the expression `part`.
    """
    room, used, breaks = width - indent, 0, []
    for word in re.finditer(part, text.plain):
        size = cell_len(word.group())
        if used and used + size > room:
            breaks.append(word.end() - len(word.group().lstrip()))
            room, used, size = width - indent - hang, 0, cell_len(word.group().lstrip())
        used += size
    for number, line in enumerate(text.divide(breaks)):
        yield _line(" " * (indent + hang if number else indent), line)


def _line(*parts: Text | str) -> Text:
    line = Text.assemble(*parts, no_wrap=True, overflow="ignore")
    line.rstrip()
    return line


def _padded(text: Text, width: int, right: bool = False) -> tuple[Text | str, Text | str]:
    space = " " * max(width - text.cell_len, 0)
    return (space, text) if right else (text, space)


class Measured:
    """What decides by measuring which lines it is told in."""

    def lines(self, width: int) -> Iterator[Text]:
        """The lines, within `width` where they can be."""
        raise NotImplementedError

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line in self.lines(options.max_width):  # which are not wrapped once more
            safe = harmless(line.plain, longest=None)  # once more: what was harmless in parts may not be together
            yield from (line if safe == line.plain else plain(safe)).render(console, end="\n")


@dataclass(frozen=True)
class Paragraph(Measured):
    """A sentence or title, broken between parts; `apart`, where it is too wide for a line, at each of these signs."""

    text: Text
    indent: int = 0
    hang: int = 2
    apart: str = ""
    part: str = r"\s*\S+"

    def lines(self, width: int) -> Iterator[Text]:
        parts = self.text.split(self.apart) if self.apart and self.text.cell_len > width else [self.text]
        yield from (line for part in parts for line in wrapped(part, width, self.indent, self.hang, self.part))


def said(words: str, style: str = "", indent: int = 0) -> Paragraph:
    """A sentence or title in one style."""
    return Paragraph(plain(words, style), indent)


class Row(NamedTuple):
    """One row of a sheet; the notes are sentences that stand below it."""

    cells: tuple[Text, ...]
    notes: tuple[Text, ...] = ()

    @classmethod
    def of(cls, *cells: Text | str, notes: Iterable[Text] = ()) -> Row:
        """The row of cells of which texts are plain."""
        return cls(tuple(plain(cell) if isinstance(cell, str) else cell for cell in cells), tuple(notes))


@dataclass(frozen=True)
class Sheet(Measured):
    """Rows under column names. Where they are too wide, each row becomes a head line with the rest labelled below it.

    `head` gives the columns of that head line. `words` are the columns set to the left; numbers are set to the right.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    head: Places = (0,)
    words: Places = (0,)
    indent: int = 2

    def lines(self, width: int) -> Iterator[Text]:
        natural = [max((row.cells[i].cell_len for row in self.rows), default=0) for i in range(len(self.columns))]
        widths = [max(len(name), cells) for name, cells in zip(self.columns, natural, strict=True)]
        fits = self.indent + sum(widths) + GAP * (len(widths) - 1) <= width
        if fits:
            yield self._across([plain(name, "bold") for name in self.columns], widths)
        for row in self.rows:
            yield from [self._across(row.cells, widths)] if fits else self._down(row, natural, width)
            for note in row.notes:
                yield from wrapped(note, width, self.indent + 2, 2)

    def _across(self, cells: Sequence[Text], widths: Sequence[int]) -> Text:
        parts: list[Text | str] = [" " * self.indent]
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            parts += [*_padded(cell, width, right=column not in self.words), " " * GAP]
        return _line(*parts)

    def _down(self, row: Row, natural: Sequence[int], width: int) -> Iterator[Text]:
        """The head, and below it the other cells behind their names, in as few lines as `width` allows."""
        head = Text(" " * GAP).join([row.cells[column] for column in self.head])
        yield from wrapped(head, width, self.indent, 4)
        body = [column for column in range(len(self.columns)) if column not in self.head]
        for depth in sorted({-(-len(body) // across) for across in range(1, len(body) + 1)}):
            piles = [body[start : start + depth] for start in range(0, len(body), depth)]
            labels = [1 + max(len(self.columns[column]) for column in pile) for pile in piles]
            values = [GAP + max(natural[column] for column in pile) for pile in piles]
            if self.indent + 2 + sum(labels) + sum(values) - GAP <= width:
                break
        for level in range(depth):
            parts: list[Text | str] = []
            for pile, label, value in zip(piles, labels, values, strict=True):
                for column in pile[level : level + 1]:
                    parts += _padded(plain(self.columns[column], "dim"), label)
                    parts += _padded(row.cells[column], value)
            yield from wrapped(_line(*parts), width, self.indent + 2, 4)


def sheet(
    columns: tuple[str, ...], rows: Iterable[Row], head: Places = (0,), words: Places = (0,), indent: int = 2
) -> list[Sheet]:
    """The sheet of these rows, where there are any."""
    told = tuple(rows)
    return [Sheet(columns, told, head, words, indent)] if told else []


class Entry(NamedTuple):
    """`left` (an equation), the shape and the value of what it gives; the value one line a matrix row."""

    left: Text
    shape: str = ""
    value: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Blocks(Measured):
    """Blocks of entries, their shapes and values under one another; a value too wide for its column goes below."""

    blocks: tuple[tuple[Entry, ...], ...]
    indent: int = 2

    def lines(self, width: int) -> Iterator[Text]:
        entries = [entry for block in self.blocks for entry in block if entry.shape]
        longest = min(max(20, width * 45 // 100), 60)
        left = max((entry.left.cell_len for entry in entries if entry.left.cell_len <= longest), default=0)
        shape = max((len(entry.shape) for entry in entries), default=0)
        for number, block in enumerate(self.blocks):
            if number and (len(block) > 1 or len(self.blocks[number - 1]) > 1):
                yield Text("")
            for entry in block:
                yield from self._entry(entry, width, left, shape)

    def _entry(self, entry: Entry, width: int, left: int, shape: int) -> Iterator[Text]:
        start = self.indent + left + GAP + shape + GAP
        fits = start + max((line.cell_len for line in entry.value), default=0) <= width
        label = _padded(plain(entry.shape, "dim"), shape + GAP)
        first, *beside = entry.value if fits and entry.value else (Text(""),)
        if entry.shape and entry.left.cell_len <= left:
            yield _line(" " * self.indent, *_padded(entry.left, left + GAP), *label, first)
        else:
            yield from wrapped(entry.left, width, self.indent, 4)
            yield from [_line(" " * (self.indent + left + GAP), *label, first)] if entry.shape else ()
        yield from (_line(" " * start, line) for line in beside)
        for line in entry.value if not fits else ():
            yield from wrapped(line, width, self.indent + 2, 2)


def array_lines(value: Array) -> tuple[Text, ...]:
    """A small array in full, a line a row, at 8 significant digits (float32: 7); a larger one as norm, min and max."""
    if value.size > SHOWN:
        with np.errstate(over="ignore", invalid="ignore"):
            facts = (("norm", np.linalg.norm(value.ravel())), ("min", value.min()), ("max", value.max()))
        return (plain(", ".join(f"{name} {number(fact)}" for name, fact in facts)),)
    column = max((len(number(entry)) for entry in value.flat), default=0) if value.ndim > 1 else 0

    def cell(entry: np.generic) -> str:
        return number(entry).rjust(column)

    # NumPy lays out the brackets only; too long a line is folded when it is printed, between numbers
    text = np.array2string(
        value, separator=", ", max_line_width=10_000, formatter={"bool": cell, "int_kind": cell, "float_kind": cell}
    )
    return tuple(plain(line) for line in text.split("\n") if line)


def number(value: np.generic | float) -> str:
    """A computed number for reading: `0.447134`, `16.0`, `-5.3438148e-08`; integers stay whole, and -0.0 is 0.0."""
    if isinstance(value, np.integer | np.bool_):
        return str(value)
    text = f"{float(value) + 0.0:.{7 if isinstance(value, np.float32) else 8}g}"
    return text if any(c in text for c in ".en") else text + ".0"


def short(value: float | Decimal | None) -> str:
    """An error or a tolerance: three significant digits are enough to compare the two."""
    return "not finite" if value is None else f"{float(value):.3g}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 figure`, `2 figures`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def quantity(key: str, index: tuple[int, ...], updates: int | None = None) -> str:
    """One entry of what a figure is printed for: `p[0]`, `loss after 2 updates`."""
    after = "" if updates is None else f" after {count(updates, 'update')}"
    return indexed(key, index) + after


def indexed(key: str, index: tuple[int, ...]) -> str:
    """One entry of a quantity; an expression is put in parentheses: `(a + b)[0,1]`."""
    if not index:
        return key
    simple = re.fullmatch(r"\w+([\[(][^\[\]()]*[\])])?", key)  # a name, or one call or index of it
    return f"{key if simple else f'({key})'}[{','.join(map(str, index))}]"
