"""How parameters move: one record per optimizer, its update written in the equation language."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Lines = Mapping[str, str]

# What is made of a gradient before the rule sees it, in this order, if its setting is given. `norm` is that of all
# trained parameters' gradients together, and `clip_eps` what PyTorch's clip_grad_norm_ adds to it.
CLIP_EPS = 1e-6
CLIPPED: Mapping[str, Lines] = {
    "clip_value": {"g": "clip(g, -clip_value, clip_value)"},
    "clip_norm": {"g": "g * minimum(1, clip_norm / (norm + clip_eps))"},
}
DECAYED: Mapping[str, Lines] = {**CLIPPED, "weight_decay": {"g": "g + weight_decay * w"}}


class Update(NamedTuple):
    """The lines of an update in order, under the settings that are given."""

    lines: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """What figures may name of it: the state, and what is made of that alone."""
        return tuple(part for part, _ in self.lines if part not in ("w", "g"))

    @property
    def state(self) -> tuple[str, ...]:
        """The arrays of w's shape that start at zero: what is made of what it was."""
        return tuple(part for part, text in self.lines if part in self.shown and _reads(text, part))


@dataclass(frozen=True)
class Optimizer:
    """An update rule for one parameter `w` with gradient `g`; `t` counts updates from 1.

    A line reads the state as the lines before it left it; one that gives neither state nor `w` is made of state alone,
    for the lines after it. The last line of an option stands in place of the rule's, with the others before it; a line
    of `g` stands before all.
    """

    settings: Mapping[str, float | None]  # with its default; None: it must be given
    update: Lines  # to the new state and the new `w`, in order
    options: Mapping[str, Lines] = field(default_factory=lambda: DECAYED)  # what nothing is computed for unless given

    @property
    def switches(self) -> frozenset[str]:
        """The options that are no numbers, but given or not."""
        return frozenset(name for name, lines in self.options.items() if not _reads(" ".join(lines.values()), name))

    def under(self, given: Collection[str]) -> Update:
        """The update under the settings that are given."""
        lines = [*self.update.items()]
        for added in (added for option, added in self.options.items() if option in given):
            parts, last = [part for part, _ in lines], [*added][-1]
            at = parts.index(last) if last in self.update else parts.count(last)
            lines[at : at + (last in self.update)] = added.items()
        return Update(tuple(lines))


def _reads(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


MOMENTUM = Optimizer(
    # v accumulates gradients and lr multiplies the sum, as PyTorch does; for a constant lr it is the classical form.
    settings={"lr": None, "momentum": 0.9},
    update={"v": "momentum * v + g", "w": "w - lr * v"},
)
# Kingma & Ba 2015, Algorithm 1
ADAM = Optimizer(
    settings={"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    update={
        "m": "beta1 * m + (1 - beta1) * g",
        "v": "beta2 * v + (1 - beta2) * g**2",
        "m_hat": "m / (1 - beta1**t)",
        "v_hat": "v / (1 - beta2**t)",
        "root": "sqrt(v_hat) + eps",
        "w": "w - lr * m_hat / root",
    },
    options={**DECAYED, "eps_inside": {"root": "sqrt(v_hat + eps)"}},
)
OPTIMIZERS: Mapping[str, Optimizer] = {
    "sgd": Optimizer(settings={"lr": None}, update={"w": "w - lr * g"}),
    # PyTorch does not dampen the first gradient
    "momentum": replace(
        MOMENTUM, options={**DECAYED, "dampening": {"v": "momentum * v + g * where(t > 1, 1 - dampening, 1)"}}
    ),
    # the form in which v is an average of gradients
    "averaged_momentum": replace(MOMENTUM, update={**MOMENTUM.update, "v": "momentum * v + (1 - momentum) * g"}),
    # Sutskever et al. 2013, in the form that PyTorch has: the gradient is not taken elsewhere
    "nesterov": replace(MOMENTUM, update={**MOMENTUM.update, "w": "w - lr * (g + momentum * v)"}),
    # Duchi et al. 2011
    "adagrad": Optimizer(
        settings={"lr": 0.01, "eps": 1e-10},
        update={"s": "s + g**2", "root": "sqrt(s) + eps", "w": "w - lr * g / root"},
        options={**DECAYED, "eps_inside": {"root": "sqrt(s + eps)"}},
    ),
    # Zeiler 2012; u is of the steps what s is of the gradients
    "adadelta": Optimizer(
        settings={"lr": 1.0, "rho": 0.9, "eps": 1e-6},
        update={
            "s": "rho * s + (1 - rho) * g**2",
            "w": "w - lr * g * sqrt(u + eps) / sqrt(s + eps)",
            "u": "rho * u + (1 - rho) * g**2 * (u + eps) / (s + eps)",
        },
    ),
    # Tieleman & Hinton 2012; over the deviation of the gradients from their mean, Graves 2013
    "rmsprop": Optimizer(
        settings={"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
        update={"s": "alpha * s + (1 - alpha) * g**2", "var": "s", "rms": "sqrt(var) + eps", "w": "w - lr * g / rms"},
        options={
            **DECAYED,
            "centered": {"m": "alpha * m + (1 - alpha) * g", "var": "s - m**2"},
            "eps_inside": {"rms": "sqrt(var + eps)"},
            "momentum": {"v": "momentum * v + g / rms", "w": "w - lr * v"},
        },
    ),
    "adam": ADAM,
    # Loshchilov & Hutter 2019: the weights decay, whatever the gradient is
    "adamw": replace(
        ADAM,
        settings={**ADAM.settings, "weight_decay": 0.01},
        update={**ADAM.update, "w": "w * (1 - lr * weight_decay) - lr * m_hat / root"},
        options={**CLIPPED, "eps_inside": ADAM.options["eps_inside"]},
    ),
}

SETTINGS: Mapping[str, Mapping[str, float | None]] = {
    name: {**rule.settings, **dict.fromkeys((*rule.options, "clip_eps"))} for name, rule in OPTIMIZERS.items()
}
SCHEDULED = ("t", "epoch", "pi")  # what the learning rate may read: updates and epochs, from 1, and the constant
