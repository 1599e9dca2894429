"""The networks whose training steps are measured: those of the goals, and others, so that nothing is tuned to these."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from mathlab.experiment import Case, Dtype, TrainSettings
from mathlab.language.planned import Planned
from mathlab.stages import train
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import Training
from tests.bench.timing import Work
from tests.build import case

OPTIMIZERS: Mapping[str, Mapping[str, float]] = {
    "sgd": {"lr": 0.01},
    "momentum": {"lr": 0.01, "momentum": 0.9},
    "adam": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}
OURS, PRODUCTS = "mathlab", "the matrix products"
EAGER, COMPILED, JIT = "PyTorch eager", "torch.compile", "JAX jit"
SMALL = 10**8  # products in a step: below, calls and elementwise work count beside them


@dataclass(frozen=True)
class Network:
    """A dense network with the mean of a cross-entropy loss; with `columns`, a sample is a column."""

    samples: int
    widths: tuple[int, ...]
    activation: str = "relu"
    optimizer: str = "sgd"
    columns: bool = False

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"{self.samples} x {widths} {self.activation}, {self.optimizer}{', columns' * self.columns}"

    @property
    def products(self) -> int:
        """The multiplications in the matrix products of a step; the first layer's input needs no gradient."""
        layers = [rows * columns for rows, columns in pairwise(self.widths)]
        return self.samples * (3 * sum(layers) - layers[0])

    def case(self, dtype: Dtype) -> Case:
        """The network as a config would give it."""
        rng = np.random.default_rng(0)
        equations, parameters, last = {}, {}, "X"
        for k, (inputs, outputs) in enumerate(pairwise(self.widths), start=1):
            weights = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
            equations[f"z{k}"] = f"W{k} @ {last} + b{k}" if self.columns else f"{last} @ W{k} + b{k}"
            last = f"h{k}"
            if k < len(self.widths) - 1:
                equations[last] = f"{self.activation}(z{k})"
            parameters[f"W{k}"] = weights.T if self.columns else weights
            parameters[f"b{k}"] = np.zeros((outputs, 1) if self.columns else outputs)
        equations["loss"] = f"mean(cross_entropy(z{len(self.widths) - 1}{'.T' * self.columns}, y))"
        data = rng.normal(size=(self.samples, self.widths[0]))
        inputs_ = {"X": data.T if self.columns else data, "y": rng.integers(0, self.widths[-1], self.samples)}
        return case(equations, parameters, inputs_, dtype=dtype, train=self.settings)

    @property
    def settings(self) -> TrainSettings:
        return TrainSettings(self.optimizer, dict(OPTIMIZERS[self.optimizer]), 1_000_000)

    def planned(self, prepared: Prepared) -> Planned:
        """The planned step, as training plans it, without a history."""
        training = Training(prepared, self.settings)
        return train.planned_rounds(training, {**prepared.env, **training.start()}, record=False)

    def works(self, dtype: Dtype) -> dict[str, Work]:
        """A training step of ours, the matrix products alone, and the steps of the peers that are there."""
        lab = self.case(dtype)
        planned = self.planned(prepare(lab))
        works: dict[str, Work] = {OURS: lambda: planned.run(0, 1), PRODUCTS: self._multiply(dtype)}
        if importlib.util.find_spec("torch"):
            works[EAGER] = self._in_torch(lab, dtype)
            if shutil.which("c++"):
                works[COMPILED] = self._in_torch(lab, dtype, compiled=True)
        if importlib.util.find_spec("jax"):
            works[JIT] = self._in_jax(lab, dtype)
        return works

    def _multiply(self, dtype: Dtype) -> Work:
        """The matrix products that a step cannot do without, each into new memory."""
        rng = np.random.default_rng(0)
        weights = [rng.normal(size=shape).astype(dtype) for shape in pairwise(self.widths)]
        values = [rng.normal(size=(self.samples, width)).astype(dtype) for width in self.widths]

        def multiply() -> None:
            for k, weight in enumerate(weights):
                values[k] @ weight
            for k, weight in reversed([*enumerate(weights)]):
                values[k].T @ values[k + 1]
                if k:
                    values[k + 1] @ weight.T

        return multiply

    def _in_jax(self, lab: Case, dtype: Dtype) -> Work:
        """The same step in JAX, compiled as one function that may write over the old state."""
        import jax
        from jax import numpy as jnp

        Arrays = dict[str, jax.Array]
        jax.config.update("jax_enable_x64", dtype == "float64")
        x, y = jnp.array(lab.inputs["X"].array, dtype), jnp.array(lab.inputs["y"].array.astype(int))
        p = {name: jnp.array(value.array, dtype) for name, value in lab.parameters.items()}
        settings = OPTIMIZERS[self.optimizer]
        jax_nn: Mapping[str, Callable[..., object]] = vars(jax.nn)
        activation = jax_nn[self.activation] if self.activation != "gelu" else partial(jax.nn.gelu, approximate=False)
        layers = range(1, len(self.widths))

        def loss(p: Arrays, x: jax.Array, y: jax.Array) -> jax.Array:
            h = x
            for k in layers:
                h = p[f"W{k}"] @ h + p[f"b{k}"] if self.columns else h @ p[f"W{k}"] + p[f"b{k}"]
                h = activation(h) if k < layers[-1] else h
            logs = jax.nn.log_softmax(h.T if self.columns else h)
            return -jnp.mean(logs[jnp.arange(len(y)), y])

        def moved(p: Arrays, m: Arrays, v: Arrays, count: jax.Array, x: jax.Array, y: jax.Array) -> tuple[object, ...]:
            g = jax.grad(loss)(p, x, y)
            if self.optimizer == "adam":
                one, two, count = settings["beta1"], settings["beta2"], count + 1
                m = {n: one * m[n] + (1 - one) * g[n] for n in p}
                v = {n: two * v[n] + (1 - two) * g[n] ** 2 for n in p}
                sizes = {n: jnp.sqrt(v[n] / (1 - two**count)) + settings["eps"] for n in p}
                g = {n: m[n] / (1 - one**count) / sizes[n] for n in p}
            elif self.optimizer == "momentum":
                g = m = {n: settings["momentum"] * m[n] + g[n] for n in p}
            return {n: p[n] - settings["lr"] * g[n] for n in p}, m, v, count

        jitted = jax.jit(moved, donate_argnums=(0, 1, 2, 3))
        more = {"momentum": 1, "adam": 2}.get(self.optimizer, 0)
        zeros = [{n: jnp.zeros_like(a) for n, a in p.items()} if k < more else {} for k in range(2)]
        state: list[tuple[object, ...]] = [(p, *zeros, jnp.zeros((), dtype))]

        def step() -> None:
            state[0] = jitted(*state[0], x, y)
            jax.block_until_ready(state[0])

        return step

    def _in_torch(self, lab: Case, dtype: Dtype, compiled: bool = False) -> Work:
        """The same step in PyTorch, with as many threads as there are processors."""
        import torch

        torch.set_num_threads(len_cpus())
        kind = torch.float32 if dtype == "float32" else torch.float64
        x = torch.tensor(lab.inputs["X"].array, dtype=kind)
        y = torch.tensor(lab.inputs["y"].array, dtype=torch.long)
        p = {n: torch.tensor(v.array, dtype=kind, requires_grad=True) for n, v in lab.parameters.items()}
        settings = OPTIMIZERS[self.optimizer]
        if self.optimizer == "adam":
            betas = settings["beta1"], settings["beta2"]
            optimizer: torch.optim.Optimizer = torch.optim.Adam(p.values(), settings["lr"], betas, settings["eps"])
        else:
            optimizer = torch.optim.SGD(p.values(), settings["lr"], settings.get("momentum", 0.0))
        functional = torch.nn.functional
        activation = getattr(torch, self.activation, None) or getattr(functional, self.activation)
        layers = range(1, len(self.widths))

        def loss() -> torch.Tensor:
            h = x
            for k in layers:
                h = p[f"W{k}"] @ h + p[f"b{k}"] if self.columns else h @ p[f"W{k}"] + p[f"b{k}"]
                if k < layers[-1]:
                    h = activation(h)
            return functional.cross_entropy(h.T if self.columns else h, y)

        loss_of = torch.compile(loss) if compiled else loss

        def step() -> None:
            optimizer.zero_grad()
            loss_of().backward()
            optimizer.step()

        return step


def len_cpus() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


GOALS = (Network(64, (784, 128, 10)), Network(256, (784, 512, 10)), Network(512, (1024, 1024, 100)))
OTHERS = (
    Network(16, (32, 16, 4), "sigmoid"),
    Network(64, (784, 256, 128, 64, 10), "tanh"),
    Network(64, (784, 256, 128, 64, 10), "relu", "momentum"),
    Network(64, (784, 256, 128, 64, 10), "relu", "adam"),
    Network(64, (784, 128, 10), columns=True),
    Network(128, (256, 256, 256, 256, 256, 256, 256, 10), "gelu"),
    Network(128, (256, 256, 256, 10), "silu", "adam"),
    Network(256, (2000, 2000, 10)),
    Network(512, (1024, 1024, 1024, 100), columns=True),
    Network(4096, (64, 64, 10)),
)
NETWORKS = (*GOALS, *OTHERS)
