"""Functions of each entry, and what chooses between entries."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mathlab.language.ops.record import AB, ANY, Op

ELEMENTWISE: Mapping[str, Op] = {
    "exp": Op("np.exp(x)", ("g * y",), latex="e^{{{x}}}"),
    "expm1": Op("np.expm1(x)", ("g * (y + 1)",), latex="e^{{{x}}} - 1", binds=1),
    "log": Op("np.log(x)", ("g / x",), samples=("log(p3)",), latex=r"\log\left({x}\right)"),
    "log1p": Op("np.log1p(x)", ("g / (1 + x)",), samples=("log1p(p3)",), latex=r"\log\left(1 + {x:2}\right)"),
    "sqrt": Op("np.sqrt(x)", ("g / (2 * y)",), samples=("sqrt(p3)",), latex=r"\sqrt{{{x}}}", binds=6),
    "sin": Op("np.sin(x)", ("g * cos(x)",), latex=r"\sin\left({x}\right)"),
    "cos": Op("np.cos(x)", ("-g * sin(x)",), latex=r"\cos\left({x}\right)"),
    "tan": Op("np.tan(x)", ("g * (1 + y**2)",), latex=r"\tan\left({x}\right)"),
    "log2": Op("np.log2(x)", (f"g / (x * {math.log(2)!r})",), samples=("log2(p3)",)),
    "log10": Op("np.log10(x)", (f"g / (x * {math.log(10)!r})",), samples=("log10(p3)",)),
    # of a residual: half its square up to delta, and from there on a straight line
    "huber": Op(
        "np.where(np.abs(x) <= delta, x * x / 2, delta * (np.abs(x) - delta / 2))",
        ("g * clip(x, -delta, delta)", "g * maximum(abs(x) - delta, 0)"),
        ("x", "delta"),
        defaults={"delta": 1.0},
        samples=("huber(x23)", "huber(x23, p3)", "huber(x23, 0.25)"),
    ),
    "abs": Op("np.abs(x)", ("g * sign(x)",), latex=r"\left|{x}\right|", exact=True),
    "sign": Op("np.sign(x)", (None,), exact=True),
    # flat wherever they do not jump, so without a derivative; of a tie, round takes the even neighbour
    **{
        name: Op(f"np.{name}(x)", (None,), latex=rf"{left}{{x}}{right}", binds=6, exact=True)
        for name, left, right in (
            ("floor", r"\left\lfloor ", r" \right\rfloor"),
            ("ceil", r"\left\lceil ", r" \right\rceil"),
            ("round", r"\operatorname{{round}}\left(", r"\right)"),
        )
    },
    "square": Op("np.square(x)", ("g * 2 * x",), latex="{x:5}^{{2}}"),
    "erf": Op("erf(x)", ("g * 1.1283791670955126 * exp(-x**2)",)),
    "normal_cdf": Op("normal_cdf(x)", ("g * normal_pdf(x)",), latex=r"\Phi\left({x}\right)"),
    "normal_pdf": Op("normal_pdf(x)", ("-g * x * y",), latex=r"\varphi\left({x}\right)"),
    # piecewise: at a tie the derivative is the one that the articles choose, b's; but max(0, x) is ReLU too, so that a
    # number that is written out takes the tie from either side
    "maximum": Op(
        "np.maximum(a, b)",
        ("g * (a > b)", lambda site: f"g * (a {'<' if site.is_number(0) else '<='} b)"),
        AB,
        samples=("maximum(a23, b3)", "maximum(0, x23)"),
        latex=r"\max\left({a}, {b}\right)",
        exact=True,
    ),
    "minimum": Op(
        "np.minimum(a, b)",
        ("g * (a < b)", lambda site: f"g * (a {'>' if site.is_number(0) else '>='} b)"),
        AB,
        samples=("minimum(a23, b3)", "minimum(0.5, x23)"),
        latex=r"\min\left({a}, {b}\right)",
        exact=True,
    ),
    "clip": Op(
        "np.clip(x, low, high)",
        # NumPy takes the upper bound last, so that it wins where it is below the lower one
        ("g * (x >= low) * (x <= high)", "g * (x < low) * (low <= high)", "g * (maximum(x, low) > high)"),
        ("x", "low", "high"),
        samples=("clip(x23, -0.5, 0.5)", "clip(x43, -p3 / 4, p3 / 4)"),
        exact=True,
    ),
    "where": Op(
        "np.where(c, a, b)",
        (None, "where(c, g, 0)", "where(c, 0, g)"),
        ("c", "a", "b"),
        takes=(ANY, "f", "f"),
        samples=("where(a23 > b3, a23 * b3, b3)",),
        exact=True,
    ),
}
