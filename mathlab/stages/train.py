"""Training: the update rules join the forward and backward equations in one program, which is called once an update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.syntax import Call, Name, names
from mathlab.printed import TIE, judge
from mathlab.results import TrainResult
from mathlab.results.judged import FigureResult
from mathlab.stages import limits
from mathlab.stages.noise import Lead, Shake, noises
from mathlab.stages.nonfinite import first_nonfinite, first_of, is_finite
from mathlab.stages.prepare import Env, Prepared, evaluate, execute, prepare, sealed
from mathlab.stages.table import Report
from mathlab.stages.updates import UPDATE, Step, Training, advance

SMALL = 16  # entries: outputs up to this size are written to training.csv
FEW = 256  # entries: the history of a gradient up to this size is kept, and its norms are taken at once;
KEPT = 1_000_000  # up to so many numbers in all
RERUNS, RETRAINED = 4, 20_000  # trainings of each kind that show what rounding does, of up to so many equations in all
NEAR = 1e-6  # relative: what is off by more is no rounding of a training
CELL = 1e-6  # seconds, roughly, that an entry of training.csv takes,
CELL_BYTES = 100  # and bytes until it is written


def run(case: Case, progress: Report | None = None) -> TrainResult:
    """Train one case from its initial parameters.

    `progress` is told (updates done, updates in all, the latest loss). Raises MathlabError when the case does not say
    how to train, or for equations and figures that do not fit.
    """
    settings = case.train
    if settings is None:
        raise MathlabError("the case has no 'train'", case.place)
    training = Training(prepare(case), settings).settled()
    check_cost(training)
    state = training.start()
    # the parameters are not in the environment, where they would be held a second time
    env = {name: value for name, value in training.prepared.env.items() if name not in state}
    prepared = replace(training.prepared, env=env)
    training = training._replace(prepared=prepared)
    due = dict(settings.after)
    start = {name: state[name].copy() for name in case.parameters} if due else {}
    values = {**prepared.env, **state}
    figures: list[FigureResult] = []

    def look(done: int) -> None:
        mentioned = {name for figure in due[done] for name in names(figure.expr)}
        wanted = tuple(name for name in (*prepared.nodes, *prepared.gradients) if name in mentioned)
        env = {**prepared.env, **{name: values[name] for name in case.parameters}}
        now = {**training.shown(values, done), **env, **execute(prepared.compiled(wanted), env)}
        noise = noises(due[done], prepared, {**now, **start}, _retrained(training.settings, done), RERUNS)
        for figure, value, measure in zip(due[done], evaluate(due[done], prepared, now), noise, strict=True):
            plain = judge(figure, value, stage="train", updates=done)
            asked = done * len(prepared.both) <= RETRAINED and _near(plain)
            figures.append(judge(figure, value, stage="train", updates=done, noise=measure) if asked else plain)

    try:
        with np.errstate(all="ignore"):
            batched = settings.batch_size is not None
            copies = {name: state[name].copy() for name in training.trained if batched}
            planned = planned_rounds(training, {**values, **copies})
            ends = planned.history[prepared.end]
            for done in (_minibatches if batched else _full_batch)(training, values, planned):
                if done in due:
                    look(done)
                if progress and done:
                    known = done // training.each  # losses
                    progress(done, training.total, ends[known - 1].item() if known and ends.size == len(ends) else None)
    except IndexError:
        prepared.run(state)  # the readable program knows in which equation a class index is out of its range
        raise
    parameters = {name: sealed(values[name]) for name in case.parameters}
    columns = {name: sealed(column) for name, column in _columns(prepared, planned.history).items()}
    nonfinite = _first_nonfinite(training.settings, prepare(case), columns, parameters)
    return TrainResult(columns, parameters, tuple(figures), training.total, nonfinite)


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
        training = Training(replace(prepared, env={**env}), settings)
        new = (*training.moved.values(),)

        def on(size: int) -> Callable[[Env], Env]:
            return partial(execute, training.on(size).compiled(new, shaken=True), shake=shake)

        return training.states([done], on)[done]

    return lead


def check_cost(training: Training) -> None:
    """Raise MathlabError for training that takes longer, or writes down more, than the case may."""
    prepared, settings = training.prepared, training.settings
    once, parameters, total = prepared.cost, prepared.case.parameters, training.total
    columns = 3 + len(parameters) + sum(prepared.types.names[name].size for name in _small(training))
    seconds = once.seconds
    if settings.batch_size is not None:
        seconds = training.cut(settings.batch_size).cost.seconds + seconds / training.each
    seconds += limits.CALL * len(parameters) * len(settings.rule.lines) + CELL * columns
    once = once._replace(seconds=seconds)
    limits.check(prepared.case, "training", once, total, kept=2, place=settings.place, each=CELL_BYTES * columns)


def _full_batch(training: Training, env: dict[str, Array], planned: Planned) -> Iterator[int]:
    """One update an epoch. The program that makes it has the loss and the gradients at hand, so it records them too."""
    epochs = training.settings.epochs
    stops = {*dict(training.settings.after), *range(0, epochs, max(1, epochs // 1000))}
    yield from advance(training.steps(stops), env, lambda _: planned)
    planned.measure(epochs, *map(env.get, planned.numbers))


def _minibatches(training: Training, env: dict[str, Array], recorder: Planned) -> Iterator[int]:
    """Several updates an epoch; the whole data is measured once before the first epoch and after each.

    That takes about as long as an epoch: it is done beside the next one, on the recorder's copies of the parameters.
    """

    def on(step: Step) -> Planned:
        program = training.on(step.size).compiled((*training.moved.values(),))
        sample = {**env, **step.batch, UPDATE: 1.0}
        return plan(program, sample, training.moved, varying=training.settings.over, clock=UPDATE)

    def measure(epoch: int) -> Future[object]:
        for name in recorder.state.keys() & {*training.trained}:
            np.copyto(recorder.state[name], env[name])
        return beside.submit(copy_context().run, recorder.measure, epoch, *map(env.get, recorder.numbers))

    each = training.each
    with ThreadPoolExecutor(1) as beside:
        measured = measure(0)
        for done in advance(training.steps(), env, on):
            epoch, inside = divmod(done, each)
            if done and not inside:
                measured.result()
                measured = measure(epoch)
            yield done
        measured.result()


def planned_rounds(training: Training, env: Mapping[str, Array], record: bool = True) -> Planned:
    """The planned program of full-batch training, which changes the arrays of the state in `env`."""
    records, recorded = _records(training) if record else ((), ())
    moving = training.moving(training.prepared, records)
    program = moving.compiled((*training.moved.values(), *recorded))
    return plan(program, {**env, UPDATE: 1.0}, training.moved, recorded, training.settings.epochs, clock=UPDATE)


def _records(training: Training) -> tuple[list[Equation], tuple[str, ...]]:
    """What is recorded, and equations for it: the norms of gradients whose history is too large to be kept."""
    prepared, epochs = training.prepared, training.settings.epochs
    sizes = {name: prepared.types.names[name].size for name in prepared.case.parameters}
    large = [name for name, size in sizes.items() if size > FEW or size * (epochs + 1) > KEPT]
    lines = [Equation(f"_norm_{name}", Call("norm", (Name(f"d{name}"),))) for name in large]
    norms = (f"_norm_{name}" if name in large else f"d{name}" for name in sizes)
    # the nodes that are there to be watched, as an accuracy is: single numbers that no equation reads
    read = {name for equation in prepared.equations for name in names(equation.expr)}
    unread = (name for name in prepared.nodes if not prepared.types.names[name].shape and name not in read)
    watched = [prepared.end, *unread, *small_outputs(prepared), *norms, *_small(training)]
    return lines, tuple(dict.fromkeys(watched))


def _small(training: Training) -> list[str]:
    """The parameters whose way is written down: those that move, of at most `SMALL` entries."""
    return [name for name in training.trained if training.prepared.types.names[name].size <= SMALL]


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


def _columns(prepared: Prepared, history: Mapping[str, Array]) -> dict[str, Array]:
    """The columns of training.csv: the end, the outputs' entries, the norm of each gradient, and small parameters."""
    columns: dict[str, Array] = {}
    for name, rows in history.items():
        if name.startswith("_norm_"):
            columns[f"norm(d{name.removeprefix('_norm_')})"] = rows
        elif name in prepared.gradients:
            columns[f"norm({name})"] = _norms(rows)
        elif name != prepared.end or rows.size == len(rows):
            columns |= entry_columns(name, rows.ravel() if name == prepared.end else rows)
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
    with np.errstate(all="ignore"):
        sizes = np.max(np.abs(rows), axis=1, initial=0.0)
        norms: Array = np.sqrt(np.sum(np.square(rows), axis=1))
        scaled = sizes * np.sqrt(np.sum(np.square(rows / sizes[:, None]), axis=1))
    return np.where(np.isinf(norms) & np.isfinite(sizes), scaled, norms)


def _first_nonfinite(settings: TrainSettings, prepared: Prepared, columns: Env, parameters: Env) -> str:
    """Where training left the finite numbers: the epoch, the first value in it that shows it, and what made it so.

    The columns and the parameters know that it did; for the rest, training is repeated up to there, update by update.
    """
    if is_finite([*columns.values(), *parameters.values()]):
        return ""
    epochs = [int(np.argmin(finite)) for finite in map(np.isfinite, columns.values()) if not np.all(finite)]
    epoch = min(epochs, default=settings.epochs)
    training = Training(prepared, settings._replace(epochs=epoch))
    now = {**prepared.env, **training.at_rest(prepared.env)}
    for done, values in training.one_by_one(now, lambda size: training.on(size).run):
        if is_finite(now[name] for name in training.moved):
            continue
        at, size = (done - 1) // training.each, np.shape(values[settings.over[0]])[0] if settings.over else 1
        if shown := first_nonfinite(training.cut(size), values):
            return f"epoch {at + 1}, a batch: {shown}" if settings.over else f"epoch {at}: {shown}"
        moving, called = training.on(size), {UPDATE: "t"}
        for old, new in training.moved.items():
            part = new.split("_")[2]
            called |= dict.fromkeys((old, new), old if part == "w" else part)
        return f"epoch {at + 1}: {first_of(training.moved.values(), moving.both, values, moving.types, called)}"
    lost = (f"{name} is {float(at[epoch])}" for name, at in columns.items() if not np.isfinite(at[epoch]))
    return f"epoch {epoch}: {first_nonfinite(prepared, prepared.run(now)) or next(lost)}"
