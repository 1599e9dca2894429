"""Runs of one case that differ in numbers alone: as one program whose values are stacked, or one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.check import Types
from mathlab.language.cost import Cost, cost
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import compile_program
from mathlab.language.replicas import stack
from mathlab.language.shapes import Shape
from mathlab.stages import train
from mathlab.stages import updates as moves
from mathlab.stages.prepare import Prepared, evaluate, execute, prepare


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


def joined(ends: Sequence[Ends]) -> Ends:
    """The ends of all runs as one."""
    reported = tuple(map(np.concatenate, zip(*(each.reported for each in ends), strict=True)))
    return Ends(
        reported, {name: np.concatenate([each.parameters[name] for each in ends]) for name in ends[0].parameters}
    )


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
        total = max(moves.in_all(prepared, settings)[1], 1)
        prepared = moves.first_rows(prepared, settings, settings.batch_size or 1)
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
    runs = Replicas.of(cases)
    prepared, values, own = runs.prepared, runs.values(), {*runs.differing, *runs.trained}
    lines, types = _report(prepared)
    made = stack((*prepared.both, *lines), types, own, len(cases))
    if settings := prepared.case.train:
        with np.errstate(all="ignore"):
            runs.train(settings, values)
    program = compile_program(made.equations, made.types, [line.name for line in lines], prepared.case.dtype)
    found = execute(program, values)

    def of_all(name: str, value: Array) -> Array:
        """What all runs have in common, once for each."""
        return value if name in made.names else np.broadcast_to(value, (len(cases), *np.shape(value)))

    final = {name: of_all(name, values[name]) for name in (prepared.case.parameters if settings else ())}
    return Ends(tuple(of_all(line.name, found[line.name]) for line in lines), final)


class Replicas(NamedTuple):
    """Runs that are stacked.

    `differing` are the inputs and parameters that are not the same in all runs, `trained` the parameters that move,
    `free` the settings of the optimizer that are not the same in all runs.
    """

    cases: Sequence[Case]
    prepared: Prepared
    differing: tuple[str, ...]
    trained: tuple[str, ...]
    free: tuple[str, ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Replicas:
        """What differs between the cases. Raises MathlabError when the first does not fit."""
        given = [{**case.inputs, **case.parameters} for case in cases]
        settings = [case.train for case in cases if case.train]
        differing = tuple(name for name, one in given[0].items() if any(each[name] is not one for each in given))
        known = settings[0].settings if settings else ()
        free = tuple(key for key in known if len({each.settings[key] for each in settings}) > 1)
        trained = settings[0].trained(cases[0].parameters) if settings else ()
        return cls(cases, prepare(cases[0]), differing, trained, free)

    def values(self) -> dict[str, Array]:
        """The inputs and parameters of all runs."""
        values = dict(self.prepared.env)
        given = [{**case.inputs, **case.parameters} for case in self.cases]
        for name in {*self.differing, *self.trained}:
            kind = np.asarray(values[name]).dtype.name
            values[name] = np.stack([each[name].bound(kind) for each in given])
        return values

    def train(self, settings: TrainSettings, values: dict[str, Array]) -> None:
        """Make all updates of all runs. The arrays of the trained parameters in `values` are changed.

        Runs that shuffle with the same seed share their rows.
        """
        settings = moves.settled(self.prepared, settings)
        env, own = self.state(settings, values)
        seeds = [case.train.seed for case in self.cases if case.train]
        shared = len(set(seeds)) == 1
        every = np.arange(moves.rows_of(self.prepared, settings))

        def batch_of(picked: Sequence[moves.Rows]) -> moves.Batch:
            """For each run the rows of its own, where they are not `shared`; what is stacked has an axis of runs."""
            rows = every[picked[0]] if shared else np.stack([every[rows] for rows in picked])
            runs = slice(None) if shared else np.arange(len(picked))[:, None]
            return {name: env[name][runs, rows] if name in own else env[name][rows] for name in settings.over}

        def advance_on(size: int, batch: moves.Batch) -> moves.Advance:
            cut = moves.first_rows(self.prepared, settings, size)
            names = own if shared else own.union(batch)
            return partial(self.planned(cut, settings, {**env, **batch}, names, [*batch]).advance, env)

        for _ in moves.updates(self.prepared, settings, advance_on, (), seeds[: 1 if shared else None], batch_of):
            pass

    def state(self, settings: TrainSettings, values: Mapping[str, Array]) -> tuple[dict[str, Array], set[str]]:
        """The values with the optimizer's state and its free settings, and the names that each run has for itself."""
        env = {**values, **moves.at_rest(self.trained, settings, values)}
        for setting in self.free:
            numbers = [case.train.settings[setting] for case in self.cases if case.train]
            env[moves.setting_name(setting)] = np.array(numbers)
        return env, {*self.differing, *self.trained, *env.keys() - values.keys()}

    def planned(
        self,
        prepared: Prepared,
        settings: TrainSettings,
        env: Mapping[str, Array],
        own: Collection[str],
        varying: Sequence[str] = (),
    ) -> Planned:
        """One update of all runs; `own` are the names that have a value for each."""
        types = prepared.types.learning(())
        equations, moved = moves.update_equations(self.trained, settings, types, self.free)
        made = stack((*prepared.both, *equations), types, own, len(self.cases))
        program = compile_program(made.equations, made.types, tuple(moved.values()), prepared.case.dtype)
        return plan(program, {**env, moves.UPDATE: 1.0}, moved, varying=varying, clock=moves.UPDATE)
