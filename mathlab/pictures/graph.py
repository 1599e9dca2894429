"""The computation graph with its numbers: a box for each node, an edge for each name that an equation reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Experiment
from mathlab.language import read
from mathlab.language.syntax import names
from mathlab.pictures.fold import folded
from mathlab.pictures.layout import Box, Layout, Point, layered
from mathlab.pictures.svg import CHAR, LINE, arrow, escape, exact, fill, number, picture, stroke, text
from mathlab.pictures.svg import box as svg_box
from mathlab.results import BackpropResult, CaseResult, FigureResult, NodeResult, Share

PAD, HEAD = 10.0, 48.0
ROWS, COLUMNS = 6, 5  # the largest matrix whose numbers are shown; of a vector, `ROWS`
CUT = 44  # characters of an equation
WIDE = 900.0  # a graph that is wider runs down
MOST = 200  # boxes
BARS = 32  # of the strip that stands for a large array
DASHES = 'stroke-dasharray="5 3"'
SPOKEN = {"input": "an input", "parameter": "a parameter", "node": ""}


@dataclass(frozen=True)
class Row:
    """A part of a box, `lines` high; `layer` says what it belongs to: the forward pass, the backward pass, or both."""

    width: float
    lines: int
    layer: str
    draw: Callable[[float, float], str]


def title_of(experiment: Experiment, case: CaseResult) -> str:
    """What a picture of a case is called."""
    title = experiment.title or experiment.name
    return title if case.case == "base" and len(experiment.cases) == 1 else f"{title} — {case.case}"


def graph(experiment: Experiment, case: CaseResult, scope: str, direction: str = "auto", wide: float = WIDE) -> str:
    """The computation graph of a case as SVG; every id in it begins with `scope`.

    Raises MathlabError for a graph with too many nodes to be read, even with its repeated layers folded.
    """
    result = case.backprop
    assert result
    nodes, hidden = folded(result.nodes, MOST)
    if len(nodes) > MOST:
        raise MathlabError(
            f"the graph of case {case.case!r} has {len(nodes)} nodes, more than {MOST}, and no layers that repeat; "
            "a page steps through it"
        )
    figures = judged_by_node(result)
    rows = {node.name: [*_rows(node, hidden.get(node.name, ""), result, figures.get(node.name, ()))] for node in nodes}
    sizes = {name: _size(inside) for name, inside in rows.items()}
    ways = _ways(nodes, hidden)
    layout = layered(sizes, [*ways], down=direction == "down")
    down = direction == "down" or (direction == "auto" and layout.width > wide)
    if down and direction == "auto":
        layout = layered(sizes, [*ways], down=True)
    title = title_of(experiment, case)
    edges = "".join(_edge(layout, edge, way, down) for edge, way in ways.items())
    boxes = "\n".join(
        _box(node, layout.boxes[node.name], rows[node.name], f"{scope}-{at}", node is nodes[-1], result)
        for at, node in enumerate(nodes)
    )
    width = max(layout.width, 420.0) + 2 * PAD
    head = text(PAD, 18, title, fill("ink"), 'font-weight="bold"', cut=int((width - 2 * PAD) / CHAR)) + _legend()
    body = f'{head}<g transform="translate({PAD:g} {HEAD:g})">{edges}\n{boxes}</g>'
    words = " ".join(_spoken(node, result, figures.get(node.name, ())) for node in nodes)
    return picture(scope, width, layout.height + HEAD + PAD, f"Computation graph: {title}", words, body)


def judged_by_node(result: BackpropResult) -> dict[str, list[FigureResult]]:
    """The printed figures under the node that each is about: the first that its quantity mentions."""
    owner = {key: node.name for node in result.nodes for key in (f"d{node.name}", node.name)}
    owner |= {node.name: node.name for node in result.nodes}
    found: dict[str, list[FigureResult]] = {}
    for figure in result.figures:
        name = next((owner[name] for name in names(read(figure.key)) if name in owner), "")
        found.setdefault(name, []).append(figure)
    return found


def verdict(figures: Sequence[FigureResult]) -> tuple[str, bool]:
    """How the numbers printed (or worked out) for a node compare, in words; and whether all of them pass."""
    entries = [entry.verdict for figure in figures for entry in figure.entries]
    kinds = {figure.worked_out for figure in figures}
    kind = "" if len(kinds) > 1 else "worked-out " if True in kinds else "printed "
    failed = sum(not entry.passed for entry in entries)
    errata = sum(entry.label == "erratum confirmed" for entry in entries)
    matched = len(entries) - failed - errata
    if failed:
        said = [f"✗ {failed} of {len(entries)} {kind}figures differ{'s' * (failed == 1)}"]
    else:
        said = [f"✓ {matched} {kind}figure{'s match' if matched > 1 else ' matches'}"] if matched else []
    if errata:
        said.append(f"{errata} known misprint{'s' * (errata > 1)}")
    return ", ".join(said), not failed


def shape_of(array: Array) -> str:
    """`2×3`, or `scalar`."""
    return "×".join(map(str, array.shape)) or "scalar"


# Boxes


def _rows(node: NodeResult, fold: str, result: BackpropResult, figures: Sequence[FigureResult]) -> Iterator[Row]:
    yield _header(node)
    if fold:
        yield _words(fold, "both", "dim")
        return
    if node.equation:
        yield _words(f"= {node.equation}", "both", "ink")
    yield from _array(node.name, node.value, "value", "forward")
    if node.gradient is not None:
        yield _words(f"d{node.name} = {node.gradient_equation}", "backward", "gradient")
        yield from _array(f"d{node.name}", node.gradient, "gradient", "backward")
        shares = result.shares[node.name] if len(node.readers) > 1 else ()
        for share in shares:
            yield from _share(node, share)
        for fused in () if shares else {share.fused for share in _fused(node, result)}:
            yield _words(f"(one path, through {' and '.join(fused)})", "backward", "dim")
    if node.stores and node.gradient is not None:
        yield _words(f"stores {', '.join(node.stores)}", "both", "dim")
    elif node.note and node.role == "node":
        yield _words(node.note, "both", "dim")
    if figures:
        words, passed = verdict(figures)
        yield _words(words, "verdict", "good" if passed else "bad")


def _fused(node: NodeResult, result: BackpropResult) -> Sequence[Share]:
    fused = any(other.note and "taken together" in other.note for other in result.nodes)
    return [share for share in result.shares.get(node.name, ()) if share.fused] if fused else ()


def _share(node: NodeResult, share: Share) -> Iterator[Row]:
    through = f" (with {', '.join(share.fused)})" if share.fused else ""
    label = _words(f"  + from {share.reader}{through}:", "backward", "gradient")
    (first, *more) = _array(f"d{node.name}<{share.reader}", share.value, "gradient", "backward")
    if more or first.lines > 1:
        yield from (label, first, *more)
    else:
        at = label.width + CHAR
        yield Row(at + first.width, 1, "backward", lambda x, y: label.draw(x, y) + first.draw(x + at, y))


def _header(node: NodeResult) -> Row:
    shape = shape_of(node.value)
    bold, dim = (fill("ink"), 'font-weight="bold"'), (fill("dim"),)
    at = (len(node.name[:CUT]) + 2) * CHAR
    return Row(
        at + len(shape) * CHAR,
        1,
        "both",
        lambda x, y: text(x, y, node.name, *bold, cut=CUT) + text(x + at, y, shape, *dim),
    )


def _words(words: str, layer: str, colour: str) -> Row:
    return Row(
        min(len(words), CUT) * CHAR,
        1,
        layer,
        lambda x, y: text(x, y, words, fill(colour), 'xml:space="preserve"' if words[0] == " " else "", cut=CUT),
    )


def _array(name: str, array: Array, colour: str, layer: str) -> Iterator[Row]:
    table = np.atleast_2d(array)
    small = table.shape[0] <= ROWS and table.shape[1] <= (COLUMNS if array.ndim == 2 and len(table) > 1 else ROWS)
    if array.ndim > 2 or not small or not array.size:
        yield from _summary(name, array, colour, layer)
        return
    cells = [[number(entry) for entry in row] for row in table]
    ends: list[float] = []
    for column in zip(*cells, strict=True):
        ends.append((ends[-1] + 2 * CHAR if ends else CHAR * bool(array.ndim)) + max(map(len, column)) * CHAR)
    width = ends[-1] + CHAR * bool(array.ndim)

    def draw(x: float, y: float) -> str:
        texts = []
        for place, entry in np.ndenumerate(array):
            i, j = ((0, 0), (0, place[-1] if place else 0), place)[min(array.ndim, 2)][-2:]
            label = f"{name}[{','.join(map(str, place))}]" if place else name
            said = f'data-n="{escape(label)}" data-v="{exact(entry)}"'
            texts.append(f'<text x="{x + ends[j]:.1f}" y="{y + i * LINE:.1f}" {said}>{cells[i][j]}</text>')
        top, bottom = y - 11, y + (len(cells) - 1) * LINE + 4
        sides = (f"M{x + 4:.1f} {top:g}h-3V{bottom:g}h3", f"M{x + width - 4:.1f} {top:g}h3V{bottom:g}h-3")
        brackets = f'<path d="{"".join(sides)}" {stroke(colour, 1)}/>' if array.ndim else ""
        return f'<g {fill(colour)} text-anchor="end">{"".join(texts)}</g>{brackets}'

    yield Row(width, len(cells), layer, draw)


def _summary(name: str, array: Array, colour: str, layer: str) -> Iterator[Row]:
    """Norm, range and a strip of bars for an array that is too large for its numbers."""
    if not array.size:
        yield _words("empty", layer, "dim")
        return
    flat = np.asarray(array, np.float64).ravel()
    with np.errstate(all="ignore"):
        facts = float(np.linalg.norm(flat)), float(flat.min()), float(flat.max())
        words = "norm {}, {} … {}".format(*map(number, facts))
        means = [float(np.mean(piece)) for piece in np.array_split(flat, min(BARS, flat.size))]
    top = max((abs(mean) for mean in means if np.isfinite(mean)), default=0.0) or 1.0
    heights = [mean / top * 7 if np.isfinite(mean) else 0.0 for mean in means]

    def bars(x: float, y: float) -> str:
        made = "".join(
            f"M{x + 4 * at:.1f} {y - 4 - max(height, 0):.1f}h3v{max(abs(height), 0.5):.1f}h-3z"
            for at, height in enumerate(heights)
        )
        return f'<path d="{made}" {fill(colour)}/>'

    said = " ".join(f'data-{kind}="{fact!r}"' for kind, fact in zip(("norm", "min", "max"), facts, strict=True))
    yield Row(
        len(words) * CHAR,
        1,
        layer,
        lambda x, y: text(x, y, words, fill(colour), f'data-n="{escape(name)}"', said),
    )
    yield Row(4.0 * len(heights), 1, layer, bars)


def _size(rows: Sequence[Row]) -> Point:
    return max(row.width for row in rows) + 2 * PAD, sum(row.lines for row in rows) * LINE + PAD


def _box(node: NodeResult, box: Box, rows: Sequence[Row], ident: str, last: bool, result: BackpropResult) -> str:
    y = box.y + 18
    parts = []
    for layer, group in groupby(rows, key=lambda row: row.layer):
        drawn = []
        for row in group:
            drawn.append(row.draw(box.x + PAD, y))
            y += row.lines * LINE
        parts.append("".join(drawn) if layer == "both" else f'<g data-layer="{layer}">{"".join(drawn)}</g>')
    colour = "good" if node.role == "parameter" else "frame"
    frame = svg_box(*box, 3 if node.role == "node" else 11, colour, 2.4 if last else 1.2)
    return f'<g id="{ident}" data-node="{escape(node.name)}">{frame}{"".join(parts)}</g>'


# Edges


def _ways(nodes: Sequence[NodeResult], hidden: Mapping[str, str]) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Every edge, and whether something flows forward along it, and backward."""
    known = {node.name for node in nodes}
    ways: dict[tuple[str, str], tuple[bool, bool]] = {}
    for node in nodes:
        for name in node.reads:
            if name in known:
                ways[name, node.name] = (True, False)
    for node in nodes:
        for reader in node.readers:
            if reader in known:
                ways[node.name, reader] = (ways.get((node.name, reader), (False, False))[0], True)
    return ways


def _edge(layout: Layout, edge: tuple[str, str], way: tuple[bool, bool], down: bool) -> str:
    points, parts = layout.edges[edge], []
    forward, backward = way
    aside, ahead = (3.0 if forward and backward else 0.0), (float(not down), float(down))
    ends = f'data-from="{escape(edge[0])}" data-to="{escape(edge[1])}"'
    if forward:
        run = _shifted(points, -aside, down)
        parts.append(f'<g data-layer="forward" {ends}>{arrow(_curve(run, down), run[-1], ahead, "value")}</g>')
    if backward:
        run = _shifted(points, aside, down)[::-1]
        line = arrow(_curve(run, down), run[-1], (-ahead[0], -ahead[1]), "gradient", DASHES)
        parts.append(f'<g data-layer="backward" {ends}>{line}</g>')
    return "".join(parts)


def _shifted(points: Sequence[Point], by: float, down: bool) -> tuple[Point, ...]:
    return tuple((x + by * down, y + by * (not down)) for x, y in points)


def _curve(points: Sequence[Point], down: bool) -> str:
    """The path through points of a layout: straight across the layers, bent between them."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for at, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        if at % 2 == 0:
            path += f"L{x1:.1f} {y1:.1f}" if (x0, y0) != (x1, y1) else ""
        elif down:
            path += f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {y1:.1f}"
        else:
            path += f"C{(x0 + x1) / 2:.1f} {y0:.1f} {(x0 + x1) / 2:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return path


def _legend() -> str:
    forward = arrow("M10 32H34", (36, 32), (1, 0), "value")
    backward = arrow("M190 32H168", (166, 32), (-1, 0), "gradient", DASHES)
    words = text(42, 36, "forward: values", fill("value")) + text(198, 36, "backward: gradients", fill("gradient"))
    return forward + backward + words


# In words


def _spoken(node: NodeResult, result: BackpropResult, figures: Sequence[FigureResult]) -> str:
    what = f"{node.name}{f' = {node.equation}' if node.equation else ''}, {SPOKEN[node.role]}".rstrip(", ")
    said = [f"{what}, {_shape_in_words(node.value)}: {_numbers_in_words(node.value)}"]
    if node.gradient is not None:
        said.append(f"gradient {node.gradient_equation}: {_numbers_in_words(node.gradient)}")
        if len(node.readers) > 1:
            said.append(f"the sum of the paths from {' and '.join(node.readers)}")
    if figures:
        said.append(verdict(figures)[0][2:])
    return "; ".join(said) + "."


def _shape_in_words(array: Array) -> str:
    return " by ".join(map(str, array.shape)) or "a number"


def _numbers_in_words(array: Array) -> str:
    if array.size > ROWS * COLUMNS:
        with np.errstate(all="ignore"):
            norm = float(np.linalg.norm(np.asarray(array, np.float64).ravel()))
            return f"norm {number(norm)}, from {number(array.min())} to {number(array.max())}"
    return ", ".join(map(number, array.flat)) or "empty"


# As Mermaid


def mermaid(result: CaseResult) -> str:
    """The graph as text for a Markdown page: nodes with their equations and what small numbers they have."""
    assert result.backprop
    nodes = result.backprop.nodes
    number_of = {node.name: f"n{at}" for at, node in enumerate(nodes)}
    lines = ["flowchart LR"]
    for node in nodes:
        parts = [f"{node.name}{f' = {node.equation}' if node.equation else ''}", _numbers_in_words(node.value)]
        if node.gradient is not None:
            parts += [f"d{node.name} = {node.gradient_equation}", _numbers_in_words(node.gradient)]
        words = "<br>".join(re.sub(r"[^\w .,+=*/()-]", lambda sign: f"#{ord(sign[0])};", part) for part in parts)
        left, right = ("[", "]") if node.role == "node" else ("([", "])")
        lines.append(f'  {number_of[node.name]}{left}"{words}"{right}')
    for (start, end), (forward, backward) in _ways(nodes, {}).items():
        lines += [f"  {number_of[start]} --> {number_of[end]}"] if forward else []
        lines += [f"  {number_of[end]} -.-> {number_of[start]}"] if backward else []
    return "\n".join(lines) + "\n"
