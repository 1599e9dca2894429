"""Where pieces of work run: here, on this machine's processors, or on a Dask cluster."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from mathlab import __version__, threads
from mathlab.errors import MathlabError, refuse_unknown

Task = TypeVar("Task")
Done = TypeVar("Done")

STARTING = 2.0  # seconds of work from which other processes pay off: each has to import NumPy and mathlab first
PATIENCE = 600.0  # seconds
BACKENDS = ("local", "dask")


def where(backend: str, scheduler: str | None) -> str:
    """Where a user wants the work to be done: the address of a cluster's scheduler; an empty one is here.

    Raises MathlabError for what does not exist, is not installed, or lacks its address.
    """
    refuse_unknown("backend", backend, BACKENDS)
    if backend == "local" and scheduler:
        raise MathlabError("--scheduler is for --backend dask")
    if backend != "local" and not scheduler:
        raise MathlabError(f"--backend {backend} needs --scheduler ADDRESS")
    if scheduler and importlib.util.find_spec("distributed") is None:
        raise MathlabError(f"--backend {backend} needs distributed: pip install 'mathlab-backprop[sweep]'")
    return scheduler or ""


def spread(work: Callable[[Task], Done], tasks: Sequence[Task], place: str, seconds: float) -> Iterator[Done]:
    """What `work` makes of each task, in order; `seconds` is about how long all of them take on one processor.

    Raises MathlabError when the scheduler cannot be reached or the workers are lost.
    """
    workers = min(len(tasks), processors())
    if place:
        yield from _cluster(work, tasks, place, seconds)
    elif workers < 2 or seconds < STARTING:
        yield from map(work, tasks)
    else:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            try:
                yield from pool.map(partial(_in_one_thread, work), tasks)
            except BrokenProcessPool:
                raise MathlabError("a process that made runs of the sweep was ended from outside") from None
            finally:
                pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cluster(work: Callable[[Task], Done], tasks: Sequence[Task], address: str, seconds: float) -> Iterator[Done]:
    """The same on a cluster. A task whose worker is lost goes to another one."""
    from distributed import Client, KilledWorker

    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise MathlabError(f"the scheduler {address} cannot be reached: {error}") from None
    with client:
        try:
            versions = set(client.run(lambda: importlib.import_module("mathlab").__version__).values())
        except Exception as error:  # whatever a worker says that cannot import mathlab
            raise MathlabError(f"the workers of {address} cannot run mathlab: {error}") from None
        if versions - {__version__}:
            others = ", ".join(versions)
            raise MathlabError(f"the workers of {address} have mathlab {others}, and here it is {__version__}")
        patience = PATIENCE + 100 * seconds  # a cluster that has lost all workers would be waited for for ever
        try:
            yield from client.get_executor(pure=False).map(partial(_in_one_thread, work), tasks, timeout=patience)
        except (TimeoutError, KilledWorker):
            raise MathlabError(f"the workers of {address} were lost, or are too slow") from None


def _in_one_thread(work: Callable[[Task], Done], task: Task) -> Done:
    """The same bytes, whatever a worker's BLAS would take, and other processors are left to the others."""
    with threads.held(1):
        return work(task)
