"""A document -> its numbers and arrays, each with its place and its digits as a figure would have them."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import chain, islice, pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

from mathlab.article.formats import BLANK, CELL, CLOSE, KINDS, OPEN, ROW, Heading, Span, line_starts, parts
from mathlab.errors import MathlabError, Place
from mathlab.files import note, told
from mathlab.printed import REPR_DIGITS, REPR_ULPS

LARGEST = 4_000_000  # characters
MOST = 50_000  # numbers
LARGEST_ARRAY = 1_000  # numbers
LARGEST_TABLE = 100_000  # cells
LINE, TABLE = 300, 5_000  # characters before a number in which what it stands in is sought
DEEPEST = 4  # axes of an array that is printed in brackets, and the level of what parts two numbers for good
RANGE, OUTSIDE = (-300, 300), "outside the range of a float"  # powers of ten

Digits = tuple[int, tuple[int, ...], int]
Group = tuple[tuple[int, ...], tuple[int, ...]]  # an array: its shape, and the positions of its numbers in C order


@dataclass(frozen=True, eq=False)
class Number:
    """A number: its digits as a figure would have them, where it stands, and why it is none of the article's, if so."""

    text: str
    start: int
    end: int
    place: Place
    why: str = ""
    scale: int = 0  # the power of ten by which it is to be multiplied

    @cached_property
    def digits(self) -> Digits:
        return digits_of(self.text)

    @cached_property
    def value(self) -> float:
        return float(self.text)

    @cached_property
    def half_unit(self) -> float:
        """Half a unit of the last digit; of a float's own text, some units in its last place."""
        _, digits, exponent = self.digits
        return REPR_ULPS * math.ulp(self.value) if len(digits) >= REPR_DIGITS else 0.5 * 10.0**exponent * (1 + 1e-12)

    @cached_property
    def last(self) -> int:
        """The power of ten of its last digit that is no zero: 16.0 is as likely by chance as 16."""
        return digits_of(str(Decimal(self.text).normalize()))[2]

    @cached_property
    def share(self) -> float:
        """Which part of the values of its size, a third of it to three times as much, is printed so."""
        zeros = 10.0 ** (self.last - self.digits[2])
        return min(2 * self.half_unit * zeros / (abs(self.value) * 8 / 3), 1.0) if self.value else 1.0

    @property
    def meant(self) -> Number:
        """What a number of per cent, or in a column whose head has a power of ten, is without that."""
        return replace(self, text=str(Decimal(self.text).scaleb(self.scale)), scale=0) if self.scale else self

    @property
    def decimal(self) -> bool:
        return not self.text.lstrip("-").isdigit()


def digits_of(text: str) -> Digits:
    """What the digits of a number say, however it is written: 5.6e-08 is 56e-9, and 0.30 is not 0.3."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # it is a letter for NaN and infinity only
    return sign * any(digits), digits, exponent


class Document(NamedTuple):
    """What is read of a document; in its text, what is no prose or number is blank."""

    path: str
    text: str
    numbers: tuple[Number, ...]
    groups: tuple[Group, ...]
    headings: tuple[Heading, ...] = ()

    def quoted(self, words: str) -> Iterator[Span]:
        """Where some words stand, whatever marks emphasis or maths between them."""
        pieces = [re.escape(piece) for piece in re.findall(r"\w+|[^\w\s*`$\\{}]", words)]
        pieces = ["[.,]" if piece == "," else piece for piece in pieces]  # 0,5 is 0.5
        if pieces:
            pattern = r"[\s*`$\\{}\0]*".join(pieces)
            yield from (found.span() for found in re.finditer(pattern, self.text, re.IGNORECASE))

    def under(self, start: int) -> Heading | None:
        """The heading under which something stands."""
        at = bisect_right(self.headings, start, key=lambda heading: heading.start)
        return self.headings[at - 1] if at else None


def read(path: Path) -> Document:
    """The document at `path`.

    Raises MathlabError for one that is not there, no text, of no known kind, or too large.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise MathlabError(f"{path}: a document ends in one of {', '.join(KINDS)}")
    if path.exists() and not path.is_file():  # a device, which may never end
        raise MathlabError(f"{path} is not a file")
    note(path)
    try:
        with told(path, "read"):
            source = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MathlabError(f"{path} is no text in UTF-8; save it as one") from None
    if len(source) > LARGEST:
        raise MathlabError(f"{path} has {len(source)} characters, and {LARGEST} are the limit of a document")
    whole, numbers, groups, headings = "", list[Number](), list[Group](), list[Heading]()
    for name, part, (text, titles) in parts(source, str(path), kind):
        found = [*islice(_numbers(text, titles, name, line_starts(part)), MOST + 1 - len(numbers))]
        for shape, members in dict.fromkeys([*_arrays(text, found), *_tables(text, found)]):
            if 1 < len(members) <= LARGEST_ARRAY:
                groups.append((shape, tuple(member + len(numbers) for member in members)))
        headings += [one._replace(start=one.start + len(whole)) for one in titles]
        numbers += [replace(one, start=one.start + len(whole), end=one.end + len(whole)) for one in found]
        whole += text + "\n"
        if len(numbers) > MOST:
            raise MathlabError(f"a document has at most {MOST} numbers that are looked at", numbers[-1].place)
    return Document(str(path), whole, tuple(numbers), tuple(groups), tuple(headings))


# Numbers

SEPARATOR = r"[,\u2009\u202f][\u2009\0]{0,9}"  # of thousands
DIGITS = rf"(?:\d{{1,3}}(?:{SEPARATOR}\d{{3}})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+"
TIMES = r"[\s\0]*[×·*x][\s\0]*"
TEN = (
    r"10(?:[\s\0]*\^[\s\0{]*(?P<power>[-+]?\0*\d{1,3})(?![\d.])\s*\}?|(?P<lost>-\d{1,2})(?![\d.])"
    r"|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
)
POWER = TIMES + TEN
NUMBER = re.compile(
    rf"(?:(?:^|(?<=[^\w\0.)\]}}'\s{CLOSE}-]))[\s\0]*+(?P<minus>-)[\s\0{{]*+|(?<![^\s\0])(?P<sign>-)\0*+)?"
    rf"(?<![\w.])(?P<digits>{DIGITS})(?:[eE](?P<e>[-+]?\d{{1,4}})(?!\w)|{POWER})?(?P<percent>[\s\0]{{0,9}}\\?%)?(?!\d)"
)
SCALED = re.compile(rf"(?:(?:\A|[^\d\s\0]){POWER}|%)[\s\0)\]}}$]*\Z")  # the head of a column
# Before a matrix or behind it, on its line: a table may follow a power of ten, and a list a table.
FACTOR = re.compile(rf"(?:\A|[^\d.^×·*x\s\0])[\s\0]{{0,9}}{TEN}(?:{TIMES})?[ \0(]{{0,20}}\Z")
FACTORED = re.compile(rf"[^{OPEN}{CLOSE}]*+{CLOSE}[ \0)]{{0,20}}[×·*x][ \0]*{TEN}")
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", BLANK)
PARTS = (
    "section|sec|chapter|figure|fig|table|tab|eq|eqn|equation|step|example|listing|algorithm|appendix|part|exercise"
    "|theorem|lemma|arxiv:"
)
TOOLS = "version|release|python|numpy|pytorch|torch|tensorflow|jax|cuda|scipy|pandas|keras|julia|ubuntu"
NOT_THE_ARTICLES = {  # what ends where such a number begins
    rf"(?i:(?<![a-z])(?:{PARTS})[s.]{{0,2}}[\s\0~(]{{0,40}}|§\s*)(?=[1-9])": "a reference",
    rf"(?i:(?<![a-z])(?:{TOOLS})[\s\0~(]{{0,40}}|(?<![a-z])v\.?|\w[=<>]=)(?=\d)": "a version",
    r"(?<![\w.])(?=\d{1,9}\.\d{1,9}\.\d)": "a version or date",
    r"(?:(?<=[_\w][-/])|(?<![\w.]))(?=\d+\.\d+(?:\.[a-z]{2,4}\b|/\w*[a-z]))": "part of a name",
    r"[_\w][-/](?=[\d.]{1,40}[-/.]?\w*[A-Za-z])": "part of a name",
    r"(?<![\w.])(?=[\d.]{1,9}\0*(?:pt|em|rem|ex|mm|cm|in|px)\b)": "a length",
    r"_[{\0]{0,40}(?=[\d.])": "an index",
}
NUMBERED = re.compile(r"[#* \t\n\0{]{0,300}(?=[\d.]+[\s*\0)]+\(?[^\W\d])")  # the title of a section


def _opened(text: str, start: int) -> int:
    """Where the table or matrix begins in which something stands; -1 of what stands in none."""
    opened, closed = (text.rfind(sign, max(start - TABLE, 0), start) for sign in (OPEN, CLOSE))
    return opened if closed < opened else -1


def row_of(text: str, start: int) -> tuple[str, list[str]]:
    """What stands before something in its line, or its row of a table; and the heads of that and of its column."""
    table = _opened(text, start)
    if table < 0:
        return text[max(start - LINE, 0) : start].rpartition("\n")[2], []
    rows = text[table + 1 : start].split(ROW)
    column = rows[-1].count(CELL)
    head = next((row for row in rows if row.strip(f" \n\0{CELL}")), "").split(CELL)
    return rows[-1], [rows[-1].partition(CELL)[0], *head[column : column + 1]]


def _numbers(text: str, headings: Sequence[Heading], name: str, lines: Sequence[int]) -> Iterator[Number]:
    reasons = {one.end(): why for before, why in NOT_THE_ARTICLES.items() for one in re.finditer(before, text)}
    titles = (NUMBERED.match(text, heading.start) for heading in headings)
    reasons |= {title.end(): "the number of a section" for title in titles if title}
    for found in NUMBER.finditer(text):
        minus = "minus" if found["minus"] else "sign" if found["sign"] else ""
        power = found["e"] or _power(found)
        digits = re.sub(SEPARATOR, "", found["digits"])
        written = f"{'-' if minus else ''}{digits}{f'e{int(power):+03d}' if power else ''}"
        start = found.start(minus or "digits")
        line = bisect_right(lines, start)
        place = Place(name, line, start - lines[line - 1] + 1)
        why = reasons.get(found.start("digits"), "" if RANGE[0] < Decimal(written).adjusted() < RANGE[1] else OUTSIDE)
        scale = -2 if found["percent"] else sum(int(_power(power) or -2) for power in _scales(text, start) if power)
        yield Number(written, start, found.end(), place, why, scale)


def _scales(text: str, start: int) -> Iterator[re.Match[str] | None]:
    """By what a number of a table or matrix is to be multiplied: as the head of its column says, or what is around."""
    yield from map(SCALED.search, row_of(text, start)[1][1:])
    if (table := _opened(text, start)) >= 0:
        yield FACTOR.search(text, max(table - LINE, 0), table)
        yield FACTORED.match(text, start, start + TABLE)


def _power(found: re.Match[str]) -> str:
    return (found["power"] or found["lost"] or found["raised"] or "").translate(RAISED)


# Arrays: with nothing but brackets and commas between their numbers, and the cells of tables and matrices

BETWEEN = re.compile(r"\.?(?:\*\*)?[\s\0,;|$\[\]()]{1,300}(?:\*\*|and[\s\0$]{1,200})?")


def _level(text: str, before: Number, after: Number) -> int:
    """How many brackets close and open between two numbers; a line that ends outside of brackets is as good as one."""
    between = text[before.end : after.start]
    closed, opened = (sum(map(between.count, brackets)) for brackets in ("])", "[("))
    if before.why or after.why or closed != opened or not BETWEEN.fullmatch(between):
        return DEEPEST
    last_opened, last_closed = (text.rfind(bracket, max(before.start - TABLE, 0), before.start) for bracket in "[]")
    return min(opened or int("\n" in between and last_opened <= last_closed), DEEPEST)


def _arrays(text: str, numbers: Sequence[Number]) -> Iterator[Group]:
    """What brackets make of numbers, from the innermost; the first or last side by side may belong elsewhere."""
    levels = [DEEPEST, *(_level(text, *pair) for pair in pairwise(numbers))]
    arrays: list[Group] = [((), (at,)) for at in range(len(numbers))]
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for level in range(DEEPEST):
        runs: list[list[Group]] = []
        for shape, members in arrays:
            if levels[members[0]] != level:
                runs.append([])
            runs[-1].append((shape, members))
        # of shapes that differ the smallest has room for fewer numbers than there are
        arrays = [
            ((len(run), *min(shape for shape, _ in run)), tuple(chain.from_iterable(inside for _, inside in run)))
            for run in runs
        ]
        for run, (shape, members) in zip(runs, arrays, strict=True):
            start = numbers[members[0]].start
            opened = re.search(r"[\[\s\0]*\Z", text[max(start - 40, 0) : start])
            if len(run) > 1 or (opened and opened[0].count("[") > level):
                found[members] = shape
            if len(run) > 2 and not level:
                found |= {some: (len(some),) for some in (members[1:], members[:-1])}
    yield from ((shape, members) for members, shape in found.items() if math.prod(shape) == len(members))


def _tables(text: str, numbers: Sequence[Number]) -> Iterator[Group]:
    """The body of a table or matrix: the columns that hold numbers alone, each column, and each row."""
    marks = [*re.finditer(f"[{OPEN}{ROW}{CELL}{CLOSE}]", text)]
    cells: list[list[int]] = [[] for _ in range(len(marks) + 1)]
    for at, number in enumerate(numbers):
        cells[bisect_right(marks, number.start, key=re.Match.start)].append(at)
    alone = [cell[0] if len(cell) == 1 and not numbers[cell[0]].why else None for cell in cells]
    for table in re.finditer(f"[{ROW}{CELL}]+", "".join(mark[0] for mark in marks)):
        rows = [[alone[table.start()]]]
        for at, mark in enumerate(table[0], start=table.start() + 1):
            rows += [[]] if mark == ROW else []
            rows[-1].append(alone[at])
        body = [row for row in rows if any(cell is not None for cell in row)]
        if len(body) * max(map(len, body), default=0) > LARGEST_TABLE:
            continue
        columns = [*zip_longest(*body)]
        whole = [column for column in columns if None not in column]
        lines = [*zip(*whole, strict=True)]
        for below in (lines, lines[1:]):  # the first may be a head that counts the columns
            yield (len(below), len(whole)), tuple(chain.from_iterable(below))
            yield from (((len(line),), line) for line in (*below, *zip(*below, strict=True)))
        for line in (*body, *columns):
            kept = tuple(cell for cell in line if cell is not None)
            yield (len(kept),), kept
