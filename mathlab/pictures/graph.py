"""The computation graph with its numbers: a box for each node, an edge for each name that an equation reads."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language import read
from mathlab.language.fold import Fold
from mathlab.language.syntax import names
from mathlab.pictures import Scene
from mathlab.pictures.fold import folded
from mathlab.pictures.layout import Point, layered
from mathlab.pictures.svg import (
    BOLD,
    CHAR,
    entry,
    escape,
    fill,
    framed,
    measured,
    number,
    picture,
    stroke,
    text,
)
from mathlab.results import BackpropResult, FigureResult, NodeResult, Share

PAD, HEAD, LINE = 10.0, 48.0, 16.0  # the last is a line's height
ROWS, COLUMNS = 6, 5  # the largest matrix whose numbers are shown; of a vector, `ROWS`
CUT = 44  # characters of an equation
WIDE = 900.0  # a graph that is wider runs down
SCREEN, MOST = 24, 200  # boxes: before repeated layers are folded, and after
PATHS = 3  # that are shown first and last where very many meet
BARS = 32  # of the strip that stands for a large array
WAYS = (("forward", "value", 1, ""), ("backward", "gradient", -1, ' stroke-dasharray="5 3"'))
ALIKE = "like those before and after"  # rounds that are folded
SPOKEN = {"input": ", an input", "parameter": ", a parameter", "node": ""}


class Row(NamedTuple):
    """A part of a box, `lines` high; `layer` says what it belongs to: the forward pass, the backward pass, or both."""

    width: float
    lines: int
    layer: str
    draw: Callable[[float, float], str]


def graph(scene: Scene, screen: float = SCREEN, most: float = MOST, wide: float = WIDE) -> str:
    """The computation graph of a case as SVG, with layers that repeat folded where they do not fit a screen.

    Raises MathlabError for one that even so has too many nodes to be read.
    """
    nodes, hidden = _seen(scene, screen)
    if len(nodes) > most and not scene.whole:
        raise MathlabError(
            f"the graph of case {scene.case.name!r} has {len(nodes)} nodes, more than {most}, and no layers that "
            "repeat; a page steps through it, and --all draws it all the same"
        )
    figures = _figures(scene.backprop)
    rows = {node.name: [*_rows(node, scene.backprop, figures[node.name])] for node in nodes if node.name not in hidden}
    rows |= {
        name: [_words(said, "both", "ink", BOLD), _words(ALIKE, "both", "dim")] for name, (said, _) in hidden.items()
    }
    sizes = {
        node.name: (max(row.width for row in inside) + 2 * PAD, sum(row.lines for row in inside) * LINE + PAD)
        for node in nodes
        if (inside := rows[node.name])
    }
    ways, down = _ways(nodes), scene.direction == "down"
    layout = layered(sizes, [*ways], down)
    if scene.direction == "auto" and layout.width > wide:
        layout, down = layered(sizes, [*ways], True), True
    drawn = "".join(_edge(layout.edges[edge], edge, way, down) for edge, way in ways.items())
    for at, node in enumerate(nodes):
        x, y, width, height = layout.boxes[node.name]
        place = (
            f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{3 if node.role == "node" else 11}"'
        )
        frame = framed("good" if node.role == "parameter" else "frame", 2.4 if node is nodes[-1] else 1.2)
        about = f'id="{scene.scope}-{at}" data-node="{escape(node.name)}"'
        about += f' data-hides="{escape(hidden[node.name][1])}"' if node.name in hidden else ""
        drawn += f"\n<g {about}><rect {place} {frame}/>{_inside(rows[node.name], x + PAD, y + 18)}</g>"
    width = max(layout.width, 420.0) + 2 * PAD
    head = text(PAD, 18, scene.title, "ink", BOLD, cut=int((width - 2 * PAD) / CHAR))
    head += _arrow("M10 32H34", (36, 32), (1, 0), "value") + text(42, 36, "forward: values", "value")
    head += _arrow("M190 32H168", (166, 32), (-1, 0), "gradient", WAYS[1][3])
    head += text(198, 36, "backward: gradients", "gradient")
    body = f'{head}<g transform="translate({PAD:g} {HEAD:g})">{drawn}</g>'
    said = {name: f"{words}, {ALIKE}." for name, (words, _) in hidden.items()}
    words = " ".join(said.get(node.name) or spoken(node, figures[node.name]) for node in nodes)
    return picture(scene.scope, width, layout.height + HEAD + PAD, f"Computation graph: {scene.title}", words, body)


def _seen(scene: Scene, screen: float) -> tuple[Sequence[NodeResult], Mapping[str, tuple[str, str]]]:
    """The nodes that are drawn, with long sums over a loop's steps cut short; and what some stand for."""
    nodes, hidden = folded(scene.backprop.nodes, math.inf if scene.whole else screen)
    cut = Fold((node.name, node.step) for node in scene.backprop.nodes).written
    return [one._replace(gradient_equation=cut(one.gradient_equation)) for one in nodes], hidden


def _figures(result: BackpropResult) -> Mapping[str, list[FigureResult]]:
    """The printed figures under the node that each is about: the first that its quantity mentions."""
    owner = {f"d{node.name}": node.name for node in result.nodes} | {node.name: node.name for node in result.nodes}
    found: dict[str, list[FigureResult]] = defaultdict(list)
    for figure in result.figures:
        found[next((owner[name] for name in names(read(figure.key)) if name in owner), "")].append(figure)
    return found


def _verdict(figures: Sequence[FigureResult]) -> tuple[str, bool]:
    """How the numbers printed (or worked out) for a node compare, in words; and whether all of them pass."""
    entries = [entry.verdict for figure in figures for entry in figure.entries]
    kinds = {figure.worked_out for figure in figures}
    kind = "" if len(kinds) > 1 else "worked-out " if True in kinds else "printed "
    failed = sum(not entry.passed for entry in entries)
    errata = sum(entry.label == "erratum confirmed" for entry in entries)
    matched, said = len(entries) - failed - errata, []
    if failed:
        said.append(f"✗ {failed} of {len(entries)} {kind}figures differ{'s' * (failed == 1)}")
    elif matched:
        said.append(f"✓ {matched} {kind}figure{'s match' if matched > 1 else ' matches'}")
    if errata:
        said.append(f"{errata} known misprint{'s' * (errata > 1)}")
    return ", ".join(said), not failed


# Boxes


def _inside(rows: Sequence[Row], x: float, y: float) -> str:
    drawn = ""
    for layer, group in groupby(rows, key=lambda row: row.layer):
        part = ""
        for row in group:
            part += row.draw(x, y)
            y += row.lines * LINE
        drawn += part if layer == "both" else f'<g data-layer="{layer}">{part}</g>'
    return drawn


def _rows(node: NodeResult, result: BackpropResult, figures: Sequence[FigureResult]) -> Iterator[Row]:
    yield _beside(_words(node.name, "both", "ink", BOLD), _words(shape_of(node.value), "both", "dim"), 2)
    if node.equation:
        yield _words(f"= {node.equation}", "both", "ink")
    yield from _array(node.name, node.value, "value", "forward")
    if node.gradient is not None:
        yield _words(f"d{node.name} = {node.gradient_equation}", "backward", "gradient")
        yield from _array(f"d{node.name}", node.gradient, "gradient", "backward")
        shares = result.shares.get(node.name, ())
        if len(node.readers) > 1:
            yield from _paths(node, shares)
        elif any("taken together" in other.note for other in result.nodes):
            for fused in {share.fused for share in shares if share.fused}:
                yield _words(f"(one path, through {' and '.join(fused)})", "backward", "dim")
    if node.stores and node.gradient is not None:
        yield _words(f"stores {', '.join(node.stores)}", "both", "dim")
    elif node.note and node.role == "node":
        yield _words(node.note, "both", "dim")
    if figures:
        words, passed = _verdict(figures)
        yield _words(words, "verdict", "good" if passed else "bad")


def _paths(node: NodeResult, shares: Sequence[Share]) -> Iterator[Row]:
    left = range(PATHS, len(shares) - PATHS) if len(shares) > 3 * PATHS else range(0)
    for at, share in enumerate(shares):
        if at not in left:
            through = f" (with {', '.join(share.fused)})" if share.fused else ""
            label = _words(f"  + from {share.reader}{through}:", "backward", "gradient")
            rows = _array(f"d{node.name}<{share.reader}", share.value, "gradient", "backward")
            yield from (label, *rows) if sum(row.lines for row in rows) > 1 else (_beside(label, rows[0], 1),)
        elif at == left[0]:
            yield _words(f"  + from {len(left)} more, {share.reader} … {shares[left[-1]].reader}", "backward", "dim")


def _words(words: str, layer: str, colour: str, *more: str) -> Row:
    space = 'xml:space="preserve"' if words[0] == " " else ""
    width = min(len(words), CUT) * CHAR
    return Row(width, 1, layer, lambda x, y: text(x, y, words, colour, space, *more, cut=CUT))


def _beside(left: Row, right: Row, gap: int) -> Row:
    at = left.width + gap * CHAR
    return Row(at + right.width, 1, left.layer, lambda x, y: left.draw(x, y) + right.draw(x + at, y))


def _array(name: str, array: Array, colour: str, layer: str) -> Sequence[Row]:
    """The numbers, each matrix in its brackets; of an array with too many norm, range and a strip of bars."""
    if not array.size:
        return (_words("empty", layer, "dim"),)
    table = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    if len(table) > ROWS or table.shape[1] > (COLUMNS if len(table) > 1 else ROWS):
        return _summary(name, array, colour, layer)
    cells = [[number(value) for value in row] for row in table]
    edge, widths = CHAR * bool(array.ndim), [max(map(len, column)) for column in zip(*cells, strict=True)]
    ends = [edge + CHAR * (sum(widths[: j + 1]) + 2 * j) for j in range(len(widths))]
    width, block = ends[-1] + edge, array.shape[-2] if array.ndim > 1 else 1

    def draw(x: float, y: float) -> str:
        texts, sides = "", ""
        for at, (place, value) in enumerate(np.ndenumerate(array)):
            i, j = divmod(at, len(ends))
            where, said = (
                f'x="{x + ends[j]:.1f}" y="{y + i * LINE:.1f}"',
                measured(entry(name, place), value),
            )
            texts += f"<text {where} {said}>{cells[i][j]}</text>"
        for i in range(0, len(cells) if array.ndim else 0, block):
            top, bottom = y + i * LINE - 11, y + (i + block - 1) * LINE + 4
            sides += f"M{x + 4:.1f} {top:g}h-3V{bottom:g}h3M{x + width - 4:.1f} {top:g}h3V{bottom:g}h-3"
        brackets = f'<path d="{sides}" {stroke(colour, 1)}/>' if sides else ""
        return f'<g {fill(colour)} text-anchor="end">{texts}</g>{brackets}'

    return (Row(width, len(cells), layer, draw),)


def _summary(name: str, array: Array, colour: str, layer: str) -> Sequence[Row]:
    said = " ".join(f'data-{kind}="{fact!r}"' for kind, fact in _facts(array).items())
    with np.errstate(all="ignore"):
        pieces = np.array_split(np.asarray(array, np.float64).ravel(), min(BARS, array.size))
        means = np.array([np.mean(piece) for piece in pieces])
    means[~np.isfinite(means)] = 0
    heights = means / (np.max(np.abs(means)) or 1.0) * 7

    def bars(x: float, y: float) -> str:
        made = "".join(
            f"M{x + 4 * at:.1f} {y - 4 - max(height, 0):.1f}h3v{max(abs(height), 0.5):.1f}h-3z"
            for at, height in enumerate(heights)
        )
        return f'<path d="{made}" {fill(colour)}/>'

    words = _words(summed(array), layer, colour, f'data-n="{escape(name)}"', said)
    return words, Row(4.0 * len(heights), 1, layer, bars)


# Edges


def _ways(nodes: Sequence[NodeResult]) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Every edge, and whether something flows forward along it, and backward."""
    known = {node.name for node in nodes}
    forward = dict.fromkeys((name, node.name) for node in nodes for name in node.reads if name in known)
    backward = dict.fromkeys((node.name, reader) for node in nodes for reader in node.readers if reader in known)
    return {edge: (edge in forward, edge in backward) for edge in {**forward, **backward}}


def _edge(points: Sequence[Point], ends: tuple[str, str], way: tuple[bool, bool], down: bool) -> str:
    drawn = ""
    for flows, (layer, colour, sign, dashes) in zip(way, WAYS, strict=True):
        if flows:
            path, end = _curve(points[::sign], down, -3.0 * sign * all(way))
            line = _arrow(path, end, (sign * (not down), sign * down), colour, dashes)
            drawn += f'<g data-layer="{layer}" data-from="{escape(ends[0])}" data-to="{escape(ends[1])}">{line}</g>'
    return drawn


def _arrow(path: str, end: Point, ahead: Point, colour: str, dashes: str = "") -> str:
    """A line with a head at `end`, which it reaches in the direction `ahead`, of length 1."""
    (x, y), (ux, uy) = end, ahead
    sides = " ".join(f"{x - 8 * ux + side * 4 * uy:.1f},{y - 8 * uy + side * 4 * ux:.1f}" for side in (1, -1))
    head = f'<polygon points="{x:.1f},{y:.1f} {sides}" {fill(colour)}/>'
    return f'<path d="{path}" {stroke(colour)}{dashes}/>{head}'


def _curve(points: Sequence[Point], down: bool, aside: float) -> tuple[str, Point]:
    """The path so far beside the points of a layout, straight across the layers and bent between them; and its end."""
    run = [(point[down], point[not down] + aside) for point in points]  # along the layers' sequence, and across it

    def at(along: float, across: float) -> str:
        return "{:.1f} {:.1f}".format(*((across, along) if down else (along, across)))

    path = f"M{at(*run[0])}"
    for turn, ((a, b), (c, d)) in enumerate(pairwise(run)):
        if turn % 2:
            middle = (a + c) / 2 - aside * math.copysign(1, (c - a) * (d - b))  # also what runs across stays beside
            path += f"C{at(middle, b)} {at(middle, d)} {at(c, d)}"
        elif a != c:
            path += f"L{at(c, d)}"
    return path, run[-1][::-1] if down else run[-1]


# In words


def shape_of(array: Array) -> str:
    """`2×3`, or `scalar`."""
    return "×".join(map(str, array.shape)) or "scalar"


def _facts(array: Array) -> Mapping[str, float]:
    flat = np.asarray(array, np.float64).ravel()
    with np.errstate(all="ignore"):
        return {"norm": float(np.linalg.norm(flat)), "min": float(flat.min()), "max": float(flat.max())}


def summed(array: Array) -> str:
    """A large array in a line: its norm, its least and its largest entry."""
    return "norm {}, {} … {}".format(*map(number, _facts(array).values()))


def _told(node: NodeResult) -> Iterator[str]:
    """The equation of a node, and of its gradient, each with its numbers."""
    for name, equation, array in (
        (node.name, node.equation, node.value),
        (f"d{node.name}", node.gradient_equation, node.gradient),
    ):
        if array is not None:
            many = array.size > ROWS * COLUMNS
            yield f"{name} = {equation}" if equation else name
            yield summed(array).replace("…", "to") if many else ", ".join(map(number, array.flat)) or "empty"


def spoken(node: NodeResult, figures: Sequence[FigureResult] = ()) -> str:
    """A node for those who do not see its box."""
    shape, (equation, value, *gradient) = " by ".join(map(str, node.value.shape)) or "a number", _told(node)
    said = [f"{equation}{SPOKEN[node.role]}, {shape}: {value}"]
    if gradient:
        said.append(f"gradient {node.gradient_equation}: {gradient[1]}")
        if len(node.readers) > 1:
            said.append(f"the sum of the paths from {' and '.join(node.readers)}")
    if figures:
        said.append(_verdict(figures)[0][2:])
    return "; ".join(said) + "."


def mermaid(scene: Scene) -> str:
    """The graph as text for a Markdown page: nodes with their equations and what small numbers they have."""
    (nodes, hidden), lines = _seen(scene, SCREEN), ["flowchart LR"]
    called = {node.name: f"n{at}" for at, node in enumerate(nodes)}
    for node in nodes:
        parts = (hidden[node.name][0], ALIKE) if node.name in hidden else _told(node)
        words = "<br>".join(re.sub(r"[^\w .,+=*/()-]", lambda sign: f"#{ord(sign[0])};", part) for part in parts)
        left, right = ("[", "]") if node.role == "node" else ("([", "])")
        lines.append(f'  {called[node.name]}{left}"{words}"{right}')
    for (start, end), (forward, backward) in _ways(nodes).items():
        lines += [f"  {called[start]} --> {called[end]}"] if forward else []
        lines += [f"  {called[end]} -.-> {called[start]}"] if backward else []
    return "\n".join(lines) + "\n"
