"""Training: the update rules join the forward and backward equations in one program, which is called once an update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.optimizers import OPTIMIZERS
from mathlab.printed import judge
from mathlab.results import FigureResult, TrainResult
from mathlab.stages.prepare import Prepared, evaluate, prepare

SMALL = 16  # entries: outputs up to this size are written to training.csv
KEPT = 4096  # entries: gradients up to this size are kept for their norms to be taken at once after the run
UPDATE = "_t"  # the number of the update, counted from 1
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Step:
    """One update as a program: `moved` are the names that it replaces, `recorded` what it computes on the way."""

    program: Program
    moved: tuple[str, ...]
    recorded: tuple[str, ...]


def run(case: Case, progress: Progress | None = None) -> TrainResult:
    """Train one case from its initial parameters.

    `progress` is told (epochs done, epochs in all). Raises MathlabError when the case does not say how to train, or for
    equations and figures that do not fit.
    """
    settings = case.train
    if settings is None:
        raise MathlabError("the case has no 'train'", case.place)
    prepared = prepare(case)
    trained = [name for name in case.parameters if name not in settings.freeze]
    state: dict[str, Array] = {name: prepared.env[name] for name in case.parameters}
    for name in trained:
        for part in OPTIMIZERS[settings.optimizer].state:
            state[_state_name(part, name)] = np.zeros_like(prepared.env[name])
    due = dict(settings.after)
    figures: list[FigureResult] = []

    def judge_after(updates: int, now: Mapping[str, Array]) -> None:
        if updates in due:
            values = prepared.run({name: now[name] for name in case.parameters})
            quantities = evaluate(due[updates], prepared, values)
            for figure, value in zip(due[updates], quantities, strict=True):
                figures.append(judge(figure, value, stage="train", updates=updates))

    train = _full_batch if settings.batch_size is None else _minibatches
    with np.errstate(all="ignore"):
        history, state, updates = train(prepared, trained, settings, state, judge_after, progress or (lambda *_: None))
    parameters = {name: np.asarray(state[name]) for name in case.parameters}
    columns = _columns(prepared, history)
    return TrainResult(columns, parameters, tuple(figures), updates, _first_nonfinite(prepared, settings, columns))


Judge = Callable[[int, Mapping[str, Array]], None]
History = Sequence[Mapping[str, Array]]
Trained = tuple[list[dict[str, Array]], dict[str, Array], int]


def _full_batch(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: dict[str, Array],
    judge: Judge,
    tell: Progress,
) -> Trained:
    """One update an epoch. The program that makes it has the loss and the gradients at hand, so it records them too."""
    step = _step(prepared, trained, settings, record=True)
    env: dict[str, object] = {**prepared.env, **state, UPDATE: 1.0}
    arguments = [env[name] for name in step.program.inputs]
    slots = [_slot(step.program, name) for name in step.moved]
    clock = _slot(step.program, UPDATE)
    moved = len(step.moved)
    function = step.program.function
    due = {updates for updates, _ in settings.after}
    rows = []

    def now() -> dict[str, Array]:
        return {**state, **{name: values[slot] for name, slot in zip(step.moved, slots, strict=True)}}

    values: list = [*arguments, None]  # type: ignore[type-arg]  # arrays and the clock; the last slot takes what nobody reads
    for epoch in range(settings.epochs):
        if epoch in due:
            judge(epoch, now())
        values[clock] = float(epoch + 1)
        out = function(*values[:-1])
        rows.append(out[moved:])
        for slot, value in zip(slots, out, strict=False):
            values[slot] = value
        tell(epoch + 1, settings.epochs)
    judge(settings.epochs, now())
    rows.append(function(*values[:-1])[moved:])
    return [dict(zip(step.recorded, row, strict=True)) for row in rows], now(), settings.epochs


def _slot(program: Program, name: str) -> int:
    """The position of an argument; one past the last for a name that the program does not read."""
    return program.inputs.index(name) if name in program.inputs else len(program.inputs)


def _minibatches(
    prepared: Prepared,
    trained: list[str],
    settings: TrainSettings,
    state: dict[str, Array],
    judge: Judge,
    tell: Progress,
) -> Trained:
    """Several updates an epoch; the whole data is measured once before the first epoch and after each."""
    recorder, recorded = _recorder(prepared)
    steps: dict[int, Step] = {}
    rng = None if settings.seed is None else np.random.default_rng(settings.seed)
    count = len(prepared.env[settings.over[0]])
    env = {**prepared.env, **state}
    updates = 0
    judge(0, env)
    history = [dict(zip(recorded, recorder(env).values(), strict=True))]
    for epoch in range(settings.epochs):
        for rows in _batches(count, settings.batch_size or count, rng):
            size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            if size not in steps:
                steps[size] = _step(
                    prepare(_first_rows(prepared.case, settings, size)), trained, settings, record=False
                )
            step = steps[size]
            updates += 1
            batch = {name: prepared.env[name][rows] for name in settings.over}
            values = {**env, **batch, UPDATE: float(updates)}
            new = step.program.function(*(values[name] for name in step.program.inputs))
            env.update(zip(step.moved, new, strict=True))
            judge(updates, env)
        history.append(dict(zip(recorded, recorder(env).values(), strict=True)))
        tell(epoch + 1, settings.epochs)
    return history, env, updates


def _batches(count: int, size: int, rng: np.random.Generator | None) -> Iterator[slice | NDArray[np.int64]]:
    """The rows of each batch: in the order of the data, or shuffled; the last one may be smaller."""
    order = None if rng is None else rng.permutation(count)
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield slice(start, stop) if order is None else order[start:stop]


def _first_rows(case: Case, settings: TrainSettings, size: int) -> Case:
    """The case with the batched inputs cut to a batch's size, so that its equations are typed and derived for it."""
    cut = {name: replace(case.inputs[name], array=case.inputs[name].array[:size]) for name in settings.over}
    return replace(case, inputs={**case.inputs, **cut}, expected=(), derivation=(), train=None, gradcheck=None)


def _state_name(part: str, parameter: str) -> str:
    return f"_{part}_{parameter}"


def _step(prepared: Prepared, trained: list[str], settings: TrainSettings, record: bool) -> Step:
    """The forward, backward and update equations as one program.

    All updates read the old parameters: they are simultaneous.
    """
    rule = OPTIMIZERS[settings.optimizer]
    types = Types(prepared.types.names, prepared.types.integral)
    types.names[UPDATE] = Type(())
    updates, moved, outputs = [], [], []
    for name in trained:
        type_ = prepared.types.names[name]
        values: dict[str, Expr] = {setting: Num(value) for setting, value in settings.settings.items()}
        values |= {"w": Name(name), "g": Name(f"d{name}"), "t": Name(UPDATE)}
        values |= {part: Name(_state_name(part, name)) for part in rule.state}
        types.names |= {_state_name(part, name): type_ for part in rule.state}
        for part, text in rule.update.items():
            expr = substitute(read(text), values)
            old = name if part == "w" else _state_name(part, name)
            new = f"_next_{part}_{name}"
            updates.append(Equation(new, expr, unparse(expr)))
            types.names[new] = type_
            values[part] = Name(new)  # the lines after this one read the new state
            moved.append(old)
            outputs.append(new)
    records = _records(prepared, types) if record else ()
    equations = (*prepared.both, *updates, *records)
    recorded = _recorded(prepared, records) if record else ()
    program = compile_program(equations, types, (*outputs, *recorded), prepared.case.dtype)
    return Step(program, tuple(moved), recorded)


def _recorder(prepared: Prepared) -> tuple[Program, tuple[str, ...]]:
    """The program that measures the whole data: loss, small outputs, gradients."""
    types = Types(prepared.types.names, prepared.types.integral)
    records = _records(prepared, types)
    recorded = _recorded(prepared, records)
    return compile_program((*prepared.both, *records), types, recorded, prepared.case.dtype), recorded


def _records(prepared: Prepared, types: Types) -> tuple[Equation, ...]:
    """The norms of gradients that are too large to be kept."""
    lines = []
    for name in _normed(prepared):
        if types.names[f"d{name}"].size > KEPT:
            expr = Call("norm", (Name(f"d{name}"),))
            lines.append(Equation(f"_norm_{name}", expr, unparse(expr)))
            types.names[f"_norm_{name}"] = Type(())
    return tuple(lines)


def _recorded(prepared: Prepared, records: tuple[Equation, ...]) -> tuple[str, ...]:
    made = {record.name for record in records}
    norms = [f"_norm_{name}" if f"_norm_{name}" in made else f"d{name}" for name in _normed(prepared)]
    return tuple(dict.fromkeys([prepared.end, *small_outputs(prepared), *norms]))


def _normed(prepared: Prepared) -> list[str]:
    return [name for name in prepared.case.parameters if f"d{name}" in prepared.gradients]


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
    end = np.array([row[prepared.end] for row in history])
    if end.ndim == 1:
        columns[prepared.end] = end
    for name in small_outputs(prepared):
        entries = np.array([row[name] for row in history])
        for index in np.ndindex(entries.shape[1:]):
            label = f"{name}[{','.join(map(str, index))}]" if index else name
            columns[label] = entries[(slice(None), *index)]
    for name in _normed(prepared):
        if f"_norm_{name}" in history[0]:
            columns[f"norm(d{name})"] = np.array([row[f"_norm_{name}"] for row in history])
        else:
            gradients = np.array([row[f"d{name}"] for row in history])
            columns[f"norm(d{name})"] = np.sqrt(np.sum(np.square(gradients.reshape(len(history), -1)), axis=1))
    return columns


def _first_nonfinite(prepared: Prepared, settings: TrainSettings, columns: Mapping[str, Array]) -> str:
    """Where training left the finite numbers: the epoch and the first column that shows it."""
    for epoch in range(settings.epochs + 1):
        for name, values in columns.items():
            if not math.isfinite(values[epoch]):
                return f"epoch {epoch}: {name} is {float(values[epoch])}"
    return ""
