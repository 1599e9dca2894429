"""How parameters move: one record per optimizer, its update written in the equation language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Lines = Mapping[str, str]

# What is made of a gradient before the rule sees it, in this order, if its setting is given. `norm` is that of all
# trained parameters' gradients together, and `clip_eps` what PyTorch's clip_grad_norm_ adds to it.
CLIP_EPS = 1e-6
CLIPPED: Mapping[str, Lines] = {
    "clip_value": {"g": "clip(g, -clip_value, clip_value)"},
    "clip_norm": {"g": "g * minimum(1, clip_norm / (norm + clip_eps))"},
}
DECAYED: Mapping[str, Lines] = {**CLIPPED, "weight_decay": {"g": "g + weight_decay * w"}}


@dataclass(frozen=True)
class Optimizer:
    """An update rule for one parameter `w` with gradient `g`.

    `settings` maps each setting to its default (None: it must be given). `state` names arrays of w's shape that start
    at zero. `update` gives the new state and the new `w`, in order; `t` counts updates from 1. A line reads the state
    as the lines before it left it; one that gives neither state nor `w` names what the lines after it read.
    `options` are settings that nothing is computed for unless they are given; their lines stand in place of the
    rule's, and before it where it has none.
    """

    settings: Mapping[str, float | None]
    update: Lines
    state: tuple[str, ...] = ()
    options: Mapping[str, Lines] = field(default_factory=lambda: DECAYED)

    @property
    def shown(self) -> tuple[str, ...]:
        """What figures may name of it: the state, and what is made of that alone."""
        return tuple(part for part in self.update if part != "w")

    def lines(self, given: Mapping[str, object]) -> list[tuple[str, str]]:
        """The lines of an update under the settings that are given."""
        chosen = [line for option, lines in self.options.items() if option in given for line in lines.items()]
        own = {part: dict(chosen).get(part, text) for part, text in self.update.items()}
        return [*(line for line in chosen if line[0] == "g"), *own.items()]


MOMENTUM = Optimizer(
    # v accumulates gradients and lr multiplies the sum, as PyTorch does; for a constant lr it is the classical form.
    settings={"lr": None, "momentum": 0.9},
    state=("v",),
    update={"v": "momentum * v + g", "w": "w - lr * v"},
)
# Kingma & Ba 2015, Algorithm 1
ADAM = Optimizer(
    settings={"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    state=("m", "v"),
    update={
        "m": "beta1 * m + (1 - beta1) * g",
        "v": "beta2 * v + (1 - beta2) * g**2",
        "m_hat": "m / (1 - beta1**t)",
        "v_hat": "v / (1 - beta2**t)",
        "w": "w - lr * m_hat / (sqrt(v_hat) + eps)",
    },
)
# Tieleman & Hinton 2012
RMSPROP = Optimizer(
    settings={"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
    state=("s",),
    update={"s": "alpha * s + (1 - alpha) * g**2", "w": "w - lr * g / (sqrt(s) + eps)"},
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
        state=("s",),
        update={"s": "s + g**2", "w": "w - lr * g / (sqrt(s) + eps)"},
    ),
    "rmsprop": RMSPROP,
    # over the deviation of the gradients from their mean (Graves 2013)
    "centered_rmsprop": replace(
        RMSPROP,
        state=("s", "m"),
        update={
            "s": RMSPROP.update["s"],
            "m": "alpha * m + (1 - alpha) * g",
            "w": "w - lr * g / (sqrt(s - m**2) + eps)",
        },
    ),
    "rmsprop_with_momentum": replace(
        RMSPROP,
        settings={**RMSPROP.settings, "momentum": 0.9},
        state=("s", "v"),
        update={"s": RMSPROP.update["s"], "v": "momentum * v + g / (sqrt(s) + eps)", "w": "w - lr * v"},
    ),
    "adam": ADAM,
    # Loshchilov & Hutter 2019: the weights decay, whatever the gradient is
    "adamw": replace(
        ADAM,
        settings={**ADAM.settings, "weight_decay": 0.01},
        update={**ADAM.update, "w": "w * (1 - lr * weight_decay) - lr * m_hat / (sqrt(v_hat) + eps)"},
        options=CLIPPED,
    ),
}

SETTINGS: Mapping[str, Mapping[str, float | None]] = {
    name: {**rule.settings, **dict.fromkeys((*rule.options, "clip_eps"))} for name, rule in OPTIMIZERS.items()
}
SCHEDULED = ("t", "epoch", "pi")  # what the learning rate may read: updates and epochs, from 1, and the constant
