"""What is meant by a key that is none, and by a word where a mapping should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mathlab.config.yamltext import Scalar, Table, Tree
from mathlab.errors import Problem, did_you_mean
from mathlab.habits import EXAMPLES, pair


def meant(table: Table, name: str, known: Mapping[str, object], above: str) -> str:
    """A hint for who writes another tool's key, `lr=0.1` for `lr: 0.1`, or what belongs to the known key `above` it."""
    if hint := pair(name, table[name]):
        return hint
    if above and table[above] == "":
        return f"; what belongs to '{above}' is indented"
    return did_you_mean(name, known) or f"; known are {', '.join(known)}"


def exemplified(name: str, tree: Tree, problems: Iterable[Problem]) -> Iterable[Problem]:
    """The problems with a key's value, with an example of it where it is a word that should be a mapping."""
    example = EXAMPLES.get(name, "") if isinstance(tree, Scalar) and tree else ""
    return (Problem(one.message if ";" in one.message else f"{one.message}{example}", one.place) for one in problems)
