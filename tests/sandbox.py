"""The command in a process of its own: what it printed, how it ended, what that took, and what it tried to do.

`python -m tests.sandbox` is a process that has imported all of mathlab and is forked for every job: see `start`.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: a fork must not miss the threads of its parent
    sys.dont_write_bytecode = True  # the import system's own files are not what is watched for

import atexit
import contextlib
import functools
import gc
import importlib
import json
import pkgutil
import re
import resource
import signal
import subprocess
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parent.parent

SECONDS, MEGABYTES = 30.0, 1000.0  # what no config may take more of
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
    """One run of the command. `code` is negative for the signal that ended it, 97 for an escape.

    Of the `seconds` that it took, the processor was `busy` with it: it may have had other things to do.
    """

    code: int
    out: str
    err: str
    seconds: float
    busy: float
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
            f"{self.busy:.1f} seconds": self.busy > SECONDS,
            f"{self.megabytes:.0f} MB": self.megabytes > MEGABYTES,
        }
        found = ", ".join(words for words, true in wrong.items() if true)
        return f"{found}\n{self.err[-3000:]}" if found else ""


@dataclass(frozen=True)
class Job:
    """`mathlab ARGUMENTS` in `folder`, where it is watched, unless it need not be.

    Where it is, warnings are errors too, so that one that nobody would see is found.
    """

    folder: str
    arguments: Sequence[str]
    watched: bool = True


@dataclass(frozen=True)
class Running:
    """A job that was started, and where its words go."""

    since: float
    out: BinaryIO
    err: BinaryIO


def run_all(jobs: Iterable[tuple[Path, Sequence[str]]]) -> list[Ran]:
    """How each job (folder, arguments) ended, one after the other."""
    return [finish(start(Job(str(folder), arguments))) for folder, arguments in jobs]


def start(job: Job) -> int:
    """Start the job, and return its process's number. The process is no child of this one, which may have threads."""
    return int(_asked(asdict(job)))


def finish(process: int) -> Ran:
    """Wait for the end of a job that was started."""
    return Ran(**json.loads(_asked(process)))


def _asked(question: object) -> str:
    forker = _forker()
    assert forker.stdin
    assert forker.stdout
    print(json.dumps(question), file=forker.stdin, flush=True)
    return forker.stdout.readline()


@functools.cache
def _forker() -> subprocess.Popen[str]:
    """The process that is forked for every job. It ends when this one does, and with it the pipe that it reads."""
    command = [sys.executable, "-m", "tests.sandbox"]
    forker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(forker.__exit__, None, None, None)
    return forker


def run(job: Job) -> Ran:
    """How the job ends in a fork of this very process."""
    return _finished(*_started(job))


def _started(job: Job) -> tuple[int, Running]:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed when the job is finished
    running = Running(time.monotonic(), out, err)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the fork can answer for it
    process = os.fork()
    if process == 0:
        _become(job, out.fileno(), err.fileno())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return process, running


def _finished(process: int, running: Running) -> Ran:
    _, status, usage = os.wait4(process, 0)
    seconds, busy = time.monotonic() - running.since, usage.ru_utime + usage.ru_stime
    with running.out as out, running.err as err:
        for stream in (out, err):
            stream.seek(0)
        text, problems = (stream.read().decode("utf-8", "replace") for stream in (out, err))
    return Ran(os.waitstatus_to_exitcode(status), text, problems, seconds, busy, usage.ru_maxrss / 1024)


def _become(job: Job, out: int, err: int) -> None:
    """Be the command, in this very process, and end with it."""
    code = 99
    try:
        signal.alarm(int(12 * SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # so that a mistake here does not take the machine
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(job.folder)
        sys.argv = ["mathlab", *job.arguments]
        from mathlab.__main__ import main

        if job.watched:
            warnings.simplefilter("error")
            for kind in (DeprecationWarning, PendingDeprecationWarning):  # of others, which Python does not show
                warnings.filterwarnings("ignore", category=kind, module="(?!mathlab|<string>)")
            _watch(Path(job.folder))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    except KeyboardInterrupt:
        if sys.unraisablehook is sys.__unraisablehook__:  # it came before `main` could take care of it
            code = 130
    except BaseException:
        traceback.print_exc()
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
    readable += [sys.prefix, "/dev/null", *(path for path in sys.path if path.endswith("site-packages"))]
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
    """Import all that any command needs, once for all forks."""
    import numpy.random
    import pandas as pd
    import rich.console
    import rich.progress
    import yaml

    import mathlab.cli
    import mathlab.stages.limits

    for module in pkgutil.walk_packages(mathlab.__path__, "mathlab."):
        if not module.name.endswith(".pytest_plugin"):
            importlib.import_module(module.name)
    with contextlib.suppress(ImportError):  # it makes a folder for its settings, and a list of fonts
        import matplotlib.backends.backend_svg
        import matplotlib.figure

        matplotlib.get_configdir()

    _ = numpy, pd, rich.console, rich.progress, yaml
    mathlab.stages.limits.BUDGET = mathlab.stages.limits.QUICK  # nobody waits for what is drawn at random
    [*map(mathlab.cli.command_of, mathlab.cli.COMMANDS)]  # each is built once
    gc.freeze()  # what a fork never touches, it need not copy


if __name__ == "__main__":
    warm()
    under_way: dict[int, Running] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            print(json.dumps(asdict(_finished(asked, under_way.pop(asked)))), flush=True)
        else:
            process, running = _started(Job(**asked))
            under_way[process] = running
            print(process, flush=True)
