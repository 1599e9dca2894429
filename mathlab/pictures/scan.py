"""A convolution that scans: the kernel's frame moves over the image, and the result fills up. CSS alone moves it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case
from mathlab.language.kernels import bordered
from mathlab.language.syntax import Call, Name, walk
from mathlab.language.windows import of_setting
from mathlab.pictures import Scene
from mathlab.pictures.svg import CHAR, COLOURS, entry, measured, number, picture, stroke, text

LARGEST, MOST_PLACES, WRITTEN = 16, 100, 12  # rows or columns of the image; places; terms of a sum that are written out
CELL, GAP, TOP, LEFT = 40.0, 44.0, 74.0, 30.0  # a cell is as high as the first says, and at least as wide
SECONDS = 0.8  # at each place

Place = tuple[int, ...]


def scan(scene: Scene) -> str:
    """The first convolution of one image and one kernel, as an SVG that moves by itself.

    Where motion is not wanted, it stands still and shows the whole result. Raises MathlabError where the equations hold
    no such convolution, or one that is too large to be drawn.
    """
    values = {node.name: node.value for node in scene.backprop.nodes}
    call, *names = _convolution(scene.case, values)
    x, k, out = (values[name] for name in names)
    pad, stride, dilation = (of_setting(call, *given) for given in (("pad", 0), ("stride", 1), ("dilation", 1)))
    image, places = bordered(x, pad), [*np.ndindex(out.shape)]
    if max(image.shape) > LARGEST or out.size > MOST_PLACES:
        raise MathlabError(
            f"the scan of case {scene.case.name!r} has an image of {image.shape} and {out.size} places, more than "
            f"{LARGEST} rows or columns, or {MOST_PLACES} places"
        )
    wide = max(CELL, *(CHAR * len(number(value)) + 8 for array in (x, k, out) for value in array.flat))
    columns = [0, image.shape[1], image.shape[1] + k.shape[1]]
    lefts = [LEFT + wide * column + GAP * at for at, column in enumerate(columns)]
    reach = [gap * (n - 1) + 1 for n, gap in zip(k.shape, dilation, strict=True)]

    def padded(place: Place) -> tuple[str, str, str]:  # what the padding adds is dim, and has no name
        own = (place[0] - pad[0], place[1] - pad[1])
        inside = all(0 <= at < n for at, n in zip(own, x.shape, strict=True))
        return ("ink", entry(names[0], own), "") if inside else ("dim", "", "")

    def total(place: Place) -> str:
        ends = [slice(s * at, s * at + n, gap) for at, s, n, gap in zip(place, stride, reach, dilation, strict=True)]
        return f"{entry(names[2], place)} = {_sum(image[tuple(ends)], k)} = {number(out[place])}"

    tables = _table(lefts[0], wide, image, padded)
    tables += _table(lefts[2], wide, out, lambda at: ("value", entry(names[2], at), f"c{places.index(at)}"))
    tables += _table(lefts[1], wide, k, lambda at: ("ink", entry(names[1], at), ""))
    width = max(lefts[2] + wide * out.shape[1] + LEFT, LEFT + CHAR * WRITTEN * 9)
    height = TOP + CELL * max(image.shape[0], k.shape[0], out.shape[0])
    sums = [textwrap.wrap(total(at), int((width - 2 * LEFT) / CHAR), break_on_hyphens=False) for at in places]
    told = ""
    for at, lines in enumerate(sums):
        written = "".join(text(LEFT, height + 30 + 18 * n, line, "ink") for n, line in enumerate(lines))
        told += f'<g class="s{at}" opacity="{int(at == len(places) - 1)}">{written}</g>'
    heads = "".join(
        text(left, TOP - 10, f"{name} {values[name].shape[0]}×{values[name].shape[1]}", "dim")
        for left, name in zip(lefts, names, strict=True)
    )
    stops = [(wide * column * stride[1], CELL * row * stride[0]) for row, column in places]
    style = _moves(scene.scope, [(x - stops[-1][0], y - stops[-1][1]) for x, y in stops])
    corner = f'x="{LEFT + stops[-1][0]:g}" y="{TOP + stops[-1][1]:g}"'  # of the last place, whose sum a still one shows
    frame = (
        f'<rect class="moving gradient-line" {corner} width="{wide * reach[1]:g}" height="{CELL * reach[0]:g}" '
        f'fill="none" stroke="{COLOURS["gradient"][0]}" stroke-width="4"/>'
    )
    title = text(LEFT, 30, scene.title, "ink", cut=int((width - 2 * LEFT) / CHAR))
    said = ", ".join(f"{name}={value}" for name, value in call.attrs) or "stride=1"
    description = (
        f"{names[1]}, {k.shape[0]} by {k.shape[1]}, moves over {names[0]}, {x.shape[0]} by {x.shape[1]}, with {said}; "
        f"{names[2]} is {'; '.join(', '.join(map(number, row)) for row in out)}"
    )
    body = f"<style>{style}</style>{title}{heads}{tables}{frame}{told}"
    end = height + 36 + 18 * max(map(len, sums))
    return picture(scene.scope, width, end, scene.title, description, body)


def _convolution(case: Case, values: dict[str, Array]) -> tuple[Call, str, str, str]:
    """The first convolution of two matrices that have names: the call, the image, the kernel and the result."""
    for equation in case.equations:
        match equation.expr:
            case Call("conv2d", (Name(x), Name(k))) as call if values[x].ndim == values[k].ndim == 2:
                return call, x, k, equation.name
    inside = any(isinstance(part, Call) and part.op == "conv2d" for one in case.equations for part in walk(one.expr))
    why = "none stands alone, over one image and one kernel" if inside else "no equation is one"
    raise MathlabError(f"case {case.name!r} has no convolution to scan, as in y: conv2d(x, k); {why}")


def _moves(scope: str, jumps: Sequence[tuple[float, float]]) -> str:
    """The rules by which the frame jumps from place to place, and what belongs to a place appears."""
    share, rules = 100 / len(jumps), ""

    def animated(name: str, steps: str) -> str:
        moves = f"animation:{scope}-{name} {SECONDS * len(jumps):g}s step-end infinite"
        return f"@keyframes {scope}-{name}{{{steps}}}#{scope} .{name}{{{moves}}}"

    steps = (f"{at * share:.4g}%{{transform:translate({x:g}px,{y:g}px)}}" for at, (x, y) in enumerate(jumps))
    rules = animated("moving", "".join(steps))
    for at in range(len(jumps)):
        appears = f"{'0%{opacity:0}' if at else ''}{at * share:.4g}%{{opacity:1}}"
        over = f"{(at + 1) * share:.4g}%{{opacity:0}}" if at + 1 < len(jumps) else ""
        rules += animated(f"c{at}", appears) + animated(f"s{at}", appears + over)
    return f"{rules}@media (prefers-reduced-motion:reduce){{#{scope} *{{animation:none!important}}}}"


def _table(left: float, wide: float, table: Array, tell: Callable[[Place], tuple[str, str, str]]) -> str:
    """A cell for each entry, with its number; `tell` says the number's colour, its name, and the class that it has."""
    drawn = ""
    for place, value in np.ndenumerate(table):
        colour, name, kind = tell(place)
        x, y = left + wide * place[1], TOP + CELL * place[0]
        about = measured(name, value) if name else ""
        cell = text(x + wide / 2, y + CELL / 2 + 4, number(value), colour, 'text-anchor="middle"', about)
        drawn += f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{CELL:g}" {stroke("frame", 1)}/>'
        drawn += f'<g class="{kind}">{cell}</g>' if kind else cell
    return drawn


def _sum(met: Array, kernel: Array) -> str:
    """`2·1 + 0·0 + …`: the entries under the frame times the kernel's."""
    factors = (map(number, array.flat) for array in (met, kernel))
    pairs = zip(*([f"({one})" if one.startswith("-") else one for one in row] for row in factors), strict=True)
    terms = ["·".join(pair) for pair in pairs]
    return " + ".join(terms if len(terms) <= WRITTEN else [*terms[: WRITTEN - 2], "…", terms[-1]])
