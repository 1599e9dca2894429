"""A convolution that scans: the kernel's frame moves over the image, and the result fills up. CSS alone moves it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case
from mathlab.language.kernels import bordered
from mathlab.language.ops.images import of_setting
from mathlab.language.syntax import Call, Name, walk
from mathlab.pictures import Scene
from mathlab.pictures.graph import shape_of
from mathlab.pictures.svg import CHAR, MARGIN, MIDDLE, element, entry, measured, number, picture, stroke, text

LARGEST, MOST_PLACES, WRITTEN = 16, 100, 12  # rows or columns of the image; places; terms of a sum that are written out
CELL, GAP, TOP = 40.0, 44.0, 68.0  # a cell is as high as the first says, and at least as wide
SECONDS = 0.8  # at each place


def scan(scene: Scene) -> str:
    """The first convolution of one image and one kernel, as an SVG that moves by itself.

    Where motion is not wanted, it stands still and shows the whole result. Raises MathlabError where the equations hold
    no such convolution, or one that is too large to be drawn.
    """
    values = {node.name: node.value for node in scene.backprop.nodes}
    call, *names = _convolution(scene.case, values)
    x, k, out = arrays = [values[name] for name in names]
    pad, stride, dilation = (of_setting(call, *given) for given in (("pad", 0), ("stride", 1), ("dilation", 1)))
    image, places = bordered(x, pad), [*np.ndindex(out.shape)]
    if max(image.shape) > LARGEST or out.size > MOST_PLACES:
        most = f"more than {LARGEST} rows or columns, or {MOST_PLACES} places"
        has = f"has an image of {image.shape} and {out.size} places"
        raise MathlabError(f"the scan of case {scene.case.name!r} {has}, {most}")
    wide, left, drawn = max(CELL, *(CHAR * len(number(v)) + 8 for array in arrays for v in array.flat)), MARGIN, ""
    for name, shown, array, edge in zip(names, (image, k, out), arrays, (pad, (0, 0), (0, 0)), strict=True):
        drawn += text(left, TOP - 10, f"{name} {shape_of(array)}", "dim")
        drawn += _grid(left, wide, shown, name, edge, array is out)
        left += wide * shown.shape[1] + GAP
    width, height = max(left - GAP + MARGIN, MARGIN + CHAR * WRITTEN * 9), TOP + CELL * max(map(len, (image, k, out)))
    reach = [gap * (n - 1) + 1 for n, gap in zip(k.shape, dilation, strict=True)]
    stops, end = [(wide * column * stride[1], CELL * row * stride[0]) for row, column in places], height
    for at, place in enumerate(places):  # the last place's sum is that which a still one shows
        spans = [slice(s * i, s * i + n, gap) for i, s, n, gap in zip(place, stride, reach, dilation, strict=True)]
        total = f"{entry(names[2], place)} = {_sum(image[tuple(spans)], k)} = {number(out[place])}"
        lines = textwrap.wrap(total, int((width - 2 * MARGIN) / CHAR), break_on_hyphens=False)
        written = "".join(text(MARGIN, height + 30 + 18 * n, line, "ink") for n, line in enumerate(lines))
        drawn += element("g", written, opacity=int(at == len(places) - 1), **{"class": f"s{at}"})
        end = max(end, height + 36 + 18 * len(lines))
    (right, low), size = stops[-1], {"width": wide * reach[1], "height": CELL * reach[0]}
    frame = element("rect", x=MARGIN + right, y=TOP + low, **size, **stroke("gradient", 4))
    said = ", ".join(f"{name}={value}" for name, value in call.attrs) or "stride=1"
    words = f"{names[1]}, {shape_of(k)}, moves over {names[0]}, {shape_of(x)}, with {said}; {names[2]} is "
    words += "; ".join(", ".join(map(number, row)) for row in out)
    style = element("style", _moves(scene.scope, [(x - right, y - low) for x, y in stops]))
    body = style + drawn + element("g", frame, **{"class": "moving"})
    return picture(scene, "Convolution", width, end, words, body)


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
    share, steps = 100 / len(jumps), {"moving": ""}
    for at, (x, y) in enumerate(jumps):
        steps["moving"] += f"{at * share:.4g}%{{transform:translate({x:g}px,{y:g}px)}}"
        steps[f"c{at}"] = ("0%{opacity:0}" if at else "") + f"{at * share:.4g}%{{opacity:1}}"
        steps[f"s{at}"] = steps[f"c{at}"] + (f"{(at + 1) * share:.4g}%{{opacity:0}}" if at + 1 < len(jumps) else "")
    rules = f"@media (prefers-reduced-motion:reduce){{#{scope} *{{animation:none!important}}}}"
    for name, rule in steps.items():
        rules += f"@keyframes {scope}-{name}{{{rule}}}#{scope} .{name}"
        rules += f"{{animation:{scope}-{name} {SECONDS * len(jumps):g}s step-end infinite}}"
    return rules


def _grid(left: float, wide: float, table: Array, name: str, pad: Sequence[int], appears: bool) -> str:
    """A cell for each entry, with its number: what the padding adds is dim, and has no name."""
    drawn, inside = "", bordered(np.ones(np.subtract(table.shape, np.multiply(pad, 2))), (pad[0], pad[1]))
    for at, (place, value) in enumerate(np.ndenumerate(table)):
        x, y, colour = left + wide * place[1], TOP + CELL * place[0], "value" if appears else "ink"
        own = [i - p for i, p in zip(place, pad, strict=True)]
        about = measured(entry(name, own), value) if inside[place] else {}
        cell = text(x + wide / 2, y + 24, number(value), colour if about else "dim", MIDDLE, about)
        drawn += element("rect", x=x, y=y, width=wide, height=CELL, **stroke("frame", 1))
        drawn += element("g", cell, **{"class": f"c{at}" if appears else ""})
    return drawn


def _sum(met: Array, kernel: Array) -> str:
    """`2·1 + 0·0 + …`: the entries under the frame times the kernel's."""
    pairs = zip(met.flat, kernel.flat, strict=True)
    terms = ["·".join(f"({number(v)})" if v < 0 else number(v) for v in pair) for pair in pairs]
    return " + ".join(terms if len(terms) <= WRITTEN else [*terms[: WRITTEN - 2], "…", terms[-1]])
