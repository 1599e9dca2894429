"""The updates of training: the optimizer's equations, the program that makes one, and the loop that makes them all.

Training, sweeps and the diagnosis run this loop, each with programs of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.language.syntax import replace as replace_parts
from mathlab.stages.prepare import Prepared

UPDATE = "_t"  # the number of the update, counted from 1

Rows = slice | NDArray[np.int64]
Batch = Mapping[str, Array]
# makes the updates after the first number up to the last one, on a batch: they change a state that it knows
Advance = Callable[[int, int, Batch], None]


@dataclass(frozen=True)
class Step:
    """One update as a program: `moved` maps names to the outputs that replace them."""

    program: Program
    moved: Mapping[str, str]


def updates(
    prepared: Prepared,
    settings: TrainSettings,
    advance_on: Callable[[int, Batch], Advance],
    stops: Collection[int] = (),
    seeds: Sequence[int | None] | None = None,
    batch_of: Callable[[Sequence[Rows]], Batch] | None = None,
) -> Iterator[int]:
    """Train, and tell the number of updates made: before the first one, and after each batch.

    `advance_on` gives what makes updates on batches of as many rows as the one that it is given. Where all rows are one
    batch, that is empty, and the numbers told are the `stops` and the last one. Several `seeds` pick rows of their own,
    which `batch_of` makes one batch of.
    """
    yield 0
    if settings.batch_size is None:
        advance, done = advance_on(1, {}), 0
        for stop in sorted(stop for stop in {*stops, settings.epochs} if 0 < stop <= settings.epochs):
            advance(done, stop, {})
            done = stop
            yield done
        return
    made: dict[int, Advance] = {}
    generators = [None if seed is None else np.random.default_rng(seed) for seed in seeds or [settings.seed]]
    pick, count, done = batch_of or _picking(prepared, settings), rows_of(prepared, settings), 0
    for _ in range(settings.epochs):
        orders = [None if rng is None else rng.permutation(count) for rng in generators]
        for start in range(0, count, settings.batch_size):
            part = slice(start, min(start + settings.batch_size, count))
            batch = pick([part if order is None else order[part] for order in orders])
            size = part.stop - start
            if size not in made:
                made[size] = advance_on(size, batch)
            made[size](done, done + 1, batch)
            done += 1
            yield done


def in_all(prepared: Prepared, settings: TrainSettings) -> tuple[int, int]:
    """The updates in an epoch, and in all of them."""
    batches = 1 if settings.batch_size is None else -(-rows_of(prepared, settings) // settings.batch_size)
    return batches, batches * settings.epochs


def _picking(prepared: Prepared, settings: TrainSettings) -> Callable[[Sequence[Rows]], Batch]:
    """What makes the batch of one generator's rows."""
    return lambda picked: {name: prepared.env[name][picked[0]] for name in settings.over}


def batch_at(prepared: Prepared, settings: TrainSettings, update: int) -> Batch:
    """The batch that an update is made on; empty where it is all data."""
    pick, last = _picking(prepared, settings), list[Sequence[Rows]]()

    def note(picked: Sequence[Rows]) -> Batch:
        last[:] = [picked]
        return {}

    done = updates(prepared, settings, lambda *_: lambda *_: None, batch_of=note)
    next(made for made in done if made >= update)
    return pick(last[0]) if last else {}


def rows_of(prepared: Prepared, settings: TrainSettings) -> int:
    """How many rows the batches are picked from; 1 where there are none."""
    return len(prepared.env[settings.over[0]]) if settings.batch_size is not None else 1


def first_rows(case: Case, settings: TrainSettings, size: int) -> Case:
    """The case with the batched inputs cut to a batch's size, so that its equations are typed and derived for it."""
    cut = {name: replace(case.inputs[name], array=case.inputs[name].array[:size]) for name in settings.over}
    return replace(case, inputs={**case.inputs, **cut}, expected=(), derivation=(), train=None, gradcheck=None)


def initial_state(prepared: Prepared, settings: TrainSettings) -> tuple[list[str], dict[str, Array]]:
    """The parameters that are trained; and all parameters with the optimizer's state, as copies to be changed."""
    trained = [name for name in prepared.case.parameters if name not in settings.freeze]
    state: dict[str, Array] = {name: prepared.env[name].copy() for name in prepared.case.parameters}
    return trained, state | at_rest(trained, settings, state)


def at_rest(trained: Iterable[str], settings: TrainSettings, values: Mapping[str, Array]) -> dict[str, Array]:
    """What the optimizer's state is before the first update."""
    parts = OPTIMIZERS[settings.optimizer].state
    return {state_name(part, name): np.zeros_like(values[name]) for name in trained for part in parts}


def state_name(part: str, parameter: str) -> str:
    """What the optimizer's state for a parameter is called in the program."""
    return f"_{part}_{parameter}"


def setting_name(setting: str) -> str:
    """The name by which a program reads a setting of the optimizer that is free."""
    return f"_setting_{setting}"


def update_program(
    prepared: Prepared,
    trained: Sequence[str],
    settings: TrainSettings,
    records: Sequence[Equation] = (),
    recorded: Sequence[str] = (),
) -> Step:
    """The forward, backward and update equations as one program, and some `records` of which it gives the `recorded`.

    All updates read the old parameters: they are simultaneous.
    """
    types = with_records(prepared.types, records)
    equations, moved = update_equations(trained, settings, types)
    equations = (*prepared.both, *records, *equations)  # the updates last, so that they may write over the gradients
    return Step(compile_program(equations, types, (*moved.values(), *recorded), prepared.case.dtype), moved)


def with_records(types: Types, records: Iterable[Equation]) -> Types:
    """The types with those of equations more."""
    types = Types(types.names, types.integral)
    for record in records:
        types.names[record.name] = types.of(record.expr)
    return types


def update_equations(
    trained: Sequence[str], settings: TrainSettings, types: Types, free: Collection[str] = ()
) -> tuple[tuple[Equation, ...], dict[str, str]]:
    """The optimizer's equations for every parameter, and which of their results replaces which name.

    What they define is added to `types`. Settings that are `free` are read by name (`setting_name`), as numbers in
    float64; the others are written out.
    """
    rule = OPTIMIZERS[settings.optimizer]
    types.names |= {UPDATE: Type(()), **{setting_name(setting): Type(()) for setting in free}}
    numbers: dict[str, Expr] = {setting: Num(value) for setting, value in settings.settings.items()}
    numbers |= {setting: Name(setting_name(setting)) for setting in free}
    outside = {UPDATE, *map(setting_name, free)}

    def rounded(part: Expr) -> Expr | None:
        """What is made of free settings alone is computed as it would be of numbers: not in the program's floats."""
        read_here = set(names(part))
        alone = read_here <= outside and not read_here <= {UPDATE}
        return Call("rounded", (part,)) if alone else None

    updates, moved = [], {}
    for name in trained:
        type_ = types.names[name]
        values = dict(numbers)
        values |= {"w": Name(name), "g": Name(f"d{name}"), "t": Name(UPDATE)}
        values |= {part: Name(state_name(part, name)) for part in rule.state}
        types.names |= {state_name(part, name): type_ for part in rule.state}
        for part, text in rule.update.items():
            expr = replace_parts(substitute(read(text), values), rounded)
            old = name if part == "w" else state_name(part, name)
            new = f"_next_{part}_{name}"
            updates.append(Equation(new, expr, unparse(expr)))
            types.names[new] = type_
            values[part] = Name(new)  # the lines after this one read the new state
            moved[old] = new
    return tuple(updates), moved
