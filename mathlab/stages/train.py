"""Training: the update rules join the forward and backward equations in one program, which is called once an update."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.cost import CALL
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.planned import Planned, plan
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.language.syntax import replace as replace_parts
from mathlab.printed import judge
from mathlab.results import FigureResult, TrainResult
from mathlab.stages import limits
from mathlab.stages.nonfinite import first_nonfinite, first_of, is_finite
from mathlab.stages.prepare import Prepared, evaluate, execute, prepare, sealed

SMALL = 16  # entries: outputs up to this size are written to training.csv
FEW = 256  # entries: the history of a gradient up to this size is kept, and its norms are taken at once;
KEPT = 1_000_000  # up to so many numbers in all
CELL = 1e-6  # seconds, roughly, that an entry of training.csv takes,
CELL_BYTES = 100  # and bytes until it is written
UPDATE = "_t"  # the number of the update, counted from 1
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Step:
    """One update as a program: `moved` maps names to the outputs that replace them, `recorded` is seen on the way."""

    program: Program
    moved: Mapping[str, str]
    recorded: tuple[str, ...]


def run(case: Case, progress: Progress | None = None) -> TrainResult:
    """Train one case from its initial parameters.

    `progress` is told (updates done, updates in all). Raises MathlabError when the case does not say how to train, or
    for equations and figures that do not fit.
    """
    settings = case.train
    if settings is None:
        raise MathlabError("the case has no 'train'", case.place)
    prepared, trained, state = _started(case, settings)
    due = dict(settings.after)
    figures: list[FigureResult] = []

    @cache
    def program(*mentioned: str) -> Program:
        return prepared.lean_program(mentioned)

    def judge_after(updates: int, now: Mapping[str, Array]) -> None:
        if updates in due:
            mentioned = dict.fromkeys(name for figure in due[updates] for name in names(figure.quantity))
            env = {**prepared.env, **{name: now[name] for name in case.parameters}}
            values = {**env, **execute(program(*mentioned), env)}
            quantities = evaluate(due[updates], prepared, values)
            for figure, value in zip(due[updates], quantities, strict=True):
                figures.append(judge(figure, value, stage="train", updates=updates))

    try:
        history, state, updates = _trained(
            prepared, trained, settings, state, judge_after, progress or (lambda *_: None)
        )
    except IndexError:
        prepared.run(state)  # the readable program knows in which equation a class index is out of its range
        raise
    parameters = {name: sealed(state[name]) for name in case.parameters}
    columns = {name: sealed(column) for name, column in _columns(prepared, history).items()}
    nonfinite = _first_nonfinite(case, settings, columns, parameters)
    return TrainResult(columns, parameters, tuple(figures), updates, nonfinite)


def _started(case: Case, settings: TrainSettings) -> tuple[Prepared, list[str], dict[str, Array]]:
    """The case, the parameters that are trained, and the initial state.

    The parameters are not in the environment, where they would be held a second time.
    """
    prepared = prepare(case)
    _check_cost(prepared, settings)
    trained, state = initial_state(prepared, settings)
    inputs = {name: value for name, value in prepared.env.items() if name not in state}
    return replace(prepared, env=inputs), trained, state


def _trained(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: dict[str, Array],
    judge: Judge,
    tell: Progress,
) -> Trained:
    train = _full_batch if settings.batch_size is None else _minibatches
    with np.errstate(all="ignore"):
        return train(prepared, trained, settings, state, judge, tell)


def _check_cost(prepared: Prepared, settings: TrainSettings) -> None:
    """Raise MathlabError for training that takes longer, or writes down more, than the case may."""
    once, updates = prepared.cost, settings.epochs
    if settings.batch_size is not None:
        count = len(prepared.env[settings.over[0]])
        batches = -(-count // settings.batch_size)
        batch = prepare(first_rows(prepared.case, settings, settings.batch_size))
        once = replace(once, seconds=batch.cost.seconds + once.seconds / batches)
        updates *= batches
    moving = OPTIMIZERS[settings.optimizer].update
    once = replace(once, seconds=once.seconds + CALL * len(prepared.case.parameters) * len(moving))
    columns = 3 + len(_normed(prepared))
    once = replace(once, seconds=once.seconds + CELL * columns)
    limits.check(prepared.case, "training", once, updates, kept=2, place=settings.place, each=CELL_BYTES * columns)


def initial_state(prepared: Prepared, settings: TrainSettings) -> tuple[list[str], dict[str, Array]]:
    """The parameters that are trained; and all parameters with the optimizer's state, as copies to be changed."""
    trained = [name for name in prepared.case.parameters if name not in settings.freeze]
    state: dict[str, Array] = {name: prepared.env[name].copy() for name in prepared.case.parameters}
    for name in trained:
        for part in OPTIMIZERS[settings.optimizer].state:
            state[state_name(part, name)] = np.zeros_like(prepared.env[name])
    return trained, state


Judge = Callable[[int, Mapping[str, Array]], None]
History = Mapping[str, Array]  # what is recorded, with the epochs along the first axis
Trained = tuple[History, dict[str, Array], int]


def _full_batch(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: dict[str, Array],
    judge: Judge,
    tell: Progress,
) -> Trained:
    """One update an epoch. The program that makes it has the loss and the gradients at hand, so it records them too."""
    planned = planned_rounds(prepared, trained, settings, state)
    scalars = tuple(state[name] for name in planned.numbers)
    done = 0
    due = dict(settings.after)
    for last in _stops(settings):
        if done in due:
            judge(done, _now(planned, state, scalars))
        scalars = planned.run(done, last, *scalars)
        done = last
        tell(done, settings.epochs)
    now = _now(planned, state, scalars)
    judge(done, now)
    planned.measure(done, *scalars)
    return planned.history, now, done


def planned_rounds(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: Mapping[str, Array],
    record: bool = True,
) -> Planned:
    """The planned program of full-batch training, which changes the arrays of `state`."""
    step = update_program(prepared, trained, settings, record)
    env = {**prepared.env, **state, UPDATE: 1.0}
    return plan(step.program, env, step.moved, step.recorded, settings.epochs, clock=UPDATE)


def _stops(settings: TrainSettings) -> list[int]:
    """The epochs at which somebody looks: where figures are due, and a hundred times in all for the progress bar."""
    due = {updates for updates, _ in settings.after}
    stops = {*due, *range(0, settings.epochs, max(1, settings.epochs // 100)), settings.epochs}
    return sorted(stop for stop in stops if 0 < stop <= settings.epochs)


def _now(planned: Planned, state: Mapping[str, Array], scalars: tuple[Array, ...]) -> dict[str, Array]:
    """The state as it is; its arrays are those that the next round will change."""
    return {**state, **planned.state, **dict(zip(planned.numbers, scalars, strict=True))}


def _minibatches(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: dict[str, Array],
    judge: Judge,
    tell: Progress,
) -> Trained:
    """Several updates an epoch; the whole data is measured once before the first epoch and after each."""
    recorder, recorded = _recorder(prepared, settings)
    rng = None if settings.seed is None else np.random.default_rng(settings.seed)
    count = len(prepared.env[settings.over[0]])
    env = {**prepared.env, **state}
    steps: dict[int, Planned] = {}
    due = {updates for updates, _ in settings.after}
    in_all = settings.epochs * -(-count // (settings.batch_size or count))
    updates = 0
    judge(0, env)
    rows = [recorder(env)]
    for _ in range(settings.epochs):
        for picked in batches(count, settings.batch_size or count, rng):
            batch = [prepared.env[name][picked] for name in settings.over]
            size = len(batch[0])
            if size not in steps:
                step = update_program(
                    prepare(first_rows(prepared.case, settings, size)), trained, settings, record=False
                )
                sample = {**env, **dict(zip(settings.over, batch, strict=True)), UPDATE: 1.0}
                steps[size] = plan(step.program, sample, step.moved, varying=settings.over, clock=UPDATE)
            updates += 1
            planned = steps[size]
            for name, value in zip(settings.over, batch, strict=True):
                np.copyto(planned.inputs[name], value)
            moved = planned.run(updates - 1, updates, *(env[name] for name in planned.numbers))
            env.update(zip(planned.numbers, moved, strict=True))
            if updates in due:
                judge(updates, env)
            tell(updates, in_all)
        rows.append(recorder(env))
    return {name: np.array([row[name] for row in rows]) for name in recorded}, env, updates


def batches(count: int, size: int, rng: np.random.Generator | None) -> Iterator[slice | NDArray[np.int64]]:
    """The rows of each batch: in the order of the data, or shuffled; the last one may be smaller."""
    order = None if rng is None else rng.permutation(count)
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield slice(start, stop) if order is None else order[start:stop]


def first_rows(case: Case, settings: TrainSettings, size: int) -> Case:
    """The case with the batched inputs cut to a batch's size, so that its equations are typed and derived for it."""
    cut = {name: replace(case.inputs[name], array=case.inputs[name].array[:size]) for name in settings.over}
    return replace(case, inputs={**case.inputs, **cut}, expected=(), derivation=(), train=None, gradcheck=None)


def state_name(part: str, parameter: str) -> str:
    """What the optimizer's state for a parameter is called in the program."""
    return f"_{part}_{parameter}"


def update_program(prepared: Prepared, trained: list[str], settings: TrainSettings, record: bool) -> Step:
    """The forward, backward and update equations as one program.

    All updates read the old parameters: they are simultaneous.
    """
    types = Types(prepared.types.names, prepared.types.integral)
    updates, moved = update_equations(trained, settings, types)
    records = _records(prepared, types, settings) if record else ()
    equations = (*prepared.both, *records, *updates)  # the updates last, so that they may write over the gradients
    recorded = _recorded(prepared, records) if record else ()
    program = compile_program(equations, types, (*moved.values(), *recorded), prepared.case.dtype)
    return Step(program, moved, recorded)


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


def setting_name(setting: str) -> str:
    """The name by which a program reads a setting of the optimizer that is free."""
    return f"_setting_{setting}"


def _recorder(prepared: Prepared, settings: TrainSettings) -> tuple[Program, tuple[str, ...]]:
    """The program that measures the whole data: loss, small outputs, gradients."""
    types = Types(prepared.types.names, prepared.types.integral)
    records = _records(prepared, types, settings)
    recorded = _recorded(prepared, records)
    equations = (*prepared.both, *records)
    return compile_program(equations, types, recorded, prepared.case.dtype, thrifty=True), recorded


def _records(prepared: Prepared, types: Types, settings: TrainSettings) -> tuple[Equation, ...]:
    """The norms of gradients whose history is too large to be kept."""
    lines = []
    for name in _normed(prepared):
        size = types.names[f"d{name}"].size
        if size > FEW or size * (settings.epochs + 1) > KEPT:
            expr = Call("norm", (Name(f"d{name}"),))
            lines.append(Equation(f"_norm_{name}", expr, unparse(expr)))
            types.names[f"_norm_{name}"] = Type(())
    return tuple(lines)


def _recorded(prepared: Prepared, records: tuple[Equation, ...]) -> tuple[str, ...]:
    made = {record.name for record in records}
    norms = [f"_norm_{name}" if f"_norm_{name}" in made else f"d{name}" for name in _normed(prepared)]
    return tuple(dict.fromkeys([prepared.end, *monitors(prepared), *small_outputs(prepared), *norms]))


def _normed(prepared: Prepared) -> list[str]:
    return [name for name in prepared.case.parameters if f"d{name}" in prepared.gradients]


def monitors(prepared: Prepared) -> tuple[str, ...]:
    """The nodes that are there to be watched, as an accuracy is: single numbers that no equation reads."""
    read_somewhere = {name for equation in prepared.equations for name in names(equation.expr)}
    numbers = [name for name in prepared.nodes if not prepared.types.names[name].shape and name != prepared.end]
    return tuple(name for name in numbers if name not in read_somewhere)


def small_outputs(prepared: Prepared) -> tuple[str, ...]:
    """The network's outputs, when they have at most `SMALL` entries.

    They are the nodes that the target meets: those read by the last equation that brings in an input that no equation
    before it has read.
    """
    inputs = [name for name in prepared.case.inputs if np.ndim(prepared.env[name])] or list(prepared.case.inputs)
    inputs += [name for name in prepared.case.inputs if prepared.types.names[name].kind == "i"]
    seen: set[str] = set()
    outputs: list[str] = []
    for equation in prepared.case.equations:
        read_here = names(equation.expr)
        nodes = [name for name in read_here if name in prepared.nodes and prepared.types.names[name].kind == "f"]
        if nodes and any(name in inputs and name not in seen for name in read_here):
            outputs = nodes
        seen.update(read_here)
    return tuple(name for name in outputs if prepared.types.names[name].size <= SMALL and name != prepared.end)


def _columns(prepared: Prepared, history: History) -> dict[str, Array]:
    """The columns of training.csv: the end, the outputs' entries, and the norm of each parameter's gradient."""
    columns: dict[str, Array] = {}
    if history[prepared.end].ndim == 1:
        columns[prepared.end] = history[prepared.end]
    columns |= {name: np.array(history[name]) for name in monitors(prepared)}
    for name in small_outputs(prepared):
        entries = history[name]
        for index in np.ndindex(entries.shape[1:]):
            label = f"{name}[{','.join(map(str, index))}]" if index else name
            columns[label] = entries[(slice(None), *index)]
    for name in _normed(prepared):
        if f"_norm_{name}" in history:
            columns[f"norm(d{name})"] = history[f"_norm_{name}"]
        else:
            gradients = history[f"d{name}"].reshape(len(history[f"d{name}"]), -1)
            columns[f"norm(d{name})"] = _norms(gradients)
    return columns


def _norms(rows: Array) -> Array:
    """The Euclidean norm of each row; where its squares overflow, they are those of smaller numbers."""
    with np.errstate(over="ignore"):
        norms: Array = np.sqrt(np.sum(np.square(rows), axis=1))
    lost = np.isinf(norms) & np.isfinite(rows).all(axis=1)
    if lost.any():
        sizes = np.max(np.abs(rows[lost]), axis=1)
        norms[lost] = sizes * np.sqrt(np.sum(np.square(rows[lost] / sizes[:, None]), axis=1))
    return norms


def _first_nonfinite(case: Case, settings: TrainSettings, columns: Mapping[str, Array], parameters: History) -> str:
    """Where training left the finite numbers: the epoch, the first value in it that shows it, and what made it so.

    The columns and the parameters know that it did; for the rest, training is repeated up to there, update by update.
    """
    if is_finite([*columns.values(), *parameters.values()]):
        return ""
    epochs = [int(np.argmin(finite)) for finite in map(np.isfinite, columns.values()) if not np.all(finite)]
    epoch = min(epochs, default=settings.epochs)
    until = replace(settings, epochs=epoch, after=())
    prepared, trained, state = _started(case, until)
    a_round = -(-len(prepared.env[settings.over[0]]) // settings.batch_size) if settings.batch_size else 1
    every = replace(until, after=tuple((update, ()) for update in range(epoch * a_round + 1)))
    seen = [{name: value.copy() for name, value in state.items()}]  # the last finite state
    left: list[int] = []  # the updates after which the state was not finite

    def look(updates: int, now: Mapping[str, Array]) -> None:
        if not is_finite(now[name] for name in state):
            left.append(updates)
        elif not left:
            seen[:] = [{name: np.array(now[name]) for name in state}]

    _trained(prepared, trained, every, state, look, _nothing)
    if left:
        return _in_update(prepared, trained, settings, seen[0], left[0], a_round)
    shown = (f"{name} is {float(at[epoch])}" for name, at in columns.items() if not np.isfinite(at[epoch]))
    return f"epoch {epoch}: {first_nonfinite(prepared, prepared.run(seen[0])) or next(shown)}"


def _in_update(
    prepared: Prepared, trained: list[str], settings: TrainSettings, state: dict[str, Array], update: int, a_round: int
) -> str:
    """What is not finite first in an update that begins with a finite `state`; there are `a_round` in an epoch."""
    epoch, nth = divmod(update - 1, a_round)
    env = {**prepared.env, **state}
    if settings.batch_size is not None:
        rng = None if settings.seed is None else np.random.default_rng(settings.seed)
        count = len(prepared.env[settings.over[0]])
        of_epochs = [list(batches(count, settings.batch_size, rng)) for _ in range(epoch + 1)]
        env |= {name: prepared.env[name][of_epochs[-1][nth]] for name in settings.over}
        prepared = prepare(first_rows(prepared.case, settings, len(env[settings.over[0]])))
    types = Types({**prepared.types.names}, prepared.types.integral)
    updates, moved = update_equations(trained, settings, types)
    values: dict[str, Array] = {**env, **execute(prepared.program, env), UPDATE: np.asarray(float(update))}
    if shown := first_nonfinite(prepared, values):
        return f"epoch {epoch}: {shown}" if settings.batch_size is None else f"epoch {epoch + 1}, a batch: {shown}"
    values |= execute(compile_program(updates, types, [*moved.values()], prepared.case.dtype), values)
    parts = ("w", *OPTIMIZERS[settings.optimizer].state)
    called = {UPDATE: "t"} | {
        written: name if part == "w" else part
        for name in trained
        for part in parts
        for written in (state_name(part, name), f"_next_{part}_{name}")
    }
    return f"epoch {epoch + 1}: {first_of(moved.values(), updates, values, types, called)}"


def _nothing(*_: object) -> None:
    pass
