"""Layers that repeat, taken together, so that a long network can be seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby

from mathlab.results import NodeResult


def folded(nodes: Sequence[NodeResult], most: float) -> tuple[Sequence[NodeResult], Mapping[str, tuple[str, str]]]:
    """At most `most` nodes, and half as many in a row, where that can be had; and what some of them stand for, by name.

    Of equations that repeat, but for the digits in their names, three times and more, the first round and the last are
    kept; one node, of the name of the last between, stands for those. What only these read is folded with them. What it
    stands for is `… 3 rounds: h2 … h4`, and all their names.
    """
    hidden: dict[str, tuple[str, str]] = {}
    while max(len(nodes), 2 * _depth(nodes)) > most:
        equations = [node for node in nodes if node.role == "node"]
        alike = [
            hidden[one.name][0] if one.name in hidden else re.sub(r"\d+", "#", f"{one.name} = {one.equation}")
            for one in equations
        ]
        start, period, stop = _repeated(alike)
        if stop - start <= period:
            break
        inside, before = equations[start:stop], nodes
        nodes = _without(nodes, inside)
        gone = {node.name for node in before} - {node.name for node in nodes} | {inside[-1].name}
        names = " ".join(hidden.pop(node.name, ("", node.name))[1] for node in before if node.name in gone)
        hidden[inside[-1].name] = f"… {len(inside) // period} rounds: {inside[0].name} … {inside[-1].name}", names
    return nodes, hidden


def _depth(nodes: Sequence[NodeResult]) -> int:
    """How many nodes stand in the longest row, in which each reads the one before it."""
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.name] = 1 + max((depth.get(name, 0) for name in node.reads), default=0)
    return max(depth.values(), default=0)


def _repeated(patterns: Sequence[str]) -> tuple[int, int, int]:
    """The rounds between the first and the last of the repetition that saves most: where they start, period, stop."""
    found = [(0, 1, 0)]
    for period in range(1, len(patterns) // 3 + 1):
        starts = range(len(patterns) - period)
        for same, run in groupby(starts, key=lambda at: patterns[at] == patterns[at + period]):
            start, *more = run
            rounds = (1 + len(more)) // period + 1
            found += [(start + period, period, start + (rounds - 1) * period)] if same and rounds > 2 else []
    return max(found, key=lambda one: one[2] - one[0])


def _without(nodes: Sequence[NodeResult], inside: Sequence[NodeResult]) -> list[NodeResult]:
    """The nodes with one in the place of those `inside`, which keeps the edges that lead to them and from them."""
    last, members = inside[-1], {node.name for node in inside}
    outside = [node for node in nodes if node.name not in members]
    read = {name for node in outside for name in node.reads}
    named = {last.name, *(node.name for node in outside if node.role == "node" or node.name in read)}

    def joined(own: str, groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
        found = dict.fromkeys(last.name if name in members else name for name in chain(*groups))
        return tuple(name for name in found if name != own and name in named)

    def kept(node: NodeResult, parts: Sequence[NodeResult]) -> NodeResult:
        reads, readers = (
            joined(node.name, names) for names in zip(*((p.reads, p.readers) for p in parts), strict=True)
        )
        return node._replace(reads=reads, readers=readers)

    return [kept(node, inside if node is last else [node]) for node in nodes if node.name in named]
