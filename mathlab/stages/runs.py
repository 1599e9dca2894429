"""Runs of one case that differ in numbers alone: as one program whose values are stacked, or one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.check import Types
from mathlab.language.cost import Cost, cost
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import compile_program
from mathlab.language.replicas import Stacked, stack
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


def weight(
    case: Case, differing: Sequence[str] = (), free: Sequence[str] = (), count: int = 0
) -> tuple[Cost, tuple[Shape, ...]]:
    """What `count` stacked runs take that differ in these values and settings; without a count, one run alone.

    And the shapes of the case's figures.

    Raises NotStackable where they cannot be stacked, and MathlabError for a case that does not fit.
    """
    trained = case.train.trained(case.parameters) if case.train else ()
    runs = Replicas([case] * max(count, 1), prepare(case), tuple(differing), trained, tuple(free))
    lines, types = runs.report()
    shapes = tuple(types.names[line.name].shape for line in lines)
    total, prepared = 1, runs.prepared
    if case.train:
        total = max(moves.in_all(prepared, case.train)[1], 1)
        if case.train.batch_size is not None:
            prepared = prepare(moves.first_rows(case, case.train, case.train.batch_size))
    if not count:
        return Cost(total * prepared.cost.seconds, runs.prepared.cost.held, 0), shapes
    runs.stacked(lines, types)
    own = {*differing, *trained, *(case.train.over if case.train else ())}
    made = stack(prepared.both, prepared.types, own, count)
    taken = cost(made.equations, made.types)
    return Cost(total * taken.seconds, taken.held, 0), shapes


def together(cases: Sequence[Case]) -> Ends:
    """The ends of runs that are made as one program.

    The cases have the same equations, shapes, optimizer, number of epochs and size of batches. Raises NotStackable
    where they cannot be stacked, and MathlabError for what does not fit.
    """
    runs, train = Replicas.of(cases), cases[0].train
    lines, types = runs.report()
    made = runs.stacked(lines, types)
    values = runs.values()
    if train:
        with np.errstate(all="ignore"):
            runs.train(train, values)
    program = compile_program(made.equations, made.types, [line.name for line in lines], cases[0].dtype)
    found = execute(program, values)

    def of_all(name: str, value: Array) -> Array:
        """What all runs have in common, once for each."""
        return value if name in made.names else np.broadcast_to(value, (len(cases), *np.shape(value)))

    final = {name: of_all(name, values[name]) for name in (cases[0].parameters if train else ())}
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
        prepared = prepare(cases[0])
        given = [{**case.inputs, **case.parameters} for case in cases]
        settings = [case.train.settings for case in cases if case.train]
        differing = tuple(name for name in given[0] if any(each[name] is not given[0][name] for each in given))
        free = tuple(name for name in settings[0] if len({each[name] for each in settings}) > 1) if settings else ()
        trained = cases[0].train.trained(cases[0].parameters) if cases[0].train else ()
        return cls(cases, prepared, differing, trained, free)

    def report(self) -> tuple[tuple[Equation, ...], Types]:
        """The figures of the case as equations, and the types with theirs."""
        figures = enumerate(self.prepared.case.expected)
        lines = tuple(replace(figure.equation, name=f"_quantity_{number}") for number, figure in figures)
        return lines, self.prepared.types.learning(lines)

    def stacked(self, lines: Sequence[Equation], types: Types) -> Stacked:
        """The equations of all runs, in both directions, and the `lines` after them."""
        own = {*self.differing, *self.trained}
        return stack((*self.prepared.both, *lines), types, own, len(self.cases))

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
        count = moves.rows_of(self.prepared, settings)

        def batch_of(picked: Sequence[moves.Rows]) -> moves.Batch:
            rows = [np.arange(count)[rows] for rows in picked]
            return {name: _picked(env[name], rows, name in own, shared) for name in settings.over}

        def advance_on(size: int, batch: moves.Batch) -> moves.Advance:
            cut = prepare(moves.first_rows(self.prepared.case, settings, size)) if batch else self.prepared
            names = own if shared else own.union(batch)
            return partial(self.planned(cut, settings, {**env, **batch}, names, [*batch]).advance, env)

        for _ in moves.updates(self.prepared, settings, advance_on, (), seeds[: 1 if shared else None], batch_of):
            pass

    def state(self, settings: TrainSettings, values: Mapping[str, Array]) -> tuple[dict[str, Array], set[str]]:
        """The values with the optimizer's state and its free settings, and the names that each run has for itself."""
        env = {**values, **moves.at_rest(self.trained, settings, values)}
        own = {*self.differing, *self.trained, *env.keys() - values.keys()}
        for setting in self.free:
            env[moves.setting_name(setting)] = np.array(
                [case.train.settings[setting] for case in self.cases if case.train]
            )
            own.add(moves.setting_name(setting))
        return env, own

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


def _picked(value: Array, rows: Sequence[NDArray[np.integer]], stacked: bool, shared: bool) -> Array:
    """The rows of a batch: `value` has an axis of runs when it is `stacked`, and `rows` are one for each run unless
    they are `shared`."""
    if shared:
        return value[:, rows[0]] if stacked else value[rows[0]]
    return value[np.arange(len(rows))[:, None], np.stack(rows)] if stacked else value[np.stack(rows)]
