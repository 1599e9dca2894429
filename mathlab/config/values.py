"""Trees -> numbers, texts, arrays and printed figures, each with what the JSON Schema of a config says of it.

`mathlab schema` joins the pieces, for editors. They are a little wider than the readers: a schema cannot know what an
expression means, and it must take for a number what a YAML library takes for a text, as some do with `1e-3`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeAlias, TypeVar, cast

import numpy as np

from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind, nothing
from mathlab.errors import MathlabError, Problem, refuse_unknown
from mathlab.experiment import INFINITE, PrintedNumber, Value
from mathlab.habits import NUMERALS
from mathlab.signs import FIGURES, NUMBERS, VALUES, Slips, commas, slip

NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
LONGEST = 1_500  # characters of a printed number; float64 has none whose every digit takes more

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Schema: TypeAlias = Mapping[str, Json]

TEXT: Schema = {"type": ["string", "number", "boolean"]}  # a title may be 1986, and a formula 0

Part = TypeVar("Part")
Read = TypeVar("Read")
Word = TypeVar("Word", bound=str)
ReadT = TypeVar("ReadT", covariant=True)


def reference(name: str) -> Schema:
    """What `commands/schema.py` defines by this name."""
    return {"$ref": f"#/$defs/{name}"}


def any_of(*schemas: Schema) -> Schema:
    """What fits any of them."""
    return {"anyOf": schemas}


def listed(schema: Schema, least: int = 1) -> Schema:
    """A list of such."""
    return {"type": "array", "minItems": least, "items": schema}


class Reader(Generic[ReadT]):
    """It takes a part of the tree and returns what it says, or raises MathlabError with each problem in that part."""

    def __init__(self, read: Callable[[Tree], ReadT], schema: Schema, readers: Collection[str] = ()) -> None:
        self.read, self.schema, self.readers = read, schema, readers  # of its keys, where these are known

    def __call__(self, tree: Tree) -> ReadT:
        return self.read(tree)


def reader(schema: Schema) -> Callable[[Callable[[Tree], Read]], Reader[Read]]:
    """The decorator that makes a function a reader of what fits the schema."""
    return lambda read: Reader(read, schema)


@reader(reference("number"))
def number(tree: Tree) -> float:
    """A finite number in decimal or scientific notation."""
    return _finite(tree, ", as in 0.1")


def _finite(tree: Tree, example: str = "", slips: Slips = NUMBERS) -> float:
    """Such a number; where it is none, one of the `slips` tells what to write, or else the example."""
    if isinstance(tree, Scalar) and not tree and not tree.quoted:
        raise MathlabError("a number is missing", tree.place)
    if not isinstance(tree, Scalar) or tree.quoted or not NUMBER.fullmatch(tree):
        hint = _hint(tree, slips) if isinstance(tree, Scalar) else ""
        raise MathlabError(f"a number is needed here, not {kind(tree)}{hint or example}", tree.place)
    value = float(tree)
    if math.isinf(value):
        raise MathlabError(f"a number must be finite, and {str(tree)!r} is too large for float64", tree.place)
    if value == 0 and re.search("[1-9]", re.split("[eE]", tree)[0]):
        raise MathlabError(f"{str(tree)!r} is too small for float64", tree.place)
    return value


def _hint(text: Scalar, slips: Slips) -> str:
    """What may be meant by a text that is no number."""
    if NUMBER.fullmatch(text.strip()):
        return ", which stands in quotes" if text.quoted else f"; write {text.strip()} alone"
    digits = NUMERALS.get(text.lower())
    return slip(text, slips) or (f"; write {digits}" if digits else "")


def at_least(least: int, example: str = ", as in 10") -> Reader[int]:
    """The reader of a whole number of at least `least`."""

    def read(tree: Tree) -> int:
        value = _finite(tree, example)
        if not isinstance(tree, Scalar) or not WHOLE.fullmatch(tree):
            hint = f"; write {value:.0f}" if value.is_integer() and abs(value) < 1e15 else ""
            raise MathlabError(f"a whole number is needed here, not {kind(tree)}{hint}", tree.place)
        if value < least:
            raise MathlabError(f"a number of at least {least} is needed here, not {tree}", tree.place)
        return int(tree)

    return Reader(read, {"type": "integer", "minimum": least})


whole, counted = at_least(0), at_least(1)


@reader(reference("number"))
def positive(tree: Tree) -> float:
    """A number above zero."""
    value = number(tree)
    if value <= 0:
        raise MathlabError(f"a number above 0 is needed here, not {tree}", tree.place)
    return value


@reader(TEXT)
def text(tree: Tree) -> str:
    """A text that says something, without the white space around it."""
    if not isinstance(tree, Scalar):
        raise MathlabError(f"a text is needed here, not {kind(tree)}", tree.place)
    if nothing(tree) or not tree.strip():
        raise MathlabError("a text is missing", tree.place)
    return str(tree).strip()


@reader({"type": "boolean"})
def flag(tree: Tree) -> bool:
    """`true` or `false`."""
    if not isinstance(tree, Scalar) or tree.quoted or tree not in ("true", "false"):
        raise MathlabError(f"true or false is needed here, not {kind(tree)}", tree.place)
    return tree == "true"


def choice(tree: Tree, known: Iterable[Word], what: str, otherwise: str = "") -> Word:
    """One of the `known` words; `what` is the kind of thing, `otherwise` what to do where none of them is meant."""
    word, words = text(tree), {str(word): word for word in known}
    refuse_unknown(what, word, words, tree.place, otherwise)
    return words[word]


def one_of(known: Sequence[Word], what: str, otherwise: str = "") -> Reader[Word]:
    """The reader of such a choice."""
    return Reader(lambda tree: choice(tree, known, what, otherwise), {"enum": [*known]})


def attempt(read: Callable[[Part], Read], part: Part, problems: list[Problem]) -> Read | None:
    """What `read` makes of the part; None where it cannot, its problems being added to `problems`."""
    try:
        return read(part)
    except MathlabError as error:
        problems.extend(error.problems)
        return None


class Partly(MathlabError):
    """Problems in some parts, and what is made of the `rest`."""

    def __init__(self, problems: list[Problem], rest: object) -> None:
        super().__init__(problems)
        self.rest = rest


def gather(read: Callable[[Part], Read], parts: Iterable[Part]) -> tuple[Read, ...]:
    """What `read` makes of each part. Raises `Partly` with the problems of all of them."""
    problems: list[Problem] = []
    results = tuple(result for part in parts if (result := attempt(read, part, problems)) is not None)
    if problems:
        raise Partly(problems, results)
    return results


def in_order(tree: Tree) -> None:
    """Raise MathlabError for a mapping from numbers, which a list is meant by: {0: 0.5, 1: 0.2}."""
    if isinstance(tree, Table) and tree and all(map(NUMBER.fullmatch, tree)):
        raise MathlabError("a list is needed here, not a mapping from numbers; write [0.5, -1], in order", tree.place)


def several(read: Reader[Read], empty: str = "") -> Reader[tuple[Read, ...]]:
    """The reader of one, or a list of them; `empty` says what is wrong with a list of none, if anything is."""

    def read_all(tree: Tree) -> tuple[Read, ...]:
        items: list[Tree] = tree if isinstance(tree, Row) else [tree]
        if empty and not items:
            raise MathlabError(empty, tree.place)
        return gather(read, items)

    return Reader(read_all, any_of(read.schema, listed(read.schema, int(bool(empty)))), read.readers)


def array(tree: Tree) -> Value:
    """A number or nested list as an array. Raises for ragged and empty lists and for anything but finite numbers."""
    scalars, shape, numbers = _flat(tree, partial(_finite, slips=VALUES))
    return Value(np.array(numbers).reshape(shape), tree.place, integral=all(map(WHOLE.fullmatch, scalars)))


@reader(reference("printed"))
def printed(tree: Tree) -> tuple[tuple[PrintedNumber, ...], tuple[int, ...]]:
    """The numbers of a figure as printed, in C order, and the shape of the nested list they stood in."""
    scalars, shape, _ = _flat(tree, lambda item: float(item) if item in INFINITE else _finite(item, slips=FIGURES))
    for scalar in scalars:
        if len(scalar) > LONGEST:
            raise MathlabError(f"a printed number has at most {LONGEST} characters, not {len(scalar)}", scalar.place)
    return tuple(PrintedNumber(str(scalar), scalar.place) for scalar in scalars), shape


def _flat(tree: Tree, read: Callable[[Tree], float]) -> tuple[list[Scalar], tuple[int, ...], tuple[float, ...]]:
    """The numbers of a nested list in C order as parts of the tree and as they are read, and the shape of the list."""
    problems: list[Problem] = []
    shape: list[int] = []
    level: list[Tree] = [tree]
    while level and isinstance(level[0], Row):
        shape.append(len(level[0]))
        problems += [problem for part in level if (problem := _unfit(part, level[0]))]
        level = [item for row in level if isinstance(row, Row) for item in row]
    try:
        numbers = gather(read, level)
    except MathlabError as error:
        problems += error.problems
    if problems:
        raise MathlabError(problems)
    return cast(list[Scalar], level), tuple(shape), numbers


def _unfit(part: Tree, first: Row) -> Problem | None:
    """What keeps one part of a level from standing beside the first."""
    length = len(first)
    if not isinstance(part, Row):
        message = f"a list of {_entries(length)} is needed here, as at the first place, not {kind(part)}"
        return Problem(message, part.place)
    if not part:
        return Problem("an empty list holds no numbers", part.place)
    if len(part) != length:
        here, there = ([(str(cell), cell.place) for cell in row] for row in (part, first))
        hint = commas(here, length) or commas(there, len(part))
        return Problem(f"this row has {_entries(len(part))}, the first has {length}{hint}", part.place)
    return None


def _entries(count: int) -> str:
    return f"{count} entry" if count == 1 else f"{count} entries"
