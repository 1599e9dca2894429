"""What a user can get wrong, said in one sentence that names the place."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mathlab.habits import NOWHERE, folded, here
from mathlab.signs import LONGEST_SLIP

LONGEST = 1_000  # characters of a message, which may quote a name or a number as long as a file
NEAR = 0.6  # of two words, how much is the same, for a closer look
PER_EDIT = 5  # letters, of which one may be another: scale is no scatter
ABBREVIATED = 4  # letters of a word that is cut short
LISTED = 3  # close words that are looked at in turn
LOOKED_AT = 500  # known words, when a close one is sought: each comparison takes a while


class Place(NamedTuple):
    """Where something stands in a file; line and column count from 1, as editors do. It may be a file as a whole.

    Of a text that goes on over several lines, `turns` says where each of them begins: after how many characters of the
    text, and at which line and column.
    """

    file: str
    line: int = 0
    column: int = 0
    turns: tuple[tuple[int, int, int], ...] = ()

    def shifted(self, characters: int) -> Place:
        """The place of what stands so many characters further in the text that begins here."""
        begun = (turn for turn in self.turns if turn[0] <= characters)
        start, line, column = max(begun, default=(0, self.line, self.column))
        return Place(self.file, line, column + characters - start)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One thing to mend, and where (`place` is None where there is no file, as for an output folder)."""

    message: str
    place: Place | None = None

    def __post_init__(self) -> None:
        if len(self.message) > LONGEST:
            object.__setattr__(self, "message", f"{self.message[:LONGEST]}...")

    def hinted(self, hint: str) -> Problem:
        """The same with a hint, where it has none yet."""
        return self if ";" in self.message else Problem(f"{self.message}{hint}", self.place)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class MathlabError(Exception):
    """Input that cannot be used: exit 2. Carries every problem that was found, one sentence each."""

    def __init__(self, problems: str | Problem | Sequence[Problem], place: Place | None = None) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, place)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[object, ...]:
        """The error as another process gets it."""
        return type(self), (self.problems,)


class ExpressionError(Exception):
    """An expression that cannot be read or typed, at an `offset` of it; `function` is what it says to call instead."""

    def __init__(self, message: str, offset: int = 0, function: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.function = function

    def at(self, place: Place | None) -> MathlabError:
        """The same sentence with the file, line and column of the expression that starts at `place`."""
        return MathlabError(self.message, place.shifted(self.offset) if place else None)


class ShapeMismatch(ExpressionError):
    """An expression that can be read, but whose parts have shapes that do not fit together."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'loss'?"` when a known word is close to `word`, else the empty string.

    Close is what differs in case and underscores, then what another tool calls so, then what is spelt alike, of which
    all that are as near are told. Short names are close that differ in their digits only: W3 and W2.
    """
    word = str(word)  # Python's result[3] asks for a number
    if len(word) > LONGEST_SLIP:
        return ""
    words = [*itertools.islice(known, LOOKED_AT)]
    same = [other for other in words if folded(other) == folded(word)] or [*filter(None, [here(word, words)])]
    if not same and folded(word) in NOWHERE:
        return ""
    begun = [one for one in words if len(word) >= ABBREVIATED and one.startswith(word)]
    alike = difflib.get_close_matches(word, words, n=LISTED, cutoff=NEAR)
    close = same[:1] or (begun if len(begun) == 1 else [])
    close = close or [one for one in alike if _edits(word, one) <= max(1, (max(len(word), len(one)) + 1) // PER_EDIT)]
    close = close or sorted(other for other in words if _stem(other) and _stem(other) == _stem(word))
    nearest = [one for one in close if _edits(word, one) == min(_edits(word, other) for other in close)]
    return f"; did you mean {' or '.join(map(repr, nearest[:LISTED]))}?" if nearest else ""


def listed(words: Sequence[str], most: int = 100) -> str:
    """Words as a sentence lists them; of many, the first and the number of the rest."""
    *shown, last = words if len(words) <= most else [*words[:most], f"{len(words) - most} more"]
    return f"{', '.join(shown)} and {last}" if shown else last


def refuse_unknown(what: str, word: str, known: Collection[str], at: Place | None = None, more: str = "") -> None:
    """Raise MathlabError, with a word that is close or else all, for one that is none of the `known` of its kind."""
    if not isinstance(word, str) or word not in known:  # Python may give an array, which is in nothing
        hint = did_you_mean(word, known) or f"; known are {', '.join(known)}{more}"
        raise MathlabError(f"unknown {what} {word!r}{hint}", at)


def refuse_unless(fits: bool, what: str, given: object) -> None:
    """Raise MathlabError for what Python was given, unless it fits `what` is wanted."""
    if not fits:
        raise MathlabError(f"{what}, not {repr(given)[:LONGEST_SLIP]}")


def _edits(word: str, other: str) -> int:
    """How many letters are added, dropped, replaced, or moved, from one word to the other."""
    parts = difflib.SequenceMatcher(None, word, other, autojunk=False).get_opcodes()
    edits = sum(max(end - start, until - since) for tag, start, end, since, until in parts if tag != "equal")
    edits = min(edits, sum(a != b for a, b in zip(word, other, strict=False)) + abs(len(word) - len(other)))
    return 1 if edits == 2 and sorted(word) == sorted(other) else edits


def _stem(word: str) -> str:
    return re.sub(r"[\d_]", "", word).casefold()
