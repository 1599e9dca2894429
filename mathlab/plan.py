"""What a command runs: which configs, which of their cases, which stages of each. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mathlab import config, habits
from mathlab.config.values import attempt
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import Allowed, Case, Experiment
from mathlab.results import CaseResult, ExperimentResult, tally
from mathlab.stages.table import STAGES, Asked, Progress, later
from mathlab.threads import held

RUN = "run"  # the command for CI, which runs what each case declares; the other commands are called as their stage
CLAIMS = (RUN, "gradcheck")  # commands that are there to compare, and so do not pass where nothing is


class Plan(NamedTuple):
    """The cases of one experiment that run, and their stages; an experiment of which none runs has no plan.

    `witnesses` names those that gradients are held against; None stands for the default ones. `where` says where the
    runs of a sweep are made, empty that it is here; `threads` what a matrix product takes, None as many as it does.
    """

    experiment: Experiment
    steps: tuple[tuple[Case, tuple[str, ...]], ...]
    witnesses: tuple[str, ...] | None = None
    where: str = ""
    threads: int | None = None


def load(paths: Sequence[Path], allowed: Allowed | None = None) -> list[Experiment]:
    """Every config, each file once. Raises MathlabError with the problems of all of them."""
    problems: list[Problem] = []
    files = {file.resolve(): file for path in paths for file in attempt(config.find, path, problems) or ()}
    read = partial(config.load, allowed=allowed)
    experiments = [made for file in files.values() if (made := attempt(read, file, problems))]
    _refuse(problems)
    return experiments


def chosen(experiments: Sequence[Experiment], names: Sequence[str]) -> list[tuple[Experiment, list[Case]]]:
    """By experiment the cases of these names, or all without names. Raises MathlabError for one that no case has."""
    known = [case.name for experiment in experiments for case in experiment.cases]
    wrong, listed = [name for name in names if name not in known], f"; known are {', '.join(dict.fromkeys(known))}"
    _refuse([Problem(f"unknown case {name!r}{did_you_mean(name, known) or listed}") for name in wrong])
    found = [(one, [case for case in one.cases if not names or case.name in names]) for one in experiments]
    return [(experiment, cases) for experiment, cases in found if cases]


def plans(
    command: str,
    experiments: Sequence[Experiment],
    names: Sequence[str],
    witnesses: Sequence[str] | None = None,
    where: tuple[str, str | None] | None = None,
    threads: int | None = None,
) -> list[Plan]:
    """What `command` runs; `where` is a backend and the address of its scheduler.

    Raises MathlabError when that is nothing, when two experiments share an output folder, and for a witness or a
    backend that does not exist or is not installed.
    """
    called: tuple[str, ...] | None = None if witnesses is None else later("mathlab.stages.witness:chosen")(witnesses)
    placed: str = "" if where is None else later("mathlab.stages.backends:where")(*where)
    picked = chosen(experiments, names)
    refuse_shared(experiments)
    _refuse([*_undeclared(experiments)] if command == RUN else [])
    made = []
    for experiment, cases in picked:
        if steps := tuple((case, stages) for case in cases if (stages := stages_of(command, case))):
            made.append(Plan(experiment, steps, called, placed, threads))
    if not made:
        raise MathlabError(f"nothing to {command}: no case here declares {command}{habits.EXAMPLES.get(command, '')}")
    return made


def stages_of(command: str, case: Case) -> tuple[str, ...]:
    """The stages of `case` that `command` runs: `run` those that the case declares, the others their own."""
    if command == RUN:
        return tuple(name for name, stage in STAGES.items() if stage.declared(case)) or ("backprop",)
    return () if STAGES[command].optional and not STAGES[command].declared(case) else (command,)


def refuse_shared(experiments: Iterable[Experiment]) -> None:
    """Raises MathlabError where two experiments would write to one folder."""
    paths = {experiment.name: experiment.path for experiment in experiments}
    for name, path, *_ in experiments:
        if path != paths[name]:
            raise MathlabError(f"{path} and {paths[name]} would write to the same output folder; rename one of them")


def _undeclared(experiments: Sequence[Experiment]) -> Iterator[Problem]:
    for experiment in experiments:
        if not any(stage.declared(case) for case in experiment.cases for stage in STAGES.values()):
            *some, last = ("expected", "derivation", *(name for name in STAGES if name != "backprop"))
            yield Problem(f"declares nothing to check: add {', '.join(some)} or {last}", Place(experiment.path, 1, 1))


def results(plan: Plan, progress: Progress) -> ExperimentResult:
    """Run every step, and look for what explains that which differs.

    Raises MathlabError with the problems of all cases.
    """
    return judged(plan, progress, _explained)


def judged(
    plan: Plan, progress: Progress, then: Callable[[Case, CaseResult], CaseResult] = lambda case, result: result
) -> ExperimentResult:
    """As `results`, for those who do not ask why: explaining takes longer than most runs."""
    asked, problems = Asked(progress, plan.witnesses, plan.where), []
    done: list[CaseResult] = []
    for case, names in plan.steps:
        try:
            # what is not finite is named in the results, not by NumPy
            with held(plan.threads), np.errstate(all="ignore"):
                found = {name: STAGES[name].run(case, asked) for name in sorted(names, key=lambda n: STAGES[n].turn)}
                result = CaseResult(case.name, case.dtype, {name: found[name] for name in STAGES if name in found})
                done.append(then(case, result))
        except MathlabError as error:
            problems += [replace(problem, place=problem.place or case.place) for problem in error.problems]
    _refuse(problems)
    return ExperimentResult(plan.experiment, tuple(done))


def _explained(case: Case, result: CaseResult) -> CaseResult:
    counts = tally(result)
    if counts.wrong or counts.errata or counts.formula_errata:
        from mathlab.diagnosis import explained

        return explained(case, result)
    return result


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise MathlabError(list(dict.fromkeys(problems)))
