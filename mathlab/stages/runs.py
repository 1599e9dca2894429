"""Runs of one case that differ in numbers alone: as one program whose values are stacked, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import compile_program
from mathlab.language.replicas import stack
from mathlab.language.shapes import Shape
from mathlab.stages import train
from mathlab.stages.limits import Cost, cost
from mathlab.stages.prepare import Prepared, evaluate, execute, prepare
from mathlab.stages.updates import UPDATE, Batch, Rows, Step, Training, advance, setting_name


class Ends(NamedTuple):
    """How runs end: the values of the case's figures (`expected`) and of its parameters, the runs on the first axis."""

    reported: tuple[Array, ...]
    parameters: Mapping[str, Array]


def alone(case: Case) -> Ends:
    """The end of one run, made as `train` makes it. Raises MathlabError for a case that does not fit."""
    prepared = prepare(case)
    prepared.run()  # tells where an index lies outside of its array, before training stumbles over it
    parameters = train.run(case).parameters if case.train else {}
    reported = evaluate(case.expected, prepared, prepared.run(parameters))
    return Ends(tuple(value[None] for value in reported), {name: value[None] for name, value in parameters.items()})


def weight(case: Case, differing: Collection[str] = (), count: int = 0) -> tuple[Cost, list[Shape]]:
    """What `count` stacked runs take that differ in these values; without a count, one run alone.

    And the shapes of the case's figures. Raises NotStackable where they cannot be stacked, and MathlabError for a case
    that does not fit.
    """
    prepared, settings, total = prepare(case), case.train, 1
    lines, types = _report(prepared)
    shapes, held = [types.names[line.name].shape for line in lines], prepared.cost.held
    own = {*differing, *(settings.trained(case.parameters) if settings else ())}
    if count:
        stack((*prepared.both, *lines), types, own, count)  # whether it can be done
    if settings:
        training = Training(prepared, settings)
        total, prepared = max(training.total, 1), training.cut(settings.batch_size or 1)
        own.update(settings.over)
    if not count:
        return Cost(total * prepared.cost.seconds, held, 0), shapes
    made = stack(prepared.both, prepared.types, own, count)
    taken = cost(made.equations, made.types)
    return Cost(total * taken.seconds, taken.held, 0), shapes


def _report(prepared: Prepared) -> tuple[list[Equation], Types]:
    """The figures of a case as equations, and the types with theirs."""
    figures = enumerate(prepared.case.expected)
    lines = [replace(figure.equation, name=f"_quantity_{number}") for number, figure in figures]
    return lines, prepared.types.learning(lines)


def together(cases: Sequence[Case]) -> Ends:
    """The ends of runs that are made as one program.

    The cases have the same equations, shapes, optimizer, number of epochs and size of batches. Raises NotStackable
    where they cannot be stacked, and MathlabError for what does not fit.
    """
    prepared, values, own = replicas(cases)
    lines, types = _report(prepared)
    made = stack((*prepared.both, *lines), types, own, len(cases))
    if every := [case.train for case in cases if case.train]:
        with np.errstate(all="ignore"):
            for _ in advance(*updating(prepared, every, values, own)):
                pass
    program = compile_program(made.equations, made.types, [line.name for line in lines], prepared.case.dtype)
    found = execute(program, values)

    def of_all(name: str, value: Array) -> Array:
        """What all runs have in common, once for each."""
        return value if name in made.names else np.broadcast_to(value, (len(cases), *np.shape(value)))

    final = {name: of_all(name, values[name]) for name in (prepared.case.parameters if every else ())}
    return Ends(tuple(of_all(line.name, found[line.name]) for line in lines), final)


def replicas(cases: Sequence[Case]) -> tuple[Prepared, dict[str, Array], set[str]]:
    """The first case made ready, the values of all, and the names that each has for itself: they differ, or move."""
    prepared, settings = prepare(cases[0]), cases[0].train
    given = [{**case.inputs, **case.parameters} for case in cases]
    own = {*(settings.trained(cases[0].parameters) if settings else ())}
    own |= {name for name, one in given[0].items() if any(each[name] is not one for each in given)}
    kinds = {name: np.asarray(prepared.env[name]).dtype.name for name in own}
    values = {name: np.stack([each[name].bound(kind) for each in given]) for name, kind in kinds.items()}
    return prepared, {**prepared.env, **values}, own


def updating(
    prepared: Prepared, every: Sequence[TrainSettings], values: Mapping[str, Array], own: Collection[str]
) -> tuple[Iterator[Step], dict[str, Array], Callable[[Step], Planned]]:
    """All updates of all runs, as `advance` makes them; the arrays of the parameters in `values` are changed.

    Runs that shuffle with the same seed share their rows.
    """
    free = [key for key in every[0].settings if len({each.settings[key] for each in every}) > 1]
    training = Training(prepared, every[0], free).settled()
    env = {**values, **training.at_rest(values)}
    env |= {setting_name(key): np.array([each.settings[key] for each in every]) for key in free}
    seeds, numbers = [each.seed for each in every], np.arange(training.rows)
    shared = len({*seeds}) == 1
    stacked = {*own, *env.keys() - values.keys(), *(() if shared else every[0].over)}

    def batch_of(picked: Sequence[Rows]) -> Batch:
        """For each run the rows of its own, where they are not `shared`; what is stacked has an axis of runs."""
        rows = numbers[picked[0]] if shared else np.stack([numbers[rows] for rows in picked])
        runs = slice(None) if shared else np.arange(len(picked))[:, None]
        return {name: env[name][runs, rows] if name in own else env[name][rows] for name in every[0].over}

    def on(step: Step) -> Planned:
        whole = training.on(step.size)
        made = stack(whole.both, whole.types, stacked, len(every))
        program = compile_program(made.equations, made.types, [*training.moved.values()], whole.case.dtype)
        sample = {**env, **step.batch, UPDATE: 1.0}
        return plan(program, sample, training.moved, varying=[*step.batch], clock=UPDATE)

    return training.steps(seeds=seeds[: 1 if shared else None], batch_of=batch_of), env, on
