"""Runs that end at any moment, by kill -9 or by Ctrl-C: what they leave in the output folder is whole.

`python -m tests.kill 200` kills that many, and prints what became of them.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mathlab.stages.table import every_file
from tests.sandbox import Job, Ran, finish, start

# Files so large that writing them takes a part of the run that can be hit. The figures match, because explaining those
# that do not would take most of it.
CONFIG = """\
inputs: {{seed: {seed}}}
parameters: {{w: {{init: normal, shape: [50, 50], seed: {seed}}}, v: {{init: normal, shape: 5, seed: {seed}}}}}
equations: {{a: tanh(w), b: a * w, c: exp(b), d: c + w, s: sum(v) + seed, loss: sum(d) + s**2}}
expected: {{seed: {seed}}}
cases:
  a: {{expected: {{seed: {seed}}}, train: {{optimizer: {{name: sgd, lr: 0.0001}}, epochs: 300}}}}
  b: {{equations: {{loss: sum(v**2)}}, parameters: {{w: 1}}, expected: {{seed: {seed}}}, gradcheck: {{}}}}
"""
ARGUMENTS = ("run", "net.yaml", "--out", "out", "--quiet")
LEFTOVER = ".mathlab-*"

Files = Mapping[str, bytes]


def started(folder: Path, seed: int) -> int:
    """The process of a run that may be killed."""
    (folder / "net.yaml").write_text(CONFIG.format(seed=seed))
    return start(Job(str(folder), ARGUMENTS, watched=False))


def ended(folder: Path, seed: int) -> Ran:
    """How the run ends that nothing happens to."""
    return finish(started(folder, seed))


def written(folder: Path) -> Files:
    """The CSVs, by their names."""
    return {path.name: path.read_bytes() for path in sorted((folder / "out" / "net").glob("*.csv"))}


def versions(folder: Path) -> tuple[Files, Files, float]:
    """What each of two configs writes, and the seconds that it takes. The first one is what lies there afterwards."""
    made = []
    for seed in (1, 2, 1):
        ran = ended(folder, seed)
        assert (ran.code, ran.err) == (0, "")
        made.append(written(folder))
    assert made[0] == made[2]
    assert sum(made[0][file] != made[1][file] for file in made[0]) >= 4
    return made[0], made[1], ran.seconds


def killed(folder: Path, rng: random.Random, seconds: float, by: signal.Signals, seed: int) -> int:
    """Start a run, and end it at a random moment within `seconds`, or while it writes its files; its exit code."""
    process = started(folder, seed)
    since = time.monotonic()
    if rng.random() < 0.5:
        time.sleep(seconds * rng.random())
    else:
        while time.monotonic() < since + 2 * seconds and not [*(folder / "out" / "net").glob(LEFTOVER)]:
            time.sleep(0.0005)
        time.sleep(0.02 * rng.random() ** 2)
    os.kill(process, by)  # it is there until it is asked how it ended, if only as a zombie
    ran = finish(process)
    assert not ran.err, ran.err
    return ran.code


def check(folder: Path, old: Files, new: Files) -> str:
    """Whether the files are old, new or some of both. Raises AssertionError where one is neither."""
    found = written(folder)
    assert found.keys() == set(every_file()) & (old.keys() | new.keys())
    for file, content in found.items():
        assert content in (old[file], new[file]), f"{file} is neither the old one nor the new one"
    return "old" if found == old else "new" if found == new else "some of both"


def main() -> None:
    """Kill as many runs as the argument says."""
    count = int(sys.argv[1])
    ends: Counter[str] = Counter()
    littered = 0
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new, seconds = versions(folder)
        for _ in range(count):
            killed(folder, rng, 1.1 * seconds, signal.SIGKILL, seed=2)
            found = check(folder, old, new)
            ends[found] += 1
            littered += any((folder / "out" / "net").glob(LEFTOVER))
            ended(folder, seed=1)
            assert written(folder) == old
            assert not [*(folder / "out" / "net").glob(LEFTOVER)], "leftovers stay"
    files = ", ".join(f"{number} times {end}" for end, number in ends.most_common())
    print(
        f"{count} runs killed; every file whole: {files}; leftovers after {littered} of them, none after the next run"
    )


if __name__ == "__main__":
    main()
