"""SVG as text: elements, numbers to be read in a picture, and the colours, light and dark.

Colours are attributes, which every viewer and LaTeX chain understands; a style sheet, all of whose selectors begin with
the picture's own id, only changes them where the reader's screen is dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

import numpy as np

from mathlab.pictures import Scene

CHAR, SIZE = 7.3, 12  # of the monospaced text: a character's width, the font's size
MARGIN = 16.0
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
HALF_UP = Context(prec=800, rounding=ROUND_HALF_UP)
Attributes = Mapping[str, object]
BOLD, MIDDLE, END = {"font_weight": "bold"}, {"text_anchor": "middle"}, {"text_anchor": "end"}

# class: light, dark. Told apart by the colour-blind, and never by colour alone.
COLOURS: Mapping[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14171a"),
    "ink": ("#1a1a1a", "#f0f0f0"),
    "dim": ("#5a5f66", "#a8b0b8"),
    "frame": ("#6b7280", "#8b949e"),
    "value": ("#0060a0", "#6cb8f0"),
    "gradient": ("#b34700", "#ff9f5a"),
    "good": ("#00765a", "#3fc8a0"),
    "bad": ("#c00020", "#ff8095"),
}


def element(tag: str, *inside: str, **attributes: object) -> str:
    """An element with markup inside: `data_n` is data-n, a float has one digit, and what is empty is left out."""
    start = f"<{tag}"
    for name, value in attributes.items():
        said = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        start += f' {name.replace("_", "-")}="{escape(said)}"' if said else ""
    return f"{start}>{''.join(inside)}</{tag}>" if inside else f"{start}/>"


def fill(colour: str) -> Attributes:
    """The attributes that fill a shape or text with a colour."""
    return {"class": colour, "fill": COLOURS[colour][0]}


def stroke(colour: str, width: float = 1.2, inside: str = "") -> Attributes:
    """The attributes that draw a shape's outline in a colour, and fill it with another one."""
    filled = COLOURS[inside][0] if inside else "none"
    kind = f"{inside} {colour}-line".strip()
    return {"class": kind, "fill": filled, "stroke": COLOURS[colour][0], "stroke_width": width}


def picture(scene: Scene, kind: str, width: float, height: float, description: str, body: str) -> str:
    """A whole picture under the title of its scene, with words for those who do not see it."""
    scope, wide, high = scene.scope, math.ceil(width), math.ceil(height)
    words = element("title", escape(f"{kind}: {scene.title}"), id=f"{scope}-title")
    words += element("desc", escape(description), id=f"{scope}-desc")
    rules = (f"#{scope} .{c}{{fill:{dark}}}#{scope} .{c}-line{{stroke:{dark}}}" for c, (_, dark) in COLOURS.items())
    words += f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    paper = element("rect", width="100%", height="100%", **fill("paper"))
    head = text(MARGIN, 20, scene.title, "ink", BOLD, cut=int((width - 2 * MARGIN) / CHAR))
    size = {"xmlns": "http://www.w3.org/2000/svg", "width": wide, "height": high, "viewBox": f"0 0 {wide} {high}"}
    look = {"role": "img", "aria_labelledby": f"{scope}-title {scope}-desc", "font_family": FONT, "font_size": SIZE}
    return element("svg", words, paper, "\n", head, body, id=scope, **size, **look) + "\n"


def escape(words: str) -> str:
    """Text for XML and HTML; what is no printable character is spelt out."""
    return html.escape("".join(c if c.isprintable() else " " if c == "\n" else repr(c)[1:-1] for c in words))


def shortened(words: str, most: int) -> str:
    """The words, or as many characters of them with an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "…"


def text(x: float, y: float, words: str, colour: str, *more: Attributes, cut: int = 0) -> str:
    """A line of text; one that is cut to so many characters is whole in its title."""
    shown = shortened(words, cut or len(words))
    whole = element("title", escape(words)) if shown != words else ""
    about = {name: value for one in (fill(colour), *more) for name, value in one.items()}
    return element("text", whole, escape(shown), x=float(x), y=float(y), **about)


def entry(name: str, place: Sequence[int]) -> str:
    """`W[0,1]`; a number has no place."""
    return f"{name}[{','.join(map(str, place))}]" if place else name


def measured(name: str, value: float | np.generic) -> Attributes:
    """The attributes of a number's text: what it is, and all of its digits, as nodes.csv has them."""
    digits = str(int(value)) if isinstance(value, np.integer | np.bool_) else str(value) if value else "0.0"
    return {"data_n": name, "data_v": digits}


def number(value: float | np.generic) -> str:
    """A number at four digits, or at as many more as it takes not to look whole: 0.9999999 is not 1, nor 0.5000 0.5."""
    rough, digits = float(value), 4
    if not math.isfinite(rough):
        return {"nan": "NaN", "inf": "∞", "-inf": "-∞"}[str(rough)]
    with localcontext(HALF_UP):  # a tie away from zero, as JavaScript has it
        while True:
            shown, _, power = f"{Decimal(rough):.{digits - 1}e}".partition("e")
            tail = f"e{int(power)}"
            if plain := -4 <= int(power) < 7:
                shown, tail = f"{Decimal(rough):.{max(digits - 1 - int(power), 0)}f}", ""
            short = shown.rstrip("0").rstrip(".") if "." in shown else shown
            slack = 1e-12 * abs(rough) if abs(rough) >= 1 or "." in short else 0.0  # but for the last bits
            read = float(short + tail)
            if np.float32(read) == value if isinstance(value, np.float32) else abs(read - rough) <= slack:
                return "0" if short == "-0" else short + tail
            if "." in short or not plain:
                return shown + tail
            digits += 1
