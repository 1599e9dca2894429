"""The updates of training: the optimizer's equations, the program that makes one, and the loop that makes them all.

Training, sweeps and the diagnosis run this loop, each with programs of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import NO_RATE, Array, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.optimizers import CLIP_EPS
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type, show
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute
from mathlab.language.syntax import replace as replace_parts
from mathlab.stages.prepare import Prepared, computed, prepare

UPDATE = "_t"  # the number of the update, counted from 1
CHECKED = 100_000  # learning rates at a time

Rows = slice | NDArray[np.int64]
Batch = Mapping[str, Array]
# makes the updates after the first number up to the last one, on a batch: they change a state that it knows
Advance = Callable[[int, int, Batch], None]


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
        advance = advance_on(1, {})
        for start, stop in pairwise(sorted(stop for stop in {0, *stops, settings.epochs} if stop <= settings.epochs)):
            advance(start, stop, {})
            yield stop
        return
    made: dict[int, Advance] = {}
    generators = [None if seed is None else np.random.default_rng(seed) for seed in seeds or [settings.seed]]
    pick = batch_of or (lambda picked: {name: prepared.env[name][picked[0]] for name in settings.over})
    count, done = rows_of(prepared, settings), 0
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


def rows_of(prepared: Prepared, settings: TrainSettings) -> int:
    """How many rows the batches are picked from; 1 where there are none."""
    return len(prepared.env[settings.over[0]]) if settings.batch_size is not None else 1


def first_rows(prepared: Prepared, settings: TrainSettings, size: int) -> Prepared:
    """The case with the batched inputs cut to a batch's size, its equations typed and derived for it; or as it is."""
    case = prepared.case
    cut = {name: replace(case.inputs[name], array=case.inputs[name].array[:size]) for name in settings.over}
    bare = replace(case.having(cut), expected=(), derivation=(), train=None, gradcheck=None)
    return prepare(bare) if cut else prepared


def initial_state(prepared: Prepared, settings: TrainSettings) -> dict[str, Array]:
    """All parameters with the optimizer's state, as copies to be changed."""
    state: dict[str, Array] = {name: prepared.env[name].copy() for name in prepared.case.parameters}
    return state | at_rest(settings.trained(state), settings, state)


def at_rest(trained: Iterable[str], settings: TrainSettings, values: Mapping[str, Array]) -> dict[str, Array]:
    """What the optimizer's state is before the first update."""
    state = {}
    for name, part in product(trained, settings.rule.state):
        state[state_name(part, name)] = made = np.zeros_like(values[name])
        if given := settings.start.get(f"{part}_{name}"):
            made[...] = given.bound(made.dtype.name)
    return state


def settled(prepared: Prepared, settings: TrainSettings) -> TrainSettings:
    """The settings with a schedule that reads no other name than `t`.

    Raises MathlabError where it gives no learning rate, or where the state to start from does not fit the parameters.
    """
    for name, value in settings.start.items():
        parameter = name.partition("_")[2]
        if parameter and value.array.shape != (shape := prepared.types.names[parameter].shape):
            message = f"'{name}' has shape {show(value.array.shape)}, but '{parameter}' has shape {show(shape)}"
            raise MathlabError(message, value.place)
    if settings.schedule is None:
        return settings
    batches, total = in_all(prepared, settings)
    known = {"epoch": read(f"floor((t - 1) / {batches}) + 1"), "pi": Num(math.pi)}
    schedule = replace(settings.schedule, expr=substitute(settings.schedule.expr, known))
    before = _made_before(settings)
    for first in range(before, before + total, CHECKED):
        t = np.arange(first, min(first + CHECKED, before + total)) + 1.0
        rates = np.broadcast_to(computed([schedule], Types({"t": Type(t.shape)}), {"t": t}, "float64")[0], t.shape)
        noise = 1e-12 * np.max(np.abs(rates), where=np.isfinite(rates), initial=0)  # of what goes down to 0
        for wrong in np.flatnonzero(~(np.isfinite(rates) & (rates >= -noise)))[:1]:
            raise MathlabError(NO_RATE.format(f"{rates[wrong]:.6g} in update {t[wrong]:.0f}"), schedule.place)
    return settings._replace(schedule=schedule)


def _made_before(settings: TrainSettings) -> int:
    """The updates that the state to start from has seen."""
    return int(settings.start["t"].array) if "t" in settings.start else 0


def shown_state(
    trained: Sequence[str], settings: TrainSettings, now: Mapping[str, Array], done: int
) -> dict[str, Array]:
    """The optimizer's state after `done` updates and what is made of it, by the names that figures have for it."""
    rule = settings.rule
    shown = {f"{part}_{name}": now[state_name(part, name)] for name in trained for part in rule.state}
    given = {**settings.settings, "t": done + _made_before(settings)}
    numbers: dict[str, Expr] = {key: Num(value) for key, value in given.items()}
    lines = [(part, read(text)) for part, text in rule.lines if part in rule.shown and part not in rule.state]
    for name in trained:
        values = {**numbers, **{part: Name(f"{part}_{name}") for part in rule.shown}}
        made = [Equation(f"{part}_{name}", substitute(expr, values)) for part, expr in lines]
        types = Types({key: Type(np.shape(value)) for key, value in shown.items()})
        found = computed(made, types, shown, now[name].dtype.name)
        shown |= {line.name: value for line, value in zip(made, found, strict=True)}
    return shown


def state_name(part: str, parameter: str) -> str:
    """What the optimizer's state for a parameter is called in the program."""
    return f"_{part}_{parameter}"


def setting_name(setting: str) -> str:
    """The name by which a program reads a setting of the optimizer that is free."""
    return f"_setting_{setting}"


def update_program(
    prepared: Prepared,
    settings: TrainSettings,
    records: Sequence[Equation] = (),
    recorded: Sequence[str] = (),
    shaken: bool = False,
) -> tuple[Program, Mapping[str, str]]:
    """The forward, backward and update equations as one program, and some `records` of which it gives the `recorded`.

    It comes with the outputs that replace names. `shaken` is as in `compile_program`. All updates read the old
    parameters: they are simultaneous.
    """
    types = prepared.types.learning(records)
    equations, moved = update_equations(settings.trained(prepared.case.parameters), settings, types)
    equations = (*prepared.both, *records, *equations)  # the updates last, so that they may write over the gradients
    outputs = (*moved.values(), *recorded)
    return compile_program(equations, types, outputs, prepared.case.dtype, shaken), moved


def update_equations(
    trained: Sequence[str], settings: TrainSettings, types: Types, free: Collection[str] = ()
) -> tuple[tuple[Equation, ...], dict[str, str]]:
    """The optimizer's equations for every parameter, and which of their results replaces which name.

    What they define is added to `types`. Settings that are `free` are read by name (`setting_name`), as numbers in
    float64; the others are written out.
    """
    rule = settings.rule
    types.names |= {UPDATE: Type(()), **{setting_name(setting): Type(()) for setting in free}}
    numbers: dict[str, Expr] = {"clip_eps": Num(CLIP_EPS)}
    numbers |= {setting: Num(value) for setting, value in settings.settings.items()}
    before = _made_before(settings)
    clock: Expr = Call("add", (Name(UPDATE), Num(before))) if before else Name(UPDATE)
    if settings.schedule:  # in float64, as a number would be
        rate = substitute(settings.schedule.expr, {"t": Call("double", (clock,))})
        numbers = {"lr": Call("rounded", (rate,)), **numbers}
    numbers |= {setting: Name(setting_name(setting)) for setting in free}
    norm = read(f"sqrt({' + '.join(f'sum(square(d{name}))' for name in trained) or 0})")
    outside = {UPDATE, *map(setting_name, free)}

    def rounded(part: Expr) -> Expr | None:
        """What is made of free settings alone is computed as it would be of numbers: not in the program's floats."""
        return Call("rounded", (part,)) if {UPDATE} < {UPDATE, *names(part)} <= outside else None

    updates, moved = [], {}
    for name in trained:
        olds = {"w": name, **{part: state_name(part, name) for part in rule.state}}
        types.names |= dict.fromkeys(olds.values(), types.names[name])
        values = {**numbers, "g": Name(f"d{name}"), "t": clock, "norm": norm}
        values |= {part: Name(old) for part, old in olds.items()}
        for part, text in rule.lines:
            values[part] = replace_parts(substitute(read(text), values), rounded)
            if part in olds:
                new = moved[olds[part]] = f"_next_{part}_{name}"
                updates.append(Equation(new, values[part]))
                types.names[new] = types.names[name]
                values[part] = Name(new)  # the lines after this one read the new state
    return tuple(updates), moved
