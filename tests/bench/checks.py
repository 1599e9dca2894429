"""A whole `mathlab run`, how deriving grows, and the memory of a training step."""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mathlab.experiment import Case, Dtype
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from tests.bench import networks, works
from tests.bench.networks import Network
from tests.bench.timing import Work, interleaved, process

Row = tuple[str, str, float, float]

LAYERS = (5, 50, 500)  # of two equations each
ARRAYS_COUNT = 2_000_000  # bytes
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


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
