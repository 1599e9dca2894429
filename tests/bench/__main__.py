"""`python -m tests.bench [PART ...] [--only TEXT] [--threads N]`: the ratios, as a table.

Training steps are measured in processes of their own, with one processor and with all; `--threads` says how many.
`--only` leaves out every work without that text, so that one row can be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from mathlab import threads
from mathlab.experiment import Dtype
from tests.bench import networks, works
from tests.bench.checks import configs, memory
from tests.bench.gradients import checks
from tests.bench.growth import growth
from tests.bench.images import images
from tests.bench.networks import COMPILED, EAGER, JIT, OURS, PRODUCTS
from tests.bench.peers import peers
from tests.bench.replicas import replicas
from tests.bench.timing import Race, beside, interleaved
from tests.bench.whole import whole

PEERS = ("numpy", "torch", "jax", "autograd", "micrograd")  # left out where they are not installed
DTYPES: tuple[Dtype, ...] = ("float32", "float64")
EAGER_GOALS: Mapping[Dtype, float] = {"float32": 0.95, "float64": 1.15}
BY_HAND, LOSS_ONLY = "NumPy by hand, same history", "NumPy by hand, loss only"


def training() -> Iterator[Race]:
    name = "2-2-2 net, 200 epochs, with history"
    yield Race(name, {BY_HAND: 0.65, LOSS_ONLY: 1.3, EAGER: 0.15}, lambda: _trained(0))
    yield Race(f"{name}, with deriving and compiling", {BY_HAND: np.inf}, lambda: _trained(1))


def _trained(which: int) -> dict[str, float]:
    measured = {OURS: works.ours()[which], BY_HAND: works.by_hand, LOSS_ONLY: works.by_hand_bare}
    if torch := works.torch_net():
        measured[EAGER] = torch
    return beside(OURS, interleaved(measured, 15))


def steps() -> Iterator[Race]:
    for network in networks.NETWORKS:
        small = network.products < networks.SMALL
        for dtype in DTYPES:
            jit = 1.15 if network.activation == "gelu" else 1.0
            goals = {PRODUCTS: 2.0 if small else 1.35, EAGER: EAGER_GOALS[dtype], COMPILED: 1.0, JIT: jit}
            work = f"train step {network}, {dtype}, {networks.len_cpus()} threads"
            yield Race(work, goals, partial(_stepped, network, dtype))


def _stepped(network: networks.Network, dtype: Dtype) -> dict[str, float]:
    # on one processor, that of the process: what others run on a machine at the same time is not in it
    clock = time.process_time if networks.len_cpus() == 1 else time.perf_counter
    return beside(OURS, interleaved(network.works(dtype), 9, lasting=0.05, clock=clock))


def processes() -> Iterator[Race]:
    imports, help_imports = ("-c", works.IMPORTS), ("-c", works.HELP_IMPORTS)
    for file in works.single():
        yield _command(f"mathlab backprop, {file.name}", works.IMPORTS, 1.35, ("backprop", str(file)), imports)
    one = str(works.single()[0])
    yield _command("mathlab draw, of one case", "mathlab backprop of it", 1.7, ("draw", one), ("backprop", one))
    yield _command("mathlab --help", works.HELP_IMPORTS, 1.3, ("--help",), help_imports)


def _command(work: str, peer: str, goal: float, ours: Sequence[str], theirs: Sequence[str]) -> Race:
    seconds = partial(works.commands, *ours, peer=theirs)
    return Race(work, {peer: goal}, lambda: {peer: beside("ours", interleaved(seconds(), 9))["theirs"]})


PARTS = {
    "training": training,
    "peers": peers,
    "whole": whole,
    "steps": steps,
    "images": images,
    "memory": memory,
    "checks": checks,
    "processes": processes,
    "configs": configs,
    "growth": growth,
    "replicas": replicas,
}


def _version(distribution: str) -> str | None:
    with contextlib.suppress(PackageNotFoundError):
        return f"{distribution} {version(distribution)}"
    return None


def rows(part: str, only: str) -> Iterator[str]:
    """The rows of a part whose work has the text `only` in it."""
    for race in PARTS[part]():
        if only in race.work:
            found = race.ratios()
            for peer, goal in race.goals.items():
                if peer in found:
                    yield f"| {race.work} | {peer} | {found[peer]:.3g} | {'' if goal == np.inf else f'≤ {goal:.3g}'} |"


def elsewhere(threads: int, only: str) -> Iterator[str]:
    """The rows of the steps, from a process that may use so many processors."""
    command = [sys.executable, "-m", "tests.bench", "steps", "--threads", str(threads), "--only", only]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        yield from (line.rstrip() for line in running.stdout if line.startswith("| train"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What the lab costs beside its peers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--only", default="", metavar="TEXT", help="only works with this text in their name")
    parser.add_argument("--threads", type=int, metavar="N", help="processors that training steps may use [1, and all]")
    asked = parser.parse_args()
    if unknown := {*asked.parts} - {*PARTS}:
        parser.error(f"there is no part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    if asked.threads and networks.len_cpus() > asked.threads and hasattr(os, "sched_setaffinity"):
        # before NumPy and the others count them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
        os.execv(sys.executable, [sys.executable, "-m", "tests.bench", *sys.argv[1:]])
    versions = [f"Python {platform.python_version()}", *filter(None, map(_version, PEERS))]
    print(f"{datetime.date.today()}, {platform.machine()}, {networks.len_cpus()} processors, {', '.join(versions)}")
    print("\n| work | beside | ratio | goal |\n|---|---|---|---|")
    for part in asked.parts or PARTS:
        counts = sorted({1, networks.len_cpus()}) if part == "steps" and not asked.threads else [0]
        for count in counts:
            with threads.held(None if part == "steps" else 1):  # as commands do
                for row in elsewhere(count, asked.only) if count else rows(part, asked.only):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
