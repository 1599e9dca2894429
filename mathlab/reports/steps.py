"""The nodes of a case in the order in which a person follows them: forward, then backward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from mathlab.experiment import Array
from mathlab.language.fold import ROUNDS, Fold
from mathlab.reports.layout import Blocks, Entry, array_lines, plain, said
from mathlab.results import BackpropResult, ExperimentResult
from mathlab.results.judged import NodeResult

STEPS = "… {first} to {last}, the steps between; -v shows them"
STORES = "(what a node stores: the values of the way forward that the step back through its equation reads)"
PARTS = "({part}: a part of the step back through {node}, which is read more than once and so has a name)"


def steps(result: BackpropResult) -> Iterable[RenderableType]:
    """What is given, every equation with its value, and then every gradient with all that belongs to it."""
    shown = _Shown(result)
    for role, title in (("input", "inputs"), ("parameter", "parameters"), ("node", "forward")):
        if nodes := [node for node in result.nodes if node.role == role]:
            yield from (*section(title), Blocks(shown.blocks(nodes, shown.forward)))
    if back := backward(result.nodes):
        yield from (*section("backward"), Blocks(shown.blocks(back, shown.backward(back))))


def in_brief(result: BackpropResult) -> RenderableType:
    """Equations with their values, and their gradients' with theirs: nothing else."""
    shown = _Shown(result)
    nodes = [node for node in result.nodes if node.role == "node"]
    forward = shown.blocks(nodes, lambda node: shown.forward(node)[:1])
    gradients = shown.blocks(backward(result.nodes), lambda node: (shown.gradient(node),))
    return Blocks(tuple(sum(blocks, ()) for blocks in (forward, gradients) if blocks))


def section(words: str) -> tuple[RenderableType, ...]:
    """The title of a part of a case's page."""
    return Text(""), said(words, "bold")


def backward(nodes: Sequence[NodeResult]) -> list[NodeResult]:
    """Those with a gradient as it becomes known: the end first, what is given as soon as all that read it are done."""
    place = {node.name: at for at, node in enumerate(nodes)}

    def turn(node: NodeResult) -> tuple[int, bool]:
        known = place[node.name] if node.role == "node" else min((place[reader] for reader in node.readers), default=0)
        return -known, node.role != "node"

    return sorted((node for node in nodes if node.gradient is not None), key=turn)


def entry_of(name: str, equation: str, value: Array) -> Entry:
    """`z = W @ x`, its shape and its value."""
    left = Text.assemble(plain(name, "bold"), plain(f" = {equation}" if equation else ""), no_wrap=True)
    return Entry(left, str(value.shape), array_lines(value))


def _aside(words: str) -> Entry:
    return Entry(plain(words, "dim"))


def between(result: BackpropResult) -> set[str]:
    """The steps of loops that are no more shown than the first and the last are, of each loop around them."""
    steps = {node.name: node.step for node in result.nodes if node.step}
    counted = defaultdict[tuple[str, str], set[int]](set)
    for step in steps.values():
        for counter, number in step.at:
            counted[step.series, counter].add(number)

    def inside(series: str, counter: str, number: int) -> bool:
        seen = counted[series, counter]
        return len(seen) > ROUNDS and min(seen) < number < max(seen)

    return {name for name, step in steps.items() if any(inside(step.series, *one) for one in step.at)}


def in_full(result: ExperimentResult) -> ExperimentResult:
    """The results, of whose loops no step is left out."""

    def whole(found: BackpropResult | None) -> BackpropResult | None:
        return found and replace(found, nodes=tuple(node._replace(step=None) for node in found.nodes))

    return replace(result, cases=tuple(case.having(backprop=whole(case.backprop)) for case in result.cases))


class _Shown:
    """The blocks of a page, in which the steps of a loop between its first and its last are left out."""

    def __init__(self, result: BackpropResult) -> None:
        self.result, self.hidden = result, between(result)
        self.fold = Fold((node.name, node.step) for node in result.nodes)

    def blocks(
        self, nodes: Sequence[NodeResult], block: Callable[[NodeResult], tuple[Entry, ...]]
    ) -> tuple[tuple[Entry, ...], ...]:
        """The block of each node, and a line for those that are left out."""
        found: list[tuple[Entry, ...]] = []
        for hidden, some in groupby(nodes, lambda node: node.name in self.hidden):
            group = [*some]
            left_out = _aside(STEPS.format(first=group[0].name, last=group[-1].name))
            found += [(left_out,)] if hidden else map(block, group)
        return tuple(found)

    def forward(self, node: NodeResult) -> tuple[Entry, ...]:
        """A node's equation with its value."""
        note = [Entry(plain(node.note, "yellow"))] if node.note else []
        return (entry_of(node.name, self.fold.written(node.equation), node.value), *note)

    def gradient(self, node: NodeResult) -> Entry:
        """Its gradient's."""
        assert node.gradient is not None, "asked of those that have one"
        return entry_of(f"d{node.name}", self.fold.written(node.gradient_equation), node.gradient)

    def backward(self, nodes: Sequence[NodeResult]) -> Callable[[NodeResult], tuple[Entry, ...]]:
        """What makes a node's block of the way back: what needs a word has it where it first stands."""
        storing = next((node.name for node in nodes if node.role == "node" and node.stores), "")
        parted = next((node.name for node in nodes if node.parts), "")

        def block(node: NodeResult) -> tuple[Entry, ...]:
            # what each path contributes, where two or more of them meet
            shares = self.result.shares(node.name) if len(node.readers) > 1 else ()
            shown = [share for share in shares if share.reader not in self.hidden]
            entries = [entry_of(f"  from {share.reader}", share.equation, share.value) for share in shown]
            entries += [_aside("  … and from the steps between")] if len(shown) < len(shares) else []
            entries += [entry_of(part.name, self.fold.written(part.equation), part.value) for part in node.parts]
            entries += [_aside(PARTS.format(part=node.parts[0].name, node=node.name))] if node.name == parted else []
            entries += [_aside(f"stores {', '.join(node.stores) or 'nothing'}")] if node.role == "node" else []
            entries += [_aside(STORES)] if node.name == storing else []
            return (self.gradient(node), *entries)

        return block
