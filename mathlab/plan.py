"""What a command runs: which configs, which of their cases, which stages of each. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mathlab import config
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import Allowed, Case, Experiment
from mathlab.results import CaseResult, ExperimentResult, tally

if TYPE_CHECKING:
    from mathlab.stages.backends import Where

Stage = Literal["backprop", "gradcheck", "train", "sweep"]
Command = Literal["backprop", "gradcheck", "train", "sweep", "run"]
Progress = Callable[[str], AbstractContextManager[Callable[[int, int, float | None], None] | None]]

DECLARED: Mapping[Stage, Callable[[Case], bool]] = {
    "backprop": lambda case: bool(case.expected or case.derivation),
    "gradcheck": lambda case: case.gradcheck is not None,
    "train": lambda case: case.train is not None,
    "sweep": lambda case: case.sweep is not None,
}
CLAIMS = ("run", "gradcheck")  # commands that are there to compare, and so do not pass where nothing is
OPTIONAL = ("train", "sweep")  # stages that a case may not have, for it says nothing of what they do


@dataclass(frozen=True)
class Plan:
    """The cases of one experiment that run, and their stages; an experiment of which none runs has no plan.

    `witnesses` names those that gradients are held against; None stands for the default ones. `where` says where the
    runs of a sweep are made, None that it is here.
    """

    experiment: Experiment
    steps: tuple[tuple[Case, tuple[Stage, ...]], ...]
    witnesses: tuple[str, ...] | None = None
    where: Where | None = None


def load(paths: Sequence[Path], allowed: Allowed | None = None) -> list[Experiment]:
    """Every config, each file once. Raises MathlabError with the problems of all of them."""
    problems: list[Problem] = []
    files: dict[Path, Path] = {}
    experiments = []
    for path in paths:
        try:
            for file in config.find([path]):
                files.setdefault(file.resolve(), file)
        except MathlabError as error:
            problems += error.problems
    for file in files.values():
        try:
            experiments.append(config.load(file, allowed))
        except MathlabError as error:
            problems += error.problems
    _refuse(problems)
    return experiments


def chosen(experiments: Sequence[Experiment], names: Sequence[str]) -> list[tuple[Experiment, Case]]:
    """The cases of these names (of every name when there are none). Raises MathlabError for a name that no case has."""
    cases = [(experiment, case) for experiment in experiments for case in experiment.cases]
    known = [case.name for _, case in cases]
    _refuse([Problem(f"no case is named {name!r}{did_you_mean(name, known)}") for name in names if name not in known])
    return [(experiment, case) for experiment, case in cases if not names or case.name in names]


def plans(
    command: Command,
    experiments: Sequence[Experiment],
    names: Sequence[str],
    witnesses: Sequence[str] | None = None,
    where: tuple[str, str | None] | None = None,
) -> list[Plan]:
    """What `command` runs; `where` is a backend and the address of its scheduler.

    Raises MathlabError when that is nothing, when two experiments share an output folder, and for a witness or a
    backend that does not exist or is not installed.
    """
    called = None if witnesses is None else _called(witnesses)
    placed = None if where is None else _placed(*where)
    cases = [(experiment, case, stages_of(command, case)) for experiment, case in chosen(experiments, names)]
    steps = {
        experiment.path: tuple((case, stages) for owner, case, stages in cases if owner is experiment and stages)
        for experiment in experiments
    }
    _refuse(list(_objections(command, experiments)))
    made = [
        Plan(experiment, steps[experiment.path], called, placed) for experiment in experiments if steps[experiment.path]
    ]
    if not made:
        raise MathlabError(f"nothing to {command}: no case here declares {command}")
    return made


def _called(witnesses: Sequence[str]) -> tuple[str, ...]:
    from mathlab.stages import witness

    return witness.chosen(witnesses)


def _placed(backend: str, scheduler: str | None) -> Where:
    from mathlab.stages import backends

    return backends.where(backend, scheduler)


def stages_of(command: Command, case: Case) -> tuple[Stage, ...]:
    """The stages of `case` that `command` runs: `run` those that the case declares, the others their own."""
    if command == "run":
        return tuple(stage for stage, declares in DECLARED.items() if declares(case)) or ("backprop",)
    return () if command in OPTIONAL and not DECLARED[command](case) else (command,)


def _objections(command: Command, experiments: Sequence[Experiment]) -> Iterator[Problem]:
    paths: dict[str, str] = {}
    for experiment in experiments:
        other = paths.setdefault(experiment.name, experiment.path)
        if other != experiment.path:
            yield Problem(f"{other} and {experiment.path} would write to the same output folder; rename one of them")
        declared = any(declares(case) for case in experiment.cases for declares in DECLARED.values())
        if command == "run" and not declared:
            message = "declares nothing to check: add expected, derivation, gradcheck, train or sweep"
            yield Problem(message, Place(experiment.path, 1, 1))


def results(plan: Plan, progress: Progress) -> ExperimentResult:
    """Run every step, and look for what explains that which differs.

    Raises MathlabError with the problems of all cases.
    """
    return _run(plan, lambda case, stages: _explained(case, _judged(case, stages, progress, plan)))


def judged(plan: Plan, progress: Progress) -> ExperimentResult:
    """As `results`, for those who do not ask why: explaining takes longer than most runs."""
    return _run(plan, lambda case, stages: _judged(case, stages, progress, plan))


def _run(plan: Plan, run: Callable[[Case, Sequence[Stage]], CaseResult]) -> ExperimentResult:
    done, problems = [], []
    for case, stages in plan.steps:
        try:
            with np.errstate(all="ignore"):  # what is not finite is named in the results, not by NumPy
                done.append(run(case, stages))
        except MathlabError as error:
            problems += [replace(problem, place=problem.place or case.place) for problem in error.problems]
    _refuse(problems)
    return ExperimentResult(plan.experiment, tuple(done))


def _judged(case: Case, stages: Sequence[Stage], progress: Progress, plan: Plan) -> CaseResult:
    # imported one by one: `mathlab backprop` must not wait for the other stages
    result = CaseResult(case.name, case.dtype)
    # backprop last: its result holds the values of all nodes, and training needs the memory
    if "train" in stages:
        from mathlab.stages import train

        with progress(f"training {case.name}") as report:
            result = replace(result, train=train.run(case, report))
    if "sweep" in stages:
        from mathlab.stages import sweep
        from mathlab.stages.backends import LOCAL

        with progress(f"sweeping {case.name}") as report:
            result = replace(result, sweep=sweep.run(case, plan.where or LOCAL, report))
    if "gradcheck" in stages:
        from mathlab.stages import gradcheck

        result = replace(result, gradcheck=gradcheck.run(case))
    if "backprop" in stages:
        from mathlab.stages import backprop

        result = replace(result, backprop=backprop.run(case, plan.witnesses))
    return result


def _explained(case: Case, result: CaseResult) -> CaseResult:
    counts = tally(result)
    if counts.failed or counts.errata or counts.formulas_failed or counts.formula_errata:
        from mathlab.diagnosis import explained

        return explained(case, result)
    return result


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise MathlabError(list(dict.fromkeys(problems)))
