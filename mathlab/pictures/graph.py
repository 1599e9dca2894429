"""The computation graph with its numbers: a box for each node, an edge for each name that an equation reads.

Layers that repeat are taken together, so that a long network can be seen.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, chain, groupby, pairwise
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language import read
from mathlab.language.fold import Fold
from mathlab.language.syntax import names
from mathlab.pictures import Scene
from mathlab.pictures.layout import Point, layered, ranked
from mathlab.pictures.svg import BOLD, CHAR, END, MARGIN, entry, escape, fill, measured, number, picture, stroke, text
from mathlab.results import BackpropResult, FigureResult, NodeResult

PAD, HEAD, LINE = 10.0, 50.0, 16.0  # the last is a line's height
ROWS, COLUMNS = 6, 5  # the largest matrix whose numbers are shown; of a vector, `ROWS`
CUT = 44  # characters of an equation
WIDE = 900.0  # a graph that is wider runs down
SCREEN, MOST = 24, 200  # boxes: before repeated layers are folded, and after
PATHS = 3  # that are shown first and last where very many meet
BARS = 32  # of the strip that stands for a large array
WAYS = (("forward", "value", 1, ""), ("backward", "gradient", -1, ' stroke-dasharray="5 3"'))


class Row(NamedTuple):
    """What a box says in a line: words, some more in grey, and the numbers of an array, which may take more lines.

    The layer is that to which it belongs: forward, backward, verdict, or none.
    """

    layer: str
    colour: str
    words: str
    more: str = ""
    name: str = ""
    array: Array | None = None


Rows = Mapping[str, Sequence[Row]]  # of every node that is drawn


def graph(scene: Scene, screen: float = SCREEN, most: float = MOST, wide: float = WIDE) -> str:
    """The computation graph of a case as SVG, with layers that repeat folded where they do not fit a screen.

    Raises MathlabError for one that even so has too many nodes to be read.
    """
    nodes, hidden, rows = _seen(scene, screen, most)
    boxes = {name: _box(own) for name, own in rows.items()}
    sizes = {name: (width, height) for name, (width, height, _) in boxes.items()}
    ways, down = _ways(nodes), scene.direction == "down"
    layout = layered(sizes, [*ways], down)
    if scene.direction == "auto" and layout.width > wide:
        layout, down = layered(sizes, [*ways], True), True
    drawn = "".join(_edge(layout.edges[edge], edge, way, down) for edge, way in ways.items())
    drawn = f'<g transform="matrix(0 1 1 0 0 0)">{drawn}</g>' if down else drawn  # which turns right into down
    for at, node in enumerate(nodes):
        x, y, width, height = layout.boxes[node.name]
        colour, heavy = "good" if node.role == "parameter" else "frame", 2.4 if node is nodes[-1] else 1.2
        frame = f'width="{width:.1f}" height="{height:.1f}" rx="{3 if node.role == "node" else 11}"'
        about = f'id="{scene.scope}-{at}" data-node="{escape(node.name)}" transform="translate({x:.1f} {y:.1f})"'
        about += f' data-hides="{escape(hidden[node.name][1])}"' if node.name in hidden else ""
        drawn += f"\n<g {about}><rect {frame} {stroke(colour, heavy, 'paper')}/>{boxes[node.name][2]}</g>"
    head = text(MARGIN, 38, "→ forward: values", "value") + text(170, 38, "← backward, dashed: gradients", "gradient")
    body = f'{head}<g transform="translate({MARGIN:g} {HEAD:g})">{drawn}</g>'
    width, height = max(layout.width, 420.0) + 2 * MARGIN, layout.height + HEAD + MARGIN
    words = " ".join("; ".join(in_words(own)) + "." for own in rows.values())
    return picture(scene, "Computation graph", width, height, words, body)


def _seen(scene: Scene, screen: float, most: float) -> tuple[Sequence[NodeResult], Mapping[str, tuple[str, str]], Rows]:
    """The nodes that are drawn, with long sums over a loop's steps cut short; what some stand for; what all say."""
    result, figures, rows = scene.backprop, defaultdict[str, list[FigureResult]](list), dict[str, Sequence[Row]]()
    owner = {f"d{node.name}": node.name for node in result.nodes} | {node.name: node.name for node in result.nodes}
    for figure in result.figures:  # each belongs to the first node that it mentions
        figures[next((owner[name] for name in names(read(figure.key)) if name in owner), "")].append(figure)
    nodes, hidden = folded(result.nodes, math.inf if scene.whole else screen)
    if len(nodes) > most and not scene.whole:
        raise MathlabError(
            f"the graph of case {scene.case.name!r} has {len(nodes)} nodes, more than {most}, and no layers that "
            "repeat; a page steps through it, and --all draws it all the same"
        )
    cut = Fold((node.name, node.step) for node in result.nodes).written
    for node in nodes:
        short = node._replace(gradient_equation=cut(node.gradient_equation))
        rows[node.name] = rows_of(short, result, figures[node.name])
    rows |= {name: [Row("", "ink", said, "like those before and after")] for name, (said, _) in hidden.items()}
    return nodes, hidden, rows


def _verdict(figures: Sequence[FigureResult]) -> str:
    """How the numbers printed (or worked out) for a node compare, in words."""
    found = Counter(entry.verdict.outcome for figure in figures for entry in figure.entries)
    kinds = {"worked-out " if figure.worked_out else "printed " for figure in figures}
    kind, said = kinds.pop() if len(kinds) == 1 else "", []
    if failed := found["failed"]:
        said.append(f"✗ {failed} of {found.total()} {kind}figures differ{'s' * (failed == 1)}")
    elif matched := found["passed"]:
        said.append(f"✓ {matched} {kind}figure{'s match' if matched > 1 else ' matches'}")
    if errata := found["erratum"]:
        said.append(f"{errata} known misprint{'s' * (errata > 1)}")
    return ", ".join(said)


# What a box says


def rows_of(node: NodeResult, result: BackpropResult, figures: Sequence[FigureResult] = ()) -> list[Row]:
    """A node: its equation and numbers, then its gradient's with all paths, what it stores, how its figures compare."""
    role = "" if node.role == "node" else f", {node.role}"
    rows = [Row("", "ink", node.name, shape_of(node.value) + role)]
    rows += [Row("", "ink", f"= {node.equation}")] if node.equation else []
    rows.append(Row("forward", "value", "", "", node.name, node.value))
    if node.gradient is not None:
        rows.append(Row("backward", "gradient", f"d{node.name} = {node.gradient_equation}"))
        rows.append(Row("backward", "gradient", "", "", f"d{node.name}", node.gradient))
        rows += _paths(node, result)
    if node.stores and node.gradient is not None:
        rows.append(Row("", "dim", f"stores {', '.join(node.stores)}"))
    elif node.note and node.role == "node":
        rows.append(Row("", "dim", node.note))
    if figures:
        passed = all(figure.passed for figure in figures)
        rows.append(Row("verdict", "good" if passed else "bad", _verdict(figures)))
    return rows


def _paths(node: NodeResult, result: BackpropResult) -> Iterator[Row]:
    """The paths that meet in a gradient; of a single one, what is taken together in it."""
    joined = any("taken together" in other.note for other in result.nodes)
    shares = result.shares(node.name) if joined or len(node.readers) > 1 else ()
    left = range(PATHS, len(shares) - PATHS) if len(shares) > 3 * PATHS else range(0)
    for at, share in enumerate(shares):
        fused = ", ".join(share.fused)
        if len(node.readers) < 2:
            yield from [Row("backward", "dim", f"(one path, through {fused})")] if fused else []
        elif at not in left:
            words = f"  + from {share.reader}{f' (with {fused})' if fused else ''}:"
            yield Row("backward", "gradient", words, "", f"d{node.name}<{share.reader}", share.value)
        elif at == left[0]:
            last = shares[left[-1]].reader
            yield Row("backward", "dim", f"  + from {len(left)} more, {share.reader} … {last}")


def in_words(rows: Sequence[Row]) -> Iterator[str]:
    """What a box says, line by line, for those who do not see it."""
    for row in rows:
        parts = [row.words.strip(" ✓✗"), row.more]
        if row.array is not None:
            many = row.array.size > ROWS * COLUMNS
            parts.append(summed(row.array) if many else ", ".join(map(number, row.array.flat)) or "empty")
        yield " ".join(filter(None, parts))


def mermaid(scene: Scene) -> str:
    """The graph as text for a Markdown page: nodes with their equations and what small numbers they have."""
    (nodes, _, rows), lines = _seen(scene, SCREEN, math.inf), ["flowchart LR"]
    called = {node.name: f"n{at}" for at, node in enumerate(nodes)}
    inert = partial(re.sub, r"[^\w .,+=*/()-]", lambda sign: f"#{ord(sign[0])};")
    for node in nodes:
        words = "<br>".join(map(inert, in_words(rows[node.name])))
        left, right = ("[", "]") if node.role == "node" else ("([", "])")
        lines.append(f'  {called[node.name]}{left}"{words}"{right}')
    for (start, end), (forward, backward) in _ways(nodes).items():
        lines += [f"  {called[start]} --> {called[end]}"] if forward else []
        lines += [f"  {called[end]} -.-> {called[start]}"] if backward else []
    return "\n".join(lines) + "\n"


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


# How it is drawn


def _box(rows: Sequence[Row]) -> tuple[float, float, str]:
    """How wide and high a box is, and what stands in it, from its upper left corner."""
    drawn, width, lines = "", 0.0, 0
    for layer, group in groupby(rows, key=lambda row: row.layer):
        part = ""
        for row in group:
            end, lines = PAD, lines + 1
            for words, colour, gap in ((row.words, row.colour, 0), (row.more, "dim", 2 * CHAR)):
                look = BOLD if row is rows[0] and not gap else 'xml:space="preserve"' if words[:1] == " " else ""
                part += text(end + gap, lines * LINE + 2, words, colour, look, cut=CUT) if words else ""
                end += gap + min(len(words), CUT) * CHAR if words else 0
            if row.array is not None:
                one_line = row.array.size <= ROWS and row.array.size == [1, *row.array.shape][-1]
                x = end + CHAR if row.words and one_line else PAD
                lines += bool(row.words) and not one_line
                numbers, right, high = _numbers(row, row.array, x, lines * LINE + 2)
                part, end, lines = part + numbers, max(end, right), lines + high - 1
            width = max(width, end)
        drawn += f'<g data-layer="{layer}">{part}</g>' if layer else part
    return width + PAD, lines * LINE + PAD, drawn


def _numbers(row: Row, array: Array, x: float, y: float) -> tuple[str, float, int]:
    """The numbers, each matrix in its brackets; of an array with too many norm, range and a strip of bars.

    With them, where they end to the right, and how many lines they take.
    """
    if not array.size:
        return text(x, y, "empty", "dim"), x + 5 * CHAR, 1
    table = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    if len(table) > ROWS or table.shape[1] > (COLUMNS if len(table) > 1 else ROWS):
        words, facts = summed(array), " ".join(f'data-{kind}="{fact!r}"' for kind, fact in _facts(array).items())
        said = text(x, y, words, row.colour, f'data-n="{escape(row.name)}"', facts)
        with np.errstate(all="ignore"):
            pieces = np.array_split(np.asarray(array, np.float64).ravel(), min(BARS, array.size))
            means = np.nan_to_num([np.mean(piece) for piece in pieces], posinf=0, neginf=0)
        bars = enumerate(means / (np.max(np.abs(means)) or 1.0) * 7)
        strip = (f"M{x + 4 * k:.1f} {y + 12 - max(h, 0):.1f}h3v{max(abs(h), 0.5):.1f}h-3z" for k, h in bars)
        return f'{said}<path d="{"".join(strip)}" {fill(row.colour)}/>', x + len(words) * CHAR, 2
    cells = [[number(value) for value in line] for line in table]
    bracket, block = CHAR * bool(array.ndim), array.shape[-2] if array.ndim > 1 else 1
    widths = (CHAR * (2 + max(map(len, column))) for column in zip(*cells, strict=True))
    _, *ends = accumulate(widths, initial=x + bracket - 2 * CHAR)
    drawn, sides, last = "", "", ends[-1] + bracket
    for at, (place, value) in enumerate(np.ndenumerate(array)):
        i, j = divmod(at, len(ends))
        where = f'x="{ends[j]:.1f}" y="{y + i * LINE:.1f}"'
        drawn += f"<text {where} {measured(entry(row.name, place), value)}>{cells[i][j]}</text>"
    for i in range(0, len(cells) if array.ndim else 0, block):
        top, bottom = y + i * LINE - 11, y + (i + block - 1) * LINE + 4
        sides += f"M{x + 4:.1f} {top:g}h-3V{bottom:g}h3M{last - 4:.1f} {top:g}h3V{bottom:g}h-3"
    brackets = f'<path d="{sides}" {stroke(row.colour, 1)}/>' if sides else ""
    return f"<g {fill(row.colour)} {END}>{drawn}</g>{brackets}", last, len(cells)


def _ways(nodes: Sequence[NodeResult]) -> Mapping[tuple[str, str], tuple[bool, bool]]:
    """Every edge, and whether something flows forward along it, and backward."""
    known = {node.name for node in nodes}
    forward = dict.fromkeys((name, node.name) for node in nodes for name in node.reads if name in known)
    backward = dict.fromkeys((node.name, reader) for node in nodes for reader in node.readers if reader in known)
    return {edge: (edge in forward, edge in backward) for edge in {**forward, **backward}}


def _edge(points: Sequence[Point], ends: tuple[str, str], way: tuple[bool, bool], down: bool) -> str:
    """The lines of an edge, beside each other, as if it ran to the right: straight in layers, and bent between them.

    Each is drawn from the box that it is read from, where those that share a lane begin: so their dashes fall together.
    """
    drawn = ""
    for flows, (layer, colour, sign, dashes) in zip(way, WAYS, strict=True):
        if flows:
            aside = -3.0 * sign * all(way)
            run = [(point[down], point[not down] + aside) for point in points]
            path = "M{:.1f} {:.1f}".format(*run[0])
            for turn, ((a, b), (c, d)) in enumerate(pairwise(run)):
                middle = (a + c) / 2 - aside * math.copysign(1, d - b)  # also what runs across stays beside
                path += f"C{middle:.1f} {b:.1f} {middle:.1f} {d:.1f} {c:.1f} {d:.1f}" if turn % 2 else f"H{c:.1f}"
            x, y = run[::-sign][0]
            head = f'<path d="M{x:.1f} {y:.1f}l{-8 * sign} 4v-8z" {fill(colour)}/>'
            about = f'data-layer="{layer}" data-from="{escape(ends[0])}" data-to="{escape(ends[1])}"'
            drawn += f'<g {about}><path d="{path}" {stroke(colour)}{dashes}/>{head}</g>'
    return drawn


# Layers that repeat


def folded(nodes: Sequence[NodeResult], most: float) -> tuple[Sequence[NodeResult], Mapping[str, tuple[str, str]]]:
    """At most `most` nodes, and half as many in a row, where that can be had; and what some of them stand for, by name.

    Of equations that repeat, but for the digits in their names, three times and more, the first round and the last are
    kept; one node, of the name of the last between, stands for those. What only these read is folded with them. What it
    stands for is `… 3 rounds: h2 … h4`, and all their names.
    """
    hidden: dict[str, tuple[str, str]] = {}
    while max(len(nodes), 2 + 2 * max(ranked([node.name for node in nodes], [*_ways(nodes)]).values())) > most:
        equations = [node for node in nodes if node.role == "node"]
        said = {one.name: re.sub(r"\d+", "#", f"{one.name} = {one.equation}") for one in equations}
        said |= {name: words for name, (words, _) in hidden.items()}
        start, period, stop = _repeated([said[one.name] for one in equations])
        if stop - start <= period:
            break
        inside, before = equations[start:stop], nodes
        nodes = _without(nodes, inside)
        gone = {node.name for node in before} - {node.name for node in nodes} | {inside[-1].name}
        names = " ".join(hidden.pop(node.name, ("", node.name))[1] for node in before if node.name in gone)
        hidden[inside[-1].name] = f"… {len(inside) // period} rounds: {inside[0].name} … {inside[-1].name}", names
    return nodes, hidden


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
        reads, readers = (part.reads for part in parts), (part.readers for part in parts)
        return node._replace(reads=joined(node.name, reads), readers=joined(node.name, readers))

    return [kept(node, inside if node is last else [node]) for node in nodes if node.name in named]
