"""`{init: he, shape: [784, 128], seed: 0}`: initial values drawn from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Settings = Mapping[str, float]
Drawn = NDArray[np.float64]

DEFAULTS: Settings = {"low": 0.0, "high": 1.0, "mean": 0.0, "std": 1.0}


@dataclass(frozen=True)
class Init:
    """A way to draw an array. `settings` names what it may be told; one that has no default must be given."""

    settings: tuple[str, ...]
    draw: Callable[[np.random.Generator, Shape, Settings], Drawn]


INITS: Mapping[str, Init] = {
    # He et al. 2015, eq. 10
    "he": Init(
        ("fan_in",),
        lambda rng, shape, given: rng.normal(0.0, math.sqrt(2 / given["fan_in"]), shape),
    ),
    # Glorot & Bengio 2010, eq. 16: uniform, so that the variance is 2 / (fan_in + fan_out)
    "xavier": Init(
        ("fan_in", "fan_out"),
        lambda rng, shape, given: math.sqrt(6 / (given["fan_in"] + given["fan_out"])) * rng.uniform(-1.0, 1.0, shape),
    ),
    "normal": Init(("mean", "std"), lambda rng, shape, given: rng.normal(given["mean"], given["std"], shape)),
    "uniform": Init(("low", "high"), lambda rng, shape, given: rng.uniform(given["low"], given["high"], shape)),
    "zeros": Init((), lambda rng, shape, given: np.zeros(shape)),
    "ones": Init((), lambda rng, shape, given: np.ones(shape)),
    "constant": Init(("value",), lambda rng, shape, given: np.full(shape, given["value"])),
}


def settings_of(init: str, shape: Sequence[int], given: Settings) -> dict[str, float]:
    """The settings of `init` with defaults for those that are not given; those without a default are left out.

    fan_in is the first axis and fan_out the last, as for rows of samples (`X @ W`, W of shape (in, out)); where the
    article has columns (`W @ x`, W of shape (out, in)) the config says `fan_in` itself.
    """
    fans = {"fan_in": shape[0], "fan_out": shape[-1]} if shape else {}
    known = {**DEFAULTS, **fans, **given}
    return {name: known[name] for name in INITS[init].settings if name in known}


def draw(init: str, shape: Sequence[int], seed: int, scale: float, settings: Settings) -> Drawn:
    """An array of `shape`, times `scale`; equal seeds give equal arrays."""
    return scale * INITS[init].draw(np.random.default_rng(seed), tuple(shape), settings)
