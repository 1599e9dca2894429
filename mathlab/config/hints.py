"""What is meant by a key that is none, and by a word where a mapping should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mathlab.config.yamltext import Scalar, Table, Tree
from mathlab.errors import Problem, did_you_mean
from mathlab.habits import EXAMPLES, pair


def meant(table: Table, name: str, known: Mapping[str, object]) -> str:
    """A hint for who writes another tool's key, `lr=0.1` for `lr: 0.1`, or what is not indented."""
    if hint := pair(name, table[name]):
        return hint
    line = table.key(name).place.line
    above = [key for key in known if key in table and table.key(key).place.line < line]
    empty = max(above, key=lambda key: table.key(key).place.line, default="")
    if empty and table[empty] == "":
        return f"; what belongs to '{empty}' is indented"
    return did_you_mean(name, known) or f"; known are {', '.join(known)}"


def exemplified(name: str, tree: Tree, problems: Iterable[Problem]) -> Iterable[Problem]:
    """The problems with a key's value, with an example of it where it is a word that should be a mapping."""
    example = EXAMPLES.get(name, "") if isinstance(tree, Scalar) and tree else ""
    return (Problem(one.message if ";" in one.message else f"{one.message}{example}", one.place) for one in problems)
