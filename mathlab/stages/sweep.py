"""Many runs of one case with other numbers: which they are, which can be made together, and how each of them ends."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mathlab.config.change import at_point
from mathlab.config.loops import unrolled
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Axis, Case, Choice, Figure, Point, Range, SweepSettings, TrainSettings, Value
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import compile_program
from mathlab.language.replicas import NotStackable, stack
from mathlab.language.syntax import Name
from mathlab.results import SweepResult
from mathlab.stages import limits, train
from mathlab.stages.backends import spread
from mathlab.stages.limits import Cost, cost
from mathlab.stages.prepare import Prepared, evaluate, execute, prepare
from mathlab.stages.table import Report
from mathlab.stages.updates import UPDATE, Batch, Rows, Step, Training, advance, setting_name

TOGETHER = 1_000  # runs in one program: with more, values no longer stay in the processor's cache
BYTES = 1_000_000  # that they may take, for the same reason
PIECES = 64  # of the work that is made run by run
SMALL = 16  # entries: quantities up to this size are reported
RUN, RUN_BYTES = 5e-5, 1_000  # seconds and bytes that a run takes before it begins


class Ends(NamedTuple):
    """How runs end: the values of the case's figures (`expected`) and of its parameters, the runs on the first axis."""

    reported: tuple[Array, ...]
    parameters: Mapping[str, Array]


Run = tuple[int, Point]  # with its number


class Piece(NamedTuple):
    """Some runs of a sweep: made as one program if they are `stacked`."""

    case: Case
    runs: Sequence[Run]
    stacked: bool


def run(case: Case, progress: Report | None = None, where: str = "") -> SweepResult:
    """Make all runs of a case's sweep.

    `progress` is told (runs done, runs in all, and no loss). Raises MathlabError when the case has no sweep, or for a
    run that does not fit.
    """
    settings = case.sweep
    if settings is None:
        raise MathlabError("the case has no 'sweep'", case.place)
    count = settings.sample or sum(math.prod(len(_listed(axis)) for axis in axes) for axes in settings.grids)
    check = partial(limits.check, case, "the sweep", times=1, kept=1, place=settings.place)
    check(Cost(count * RUN, count * RUN_BYTES, 0))
    base, every = _bare(case), points(settings)
    pieces, taken = _pieces(base, every)
    check(taken._replace(seconds=taken.seconds + count * RUN))
    ends: list[Ends] = []
    done = 0
    for piece, made in zip(pieces, spread(ends_of, pieces, where, taken.seconds), strict=True):
        ends += made
        done += len(piece.runs)
        if progress:
            progress(done, count, None)
    return _result(base, every, pieces, ends)


# --- which runs there are ---------------------------------------------------------------------------------------------


def points(settings: SweepSettings) -> list[Point]:
    """What every run has on every axis, run after run."""
    if settings.sample is None:
        return [
            tuple(zip(axes, picked, strict=True))
            for axes in settings.grids
            for picked in itertools.product(*(_listed(axis) for axis in axes))
        ]
    rng = np.random.default_rng(settings.seed)
    (axes,) = settings.grids
    return [tuple((axis, _drawn(axis, rng)) for axis in axes) for _ in range(settings.sample)]


def _listed(axis: Axis) -> tuple[Choice, ...]:
    assert not isinstance(axis.values, Range), "a grid has lists"
    return axis.values


def _drawn(axis: Axis, rng: np.random.Generator) -> Choice:
    """A choice for one run. It takes one number from `rng`, so that a larger sample begins with a smaller one."""
    share = rng.random()
    if not isinstance(axis.values, Range):
        return axis.values[int(share * len(axis.values))]
    low, high = axis.values.low, axis.values.high + axis.values.whole
    number = low * (high / low) ** share if axis.values.log else low + (high - low) * share
    number = float(min(max(math.floor(number) if axis.values.whole else number, axis.values.low), axis.values.high))
    label = str(int(number)) if axis.values.whole else repr(number)
    value = Value(np.array(number), axis.place, integral=axis.values.whole) if axis.kind == "value" else None
    return Choice(label, number, value)


def _bare(case: Case) -> Case:
    """The case with the reported quantities as its figures, and nothing else to do than to be trained."""
    end, (written, places) = case.equations[-1], case.rolled or (case, {})
    report = (written.sweep and written.sweep.report) or (end.saying(Name(end.name)),)
    figures = tuple(Figure(quantity.text, quantity.expr, quantity.text, quantity.place) for quantity in report)
    trained = written.train._replace(after=()) if written.train else None
    return unrolled(written.bare(figures, trained), places)


# --- which of them are made together ----------------------------------------------------------------------------------


def _pieces(case: Case, points: Sequence[Point]) -> tuple[list[Piece], Cost]:
    """The work in pieces, and about what it takes in all; the same pieces wherever they are run."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in enumerate(points):
        groups.setdefault(_alike(case, run[1]), []).append(run)
    pieces: list[Piece] = []
    seconds, held = 0.0, 0
    for runs in groups.values():
        with _in_run(*runs[0]):
            first = at_point(case, runs[0][1])
            lines, types = _report(prepare(first))
            for line in lines:
                if (count := types.names[line.name].size) > SMALL:
                    message = f"'{line.text}' has {count} entries, and at most {SMALL} are reported"
                    raise MathlabError(f"{message}; report its norm or a part of it", line.place)
            taken, size = weight(first), 1
            together = min(TOGETHER, len(runs), BYTES // max(taken.held, 1))
            if together > 1:
                with contextlib.suppress(NotStackable):
                    values = [axis.name for axis, _ in runs[0][1] if axis.kind in ("value", "init")]
                    taken, size = weight(first, values, together), together
        count = -(-len(runs) // size) if size > 1 else min(len(runs), PIECES)
        cuts = itertools.pairwise(len(runs) * k // count for k in range(count + 1))
        pieces += [Piece(case, runs[start:stop], stacked=size > 1) for start, stop in cuts]
        seconds += taken.seconds * len(runs) / size
        held = max(held, taken.held)
    return pieces, Cost(seconds, held, 0)


def _alike(case: Case, point: Point) -> tuple[object, ...]:
    """What runs have in common that can be made together: shapes, and the numbers that are no values in the program."""
    found: list[object] = []
    given = {*case.inputs, *case.parameters}
    for axis, choice in point:
        found.append(axis.key)
        if choice.value:
            found += [choice.value.array.shape, choice.value.integral, axis.name in given or choice.number]
        elif axis.kind == "train" and axis.name != "seed":
            found.append(choice.number)
    return tuple(found)


def weight(case: Case, differing: Collection[str] = (), count: int = 1) -> Cost:
    """What one run takes, or `count` stacked ones that differ in these values.

    Raises NotStackable where they cannot be stacked, and MathlabError for a case that does not fit.
    """
    prepared, settings, own, total = prepare(case), case.train, {*differing}, 1
    step, (lines, types) = prepared, _report(prepared)
    if settings:
        training = Training(prepared, settings)
        total, step = max(training.total, 1), training.cut(settings.batch_size or 1)
        own.update(training.trained, settings.over)
    if count == 1:
        return Cost(total * step.cost.seconds, prepared.cost.held, 0)
    stack((*prepared.both, *lines), types, own, count)  # whether it can be done
    made = stack(step.both, step.types, own, count)
    taken = cost(made.equations, made.types)
    return Cost(total * taken.seconds, taken.held, 0)


# --- how they end -----------------------------------------------------------------------------------------------------


def ends_of(piece: Piece) -> list[Ends]:
    """Make the runs of one piece. Raises MathlabError for a run that does not fit, and says which."""
    if piece.stacked:
        # what does not fit in one of them is found out below
        with contextlib.suppress(NotStackable, MathlabError, IndexError):
            return [together([at_point(piece.case, point) for _, point in piece.runs])]
    ends = []
    for number, point in piece.runs:
        with _in_run(number, point):
            ends.append(alone(at_point(piece.case, point)))
    return ends


@contextlib.contextmanager
def _in_run(number: int, point: Point) -> Iterator[None]:
    try:
        yield
    except MathlabError as error:
        settings = ", ".join(f"{axis.key}: {choice.label}" for axis, choice in point)
        told = [replace(one, message=f"{one.message}, in run {number} ({settings})") for one in error.problems]
        raise MathlabError(told) from None


def alone(case: Case) -> Ends:
    """The end of one run, made as `train` makes it. Raises MathlabError for a case that does not fit."""
    prepared = prepare(case)
    prepared.run()  # tells where an index lies outside of its array, before training stumbles over it
    parameters = train.run(case).parameters if case.train else {}
    reported = evaluate(case.expected, prepared, prepared.run(parameters))
    return Ends(tuple(value[None] for value in reported), {name: value[None] for name, value in parameters.items()})


def _report(prepared: Prepared) -> tuple[Sequence[Equation], Types]:
    """The figures of a case as equations, and the types with theirs."""
    lines = [replace(one, name=f"_quantity_{number}") for number, one in enumerate(prepared.case.expected)]
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


def _result(case: Case, points: Sequence[Point], pieces: Sequence[Piece], ends: Sequence[Ends]) -> SweepResult:
    """The ends in the order of the runs."""
    order = np.argsort([number for piece in pieces for number, _ in piece.runs])
    chosen = [{axis.key: choice for axis, choice in point} for point in points]
    keys = dict.fromkeys(key for choices in chosen for key in choices)
    columns: dict[str, Array] = {}
    for position, figure in enumerate(case.expected):
        parts = [end.reported[position] for end in ends]
        if len({part.shape[1:] for part in parts}) > 1:
            raise MathlabError(f"'{figure.name}' has not the same shape in all runs; report a number", figure.place)
        key = f"{figure.name} (end)" if figure.name in keys else figure.name
        columns |= train.entry_columns(key, np.concatenate(parts)[order])
    finals = {name: np.concatenate([end.parameters[name] for end in ends])[order] for name in ends[0].parameters}
    lost = [""] * len(points)  # the first array of each with an entry that is no finite number, and what that is
    for name, every in (columns | finals).items():
        for number in np.flatnonzero(~np.isfinite(every.reshape(len(points), -1)).all(axis=1)):
            lost[number] = lost[number] or f"{name} is {every[number][~np.isfinite(every[number])][0]}"
    return SweepResult(
        settings={key: tuple(choices.get(key) for choices in chosen) for key in keys},
        columns=columns,
        nonfinite=tuple(lost),
        stacked=sum(len(piece.runs) for piece in pieces if piece.stacked),
    )
