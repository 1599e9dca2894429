"""The commands that run stages, and their loop over experiments: it runs, prints and writes."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import (
    FAIL,
    MATCH,
    OUTPUTS,
    READ_BY_PEOPLE,
    TROUBLE,
    Cases,
    Every,
    Out,
    OutIf,
    Permits,
    Sets,
    Telling,
)
from mathlab.errors import MathlabError, Problem
from mathlab.files import refuse_inputs

if TYPE_CHECKING:
    from mathlab.experiment import Experiment
    from mathlab.reports.checks import Report
    from mathlab.results import ExperimentResult

DEFAULTS = {"run": [Path("configs")]}  # what a command reads that is told nothing


def backprop(
    cases: Cases,
    *,
    out: OutIf = None,
    sets: Sets = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print equations, values and gradients, and nothing else.")
    ] = False,
    verbose: Every = False,
    telling: Telling,
    permits: Permits,
    witness: Annotated[
        str | None,
        typer.Option("--witness", metavar="NAMES", help="tape, complex, central, torch, with commas; or none. [tape]"),
    ] = None,
) -> int:
    """Run forward and backward, and judge the figures.

    For every node: its equation, value and gradient. Hand-derived formulas are held against the derived ones, and
    every gradient against witnesses.
    """
    witnesses = None if witness is None else [name.strip() for name in witness.split(",")]
    return run_stages("backprop", cases, telling, permits, out, sets, witnesses, brief=brief, every=verbose)


def gradcheck(cases: Cases, *, out: OutIf = None, sets: Sets = None, telling: Telling, permits: Permits) -> int:
    """Check every entry of every parameter's gradient.

    Held against the complex step and central differences; confirmed, refuted, or inconclusive.
    """
    return run_stages("gradcheck", cases, telling, permits, out, sets)


def train(cases: Cases, *, out: OutIf = None, sets: Sets = None, telling: Telling, permits: Permits) -> int:
    """Train as the config says, and judge the figures."""
    return run_stages("train", cases, telling, permits, out, sets)


def sweep(
    cases: Cases,
    *,
    out: Out = OUTPUTS,
    telling: Telling,
    permits: Permits,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Where the runs are made: local or dask.")
    ] = "local",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster.")
    ] = None,
) -> int:
    """Make many runs with other settings, and compare how they end."""
    return run_stages("sweep", cases, telling, permits, out, where=(backend, scheduler))


def run(
    cases: Cases,
    *,
    out: Out = OUTPUTS,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print the page of every experiment.")] = False,
    telling: Telling,
    permits: Permits,
) -> int:
    """Run every stage that each config declares: the command for CI.

    Without a FILE, those of configs/. Prints a line for each experiment, and in full what failed.
    """
    code = run_stages("run", cases, telling, permits, out, summary=not verbose, every=verbose)
    if (out / "index.html").is_file():
        from mathlab.pictures.gallery import write_index

        write_index(out)
    return code


def run_stages(
    command: str,
    cases: Cases,
    telling: Telling,
    permits: Permits,
    out: Path | None,
    sets: Sequence[str] | None = None,
    witnesses: Sequence[str] | None = None,
    where: tuple[str, str | None] | None = None,
    summary: bool = False,
    brief: bool = False,
    every: bool = False,
) -> int:
    """Load everything; then run, print and write experiment after experiment.

    With `summary`, a table is a line for each, and then what failed, in place of the pages; with `brief`, a page is
    nothing but the equations with values and gradients. With `every`, pages show every step of a loop. Of what is to be
    set, what it moves is shown in place of all that.
    """
    if sets:
        return _show_changes(command, cases, telling, permits, sets, out)
    from mathlab import plan
    from mathlab.outputs.write import ARTICLE, write, written_to
    from mathlab.reports import page, runs
    from mathlab.reports.steps import in_full
    from mathlab.results import Tally, tally

    out = out or OUTPUTS
    at_once = telling.form == "table" and telling.target is None  # the other formats are made of all results together
    summary = summary and at_once and not telling.quiet
    kept: list[runs.Ran] = []
    refused: list[Problem] = []
    found: list[tuple[Tally, bool]] = []

    report = functools.partial(runs.run_report, command, kept, refused, brief)

    def ran(plans: Sequence[plan.Plan]) -> Iterator[runs.Ran]:
        """Each experiment as soon as it has run; once it is told, its files are written."""
        left_out = 0  # plots
        for at, planned in enumerate(plans, start=1):
            began = time.perf_counter()
            step = f"{planned.experiment.name} ({at} of {len(plans)}): " if summary else ""
            more: dict[str, str] = {}
            pictures: Mapping[str, str | bytes] = {}
            article = None
            try:
                result = plan.results(planned, functools.partial(terminal.progress, quiet=telling.quiet, before=step))
                if command == "run":
                    article, more[ARTICLE] = _article(result, telling.quiet or summary)
                if command == "run" and any(case.pictures for case in result.experiment.cases):
                    from mathlab.pictures import gallery

                    pictures, without = gallery.declared(result)
                    left_out += without
            except MathlabError as error:
                terminal.complain(error.problems)
                refused.extend(error.problems)
                continue
            one = runs.Ran(in_full(result) if every else result, article, time.perf_counter() - began)
            found.append((tally(result), one.accounted))
            yield one
            write(result, out, {"command": command, "threads": permits.threads}, everything=command == "run", more=more)
            if pictures:
                gallery.write(result, out, pictures)
        if left_out:
            from mathlab.pictures.plots import MISSING

            plots = "1 plot is" if left_out == 1 else f"{left_out} plots are"
            terminal.complain([Problem(f"{plots} not drawn anew, for {MISSING}")])

    with telling.reporting(report):
        plans = plan.plans(
            command, plan.load(cases.paths(DEFAULTS.get(command)), permits.allowed), cases.names, witnesses, where
        )
        names = [planned.experiment.name for planned in plans]
        written = [path for name in names for path in written_to(out, name)]
        refuse_inputs([out, *written, *([telling.target] if telling.target else [])])
        console = terminal.console()
        if summary:
            shown = runs.lines(ran(plans), names, console.is_terminal)
        elif at_once:
            shown = runs.pages(ran(plans), telling.quiet, brief, len(plans) > 1 and not telling.quiet)
        else:
            shown = iter(())
            kept.extend(ran(plans))
        for part in shown:
            console.print(part, crop=False)
        counts = sum((counts for counts, _ in found), Tally())
        if at_once and (counts.compared or not refused):
            console.print(page.closing(counts), crop=False)
        if not refused and counts.passed and not counts.compared and command in plan.CLAIMS:
            raise MathlabError("nothing was compared: add expected figures, a derivation or a gradcheck to the config")
    if not at_once:
        telling.deliver(report())
    passed = counts.passed and all(accounted for _, accounted in found)
    return TROUBLE if refused else MATCH if passed else FAIL


def _article(result: ExperimentResult, quiet: bool) -> tuple[Report | None, str]:
    """What the config's articles' numbers are, as a report and as a CSV; nothing where it names none."""
    if not result.experiment.source.article:
        return None, ""
    from mathlab.article.check import articles_of, coverage_of
    from mathlab.reports.article import article_csv, article_report

    files = articles_of(result.experiment)
    coverage = coverage_of([result], files)
    return replace(article_report(files, coverage), quiet=quiet), article_csv(coverage)


# What --set makes of a command: the same run twice, with the config's numbers and with others.


def _show_changes(
    command: str, cases: Cases, telling: Telling, permits: Permits, texts: Sequence[str], out: Path | None
) -> int:
    """Print what the changes of `texts` move; write the changed run where `out` says so, and nothing else."""
    from rich.console import RenderableType
    from rich.text import Text

    from mathlab import plan
    from mathlab.config import change
    from mathlab.outputs.write import write, written_to
    from mathlab.reports.checks import Report
    from mathlab.reports.comparisons import changes_page

    paths, form, target = cases.paths(), telling.form, telling.target
    if form not in READ_BY_PEOPLE:
        raise MathlabError(f"what --set moves is shown as a table or plain, not as {form}; --out writes the numbers")
    assigned = [*map(change.assignment, texts)]
    before, after = _experiments(command, plan.load(paths, permits.allowed), cases.names, assigned)
    plans = [plan.plans(command, experiments, (), ["none"]) for experiments in (before, after)]
    files = [path for planned in plans[1] for path in written_to(out, planned.experiment.name)] if out else []
    refuse_inputs([*([out] if out else []), *files, *([target] if target else [])])
    pages, good = list[RenderableType](), True
    for pair in zip(*plans, strict=True):
        old, new = (plan.judged(planned, terminal.progress) for planned in pair)
        for was, now in zip(old.cases, new.cases, strict=True):
            pages += [Text("")] if pages else []
            pages.append(changes_page(new.experiment.name, was, now))
        good = good and not any(case.nonfinite for case in new.cases)
        if out:
            write(new, out, {"command": command, "set": list(texts)})
    telling.deliver(Report(command, good, "", tables=lambda _: pages, compared=tuple, about=dict))
    return MATCH if good else FAIL


def _experiments(
    command: str, experiments: Sequence[Experiment], names: Sequence[str], assigned: Sequence[tuple[str, str]]
) -> tuple[list[Experiment], list[Experiment]]:
    """The experiments with those of the chosen cases that change, which nothing is held against, and as they become."""
    from mathlab import plan
    from mathlab.config import change

    chosen = plan.chosen(experiments, names)
    old = [change.unjudged(case) for _, case in chosen]
    new = old
    for target, given in assigned:
        was, new = new, change.changed(new, target, given)
        trains = ([(case.rolled or (case,))[0].train for case in cases] for cases in (was, new))
        if command != "train" and any(one is not other for one, other in zip(*trains, strict=True)):
            raise MathlabError(f"{target} is read by training alone, and moves nothing here: write mathlab train")
    owners = (owner for owner, _ in chosen)
    moved = [found for found in zip(owners, old, new, strict=True) if found[1] is not found[2]]
    return (
        [one._replace(cases=tuple(was for owner, was, _ in moved if owner is one)) for one in experiments],
        [one._replace(cases=tuple(now for owner, _, now in moved if owner is one)) for one in experiments],
    )
