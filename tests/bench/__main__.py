"""`python -m tests.bench`: the ratios, as a table."""

from __future__ import annotations

import contextlib
import datetime
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from mathlab.experiment import Dtype
from tests.bench import networks, works
from tests.bench.checks import configs, growing, memory
from tests.bench.gradients import checks
from tests.bench.peers import peers
from tests.bench.replicas import replicas
from tests.bench.timing import interleaved

PEERS = ("torch", "autograd", "micrograd")  # left out where they are not installed
Row = tuple[str, str, float, float]
GOALS: Mapping[Dtype, float] = {"float32": 0.9, "float64": 1.15}  # of PyTorch's step, whose float64 is the slower one


def training() -> Iterator[Row]:
    loop, stage = works.ours()
    measured = {"loop": loop, "stage": stage, "by hand": works.by_hand, "bare": works.by_hand_bare}
    torch = works.torch_net()
    if torch:
        measured["torch"] = torch
    seconds = interleaved(measured, 15)
    name = "2-2-2 net, 200 epochs, with history"
    yield name, "NumPy by hand, same history", seconds["loop"] / seconds["by hand"], 0.6
    if torch:
        yield name, "PyTorch eager", seconds["loop"] / seconds["torch"], 0.15
    yield name, "NumPy by hand, loss only", seconds["loop"] / seconds["bare"], 1.3
    yield (
        "the same with deriving and compiling",
        "NumPy by hand, same history",
        seconds["stage"] / seconds["by hand"],
        np.inf,
    )


def steps() -> Iterator[Row]:
    for network in networks.NETWORKS:
        small = network.products < networks.SMALL
        for dtype, goal in GOALS.items():
            seconds = interleaved(network.works(dtype), 9, lasting=0.05)
            name = f"train step {network}, {dtype}"
            yield name, "the matrix products", seconds["mathlab"] / seconds["products"], 2.0 if small else 1.3
            if "PyTorch" in seconds:
                yield name, "PyTorch eager", seconds["mathlab"] / seconds["PyTorch"], goal


def processes() -> Iterator[Row]:
    seconds = interleaved(works.processes(), 15)
    for name in seconds:
        if name.endswith(".yaml"):
            yield f"mathlab backprop, {name}", works.IMPORTS, seconds[name] / seconds[works.IMPORTS], 1.25
    yield works.HELP, works.HELP_IMPORTS, seconds[works.HELP] / seconds[works.HELP_IMPORTS], 1.3


def compiling() -> Iterator[Row]:
    seconds = interleaved({"10": works.deep(10), "50": works.deep(50), "500": works.deep(500)}, 3)
    yield "derive and compile 50 layers", "half a second", seconds["50"] / 0.5, 1.0
    yield "derive and compile 500 layers", "ten times 50 layers", seconds["500"] / (10 * seconds["50"]), 1.5


PARTS = {
    "training": training,
    "peers": peers,
    "steps": steps,
    "memory": memory,
    "checks": checks,
    "processes": processes,
    "configs": configs,
    "compiling": compiling,
    "growing": growing,
    "replicas": replicas,
}


def _version(distribution: str) -> str | None:
    with contextlib.suppress(PackageNotFoundError):
        return f"{distribution} {version(distribution)}"
    return None


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    versions = [f"Python {platform.python_version()}", *filter(None, map(_version, ("numpy", *PEERS)))]
    print(f"{datetime.date.today()}, {networks.len_cpus()} processors, {', '.join(versions)}")
    print()
    print("| work | beside | ratio | goal |")
    print("|---|---|---|---|")
    for part in chosen:
        for work, peer, ratio, goal in PARTS[part]():
            print(f"| {work} | {peer} | {ratio:.3g} | {'' if goal == np.inf else f'≤ {goal:.3g}'} |", flush=True)


if __name__ == "__main__":
    main()
