"""The network as articles draw it: units as circles, weights as lines, values and gradients on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, Experiment
from mathlab.language.syntax import Call, Expr, Name, Num, names, walk
from mathlab.pictures.graph import title_of
from mathlab.pictures.svg import CHAR, COLOURS, escape, exact, fill, number, picture, stroke, text
from mathlab.results import CaseResult, NodeResult

MOST_UNITS = 12
LABELLED = 20  # lines between two layers; the weights of more of them are drawn, but not written
RADIUS, COLUMN, HEAD, LEFT = 48.0, 290.0, 74.0, 24.0
PLACES = (0.5, 0.3, 0.7, 0.4, 0.6, 0.22, 0.78)  # along a line, where its label may stand
NESTS = ("add", "matmul", "dot")
PARTS = ("value", "gradient")

Point = tuple[float, float]


@dataclass(frozen=True)
class Layer:
    """`source` (times `weights`, plus `bias`) goes in as `inner`, and comes out as `outer` after the `activation`.

    `inner` is empty where one equation does both. `left` says that the weights stand to the left: `W @ x`.
    """

    source: str
    weights: str
    transposed: bool
    left: bool
    bias: str
    inner: str
    outer: str
    activation: str


def chain(case: Case, nodes: Mapping[str, NodeResult]) -> list[Layer]:
    """The longest run of layers in the equations of a case, each of which reads what the one before it gives."""
    best: list[Layer] = []
    runs: dict[str, list[Layer]] = {}
    for equation in case.equations:
        layer = _layer(equation.name, equation.expr, case, nodes)
        if layer is None:
            continue
        run = [*runs.get(layer.source, []), layer]
        runs[layer.outer] = run
        best = run if len(run) > len(best) else best
    return best


def _layer(name: str, expr: Expr, case: Case, nodes: Mapping[str, NodeResult]) -> Layer | None:
    products = [part for part in walk(expr) if isinstance(part, Call) and part.op in ("matmul", "dot")]
    wrapped = isinstance(expr, Call) and expr.op not in NESTS and expr.args and len(names(expr.args[0])) > 1
    inside = expr.args[0] if wrapped and isinstance(expr, Call) else expr
    terms = [*inside.args] if isinstance(inside, Call) and inside.op == "add" else [inside]
    if len(products) != 1 or products[0] not in terms or len(terms) > 2:
        return None
    bias = next((term for term in terms if term is not products[0]), None)
    (source, flag_s), (weights, flag_w) = map(_matrix, products[0].args)
    left = source in case.parameters
    if left:
        source, flag_s, weights, flag_w = weights, flag_w, source, flag_s
    if weights not in case.parameters or source in case.parameters or source not in nodes or flag_s:
        return None
    fits = nodes[weights].value.ndim == 2 and nodes[source].value.ndim in (1, 2)
    if not fits or not (bias is None or (isinstance(bias, Name) and bias.id in case.parameters)):
        return None
    given = bias.id if isinstance(bias, Name) else ""
    if wrapped and isinstance(expr, Call):
        return Layer(source, weights, flag_w, left, given, "", name, expr.op)
    after = next((e for e in case.equations if _is_activation(e.expr, name)), None)
    op = after.expr.op if after and isinstance(after.expr, Call) else ""
    return Layer(source, weights, flag_w, left, given, name if after else "", after.name if after else name, op)


def _is_activation(expr: Expr, name: str) -> bool:
    """Whether the expression is a function of one name and of numbers, as `relu(z)` and `maximum(z, 0)` are."""
    named = isinstance(expr, Call) and expr.op not in ("sum", "mean", "index", "T", "reshape", "matmul")
    return (
        named
        and isinstance(expr, Call)
        and Name(name) in expr.args
        and all(isinstance(arg, Num) or arg == Name(name) for arg in expr.args)
    )


def _matrix(expr: Expr) -> tuple[str, bool]:
    """The name of a factor, and whether it is transposed; no name for anything else."""
    match expr:
        case Name(name):
            return name, False
        case Call("T", (Name(name),)):
            return name, True
    return "", False


def network(experiment: Experiment, case: CaseResult, scope: str, sample: int = 0) -> str:
    """The network of a case as SVG, with the numbers of one sample of a batch.

    Raises MathlabError where the equations hold no network, or one that is too large to be drawn.
    """
    assert case.backprop
    declared = next(one for one in experiment.cases if one.name == case.case)
    nodes = {node.name: node for node in case.backprop.nodes}
    layers = chain(declared, nodes)
    if not layers:
        raise MathlabError(
            f"case {case.case!r} has no network to draw: no equation is a parameter times an input or a layer, "
            "as in z: W @ x + b"
        )
    columns = [layers[0].source, *(layer.outer for layer in layers)]
    sides = [nodes[name].value.shape[_axis(at, layers)] for at, name in enumerate(columns)]
    if max(sides) > MOST_UNITS:
        raise MathlabError(
            f"the network of case {case.case!r} has a layer of {max(sides)} units, more than {MOST_UNITS}"
        )
    samples = max(_samples(nodes[name].value, _axis(at, layers)) for at, name in enumerate(columns))
    if not 0 <= sample < samples:
        raise MathlabError(
            f"there is no sample {sample} in case {case.case!r}: they are counted from 0 to {samples - 1}"
        )
    step = 2 * RADIUS + (66 if any(layer.bias for layer in layers) else 48)
    height = HEAD + step * max(sides) + 20
    tops = [HEAD + step * (max(sides) / 2 - (side - 1) / 2) + 6 for side in sides]
    across = [LEFT + RADIUS + COLUMN * at for at in range(len(sides))]
    places = [[(x, top + step * row) for row in range(side)] for x, top, side in zip(across, tops, sides, strict=True)]
    lines = "".join(_lines(layer, nodes, places[at], places[at + 1]) for at, layer in enumerate(layers))
    units = "".join(
        _unit(nodes, layers, at, row, sample, *place)
        for at, column in enumerate(places)
        for row, place in enumerate(column)
    )
    width = 2 * (LEFT + RADIUS) + COLUMN * len(layers)
    title = title_of(experiment, case)
    end = nodes[declared.equations[-1].name]
    said = [f"sample {sample} of {samples}; a weight's gradient is that of all of them"] if samples > 1 else []
    loss = [f"{end.name} = {number(float(end.value))}"] if not end.value.ndim else []
    legend = text(LEFT, 40, "value", fill("value"))
    legend += text(LEFT + 7 * CHAR, 40, f"gradient ∂{end.name}/∂…", fill("gradient"))
    legend += text(LEFT + (25 + len(end.name)) * CHAR, 40, "line: |weight|, dashed if negative", fill("dim"))
    legend += text(LEFT, 58, "; ".join(loss + said), fill("dim"))
    head = text(LEFT, 20, title, fill("ink"), 'font-weight="bold"', cut=int((width - 2 * LEFT) / CHAR))
    words = " ".join(_spoken(layer, nodes) for layer in layers)
    return picture(scope, max(width, 560), height, f"Network: {title}", words, head + legend + lines + units)


def _axis(at: int, layers: Sequence[Layer]) -> int:
    """The axis of a column's values that counts the units."""
    return 0 if layers[max(at - 1, 0)].left else -1


def _samples(array: Array, axis: int) -> int:
    return array.shape[-1 - axis] if array.ndim == 2 else 1


def _place(array: Array, axis: int, row: int, sample: int) -> tuple[int, ...]:
    """The index of a unit in the values of its layer; what has one row for all samples is read there."""
    if array.ndim < 2:
        return (row,)
    own = min(sample, _samples(array, axis) - 1)
    return (row, own) if axis == 0 else (own, row)


def _entry(node: NodeResult, part: str, place: tuple[int, ...], x: float, y: float) -> str:
    """One number of a node, of its "value" or its "gradient"; nothing where there is none."""
    array = node.value if part == "value" else node.gradient
    if array is None:
        return ""
    label = f"{node.name if part == 'value' else f'd{node.name}'}[{','.join(map(str, place))}]"
    return text(x, y, number(array[place]), fill(part), f'data-n="{escape(label)}" data-v="{exact(array[place])}"')


def _unit(
    nodes: Mapping[str, NodeResult], layers: Sequence[Layer], at: int, row: int, sample: int, x: float, y: float
) -> str:
    layer = layers[at - 1] if at else None
    outer, axis = nodes[layer.outer if layer else layers[0].source], _axis(at, layers)
    inner = [nodes[layer.inner]] if layer and layer.inner else []
    lines: list[tuple[NodeResult | None, str]] = [(node, part) for node in inner for part in PARTS]
    lines += [(None, layer.activation)] if layer and layer.activation else []
    lines += [(outer, part) for part in PARTS]
    lines = [(node, part) for node, part in lines if not (node and part == "gradient" and node.gradient is None)]
    top = y - (len(lines) - 1) * 7.5 + 4
    body = "".join(
        _entry(node, part, _place(node.value, axis, row, sample), x, top + 15 * line)
        if node
        else text(x, top + 15 * line, part, fill("dim"), 'font-size="11"')
        for line, (node, part) in enumerate(lines)
    )
    name = f"{outer.name}[{','.join(map(str, _place(outer.value, axis, row, sample)))}]"
    label = text(x, y - RADIUS - 8, name, fill("ink"), 'font-weight="bold"')
    below = ""
    if layer and layer.bias and nodes[layer.bias].value.ndim:
        bias = nodes[layer.bias]
        place = tuple(map(int, np.unravel_index(min(row, bias.value.size - 1), bias.value.shape)))
        below = text(x - 34, y + RADIUS + 14, bias.name, fill("dim"))
        below += "".join(_entry(bias, part, place, x, y + RADIUS + 14 * k) for k, part in enumerate(PARTS, start=1))
    paper, frame = COLOURS["paper"][0], COLOURS["frame"][0]
    circle = f'class="paper frame-line" fill="{paper}" stroke="{frame}" stroke-width="1.2"'
    return (
        f'<g text-anchor="middle"><circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS:g}" {circle}/>{label}{body}{below}</g>'
    )


def _lines(layer: Layer, nodes: Mapping[str, NodeResult], starts: Sequence[Point], ends: Sequence[Point]) -> str:
    weights = nodes[layer.weights]
    turned = layer.left != layer.transposed
    size = float(np.max(np.abs(weights.value), initial=0.0)) or 1.0
    drawn, labels, taken = list[str](), list[str](), list[tuple[float, float, float]]()
    runs = [((x0 + RADIUS, y0), (x1 - RADIUS, y1)) for x0, y0 in starts for x1, y1 in ends]
    for at, ((x0, y0), (x1, y1)) in enumerate(runs):
        i, j = divmod(at, len(ends))
        place = (j, i) if turned else (i, j)
        weight, index = weights.value[place], f"[{','.join(map(str, place))}]"
        written = [number(weight)] + ([] if weights.gradient is None else [number(weights.gradient[place])])
        dashed = 'stroke-dasharray="6 4"' if weight < 0 else ""
        width = 0.8 + 3.2 * abs(float(weight)) / size if np.isfinite(weight) else 0.8
        named = zip((weights.name, f"d{weights.name}"), written, strict=False)
        words = ", ".join(f"{name}{index} = {value}" for name, value in named)
        drawn.append(
            f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" {stroke("value", width)} stroke-opacity="0.55" {dashed}>'
            f"<title>{escape(words)}</title></path>"
        )
        if len(runs) <= LABELLED:
            wide = max(map(len, written)) * CHAR
            middles = ((x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in PLACES)
            x, y = min(middles, key=lambda middle: _crowding(middle, wide, taken, runs, at))
            taken.append((x, y, wide))
            corner = f'x="{x - wide / 2 - 2:.1f}" y="{y - 15:.1f}" width="{wide + 4:.1f}" height="30"'
            labels.append(f'<rect {corner} fill-opacity="0.85" {fill("paper")}/>')
            labels += [_entry(weights, part, place, x, y - 3 + 14 * k) for k, part in enumerate(PARTS)]
    return f'<g>{"".join(drawn)}</g><g text-anchor="middle">{"".join(labels)}</g>'


def _crowding(
    middle: Point,
    wide: float,
    taken: Sequence[tuple[float, float, float]],
    runs: Sequence[tuple[Point, Point]],
    own: int,
) -> float:
    """How much a label in this place would cover: other labels above all, then other lines."""
    x, y = middle
    labels = sum(abs(x - a) < (wide + b) / 2 + 6 and abs(y - c) < 32 for a, c, b in taken)
    crossed = 0
    for at, ((x0, y0), (x1, y1)) in enumerate(runs):
        level = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        crossed += at != own and abs(level - y) < 18
    return 100.0 * labels + crossed


def _spoken(layer: Layer, nodes: Mapping[str, NodeResult]) -> str:
    outer, weights = nodes[layer.outer], nodes[layer.weights]
    through = f" through {layer.activation}" if layer.activation else ""
    said = (
        f"{layer.source} goes by {layer.weights}{f' and {layer.bias}' if layer.bias else ''}{through} to {outer.name}"
    )
    parts = [("is", outer.value), (f"has the gradient d{outer.name} =", outer.gradient)]
    parts += [(f"comes by {weights.name} =", weights.value), (f"whose gradient is d{weights.name} =", weights.gradient)]
    numbers = (f"{verb} {', '.join(map(number, array.flat))}" for verb, array in parts if array is not None)
    return f"{said}, which {', '.join(numbers)}."
