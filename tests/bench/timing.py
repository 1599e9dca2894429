"""Races: works and their peers, interleaved; machines drift, so only ratios within one run mean something."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
Clock = Callable[[], float]  # seconds


@dataclass(frozen=True)
class Race:
    """A work and its peers, each with the ratio that is the goal; `ratios` measures those that are there."""

    work: str
    goals: Mapping[str, float]
    ratios: Callable[[], Mapping[str, float]]


def beside(ours: str, seconds: Mapping[str, float]) -> dict[str, float]:
    """The seconds of one work over those of each other one."""
    return {name: seconds[ours] / other for name, other in seconds.items() if name != ours}


REST = 0.05  # seconds until threads have gone to sleep that spin in case that there is more to do: OpenBLAS', OpenMP's


def interleaved(
    works: Mapping[str, Work], rounds: int, lasting: float = 0.0, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """The median seconds of each work, run in turn so that a slow moment hits all of them; one warm-up first.

    With `lasting`, each turn repeats a work for about so many seconds, as a loop would, after a rest: what the threads
    of one library leave running would otherwise be counted as the time of the next one.
    """
    times = dict.fromkeys(works, 1)
    for name, work in works.items():
        work()
        if lasting:
            times[name] = max(1, round(lasting / once(work)))
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            if lasting:
                time.sleep(REST)
                work()
            start = clock()
            for _ in range(times[name]):
                work()
            taken[name].append((clock() - start) / times[name])
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def once(work: Work) -> float:
    """The seconds of a single run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(command: Sequence[str], code: int = 0) -> Work:
    """A whole process as a work, with bytecode caches as a user has them; it ends with `code`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment).returncode == code

    return run
