"""The two consoles: results on stdout, messages and the progress bar on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mathlab.errors import Problem

ENDLESS = 1_000_000  # columns: a pipe has no edge at which to cut or fold a line


def tolerate_any_name() -> None:
    """A character that the terminal cannot write is spelt out: it must not end the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console() -> Console:
    """Stdout, as wide as the terminal it is. Print tables with `crop=False`."""
    from rich.console import Console

    class Unbroken(Console):
        def on_broken_pipe(self) -> None:
            """The reader (`| head`) has seen enough; the run goes on, and so does its verdict."""
            self.quiet = True
            silence(self.file)

    if sys.stdout is not None and sys.stdout.isatty():
        return Unbroken(highlight=False)
    return Unbroken(highlight=False, width=ENDLESS, height=ENDLESS)


def complain(problems: Iterable[Problem]) -> None:
    """One line on stderr for each problem."""
    for problem in problems:
        if sys.stderr is not None:
            words = " ".join(str(problem).splitlines())
            print(words if problem.place else f"mathlab: {words}", file=sys.stderr)


def silence(stream: IO[str] | None) -> None:
    """Send the rest of a stream nowhere, so that its last flush cannot fail."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def progress(label: str, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, total) behind a bar for what lasts longer than a second; None where nobody would see it."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from mathlab.layout import plain

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(escape(plain(label).plain), total=None)
    due = time.monotonic() + 1

    def report(done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + 0.1
            bar.update(task, completed=done, total=total)
            bar.start()

    try:
        yield report
    finally:
        bar.stop()
