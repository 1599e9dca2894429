"""The loop over experiments of the commands that run stages: it runs, prints and writes."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, TROUBLE, Cases, Permits, Telling
from mathlab.errors import MathlabError, Problem
from mathlab.files import refuse_inputs

if TYPE_CHECKING:
    from mathlab.reports.report import Report
    from mathlab.results import ExperimentResult

DEFAULTS = {"run": [Path("configs")]}  # what a command reads that is told nothing


def run_stages(
    command: str,
    cases: Cases,
    telling: Telling,
    permits: Permits,
    out: Path,
    witnesses: Sequence[str] | None = None,
    where: tuple[str, str | None] | None = None,
    summary: bool = False,
    brief: bool = False,
    every: bool = False,
) -> int:
    """Load everything; then run, print and write experiment after experiment.

    With `summary`, a table is a line for each, and then what failed, in place of the pages; with `brief`, a page is
    nothing but the equations with values and gradients. With `every`, pages show every step of a loop.
    """
    from mathlab import plan
    from mathlab.outputs.write import ARTICLE, write, written_to
    from mathlab.reports import overview, page
    from mathlab.results import Tally, step_by_step, tally

    paths, quiet, target = cases.paths(DEFAULTS.get(command)), telling.quiet, telling.target
    at_once = telling.form == "table" and target is None  # the other formats are made of all results together
    summary = summary and at_once and not quiet
    kept: list[ExperimentResult] = []
    articles: list[Report] = []
    refused: list[Problem] = []
    left_out = 0  # plots

    def report(problems: Sequence[Problem]) -> Report:
        from mathlab.reports.report import run_report

        return run_report(command, tuple(kept), (*refused, *problems), quiet, tuple(articles), brief)

    with telling.reporting(report):
        plans = plan.plans(command, plan.load(paths, permits.allowed), cases.names, witnesses, where)
        written = [path for planned in plans for path in written_to(out, planned.experiment.name)]
        refuse_inputs([out, *written, *([target] if target else [])])
        console, counts = terminal.console(), Tally()
        called = [planned.experiment.name for planned in plans]
        names = called if summary else ()
        view = overview.View(overview.showing(quiet, brief), len(plans) > 1 and not quiet, names, console.is_terminal)
        for at, planned in enumerate(plans, start=1):
            began = time.perf_counter()
            step = f"{called[at - 1]} ({at} of {len(plans)}): " if summary else ""
            try:
                result = plan.results(planned, functools.partial(terminal.progress, quiet=quiet, before=step))
                article, table = _article(result, quiet or summary) if command == "run" else (None, "")
                pictures, without = _pictures(result) if command == "run" else ({}, 0)
                left_out += without
            except MathlabError as error:
                terminal.complain(error.problems)
                refused += error.problems
                continue
            counts += tally(result)
            result = step_by_step(result) if every else result
            if at_once:
                for shown in view.of(result, article, time.perf_counter() - began):
                    console.print(shown, crop=False)
            else:
                kept.append(result)
            articles += [article] if article else []
            more = {ARTICLE: table} if command == "run" else {}
            write(result, out, {"command": command, "threads": permits.threads}, everything=command == "run", more=more)
            if pictures:
                from mathlab.pictures import gallery

                gallery.write(result, out, pictures)
        _tell_of_plots(left_out)
        if at_once and (counts.compared or not refused):
            for shown in (*view.rest(), page.closing(counts)):
                console.print(shown, crop=False)
        if not refused and counts.passed and not counts.compared and command in plan.CLAIMS:
            raise MathlabError("nothing was compared: add expected figures, a derivation or a gradcheck to the config")
    if not at_once:
        telling.deliver(report(()))
    passed = counts.passed and all(article.passed for article in articles)
    return TROUBLE if refused else MATCH if passed else FAIL


def _article(result: ExperimentResult, quiet: bool) -> tuple[Report | None, str]:
    """What the config's articles' numbers are, as a report and as a CSV; nothing where it names none."""
    if not result.experiment.source.article:
        return None, ""
    from mathlab.article.check import articles_of, coverage_of
    from mathlab.reports.article import article_csv, article_report

    coverage = coverage_of(result)
    return article_report(articles_of(result.experiment), coverage, quiet=quiet), article_csv(coverage)


def _pictures(result: ExperimentResult) -> tuple[Mapping[str, str | bytes], int]:
    """The pictures that a config declares, and how many plots are left as they are, for want of matplotlib."""
    if not any(case.pictures for case in result.experiment.cases):
        return {}, 0
    from mathlab.pictures import gallery

    return gallery.declared(result)


def _tell_of_plots(left_out: int) -> None:
    if left_out:
        plots = "1 plot is" if left_out == 1 else f"{left_out} plots are"
        terminal.complain([Problem(f"{plots} not drawn anew, for matplotlib is not installed")])
