"""The gradient check beside PyTorch's, a whole `mathlab run`, how deriving grows, and the memory of a training step."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mathlab.experiment import Case, Dtype
from mathlab.optimizers import OPTIMIZERS
from mathlab.stages import gradcheck, train
from mathlab.stages.prepare import prepare
from tests.bench import networks, works
from tests.bench.networks import Network
from tests.bench.timing import Work, interleaved, process
from tests.test_planned import mlp

Row = tuple[str, str, float, float]

SAMPLES = 8
NETWORKS = {  # widths and activation; those of the goals, and others, so that nothing is tuned to these
    "100-90-10, relu": ((100, 90, 10), "relu"),
    "784-12-10, sigmoid": ((784, 12, 10), "sigmoid"),
    "784-128-10, relu": ((784, 128, 10), "relu"),
    "64-64-64-10, tanh": ((64, 64, 64, 10), "tanh"),
}
GOAL = 1 / 30
LAYERS = (5, 50, 500)  # of two equations each
ARRAYS_COUNT = 2_000_000  # bytes
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


def checking(case: Case) -> Work:
    """Our check of every entry, from the case to the verdicts."""
    return lambda: gradcheck.run(replace(case, share=np.inf))


def checking_in_torch(case: Case, activation: str) -> Work:
    """PyTorch's check of every entry of the same network: two forward passes for each, in float64."""
    import torch

    x = torch.tensor(case.inputs["X"].array, dtype=torch.float64)
    y = torch.tensor(case.inputs["y"].array, dtype=torch.long)
    parameters = [torch.tensor(v.array, requires_grad=True) for v in case.parameters.values()]

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        h = x
        for k in range(0, len(parameters), 2):
            h = (getattr(torch, activation)(h) if k else h) @ parameters[k] + parameters[k + 1]
        return torch.nn.functional.cross_entropy(h, y)

    def check() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on arrays of this size it is slower with more
        assert torch.autograd.gradcheck(loss, parameters, fast_mode=False)
        torch.set_num_threads(threads)

    return check


def once(work: Work) -> float:
    """The seconds of a single run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def checks() -> Iterator[Row]:
    """PyTorch takes up to a minute, once; ours runs before and after it.

    The deep one is the hardest: a step of one weight moves everything behind the second layer.
    """
    if importlib.util.find_spec("torch") is None:
        return
    for name, (sizes, activation) in NETWORKS.items():
        case = mlp(SAMPLES, sizes, "float64", activation)
        entries = sum(value.array.size for value in case.parameters.values())
        ours, theirs = checking(case), checking_in_torch(case, activation)
        before = interleaved({"ours": ours}, 5)["ours"]
        peer = once(theirs)
        after = interleaved({"ours": ours}, 5)["ours"]
        work = f"gradient check of {name} (batch {SAMPLES}), {entries:,} entries"
        yield work, "torch.autograd.gradcheck, slow mode", (before + after) / 2 / peer, GOAL


def configs() -> Iterator[Row]:
    """Every shipped config in one process, and each in one of its own."""
    files = sorted((works.ROOT / "configs").glob("*.yaml"))
    run = [sys.executable, "-m", "mathlab", "run", "--quiet", "--out", tempfile.mkdtemp()]
    each: dict[str, Work] = {file.stem: process([*run, str(file)]) for file in files}
    seconds = interleaved({**each, "all": process([*run, *map(str, files)])}, 3)
    slowest = max(each, key=lambda name: seconds[name])
    yield (
        f"mathlab run, {len(files)} configs in one process",
        f"{slowest} alone",
        seconds["all"] / seconds[slowest],
        3.0,
    )


def growing() -> Iterator[Row]:
    """Deriving and compiling: ten times the equations, ten times the time."""
    seconds = interleaved({str(layers): works.deep(layers) for layers in LAYERS}, 3)
    for few, many in pairwise(LAYERS):
        ratio = seconds[str(many)] / seconds[str(few)] * few / many
        yield f"derive and compile {2 * many:,} equations", f"{many // few} times {2 * few} equations", ratio, 1.5


def memory() -> Iterator[Row]:
    """What Python and NumPy hold at most during a whole training, beside what a step of it cannot do without.

    The state of the optimizer is counted on both sides. Networks of less than some megabytes are left out: beside their
    arrays, Python's own objects count.
    """
    for network in networks.NETWORKS:
        for dtype in DTYPES:
            case = network.case(dtype)
            needed = _needed(network, case)
            if needed > ARRAYS_COUNT:
                peer = "values, gradients, parameters"
                yield f"peak memory of training {network}, {dtype}", peer, _peak(case) / needed, 1.5


def _needed(network: Network, case: Case) -> int:
    """The bytes of every value, gradient, and array of the state."""
    prepared = prepare(case)
    values = prepared.run()
    held = {*prepared.nodes, *prepared.gradients}
    parameters = sum(values[name].nbytes for name in case.parameters)
    return sum(values[name].nbytes for name in held) + parameters * (1 + len(OPTIMIZERS[network.optimizer].state))


def _peak(case: Case) -> int:
    """The most bytes held at once, from preparing the case on."""
    assert case.train
    case = replace(case, train=replace(case.train, epochs=3), share=np.inf)
    tracemalloc.start()
    train.run(case)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
