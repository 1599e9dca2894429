"""The two consoles: results on stdout, messages and the progress bar on stderr; and what neither may be told."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from mathlab.errors import Problem

LONGEST_TEXT = 10_000  # characters of any text that somebody else wrote
ENDLESS = 1_000_000  # columns: a pipe has no edge at which to cut or fold a line


# What the runners of GitHub, Azure and TeamCity obey: `##[…]`, `##vso[…]` anywhere in a line, `::…` where one begins,
# which any word does in a narrow window.
COMMAND = r"#(?=#\w*\[)|(?<!\S):(?=:[^\W\d])"


def as_python(character: str) -> str:
    """A character as Python spells it in a string."""
    return repr(character)[1:-1] if not character.isprintable() else f"\\x{ord(character):02x}"


def harmless(
    text: str, kept: str = "", spelt: Callable[[str], str] = as_python, longest: int | None = LONGEST_TEXT
) -> str:
    """The text with all spelt out that somebody could mean to command with, and cut where nobody reads on.

    That is every character which is not printable (control characters and escape sequences, what turns the direction
    of writing, any line break) but for those in `kept`, and a sign of each command to a runner of CI.
    """
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}..."
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in kept else spelt(c) for c in text)
    return re.sub(COMMAND, lambda found: spelt(found.group()), text)


def prepare() -> None:
    """Make stdout and stderr streams that no name and no reader can break, where they are streams at all.

    A character that the terminal cannot write is spelt out. A reader that has seen enough (`| head`) ends nothing: the
    run goes on, and so does its verdict.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            for name in ("write", "flush"):
                setattr(stream, name, _unbroken(stream, getattr(stream, name)))


def _unbroken(stream: IO[str], call: Callable[..., object]) -> Callable[..., object]:
    def called(*text: str) -> object:
        try:
            return call(*text)
        except BrokenPipeError:
            silence(stream)
            return None

    return called


def console() -> Console:
    """Stdout, as wide as the terminal it is. Print tables with `crop=False`."""
    from rich.console import Console

    # rich's own reading of NO_COLOR leaves bold and dim, and most CI calls its terminal dumb
    forced: Literal["standard", "auto"] = "standard" if os.environ.get("FORCE_COLOR") else "auto"
    size = None if sys.stdout is not None and sys.stdout.isatty() else ENDLESS
    color = None if os.environ.get("NO_COLOR") else forced
    return Console(highlight=False, color_system=color, width=size, height=size)


def write(text: str) -> None:
    """Put a finished text on stdout as it is."""
    print(text, end="", flush=True)


def complain(problems: Iterable[Problem]) -> None:
    """One line on stderr for each problem."""
    for problem in problems:
        words = harmless(" ".join(str(problem).splitlines()))
        try:
            if sys.stderr is not None:
                print(words if problem.place else f"mathlab: {words}", file=sys.stderr, flush=True)
        except OSError:  # there is nobody left to tell
            silence(sys.stderr)


def silence(stream: IO[str] | None) -> None:
    """Send the rest of a stream nowhere, so that its last flush cannot fail."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def progress(
    label: str, quiet: bool = False, before: str = ""
) -> Iterator[Callable[[int, int, float | None], None] | None]:
    """A callback (done, total, loss) behind a bar for what lasts longer than a second; None where nobody would see it.

    What stands `before` the label says where it belongs. The loss is shown where there is one.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    label = escape(harmless(before + label))
    task = bar.add_task(label, total=None)
    due = time.monotonic() + 1

    def report(done: int, total: int, loss: float | None) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + 0.1
            shown = label if loss is None else f"{label}, loss {loss:.4g}"
            bar.update(task, completed=done, total=total, description=shown)
            bar.start()

    try:
        yield report
    finally:
        bar.stop()
