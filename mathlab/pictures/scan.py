"""A convolution that scans: the kernel's frame moves over the image, and the result fills up. CSS alone moves it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, Experiment
from mathlab.language.equation import Equation
from mathlab.language.kernels import bordered
from mathlab.language.syntax import Call, Name, walk
from mathlab.language.windows import Pair, of_setting
from mathlab.pictures.graph import title_of
from mathlab.pictures.svg import COLOURS, escape, exact, fill, number, picture, stroke, text
from mathlab.results import CaseResult

LARGEST, MOST_PLACES, WRITTEN = 16, 100, 12  # rows or columns of the image; places; terms of a sum that are written out
CELL, GAP, TOP = 40.0, 44.0, 74.0
SECONDS = 0.8  # at each place


def scan(experiment: Experiment, case: CaseResult, scope: str) -> str:
    """The first convolution of one image and one kernel, as an SVG that moves by itself.

    Where motion is not wanted, it stands still and shows the whole result. Raises MathlabError where the equations hold
    no such convolution, or one that is too large to be drawn.
    """
    assert case.backprop
    declared = next(one for one in experiment.cases if one.name == case.case)
    values = {node.name: node.value for node in case.backprop.nodes}
    equation, call = _convolution(declared, values)
    x, k = (values[arg.id] for arg in call.args if isinstance(arg, Name))
    names = [arg.id for arg in call.args if isinstance(arg, Name)]
    out, pad = values[equation.name], of_setting(call, "pad", 0)
    image = bordered(x, pad)
    if max(image.shape) > LARGEST or out.size > MOST_PLACES:
        raise MathlabError(
            f"the scan of case {case.case!r} has an image of {image.shape} and {out.size} places, more than {LARGEST} "
            f"rows or columns, or {MOST_PLACES} places"
        )
    lefts = [30.0, 30 + CELL * image.shape[1] + GAP, 30 + CELL * (image.shape[1] + k.shape[1]) + 2 * GAP]
    height = TOP + CELL * max(image.shape[0], k.shape[0], out.shape[0])
    places, stride = [*np.ndindex(out.shape)], of_setting(call, "stride", 1)
    reach = [gap * (n - 1) + 1 for n, gap in zip(k.shape, of_setting(call, "dilation", 1), strict=True)]
    frame = (
        f'<rect class="moving gradient-line" x="{lefts[0]:g}" y="{TOP:g}" width="{CELL * reach[1]:g}" '
        f'height="{CELL * reach[0]:g}" fill="none" stroke="{COLOURS["gradient"][0]}" stroke-width="4"/>'
    )
    cells = "".join(
        f'<g class="c{at}">{_cell(lefts[2], place, out[place], "value", _entry(equation.name, place))}</g>'
        for at, place in enumerate(places)
    )
    sums = "".join(
        text(30, height + 30, _sum(equation.name, place, image, k, out, call), f'class="s{at} ink"',
             f'fill="{COLOURS["ink"][0]}"', f'opacity="{int(place == places[-1])}"')
        for at, place in enumerate(places)
    )  # fmt: skip
    heads = "".join(
        text(left, TOP - 10, f"{name} {shape[0]}×{shape[1]}", fill("dim"))
        for left, name, shape in zip(lefts, (*names, equation.name), (x.shape, k.shape, out.shape), strict=True)
    )
    title = title_of(experiment, case)
    body = (
        f"<style>{_moves(scope, places, stride)}</style>{text(30, 30, title, fill('ink'), cut=70)}{heads}"
        f"{_grid(lefts[0], names[0], image, pad)}{_grid(lefts[1], names[1], k)}{_empty(lefts[2], out)}"
        f"{cells}{frame}{sums}"
    )
    said = ", ".join(f"{name}={value}" for name, value in call.attrs) or "stride=1"
    description = (
        f"{names[1]}, {k.shape[0]} by {k.shape[1]}, moves over {names[0]}, {x.shape[0]} by {x.shape[1]}, with {said}; "
        f"{equation.name} is {[[number(v) for v in row] for row in out]}"
    )
    width = max(lefts[2] + CELL * out.shape[1] + 30, 30 + 7.3 * (WRITTEN * 9))
    return picture(scope, width, height + 54, title, description.replace("'", ""), body)


def _convolution(case: Case, values: dict[str, Array]) -> tuple[Equation, Call]:
    """The first equation that is a convolution of two matrices that have names."""
    for equation in case.equations:
        match equation.expr:
            case Call("conv2d", (Name(x), Name(k))) as call if values[x].ndim == values[k].ndim == 2:
                return equation, call
    inside = any(isinstance(part, Call) and part.op == "conv2d" for one in case.equations for part in walk(one.expr))
    why = "none stands alone, over one image and one kernel" if inside else "no equation is one"
    raise MathlabError(f"case {case.name!r} has no convolution to scan, as in y: conv2d(x, k); {why}")


def _moves(scope: str, places: list[tuple[int, ...]], stride: Pair) -> str:
    """The rules by which the frame jumps from place to place, and what belongs to a place appears."""
    share = 100 / len(places)
    steps = "".join(
        f"{at * share:.4g}%{{transform:translate({CELL * column * stride[1]:g}px,{CELL * row * stride[0]:g}px)}}"
        for at, (row, column) in enumerate(places)
    )
    rules = [f"@keyframes {scope}-moving{{{steps}}}", _animation(scope, "moving", len(places))]
    for at in range(len(places)):
        hidden = "0%{opacity:0}" if at else ""
        shown = f"{at * share:.4g}%{{opacity:1}}"
        over = f"{(at + 1) * share:.4g}%{{opacity:0}}" if at + 1 < len(places) else ""
        rules += [f"@keyframes {scope}-c{at}{{{hidden}{shown}}}", _animation(scope, f"c{at}", len(places))]
        rules += [f"@keyframes {scope}-s{at}{{{hidden}{shown}{over}}}", _animation(scope, f"s{at}", len(places))]
    return "".join(rules) + f"@media (prefers-reduced-motion:reduce){{#{scope} *{{animation:none!important}}}}"


def _animation(scope: str, name: str, count: int) -> str:
    return f"#{scope} .{name}{{animation:{scope}-{name} {SECONDS * count:g}s step-end infinite}}"


def _grid(left: float, name: str, table: Array, pad: Pair = (0, 0)) -> str:
    """A table of numbers; what the padding adds to it is dim, and has no name."""
    cells = []
    for (row, column), value in np.ndenumerate(table):
        own = (row - pad[0], column - pad[1])
        inside = 0 <= own[0] < table.shape[0] - 2 * pad[0] and 0 <= own[1] < table.shape[1] - 2 * pad[1]
        said = _entry(name, own) if inside else ""
        cells.append(_square(left, (row, column)) + _cell(left, (row, column), value, "ink" if inside else "dim", said))
    return "".join(cells)


def _empty(left: float, table: Array) -> str:
    return "".join(_square(left, place) for place in np.ndindex(table.shape))


def _square(left: float, place: tuple[int, ...]) -> str:
    x, y = left + CELL * place[1], TOP + CELL * place[0]
    return f'<rect x="{x:g}" y="{y:g}" width="{CELL:g}" height="{CELL:g}" {stroke("frame", 1)}/>'


def _cell(left: float, place: tuple[int, ...], value: np.generic, colour: str, name: str) -> str:
    x, y = left + CELL * (place[1] + 0.5), TOP + CELL * (place[0] + 0.5) + 4
    about = [f'data-n="{escape(name)}"', f'data-v="{escape(exact(value))}"'] if name else []
    return text(x, y, number(value), fill(colour), 'text-anchor="middle"', *about)


def _entry(name: str, place: tuple[int, ...]) -> str:
    return f"{name}[{place[0]},{place[1]}]"


def _sum(name: str, place: tuple[int, ...], image: Array, k: Array, out: Array, call: Call) -> str:
    """`out[0,1] = 2·1 + 0·0 + … = 1`: the entries under the frame times the kernel's."""
    terms = [*_terms(place, image, k, call)]
    shown = terms if len(terms) <= WRITTEN else [*terms[: WRITTEN - 2], "…", terms[-1]]
    return f"{_entry(name, place)} = {' + '.join(shown)} = {number(out[place])}"


def _terms(place: tuple[int, ...], image: Array, k: Array, call: Call) -> Iterator[str]:
    stride, dilation = of_setting(call, "stride", 1), of_setting(call, "dilation", 1)
    for row, column in np.ndindex(k.shape):
        met = float(image[place[0] * stride[0] + row * dilation[0], place[1] * stride[1] + column * dilation[1]])
        weight = number(float(k[row, column]))
        yield f"{number(met)}·{f'({weight})' if weight.startswith('-') else weight}"
