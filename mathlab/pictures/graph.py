"""The computation graph with its numbers: a box for each node, an edge for each name that an equation reads.

Layers that repeat are taken together, so that a long network can be seen.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, compress, groupby, pairwise
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language import read
from mathlab.language.fold import Fold
from mathlab.language.syntax import names
from mathlab.pictures import Scene
from mathlab.pictures.layout import Point, grouped, layered, ranked
from mathlab.pictures.svg import BOLD, CHAR, END, MARGIN, element, entry, fill, measured, number, picture, stroke, text
from mathlab.results import BackpropResult
from mathlab.results.judged import FigureResult, NodeResult

PAD, HEAD, LINE = 10.0, 50.0, 16.0  # the last is a line's height
ROWS, COLUMNS = 6, 5  # the largest matrix whose numbers are shown; of a vector, `ROWS`
CUT = 44  # characters of an equation
WIDE = 900.0  # a graph that is wider runs down
SCREEN, MOST = 24, 200  # boxes: before repeated layers are folded, and after
PATHS = 3  # that are shown first and last where very many meet
BARS = 32  # of the strip that stands for a large array
WAYS = (("forward", "value", 1, ""), ("backward", "gradient", -1, "5 3"))  # layer, colour, direction, dashes


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


Rows = Mapping[str, Sequence[Row]]  # by the names of the boxes
Ways = Mapping[tuple[str, str], tuple[bool, bool]]  # of edges: whether something flows forward along them, and backward


def graph(scene: Scene, screen: float = SCREEN, most: float = MOST, wide: float = WIDE) -> str:
    """The computation graph of a case as SVG, with layers that repeat folded where they do not fit a screen.

    Raises MathlabError for one that even so has too many nodes to be read.
    """
    rows, stands, ways = _seen(scene, screen, most)
    boxes = {name: box(own) for name, own in rows.items()}
    layout = layered({name: (width, height) for name, (width, height, _) in boxes.items()}, [*ways])
    if down := scene.direction == "down" or (scene.direction == "auto" and layout.size[0] > wide):
        layout = layered({name: (height, width) for name, (width, height, _) in boxes.items()}, [*ways])
    drawn = "".join(_edge(layout.edges[edge], edge, way) for edge, way in ways.items())
    drawn = element("g", drawn, transform="matrix(0 1 1 0 0 0)" if down else "")  # which turns right into down
    for at, (name, (width, height, inside)) in enumerate(boxes.items()):
        (along, across), (*hidden, last) = layout.boxes[name], stands[name]
        look = stroke("good" if last.role == "parameter" else "frame", 2.4 if at == len(boxes) - 1 else 1.2, "paper")
        frame = element("rect", width=width, height=height, rx=3 if last.role == "node" else 11, **look)
        about = {"data_node": name, "data_hides": " ".join(node.name for node in stands[name] if hidden)}
        place = f"translate({across:.1f} {along:.1f})" if down else f"translate({along:.1f} {across:.1f})"
        drawn += "\n" + element("g", frame, inside, id=f"{scene.scope}-{at}", transform=place, **about)
    head, flows = text(MARGIN, 38, "→ forward: values", "value"), any(backward for _, backward in ways.values())
    head += text(170, 38, "← backward, dashed: gradients", "gradient") if flows else ""
    body = head + element("g", drawn, transform=f"translate({MARGIN:g} {HEAD:g})")
    height, width = layout.size if down else layout.size[::-1]
    size = max(width, 420.0) + 2 * MARGIN, height + HEAD + MARGIN
    return picture(scene, "Computation graph", *size, in_words(rows.values()), body)


def _seen(scene: Scene, screen: float, most: float) -> tuple[Rows, Mapping[str, Sequence[NodeResult]], Ways]:
    """What each box says, the nodes that it stands for, and edges; long sums over a loop's steps are cut short."""
    result, figures = scene.backprop, grouped((told_of(figure), figure) for figure in scene.backprop.figures)
    home, rows = folded(result.nodes, math.inf if scene.whole else screen)
    stands = grouped((home[node.name], node) for node in result.nodes)
    if len(stands) > most and not scene.whole:
        why = f"has {len(stands)} nodes, more than {most}, and no layers that repeat"
        raise MathlabError(f"the graph of case {scene.case.name!r} {why}; a page steps through it, and --all draws it")
    cut = Fold((node.name, node.step) for node in result.nodes).written
    for node in (node for node in result.nodes if home[node.name] == node.name and node.name not in rows):
        short, own = node._replace(gradient_equation=cut(node.gradient_equation)), figures[node.name]
        rows[node.name] = [*rows_of(short, result, [*own, *figures[f"d{node.name}"]])]
    return {name: rows[name] for name in home if name in rows}, stands, _ways(result.nodes, home)


def told_of(figure: FigureResult) -> str:
    """The name that a figure is about, a node's or a gradient's: the first that it mentions."""
    return next(iter(names(read(figure.key))), "")


def _verdict(figures: Sequence[FigureResult]) -> Row:
    """How the numbers printed (or worked out) for a node compare, in words."""
    found = Counter(entry.verdict.outcome for figure in figures for entry in figure.entries)
    kinds = {"worked-out " if figure.worked_out else "printed " for figure in figures}
    kind, failed, errata, said = kinds.pop() if len(kinds) == 1 else "", found["failed"], found["erratum"], []
    if failed:
        said.append(f"✗ {failed} of {found.total()} {kind}figures {'differs' if failed == 1 else 'differ'}")
    elif matched := found["passed"]:
        said.append(f"✓ {matched} {kind}{'figure matches' if matched == 1 else 'figures match'}")
    if errata:
        said.append(f"{errata} known {'misprint' if errata == 1 else 'misprints'}")
    return Row("verdict", "bad" if failed else "good", ", ".join(said))


# What a box says


def rows_of(node: NodeResult, result: BackpropResult, figures: Sequence[FigureResult] = ()) -> Iterator[Row]:
    """A node: its equation and numbers, then its gradient's with all paths, what it stores, how its figures compare."""
    yield Row("", "ink", node.name, shape_of(node.value) + (f", {node.role}" if node.role != "node" else ""))
    yield from [Row("", "ink", f"= {node.equation}")] if node.equation else []
    yield Row("forward", "value", "", "", node.name, node.value)
    if node.gradient is not None:
        yield Row("backward", "gradient", f"d{node.name} = {node.gradient_equation}")
        yield Row("backward", "gradient", "", "", f"d{node.name}", node.gradient)
        yield from _paths(node, result)
        yield from (Row("backward", "gradient", f"{part.name} = {part.equation}") for part in node.parts)
        yield from [Row("", "dim", f"stores {', '.join(node.stores)}")] if node.stores else []
    elif node.note and node.role == "node":
        yield from (Row("", "dim", line) for line in textwrap.wrap(node.note, CUT))
    yield from [_verdict(figures)] if figures else []


def _paths(node: NodeResult, result: BackpropResult) -> Sequence[Row]:
    """The paths that meet in a gradient; of a single one, what is taken together in it."""
    shares = [(share, ", ".join(share.fused)) for share in result.shares(node.name)]
    if len(shares) < 2:
        return [Row("backward", "dim", f"(one path, through {fused})") for _, fused in shares if fused]
    told = ((one, f"+ from {one.reader}{f' (with {fused})' if fused else ''}:") for one, fused in shares)
    rows = [Row("backward", "gradient", words, "", f"d{node.name}<{one.reader}", one.value) for one, words in told]
    if left := shares[PATHS:-PATHS] if len(shares) > 3 * PATHS else []:
        words = f"+ from {len(left)} more, {left[0][0].reader} … {left[-1][0].reader}"
        rows[PATHS:-PATHS] = [Row("backward", "dim", words)]
    return rows


def in_words(boxes: Iterable[Iterable[Row]]) -> str:
    """What boxes say, for those who do not see them."""
    return " ".join("; ".join(map(_said, rows)) + "." for rows in boxes)


def _said(row: Row) -> str:
    parts = [row.words.strip("✓✗ "), row.more]
    if row.array is not None:
        many = row.array.size > ROWS * COLUMNS
        parts.append(summed(row.array) if many else _nested(row.array))
    return " ".join(filter(None, parts))


def _nested(array: Array) -> str:
    """`[[1, 2], [3, 4]]`; a number stands alone."""
    return f"[{', '.join(map(_nested, array))}]" if array.ndim else number(array.flat[0])


def mermaid(scene: Scene) -> str:
    """The graph as text for a Markdown page: nodes with their equations and what small numbers they have."""
    (rows, stands, ways), lines = _seen(scene, SCREEN, math.inf), ["flowchart LR"]
    called = {name: f"n{at}" for at, name in enumerate(rows)}
    for name, own in rows.items():
        said = (re.sub(r"[^\w .,+=*/()-]", lambda sign: f"#{ord(sign[0])};", _said(row)) for row in own)
        left, right = ("[", "]") if stands[name][-1].role == "node" else ("([", "])")
        lines.append(f'  {called[name]}{left}"{"<br>".join(said)}"{right}')
    for (start, end), (forward, backward) in ways.items():
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


def box(rows: Sequence[Row]) -> tuple[float, float, str]:
    """How wide and high a box is, and what stands in it, from its upper left corner."""
    drawn, width, y = "", 0.0, LINE + 2
    for layer, group in groupby(rows, key=lambda row: row.layer):
        part = ""
        for row in group:
            x = PAD
            for words, colour in ((row.words, row.colour), (row.more, "dim")):
                part += text(x, y, words, colour, BOLD if row.more and x == PAD else {}, cut=CUT) if words else ""
                x += (min(len(words), CUT) + 1) * CHAR if words else 0
            numbers, right, lines = ("", x - CHAR, 1) if row.array is None else _numbers(row, row.array, x, y)
            part, width, y = part + numbers, max(width, right), y + lines * LINE
        drawn += element("g", part, data_layer=layer) if layer else part
    return width + PAD, y - LINE - 2 + PAD, drawn


def _numbers(row: Row, array: Array, x: float, y: float) -> tuple[str, float, int]:
    """The numbers, each matrix in its brackets; of an array with too many norm, range and a strip of bars.

    With them, where they end to the right, and how many lines they take.
    """
    if not array.size:
        return text(x, y, "empty", "dim"), x + 5 * CHAR, 1
    table = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    if len(table) > ROWS or table.shape[1] > (COLUMNS if len(table) > 1 else ROWS):
        words, facts = summed(array), {f"data_{kind}": repr(fact) for kind, fact in _facts(array).items()}
        said = text(x, y, words, row.colour, {"data_n": row.name, **facts})
        with np.errstate(all="ignore"):
            pieces = np.array_split(np.asarray(array, np.float64).ravel(), min(BARS, array.size))
            means = np.nan_to_num([np.mean(piece) for piece in pieces], posinf=0, neginf=0)
        bars = enumerate(means / (np.max(np.abs(means)) or 1.0) * 7)
        strip = (f"M{x + 4 * k:.1f} {y + 12 - max(h, 0):.1f}h3v{max(abs(h), 0.5):.1f}h-3z" for k, h in bars)
        return said + element("path", d="".join(strip), **fill(row.colour)), x + len(words) * CHAR, 2
    cells = [[number(value) for value in line] for line in table]
    widths = (CHAR * (2 + max(map(len, column))) for column in zip(*cells, strict=True))
    _, *ends = accumulate(widths, initial=x - CHAR * (1 if array.ndim else 2))
    drawn, sides, last = "", "", ends[-1] + CHAR * bool(array.ndim)
    for at, (place, value) in enumerate(np.ndenumerate(array)):
        i, j = divmod(at, len(ends))
        drawn += element("text", cells[i][j], x=ends[j], y=y + i * LINE, **measured(entry(row.name, place), value))
    for i in range(0, len(cells) if array.ndim else 0, [1, 1, *array.shape][-2]):
        top, height = y + i * LINE - 11, LINE * [1, 1, *array.shape][-2] - 1
        sides += f"M{x + 4:.1f} {top:g}h-3v{height:g}h3M{last - 4:.1f} {top:g}h3v{height:g}h-3"
    brackets = element("path", d=sides, **stroke(row.colour, 1)) if sides else ""
    return element("g", drawn, **fill(row.colour), **END) + brackets, last, len(cells)


def _ways(nodes: Sequence[NodeResult], home: Mapping[str, str]) -> Ways:
    """The edges between boxes, where each node stands in one."""
    forward = {(home[name], home[node.name]): True for node in nodes for name in node.reads if name in home}
    backward = {(home[node.name], home[reader]): True for node in nodes for reader in node.readers if reader in home}
    return {edge: (edge in forward, edge in backward) for edge in forward | backward if edge[0] != edge[1]}


def _edge(points: Sequence[Point], ends: tuple[str, str], flows: tuple[bool, bool]) -> str:
    """The lines of an edge, beside each other, as if it ran to the right: straight in layers, and bent between them.

    Each is drawn from the box that it is read from, where those that share a lane begin: so their dashes fall together.
    """
    drawn = ""
    for layer, colour, sign, dashes in compress(WAYS, flows):
        aside = -3.0 * sign * all(flows)
        run = [(along, across + aside) for along, across in points]
        path = "M{:.1f} {:.1f}".format(*run[0])
        for turn, ((a, b), (c, d)) in enumerate(pairwise(run)):
            middle = (a + c) / 2 - aside * math.copysign(1, d - b)  # also what runs across stays beside
            path += f"C{middle:.1f} {b:.1f} {middle:.1f} {d:.1f} {c:.1f} {d:.1f}" if turn % 2 else f"H{c:.1f}"
        x, y = run[::-sign][0]
        line = element("path", d=path, **stroke(colour), stroke_dasharray=dashes)
        head = element("path", d=f"M{x:.1f} {y:.1f}l{-8 * sign} 4v-8z", **fill(colour))
        drawn += element("g", line, head, data_layer=layer, data_from=ends[0], data_to=ends[1])
    return drawn


# Layers that repeat


def folded(nodes: Sequence[NodeResult], most: float) -> tuple[Mapping[str, str], dict[str, Sequence[Row]]]:
    """Of every node the box that it stands in; and what the boxes of several say, `… 3 rounds: h2 … h4`.

    At most `most` boxes, and half as many in a row, where that can be had: of equations that repeat, but for the digits
    in their names, three times and more, the first round and the last are kept, and the last between stands for those.
    What only these read is folded with them.
    """
    said = {one.name: re.sub(r"\d+", "#", f"{one.name} = {one.equation}") for one in nodes if one.role == "node"}
    home, rounds = {node.name: node.name for node in nodes}, dict[str, str]()
    readers = grouped((name, node.name) for node in nodes for name in node.reads)
    while max(len({*home.values()}), 2 + 2 * max(ranked([*home], [*_ways(nodes, home)]).values())) > most:
        left = [name for name in said if home[name] == name]
        start, period, stop = _repeated([rounds.get(name, said[name]) for name in left])
        if stop - start <= period:
            break
        *inside, last = left[start:stop]
        rounds[last] = f"… {(stop - start) // period} rounds: {left[start]} … {last}"
        home |= {name: last for name, of in home.items() if of in inside}
        home |= {name: last for name in home if {home[one] for one in readers[name]} == {last} and name not in said}
    kept = {name: words for name, words in rounds.items() if home[name] == name}
    return home, {name: [Row("", "ink", words, "like those before and after")] for name, words in kept.items()}


def _repeated(patterns: Sequence[str]) -> tuple[int, int, int]:
    """The rounds between the first and the last of the repetition that saves most: where they start, period, stop."""
    letters, found = dict[str, str](), [(0, 1, 0)]
    word = "".join(letters.setdefault(pattern, chr(len(letters) + 32)) for pattern in patterns)
    for period in range(1, len(word) // 3 + 1):
        runs = re.finditer(rf"(.{{{period}}})\1\1+", word)
        found += [(run.start() + period, period, run.end() - period) for run in runs]
    return max(found, key=lambda one: one[2] - one[0])
