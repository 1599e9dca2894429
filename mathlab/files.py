"""Files that are replaced whole: a reader sees the old text or the new one, never a part of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mathlab.errors import MathlabError


def replace_file(path: Path, text: str) -> None:
    """Make the file at `path` (through a link: what it points to) hold `text`, in UTF-8, in one step.

    What is no regular file, a pipe or a device, is written to. Raises MathlabError where that cannot be done.
    """
    content = text.encode("utf-8", "backslashreplace")
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise MathlabError(f"{path} cannot be written: {error.strerror or error}") from None


def append(path: Path, text: str) -> None:
    """Add `text` to the end of a file that others write to as well. Raises MathlabError where that cannot be done."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise MathlabError(f"{path} cannot be written: {error.strerror or error}") from None
