"""The network as articles draw it: units as circles, weights as lines, values and gradients on both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Case
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num
from mathlab.pictures import Scene, svg
from mathlab.pictures.graph import in_words, rows_of
from mathlab.pictures.layout import Point
from mathlab.pictures.svg import BOLD, CHAR, END, MARGIN, MIDDLE, entry, fill, measured, number, stroke, text
from mathlab.results import NodeResult
from mathlab.stages.shares import base_of

MOST_UNITS = 12
LABELLED = 20  # lines between two layers; the weights of more of them are drawn, but not written
RADIUS, BETWEEN, HEAD = 48.0, 194.0, 80.0  # at least: a circle's, and the room for few lines
CUT = 24  # characters of a name
PLACES = (0.5, 0.3, 0.7, 0.4, 0.6, 0.22, 0.78, *(0.14 + 0.04 * at for at in range(19)))  # of a label along a line
SHAPING = ("add", "index", "T", "mT", "reshape", "matmul", "dot")  # what is no activation
Nodes = Mapping[str, NodeResult]
Said = tuple[str, str, str]  # a line of text: its colour, its words, an attribute
Sides = tuple[Sequence[Point], Sequence[Point]]  # where the units of two layers stand


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


def _layer(equation: Equation, case: Case, nodes: Nodes) -> Layer | None:
    activation, inside, bias = "", equation.expr, ""
    match inside:
        case Call(op, (first, *_)) if op not in SHAPING:
            activation, inside = op, first
    match inside:
        case Call("matmul" | "dot", factors):
            pass
        case Call("add", (Call("matmul" | "dot", factors), of) | (of, Call("matmul" | "dot", factors))):
            if (bias := base_of(of)) not in case.parameters:
                return None
        case _:
            return None
    given, other = map(_matrix, factors)
    left = given[0] in case.parameters
    (weights, transposed), (source, turned) = (given, other) if left else (other, given)
    if weights not in case.parameters or source not in nodes or source in case.parameters or turned:
        return None
    inner, outer, shape = "", equation.name, nodes[equation.name].value.shape
    for one in case.equations if not activation else ():
        match one.expr:  # a function of that and of numbers, as relu(z) and maximum(z, 0) are
            case Call(op, args) if op not in SHAPING and {arg for arg in args if not isinstance(arg, Num)} == {
                Name(outer)
            }:
                if nodes[one.name].value.shape == shape:
                    inner, outer, activation = outer, one.name, op
                    break
    layer = Layer(source, weights, transposed, 0 if left else -1, bias, inner, outer, activation)
    matrix, value, made = (nodes[name].value for name in (weights, source, outer))
    fits = matrix.ndim == 2 and value.ndim in (1, 2) and made.ndim == value.ndim
    return layer if fits and made.shape[layer.axis] == matrix.shape[left == transposed] else None


def _matrix(expr: Expr) -> tuple[str, bool]:
    """The name of a factor, and whether it is transposed; no name for anything else."""
    turned = isinstance(expr, Call) and expr.op == "T"
    whole = expr.args[0] if isinstance(expr, Call) and turned else expr
    return whole.id if isinstance(whole, Name) else "", turned


def network(scene: Scene) -> str:
    """The network of a case as SVG, with the numbers of one sample of a batch.

    Raises MathlabError where the equations hold no network, or one that is too large to be drawn.
    """
    called, sample = f"case {scene.case.name!r}", scene.sample
    nodes = {node.name: node for node in scene.backprop.nodes}
    runs: dict[str, list[Layer]] = {"": []}  # of layers that each read what the one before them gives
    for equation in scene.case.equations:
        if layer := _layer(equation, scene.case, nodes):
            runs[layer.outer] = [*runs.get(layer.source, []), layer]
    if not (layers := max(runs.values(), key=len)):
        raise MathlabError(
            f"{called} has no network to draw: no equation is a parameter times an input or a layer, as in z: W @ x + b"
        )
    columns = [layers[0]._replace(outer=layers[0].source, inner="", bias="", activation=""), *layers]
    sides = [nodes[layer.outer].value.shape[layer.axis] for layer in columns]
    if max(sides) > MOST_UNITS:
        raise MathlabError(f"the network of {called} has a layer of {max(sides)} units, more than {MOST_UNITS}")
    samples = max(nodes[layer.outer].value.size // side for layer, side in zip(columns, sides, strict=True))
    if not 0 <= sample < samples:
        raise MathlabError(f"there is no sample {sample} in {called}: they are counted from 0 to {samples - 1}")
    units = [[_unit(one, nodes, row, sample) for row in range(n)] for one, n in zip(columns, sides, strict=True)]
    radius = max(RADIUS, *(CHAR * len(said[1]) / 2 + 8 for column in units for unit in column for said in unit[1:]))
    names = [max(CHAR * len(unit[0][1]) for unit in column) for column in units]
    left, right = (max(MARGIN + radius, names[end] / 2 + 8) for end in (0, -1))
    pitch = BETWEEN + 12 * max(min(max(a * b for a, b in pairwise(sides)), LABELLED) - 6, 0) + max(2 * radius, *names)
    step = 2 * radius + (66 if any(layer.bias for layer in layers) else 48)
    tops = [HEAD + step * (max(sides) - side + 1) / 2 for side in sides]
    places = [[(left + pitch * at, tops[at] + step * row) for row in range(side)] for at, side in enumerate(sides)]
    drawn = ""
    for layer, ends, wide in zip(layers, pairwise(places), pairwise(names), strict=True):
        drawn += _lines(layer, nodes, ends, wide, radius)
    for layer, column, spots in zip(columns, units, places, strict=True):
        for row, (unit, (x, y)) in enumerate(zip(column, spots, strict=True)):
            circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {stroke("frame", inside="paper")}/>'
            told = _pile(unit[:1], x, y - radius - 8) + _pile(unit[1:], x, y - (len(unit) - 2) * 7.5 + 4, 15)
            told += _bias(nodes[layer.bias], row, x, y + radius + 14) if layer.bias else ""
            drawn += f"<g {MIDDLE}>{circle}{told}</g>"
    end = nodes[scene.case.equations[-1].name]
    said = [f"{end.name} = {number(float(end.value))}"] if not end.value.ndim else []
    said += [f"sample {sample} of {samples}; a weight's gradient is that of all of them"] if samples > 1 else []
    head = text(MARGIN, 40, "value", "value") + text(MARGIN + 7 * CHAR, 40, f"gradient ∂{end.name}/∂…", "gradient")
    head += text(MARGIN + (25 + len(end.name)) * CHAR, 40, "line: |weight|, dashed if negative", "dim")
    head += text(MARGIN, 58, "; ".join(said), "dim")
    parts = dict.fromkeys(chain(*((one.source, one.weights, one.bias, one.inner, one.outer) for one in layers)))
    words = " ".join("; ".join(in_words(rows_of(nodes[name], scene.backprop))) + "." for name in parts if name)
    width = max(left + pitch * len(layers) + right, 560)
    return svg.picture(scene, "Network", width, HEAD + step * max(sides) + 14, words, head + drawn)


def _numbers(node: NodeResult, place: Sequence[int]) -> Iterator[Said]:
    """An entry of a node, and of its gradient where it has one."""
    for part, name, array in (("value", node.name, node.value), ("gradient", f"d{node.name}", node.gradient)):
        if array is not None:
            yield part, number(array[tuple(place)]), measured(entry(name, place), array[tuple(place)])


def _unit(layer: Layer, nodes: Nodes, row: int, sample: int) -> list[Said]:
    """What a unit says: its name first, which is cut where it is long, and then what stands in its circle.

    What has one row for all samples is read there.
    """
    outer, place = nodes[layer.outer], [row]
    if outer.value.ndim == 2:
        place.insert(1 + layer.axis, min(sample, outer.value.shape[-1 - layer.axis] - 1))
    said = [("ink", entry(svg.shortened(outer.name, CUT), place), BOLD)]
    said += _numbers(nodes[layer.inner], place) if layer.inner else []
    said += [("dim", layer.activation, 'font-size="11"')] if layer.activation else []
    return [*said, *_numbers(outer, place)]


def _pile(lines: Sequence[Said], x: float, y: float, step: float = 14) -> str:
    """Lines of text under one another."""
    return "".join(text(x, y + step * k, words, colour, more) for k, (colour, words, more) in enumerate(lines))


def _bias(bias: NodeResult, row: int, x: float, y: float) -> str:
    if not bias.value.ndim:
        return ""
    said = [*_numbers(bias, [*map(int, np.unravel_index(min(row, bias.value.size - 1), bias.value.shape))])]
    beside = x - max(34 - CHAR * len(bias.name) / 2, CHAR * len(said[0][1]) / 2 + 8)
    return text(beside, y, bias.name, "dim", END, cut=CUT) + _pile(said, x, y)


def _lines(layer: Layer, nodes: Nodes, sides: Sides, names: tuple[float, float], radius: float) -> str:
    """The lines between two layers, each with its weight and gradient where that covers least."""
    weights, drawn, labels, (starts, ends) = nodes[layer.weights], "", "", sides
    size, left, right = np.max(np.abs(weights.value), initial=0) or 1.0, starts[0][0] + radius, ends[0][0] - radius
    taken = [(x, y - radius - 12, wide) for wide, side in zip(names, sides, strict=True) for x, y in side]
    runs = [(y0, y1) for _, y0 in starts for _, y1 in ends]

    def crowding(t: float, own: int, wide: float) -> float:
        """How much a label in this place would cover: other labels above all, then other lines."""
        x, (y, *others) = left + t * (right - left), (a + t * (b - a) for a, b in (runs[own], *runs))
        covered = sum(abs(x - a) < (wide + b) / 2 + 6 and abs(y - c) < 32 for a, c, b in taken)
        return 100.0 * covered + sum(abs(other - y) < 18 for other in others)

    for at, (y0, y1) in enumerate(runs):
        place = divmod(at, len(ends))[:: 1 if (layer.axis == 0) == layer.transposed else -1]
        weight, lines = float(weights.value[place]), [*_numbers(weights, place)]
        width = 0.8 + 3.2 * abs(weight) / size if np.isfinite(weight / size) else 0.8
        named = zip((weights.name, f"d{weights.name}"), lines, strict=False)
        words = ", ".join(f"{entry(name, place)} = {value}" for name, (_, value, _) in named)
        look = stroke("value", width) + ' stroke-opacity="0.55"' + ' stroke-dasharray="6 4"' * (weight < 0)
        path = f"M{left:.1f} {y0:.1f}L{right:.1f} {y1:.1f}"
        drawn += f'<path d="{path}" {look}><title>{svg.escape(words)}</title></path>'
        if len(runs) <= LABELLED:
            wide = max(len(value) for _, value, _ in lines) * CHAR
            t = min(PLACES, key=lambda t: crowding(t, at, wide))
            x, y = left + t * (right - left), y0 + t * (y1 - y0)
            taken.append((x, y, wide))
            labels += svg.rect(x - wide / 2 - 2, y - 15, wide + 4, 30, 'fill-opacity="0.85"', fill("paper"))
            labels += _pile(lines, x, y - 3)
    return f"<g>{drawn}</g><g {MIDDLE}>{labels}</g>"
