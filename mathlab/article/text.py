"""A document -> its numbers and arrays, each with its place and its digits as a figure would have them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import islice
from pathlib import Path

from mathlab.article.formats import BLANK, KINDS, READERS, Draft, Heading, Span, line_starts, notebook, signs
from mathlab.errors import MathlabError, Place

LARGEST = 4_000_000  # characters
MOST = 50_000  # numbers


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

    @property
    def decimal(self) -> bool:
        return not self.text.lstrip("-").isdigit()


Digits = tuple[int, tuple[int, ...], int]


def digits_of(text: str) -> Digits:
    """What the digits of a number say, however it is written: 5.6e-08 is 56e-9, and 0.30 is not 0.3."""
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # it is a letter for NaN and infinity only
    return sign * any(digits), digits, exponent


@dataclass(frozen=True)
class Document:
    """What is read of a document. `groups` are arrays: a shape, and the positions in `numbers` in C order."""

    path: str
    text: str
    numbers: tuple[Number, ...]
    groups: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    headings: tuple[Heading, ...] = ()

    def quoted(self, words: str) -> Iterator[Span]:
        """Where some words stand, whatever marks emphasis or maths between them."""
        parts = [re.escape(part) for part in re.findall(r"\w+|[^\w\s*`$\\{}]", words)]
        if parts:
            pattern = r"[\s*`$\\{}\0]*".join(parts)
            yield from (found.span() for found in re.finditer(pattern, self.text, re.IGNORECASE))

    def under(self, start: int) -> Heading | None:
        """The heading under which something stands."""
        at = bisect_right([heading.start for heading in self.headings], start)
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
    source = source.replace("\r\n", "\n").replace(BLANK, " ")
    origins = [(0, str(path))]
    if kind == ".ipynb":
        draft, origins = notebook(source, str(path))
    else:
        draft = READERS[kind](source)
    return _document(str(path), draft, origins)


def _document(path: str, draft: Draft, origins: Sequence[tuple[int, str]]) -> Document:
    text = PROMPT.sub(lambda found: BLANK * len(found.group()), signs(draft.text))
    starts = line_starts(text)

    def place(at: int) -> Place:
        begin, file = origins[max(bisect_right(origins, at, key=lambda origin: origin[0]) - 1, 0)]
        line = bisect_right(starts, at)
        first = bisect_right(starts, begin)
        return Place(file, line - first + 1, at - max(starts[line - 1], begin) + 1)

    titles = {heading.start for heading in draft.headings}
    numbers = tuple(_numbers(text, place, titles))
    groups = [*_arrays(text, numbers), *_rows(text, numbers), *_tables(draft.tables, numbers)]
    return Document(path, text, numbers, tuple(dict.fromkeys(groups)), tuple(draft.headings))


# Numbers

DIGIT = r"(?:\d{1,3}(?:[,\u2009\u202f]{1,3}\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+"
POWER = (
    r"[\s\0]*[×·*][\s\0]*10"
    r"(?:[\s\0]*\^?[\s\0{]*(?P<power>[-+]?\d{1,3})(?![\d.])\s*\}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
)
NUMBER = re.compile(
    rf"(?<![\w.])(?P<digits>{DIGIT})(?:[eE](?P<e>[-+]?\d{{1,4}})(?!\w)|{POWER})?(?P<percent>[\s\0]?%)?(?!\d)"
)
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
PROMPT = re.compile(r"^[ \t#]*(?:>>>|\.\.\.(?=\s))", re.MULTILINE)
WORDS = (
    "section sec chapter figure fig table tab eq eqn equation step example listing algorithm appendix part exercise "
    "theorem lemma version release v python numpy pytorch torch tensorflow jax cuda scipy pandas keras julia ubuntu"
).split()
BEFORE = re.compile(rf"(?:(?<![a-z])(?:{'|'.join(WORDS)})[s.]*[\s\0~(]*|§\s*|[=<>]=\s?)\Z", re.IGNORECASE)


def _numbers(text: str, place: Callable[[int], Place], titles: set[int]) -> Iterator[Number]:
    found_all = [*islice(NUMBER.finditer(text), MOST + 1)]
    if len(found_all) > MOST:
        raise MathlabError(f"a document has at most {MOST} numbers that are looked at", place(found_all[-1].start()))
    for found in found_all:
        start, end = found.span()
        before, after = text[max(start - 24, 0) : start], text[end : end + 12]
        power = found["e"] or found["power"] or (found["raised"] or "").translate(RAISED)
        digits = re.sub("[,\u2009\u202f]", "", found["digits"])
        sign = re.search(r"(?:^|[^\w\0.)\]}'\s-])[\s\0]*-[\s\0]*\Z|(?:^|[\s\0])-\0*\Z", before)
        if sign:
            start -= len(before) - before.rindex("-")
        written = f"{'-' if sign else ''}{digits}{f'e{int(power):+03d}' if power else ''}"
        yield Number(
            written, start, end, place(start), _why(text, found, before, after, titles), bool(found["percent"])
        )


def _why(text: str, found: re.Match[str], before: str, after: str, titles: set[int]) -> str:
    """Why a number is none that the article computes; empty where it may be one."""
    if re.match(r"(?:\.\d)", after) or re.search(r"\d[.]\Z", before):
        return "a version or date"
    if (re.search(r"[_\w][-/]\Z", before) and re.match(r"[-/.]?\w*[A-Za-z]", after)) or re.match(
        r"\.[a-z]{2,4}\b", after
    ):
        return "part of a name"
    if re.search(r"_[{\0]*\Z", before):
        return "an index"
    if BEFORE.search(before):
        return "a reference or a version"
    line = text[max(text.rfind("\n", 0, found.start()) + 1, found.start() - 40) : found.start()]
    if re.fullmatch(r"[#\s*\0]*", line) and re.match(r"[.)]?[\s*]+\(?[^\W\d]", after):
        begin = found.start() - len(line)
        if line.lstrip().startswith("#") or any(begin <= title <= found.start() for title in titles):
            return "the number of a section"
    return ""


# Arrays: in brackets as NumPy and Python print them, LaTeX matrices, tables, and numbers side by side

TOKEN = re.compile(r"[\[(⟦]|[\])⟧]|[,;&⏎\s\0|]+|[^\[\]()⟦⟧,;&⏎\s\0|]+")
Groups = Iterator[tuple[tuple[int, ...], tuple[int, ...]]]


@dataclass
class _Bracket:
    """A bracket that is still open: the shapes and members of what stands in it, row by row."""

    sign: str
    rows: list[list[tuple[tuple[int, ...], tuple[int, ...]]]] = field(default_factory=lambda: [[]])

    def array(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        rows = [row for row in self.rows if row]
        shapes = {shape for row in rows for shape, _ in row}
        if len(shapes) != 1 or len({len(row) for row in rows}) != 1:
            return None
        shape = (len(rows), len(rows[0]), *shapes.pop()) if self.sign == "⟦" else (len(rows[0]), *shapes.pop())
        return (shape, tuple(member for row in rows for _, members in row for member in members)) if shape else None


def _arrays(text: str, numbers: Sequence[Number]) -> Groups:
    """Brackets that hold numbers and such brackets alone."""
    starts = {number.start: position for position, number in enumerate(numbers)}
    stack: list[_Bracket] = []
    at = 0
    while found := TOKEN.match(text, at):
        token, here, at = found.group(), at, found.end()
        if here in starts and not numbers[starts[here]].why:
            at = numbers[starts[here]].end
            if stack:
                stack[-1].rows[-1].append(((), (starts[here],)))
        elif token in "[(⟦":
            stack.append(_Bracket(token))
        elif token in "])⟧":
            array = stack.pop().array() if stack else None
            if array and len(array[1]) > (token == ")"):
                yield array
            if array and stack:
                stack[-1].rows[-1].append(array)
            elif stack:
                stack.clear()
        elif "⏎" in token and stack and stack[-1].sign == "⟦":
            stack[-1].rows.append([])
        elif token.strip(",;&⏎|" + BLANK + " \n\t"):
            stack.clear()


def _rows(text: str, numbers: Sequence[Number]) -> Groups:
    """Numbers side by side, as `print(a, b)` writes them."""
    run: list[int] = []
    for position, number in enumerate(numbers):
        joined = run and not re.search(r"[^ ,\t]", text[numbers[run[-1]].end : number.start])
        if not joined:
            if len(run) > 1:
                yield (len(run),), tuple(run)
            run = []
        run.append(position)
    if len(run) > 1:
        yield (len(run),), tuple(run)


def _tables(tables: Iterable[list[list[Span]]], numbers: Sequence[Number]) -> Groups:
    """The body of a table: the columns that hold numbers alone, each of them, and each row of them."""
    starts = [number.start for number in numbers]

    def only(span: Span) -> int | None:
        first, last = bisect_left(starts, span[0]), bisect_left(starts, span[1])
        return first if last == first + 1 and not numbers[first].why else None

    for table in tables:
        cells = [[only(cell) for cell in row] for row in table]
        width = max(map(len, cells), default=0)
        body = [row + [None] * (width - len(row)) for row in cells if any(cell is not None for cell in row)]
        whole = [column for column in range(width) if body and all(row[column] is not None for row in body)]
        rows = [tuple(cell for column in whole if (cell := row[column]) is not None) for row in body]
        if whole:
            yield (len(rows), len(whole)), tuple(member for row in rows for member in row)
            yield from (((len(row),), row) for row in rows)
            yield from (((len(rows),), column) for column in zip(*rows, strict=True))
