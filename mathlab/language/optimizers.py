"""How parameters move: one record per optimizer, its update written in the equation language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Optimizer:
    """An update rule for one parameter `w` with gradient `g`.

    `settings` maps each setting to its default (None: it must be given). `state` names arrays of w's shape that start
    at zero. `update` gives the new state and the new `w`, in order; `t` counts updates from 1. A line reads the state
    as the lines before it left it.
    """

    settings: Mapping[str, float | None]
    update: Mapping[str, str]
    state: tuple[str, ...] = ()


OPTIMIZERS: Mapping[str, Optimizer] = {
    "sgd": Optimizer(settings={"lr": None}, update={"w": "w - lr * g"}),
    # v accumulates gradients and lr multiplies the sum, as PyTorch does; for a constant lr it is the classical form.
    "momentum": Optimizer(
        settings={"lr": None, "momentum": 0.9},
        state=("v",),
        update={"v": "momentum * v + g", "w": "w - lr * v"},
    ),
    # Kingma & Ba 2015, Algorithm 1
    "adam": Optimizer(
        settings={"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        state=("m", "v"),
        update={
            "m": "beta1 * m + (1 - beta1) * g",
            "v": "beta2 * v + (1 - beta2) * g**2",
            "w": "w - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)",
        },
    ),
}

SETTINGS: Mapping[str, Mapping[str, float | None]] = {name: rule.settings for name, rule in OPTIMIZERS.items()}
