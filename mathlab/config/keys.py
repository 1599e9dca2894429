"""Mappings with known keys or free ones, each read by readers; pydantic takes as long as a whole run to import."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from mathlab.config.datafiles import current
from mathlab.config.values import Partly, Reader, Schema, attempt
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Problem, did_you_mean
from mathlab.habits import EXAMPLES
from mathlab.signs import NUMBER, PAIRS, pair, slip

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K")
MadeT = TypeVar("MadeT", covariant=True)


@dataclass(frozen=True, eq=False)
class Keys(Generic[MadeT]):
    """The reader of a mapping with known keys.

    `make` gets what they say by their names, and what the caller has to add; `about` is for editors.
    """

    about: str
    make: Callable[..., MadeT]
    readers: Mapping[str, Callable[[Tree], object]]
    needed: tuple[str, ...] = ()

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
            if not hint and above and table[above] == "":
                hint = f"; what belongs to '{above}' is indented"
            hint = hint or did_you_mean(name, self.readers) or self.below(name, tree)
            hint = hint or f"; known are {', '.join(self.readers)}"
            place = name.place if isinstance(name, Scalar) else table.place
            problems.append(Problem(f"unknown key '{name}'{hint}", place))
        return problems

    def below(self, name: str, tree: Tree) -> str:
        """A hint for a setting, a value or an equation that stands beside the sections, and not in one of them."""
        for section, read in self.readers.items():
            if isinstance(read, Keys) and name in read.readers:
                return f"; it stands below '{section}'"
        while isinstance(tree, Row) and tree:
            tree = tree[0]
        if "equations" not in self.readers or not isinstance(tree, Scalar):
            return ""
        if NUMBER.fullmatch(tree):
            return "; a value stands below 'inputs' or 'parameters'"
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

    def read(tree: Tree) -> T:
        table = mapping(tree)
        if filled and not table:
            raise MathlabError("this mapping has no entries", tree.place)
        rest: dict[K, V] = {}
        problems: list[Problem] = []
        for name, part in table.items():
            if not name.isidentifier() and "bracket" in (hint := pair(name, part)):  # of 0,5 or (0, 5) in braces
                problems.append(Problem(f"{str(name)!r} stands alone{hint}", cast(Scalar, name).place))
                continue
            key = attempt(read_key, cast(Scalar, name), problems)
            try:
                value = current().once(read_value, part)
            except MathlabError as error:
                problems += error.problems
            else:
                if key is not None:
                    rest[key] = value
        if problems:
            raise Partly(problems, make(rest))
        return make(rest)

    schema: Schema = {
        "type": "object" if filled else ["object", "null"],
        **({"propertyNames": {"pattern": keys}} if keys else {}),
        "additionalProperties": schema_of(read_value),
        **({"minProperties": 1} if filled else {}),
    }
    return Reader(read, schema)


def mapping(tree: Tree) -> Table:
    """The tree as a mapping; nothing at all, as in `gradcheck:`, is an empty one."""
    if isinstance(tree, Table):
        return tree
    if isinstance(tree, Scalar) and not tree and not tree.quoted:
        return Table(tree.place)
    hint = slip(tree, PAIRS) if isinstance(tree, Scalar) else "; write 'name: value', without '-' and brackets"
    raise MathlabError(f"a mapping is needed here, not {kind(tree)}{hint}", tree.place)
