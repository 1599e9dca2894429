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
BOLD, MIDDLE, END = 'font-weight="bold"', 'text-anchor="middle"', 'text-anchor="end"'
HALF_UP = Context(prec=800, rounding=ROUND_HALF_UP)

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


def fill(colour: str) -> str:
    """The attributes that fill a shape or text with a colour."""
    return f'class="{colour}" fill="{COLOURS[colour][0]}"'


def stroke(colour: str, width: float = 1.2, inside: str = "") -> str:
    """The attributes that draw a shape's outline in a colour, and fill it with another one."""
    kind, filled = f"{inside} {colour}-line".strip(), COLOURS[inside][0] if inside else "none"
    return f'class="{kind}" fill="{filled}" stroke="{COLOURS[colour][0]}" stroke-width="{width:g}"'


def picture(scene: Scene, kind: str, width: float, height: float, description: str, body: str) -> str:
    """A whole picture under the title of its scene, with words for those who do not see it."""
    scope, size = scene.scope, f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    words = f'<title id="{scope}-title">{escape(f"{kind}: {scene.title}")}</title>'
    words += f'<desc id="{scope}-desc">{escape(description)}</desc>'
    rules = (f"#{scope} .{c}{{fill:{dark}}}#{scope} .{c}-line{{stroke:{dark}}}" for c, (_, dark) in COLOURS.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{scope}" {size} role="img" '
        f'aria-labelledby="{scope}-title {scope}-desc" font-family="{FONT}" font-size="{SIZE}">'
        f"{words}<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
        f'<rect width="100%" height="100%" {fill("paper")}/>\n'
        f"{text(MARGIN, 20, scene.title, 'ink', BOLD, cut=int((width - 2 * MARGIN) / CHAR))}{body}</svg>\n"
    )


def escape(words: str) -> str:
    """Text for XML and HTML; what is no printable character is spelt out."""
    shown = "".join(c if c.isprintable() else " " if c == "\n" else repr(c)[1:-1] for c in words)
    return html.escape(shown, quote=False).replace('"', "&quot;")


def shortened(words: str, most: int) -> str:
    """The words, or as many characters of them with an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "…"


def text(x: float, y: float, words: str, colour: str, *attributes: str, cut: int = 0) -> str:
    """A line of text; one that is cut to so many characters is whole in its title."""
    shown = shortened(words, cut or len(words))
    whole = f"<title>{escape(words)}</title>" if shown != words else ""
    more = "".join(f" {attribute}" for attribute in attributes if attribute)
    return f'<text x="{x:.1f}" y="{y:.1f}" {fill(colour)}{more}>{whole}{escape(shown)}</text>'


def rect(x: float, y: float, width: float, height: float, *attributes: str) -> str:
    """A rectangle by its upper left corner."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {" ".join(attributes)}/>'


def entry(name: str, place: Sequence[int]) -> str:
    """`W[0,1]`; a number has no place."""
    return f"{name}[{','.join(map(str, place))}]" if place else name


def measured(name: str, value: float | np.generic) -> str:
    """The attributes of a number's text: what it is, and all of its digits, as nodes.csv has them."""
    digits = str(int(value)) if isinstance(value, np.integer | np.bool_) else str(value) if value else "0.0"
    return f'data-n="{escape(name)}" data-v="{digits}"'


def number(value: float | np.generic) -> str:
    """A number at four digits, or at as many more as it takes not to look whole: 0.9999999 is not 1, nor 0.5000 0.5."""
    rough, digits = float(value), 4
    if not math.isfinite(rough):
        return "NaN" if math.isnan(rough) else "∞" if rough > 0 else "-∞"
    with localcontext(HALF_UP):  # a tie away from zero, as JavaScript has it
        while True:
            shown, power = format(Decimal(rough), f".{digits - 1}e").split("e")
            exponent, power = int(power), f"e{int(power)}"
            if plain := -4 <= exponent < 7:
                shown, power = format(Decimal(rough), f".{max(digits - 1 - exponent, 0)}f"), ""
            short = shown.rstrip("0").rstrip(".") if "." in shown else shown
            slack = 1e-12 * abs(rough) if abs(rough) >= 1 or "." in short else 0.0  # but for the last bits
            single = isinstance(value, np.float32)
            if np.float32(short + power) == value if single else abs(float(short + power) - rough) <= slack:
                return "0" if short == "-0" else short + power
            if "." in short or not plain:
                return shown + power
            digits += 1
