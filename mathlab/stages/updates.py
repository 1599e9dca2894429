"""The updates of training: the optimizer's equations, and the one loop that training, sweeps and the diagnosis run."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.derive import WIDEST
from mathlab.language.equation import Equation
from mathlab.language.optimizers import CLIP_EPS, OPTIMIZERS
from mathlab.language.planned import Planned
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute
from mathlab.language.syntax import replace as replace_parts
from mathlab.language.terms import total
from mathlab.stages.prepare import Env, Prepared, computed, prepare

UPDATE = "_t"  # the number of the update, counted from 1
CHECKED = 100_000  # learning rates at a time

Rows = slice | NDArray[np.int64]
Batch = Mapping[str, Array]


class Step(NamedTuple):
    """Updates to be made, after the `first` up to the `last`, on a batch of `size` rows; all rows are an empty one."""

    first: int
    last: int
    size: int
    batch: Batch


class Training(NamedTuple):
    """How a case's parameters move: by the gradients of `prepared`, under `settings`.

    Those that are `free` are read by name (`setting_name`), as numbers in float64; the others are written out.
    """

    prepared: Prepared
    settings: TrainSettings
    free: Sequence[str] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The parameters that move."""
        return self.settings.trained(self.prepared.case.parameters)

    @property
    def rows(self) -> int:
        """How many rows the batches are picked from; 1 where there are none."""
        return len(self.prepared.env[self.settings.over[0]]) if self.settings.batch_size is not None else 1

    @property
    def each(self) -> int:
        """The updates in an epoch."""
        return 1 if self.settings.batch_size is None else -(-self.rows // self.settings.batch_size)

    @property
    def total(self) -> int:
        """All updates."""
        return self.each * self.settings.epochs

    @property
    def before(self) -> int:
        """The updates that the state to start from has seen."""
        return int(self.settings.start["t"].array) if "t" in self.settings.start else 0

    @property
    def moved(self) -> dict[str, str]:
        """What each update replaces, parameters and state, by the names of their new values."""
        rule = self.settings.rule
        parts = [part for part, _ in rule.lines if part in {"w", *rule.state}]
        return {_old(part, name): f"_next_{part}_{name}" for name, part in product(self.trained, parts)}

    def settled(self) -> Training:
        """The same with a schedule that reads no other name than `t`.

        Raises MathlabError where it gives no learning rate, or where the state to start from does not fit.
        """
        settings, before = self.settings, self.before
        for name, value in settings.start.items():
            parameter = name.partition("_")[2]
            if parameter and value.array.shape != (shape := self.prepared.types.names[parameter].shape):
                message = f"'{name}' has shape {value.array.shape}, but '{parameter}' has shape {shape}"
                raise MathlabError(message, value.place)
        if settings.schedule is None:
            return self
        known = {"epoch": read(f"floor((t - 1) / {self.each}) + 1"), "pi": Num(math.pi)}
        schedule = replace(settings.schedule, expr=substitute(settings.schedule.expr, known))
        for first in range(before, before + self.total, CHECKED):
            t = np.arange(first, min(first + CHECKED, before + self.total)) + 1.0
            rates = np.broadcast_to(computed([schedule], Types({"t": Type(t.shape)}), {"t": t}, "float64")[0], t.shape)
            noise = 1e-12 * np.max(np.abs(rates), where=np.isfinite(rates), initial=0)  # of what goes down to 0
            for wrong in np.flatnonzero(~(np.isfinite(rates) & (rates >= -noise)))[:1]:
                rate = f"{rates[wrong]:.6g} in update {t[wrong]:.0f}"
                raise MathlabError(OPTIMIZERS[settings.optimizer].unfit("lr", rates[wrong], rate), schedule.place)
        return self._replace(settings=settings._replace(schedule=schedule))

    def at_rest(self, values: Env) -> dict[str, Array]:
        """What the optimizer's state is before the first update; `values` has the parameters."""
        state = {}
        for name, part in product(self.trained, self.settings.rule.state):
            state[_old(part, name)] = made = np.zeros_like(values[name])
            if given := self.settings.start.get(f"{part}_{name}"):
                made[...] = given.bound(made.dtype.name)
        return state

    def start(self) -> dict[str, Array]:
        """All parameters with the optimizer's state, as copies to be changed."""
        state = {name: self.prepared.env[name].copy() for name in self.prepared.case.parameters}
        return state | self.at_rest(state)

    def shown(self, now: Env, done: int) -> dict[str, Array]:
        """The optimizer's state after `done` updates and what is made of it, by the names that figures have for it."""
        rule = self.settings.rule
        shown = {f"{part}_{name}": now[_old(part, name)] for name in self.trained for part in rule.state}
        given = {**self.settings.settings, "t": done + self.before}
        numbers: dict[str, Expr] = {key: Num(value) for key, value in given.items()}
        lines = [(part, read(text)) for part, text in rule.lines if part in rule.shown and part not in rule.state]
        made: list[Equation] = []
        for name in self.trained:
            values = {**numbers, **{part: Name(f"{part}_{name}") for part in rule.shown}}
            made += [Equation(f"{part}_{name}", substitute(expr, values)) for part, expr in lines]
        types = Types({key: Type(np.shape(value)) for key, value in shown.items()})
        found = computed(made, types, shown, self.prepared.case.dtype)
        return shown | dict(zip((line.name for line in made), found, strict=True))

    def on(self, size: int) -> Prepared:
        """The equations of a batch of so many rows, as `moving` has them."""
        return self.moving(self.cut(size))

    def cut(self, size: int) -> Prepared:
        """The case with the batched inputs cut to a batch's size, typed and derived for it; or as it is."""
        case = self.prepared.case
        cut = {name: replace(case.inputs[name], array=case.inputs[name].array[:size]) for name in self.settings.over}
        return prepare(case.having(cut).bare()) if cut else self.prepared

    def moving(self, prepared: Prepared, records: Sequence[Equation] = ()) -> Prepared:
        """Equations that go on behind the gradients: with `records`, and to the new value of all that is `moved`.

        All updates read the old parameters: they are simultaneous. They come last, so that they may write over the
        gradients.
        """
        settings, rule, moved, types = self.settings, self.settings.rule, self.moved, prepared.types.learning(records)
        types.names |= dict.fromkeys((UPDATE, *map(setting_name, self.free)), Type(()))
        numbers: dict[str, Expr] = {"clip_eps": Num(CLIP_EPS)}
        numbers |= {setting: Num(value) for setting, value in settings.settings.items()}
        clock: Expr = Call("add", (Name(UPDATE), Num(self.before))) if self.before else Name(UPDATE)
        if settings.schedule:  # in float64, as a number would be
            rate = substitute(settings.schedule.expr, {"t": Call("double", (clock,))})
            numbers = {"lr": Call("rounded", (rate,)), **numbers}
        numbers |= {setting: Name(setting_name(setting)) for setting in self.free}
        squares = [read(f"sum(square(d{name}))") for name in self.trained]
        sums = [total(*squares[k : k + WIDEST]) for k in range(0, len(squares), WIDEST)]  # not nested a thousand deep
        norm = Call("sqrt", (total(*sums) if sums else Num(0),))
        outside = {UPDATE, *map(setting_name, self.free)}

        def rounded(part: Expr) -> Expr | None:
            """What is made of free settings alone is computed as of numbers would be: not in the program's floats."""
            return Call("rounded", (part,)) if {UPDATE} < {UPDATE, *names(part)} <= outside else None

        updates = []
        for name in self.trained:
            values = {**numbers, "g": Name(f"d{name}"), "t": clock, "norm": norm}
            values |= {part: Name(_old(part, name)) for part in ("w", *rule.state)}
            for part, text in rule.lines:
                values[part] = replace_parts(substitute(read(text), values), rounded)
                if (old := _old(part, name)) in moved:
                    updates.append(Equation(moved[old], values[part]))
                    types.names |= dict.fromkeys((old, moved[old]), types.names[name])
                    values[part] = Name(moved[old])  # the lines after this one read the new state
        equations = (*prepared.backward.equations, *records, *updates)
        return replace(prepared, types=types, backward=prepared.backward._replace(equations=equations))

    def steps(
        self,
        stops: Collection[int] = (),
        seeds: Sequence[int | None] | None = None,
        batch_of: Callable[[Sequence[Rows]], Batch] | None = None,
    ) -> Iterator[Step]:
        """All updates in order, for those who make them.

        Where all rows are one batch, a step goes up to the next of the `stops`, or to the end. Several `seeds` pick
        rows of their own, which `batch_of` makes one batch of.
        """
        settings, env = self.settings, self.prepared.env
        if settings.batch_size is None:
            ends = sorted(stop for stop in {0, *stops, settings.epochs} if stop <= settings.epochs)
            yield from (Step(first, last, 1, {}) for first, last in pairwise(ends))
            return
        generators = [None if seed is None else np.random.default_rng(seed) for seed in seeds or [settings.seed]]
        pick = batch_of or (lambda picked: {name: env[name][picked[0]] for name in settings.over})
        count, done = self.rows, 0
        for _ in range(settings.epochs):
            orders = [None if rng is None else rng.permutation(count) for rng in generators]
            for start in range(0, count, settings.batch_size):
                part = slice(start, min(start + settings.batch_size, count))
                batch = pick([part if order is None else order[part] for order in orders])
                yield Step(done, done + 1, part.stop - start, batch)
                done += 1

    def one_by_one(self, now: dict[str, Array], on: Callable[[int], Callable[[Env], Env]]) -> Iterator[tuple[int, Env]]:
        """Make the updates, changing `now`; tell how many are made, from 0, and all values that the latest computed.

        `on` gives what computes them on a batch of a size.
        """
        on, moved = cache(on), self.moved
        yield 0, now
        for first, last, size, batch in self.steps():
            for done in range(first + 1, last + 1):
                found = on(size)({**now, **batch, UPDATE: np.asarray(float(done))})
                now.update({old: found[new] for old, new in moved.items()})
                yield done, found

    def states(self, at: Collection[int], on: Callable[[int], Callable[[Env], Env]]) -> dict[int, dict[str, Array]]:
        """What is given, and the optimizer's state as figures name it too, after each of some numbers of updates."""
        now, kept = {**self.prepared.env, **self.at_rest(self.prepared.env)}, dict[int, dict[str, Array]]()
        for done, _ in self.one_by_one(now, on):
            if done in at:
                kept[done] = {**self.shown(now, done), **now}
            if done == max(at):
                break
        return kept


def advance(steps: Iterable[Step], env: dict[str, Array], on: Callable[[Step], Planned]) -> Iterator[int]:
    """Make the steps on `env`, by a program planned for each size of batch; tell the updates made, from 0 on."""
    planned: dict[int, Planned] = {}
    yield 0
    for step in steps:
        if step.size not in planned:
            planned[step.size] = on(step)
        made = planned[step.size]
        for name, value in step.batch.items():
            np.copyto(made.inputs[name], value)
        env |= zip(made.numbers, made.run(step.first, step.last, *map(env.get, made.numbers)), strict=True)
        yield step.last


def _old(part: str, parameter: str) -> str:
    """What the program calls a parameter (`w`), or the optimizer's state for it."""
    return parameter if part == "w" else f"_{part}_{parameter}"


def setting_name(setting: str) -> str:
    """The name by which a program reads a setting of the optimizer that is free."""
    return f"_setting_{setting}"
