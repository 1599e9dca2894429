"""The nodes of a case in the order in which a person follows them: forward, then backward."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from mathlab.experiment import Array
from mathlab.reports.layout import Blocks, Entry, Paragraph, array_lines, plain
from mathlab.reports.verdicts import PARTS, STORES
from mathlab.results import BackpropResult, NodeResult, Share


def steps(result: BackpropResult) -> Iterable[RenderableType]:
    """What is given, every equation with its value, and then every gradient with all that belongs to it."""
    for role, title in (("input", "inputs"), ("parameter", "parameters"), ("node", "forward")):
        nodes = [node for node in result.nodes if node.role == role]
        if nodes:
            yield from section(title)
            yield Blocks(tuple(_forward(node) for node in nodes))
    back = backward(result.nodes)
    if back:
        yield from section("backward")
        storing = next((node.name for node in back if node.role == "node" and node.stores), "")
        parted = next((node.name for node in back if node.parts), "")
        yield Blocks(
            tuple(_backward(node, _meeting(result, node), node.name == storing, node.name == parted) for node in back)
        )


def in_brief(result: BackpropResult) -> RenderableType:
    """Equations with their values, and their gradients' with theirs: nothing else."""
    forward = tuple(_forward(node)[0] for node in result.nodes if node.role == "node")
    return Blocks(tuple(block for block in (forward, tuple(map(_gradient, backward(result.nodes)))) if block))


def section(words: str) -> tuple[RenderableType, ...]:
    """The title of a part of a case's page."""
    return Text(""), Paragraph(plain(words, "bold"))


def backward(nodes: Sequence[NodeResult]) -> list[NodeResult]:
    """Those with a gradient as it becomes known: the end first, what is given as soon as all that read it are done."""
    place = {node.name: at for at, node in enumerate(nodes)}

    def turn(node: NodeResult) -> tuple[int, bool]:
        if node.role == "node":
            return -place[node.name], False
        return -min((place[reader] for reader in node.readers), default=0), True

    return sorted((node for node in nodes if node.gradient is not None), key=turn)


def entry_of(name: str, equation: str, value: Array) -> Entry:
    """`z = W @ x`, its shape and its value."""
    left = plain("").append_text(plain(name, "bold")).append_text(plain(f" = {equation}" if equation else ""))
    return Entry(left, f"({', '.join(map(str, value.shape))}{',' if value.ndim == 1 else ''})", array_lines(value))


def _meeting(result: BackpropResult, node: NodeResult) -> Sequence[Share]:
    """What each path contributes, where two or more of them meet."""
    return result.shares[node.name] if len(node.readers) > 1 else ()


def _forward(node: NodeResult) -> tuple[Entry, ...]:
    note = [Entry(plain(node.note, "yellow"))] if node.note else []
    return (entry_of(node.name, node.equation, node.value), *note)


def _gradient(node: NodeResult) -> Entry:
    assert node.gradient is not None, "asked of those that have one"
    return entry_of(f"d{node.name}", node.gradient_equation, node.gradient)


def _backward(node: NodeResult, shares: Sequence[Share], storing: bool, parted: bool) -> tuple[Entry, ...]:
    entries = [_gradient(node)]
    entries += [entry_of(f"  from {share.reader}", share.equation, share.value) for share in shares]
    entries += [entry_of(part.name, part.equation, part.value) for part in node.parts]
    if parted:
        entries.append(Entry(plain(PARTS.format(part=node.parts[0].name, node=node.name), "dim")))
    if node.role == "node":
        entries.append(Entry(plain(f"stores {', '.join(node.stores) or 'nothing'}", "dim")))
    return (*entries, *([Entry(plain(STORES, "dim"))] if storing else []))
