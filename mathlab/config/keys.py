"""Mappings with known keys: a frozen dataclass whose fields say how each key is read.

A reader takes a part of the tree and returns what it says, or raises MathlabError with every problem in it. (pydantic
would do this too; importing it and making its first model takes as long as a whole run of an article's config does.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import TypeVar, cast, overload

from mathlab.config.values import attempt
from mathlab.config.yamltext import Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Problem, did_you_mean

T = TypeVar("T")
D = TypeVar("D")
K = TypeVar("K")


@dataclass(frozen=True)
class Keys:
    """The base of such mappings."""


KeysT = TypeVar("KeysT", bound=Keys)


class Partly(MathlabError):
    """Problems in some entries of a mapping, and what the other entries say."""

    def __init__(self, problems: list[Problem], rest: object) -> None:
        super().__init__(problems)
        self.rest = rest


@overload
def key(read: Callable[[Tree], T]) -> T: ...
@overload
def key(read: Callable[[Tree], T], default: D) -> T | D: ...
def key(read: Callable[[Tree], T], default: object = MISSING) -> object:
    """A field that `read` makes of its key's value; without a default the key must be there."""
    if default is MISSING:
        return field(metadata={"read": read})
    return field(default=default, metadata={"read": read})


def section(read: Callable[[Tree], dict[K, T]]) -> dict[K, T]:
    """A field for a mapping with free keys, empty where the key is not there."""
    made: dict[K, T] = field(default_factory=dict, metadata={"read": read})
    return made


def draft(record: type[KeysT], table: Table) -> tuple[KeysT, list[Problem]]:
    """The record of what can be read, and what is wrong with the rest, which gets its default."""
    values: dict[str, object] = {}
    problems: list[Problem] = []
    known = {item.name: item for item in fields(record)}
    for name, tree in table.items():
        if name not in known:
            problems.append(Problem(f"unknown key '{name}'{did_you_mean(name, known)}", table.key(name).place))
            continue
        try:
            values[name] = known[name].metadata["read"](tree)
        except MathlabError as error:
            problems.extend(error.problems)
            if isinstance(error, Partly):
                values[name] = error.rest
    for name, item in known.items():
        if item.default is MISSING and item.default_factory is MISSING and name not in values:
            if name not in table:
                problems.append(Problem(f"'{name}' is missing", table.place))
            values[name] = None
    return record(**values), problems


def parsed(record: type[KeysT]) -> Callable[[Tree], KeysT]:
    """The reader of such a mapping, all or nothing."""

    def read(tree: Tree) -> KeysT:
        whole, problems = draft(record, mapping(tree))
        if problems:
            raise MathlabError(problems)
        return whole

    return read


def entries(read_key: Callable[[Scalar], K], read_value: Callable[[Tree], T]) -> Callable[[Tree], dict[K, T]]:
    """The reader of a mapping with free keys. What it raises (`Partly`) keeps the entries without a problem."""

    def read(tree: Tree) -> dict[K, T]:
        rest: dict[K, T] = {}
        problems: list[Problem] = []
        table = mapping(tree)
        for name in table:
            found = attempt(read_key, cast(Scalar, name), problems), attempt(read_value, table[name], problems)
            if found[0] is not None and found[1] is not None:
                rest[found[0]] = found[1]
        if problems:
            raise Partly(problems, rest)
        return rest

    return read


def filled(read: Callable[[Tree], dict[K, T]]) -> Callable[[Tree], dict[K, T]]:
    """The same reader for a mapping that would say nothing if it were empty."""

    def read_filled(tree: Tree) -> dict[K, T]:
        if not mapping(tree):
            raise MathlabError("this mapping has no entries", tree.place)
        return read(tree)

    return read_filled


def mapping(tree: Tree) -> Table:
    """The tree as a mapping; nothing at all, as in `gradcheck:`, is an empty one."""
    if isinstance(tree, Table):
        return tree
    if isinstance(tree, Scalar) and not tree and not tree.quoted:
        return Table(tree.place)
    raise MathlabError(f"a mapping is needed here, not {kind(tree)}", tree.place)
