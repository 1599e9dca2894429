"""Functions of each entry, and what chooses between entries."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mathlab.language.ops.record import AB, ANY, PAIR, X23, Op


def _steps(name: str, latex: str) -> Op:
    """A function that is flat wherever it does not jump, so without a derivative."""
    return Op(f"np.{name}(x)", (None,), latex=latex, binds=6, exact=True)


ELEMENTWISE: Mapping[str, Op] = {
    "exp": Op("np.exp(x)", ("g * y",), latex="e^{{{x}}}"),
    "expm1": Op("np.expm1(x)", ("g * (y + 1)",), latex="e^{{{x}}} - 1", binds=1),
    "log": Op("np.log(x)", ("g / x",), latex=r"\log\left({x}\right)", samples={"log(p)": {"p": (3,)}}),
    "log1p": Op(
        "np.log1p(x)", ("g / (1 + x)",), latex=r"\log\left(1 + {x:2}\right)", samples={"log1p(p)": {"p": (3,)}}
    ),
    "sqrt": Op("np.sqrt(x)", ("g / (2 * y)",), latex=r"\sqrt{{{x}}}", binds=6, samples={"sqrt(p)": {"p": (3,)}}),
    "sin": Op("np.sin(x)", ("g * cos(x)",), latex=r"\sin\left({x}\right)"),
    "cos": Op("np.cos(x)", ("-g * sin(x)",), latex=r"\cos\left({x}\right)"),
    "tan": Op("np.tan(x)", ("g * (1 + y**2)",), latex=r"\tan\left({x}\right)"),
    "log2": Op("np.log2(x)", (f"g / (x * {math.log(2)!r})",), samples={"log2(p)": {"p": (3,)}}),
    "log10": Op("np.log10(x)", (f"g / (x * {math.log(10)!r})",), samples={"log10(p)": {"p": (3,)}}),
    # of a residual: half its square up to delta, and from there on a straight line
    "huber": Op(
        "np.where(np.abs(x) <= delta, x * x / 2, delta * (np.abs(x) - delta / 2))",
        ("g * clip(x, -delta, delta)", "g * maximum(abs(x) - delta, 0)"),
        ("x", "delta"),
        defaults={"delta": 1.0},
        samples={"huber(x)": X23, "huber(x, p)": {"x": (2, 3), "p": (3,)}, "huber(x, 0.25)": X23},
    ),
    "abs": Op("np.abs(x)", ("g * sign(x)",), latex=r"\left|{x}\right|", exact=True),
    "sign": Op("np.sign(x)", (None,), exact=True),
    "floor": _steps("floor", r"\left\lfloor {x} \right\rfloor"),
    "ceil": _steps("ceil", r"\left\lceil {x} \right\rceil"),
    "round": _steps("round", r"\operatorname{{round}}\left({x}\right)"),  # a tie goes to the even neighbour
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
        latex=r"\max\left({a}, {b}\right)",
        exact=True,
        samples={"maximum(a, b)": PAIR, "maximum(0, x)": X23},
    ),
    "minimum": Op(
        "np.minimum(a, b)",
        ("g * (a < b)", lambda site: f"g * (a {'>' if site.is_number(0) else '>='} b)"),
        AB,
        latex=r"\min\left({a}, {b}\right)",
        exact=True,
        samples={"minimum(a, b)": PAIR, "minimum(0.5, x)": X23},
    ),
    "clip": Op(
        "np.clip(x, low, high)",
        # NumPy takes the upper bound last, so that it wins where it is below the lower one
        ("g * (x >= low) * (x <= high)", "g * (x < low) * (low <= high)", "g * (maximum(x, low) > high)"),
        ("x", "low", "high"),
        exact=True,
        samples={"clip(x, -0.5, 0.5)": X23, "clip(x, -p / 4, p / 4)": {"x": (4, 3), "p": (3,)}},
    ),
    "where": Op(
        "np.where(c, a, b)",
        (None, "where(c, g, 0)", "where(c, 0, g)"),
        ("c", "a", "b"),
        takes=(ANY, "f", "f"),
        exact=True,
        samples={"where(a > b, a * b, b)": PAIR},
    ),
}
