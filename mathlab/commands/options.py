"""The options that several commands have, each said once: a command takes them as records."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_type_hints

import typer

from mathlab import terminal, threads
from mathlab.commands import FAIL as FAIL
from mathlab.commands import MATCH as MATCH
from mathlab.commands import TROUBLE as TROUBLE
from mathlab.errors import MathlabError, Problem

if TYPE_CHECKING:
    from mathlab.experiment import Allowed, Case, Experiment
    from mathlab.reports.checks import Report

READ_BY_PEOPLE = ("table", "plain")  # formats; their readers read stderr too

OUTPUTS = Path("outputs")

Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE...", help="Configs, and folders of them.")]
Named = Annotated[
    list[Path] | None, typer.Option("--config", "-c", metavar="FILE", help="The same, as an option. Repeatable.")
]
Chosen = Annotated[list[str] | None, typer.Option("--case", metavar="NAME", help="Only this case. Repeatable.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for what is written.")]
OutIf = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The folder for the CSVs. [outputs; with --set, none]")
]
Format = Annotated[
    Literal["table", "plain", "json", "junit", "github", "markdown"],
    typer.Option("--format", metavar="FORM", help="table, plain, json, junit, github or markdown."),
]
Every = Annotated[bool, typer.Option("--verbose", "-v", help="Show every step of a loop.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the problems and the last line.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Show what W1[0,0]=0.5, train.lr=1, … moves. Repeatable."),
]


def written_to(path: str) -> Path:
    """The file that an option names, and no folder: as a path it would have lost the '/' that says so."""
    if path.endswith("/") or os.path.isdir(path):
        raise typer.BadParameter(f"{path} is a folder, and what is written is one file")
    if file := next(filter(os.path.isfile, Path(path).parents), None):
        raise typer.BadParameter(f"{path} is to be a file below {file}, which is no folder")
    return Path(path)


class Permits(NamedTuple):
    """What a config may do, and take, because its user says so."""

    allow_files: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", exists=True, help="Let configs read data from this folder too. Repeatable."),
    ] = None
    allow_large: Annotated[bool, typer.Option("--allow-large", help="Let configs take above an hour or 8 GB.")] = False
    threads: Annotated[
        int,
        typer.Option("--threads", metavar="N", min=1, callback=threads.take, help="Threads of a matrix product."),
    ] = 1

    @property
    def allowed(self) -> Allowed:
        from mathlab.experiment import Allowed

        return Allowed(tuple(self.allow_files or ()), self.allow_large)


class Cases(NamedTuple):
    """Which configs a command reads, and which of their cases."""

    files: Files = None
    config: Named = None
    case: Chosen = None

    def paths(self, default: Sequence[Path] | None = None) -> Sequence[Path]:
        """Those that are named, in either way, else `default`. Raises MathlabError where that is None, or not there."""
        paths = [*(self.files or ()), *(self.config or ())] or default
        if paths is None or (paths is default and not all(path.exists() for path in paths)):
            raise MathlabError("no config is named: give a file, or a folder of them")
        return paths

    def load(self, permits: Permits, default: Sequence[Path] | None = None) -> list[Experiment]:
        from mathlab import plan

        return plan.load(self.paths(default), permits.allowed)

    def chosen(self, permits: Permits, default: Sequence[Path] | None = None) -> list[tuple[Experiment, list[Case]]]:
        """The experiments, each with its cases that are meant. Raises MathlabError for a name that no case has."""
        from mathlab import plan

        return plan.chosen(self.load(permits, default), self.case or ())


class Telling(NamedTuple):
    """How a command tells what it found, and where."""

    quiet: Quiet = False
    form: Format = "table"
    target: Annotated[
        Path | None,
        typer.Option("--report", "-o", parser=written_to, metavar="FILE", help="Write the report here, not to stdout."),
    ] = None

    @contextmanager
    def reporting(self, report: Callable[[], Report]) -> Iterator[None]:
        """What ends the command with 2 is told on stderr, and in a report that a program is waiting for as well."""
        try:
            yield
        except MathlabError as error:
            if self.form not in READ_BY_PEOPLE or self.target:
                try:
                    self.deliver(report(), error.problems)
                except MathlabError as other:
                    raise MathlabError([*dict.fromkeys((*error.problems, *other.problems))]) from None
            raise

    def deliver(self, report: Report, problems: Sequence[Problem] = ()) -> None:
        """Put the report where it belongs, and what ended the command; for GitHub, also on the job's summary page."""
        from mathlab.files import append, replace_file
        from mathlab.reports.formats import FORMATS, overview

        report = replace(report, problems=(*report.problems, *problems), quiet=self.quiet)
        if self.form == "table" and self.target is None:
            terminal.console().print(report.page(), crop=False)
        elif self.target is None or str(self.target) == "-":
            terminal.write(FORMATS[self.form](report))
        else:
            replace_file(self.target, FORMATS[self.form](report))
        if self.form == "github" and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
            append(Path(summary), overview(report) + "\n")


def flat(body: Callable[..., int], end: Callable[[Callable[[], int]], None]) -> Callable[..., None]:
    """`body` as Typer takes it, with the fields of its records among its options; `end` is given the call."""
    hints = get_type_hints(body, include_extras=True)
    records = {name: kind for name, kind in hints.items() if hasattr(kind, "_fields")}
    options: list[tuple[str, object, object]] = []
    for name, parameter in inspect.signature(body).parameters.items():
        if record := records.get(name):
            kinds = get_type_hints(record, include_extras=True)
            options += ((field, record._field_defaults[field], kinds[field]) for field in record._fields)
        else:
            options.append((name, parameter.default, hints[name]))

    @functools.wraps(body)
    def run(**given: object) -> None:
        made = {name: of(**{field: given.pop(field) for field in of._fields}) for name, of in records.items()}
        end(lambda: body(**given, **made))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, default, kind in options]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run
