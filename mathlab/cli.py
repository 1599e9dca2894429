"""The `mathlab` command: parse, call, print, exit. Nothing else in the package prints or exits.

What a command needs is imported when it runs: `mathlab --help` must not wait for NumPy.
"""

from __future__ import annotations

import errno
import functools
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from mathlab import __version__, files, habits, terminal, threads
from mathlab.commands import BROKEN, INTERRUPTED, NO_MEMORY, TROUBLE, chain, interrupted, out_of_memory
from mathlab.commands.options import flat
from mathlab.errors import MathlabError, Problem, did_you_mean

COMMANDS = (  # each a function of its name, in a module of its name
    *("backprop", "gradcheck", "train", "sweep", "run"),
    *("derive", "draw", "plot", "diff", "article", "oracle", "update", "selftest", "init", "schema", "guide"),
)

EXIT_CODES = (
    "Exit code: 0 everything matches, 1 something does not or is not finite, 2 bad input or, "
    "but for backprop, train and sweep, nothing compared."
)

FIRST_STEPS = """\
mathlab regenerates the numbers that articles on backpropagation report, and
judges each by its printed digits. To begin:

  mathlab init mine            writes a first experiment to mine.yaml
  mathlab backprop mine.yaml   shows every step of it, and judges its figures
  mathlab guide                is the manual, page by page

mathlab --help lists the other commands.
"""


class _Group(TyperGroup):
    """The commands, each imported and built when it is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer's own
        return [*COMMANDS]

    def get_command(self, ctx: typer.Context, name: str) -> TyperCommand | None:  # type: ignore[override]  # Typer's own
        return command_of(name) if name in COMMANDS else None

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # Typer's own
        """The arguments, of which the first is a command; of another tool's word, or a file, what is to be written."""
        word, known = args[0] if args else "", [one for parameter in self.get_params(ctx) for one in parameter.opts]
        if word.startswith("-") and word not in known:
            ctx.fail(f"No such option: {word}; a command comes first, as in: mathlab run net.yaml")
        meant = habits.command(word, COMMANDS) or (f"run {word}" if word and Path(word).exists() else "")
        if word == "help" and args[1:] and args[1] in COMMANDS:
            meant = f"{args[1]} -h"
        if word and word not in (*known, *COMMANDS):
            hint = (meant and f"; write: mathlab {meant}") or did_you_mean(word, COMMANDS)
            ctx.fail(f"No such command {word!r}{hint or '; mathlab -h lists them'}")
        return super().parse_args(ctx, args)


class _Command(TyperCommand):
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # Typer's own
        """The arguments; of another tool's option, what is to be written."""
        known = options(self)
        empty = any(arg == "" or re.fullmatch(r"--[\w-]+=", arg) for arg in args)
        if empty and "--config" in known:  # of a variable that is not set; as a path it would be the folder
            ctx.fail("An argument is empty.")
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", None)
            if option and option not in known:
                others = [name for name in COMMANDS if option in options(command_of(name))]
                hint = f"; it is an option of {', '.join(others)}" if others else ""
                hint = habits.option(option, known, COMMANDS) or hint or f"; mathlab {self.name} -h lists what there is"
                vars(error).update(message=f"No such option: {option}{hint}", possibilities=None)
            elif "unexpected extra" in str(error) and "--config" in known and "files" not in known.values():
                vars(error)["message"] = f"{error}; a config stands behind --config"
            raise


def options(command: TyperCommand) -> dict[str, str | None]:
    """From what the options, and the arguments, of a command are called to what its function calls them."""
    return {option: parameter.name for parameter in command.params for option in parameter.opts}


@functools.cache
def command_of(name: str) -> TyperCommand:
    """A command, of which nothing was imported before."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    body = getattr(import_module(f"mathlab.commands.{name}"), name)
    alone.command(name, cls=_Command, epilog=EXIT_CODES)(flat(body, _ended))
    built = typer.main.get_command(alone)
    assert isinstance(built, TyperCommand)
    return built


app = typer.Typer(
    cls=_Group,
    help="Regenerate the numbers that articles on backpropagation report, and judge each by its printed digits.",
    epilog=EXIT_CODES,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command that the arguments name, and exit."""
    threads.take(1)  # the same config, the same bytes, however many processors there are
    terminal.prepare()
    files.guard()
    sys.exit(_guarded(app))  # once more, for what is raised outside of a command, such as that no help can be written


def _ended(call: Callable[[], int]) -> None:
    """What a command returns, or raises, becomes the exit code."""
    raise typer.Exit(_guarded(call))


def _guarded(body: Callable[[], int]) -> int:
    try:
        return body()
    except (Exception, KeyboardInterrupt) as error:
        if interrupted(error):
            return INTERRUPTED
        _tell(error)
    return TROUBLE


def _tell(error: BaseException) -> None:
    """One line for each problem of what ended a command; trouble with files of ours is a MathlabError."""
    words = ": ".join(filter(None, (type(error).__name__, str(error))))
    if out_of_memory(error) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        words = NO_MEMORY
    elif isinstance(error, ImportError):  # a broken installation, or no memory for a library
        words = BROKEN.format(chain(error)[-1])
    elif isinstance(error, OSError):  # stdout is full, say
        words = ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)
    else:
        words = f"internal error: {words}, please report"
    terminal.complain(error.problems if isinstance(error, MathlabError) else [Problem(words)])
    if isinstance(error, OSError):
        terminal.silence(sys.stdout)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mathlab {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        terminal.write(FIRST_STEPS)
        raise typer.Exit(TROUBLE)  # a script that has lost its command does not pass
