"""Files: those that a command reads are not written to, and others are replaced whole, in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

from mathlab.errors import MathlabError, did_you_mean
from mathlab.signs import PATHS, slip

TEMPORARY = r"\.mathlab-([0-9]{1,9})-[0-9a-f]{16}\.tmp"  # the process that writes it, and a random part

Identity = tuple[int, int]  # device and number: what a file is under each of its names

_inputs: ContextVar[set[Identity] | None] = ContextVar("inputs", default=None)


def guard() -> None:
    """From now on, keep in mind what is read; a session of Python, which may do many things in turn, does without."""
    _inputs.set(set())


def note(*paths: Path) -> None:
    """Keep in mind that these files are read."""
    inputs = _inputs.get()
    if inputs is not None:
        inputs.update(found for path in paths if (found := _identity(path)))


def refuse_input(path: Path) -> None:
    """Raise MathlabError for a path that is, under whatever name, one of those that were noted."""
    if _identity(path) in (_inputs.get() or ()):
        raise MathlabError(f"{path} is read by this command, and so it is not written to")


@contextlib.contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Trouble with a file, as a MathlabError that names it and says what cannot be done to it."""
    try:
        yield
    except OSError as error:
        raise MathlabError(f"{path} cannot be {doing}: {error.strerror or error}") from None


def missing(path: Path, suffixes: Collection[str]) -> str:
    """What is wrong with a path that is no file; of none at all, a file beside it that is called nearly so."""
    if path.is_symlink():
        return "is a link that leads to no file"
    if path.exists():
        return "is a folder" if path.is_dir() else "is not a file"
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    known = sorted(file.name for file in beside if file.suffix in suffixes)
    without = (f"; did you mean {name!r}?" for name in known if Path(name).stem == path.name)
    return f"does not exist{slip(path.name, PATHS) or next(without, '') or did_you_mean(path.name, known)}"


def straight(path: Path) -> Path:
    """The same file without a way down and up again, as configs/../a.md: a path that GitHub finds in a repository."""
    short = Path(os.path.normpath(path))
    return short if short == path or (path.exists() and short.exists() and short.samefile(path)) else path


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except (OSError, ValueError):  # it is not there, or that cannot be the name of a file
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else None


def replace_file(path: Path, text: str | bytes, mended: bool = False) -> None:
    """Make the file at `path` hold `text`: what a link points to, or a pipe or device. Raises MathlabError.

    One that this command has read is refused, unless it was read to be `mended`.
    """
    if not mended:
        refuse_input(path)
    with told(path, "written"):
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(_encoded(text))
            return
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
    replace_files({target: text}, mended)


def replace_files(texts: Mapping[Path, str | bytes | None], mended: bool = False) -> None:
    """Make each file hold its text, in UTF-8, and be absent where there is none.

    Folders are made where they are missing. All files are written before the first is replaced, so that they stay as
    they are when one cannot be written, or is an input, which raises MathlabError. A file keeps its owner and its
    permissions. What a killed process left half-written goes.
    """
    for path in texts if not mended else ():
        refuse_input(path)
    target = Path()
    temporaries: dict[Path, Path] = {}
    try:
        for target in {path.parent: path for path in texts}.values():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(target.parent)
        for target, text in texts.items():
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if text is not None:
                # its name is as short as any: what the target's name leaves room for is not known
                temporaries[target] = target.with_name(f".mathlab-{os.getpid()}-{os.urandom(8).hex()}.tmp")
                _write(temporaries[target], target, _encoded(text))
        for target, temporary in temporaries.items():
            os.replace(temporary, target)
        for target in texts.keys() - temporaries.keys():
            target.unlink(missing_ok=True)
    except OSError as error:
        raise MathlabError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def _write(temporary: Path, target: Path, content: bytes) -> None:
    """Make a new file, never through a link that somebody put in its place, for what is to replace `target`."""
    alone = os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, os.O_WRONLY | alone, 0o666), "wb") as file:
        if target.exists() and hasattr(os, "fchown"):
            was = target.stat()
            with contextlib.suppress(PermissionError):  # only root may give a file away
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
        file.write(content)


def _sweep(folder: Path) -> None:
    """Remove the temporary files of processes that are gone."""
    for leftover in folder.glob(".mathlab-*.tmp"):
        found = re.fullmatch(TEMPORARY, leftover.name)
        if found and os.name != "nt":  # signal 0 is no question there
            with contextlib.suppress(OSError):  # as of somebody else's process, which is there
                try:
                    os.kill(int(found[1]), 0)
                except ProcessLookupError:
                    leftover.unlink(missing_ok=True)


def append(path: Path, text: str) -> None:
    """Add `text` to the end of a file that others write to as well. Raises MathlabError where that cannot be done."""
    refuse_input(path)
    with told(path, "written"), path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(text)
