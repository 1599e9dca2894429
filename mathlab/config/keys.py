"""Mappings with known keys: a frozen dataclass whose fields say how each key is read.

A reader takes a part of the tree and returns what it says, or raises MathlabError with every problem in it. Those made
of other readers are records too, so that `jsonschema` can tell what they read without reading anything. (pydantic
would do this too; importing it and making its first model takes as long as a whole run of an article's config does.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Generic, TypeVar, cast, overload

from mathlab.config.hints import exemplified, meant
from mathlab.config.values import attempt
from mathlab.config.yamltext import Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Problem
from mathlab.habits import PAIRS, slip

T = TypeVar("T")
D = TypeVar("D")
K = TypeVar("K")


@dataclass(frozen=True)
class Keys:
    """The base of such mappings. Beside its fields, `sections` holds what the readers of `further` keys return."""

    @classmethod
    def further(cls) -> Mapping[str, Callable[[Tree], object]]:
        """Keys that are no fields, for whoever adds to what may be said."""
        return {}

    @classmethod
    def readers(cls) -> dict[str, Callable[[Tree], object]]:
        """Every key, and how it is read."""
        return {item.name: item.metadata["read"] for item in fields(cls) if item.metadata} | {**cls.further()}


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
    known, further = record.readers(), record.further()
    sections: dict[str, object] = {}
    above = ""
    for name, tree in table.items():
        if name not in known:
            place = name.place if isinstance(name, Scalar) else table.place
            problems.append(Problem(f"unknown key '{name}'{meant(table, name, known, above)}", place))
            continue
        above = name
        try:
            (sections if name in further else values)[name] = known[name](tree)
        except MathlabError as error:
            problems.extend(exemplified(name, tree, error.problems))
            if isinstance(error, Partly):
                values[name] = error.rest
    for name, item in ((item.name, item) for item in fields(record)):
        if item.default is MISSING and item.default_factory is MISSING and name not in values:
            if name not in table:
                problems.append(Problem(f"'{name}' is missing", table.place))
            values[name] = None
    return record(**values, **({"sections": sections} if sections else {})), problems


@dataclass(frozen=True)
class parsed(Generic[KeysT]):
    """The reader of such a mapping, all or nothing."""

    record: type[KeysT]

    def __call__(self, tree: Tree) -> KeysT:
        whole, problems = draft(self.record, mapping(tree))
        if problems:
            raise MathlabError(problems)
        return whole


@dataclass(frozen=True)
class entries(Generic[K, T]):
    """The reader of a mapping with free keys. What it raises (`Partly`) keeps the entries without a problem."""

    read_key: Callable[[Scalar], K]
    read_value: Callable[[Tree], T]

    def __call__(self, tree: Tree) -> dict[K, T]:
        rest: dict[K, T] = {}
        problems: list[Problem] = []
        table = mapping(tree)
        for name in table:
            key = attempt(self.read_key, cast(Scalar, name), problems)
            value = attempt(self.read_value, table[name], problems)
            if key is not None and value is not None:
                rest[key] = value
        if problems:
            raise Partly(problems, rest)
        return rest


@dataclass(frozen=True)
class filled(Generic[K, T]):
    """The same reader for a mapping that would say nothing if it were empty."""

    read: Callable[[Tree], dict[K, T]]

    def __call__(self, tree: Tree) -> dict[K, T]:
        if not mapping(tree):
            raise MathlabError("this mapping has no entries", tree.place)
        return self.read(tree)


@dataclass(frozen=True)
class turned(Generic[T, D]):
    """The reader of what another one reads, made into something else."""

    read: Callable[[Tree], T]
    make: Callable[[T], D]

    def __call__(self, tree: Tree) -> D:
        try:
            return self.make(self.read(tree))
        except Partly as error:
            raise Partly(list(error.problems), self.make(cast(T, error.rest))) from None


def mapping(tree: Tree) -> Table:
    """The tree as a mapping; nothing at all, as in `gradcheck:`, is an empty one."""
    if isinstance(tree, Table):
        return tree
    if isinstance(tree, Scalar) and not tree and not tree.quoted:
        return Table(tree.place)
    hint = slip(tree, PAIRS) if isinstance(tree, Scalar) else "; write 'name: value', without '-' and brackets"
    raise MathlabError(f"a mapping is needed here, not {kind(tree)}{hint}", tree.place)
