"""Mappings with known keys or free ones (pydantic takes a whole run to import), and names and expressions in them.

Cases inherit most of what they say, so each part of a config is read once, and kept while the config is read.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Generic, TypeVar, cast

from mathlab import signs
from mathlab.config import datafiles
from mathlab.config.values import TEXT, Partly, Reader, Schema, attempt, gather, several, text
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind, nothing
from mathlab.errors import ExpressionError, MathlabError, Problem, did_you_mean
from mathlab.experiment import Allowed
from mathlab.habits import DERIVED, EXAMPLES, below, here, misplaced
from mathlab.language import OPS, read
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Name, walk
from mathlab.signs import NUMBER, PAIRS, pair, slip

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K")
MadeT = TypeVar("MadeT", covariant=True)
Readers = Mapping[str, Callable[[Tree], object]]

JACOBIAN = "jacobian"
NAMES = "^[^_0-9]"  # as the JSON Schema has them


@dataclass
class Permits:
    """`folder` is the config's own. `drawn` counts entries: a thousand small arrays are as large as one.

    What is read is `kept`, for all cases that inherit it; `sheet` reads a CSV file once.
    """

    folder: Path
    allowed: Allowed
    drawn: int = 0
    sheet: Callable[[Path, bool | None], datafiles.Sheet] = field(default_factory=lambda: cache(datafiles.read_csv))
    kept: dict[tuple[object, ...], tuple[tuple[Tree, ...], object]] = field(default_factory=dict)

    def once(self, read: Callable[..., T], *parts: Tree) -> T:
        """What `read` makes of parts of the tree."""
        key = read, *map(id, parts)
        if key not in self.kept:
            try:
                found: object = read(*parts)
            except MathlabError as error:
                found = error
            self.kept[key] = parts, found  # with the parts, so that nothing else gets their ids
        _, found = self.kept[key]
        if isinstance(found, MathlabError):
            raise found
        return cast(T, found)


_current: ContextVar[Permits | None] = ContextVar("permits", default=None)


@contextmanager
def permits(folder: Path, allowed: Allowed) -> Iterator[None]:
    """While a config is read: the readers of its parts know that part alone, and ask `current` for the rest."""
    token = _current.set(Permits(folder, allowed))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Permits:
    """The permits of the config that is being read; outside of one, nothing is allowed."""
    return _current.get() or Permits(Path(), Allowed())


class Keys(Generic[MadeT]):
    """The reader of a mapping with known keys.

    `make` gets what they say by their names, and what the caller has to add; `about` is for editors.
    """

    def __init__(self, about: str, make: Callable[..., MadeT], readers: Readers, needed: tuple[str, ...] = ()) -> None:
        self.about, self.make, self.readers, self.needed = about, make, readers, needed

    def __call__(self, tree: Tree, /, **more: object) -> MadeT:
        table = mapping(tree)
        problems = self.unknown(table)
        said = self.said(table, problems)
        if problems:
            raise MathlabError(problems)
        return self.make(**said, **more)

    def said(self, table: Table, problems: list[Problem]) -> dict[str, object]:
        """What can be read of the known keys; what is wrong with the rest is added to the problems."""
        problems += [Problem(f"'{name}' is missing", table.place) for name in self.needed if name not in table]
        said: dict[str, object] = {}
        for name, tree in table.items():
            if name in self.readers:
                try:
                    value = current().once(self.readers[name], tree)
                except MathlabError as error:
                    example = EXAMPLES.get(name, "") if isinstance(tree, Scalar) and tree else ""
                    problems += [one.hinted(example) for one in error.problems]
                    value = error.rest if isinstance(error, Partly) else None
                if value is not None:
                    said[str(name)] = value
        return said

    def unknown(self, table: Table) -> list[Problem]:
        """Its other keys, each with a hint: `lr=0.1` for `lr: 0.1`, or what belongs to the known key above it."""
        problems: list[Problem] = []
        above = ""
        for name, tree in table.items():
            if name in self.readers:
                above = name
                continue
            hint = pair(name, tree)
            if not hint and above and nothing(table[above]):
                hint = f"; what belongs to '{above}' is indented"
            hint = hint or self.beside(name, tree) or f"; known are {', '.join(self.readers)}"
            problems.append(Problem(f"unknown key '{name}'{hint}", table.key(name).place))
        return problems

    def beside(self, name: str, tree: Tree) -> str:
        """A hint for a key, or for a setting, a value or an equation that stands beside the sections, not in one."""
        if (meant := here(name, self.readers)) in ("optimizer", "grid"):
            return f"; it stands in '{meant}'{EXAMPLES[meant]}"
        sections = {key: part.readers for key, part in self.readers.items() if isinstance(part, Keys | Reader)}
        known = [key for key, keys in sections.items() if name in keys]
        if not known and (hint := did_you_mean(name, self.readers)):
            return hint
        if where := [*filter(None, (below(key, name, sections[key]) for key in known or sections))]:
            return f"; it stands below {', or below '.join(where)}"
        if "cases" in sections and isinstance(tree, Table) and not self.readers.keys().isdisjoint(tree):
            return "; a case stands below 'cases'"
        while isinstance(tree, Row) and tree:
            tree = tree[0]
        if "equations" not in self.readers or not isinstance(tree, Scalar):
            return ""
        if re.fullmatch(NUMBER, tree):
            return "; a value stands below 'inputs' or 'parameters', a figure below 'expected'"
        return "; an equation stands below 'equations'" if re.search(r"\w\(|[*@/^]| [-+] ", tree) else ""

    @property
    def schema(self) -> Schema:
        """What it reads."""
        return {
            "type": "object" if self.needed else ["object", "null"],
            "description": self.about,
            "properties": {name: schema_of(read) for name, read in self.readers.items()},
            "additionalProperties": False,
            **({"required": self.needed} if self.needed else {}),
        }


def schema_of(read: Callable[[Tree], object]) -> Schema:
    """The schema of what a reader reads; one that is not from here may read anything."""
    return read.schema if isinstance(read, Keys | Reader) else {}


def entries(
    read_key: Callable[[Scalar], K],
    read_value: Callable[[Tree], V],
    make: Callable[[dict[K, V]], T],
    keys: str = "",
    filled: bool = True,
) -> Reader[T]:
    """The reader of a mapping with free keys, of the form `keys`, `filled` if it has any. Raises `Partly`."""

    def entry(item: tuple[str, Tree]) -> tuple[K, V]:
        name, part = cast(Scalar, item[0]), item[1]
        if not name.isidentifier() and "bracket" in (hint := pair(name, part)):  # of 0,5 or (0, 5) in braces
            raise MathlabError(f"{str(name)!r} stands alone{hint}", name.place)
        problems: list[Problem] = []
        key, value = attempt(read_key, name, problems), attempt(partial(current().once, read_value), part, problems)
        if problems and (why := _astray(name, part, [*getattr(read_value, "readers", ())], problems)):
            raise MathlabError(why, name.place)
        if problems or key is None or value is None:
            raise MathlabError(problems)
        return key, value

    def read(tree: Tree) -> T:
        table = mapping(tree, filled)
        try:
            return make(dict(gather(entry, table.items())))
        except Partly as error:
            raise Partly([*error.problems], make(dict(cast("tuple[tuple[K, V], ...]", error.rest)))) from None

    schema: Schema = {
        "type": "object" if filled else ["object", "null"],
        **({"propertyNames": {"pattern": keys}} if keys else {}),
        "additionalProperties": schema_of(read_value),
        **({"minProperties": 1} if filled else {}),
    }
    return Reader(read, schema)


def _astray(name: str, part: Tree, within: Sequence[str], problems: Sequence[Problem]) -> str:
    """What is wrong with an entry that is none: a section, a group of others, or what belongs `within` another one."""
    if not isinstance(part, Table):
        if name not in within[1:] or re.match(r"[-+.\d\[]", str(part)):  # it is meant as a figure
            return ""
        return f"'{name}' stands in the braces of what it is said of, as in y: {{{within[0]}: ..., {name}: ...}}"
    groups = within and 0 < len(part) == sum("; known are" in one.message for one in problems)
    beside = "stands beside the others" + ", the gradient of w as dw" * (name in DERIVED)
    group = f"'{name}' has no '{within[0]}': it groups nothing here, and what is in it {beside}" if groups else ""
    return misplaced(name) or group


def mapping(tree: Tree, filled: bool = False) -> Table:
    """The tree as a mapping, `filled` if it has any entries; nothing at all, as in `gradcheck:`, is an empty one."""
    table = Table(tree.place) if nothing(tree) else tree
    if filled and isinstance(table, Table) and not table:
        raise MathlabError("this mapping has no entries", tree.place)
    if isinstance(table, Table):
        return table
    hint = slip(tree, PAIRS) if isinstance(tree, Scalar) else "; write 'name: value', without '-' and brackets"
    raise MathlabError(f"a mapping is needed here, not {kind(tree)}{hint}", tree.place)


# --- names and expressions


def name(key: Scalar) -> Scalar:
    """A name that equations can read."""
    if not key.isidentifier():
        raise MathlabError(f"{str(key)!r} is not a name: {signs.named(key)}", key.place)
    if key.startswith("_"):
        raise MathlabError(f"a name does not begin with '_', as {str(key)!r} does", key.place)
    if keyword.iskeyword(key):
        raise MathlabError(f"{str(key)!r} is a word of Python and cannot be a name; write {key}_", key.place)
    return key


def label(key: Tree) -> Scalar:
    """A key, or a name, that is any text."""
    text(key)
    return cast(Scalar, key)


name_list = several(Reader(lambda tree: label(tree).normalized(), TEXT), "an empty list names nothing")


def _expression(quantity: bool, tree: Tree) -> Equation:
    if not isinstance(tree, Scalar):
        how = "put it in quotes" if isinstance(tree, Row) else "neither braces nor what is indented is part of one"
        raise MathlabError(f"an expression is needed here, not {kind(tree)}; {how}", tree.place)
    try:
        expr = read(tree)
        for call in (part for part in walk(expr) if isinstance(part, Call) and OPS[part.op].internal):
            at = call.position
            if call.op != JACOBIAN:
                raise ExpressionError(f"unknown function '{call.op}'", at)
            if not quantity:
                raise ExpressionError(f"{JACOBIAN} can be expected, but it is not a function for equations", at)
            if not all(isinstance(arg, Name) for arg in call.args):
                raise ExpressionError(f"{JACOBIAN} takes two names, as in {JACOBIAN}(z, x)", at)
    except ExpressionError as error:
        cut = "was never closed" in error.message and not tree.quoted
        hint = "; in quotes, if YAML's brackets cut it off at a comma" if cut else ""
        raise ExpressionError(f"{error.message}{hint}", error.offset).at(tree.place) from None
    text = " ".join(tree.split())
    return Equation(text, expr, text, tree.place)


# an expression of the equation language, on one line, which is its name until it has another one
formula = Reader(partial(_expression, False), TEXT)
# one over nodes and gradients, in which `jacobian(z, x)` may stand too
quantity = Reader(partial(_expression, True), TEXT)
quantities = several(quantity, "an empty list reports nothing")
