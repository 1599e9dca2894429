"""A convolution that scans: the kernel's frame moves over the image, and the result fills up. CSS alone moves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case
from mathlab.language.kernels import bordered
from mathlab.language.syntax import Call, Name, walk
from mathlab.language.windows import Pair, of_setting
from mathlab.pictures import Scene
from mathlab.pictures.svg import CHAR, COLOURS, entry, measured, number, picture, stroke, text

LARGEST, MOST_PLACES, WRITTEN = 16, 100, 12  # rows or columns of the image; places; terms of a sum that are written out
CELL, GAP, TOP, LEFT = 40.0, 44.0, 74.0, 30.0
SECONDS = 0.8  # at each place

Place = tuple[int, ...]


def scan(scene: Scene) -> str:
    """The first convolution of one image and one kernel, as an SVG that moves by itself.

    Where motion is not wanted, it stands still and shows the whole result. Raises MathlabError where the equations hold
    no such convolution, or one that is too large to be drawn.
    """
    values = {node.name: node.value for node in scene.backprop.nodes}
    call, *names = _convolution(scene.case, values)
    (x, k, out), (pad, stride, dilation) = (values[name] for name in names), _settings(call)
    image, places = bordered(x, pad), [*np.ndindex(out.shape)]
    if max(image.shape) > LARGEST or out.size > MOST_PLACES:
        raise MathlabError(
            f"the scan of case {scene.case.name!r} has an image of {image.shape} and {out.size} places, more than "
            f"{LARGEST} rows or columns, or {MOST_PLACES} places"
        )
    columns = [0, image.shape[1], image.shape[1] + k.shape[1]]
    lefts = [LEFT + CELL * column + GAP * at for at, column in enumerate(columns)]
    height = TOP + CELL * max(image.shape[0], k.shape[0], out.shape[0])
    reach = [gap * (n - 1) + 1 for n, gap in zip(k.shape, dilation, strict=True)]

    def padded(place: Place) -> str:  # what the padding adds is dim, and has no name
        own = (place[0] - pad[0], place[1] - pad[1])
        inside = all(0 <= at < n for at, n in zip(own, x.shape, strict=True))
        return _cell(lefts[0], place, image[place], *(("ink", entry(names[0], own)) if inside else ("dim", "")))

    def filled(place: Place) -> str:
        cell = _cell(lefts[2], place, out[place], "value", entry(names[2], place))
        return f'<g class="c{places.index(place)}">{cell}</g>'

    def total(place: Place) -> str:
        ends = [slice(s * at, s * at + n, gap) for at, s, n, gap in zip(place, stride, reach, dilation, strict=True)]
        return f"{entry(names[2], place)} = {_sum(image[tuple(ends)], k)} = {number(out[place])}"

    tables = _grid(lefts[0], image, padded) + _grid(lefts[2], out, filled)
    tables += _grid(lefts[1], k, lambda place: _cell(lefts[1], place, k[place], "ink", entry(names[1], place)))
    frame = (
        f'<rect class="moving gradient-line" x="{LEFT:g}" y="{TOP:g}" width="{CELL * reach[1]:g}" '
        f'height="{CELL * reach[0]:g}" fill="none" stroke="{COLOURS["gradient"][0]}" stroke-width="4"/>'
    )
    sums = "".join(
        f'<g class="s{at}" opacity="{int(at == len(places) - 1)}">{text(LEFT, height + 30, total(place), "ink")}</g>'
        for at, place in enumerate(places)
    )
    heads = "".join(
        text(left, TOP - 10, f"{name} {values[name].shape[0]}×{values[name].shape[1]}", "dim")
        for left, name in zip(lefts, names, strict=True)
    )
    title = text(LEFT, 30, scene.title, "ink", cut=70)
    body = f"<style>{_moves(scene.scope, places, stride)}</style>{title}{heads}{tables}{frame}{sums}"
    said = ", ".join(f"{name}={value}" for name, value in call.attrs) or "stride=1"
    description = (
        f"{names[1]}, {k.shape[0]} by {k.shape[1]}, moves over {names[0]}, {x.shape[0]} by {x.shape[1]}, with {said}; "
        f"{names[2]} is {'; '.join(', '.join(map(number, row)) for row in out)}"
    )
    width = max(lefts[2] + CELL * out.shape[1] + LEFT, LEFT + CHAR * WRITTEN * 9)
    return picture(scene.scope, width, height + 54, scene.title, description, body)


def _convolution(case: Case, values: dict[str, Array]) -> tuple[Call, str, str, str]:
    """The first convolution of two matrices that have names: the call, the image, the kernel and the result."""
    for equation in case.equations:
        match equation.expr:
            case Call("conv2d", (Name(x), Name(k))) as call if values[x].ndim == values[k].ndim == 2:
                return call, x, k, equation.name
    inside = any(isinstance(part, Call) and part.op == "conv2d" for one in case.equations for part in walk(one.expr))
    why = "none stands alone, over one image and one kernel" if inside else "no equation is one"
    raise MathlabError(f"case {case.name!r} has no convolution to scan, as in y: conv2d(x, k); {why}")


def _settings(call: Call) -> tuple[Pair, Pair, Pair]:
    return of_setting(call, "pad", 0), of_setting(call, "stride", 1), of_setting(call, "dilation", 1)


def _moves(scope: str, places: Sequence[Place], stride: Pair) -> str:
    """The rules by which the frame jumps from place to place, and what belongs to a place appears."""
    share, rules = 100 / len(places), ""

    def animated(name: str, steps: str) -> str:
        seconds = f"{SECONDS * len(places):g}s"
        moves = f"animation:{scope}-{name} {seconds} step-end infinite"
        return f"@keyframes {scope}-{name}{{{steps}}}#{scope} .{name}{{{moves}}}"

    jumps = (f"translate({CELL * column * stride[1]:g}px,{CELL * row * stride[0]:g}px)" for row, column in places)
    rules = animated("moving", "".join(f"{at * share:.4g}%{{transform:{jump}}}" for at, jump in enumerate(jumps)))
    for at in range(len(places)):
        appears = f"{'0%{opacity:0}' if at else ''}{at * share:.4g}%{{opacity:1}}"
        over = f"{(at + 1) * share:.4g}%{{opacity:0}}" if at + 1 < len(places) else ""
        rules += animated(f"c{at}", appears) + animated(f"s{at}", appears + over)
    return f"{rules}@media (prefers-reduced-motion:reduce){{#{scope} *{{animation:none!important}}}}"


def _grid(left: float, table: Array, cell: Callable[[Place], str]) -> str:
    """A square for each entry, with what `cell` writes in it."""
    size = f'width="{CELL:g}" height="{CELL:g}" {stroke("frame", 1)}'
    squares = ((f'x="{left + CELL * j:g}" y="{TOP + CELL * i:g}"', (i, j)) for i, j in np.ndindex(table.shape))
    return "".join(f"<rect {corner} {size}/>{cell(place)}" for corner, place in squares)


def _cell(left: float, place: Place, value: np.generic, colour: str, name: str) -> str:
    x, y = left + CELL * (place[1] + 0.5), TOP + CELL * (place[0] + 0.5) + 4
    about = measured(name, value) if name else ""
    return text(x, y, number(value), colour, 'text-anchor="middle"', about)


def _sum(met: Array, kernel: Array) -> str:
    """`2·1 + 0·0 + …`: the entries under the frame times the kernel's."""
    weights = (f"({weight})" if weight.startswith("-") else weight for weight in map(number, kernel.flat))
    terms = [f"{number(entry)}·{weight}" for entry, weight in zip(met.flat, weights, strict=True)]
    return " + ".join(terms if len(terms) <= WRITTEN else [*terms[: WRITTEN - 2], "…", terms[-1]])
