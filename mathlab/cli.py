"""The `mathlab` command: parse, call, print, exit. Nothing else in the package prints or exits.

What a command needs is imported when it runs: `mathlab --help` must not wait for NumPy.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec

import typer

from mathlab import __version__, terminal
from mathlab.errors import MathlabError, Problem

if TYPE_CHECKING:
    from mathlab.plan import Command

# Importing makes objects that stay; looking for garbage among them every 700 of them costs a tenth of the start-up.
gc.set_threshold(100_000, 50, 50)

MATCH, FAIL, TROUBLE, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = "Exit code: 0 everything matches, 1 something does not, 2 bad input or nothing compared."

OUTPUTS = Path("outputs")

P = ParamSpec("P")

app = typer.Typer(
    help="Regenerate the numbers that articles on backpropagation report, and judge each by its printed digits.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Configs = Annotated[
    list[Path], typer.Option("--config", "-c", metavar="FILE", help="A config, or a folder of them. Repeatable.")
]
Files = Annotated[list[Path] | None, typer.Argument(metavar="PATH", help="Configs and folders of them. [configs/]")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for the CSVs.")]
Cases = Annotated[list[str] | None, typer.Option("--case", metavar="NAME", help="Only this case. Repeatable.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the problems and the last line.")]
Form = Annotated[
    Literal["text", "latex", "numpy"], typer.Option("--format", metavar="FORM", help="text, latex or numpy.")
]


def main() -> None:
    """The entry point."""
    terminal.tolerate_any_name()
    app()


def _command(body: Callable[P, int]) -> Callable[P, int]:
    """Register `body` as a command. What it returns, or raises, becomes the exit code."""

    @app.command(epilog=EXIT_CODES)
    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        raise typer.Exit(_guarded(lambda: body(*args, **kwargs)))

    return body


def _guarded(body: Callable[[], int]) -> int:
    try:
        return body()
    except MathlabError as error:
        terminal.complain(error.problems)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # stdout is full, say; trouble with files of ours is a MathlabError
        terminal.complain([Problem(str(error))])
        terminal.silence(sys.stdout)
    except Exception as error:
        words = ": ".join(filter(None, (type(error).__name__, str(error))))
        terminal.complain([Problem(f"internal error: {words}, please report")])
    return TROUBLE


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mathlab {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@_command
def backprop(config: Configs, out: Out = OUTPUTS, case: Cases = None, quiet: Quiet = False) -> int:
    """Run forward and backward, and judge the figures.

    For every node: its equation, value and gradient. Hand-derived formulas are held against the derived ones.
    """
    return _run("backprop", config, out, case or (), quiet)


@_command
def gradcheck(config: Configs, out: Out = OUTPUTS, case: Cases = None, quiet: Quiet = False) -> int:
    """Check every entry of every parameter's gradient.

    Held against the complex step and central differences; confirmed, refuted, or inconclusive.
    """
    return _run("gradcheck", config, out, case or (), quiet)


@_command
def train(config: Configs, out: Out = OUTPUTS, case: Cases = None, quiet: Quiet = False) -> int:
    """Train as the config says, and judge the figures."""
    return _run("train", config, out, case or (), quiet)


@_command
def run(files: Files = None, out: Out = OUTPUTS, case: Cases = None, quiet: Quiet = False) -> int:
    """Run every stage that each config declares: the command for CI."""
    return _run("run", files or [Path("configs")], out, case or (), quiet)


@_command
def derive(config: Configs, form: Form = "text", case: Cases = None) -> int:
    """Print the backward equations.

    As text, as LaTeX, or as the NumPy program that is run.
    """
    from mathlab import plan
    from mathlab.stages.backprop import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in plan.chosen(plan.load(config), case or ()):
        titles.setdefault(derivation(chosen, form).rstrip("\n"), []).append(f"{experiment.name}, {chosen.name}")
    mark = "%" if form == "latex" else "#"
    for index, (text, cases) in enumerate(titles.items()):
        heading = [*([""] if index else []), *(f"{mark} {title}" for title in cases)] if len(titles) > 1 else []
        terminal.console().out(*heading, text, sep="\n", highlight=False)
    return MATCH


@_command
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", show_default=False, help="An output folder or a CSV.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="What A is compared with.")],
    rtol: Annotated[float, typer.Option("--rtol", min=0, help="Relative tolerance.")] = 1e-9,
    atol: Annotated[float, typer.Option("--atol", min=0, help="Absolute tolerance.")] = 1e-12,
    most: Annotated[int, typer.Option("-n", min=0, help="How many differences to show.")] = 20,
) -> int:
    """Compare two output folders, or two CSVs."""
    from mathlab import tables
    from mathlab.difference import compare

    difference = compare(a, b, rtol, atol)
    terminal.console().print(tables.difference(difference, most), crop=False)
    return MATCH if difference.same else FAIL


def _run(command: Command, paths: Sequence[Path], out: Path, names: Sequence[str], quiet: bool) -> int:
    """Load everything; then run, print and write experiment after experiment."""
    from mathlab import outputs, plan, tables
    from mathlab.results import Tally, tally

    plans = plan.plans(command, plan.load(paths), names)
    console, counts, refused = terminal.console(), Tally(), False
    for planned in plans:
        try:
            result = plan.results(planned, functools.partial(terminal.progress, quiet=quiet))
        except MathlabError as error:
            terminal.complain(error.problems)
            refused = True
            continue
        counts += tally(result)
        page = tables.problems(result) if quiet else tables.report(result)
        if page is not None:
            console.print(page, crop=False)
        if len(plans) > 1 and not quiet:
            console.print(tables.closing(tally(result), result.experiment.name), crop=False)
        outputs.write(result, out, {"command": command})
    if counts.compared or not refused:
        console.print(tables.closing(counts), crop=False)
    if refused:
        return TROUBLE
    if not counts.compared and command != "train":
        raise MathlabError("nothing was compared: add expected figures, a derivation or a gradcheck to the config")
    return MATCH if counts.passed else FAIL
