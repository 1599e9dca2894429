"""The gradient check of every entry, beside PyTorch's slow mode, on networks of many kinds."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Case
from mathlab.stages import gradcheck
from tests.bench.timing import Race, Work, once
from tests.build import case

SAMPLES = 8
GOAL = 1 / 9
ROUNDS = 3  # of PyTorch, which takes up to a minute; ours runs
REPEATS = 3  # times as often in between
LOSSES = {
    "cross_entropy": "mean(cross_entropy({z}, y))",
    "mse": "mean(({z} - T)**2)",
    "bce": "mean(softplus({z}) - T * {z})",
}


@dataclass(frozen=True)
class Network:
    """A dense network: its widths, and what else may matter to who checks it. With `columns`, samples are columns."""

    sizes: tuple[int, ...]
    activation: str
    loss: str = "cross_entropy"
    biases: bool = True
    columns: bool = False

    def __str__(self) -> str:
        told = [self.loss if self.loss != "cross_entropy" else "", "" if self.biases else "no biases"]
        told += ["columns" if self.columns else ""]
        return ", ".join(["-".join(map(str, self.sizes)), self.activation, *filter(None, told)])

    def case(self) -> Case:
        """The same as an experiment."""
        rng = np.random.default_rng(0)
        equations, parameters, last = {}, {}, "X"
        for k, (rows, columns) in enumerate(pairwise(self.sizes), start=1):
            product, bias = (f"W{k} @ {last}", f"b{k}[:, None]") if self.columns else (f"{last} @ W{k}", f"b{k}")
            equations[f"z{k}"] = f"{product} + {bias}" if self.biases else product
            last = f"h{k}"
            if k < len(self.sizes) - 1:
                equations[last] = f"{self.activation}(z{k})"
            weights = rng.normal(size=(rows, columns)) / np.sqrt(rows)
            parameters[f"W{k}"] = weights.T if self.columns else weights
            if self.biases:
                parameters[f"b{k}"] = 0.1 * rng.normal(size=columns)
        z = f"z{len(self.sizes) - 1}"
        out = f"{z}.T" if self.columns else z
        equations["loss"] = LOSSES[self.loss].format(z=out)
        x = rng.normal(size=(SAMPLES, self.sizes[0]))
        inputs: dict[str, NDArray[np.generic]] = {"X": x.T if self.columns else x}
        if self.loss == "cross_entropy":
            inputs["y"] = rng.integers(0, self.sizes[-1], SAMPLES)
        else:
            inputs["T"] = rng.uniform(0.05, 0.95, (SAMPLES, self.sizes[-1]))
        return case(equations, parameters, inputs)


NETWORKS = (  # those of the goals, and others, so that nothing is tuned to these
    Network((100, 90, 10), "relu"),
    Network((784, 12, 10), "sigmoid"),
    Network((64, 64, 64, 10), "tanh"),
    Network((40, 40, 40, 40, 40, 40, 40, 10), "tanh"),
    Network((40, 40, 40, 40, 40, 40, 40, 10), "gelu", "bce", columns=True),
    Network((784, 128, 10), "relu"),
    Network((784, 120, 20, 3), "softplus", "mse", biases=False),
    Network((128, 128, 128, 128, 128, 128, 128, 10), "silu"),
)


def checking(network: Network) -> Work:
    """Our check of every entry, from the case to the verdicts."""
    lab = replace(network.case(), share=np.inf)
    return lambda: gradcheck.run(lab)


def checking_in_torch(network: Network) -> Work:
    """PyTorch's check of every entry of the same network: two forward passes for each, in float64."""
    import torch
    from torch.nn import functional

    lab = network.case()
    inputs = {name: torch.tensor(v.array, dtype=torch.long if name == "y" else None) for name, v in lab.inputs.items()}
    parameters = [torch.tensor(v.array, requires_grad=True) for v in lab.parameters.values()]
    activation = getattr(functional, network.activation)
    layer = 2 if network.biases else 1

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        h = inputs["X"]
        for k in range(0, len(parameters), layer):
            h = activation(h) if k else h
            h = parameters[k] @ h if network.columns else h @ parameters[k]
            if network.biases:
                h = h + (parameters[k + 1][:, None] if network.columns else parameters[k + 1])
        z = h.T if network.columns else h
        if network.loss == "cross_entropy":
            return functional.cross_entropy(z, inputs["y"])
        of = functional.mse_loss if network.loss == "mse" else functional.binary_cross_entropy_with_logits
        return of(z, inputs["T"])

    def check() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on arrays of this size it is slower with more
        assert torch.autograd.gradcheck(loss, parameters, fast_mode=False)
        torch.set_num_threads(threads)

    return check


PEER = "torch.autograd.gradcheck, slow mode"


def checks() -> Iterator[Race]:
    """In every round both, in turn; the median of the rounds' ratios."""
    for network in NETWORKS if importlib.util.find_spec("torch") else ():
        entries = sum(value.array.size for value in network.case().parameters.values())
        work = f"gradient check of {network} (batch {SAMPLES}), {entries:,} entries"
        yield Race(work, {PEER: GOAL}, partial(_check, network))


def _check(network: Network) -> dict[str, float]:
    ours, theirs = checking(network), checking_in_torch(network)
    once(ours)
    ratios = [statistics.median(once(ours) for _ in range(REPEATS)) / once(theirs) for _ in range(ROUNDS)]
    return {PEER: statistics.median(ratios)}
