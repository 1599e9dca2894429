"""The loop over experiments of the commands that run stages: it runs, prints and writes."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, OUTPUTS, TROUBLE, Cases, Permits, Telling
from mathlab.errors import MathlabError, Problem

DEFAULTS = {"run": [Path("configs")]}  # what a command reads that is told nothing


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
    if (telling.quiet and (brief or every)) or (sets and (brief or every or witnesses)):
        raise MathlabError("--quiet and --set leave out the page that --brief, --verbose and --witness are for")
    if sets:
        from mathlab.commands.changes import show_changes

        return show_changes(command, cases, telling, permits, sets, out)
    from mathlab import plan
    from mathlab.files import note
    from mathlab.outputs.write import ARTICLE, refuse_inputs, write
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
        without: dict[Problem, None] = {}  # pictures, each reason once
        for at, planned in enumerate(plans, start=1):
            began = time.perf_counter()
            step = f"{planned.experiment.name} ({at} of {len(plans)}): " if summary else ""
            more = {ARTICLE: ""} if command == "run" else {}
            pictures: Mapping[str, str | bytes] = {}
            article = None
            try:
                result = plan.results(planned, functools.partial(terminal.progress, quiet=telling.quiet, before=step))
                if command == "run" and result.experiment.source.article:
                    from mathlab.article.check import articles_of, coverage_of
                    from mathlab.reports.article import article_csv, article_report

                    files = articles_of(result.experiment)
                    coverage = coverage_of([result], files)
                    article = replace(article_report(files, coverage), quiet=telling.quiet or summary)
                    more[ARTICLE] = article_csv(coverage)
                if command == "run" and any(case.pictures for case in result.experiment.cases):
                    from mathlab.pictures import gallery

                    pictures, lacking = gallery.declared(result)
                    without |= dict.fromkeys(lacking)
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
        terminal.complain([*without])

    with telling.reporting(report):
        loaded = plan.load(cases.paths(DEFAULTS.get(command)), permits.allowed)
        plans = plan.plans(command, loaded, cases.case or (), witnesses, where)
        experiments = [planned.experiment for planned in plans]
        if command == "run":
            note(*(Path(one.path).parent / name for one in experiments for name, _ in one.source.article))
        refuse_inputs(experiments, out, telling.target)
        console = terminal.console()
        if summary:
            shown = runs.lines(ran(plans), [one.name for one in experiments], console.is_terminal)
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
