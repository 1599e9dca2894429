"""A step of training of a convolutional net beside PyTorch's, eager, which takes one thread as ours does, or all."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from mathlab.experiment import TrainSettings
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from mathlab.stages.updates import Training
from tests.bench.networks import EAGER, len_cpus
from tests.bench.timing import Race, Work, beside, interleaved
from tests.build import case

NET = {
    "a": "relu(conv2d(x, k, pad=1) + c[:, None, None])",
    "f": "reshape(max_pool(a, 2), 32, -1)",
    "loss": "mean(cross_entropy(f @ W + b, t))",
}
RNG = np.random.default_rng(0)
IMAGES, CLASSES = RNG.normal(size=(32, 3, 32, 32)), RNG.integers(0, 10, 32)
PARAMETERS = {
    "k": RNG.normal(size=(16, 3, 3, 3)) / 5,
    "c": np.zeros(16),
    "W": RNG.normal(size=(4096, 10)) / 64,
    "b": np.zeros(10),
}
RATE, STEPS = 0.01, 5
ALONE = f"{EAGER}, one thread"


def ours() -> Work:
    """So many steps, as training makes them."""
    settings = TrainSettings("sgd", {"lr": RATE}, STEPS)
    prepared = prepare(case(NET, PARAMETERS, {"x": IMAGES, "t": CLASSES}, train=settings))
    training = Training(prepared, settings)
    planned = train.planned_rounds(training, {**prepared.env, **training.start()})
    return lambda: planned.run(0, STEPS)


def in_torch(threads: int) -> Work:
    """The same in PyTorch."""
    import torch
    from torch.nn import functional

    images, classes = torch.tensor(IMAGES), torch.tensor(CLASSES)
    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in PARAMETERS.items()}
    optimizer = torch.optim.SGD([*parameters.values()], RATE)

    def run() -> None:
        torch.set_num_threads(threads)
        for _ in range(STEPS):
            optimizer.zero_grad()
            a = functional.relu(functional.conv2d(images, parameters["k"], parameters["c"], padding=1))
            z = functional.max_pool2d(a, 2).reshape(32, -1) @ parameters["W"] + parameters["b"]
            functional.cross_entropy(z, classes).backward()
            optimizer.step()

    return run


def images() -> Iterator[Race]:
    """One race, where PyTorch is installed."""
    if importlib.util.find_spec("torch"):
        work = "train a step, 16 filters of 3x3x3 on 32 images of 3x32x32"
        yield Race(work, {ALONE: 1.0, EAGER: 1.5}, _measured)


def _measured() -> dict[str, float]:
    works = {"ours": ours(), ALONE: in_torch(1), EAGER: in_torch(len_cpus())}
    return beside("ours", interleaved(works, 5, 1.0))
