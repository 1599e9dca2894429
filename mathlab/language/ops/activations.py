"""Activations: what stands between the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mathlab.language import shapes
from mathlab.language.ops.record import LAST_AXIS, Op, Site, settings_of


def _softmax(site: Site) -> str:
    return f"y * (g - sum(g * y{_along(site)}))"


def _log_softmax(site: Site) -> str:
    return f"g - softmax(x{settings_of(site)}) * sum(g{_along(site)})"


def _along(site: Site) -> str:
    return settings_of(site, axis=dict(site.call.attrs).get("axis", -1), keepdims=True)


_along_axis = partial(Op, shape=shapes.along_axis, settings={"axis": LAST_AXIS}, needs_entries=True)

ACTIVATIONS: Mapping[str, Op] = {
    "relu": Op("np.maximum(x, 0)", ("g * (x > 0)",), latex=r"\operatorname{{ReLU}}\left({x}\right)", exact=True),
    "leaky_relu": Op(
        "np.where(x > 0, x, alpha * x)",
        ("g * where(x > 0, 1, alpha)", "g * minimum(x, 0)"),
        ("x", "alpha"),
        defaults={"alpha": 0.01},
        samples=("leaky_relu(x23)", "leaky_relu(x23, 0.1)", "leaky_relu(x23, a)"),
    ),
    "elu": Op(
        "np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))",
        ("g * where(x > 0, 1, alpha * exp(minimum(x, 0)))", "g * expm1(minimum(x, 0))"),
        ("x", "alpha"),
        defaults={"alpha": 1.0},
        samples=("elu(x23)", "elu(x23, 0.5)", "elu(x23, a)"),
    ),
    "sigmoid": Op("1 / (1 + np.exp(-x))", ("g * y * (1 - y)",), latex=r"\sigma\left({x}\right)"),
    "tanh": Op("np.tanh(x)", ("g * (1 - y**2)",), latex=r"\tanh\left({x}\right)"),
    "softplus": Op("np.logaddexp(0, x)", ("g * sigmoid(x)",)),
    "silu": Op(
        "x / (1 + np.exp(-x))",
        ("g * (sigmoid(x) + y * (1 - sigmoid(x)))",),
        latex=r"\operatorname{{SiLU}}\left({x}\right)",
    ),
    # the exact form, not the tanh approximation
    "gelu": Op(
        "x * normal_cdf(x)",
        ("g * (normal_cdf(x) + x * normal_pdf(x))",),
        latex=r"\operatorname{{GELU}}\left({x}\right)",
    ),
    "softmax": _along_axis("softmax", (_softmax,), samples=("softmax(x3)", "softmax(x23, axis=0)")),
    "log_softmax": _along_axis("log_softmax", (_log_softmax,), samples=("log_softmax(x3)", "log_softmax(x23, axis=0)")),
}
