"""The data of plots: lines, fields and tables of numbers, which `chart` draws and tests read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mathlab.errors import ExpressionError, MathlabError, did_you_mean
from mathlab.experiment import Array, Case, Figure, Picture, PrintedNumber, Value
from mathlab.language import read
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, names
from mathlab.results import CaseResult, ExperimentResult
from mathlab.stages import train
from mathlab.stages.prepare import Prepared, evaluate, evaluator, prepare

POINTS, GRID, PATH = 401, 61, 200  # of a curve, of a contour's side, of the path of an optimizer
STEPS = tuple(10.0 ** (k / 4) for k in range(-48, 1))  # of a difference quotient


@dataclass(frozen=True)
class Line:
    """One line of a plot; a `path` is drawn with its end."""

    label: str
    x: Array
    y: Array
    path: bool = False


@dataclass(frozen=True)
class Drawing:
    """What a plot shows: lines, over a `field` (x, y, z of a contour) or without one; or `tables` of numbers."""

    title: str
    x: str = ""
    y: str = ""
    log: str = ""
    lines: tuple[Line, ...] = ()
    field: tuple[Array, Array, Array] | None = None
    tables: tuple[tuple[str, Array], ...] = ()
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What a plot is about: a picture as declared, and the cases that it shows, with what ran for them."""

    picture: Picture
    cases: tuple[tuple[Case, CaseResult], ...]

    @property
    def case(self) -> Case:
        return self.cases[0][0]

    @property
    def result(self) -> CaseResult:
        return self.cases[0][1]

    def wrong(self, message: str, about: Equation | None = None) -> MathlabError:
        """What to raise about the picture, or about one of its expressions."""
        return MathlabError(message, (about and about.place) or self.picture.place or self.case.place)


def subject(result: ExperimentResult, case: str, picture: Picture) -> Subject:
    """The cases of a picture that a case declares. Raises MathlabError for one that did not run."""
    declared = {one.name: one for one in result.experiment.cases}
    ran = {one.case: one for one in result.cases}
    chosen = picture.cases or (case,)
    for name in chosen:
        if name not in ran:
            raise MathlabError(f"no case is named {name!r}{did_you_mean(name, declared)}", picture.place)
    return Subject(picture, tuple((declared[name], ran[name]) for name in chosen))


def drawing(about: Subject) -> Drawing:
    """The data of a plot. Raises MathlabError where the case does not have it, or an expression does not fit."""
    made = KINDS[about.picture.kind][1](about)
    return replace(made, title=about.picture.title or made.title, log=about.picture.log or made.log)


def quantity(text: str) -> Equation:
    """An expression that somebody names outside of a config. Raises MathlabError where it is none."""
    try:
        return Equation(text, read(text), text)
    except ExpressionError as error:
        raise MathlabError(f"in {text!r}: {error.message}") from None


# Training


def _trained(about: Subject) -> Iterator[tuple[Case, Mapping[str, Array], str]]:
    for case, result in about.cases:
        if result.train is None:
            reason = "did not train" if case.train else "has no 'train'"
            raise about.wrong(f"{about.picture.kind} shows a training, and case {case.name!r} {reason}")
        yield case, result.train.columns, f"{case.name}: " if len(about.cases) > 1 else ""


def _loss(about: Subject) -> Drawing:
    lines = []
    for case, columns, prefix in _trained(about):
        for wanted in about.picture.of or (Equation(case.equations[-1].name, Num(0), case.equations[-1].name),):
            spelt = re.sub(r"\s", "", wanted.text)
            if spelt not in columns:
                known = ", ".join(columns)
                raise about.wrong(
                    f"training.csv has no column {wanted.text!r}{did_you_mean(spelt, columns)}; it has {known}", wanted
                )
            lines.append(_over_epochs(prefix + spelt, columns[spelt]))
    return Drawing("Training", "epoch", lines[0].label if len(lines) == 1 else "", lines=tuple(lines))


def _over_epochs(label: str, column: Array) -> Line:
    return Line(label, np.arange(float(len(column))), np.asarray(column, np.float64))


def _norms(about: Subject) -> Drawing:
    lines = [
        _over_epochs(prefix + name, column)
        for _, columns, prefix in _trained(about)
        for name, column in columns.items()
        if name.startswith("norm(")
    ]
    return Drawing("Norms of the gradients", "epoch", "norm", "y", tuple(lines))


def _weights(about: Subject) -> Drawing:
    next(_trained(about))
    case, after = about.case, about.result.train
    assert after
    tables = [
        (f"{name} {when}", np.asarray(array, np.float64))
        for name, trained in after.parameters.items()
        for when, array in (
            ("before", case.parameters[name].bound(case.dtype)),
            (f"after {after.updates} updates", trained),
        )
        if np.ndim(array) <= 2
    ]
    return Drawing("Weights before and after training", tables=tuple(tables))


# Functions of inputs and parameters


def _bare(case: Case, moved: Mapping[str, Array] | None = None) -> Case:
    """The case with nothing but its equations, and some inputs or parameters replaced."""

    def replaced(group: Mapping[str, Value]) -> dict[str, Value]:
        return {name: Value(moved[name]) if moved and name in moved else value for name, value in group.items()}

    inputs, parameters = replaced(case.inputs), replaced(case.parameters)
    bare = replace(case, inputs=inputs, parameters=parameters, expected=(), derivation=(), gradcheck=None)
    return replace(bare, train=None, sweep=None)


def _curve(about: Subject) -> Drawing:
    if len(about.picture.over) != 1 or not isinstance(about.picture.over[0][0].expr, Name):
        raise about.wrong("a curve runs over one name, as in over: {x: [-4, 4]}")
    ((over, low, high),) = about.picture.over
    x, lines = np.linspace(low, high, POINTS), list[Line]()
    for case, _ in about.cases:
        prefix = f"{case.name}: " if len(about.cases) > 1 else ""
        for wanted in about.picture.of or (end_of(case),):
            y, slope = _along(about, case, over.text, wanted, x)
            lines.append(Line(prefix + wanted.text, x, y))
            if about.picture.derivative:
                lines.append(Line(f"{prefix}d{wanted.text}/d{over.text}", x, slope))
    return Drawing("; ".join(line.label for line in lines[:2]), over.text, lines=tuple(lines))


def end_of(case: Case) -> Equation:
    """What a case ends in, as a quantity."""
    end = case.equations[-1].name
    return Equation(end, Name(end), end)


def _along(about: Subject, case: Case, over: str, wanted: Equation, x: Array) -> tuple[Array, Array]:
    """A quantity and its derivative at many values of a name, by the case's own equations."""
    needed, mentioned = list[Equation](), {*names(wanted.expr)}
    for equation in reversed(case.equations):
        if equation.name in mentioned:
            needed.insert(0, equation)
            mentioned |= {*names(equation.expr)}
    bare, curve = _bare(case), Equation("_curve", wanted.expr, wanted.text, wanted.place)
    inputs = {name: value for name, value in {**bare.inputs, **bare.parameters}.items() if name != over}
    try:
        whole = replace(
            bare,
            inputs=inputs,
            parameters={over: Value(x)},
            equations=(*needed, curve),
            upstream=Value(np.ones_like(x)),
        )
        values = prepare(whole).run()
    except MathlabError as error:
        reason = error.problems[0].message.removeprefix("in _curve: ")
        raise about.wrong(f"{wanted.text!r} is no curve over {over}: {reason}", wanted) from None
    return np.asarray(values["_curve"], np.float64), np.asarray(values[f"d{over}"], np.float64)


def entry_of(about: Subject, of: Equation) -> tuple[str, tuple[int, ...]]:
    """The name and index of one number among the inputs and parameters."""
    values = {**about.case.inputs, **about.case.parameters}
    match of.expr:
        case Name(name) if name in values and not values[name].array.shape:
            return name, ()
        case Call("index", (Name(name), *items)) if name in values and all(isinstance(i, Num) for i in items):
            place = tuple(int(item.value) for item in items if isinstance(item, Num))
            with contextlib.suppress(IndexError):
                if np.ndim(values[name].array[place]) == 0:
                    return name, place
    raise about.wrong(f"{of.text!r} is no single entry of an input or parameter, as W[0,0] is", of)


def _with(case: Case, changes: Sequence[tuple[tuple[str, tuple[int, ...]], float]]) -> dict[str, Array]:
    """The arrays of a case in which single entries have other values."""
    values = {**case.inputs, **case.parameters}
    arrays: dict[str, Array] = {name: np.array(values[name].bound("float64"), np.float64) for (name, _), _ in changes}
    for (name, place), value in changes:
        arrays[name][place] = value
    return arrays


def _contour(about: Subject) -> Drawing:
    if len(about.picture.over) != 2:
        raise about.wrong('a contour runs over two entries, as in over: {"W[0,0]": [-3, 3], "W[0,1]": [-3, 3]}')
    (first, *ends_x), (second, *ends_y) = about.picture.over
    entries = entry_of(about, first), entry_of(about, second)
    x, y = (np.linspace(low, high, GRID) for low, high in (ends_x, ends_y))
    of = (about.picture.of or (end_of(about.case),))[0]
    prepared = prepare(_bare(about.case))
    points = [prepared.forward(_with(about.case, ((entries[0], a), (entries[1], b)))) for b in y for a in x]
    height = evaluator([of], prepared, points[0])
    heights = [height({**prepared.env, **point})[0] for point in points]
    if np.ndim(heights[0]):
        raise about.wrong(f"a contour needs one number, and {of.text!r} has shape {np.shape(heights[0])}", of)
    paths = tuple(path_of(case, (first, second)) for case, _ in about.cases if case.train)
    return Drawing(of.text, first.text, second.text, lines=paths, field=(x, y, np.reshape(heights, (GRID, GRID))))


def path_of(case: Case, entries: Sequence[Equation]) -> Line:
    """The way of two entries in training, as figures that are due after so many updates see it."""
    assert case.train
    shown = sorted({int(k) for k in np.linspace(0, case.train.epochs, PATH)})
    due = tuple(Figure(one.text, one.expr, (PrintedNumber("0"),), ()) for one in entries)
    watched = replace(_bare(case), train=replace(case.train, after=tuple((k, due) for k in shown)))
    seen = [figure.entries[0].computed for figure in train.run(watched).figures]
    return Line(case.name, np.array(seen[::2]), np.array(seen[1::2]), path=True)


def _heat(about: Subject) -> Drawing:
    prepared = prepare(about.case)
    values, tables = prepared.run(), list[tuple[str, Array]]()
    for of in about.picture.of or (end_of(about.case),):
        (found,) = evaluate([of], prepared, values)
        if found.ndim not in (1, 2) or not found.size:
            raise about.wrong(f"a heat map needs a matrix or a vector, and {of.text!r} has shape {found.shape}", of)
        tables.append((of.text, np.atleast_2d(np.asarray(found, np.float64))))
    for labels, axis, what in ((about.picture.rows, 0, "rows"), (about.picture.columns, 1, "columns")):
        if labels and any(len(labels) != table.shape[axis] for _, table in tables):
            raise about.wrong(f"{len(labels)} {what} are named, and {tables[0][0]} has {tables[0][1].shape[axis]}")
    return Drawing(
        ", ".join(name for name, _ in tables),
        tables=tuple(tables),
        rows=about.picture.rows,
        columns=about.picture.columns,
    )


def _steps(about: Subject) -> Drawing:
    prepared = prepare(_bare(about.case))
    if prepared.upstream is not None:
        raise about.wrong(f"steps needs a case that ends in one number, and {prepared.end!r} is none")
    values = prepared.run()
    chosen = about.picture.of or (_largest(prepared, values),)
    lines = []
    for of in chosen:
        match of.expr:
            case Call("index", (Name(gradient), *items)) if gradient in values and gradient[1:] in prepared.env:
                base: Expr = Call("index", (Name(gradient[1:]), *items))
            case Name(gradient) if gradient in values and gradient[1:] in prepared.env:
                base = Name(gradient[1:])
            case _:
                raise about.wrong(f"{of.text!r} is no entry of an input's or parameter's gradient, as dW[0,0] is", of)
        name, place = entry_of(about, Equation("", base, of.text, of.place))
        at, derived = float(np.asarray(prepared.env[name])[place]), float(np.asarray(values[f"d{name}"])[place])

        def end(step: float, entry: tuple[str, tuple[int, ...]] = (name, place), at: float = at) -> float:
            return float(prepared.forward(_with(about.case, ((entry, at + step),)))[prepared.end])

        here, steps = end(0.0), np.array(STEPS) * max(1.0, abs(at))
        ahead, behind = np.array([end(h) for h in steps]), np.array([end(-h) for h in steps])
        for label, quotient in (("central", (ahead - behind) / (2 * steps)), ("one-sided", (ahead - here) / steps)):
            lines.append(Line(f"{of.text}, {label}", steps, np.abs(quotient - derived) / (abs(derived) or 1.0)))
    return Drawing("Difference quotients", "step h", "relative error", "xy", tuple(lines))


def _largest(prepared: Prepared, values: Mapping[str, Array]) -> Equation:
    name = next(name for name in prepared.env if f"d{name}" in values)
    gradient = np.asarray(values[f"d{name}"])
    place = np.unravel_index(int(np.argmax(np.abs(gradient))), gradient.shape)
    text = f"d{name}[{','.join(map(str, place))}]" if place else f"d{name}"
    return quantity(text)


def _sweep(about: Subject) -> Drawing:
    result = about.result.sweep
    if result is None:
        reason = "was not swept" if about.case.sweep else "has no 'sweep'"
        raise about.wrong(f"case {about.case.name!r} {reason}")
    settings = {
        key: [choice.number if choice else np.nan for choice in chosen] for key, chosen in result.settings.items()
    }
    varied = [key for key, numbers in settings.items() if len({*numbers}) > 1] or [*settings]
    column, reported = next(iter(result.columns.items()))
    groups: dict[str, list[int]] = {}
    for run in range(len(reported)):
        rest = (f"{key}={choice.label}" for key in varied[1:] if (choice := result.settings[key][run]))
        groups.setdefault(", ".join(rest) or column, []).append(run)
    x = np.array(settings[varied[0]])
    lines = [(label, sorted(runs, key=lambda run: float(x[run]))) for label, runs in groups.items()]
    return Drawing(
        "Sweep", varied[0], column, lines=tuple(Line(label, x[runs], reported[runs]) for label, runs in lines)
    )


KINDS: Mapping[str, tuple[str, Callable[[Subject], Drawing]]] = {  # the stage that it shows, and what it shows of it
    "loss": ("train", _loss),
    "norms": ("train", _norms),
    "curve": ("", _curve),
    "contour": ("", _contour),
    "heat": ("", _heat),
    "steps": ("", _steps),
    "sweep": ("sweep", _sweep),
    "weights": ("train", _weights),
}
