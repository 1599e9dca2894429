"""What the config that is being read may do, which folders it may read data from, and what it has read of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mathlab.config.yamltext import Tree
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Allowed

if TYPE_CHECKING:
    from mathlab.config.csvfiles import Columns
    from mathlab.config.datafiles import DataError, Numbers

File = tuple[Path, bool | None]  # a CSV file, and whether its first row is a header

LARGEST_DRAWN = 35_000_000  # entries that one config draws: 280 MB


@dataclass
class Permits:
    """`folder` is the config's own. `drawn` counts entries: a thousand small arrays are as large as one.

    A CSV file is `read` once, for all that the config's `tree` wants of it.
    """

    folder: Path
    allowed: Allowed
    drawn: int = 0
    tree: Tree | None = None
    read: dict[File, Mapping[Columns, Numbers | DataError]] = field(default_factory=dict)

    def draw(self, entries: int, place: Place) -> None:
        """Count the entries of one more array that is drawn. Raises MathlabError when that makes them too many."""
        self.drawn += entries
        if self.drawn > LARGEST_DRAWN and not self.allowed.large:
            problem = f"initial values of {self.drawn} entries are too large ({LARGEST_DRAWN} are the limit)"
            raise MathlabError(f"{problem}; --allow-large permits them", place)


_current: ContextVar[Permits] = ContextVar("permits")


@contextmanager
def permits(folder: Path, allowed: Allowed) -> Iterator[None]:
    """While a config is read: the readers of its parts know that part alone, and ask `current` for the rest."""
    token = _current.set(Permits(folder, allowed))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Permits:
    """The permits of the config that is being read; outside of one, nothing is allowed."""
    return _current.get(Permits(Path(), Allowed()))
