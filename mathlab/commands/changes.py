"""What `--set` makes of a command: the same run twice, with the config's numbers and with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, READ_BY_PEOPLE, Cases, Permits, Telling
from mathlab.errors import MathlabError

if TYPE_CHECKING:
    from mathlab.experiment import Experiment


def show_changes(
    command: str, cases: Cases, telling: Telling, permits: Permits, texts: Sequence[str], out: Path | None
) -> int:
    """Print what the changes of `texts` move; write the changed run where `out` says so, and nothing else."""
    from rich.console import RenderableType
    from rich.text import Text

    from mathlab import plan
    from mathlab.config import change
    from mathlab.outputs.write import refuse_inputs, write
    from mathlab.reports.checks import Report
    from mathlab.reports.comparisons import changes_page

    if telling.form not in READ_BY_PEOPLE:
        raise MathlabError(f"--set shows a table or plain, not {telling.form}; --out writes the numbers")
    assigned = [*map(change.assignment, texts)]
    before, after = _experiments(command, cases.load(permits), cases.case or (), assigned)
    plans = [plan.plans(command, experiments, (), ["none"]) for experiments in (before, after)]
    refuse_inputs((planned.experiment for planned in plans[1]), out, telling.target)
    pages, good = list[RenderableType](), True
    for pair in zip(*plans, strict=True):
        old, new = (plan.judged(planned, terminal.progress) for planned in pair)
        for was, now in zip(old.cases, new.cases, strict=True):
            pages += [Text("")] if pages else []
            pages.append(changes_page(new.experiment.name, was, now, telling.quiet))
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

    chosen = [(owner, case) for owner, cases in plan.chosen(experiments, names) for case in cases]
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
