"""A document -> its numbers and arrays, each with its place and its digits as a figure would have them."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, groupby, islice, pairwise
from pathlib import Path

from mathlab.article.formats import BLANK, CELL, CLOSE, KINDS, OPEN, ROW, Heading, Span, line_starts, parts, signs
from mathlab.errors import MathlabError, Place
from mathlab.printed import REPR_DIGITS, REPR_ULPS

LARGEST = 4_000_000  # characters
MOST = 50_000  # numbers
LARGEST_ARRAY = 1_000  # numbers
DEEPEST = 4  # axes of an array that is printed in brackets


@dataclass(frozen=True)
class Number:
    """A number: its digits as a figure would have them, where it stands, and why it is none of the article's, if so."""

    text: str
    start: int
    end: int
    place: Place
    why: str = ""
    percent: bool = False

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
        if len(digits) >= REPR_DIGITS:
            return REPR_ULPS * math.ulp(self.value)
        return 0.5 * 10.0**exponent * (1 + 1e-12)

    @cached_property
    def zeros(self) -> int:
        """How many zeros it ends in: 16.0 is as likely by chance as 16."""
        digits = "".join(map(str, self.digits[1]))
        return len(digits) - len(digits.rstrip("0"))

    @cached_property
    def share(self) -> float:
        """Which part of the values of its size, a third of it to three times as much, is printed so."""
        return min(2 * self.half_unit * 10.0**self.zeros / (abs(self.value) * 8 / 3), 1.0) if self.value else 1.0

    @property
    def fraction(self) -> Number:
        """What a number of per cent is as a fraction."""
        return replace(self, text=str(Decimal(self.text).scaleb(-2)), percent=False)

    @property
    def decimal(self) -> bool:
        return not self.text.lstrip("-").isdigit()


Digits = tuple[int, tuple[int, ...], int]
Group = tuple[tuple[int, ...], tuple[int, ...]]  # an array: its shape, and the positions of its numbers in C order


def digits_of(text: str) -> Digits:
    """What the digits of a number say, however it is written: 5.6e-08 is 56e-9, and 0.30 is not 0.3."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # it is a letter for NaN and infinity only
    return sign * any(digits), digits, exponent


@dataclass(frozen=True)
class Document:
    """What is read of a document; in its text, what is no prose or number is blank."""

    path: str
    text: str
    numbers: tuple[Number, ...]
    groups: tuple[Group, ...]
    headings: tuple[Heading, ...] = ()

    def quoted(self, words: str) -> Iterator[Span]:
        """Where some words stand, whatever marks emphasis or maths between them."""
        pieces = [re.escape(piece) for piece in re.findall(r"\w+|[^\w\s*`$\\{}]", words)]
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
    try:
        source = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MathlabError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise MathlabError(f"{path} is no text in UTF-8") from None
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise MathlabError(f"{path}: a document ends in one of {', '.join(KINDS)}")
    if len(source) > LARGEST:
        raise MathlabError(f"{path} has {len(source)} characters, and {LARGEST} are the limit of a document")
    whole = ""
    numbers: list[Number] = []
    groups: list[Group] = []
    headings: list[Heading] = []
    for name, part, reader in parts(signs(source.replace("\r\n", "\n").replace(BLANK, " ")), str(path), kind):
        text, titles = reader(part)
        text = PROMPT.sub(lambda found: BLANK * len(found.group()), text)
        found = [*islice(_numbers(text, part, titles, name, len(whole)), MOST + 1 - len(numbers))]
        groups += _groups(text, found, len(whole), len(numbers))
        headings += [Heading(one.start + len(whole), one.level, one.title) for one in titles]
        numbers += found
        whole += text + "\n"
        if len(numbers) > MOST:
            raise MathlabError(f"a document has at most {MOST} numbers that are looked at", numbers[-1].place)
    return Document(str(path), whole, tuple(numbers), tuple(groups), tuple(headings))


# Numbers

DIGITS = r"(?:\d{1,3}(?:[,\u2009\u202f]{1,3}\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+"
POWER = (
    r"[\s\0]*[×·*][\s\0]*10"
    r"(?:[\s\0]*\^?[\s\0{]*(?P<power>[-+]?\d{1,3})(?![\d.])\s*\}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
)
NUMBER = re.compile(
    r"(?:(?:^|(?<=[^\w\0.)\]}'\s-]))[\s\0]*+(?P<minus>-)[\s\0]*+|(?<![^\s\0])(?P<sign>-)\0*+)?"
    rf"(?<![\w.])(?P<digits>{DIGITS})(?:[eE](?P<e>[-+]?\d{{1,4}})(?!\w)|{POWER})?(?P<percent>[\s\0]?\\?%)?(?!\d)"
)
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
PROMPT = re.compile(r"^[ \t#]*(?:>>>|\.\.\.(?=\s))", re.MULTILINE)
PARTS = (
    "section|sec|chapter|figure|fig|table|tab|eq|eqn|equation|step|example|listing|algorithm|appendix|part|exercise"
    "|theorem|lemma"
)
TOOLS = "version|release|python|numpy|pytorch|torch|tensorflow|jax|cuda|scipy|pandas|keras|julia|ubuntu"
NOT_THE_ARTICLES = [  # what stands before a number, its first digit, what is behind it, and what it then is
    (rf"(?i:(?<![a-z])(?:{PARTS})[s.]*[\s\0~(]*|§\s*)", "[1-9]", "", "a reference"),
    (rf"(?i:(?<![a-z])(?:{TOOLS})[\s\0~(]*|(?<![a-z])v\.?|\w[=<>]=)", "", "", "a version"),
    ("", "", r"\.\d", "a version or date"),
    (r"\d[.]", "", "", "a version or date"),
    (r"[_\w][-/]", "", r"[-/.]?\w*[A-Za-z]", "part of a name"),
    ("", "", r"\.[a-z]{2,4}\b", "part of a name"),
    (r"_[{\0]*", "", "", "an index"),
]
RULES = [
    (re.compile(rf"(?:{before})\Z"), re.compile(digit), re.compile(after), why)
    for before, digit, after, why in NOT_THE_ARTICLES
]
TITLE = 300  # characters of a heading, before its number
MARKS = f"#* \t\n{BLANK}"  # may stand before the number of a section,
NUMBERED = re.compile(r"[.)]?[\s*]+\(?[^\W\d]")  # and this behind it


def _numbers(text: str, source: str, headings: Sequence[Heading], name: str, offset: int) -> Iterator[Number]:
    lines, titles = line_starts(source), [heading.start for heading in headings]
    for found in NUMBER.finditer(text):
        minus = "minus" if found["minus"] else "sign" if found["sign"] else ""
        start, end = found.start(minus or "digits"), found.end()
        power = found["e"] or found["power"] or (found["raised"] or "").translate(RAISED)
        digits = re.sub("[,\u2009\u202f]", "", found["digits"])
        written = f"{'-' if minus else ''}{digits}{f'e{int(power):+03d}' if power else ''}"
        line = bisect_right(lines, start)
        before, after = text[max(found.start("digits") - 24, 0) : start], text[end : end + 12]
        rules = ((left, digit, right, why) for left, digit, right, why in RULES if right.match(after))
        why = next((why for left, digit, _, why in rules if digit.match(digits) and left.search(before)), "")
        past = bisect_right(titles, start)
        within = bool(past) and start - titles[past - 1] < TITLE and not text[titles[past - 1] : start].strip(MARKS)
        if not why and within and NUMBERED.match(after):
            why = "the number of a section"
        place = Place(name, line, start - lines[line - 1] + 1)
        yield Number(written, start + offset, end + offset, place, why, bool(found["percent"]))


# Arrays: in brackets as NumPy and Python print them, the cells of tables and matrices, and numbers side by side


def _groups(text: str, numbers: Sequence[Number], offset: int, first: int) -> Iterator[Group]:
    """The arrays of a part of the document, which begins at `offset` with the `first` of its numbers."""
    spans = [(number.start - offset, number.end - offset) for number in numbers]
    found = [*_brackets(text, numbers, spans), *_cells(text, numbers, spans), *_rows(text, spans)]
    for shape, members in (group for group in dict.fromkeys(found) if len(group[1]) <= LARGEST_ARRAY):
        yield shape, tuple(member + first for member in members)


def _brackets(text: str, numbers: Sequence[Number], spans: Sequence[Span]) -> Iterator[Group]:
    """Brackets that hold numbers and such brackets alone, by a word with a letter for each number, bracket and rest."""
    letters, kept, done = [], [], 0
    for position, (start, end) in enumerate([*spans, (len(text), len(text))]):
        between = re.sub(r"\A\.(?=[\s\])])|[,;&⏎\s\0|]+", "", text[done:start])  # NumPy's [1. 0.] is one array
        letters.append(re.sub(r"[^\[\]]+", "x", between.replace("(", "[").replace(")", "]")))
        if position < len(spans):
            letters.append("x" if numbers[position].why else "n")
            kept += [] if numbers[position].why else [position]
        done = end
    word = "".join(letters)
    counted = [0, *accumulate(letter == "n" for letter in word)]
    pattern = "n"
    for depth in range(1, DEEPEST + 1):
        pattern = rf"\[(?:{pattern})++\]"
        for found in re.finditer(pattern, word):
            array, members = found.group(), tuple(kept[counted[found.start()] : counted[found.end()]])
            starts = [1, *(array.count("[" * axes + "n") for axes in range(depth - 1, 0, -1)), len(members)]
            shape = tuple(inner // outer for outer, inner in pairwise(starts))
            even = "n"
            for length in reversed(shape):
                even = f"[{even * length}]"
            if even == array and len(members) > 1:
                yield shape, members


def _cells(text: str, numbers: Sequence[Number], spans: Sequence[Span]) -> Iterator[Group]:
    """The body of a table or matrix: the columns that hold numbers alone, each of them, and each row of them."""
    starts = [start for start, _ in spans]

    def only(start: int, end: int) -> int | None:
        first, last = bisect_left(starts, start), bisect_left(starts, end)
        return first if last == first + 1 and not numbers[first].why else None

    for table in re.finditer(rf"{OPEN}([^{OPEN}{CLOSE}]*)", text):
        rows = [
            [only(*cell.span()) for cell in re.compile(f"[^{CELL}]+|(?<={CELL})(?={CELL})").finditer(text, *row.span())]
            for row in re.compile(f"[^{ROW}]+").finditer(text, *table.span(1))
        ]
        body = [row for row in rows if any(cell is not None for cell in row)]
        columns = [[row[at] if at < len(row) else None for row in body] for at in range(max(map(len, body), default=0))]
        whole = [tuple(cell for cell in column if cell is not None) for column in columns if None not in column]
        lines = [*zip(*whole, strict=True)]
        for below in (lines, lines[1:]):  # the first may be a head that counts the columns
            if below:
                yield (len(below), len(whole)), sum(below, ())
                yield from (((len(line),), line) for line in (*below, *zip(*below, strict=True)) if len(line) > 1)


def _rows(text: str, spans: Sequence[Span]) -> Iterator[Group]:
    """Numbers side by side, as `print(a, b)` writes them."""
    apart = (not re.fullmatch(r"\.?[ ,\t]+|,", text[a:b]) for (_, a), (b, _) in pairwise(spans))
    runs = [0, *accumulate(apart)]
    for _, run in groupby(range(len(spans)), key=runs.__getitem__):
        members = tuple(run)
        if len(members) > 1:
            yield (len(members),), members
