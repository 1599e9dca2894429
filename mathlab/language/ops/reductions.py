"""What makes one number of many: reductions over axes, and the loss of each sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from mathlab.language import shapes
from mathlab.language.ops.record import AXES, DDOF, KEEPDIMS, ONE_AXIS_OR_ALL, Op, Site, expanded, lead, settings_of


def _count(site: Site) -> int:
    x = site.args[0]
    return math.prod(x.shape[axis] for axis in shapes.axes_of(x, site.call.attr("axis")))


def _extreme(site: Site) -> str:
    chosen = f"(x == {expanded('y', site)})"
    return f"{expanded('g', site)} * {chosen} / sum({chosen}{settings_of(site, keepdims=True)})"


def _away(site: Site) -> tuple[str, int]:
    """How far x is from its mean, and what the squares of that are divided by."""
    ddof = site.call.attr("ddof") or 0
    assert isinstance(ddof, int)
    return f"(x - mean(x{settings_of(site, ddof=None, keepdims=True)}))", _count(site) - ddof


def _var(site: Site) -> str:
    away, count = _away(site)
    return f"{expanded('g', site)} * 2 * {away} / {count}"


def _std(site: Site) -> str:
    (away, count), y = _away(site), expanded("y", site)
    return f"{expanded('g', site)} * {away} / ({count} * where({y} > 0, {y}, 1))"  # 0 where all entries are the same


def _prod(site: Site) -> str:
    """The product of the others: y / x, but where an entry is 0."""
    kept = settings_of(site, keepdims=True)
    zeros, rest = f"sum(x == 0{kept})", "where(x == 0, 1, x)"
    others = f"where(x == 0, {zeros} == 1, ({zeros} == 0) / {rest})"
    return f"{expanded('g', site)} * prod({rest}{kept}) * {others}"


def _norm(site: Site) -> str:
    y = expanded("y", site)
    # 0 at the origin, as PyTorch has it, but not where the squares are too small for a float
    return f"{expanded('g', site)} * x / where({y} > 0, {y}, x == 0)"


def _each_class(site: Site) -> str:
    return f"g[{lead(site.args[0])}None]" if site.args[0].ndim > 1 else "g"


def _cross_entropy(site: Site) -> str:
    z, t = site.args
    if t.ndim == z.ndim:
        return f"{_each_class(site)} * (softmax(z) * sum(t, axis=-1, keepdims=True) - t)"
    return f"{_each_class(site)} * (softmax(z) - one_hot(t, {z.shape[-1]}))"


_reduction = partial(Op, shape=shapes.reduced, settings={"axis": AXES, "keepdims": KEEPDIMS}, needs_entries=True)
# over n - ddof, as NumPy has it
_spread = partial(_reduction, settings={"axis": AXES, "ddof": DDOF, "keepdims": KEEPDIMS})
_chosen = partial(
    Op, vjp=(None,), shape=shapes.reduced, kind="i", settings={"axis": ONE_AXIS_OR_ALL}, needs_entries=True
)

REDUCTIONS: Mapping[str, Op] = {
    "sum": _reduction("np.sum", (lambda site: f"{expanded('g', site)} * ones_like(x)",), needs_entries=False),
    "mean": _reduction("np.mean", (lambda site: f"{expanded('g', site)} * ones_like(x) / {_count(site)}",)),
    "max": _reduction("np.max", (_extreme,), exact=True),
    "min": _reduction("np.min", (_extreme,), exact=True),
    "logsumexp": _reduction("logsumexp", (lambda site: f"{expanded('g', site)} * exp(x - {expanded('y', site)})",)),
    "norm": _reduction("norm", (_norm,), needs_entries=False, latex=r"\left\lVert {x} \right\rVert", binds=6),
    "var": _spread("np.var", (_var,)),
    "std": _spread("np.std", (_std,)),
    "prod": _reduction("np.prod", (_prod,), needs_entries=False),
    "argmax": _chosen("np.argmax"),
    "argmin": _chosen("np.argmin"),
    "cumsum": Op(
        "np.cumsum",
        (lambda site: "flip(cumsum(flip(g{0}){0}){0})".format(settings_of(site)),),
        shape=shapes.accumulated,
        settings={"axis": ONE_AXIS_OR_ALL},
        samples=("cumsum(x4)", "cumsum(x23, axis=-1)", "cumsum(x23, axis=0)"),
    ),
    # per sample, so that the factor of a batch (sum or mean) stands in the equation
    "cross_entropy": Op(
        "cross_entropy",
        (_cross_entropy, lambda site: f"-{_each_class(site)} * log_softmax(z)"),
        ("z", "t"),
        shapes.per_sample,
        takes=("f", "fi"),
        labels=1,
        needs_entries=True,
        samples=("cross_entropy(z3, t)", "cross_entropy(x43, t4)", "cross_entropy(x23, softmax(w23))"),
    ),
    # a quantity for figures only: computed by one backward pass for each entry of z
    "jacobian": Op("", (None, None), ("z", "x"), lambda types, call: types[0].shape + types[1].shape, internal=True),
}
