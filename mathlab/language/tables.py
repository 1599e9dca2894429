"""Tables that are text: rows, and what stands below each of them, such as an equation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

Table = Mapping[str, Mapping[str, str]]


@cache
def rows(path: Path) -> Mapping[str, Sequence[str]]:
    """From each line to those below it that stand further to the right; one that begins with # is for the reader."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            found[[*found][-1]].append(line.strip())
        elif line and not line.startswith("#"):
            found[line] = []
    return found


@cache
def table(path: Path) -> Table:
    """From each line to the facts below it: `name = text`, or a word; `|` is between two.

    What has a name twice has two texts, with `; ` between them.
    """
    return {row: _facts(lines) for row, lines in rows(path).items()}


def _facts(lines: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, _, text in (fact.partition(" = ") for line in lines for fact in line.split(" | ")):
        found[name] = f"{found[name]}; {text}" if name in found else text
    return found


def called(row: str) -> tuple[str, Mapping[str, str]]:
    """The name of a row such as `elu(x, alpha=1.0)`, and its arguments with their defaults, or nothing for one."""
    name, _, inside = row.partition(")")[0].partition("(")
    arguments = (argument.partition("=") for argument in inside.split(", ") if inside)
    return name, {argument: default for argument, _, default in arguments}
