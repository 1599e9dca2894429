"""A whole `mathlab run`, and the memory of a training step."""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.experiment import Case, Dtype
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from tests.bench import networks, works
from tests.bench.networks import Network
from tests.bench.timing import Race, Work, interleaved, process

ARRAYS_COUNT = 2_000_000  # bytes
HELD = "values, gradients, parameters"
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


def configs() -> Iterator[Race]:
    """Every shipped config in one process, and each in one of its own."""
    yield Race("mathlab run, all configs in one process", {"the slowest of them alone": 3.0}, _all_configs)


def _all_configs() -> dict[str, float]:
    files = sorted((works.ROOT / "configs").glob("*.yaml"))
    run = [sys.executable, "-m", "mathlab", "run", "--quiet", "--out", tempfile.mkdtemp()]
    each: dict[str, Work] = {file.stem: process([*run, str(file)]) for file in files}
    seconds = interleaved({**each, "all": process([*run, *map(str, files)])}, 3)
    return {"the slowest of them alone": seconds["all"] / max(seconds[name] for name in each)}


def memory() -> Iterator[Race]:
    """What Python and NumPy hold at most during a whole training, beside what a step of it cannot do without.

    The state of the optimizer is counted on both sides. Networks of less than some megabytes are left out: beside their
    arrays, Python's own objects count.
    """
    for network in networks.NETWORKS:
        for dtype in DTYPES:
            case = network.case(dtype)
            if (needed := _needed(network, case)) > ARRAYS_COUNT:
                work = f"peak memory of training {network}, {dtype}"
                yield Race(work, {HELD: 1.5}, partial(_held, case, needed))


def _held(case: Case, needed: int) -> dict[str, float]:
    return {HELD: _peak(case) / needed}


def _needed(network: Network, case: Case) -> int:
    """The bytes of every value, gradient, and array of the state."""
    prepared = prepare(case)
    values = prepared.run()
    held = {*prepared.nodes, *prepared.gradients}
    parameters = sum(values[name].nbytes for name in case.parameters)
    return sum(values[name].nbytes for name in held) + parameters * (
        1 + len(OPTIMIZERS[network.optimizer].under(()).state)
    )


def _peak(case: Case) -> int:
    """The most bytes held at once, from preparing the case on."""
    assert case.train
    case = replace(case, train=case.train._replace(epochs=3), share=np.inf)
    tracemalloc.start()
    train.run(case)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
