"""What a command reports: one record, which every command fills and every format renders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from mathlab import __version__
from mathlab.errors import Problem
from mathlab.reports.checks import Check
from mathlab.reports.layout import said

if TYPE_CHECKING:
    from mathlab.reports.data import Record


@dataclass(frozen=True)
class Report:
    """What a command found, in every way in which a format may tell it.

    `fine` says whether all that ran is as it should be, `summary` is the last line. `tables` are the page, as on a
    terminal, `compared` everything that was compared, `about` what JSON says of it: each is made when a format asks.
    `problems` are those that ended the command, or kept an experiment from running. With `quiet`, which `tables` is
    told, what passed is left out of the formats that people read.
    """

    command: str
    fine: bool
    summary: str
    tables: Callable[[bool], Iterable[RenderableType]]
    compared: Callable[[], Iterable[Check]]
    about: Callable[[], Mapping[str, object]]
    problems: Sequence[Problem] = ()
    quiet: bool = False

    @property
    def passed(self) -> bool:
        """Whether the command exits with 0."""
        return self.fine and not self.problems

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Everything that was compared."""
        return tuple(self.compared())

    @cached_property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "failed")

    def page(self) -> RenderableType:
        """The problems and the tables, as on a terminal."""
        return Group(*(said(str(problem), "bold red") for problem in self.problems), *self.tables(self.quiet))

    def record(self) -> Record:
        """All of it, for JSON."""
        from mathlab.reports import data  # which knows the records of every command

        return {
            "version": data.VERSION,
            "mathlab": __version__,
            "command": self.command,
            "passed": self.passed,
            **{key: data.told(part) for key, part in {"problems": [*self.problems], **self.about()}.items()},
        }
