"""The command in a process of its own: what it printed, how it ended, what that took, and what it tried to do.

`python -m tests.sandbox` reads jobs from stdin and writes what became of them to stdout (see `run_all`).
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: a fork must not miss the threads of its parent
    sys.dont_write_bytecode = True  # the import system's own files are not what is watched for

import json
import re
import resource
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

SECONDS, MEGABYTES = 10.0, 1000.0  # what no config may take more of
PROBLEM = re.compile(r"(mathlab: |[^\n]*\.ya?ml:\d+:\d+: )\S.*")
FORBIDDEN = re.compile(r"Traceback|internal error|Warning:", re.ASCII)
# what nobody does who only computes; `open` and the like are allowed in some folders
ESCAPES = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess",
    "socket",
    "pickle",
    "shutil",
    "ctypes.dlopen",
)
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown")


@dataclass(frozen=True)
class Ran:
    """One run of the command. `code` is negative for the signal that ended it, 97 for an escape."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float

    def complaint(self) -> str:
        """What is wrong with how it ended; empty when nothing is."""
        lines = self.err.splitlines()
        wrong = {
            f"exit code {self.code}": self.code not in (0, 1, 2),
            "a traceback, an internal error or a warning": FORBIDDEN.search(self.err),
            "exit 2 without a word": self.code == 2 and not lines,
            "stderr is not one line a problem": not all(PROBLEM.fullmatch(line) for line in lines),
            "something on stderr, and no exit 2": self.code != 2 and lines,
            f"{self.seconds:.1f} seconds": self.seconds > SECONDS,
            f"{self.megabytes:.0f} MB": self.megabytes > MEGABYTES,
        }
        found = ", ".join(words for words, true in wrong.items() if true)
        return f"{found}\n{self.err[-3000:]}" if found else ""


def run(arguments: Sequence[str], folder: Path) -> Ran:
    """`mathlab ARGUMENTS` in `folder`, in a fork of this process, which has imported all of mathlab already.

    Warnings are errors there, so that one that nobody would see is found too.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(arguments, folder, out.fileno(), err.fileno())
        _, status, usage = os.wait4(child, 0)
        seconds = time.monotonic() - start
        for stream in (out, err):
            stream.seek(0)
        text, problems = (stream.read().decode("utf-8", "replace") for stream in (out, err))
    return Ran(os.waitstatus_to_exitcode(status), text, problems, seconds, usage.ru_maxrss / 1024)


def run_all(jobs: Iterable[tuple[Path, Sequence[str]]]) -> list[Ran]:
    """What `run` says of each job (folder, arguments), from a process of its own: forking this one may have threads."""
    described = json.dumps([[str(folder), [*arguments]] for folder, arguments in jobs])
    command = [sys.executable, "-m", "tests.sandbox"]
    done = subprocess.run(command, cwd=ROOT, input=described, stdout=subprocess.PIPE, text=True, check=True)
    return [Ran(**one) for one in json.loads(done.stdout)]


def _become(arguments: Sequence[str], folder: Path, out: int, err: int) -> None:
    """Be the command, in this very process, and end with it."""
    code = 99
    try:
        signal.alarm(int(3 * SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # so that a mistake here does not take the machine
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        warnings.simplefilter("error")
        sys.argv = ["mathlab", *arguments]
        from mathlab.cli import main

        _watch(folder)
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(folder: Path) -> None:
    """End this process where it starts another one, reads outside of `folder`, or writes outside of `folder/out`."""
    home = folder.resolve()
    readable = [
        str(path) for path in (home, ROOT / "mathlab", Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    ]
    readable += [sys.prefix, "/dev/null"]
    out = str(home / "out")

    def inside(path: object, roots: Sequence[str]) -> bool:
        if isinstance(path, int):
            return True
        name = os.path.realpath(os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path))
        return any(name == root or name.startswith(root.rstrip("/") + "/") for root in roots)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            bad = not inside(path, [out, "/dev/null"] if writes else readable) and not str(path).endswith(".pyc")
        elif event in CHANGES:
            bad = not inside(arguments[0], [out]) and str(arguments[0]) != "out"
        else:
            bad = event.startswith(ESCAPES)
        if bad:
            os.write(2, f"ESCAPED: {event} {arguments!r}\n".encode())
            os._exit(97)

    sys.addaudithook(hook)


def warm() -> None:
    """Import what every command needs, once for all forks."""
    import pandas as pd
    import rich.console
    import rich.progress
    import yaml

    import mathlab.cli
    import mathlab.config.shorthand
    import mathlab.diagnosis
    import mathlab.outputs
    import mathlab.plan
    import mathlab.stages.backprop
    import mathlab.stages.gradcheck
    import mathlab.stages.train
    import mathlab.tables

    _ = pd, rich.console, rich.progress, yaml, mathlab


if __name__ == "__main__":
    warm()
    results = [run(arguments, Path(folder)) for folder, arguments in json.load(sys.stdin)]
    json.dump([asdict(result) for result in results], sys.stdout)
