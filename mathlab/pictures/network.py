"""The network as articles draw it: units as circles, weights as lines, values and gradients on both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Case
from mathlab.language.syntax import Call, Expr, Name, Num
from mathlab.pictures import Scene, svg
from mathlab.pictures.graph import PAD, Row, box, in_words, rows_of
from mathlab.pictures.layout import Point
from mathlab.pictures.svg import CHAR, MARGIN, element, entry, fill, number, stroke, text
from mathlab.results.judged import NodeResult
from mathlab.stages.shares import base_of

MOST_UNITS, MOST_LAYERS = 12, 20
LABELLED = 20  # lines between two layers; the weights of more of them are drawn, but not written
RADIUS, BETWEEN, HEAD = 48.0, 194.0, 62.0  # at least: a circle's, and the room for few lines
CUT = 24  # characters of a name
STEP = 15  # from line to line
PLACES = (0.3, 0.7, 0.4, 0.6, 0.5, 0.22, 0.78, *(0.14 + 0.04 * at for at in range(19)))  # of a label along a line
SHAPING = ("add", "index", "T", "mT", "reshape", "matmul", "dot")  # what is no activation
Nodes = Mapping[str, NodeResult]


class Layer(NamedTuple):
    """`source` (times `weights`, plus `bias`) goes in as `inner`, and comes out as `outer` after the `activation`.

    `inner` is empty where one equation does both. `axis` counts the units: 0 for `W @ x`, -1 for `x @ W`.
    """

    source: str
    weights: str
    transposed: bool
    axis: int
    bias: str
    inner: str
    outer: str
    activation: str


def _layers(case: Case, nodes: Nodes) -> Iterator[Layer]:
    """Every layer, by the equation that ends it: with its activation, and without."""
    written = {one.name: one.expr for one in case.equations}
    for outer, inside in written.items():
        activation = inner = bias = ""
        match inside:  # a function of one thing and of numbers, as relu(z) and maximum(z, 0) are
            case Call(op, args) if op not in SHAPING:
                first, *others = [arg for arg in args if not isinstance(arg, Num)] or [inside]
                activation, inside = (op, first) if not (others and isinstance(first, Name)) else ("", inside)
        if activation and isinstance(inside, Name) and inside.id in written:
            inner, inside = inside.id, written[inside.id]
        match inside:
            case Call("matmul" | "dot", factors):
                pass
            case Call("add", (Call("matmul" | "dot", factors), of) | (of, Call("matmul" | "dot", factors))):
                bias = base_of(of) or "?"
            case _:
                continue
        given, other = map(_matrix, factors)
        left = given[0] in case.parameters
        (weights, transposed), (source, turned) = (given, other) if left else (other, given)
        known = {weights, bias or weights} <= case.parameters.keys() and source in nodes.keys() - case.parameters.keys()
        if not known or turned or not nodes[weights].value.ndim == 2 >= nodes[source].value.ndim > 0:
            continue
        axis, shape = 0 if left else -1, [*nodes[source].value.shape]
        shape[axis] = nodes[weights].value.shape[left == transposed]
        if nodes[outer].value.shape == tuple(shape):
            yield Layer(source, weights, transposed, axis, bias, inner, outer, activation)


def _matrix(expr: Expr) -> tuple[str, bool]:
    """The name of a factor, and whether it is transposed; no name for anything else."""
    match expr:
        case Name(name) | Call("T", (Name(name),)):
            return name, isinstance(expr, Call)
    return "", False


def network(scene: Scene) -> str:
    """The network of a case as SVG, with the numbers of one sample of a batch.

    Raises MathlabError where the equations hold no network, or one that is too large to be drawn.
    """
    called, nodes = f"case {scene.case.name!r}", {node.name: node for node in scene.backprop.nodes}
    runs: dict[str, list[Layer]] = {"": []}  # of layers that each read what the one before them gives
    for layer in _layers(scene.case, nodes):
        runs[layer.outer] = [*runs.get(layer.source, []), layer]
    if not (layers := max(reversed(runs.values()), key=len)):
        message = f"{called} has no network to draw: no equation is a layer, as z: W @ x + b with a matrix W is"
        raise MathlabError(f"{message}; of a single unit it is [[0.5, -1]], and [[0.5], [-1]] in x @ W")
    columns = [layers[0]._replace(outer=layers[0].source, inner="", bias="", activation=""), *layers]
    sides = [nodes[layer.outer].value.shape[layer.axis] for layer in columns]
    if max(sides) > MOST_UNITS:
        raise MathlabError(f"the network of {called} has a layer of {max(sides)} units, more than {MOST_UNITS}")
    if len(layers) > MOST_LAYERS:
        raise MathlabError(f"the network of {called} has {len(layers)} layers, more than {MOST_LAYERS}")
    samples = max(nodes[layer.outer].value.size // side for layer, side in zip(columns, sides, strict=True))
    if scene.sample not in range(samples):
        raise MathlabError(f"there is no sample {scene.sample} in {called}: they are counted from 0 to {samples - 1}")
    sample = int(scene.sample)
    units = [[_unit(one, nodes, row, sample) for row in range(n)] for one, n in zip(columns, sides, strict=True)]
    radius = max(RADIUS, *(box(inside)[0] / 2 for column in units for _, inside, _ in column))
    half = max(radius, *(box(name)[0] / 2 for column in units for name, _, _ in column))
    most = max(a * b for a, b in pairwise(sides))  # lines between two layers
    pitch = BETWEEN + 12 * max(min(most, LABELLED) - 6, 0) + 2 * half
    step = 2 * radius + (66 if any(layer.bias for layer in layers) else 48)
    places = [
        [(MARGIN + half + pitch * at, HEAD + step * (row + (max(sides) - side + 1) / 2)) for row in range(side)]
        for at, side in enumerate(sides)
    ]
    drawn = "".join(_lines(one, nodes, *ends, radius) for one, ends in zip(layers, pairwise(places), strict=True))
    for (name, inside, below), (x, y) in zip(chain(*units), chain(*places), strict=True):
        drawn += element("circle", cx=x, cy=y, r=radius, **stroke("frame", inside="paper"))
        drawn += _centred(name, x, y - radius - 14) + _centred(inside, x, y) + _centred(below, x, y + radius + 18)
    end = nodes[scene.case.equations[-1].name]
    used = (name for one in layers for name in (one.source, one.weights, one.bias, one.inner, one.outer))
    parts = [*filter(None, dict.fromkeys(used))]
    shared = ", ".join(name for name in parts if name in scene.case.parameters and len(nodes[name].readers) > 1)
    rest = ", ".join(name for name in scene.case.parameters if name not in parts)
    said = (
        f"{end.name} = {number(float(end.value))}" if not end.value.ndim else "",
        "a line is as wide as its weight, and dashed where that is negative",
        f"of more than {LABELLED} lines between two layers the numbers are not written" if most > LABELLED else "",
        f"sample {sample} of {samples}; a weight's gradient is that of all of them" if samples > 1 else "",
        f"read more than once, so that its gradient is a sum: {svg.shortened(shared, 2 * CUT)}" if shared else "",
        f"what is not in these layers is not drawn: {svg.shortened(rest, 2 * CUT)}" if rest else "",
    )
    bottom, notes = HEAD + step * max(sides), [*filter(None, said)]
    drawn += "".join(text(MARGIN, bottom + 18 * at, line, "dim") for at, line in enumerate(notes, start=1))
    gradients = f"gradient ∂{end.name}/∂…" if any(nodes[name].gradient is not None for name in parts) else ""
    drawn += text(MARGIN, 40, "value", "value") + (gradients and text(70, 40, gradients, "gradient"))
    words = " ".join((in_words(rows_of(nodes[name], scene.backprop) for name in parts), *notes))
    width = max(2 * (MARGIN + half) + pitch * len(layers), 2 * MARGIN + CHAR * max(map(len, notes)))
    return svg.picture(scene, "Network", width, bottom + 18 * len(notes) + MARGIN, words, drawn)


def _entry(node: NodeResult, place: Sequence[int], words: str = "") -> list[Row]:
    """What stands at a place of a node, and of its gradient where it has one."""
    at = tuple(place)
    rows = [Row("forward", "value", words, "", entry(node.name, place), np.asarray(node.value[at]))]
    if (gradient := node.gradient) is not None:
        rows.append(Row("backward", "gradient", "", "", entry(f"d{node.name}", place), np.asarray(gradient[at])))
    return rows


def _centred(rows: Sequence[Row], x: float, y: float) -> str:
    """Rows under one another, about a point."""
    drawn = ""
    for at, (width, height, line) in enumerate(box([row]) for row in rows):
        top = y + (at - (len(rows) - 1) / 2) * STEP - height / 2
        drawn += element("g", line, transform=f"translate({x - width / 2:.1f} {top:.1f})")
    return drawn


def _unit(layer: Layer, nodes: Nodes, row: int, sample: int) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
    """What stands above a unit, its name; in its circle; and below it, what it adds, unless all add the same number.

    What has one row for all samples is read there.
    """
    outer, place = nodes[layer.outer], [row]
    if outer.value.ndim == 2:
        place.insert(1 + layer.axis, min(sample, outer.value.shape[-1 - layer.axis] - 1))
    inside = [*_entry(nodes[layer.inner], place)] if layer.inner else []
    inside += [Row("", "dim", layer.activation)] if layer.activation else []
    bias = nodes[layer.bias] if layer.bias and nodes[layer.bias].value.ndim else None
    at = np.unravel_index(min(row, bias.value.size - 1), bias.value.shape) if bias else ()
    below = _entry(bias, [*map(int, at)], svg.shortened(bias.name, CUT)) if bias else []
    return [Row("", "ink", entry(svg.shortened(outer.name, CUT), place))], [*inside, *_entry(outer, place)], below


def _lines(layer: Layer, nodes: Nodes, starts: Sequence[Point], ends: Sequence[Point], radius: float) -> str:
    """The lines between two layers, each with its weight and gradient where that covers least."""
    weights, drawn, labels = nodes[layer.weights], "", ""
    size, left, right = np.max(np.abs(weights.value), initial=0) or 1.0, starts[0][0] + radius, ends[0][0] - radius
    taken = [(x, y - radius - 12, 2 * radius) for x, y in (*starts, *ends)]  # a middle and a width: names first
    for at, (y0, y1) in enumerate((a, b) for _, a in starts for _, b in ends):
        place = divmod(at, len(ends))[:: 1 if (layer.axis == 0) == layer.transposed else -1]
        weight, said = float(weights.value[place]), _entry(weights, place)
        width = 0.8 + 3.2 * abs(weight) / size if np.isfinite(weight / size) else 0.8
        look = {"stroke_opacity": 0.6, "stroke_dasharray": "6 4" if weight < 0 else "", **stroke("value", width)}
        about = svg.escape(f"{entry(weights.name, place)} = {weight}")
        drawn += element("path", element("title", about), d=f"M{left:.1f} {y0:.1f}L{right:.1f} {y1:.1f}", **look)
        if len(starts) * len(ends) <= LABELLED:
            wide, spots = box(said)[0] - 2 * PAD, [(left + t * (right - left), y0 + t * (y1 - y0)) for t in PLACES]
            covered = [sum(abs(x - a) < (wide + b) / 2 + 6 and abs(y - c) < 34 for a, c, b in taken) for x, y in spots]
            x, y = spots[covered.index(min(covered))]
            taken.append((x, y, wide))
            paper = {"fill_opacity": 0.9, **fill("paper")}
            labels += element("rect", x=x - wide / 2 - 2, y=y - 15, width=wide + 4, height=30, **paper)
            labels += _centred(said, x, y)
    return drawn + labels
