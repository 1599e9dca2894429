"""The `mathlab` command: parse, call, print, exit. Nothing else in the package prints or exits.

What a command needs is imported when it runs: `mathlab --help` must not wait for NumPy.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec

import typer

from mathlab import __version__, terminal, threads
from mathlab.delivery import deliver, reporting
from mathlab.errors import MathlabError, Problem

if TYPE_CHECKING:
    from mathlab.experiment import Allowed
    from mathlab.plan import Command
    from mathlab.reports import Report
    from mathlab.results import ExperimentResult

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
Witnesses = Annotated[
    str | None,
    typer.Option("--witness", metavar="NAMES", help="tape, complex, central, torch, with commas; or none. [tape]"),
]
Form = Annotated[
    Literal["text", "latex", "numpy"], typer.Option("--format", metavar="FORM", help="text, latex or numpy.")
]
Format = Annotated[
    Literal["table", "plain", "json", "junit", "github", "markdown"],
    typer.Option("--format", metavar="FORM", help="table, plain, json, junit, github or markdown."),
]
Target = Annotated[
    Path | None, typer.Option("--report", "-o", metavar="FILE", help="Write the report to this file, not to stdout.")
]
Folders = Annotated[
    list[Path] | None,
    typer.Option("--allow-files", metavar="DIR", help="Let configs read data from this folder too. Repeatable."),
]
Large = Annotated[bool, typer.Option("--allow-large", help="Let configs take more than some seconds, or 1 GB.")]


def main() -> None:
    """Run the command that the arguments name, and exit."""
    threads.one()  # the same config, the same bytes, however many processors there are
    terminal.prepare()
    # Typer would build every command that it knows, with all its options, before it runs one
    asked = [known for known in app.registered_commands if known.callback and known.callback.__name__ in sys.argv[1:2]]
    app.registered_commands = asked or app.registered_commands
    try:
        app()
    except OSError as error:  # not even the help can be written
        _complain_of(error)
        sys.exit(TROUBLE)


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
    except OSError as error:
        _complain_of(error)
    except Exception as error:
        words = ": ".join(filter(None, (type(error).__name__, str(error))))
        terminal.complain([Problem(f"internal error: {words}, please report")])
    return TROUBLE


def _complain_of(error: OSError) -> None:
    """Tell that stdout is full, say; trouble with files of ours is a MathlabError."""
    terminal.complain([Problem(str(error))])
    terminal.silence(sys.stdout)


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
def backprop(
    config: Configs,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
    witness: Witnesses = None,
) -> int:
    """Run forward and backward, and judge the figures.

    For every node: its equation, value and gradient. Hand-derived formulas are held against the derived ones, and
    every gradient against witnesses.
    """
    witnesses = None if witness is None else [name.strip() for name in witness.split(",")]
    allowed = _allowed(allow_files, allow_large)
    return _run("backprop", config, out, case or (), quiet, form, target, allowed, witnesses)


@_command
def gradcheck(
    config: Configs,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Check every entry of every parameter's gradient.

    Held against the complex step and central differences; confirmed, refuted, or inconclusive.
    """
    return _run("gradcheck", config, out, case or (), quiet, form, target, _allowed(allow_files, allow_large))


@_command
def train(
    config: Configs,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Train as the config says, and judge the figures."""
    return _run("train", config, out, case or (), quiet, form, target, _allowed(allow_files, allow_large))


@_command
def sweep(
    config: Configs,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Where the runs are made: local, dask or ray.")
    ] = "local",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of the Dask or Ray cluster.")
    ] = None,
) -> int:
    """Make many runs with other settings, and compare how they end."""
    allowed = _allowed(allow_files, allow_large)
    return _run("sweep", config, out, case or (), quiet, form, target, allowed, where=(backend, scheduler))


@_command
def run(
    files: Files = None,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Run every stage that each config declares: the command for CI."""
    return _run(
        "run", files or [Path("configs")], out, case or (), quiet, form, target, _allowed(allow_files, allow_large)
    )


@_command
def derive(
    config: Configs,
    form: Form = "text",
    case: Cases = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Print the backward equations.

    As text, as LaTeX, or as the NumPy program that is run.
    """
    from mathlab import plan
    from mathlab.stages.backprop import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in plan.chosen(plan.load(config, _allowed(allow_files, allow_large)), case or ()):
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
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
) -> int:
    """Compare two output folders, or two CSVs."""
    from mathlab.difference import compare
    from mathlab.reports import DiffReport

    with reporting(form, target, lambda problems: DiffReport(a, b, None, most, problems)):
        report = DiffReport(a, b, compare(a, b, rtol, atol), most, quiet=quiet)
    deliver(report, form, target)
    return MATCH if report.passed else FAIL


@_command
def oracle(
    arrays: Annotated[
        Path, typer.Argument(metavar="ARRAYS", show_default=False, help="An .npz, or a CSV as nodes.csv.")
    ],
    config: Configs,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Hold the arrays of somebody else's backprop against the lab's, and say why one differs.

    Arrays are matched by name: W1, and for its gradient dW1, grad_W1, W1_grad, W1.grad or dL_dW1.
    """
    from mathlab import plan
    from mathlab.oracle import compare_file
    from mathlab.reports import OracleReport

    with reporting(form, target, lambda problems: OracleReport(arrays, (), problems, quiet)):
        experiments = plan.load(config, _allowed(allow_files, allow_large))
        results = compare_file([chosen for _, chosen in plan.chosen(experiments, case or ())], arrays)
        report = OracleReport(arrays, results, (), quiet)
    deliver(report, form, target)
    return MATCH if report.passed else FAIL


@_command
def update(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="A config, or a folder of them.")],
    case: Cases = None,
    force: Annotated[bool, typer.Option("--force", help="Also where the environment says CI=true.")] = False,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Put the computed number in the place of each printed one that fails.

    With as many digits, in the same notation; errata and everything else in the file stay as they are.
    """
    from mathlab import plan
    from mathlab.results import Tally
    from mathlab.update import changes, left_over
    from mathlab.update import update as write

    if os.environ.get("CI", "").lower() not in ("", "0", "false") and not force:
        raise MathlabError("CI checks figures and does not change them; --force changes them all the same")
    left, trouble = Tally(), False
    for planned in plan.plans("run", plan.load(files, _allowed(allow_files, allow_large)), case or ()):
        try:
            result = plan.judged(planned, terminal.progress)
            found, problems = changes(result)
            if found:
                write(result, found)
        except MathlabError as error:
            terminal.complain(error.problems)
            trouble = True
            continue
        terminal.write("".join(f"{change}\n" for change in found))
        terminal.complain(problems)
        left += left_over(result, found)
    return TROUBLE if trouble else MATCH if left.passed else FAIL


@_command
def selftest(
    files: Annotated[list[Path], typer.Argument(metavar="PATH...", show_default=False, help="Configs and folders.")],
    quiet: Quiet = False,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Change every figure and plant every fault, and tell what the run would not notice."""
    from mathlab import plan, selftest, tables

    results, refused = [], False
    for experiment in plan.load(files, _allowed(allow_files, allow_large)):
        try:
            results.append(selftest.run(experiment))
        except MathlabError as error:
            terminal.complain(error.problems)
            refused = True
    if any(result.figures + result.faults for result in results):
        terminal.console().print(tables.selftest(results, quiet), crop=False)
    elif not refused:
        raise MathlabError("nothing was changed: no figure and no gradient is looked at here")
    return TROUBLE if refused else MATCH if selftest.passed(results) else FAIL


@_command
def init(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the experiment, and so of its file.")]) -> int:
    """Write a first experiment, with comments, to NAME.yaml."""
    import shlex

    from mathlab.starter import start

    path = start(name)
    dashes = "-- " if str(path).startswith("-") else ""
    terminal.write(f"{path} is written; run it with: mathlab run {dashes}{shlex.quote(str(path))}\n")
    return MATCH


@_command
def schema() -> int:
    """Print the JSON Schema of a config, for editors."""
    from mathlab.config import jsonschema

    terminal.write(jsonschema.text())
    return MATCH


def _allowed(files: Sequence[Path] | None, large: bool) -> Allowed:
    from mathlab.experiment import Allowed

    return Allowed(tuple(files or ()), large)


def _run(
    command: Command,
    paths: Sequence[Path],
    out: Path,
    names: Sequence[str],
    quiet: bool,
    form: str,
    target: Path | None,
    allowed: Allowed,
    witnesses: Sequence[str] | None = None,
    where: tuple[str, str | None] | None = None,
) -> int:
    """Load everything; then run, print and write experiment after experiment."""
    from mathlab import outputs, plan, tables
    from mathlab.results import Tally, tally

    at_once = form == "table" and target is None  # the other formats are made of all results together
    kept: list[ExperimentResult] = []
    refused: list[Problem] = []

    def report(problems: Sequence[Problem]) -> Report:
        from mathlab.reports import RunReport

        return RunReport(command, tuple(kept), (*refused, *problems), quiet)

    with reporting(form, target, report):
        plans = plan.plans(command, plan.load(paths, allowed), names, witnesses, where)
        console, counts = terminal.console(), Tally()
        for planned in plans:
            try:
                result = plan.results(planned, functools.partial(terminal.progress, quiet=quiet))
            except MathlabError as error:
                terminal.complain(error.problems)
                refused += error.problems
                continue
            counts += tally(result)
            if not at_once:
                kept.append(result)
            elif page := tables.problems(result) if quiet else tables.report(result):
                console.print(page, crop=False)
            if at_once and len(plans) > 1 and not quiet:
                console.print(tables.closing(tally(result), result.experiment.name), crop=False)
            outputs.write(result, out, {"command": command}, everything=command == "run")
        if at_once and (counts.compared or not refused):
            console.print(tables.closing(counts), crop=False)
        if not refused and not counts.compared and command not in plan.OPTIONAL:
            raise MathlabError("nothing was compared: add expected figures, a derivation or a gradcheck to the config")
    if not at_once:
        deliver(report(()), form, target)
    return TROUBLE if refused else MATCH if counts.passed else FAIL
