"""Activations: what stands between the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping

from mathlab.language import shapes
from mathlab.language.ops.record import LAST_AXIS, X3, X23, Op, Site, settings_of
from mathlab.language.syntax import Static


def _softmax(site: Site) -> str:
    return f"y * (g - sum(g * y{settings_of(site, axis=_axis(site), keepdims=True)}))"


def _log_softmax(site: Site) -> str:
    return f"g - softmax(x{settings_of(site)}) * sum(g{settings_of(site, axis=_axis(site), keepdims=True)})"


def _axis(site: Site) -> Static:
    return dict(site.call.attrs).get("axis", -1)


ACTIVATIONS: Mapping[str, Op] = {
    "relu": Op("np.maximum(x, 0)", ("g * (x > 0)",), latex=r"\operatorname{{ReLU}}\left({x}\right)", exact=True),
    "leaky_relu": Op(
        "np.where(x > 0, x, alpha * x)",
        ("g * where(x > 0, 1, alpha)", "g * minimum(x, 0)"),
        ("x", "alpha"),
        defaults={"alpha": 0.01},
        samples={"leaky_relu(x)": X23, "leaky_relu(x, 0.1)": X23, "leaky_relu(x, a)": {"x": (2, 3), "a": ()}},
    ),
    "elu": Op(
        "np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))",
        ("g * where(x > 0, 1, alpha * exp(minimum(x, 0)))", "g * expm1(minimum(x, 0))"),
        ("x", "alpha"),
        defaults={"alpha": 1.0},
        samples={"elu(x)": X23, "elu(x, 0.5)": X23, "elu(x, a)": {"x": (2, 3), "a": ()}},
    ),
    "sigmoid": Op("1 / (1 + np.exp(-x))", ("g * y * (1 - y)",), latex=r"\sigma\left({x}\right)"),
    "tanh": Op("np.tanh(x)", ("g * (1 - y**2)",), latex=r"\tanh\left({x}\right)"),
    "softplus": Op("np.logaddexp(0, x)", ("g * sigmoid(x)",)),
    "silu": Op(
        "x / (1 + np.exp(-x))",
        ("g * (sigmoid(x) + y * (1 - sigmoid(x)))",),
        latex=r"\operatorname{{SiLU}}\left({x}\right)",
    ),
    "gelu": Op(
        "x * normal_cdf(x)",  # the exact form, not the tanh approximation
        ("g * (normal_cdf(x) + x * normal_pdf(x))",),
        latex=r"\operatorname{{GELU}}\left({x}\right)",
    ),
    "softmax": Op(
        "softmax(x, axis=axis)",
        (_softmax,),
        shape=shapes.along_axis,
        settings={"axis": LAST_AXIS},
        needs_entries=True,
        samples={"softmax(x)": X3, "softmax(x, axis=0)": X23},
    ),
    "log_softmax": Op(
        "log_softmax(x, axis=axis)",
        (_log_softmax,),
        shape=shapes.along_axis,
        settings={"axis": LAST_AXIS},
        needs_entries=True,
        samples={"log_softmax(x)": X23, "log_softmax(x, axis=0)": X23},
    ),
}
