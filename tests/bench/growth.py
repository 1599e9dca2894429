"""How cost grows: what ten times as much takes, over ten times what one takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from mathlab.stages import gradcheck, sweep
from mathlab.stages.prepare import prepare
from tests.bench import gradients, works
from tests.bench.networks import Network
from tests.bench.replicas import swept
from tests.bench.timing import Race, Work, interleaved, once, process

GOAL = 1.5
LONG = 20.0  # seconds from which on a work is made once
FILES, MEMORY = "the two files", 8.0
# widths of networks of about 10^3 to 10^6 parameters
CHECKED = ((30, 25, 10), (100, 90, 10), (784, 120, 10), (1000, 900, 100))


def growth() -> Iterator[Race]:
    """Sizes of one kind of work, each beside the one before it; 1 is what grows as the size does."""
    yield from _grown("derive and compile {:,} layers", works.deep, (10, 100, 1_000))
    yield from _grown("a training step of batch {:,}", partial(_step, width=100), (64, 640, 6_400))
    yield from _grown("a training step of {0:,} x {0:,} weights", partial(_step, 64), (64, 256, 1_024), power=2)
    sizes = {sum((a + 1) * b for a, b in pairwise(widths)): widths for widths in CHECKED}
    yield from _grown("gradient check of {:,} parameters", lambda entries: _checked(sizes[entries]), (*sizes,))
    yield from _grown(
        "a sweep of {:,} runs", lambda runs: partial(sweep.run, swept(runs)), (100, 1_000, 10_000, 1_000_000)
    )
    with tempfile.TemporaryDirectory() as folder:
        yield from _grown("mathlab diff of {:,} rows", partial(_diff, Path(folder)), (10_000, 100_000, 1_000_000))
        yield Race(
            "memory of mathlab diff of 1,000,000 rows", {FILES: MEMORY}, lambda: {FILES: _diff_holds(Path(folder))}
        )


def _grown(name: str, work: Callable[[int], Work], sizes: tuple[int, ...], power: int = 1) -> Iterator[Race]:
    """Each size beside the one before it."""
    for few, many in pairwise(sizes):
        peer = f"{(many / few) ** power:.3g} times {name.format(few)}"
        yield Race(name.format(many), {peer: GOAL}, partial(_ratio, peer, work, few, many, power))


def _ratio(peer: str, work: Callable[[int], Work], few: int, many: int, power: int) -> dict[str, float]:
    works = {"few": work(few), "many": work(many)}
    seconds = {name: once(one) for name, one in works.items()}
    if seconds["many"] < LONG:
        seconds = interleaved(works, 3)
    return {peer: seconds["many"] / seconds["few"] * (few / many) ** power}


def _step(samples: int, width: int) -> Work:
    network = Network(samples, (width, width, width, 10))
    planned = network.planned(prepare(network.case("float32")))
    return lambda: planned.run(0, 10)


def _checked(widths: tuple[int, ...]) -> Work:
    lab = gradients.Network(widths, "tanh").case()
    return lambda: gradcheck.run(lab)


def _files(folder: Path, rows: int) -> list[Path]:
    """Two tables of so many rows, of which every other one is not the same."""
    made = [folder / f"{side}{rows}.csv" for side in "ab"]
    for at, path in enumerate(made):
        if not path.exists():
            numbers = np.random.default_rng(0).random((rows, 2))
            numbers[::2] += at
            lines = (f"base,{k},{x!r},{y!r}\n" for k, (x, y) in enumerate(numbers.tolist()))
            path.write_text("".join(["case,epoch,loss,norm(dW)\n", *lines]))
    return made


def _command(folder: Path, rows: int) -> list[str]:
    return [sys.executable, "-m", "mathlab", "diff", *map(str, _files(folder, rows))]


def _diff(folder: Path, rows: int) -> Work:
    return process(_command(folder, rows), code=1)


def _diff_holds(folder: Path) -> float:
    """The most memory of the process, over the bytes of both files."""
    rows = 1_000_000
    running = subprocess.Popen(_command(folder, rows), stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(running.pid, 0)
    running.returncode = 1
    return usage.ru_maxrss * 1024 / sum(path.stat().st_size for path in _files(folder, rows))
