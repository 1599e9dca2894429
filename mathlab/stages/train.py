"""Training: the update rules join the forward and backward equations in one program, which is called once an update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import cache, partial

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.cost import CALL
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import Program
from mathlab.language.syntax import Call, Name, names
from mathlab.printed import TIE, judge
from mathlab.results import FigureResult, TrainResult
from mathlab.stages import limits
from mathlab.stages import updates as moves
from mathlab.stages.noise import Lead, Shake, noises
from mathlab.stages.nonfinite import first_nonfinite, first_of, is_finite
from mathlab.stages.prepare import Env, Prepared, computed, evaluate, execute, prepare, sealed
from mathlab.stages.table import Report

SMALL = 16  # entries: outputs up to this size are written to training.csv
FEW = 256  # entries: the history of a gradient up to this size is kept, and its norms are taken at once;
KEPT = 1_000_000  # up to so many numbers in all
RERUNS, RETRAINED = 4, 20_000  # trainings of each kind that show what rounding does, of up to so many equations in all
NEAR = 1e-6  # relative: what is off by more is no rounding of a training
CELL = 1e-6  # seconds, roughly, that an entry of training.csv takes,
CELL_BYTES = 100  # and bytes until it is written


def run(
    case: Case, progress: Report | None = None, watch: Callable[[int, Mapping[str, Array]], None] | None = None
) -> TrainResult:
    """Train one case from its initial parameters.

    `progress` is told (updates done, updates in all, the latest loss), `watch` all values at the updates in `after`,
    with the optimizer's state as figures name it. Raises MathlabError when the case does not say
    how to train, or for equations and figures that do not fit.
    """
    settings = case.train
    if settings is None:
        raise MathlabError("the case has no 'train'", case.place)
    prepared = prepare(case)
    _check_cost(prepared, settings)
    state = moves.initial_state(prepared, settings)
    # the parameters are not in the environment, where they would be held a second time
    prepared = replace(prepared, env={name: value for name, value in prepared.env.items() if name not in state})
    settings = moves.settled(prepared, settings)
    _, total = moves.in_all(prepared, settings)
    due = dict(settings.after)
    start = {name: state[name].copy() for name in case.parameters} if due else {}
    figures: list[FigureResult] = []

    @cache
    def program(*mentioned: str) -> Program:
        known = (*prepared.nodes, *prepared.gradients)
        return prepared.compiled([name for name in known if name in mentioned], thrifty=True)

    def look(done: int, now: Mapping[str, Array], end: Array | None) -> None:
        if done in due:
            mentioned = dict.fromkeys(name for figure in due[done] for name in names(figure.quantity))
            env = {**prepared.env, **{name: now[name] for name in case.parameters}}
            shown = moves.shown_state(settings.trained(case.parameters), settings, now, done)
            values = {**shown, **env, **execute(program(*mentioned), env)}
            if watch:
                watch(done, values)
            quantities = evaluate(due[done], prepared, values)
            noise = noises(due[done], prepared, {**values, **start}, _retrained(settings, done), RERUNS)
            for figure, value, measure in zip(due[done], quantities, noise, strict=True):
                plain = judge(figure, value, stage="train", updates=done)
                asked = done * len(prepared.both) <= RETRAINED and _near(plain)
                noisy = judge(figure, value, stage="train", updates=done, noise=measure) if asked else plain
                figures.append(noisy)
        if progress and done:
            progress(done, total, float(end) if end is not None and not np.ndim(end) else None)

    train = _full_batch if settings.batch_size is None else _minibatches
    try:
        values = {**prepared.env, **state}
        with np.errstate(all="ignore"):
            history = train(prepared, settings, values, look)
    except IndexError:
        prepared.run(state)  # the readable program knows in which equation a class index is out of its range
        raise
    parameters = {name: sealed(values[name]) for name in case.parameters}
    columns = {name: sealed(column) for name, column in _columns(prepared, history).items()}
    nonfinite = _first_nonfinite(case, settings, columns, parameters)
    return TrainResult(columns, parameters, tuple(figures), total, nonfinite)


def _near(judged: FigureResult) -> bool:
    """Whether what is wrong with a figure may be rounding: a tie, or the last of many digits."""
    return all(
        entry.verdict.passed
        or (entry.error is not None and abs(entry.error) <= (1 + TIE) * entry.tolerance)
        or abs(float(entry.error or math.inf)) <= NEAR * abs(entry.computed)
        for entry in judged.entries
    )


def _retrained(settings: TrainSettings, done: int) -> Lead:
    """What trains as training does, by the readable program with every op of it shaken, up to an update."""

    def lead(prepared: Prepared, env: Env, shake: Shake) -> Env:
        made = _retraced(prepared, settings, env, shake)
        now = next(now for count, now, _ in made if count >= done)
        return {**now, **moves.shown_state(settings.trained(prepared.case.parameters), settings, now, done)}

    return lead


def _retraced(
    prepared: Prepared, settings: TrainSettings, env: Env, shake: Shake | None = None
) -> Iterator[tuple[int, Env, moves.Batch]]:
    """Train by the readable program, every op of it shaken or none.

    How many updates, all values after each, and the batch that it was made on, which is empty where that is all data.
    """
    now = {**env, **moves.at_rest(settings.trained(prepared.case.parameters), settings, env)}
    last: moves.Batch = {}

    def advance_on(size: int, _: moves.Batch) -> moves.Advance:
        cut = prepare(moves.first_rows(prepared.case, settings, size)) if settings.over else prepared
        step = moves.update_program(cut, settings, shaken="ops" if shake else None)

        def advance(first: int, stop: int, batch: moves.Batch) -> None:
            nonlocal last
            last = batch
            for update in range(first, stop):
                made = execute(step.program, {**now, **batch, moves.UPDATE: np.asarray(update + 1.0)}, shake)
                now.update({old: made[new] for old, new in step.moved.items()})

        return advance

    def batch_of(picked: Sequence[moves.Rows]) -> moves.Batch:
        return {name: env[name][picked[0]] for name in settings.over}

    for done in moves.updates(prepared, settings, advance_on, range(settings.epochs), batch_of=batch_of):
        yield done, {**now}, last


def _check_cost(prepared: Prepared, settings: TrainSettings) -> None:
    """Raise MathlabError for training that takes longer, or writes down more, than the case may."""
    once = prepared.cost
    batches, total = moves.in_all(prepared, settings)
    if settings.batch_size is not None:
        batch = prepare(moves.first_rows(prepared.case, settings, settings.batch_size))
        once = once._replace(seconds=batch.cost.seconds + once.seconds / batches)
    once = once._replace(seconds=once.seconds + CALL * len(prepared.case.parameters) * len(settings.rule.lines))
    columns = 3 + len(_normed(prepared)) + sum(prepared.types.names[name].size for name in _small(prepared, settings))
    once = once._replace(seconds=once.seconds + CELL * columns)
    limits.check(prepared.case, "training", once, total, kept=2, place=settings.place, each=CELL_BYTES * columns)


History = Mapping[str, Array]  # what is recorded, with the epochs along the first axis
Look = Callable[[int, Mapping[str, Array], Array | None], None]  # at the updates made, all values, and the end's value


def _full_batch(prepared: Prepared, settings: TrainSettings, env: dict[str, Array], look: Look) -> History:
    """One update an epoch. The program that makes it has the loss and the gradients at hand, so it records them too."""
    planned = planned_rounds(prepared, settings, env)
    ends = planned.history[prepared.end]
    stops = {*dict(settings.after), *range(0, settings.epochs, max(1, settings.epochs // 1000))}
    for done in moves.updates(prepared, settings, lambda *_: partial(planned.advance, env), stops):
        look(done, env, ends[done - 1] if done else None)
    planned.measure(settings.epochs, *(env[name] for name in planned.numbers))
    return planned.history


def _minibatches(prepared: Prepared, settings: TrainSettings, env: dict[str, Array], look: Look) -> History:
    """Several updates an epoch; the whole data is measured once before the first epoch and after each.

    That takes about as long as an epoch: it is done beside the next one, on copies of the parameters.
    """
    copies = {name: env[name].copy() for name in settings.trained(prepared.case.parameters) if np.ndim(env[name])}
    recorder = planned_rounds(prepared, settings, {**env, **copies})
    per_epoch, _ = moves.in_all(prepared, settings)

    def advance_on(size: int, batch: moves.Batch) -> moves.Advance:
        cut = prepare(moves.first_rows(prepared.case, settings, size))
        step = moves.update_program(cut, settings)
        sample = {**env, **batch, moves.UPDATE: 1.0}
        return partial(plan(step.program, sample, step.moved, varying=settings.over, clock=moves.UPDATE).advance, env)

    def measure(epoch: int) -> Future[object]:
        for name, copy in copies.items():
            np.copyto(copy, env[name])
        return beside.submit(copy_context().run, recorder.measure, epoch, *map(env.get, recorder.numbers))

    with ThreadPoolExecutor(1) as beside:
        measured = measure(0)
        for done in moves.updates(prepared, settings, advance_on):
            epoch, inside = divmod(done, per_epoch)
            if done and not inside:
                measured.result()
                measured = measure(epoch)
            known = epoch + measured.done()  # of the history
            look(done, env, recorder.history[prepared.end][known - 1] if known else None)
        measured.result()
    return recorder.history


def planned_rounds(
    prepared: Prepared, settings: TrainSettings, env: Mapping[str, Array], record: bool = True
) -> Planned:
    """The planned program of full-batch training, which changes the arrays of the state in `env`."""
    records, recorded = _records(prepared, settings) if record else ((), ())
    step = moves.update_program(prepared, settings, records, recorded)
    return plan(step.program, {**env, moves.UPDATE: 1.0}, step.moved, recorded, settings.epochs, clock=moves.UPDATE)


def _records(prepared: Prepared, settings: TrainSettings) -> tuple[list[Equation], tuple[str, ...]]:
    """What is recorded, and equations for it: the norms of gradients whose history is too large to be kept."""
    sizes = {name: prepared.types.names[f"d{name}"].size for name in _normed(prepared)}
    large = [name for name, size in sizes.items() if size > FEW or size * (settings.epochs + 1) > KEPT]
    lines = [Equation(f"_norm_{name}", Call("norm", (Name(f"d{name}"),))) for name in large]
    norms = (f"_norm_{name}" if name in large else f"d{name}" for name in sizes)
    watched = [prepared.end, *monitors(prepared), *small_outputs(prepared), *norms, *_small(prepared, settings)]
    return lines, tuple(dict.fromkeys(watched))


def _small(prepared: Prepared, settings: TrainSettings) -> list[str]:
    """The parameters whose way is written down: those that move, of at most `SMALL` entries."""
    return [name for name in settings.trained(prepared.case.parameters) if prepared.types.names[name].size <= SMALL]


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
    """The columns of training.csv: the end, the outputs' entries, the norm of each gradient, and small parameters."""
    columns: dict[str, Array] = {}
    if history[prepared.end].ndim == 1:
        columns[prepared.end] = history[prepared.end]
    columns |= {name: np.array(history[name]) for name in monitors(prepared)}
    for name in small_outputs(prepared):
        columns |= entry_columns(name, history[name])
    for name in _normed(prepared):
        norm = history.get(f"_norm_{name}")
        columns[f"norm(d{name})"] = _norms(history[f"d{name}"]) if norm is None else norm
    for name in prepared.case.parameters:
        columns |= entry_columns(name, history[name]) if name in history else {}
    return columns


def entry_columns(name: str, rows: Array) -> dict[str, Array]:
    """A column for each entry; `rows` has epochs, or runs, on its first axis."""
    return {
        f"{name}[{','.join(map(str, index))}]" if index else name: rows[(slice(None), *index)]
        for index in np.ndindex(rows.shape[1:])
    }


def _norms(gradients: Array) -> Array:
    """The Euclidean norm of each; where its squares overflow, they are those of smaller numbers."""
    rows = gradients.reshape(len(gradients), -1)
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
    prepared, until = prepare(case), settings._replace(epochs=epoch)
    moved = [*case.parameters, *moves.at_rest(settings.trained(case.parameters), settings, prepared.env)]
    state: dict[str, Array] = {}  # the last finite one
    for done, now, batch in _retraced(prepared, until, prepared.env):
        if not is_finite(now[name] for name in moved):
            epoch = (done - 1) // moves.in_all(prepared, settings)[0]
            return _in_update(prepared, settings, {**prepared.env, **state, **batch}, done, epoch, batch)
        state = {name: now[name] for name in moved}
    shown = (f"{name} is {float(at[epoch])}" for name, at in columns.items() if not np.isfinite(at[epoch]))
    return f"epoch {epoch}: {first_nonfinite(prepared, prepared.run(state)) or next(shown)}"


def _in_update(
    prepared: Prepared, settings: TrainSettings, env: Env, update: int, epoch: int, batch: moves.Batch
) -> str:
    """What is not finite first in an update on a batch, or on all data, that begins with finite values."""
    if batch:
        prepared = prepare(moves.first_rows(prepared.case, settings, len(batch[settings.over[0]])))
    types = prepared.types.learning(())
    trained = settings.trained(prepared.case.parameters)
    equations, moved = moves.update_equations(trained, settings, types)
    values: dict[str, Array] = {**env, **execute(prepared.program, env), moves.UPDATE: np.asarray(float(update))}
    if shown := first_nonfinite(prepared, values):
        return f"epoch {epoch + 1}, a batch: {shown}" if batch else f"epoch {epoch}: {shown}"
    new = computed(equations, types, values, prepared.case.dtype)
    values |= dict(zip((equation.name for equation in equations), new, strict=True))
    parts = ("w", *settings.rule.state)
    called = {moves.UPDATE: "t"} | {
        written: name if part == "w" else part
        for name in trained
        for part in parts
        for written in (moves.state_name(part, name), f"_next_{part}_{name}")
    }
    return f"epoch {epoch + 1}: {first_of(moved.values(), equations, values, types, called)}"
