"""`python -m tests.bench`: the ratios, as a table."""

from __future__ import annotations

import datetime
import platform
import sys
from collections.abc import Iterator

import numpy as np

from tests.bench import works
from tests.bench.checks import checks, configs, growing, memory
from tests.bench.peers import peers
from tests.bench.replicas import replicas
from tests.bench.timing import interleaved

Row = tuple[str, str, float, float]


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
        1.3,
    )


def steps() -> Iterator[Row]:
    for size in works.SIZES:
        for dtype in ("float32", "float64"):
            measured = works.mlp_step(size, dtype)
            seconds = interleaved(measured, 40 if size.startswith("64") else 15)
            name = f"train step {size}, {dtype}"
            yield (
                name,
                "the five products",
                seconds["mathlab"] / seconds["products"],
                2.0 if size.startswith("64") else 1.3,
            )
            if "PyTorch" in seconds:
                goal = 0.9 if dtype == "float32" else 1.15
                yield name, "PyTorch eager", seconds["mathlab"] / seconds["PyTorch"], goal


def processes() -> Iterator[Row]:
    seconds = interleaved(works.processes(), 15)
    yield "mathlab backprop, whole process", "its imports", seconds["mathlab backprop"] / seconds["its imports"], 1.4
    yield "mathlab --help, whole process", "typer and rich", seconds["mathlab --help"] / seconds["typer and rich"], 1.3


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


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    print(
        f"{datetime.date.today()}, Python {platform.python_version()}, NumPy {np.__version__}, {works.len_cpus()} CPUs"
    )
    print()
    print("| work | beside | ratio | goal |")
    print("|---|---|---|---|")
    for part in chosen:
        for work, peer, ratio, goal in PARTS[part]():
            print(f"| {work} | {peer} | {ratio:.3g} | {'' if goal == np.inf else f'≤ {goal:.3g}'} |", flush=True)


if __name__ == "__main__":
    main()
