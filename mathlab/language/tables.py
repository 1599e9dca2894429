"""The tables of the language, which are text: equations, and what else is told of what they stand below."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

Table = Mapping[str, Mapping[str, str]]


@cache
def table(path: Path) -> Table:
    """From each line to what stands below it, further to the right: `name = text`, or a word; `|` is between two.

    What has a name twice has two texts, with `; ` between them. A line that begins with # says something to the reader.
    """
    found: dict[str, dict[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            below = found[[*found][-1]]
            for name, _, text in (fact.partition(" = ") for fact in line.strip().split(" | ")):
                below[name] = f"{below[name]}; {text}" if name in below else text
        elif line and not line.startswith("#"):
            found[line] = {}
    return found


def called(row: str) -> tuple[str, Mapping[str, str]]:
    """The name of a row such as `elu(x, alpha=1.0)`, and its arguments with their defaults, or nothing for one."""
    name, _, inside = row.partition(")")[0].partition("(")
    arguments = (argument.partition("=") for argument in inside.split(", ") if inside)
    return name, {argument: default for argument, _, default in arguments}
