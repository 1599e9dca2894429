"""Plots: the data of each kind, which tests read, and how matplotlib draws it, which is imported only for that."""

from __future__ import annotations

import contextlib
import io
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mathlab.errors import ExpressionError, MathlabError, did_you_mean
from mathlab.experiment import Array, Case, Picture, Value
from mathlab.language import read
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation, Graph
from mathlab.language.syntax import Call, Name, Num, names, substitute
from mathlab.pictures import MISSING
from mathlab.pictures.svg import entry, number
from mathlab.results import CaseResult, ExperimentResult
from mathlab.stages import train
from mathlab.stages.prepare import Prepared, evaluate, evaluator, prepare
from mathlab.stages.updates import Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS, GRID, PATH = 401, 61, 200  # of a curve, of a contour's side, of the path of an optimizer
STEPS = 10.0 ** np.arange(-12, 0.25, 0.25)  # of a difference quotient
COLOURS = ("#0060a0", "#b34700", "#00765a", "#6a3d9a", "#444444")
DASHES = ("-", "--", ":", "-.")  # of which no two lines of one colour have the same, up to twenty
NUMBERED, SQUARES = 20, 8  # rows or columns of a heat map whose numbers are written; whose cells are squares
UNSAID = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}  # in a file
LARGEST = 1e150  # an axis computes with squares and differences of its ends, which are numbers too up to here

Place = tuple[str, tuple[int, ...]]  # of one number: the name and the index


class Line(NamedTuple):
    """One line of a plot."""

    label: str
    x: Array
    y: Array


class Drawing(NamedTuple):
    """What a plot shows: lines, or paths over a `field` (x, y, z of a contour); or `tables` of numbers.

    Of the tables so many in a row are `alike`: they have one scale of colours.
    """

    title: str
    x: str = ""
    y: str = ""
    log: str = ""
    lines: Sequence[Line] = ()
    field: tuple[Array, Array, Array] | None = None
    tables: Sequence[tuple[str, Array]] = ()
    alike: int = 1
    labels: Sequence[Sequence[str]] = ((), ())  # of a table's rows and columns


class Subject(NamedTuple):
    """What a plot is about: a picture as declared, and the cases that it shows, the first of them alone or all.

    All come with what ran for them, and a text that tells the lines of each from those of the others.
    """

    picture: Picture
    case: Case
    cases: Sequence[tuple[Case, CaseResult, str]]

    def of(self, case: Case) -> Sequence[Equation]:
        """The quantities that it shows of a case: by default what that ends in."""
        return self.picture.of or (quantity(case.equations[-1].name),)

    def wrong(self, message: str, about: Equation | None = None) -> MathlabError:
        """What to raise about the picture, or about one of its expressions."""
        return MathlabError(message, (about and about.place) or self.picture.place or self.case.place)


def drawing(result: ExperimentResult, case: str, picture: Picture) -> Drawing:
    """The data of a plot that a case declares.

    Raises MathlabError without matplotlib, where a case did not run or lacks it, and where an expression does not fit.
    """
    if find_spec("matplotlib") is None:
        raise MathlabError(MISSING)
    chosen, (stage, takes, draw) = picture.cases or (case,), KINDS[picture.kind]
    cases = [(*result.of(name, picture.place), f"{name}: " if len(chosen) > 1 else "") for name in chosen]
    about = Subject(picture, cases[0][0], cases)
    if len(chosen) > 1 and "cases" not in takes:
        raise about.wrong(f"{picture.kind} shows one case")
    for name in ("of", "over", "log", "rows", "columns", "derivative"):
        if name not in takes and getattr(picture, name):
            raise about.wrong(f"{picture.kind} takes no {name!r}")
    for of, low, high in picture.over:
        if not (low < high and math.isfinite(high - low)):
            raise about.wrong(f"{of.text} is to run from a number to a larger one, and not from {low:g} to {high:g}")
    for one, found, _ in cases:
        if stage and stage not in found.stages:
            reason = f"did not {stage}" if getattr(one, stage) else f"has no '{stage}'"
            raise about.wrong(f"{picture.kind} shows what {stage} does, and case {one.name!r} {reason}")
    made = draw(about)
    return made._replace(title=picture.title or made.title, log=picture.log or made.log)


def quantity(text: str) -> Equation:
    """An expression that somebody names outside of a config. Raises MathlabError where it is none."""
    try:
        return Equation(text, read(text), text)
    except ExpressionError as error:
        raise MathlabError(f"in {text!r}: {error.message}") from None


def interval(name: str, ends: Iterable[str | float]) -> tuple[Equation, float, float]:
    """What a plot is drawn over, and from where to where. Raises MathlabError for what are no two numbers."""
    with contextlib.suppress(TypeError, ValueError):
        low, high = map(float, ends)
        return quantity(name), low, high
    takes = "--over takes NAME=LOW..HIGH, as in x=-4..4, and over= pairs, as in {'x': (-4, 4)}"
    raise MathlabError(f"{takes}: {name!r} is given {ends!r}")


# What ran


def _loss(about: Subject) -> Drawing:
    """The columns of training.csv that are wanted of each case, or all norms, as lines over the epochs."""
    lines, norms = list[Line](), about.picture.kind == "norms"
    for case, result, prefix in about.cases:
        columns = result.train.columns if result.train else {}
        shown = [quantity(name) for name in columns if name.startswith("norm(")] if norms else about.of(case)
        for one in shown:
            if (name := re.sub(r"\s", "", one.text)) not in columns:
                hint = f"{did_you_mean(name, columns)}; it has {', '.join(columns)}"
                raise about.wrong(f"training.csv has no column {one.text!r}{hint}", one)
            column = np.asarray(columns[name], np.float64)
            lines.append(Line(prefix + name, np.arange(float(len(column))), column))
    title, y, log = ("Norms of the gradients", "norm", "y") if norms else ("Training", "", "")
    return Drawing(title, "epoch", lines[0].label if len(lines) == 1 else y, log, lines)


def _weights(about: Subject) -> Drawing:
    ran, tables = about.cases[0][1].train, list[tuple[str, Array]]()
    assert ran
    for name, trained in ran.parameters.items():
        both = {"before": about.case.parameters[name].bound(about.case.dtype), f"after {ran.updates} updates": trained}
        tables += [(f"{name} {when}", np.atleast_2d(one)) for when, one in both.items() if one.ndim <= 2]
    return Drawing("Weights before and after training", tables=tables, alike=2)


def _sweep(about: Subject) -> Drawing:
    ran = about.cases[0][1].sweep
    assert ran
    numbers = {key: [one.number if one else np.nan for one in chosen] for key, chosen in ran.settings.items()}
    first, *others = [key for key, column in numbers.items() if len({*column}) > 1] or numbers
    column, reported = next(iter(ran.columns.items()))
    x, groups = np.array(numbers[first]), defaultdict[str, list[int]](list)
    for run in map(int, np.argsort(x, kind="stable")):
        rest = (f"{key}={choice.label}" for key in others if (choice := ran.settings[key][run]))
        groups[", ".join(rest) or column].append(run)
    return Drawing("Sweep", first, column, lines=[Line(label, x[at], reported[at]) for label, at in groups.items()])


# Functions of inputs and parameters


def _curve(about: Subject) -> Drawing:
    """Quantities, and their derivatives, at many values of a name, by each case's own equations."""
    if len(about.picture.over) != 1 or not isinstance(about.picture.over[0][0].expr, Name):
        raise about.wrong("a curve runs over one name of a single number, as in over: {x: [-4, 4]}, or --over x=-4..4")
    ((over, low, high),) = about.picture.over
    x, lines = np.linspace(low, high, POINTS), list[Line]()
    shown = [(case, of, prefix + of.text) for case, _, prefix in about.cases for of in about.of(case)]
    for case, wanted, label in shown:
        reads = Graph((over.text, *case.inputs, *case.parameters), case.equations)
        needed = {*reads.named(reads.sources(wanted.expr))}
        if over.text not in needed:
            raise about.wrong(f"{wanted.text!r} is no curve over {over.text}, which it does not read", wanted)
        equations = (*(one for one in case.equations if one.name in needed), replace(wanted, name="_curve"))
        inputs = {name: value for name, value in {**case.inputs, **case.parameters}.items() if name != over.text}
        moved = replace(case.bare(), inputs=inputs, parameters={over.text: Value(x)}, equations=equations)
        upstream = Value(np.ones_like(x)) if about.picture.derivative else None
        try:
            values = prepare(replace(moved, upstream=upstream)).run()
            if (shape := np.shape(values["_curve"])) != x.shape:
                raise MathlabError(f"{POINTS} numbers together give it the shape {shape}; a contour takes each alone")
        except MathlabError as error:
            reason = error.problems[0].message.removeprefix("in _curve: ").replace("_curve", wanted.text)
            raise about.wrong(f"{wanted.text!r} is no curve over {over.text}: {reason}", wanted) from None
        lines.append(Line(label, x, np.asarray(values["_curve"], np.float64)))
        if about.picture.derivative:
            lines.append(Line(f"d{label}/d{over.text}", x, np.asarray(values[f"d{over.text}"], np.float64)))
    return Drawing("; ".join(line.label for line in lines[:2]), over.text, lines=lines)


def _entry(about: Subject, prepared: Prepared, of: Equation) -> Place:
    """The name and index of one number among the inputs and parameters. Raises MathlabError for anything else."""
    target, *items = of.expr.args if isinstance(of.expr, Call) and of.expr.op == "index" else [of.expr]
    place, known = tuple(int(item.value) for item in items if isinstance(item, Num)), prepared.env.keys() - {UPSTREAM}
    if isinstance(target, Name) and target.id in known and len(place) == len(items):
        with contextlib.suppress(IndexError):
            if (found := prepared.env[target.id][place]).ndim == 0 and found.dtype.kind == "f":
                return target.id, place
    raise about.wrong(f"{of.text!r} is no single entry of an input or parameter, as W[0,0] is", of)


def _values(about: Subject, prepared: Prepared, of: Equation, points: Iterable[Mapping[Place, float]]) -> Array:
    """The values of a quantity, one number, at points where single entries of inputs and parameters differ."""
    value, found = evaluator([of], prepared, prepared.forward({}) | prepared.env), []
    for point in points:
        arrays = {name: np.array(prepared.env[name], np.float64) for name, _ in point}
        for (name, place), moved in point.items():
            arrays[name][place] = moved
        found += value({**prepared.env, **prepared.forward(arrays), **arrays})
        if found[0].size != 1:
            raise about.wrong(f"{about.picture.kind} needs one number, and {of.text!r} has shape {found[0].shape}", of)
    return np.ravel(found)


def spans(about: Subject, prepared: Prepared) -> Sequence[tuple[Equation, Place, float, float]]:
    """The two entries that a contour runs over, from where to where. Raises MathlabError where it has others."""
    if len(about.picture.over) != 2:
        each = 'over: {"W[0,0]": [-3, 3]}, or --over "W[0,0]=-3..3"'
        raise about.wrong(f"a contour runs over two entries, each as in {each}")
    return [(of, _entry(about, prepared, of), low, high) for of, low, high in about.picture.over]


def _contour(about: Subject) -> Drawing:
    of, prepared = about.of(about.case)[0], prepare(about.case.bare())
    (first, across, *west), (second, along, *south) = spans(about, prepared)
    x, y = (np.linspace(low, high, GRID) for low, high in (west, south))
    heights = _values(about, prepared, of, ({across: a, along: b} for b in y for a in x))
    paths = [path_of(about, case) for case, *_ in about.cases if case.train]
    return Drawing(of.text, first.text, second.text, lines=paths, field=(x, y, heights.reshape(GRID, GRID)))


def path_of(about: Subject, case: Case) -> Line:
    """The way of the entries that a contour runs over in a case's training."""
    assert case.train
    training = Training(prepare(case), case.train).settled()
    train.check_cost(training)
    now, places = {**training.prepared.env, **training.start()}, [one for _, one, *_ in spans(about, training.prepared)]
    made = training.one_by_one(now, lambda size: training.on(size).run)
    ways = np.array([[float(now[name][place]) for name, place in places] for _ in made])
    return Line(case.name, *ways[np.unique(np.linspace(0, training.total, PATH).astype(int))].T)


def _heat(about: Subject) -> Drawing:
    prepared, wanted, tables = prepare(about.case), about.of(about.case), list[tuple[str, Array]]()
    labels = (about.picture.rows, about.picture.columns)
    for of, found in zip(wanted, evaluate(wanted, prepared, prepared.run()), strict=True):
        if found.ndim not in (1, 2) or not found.size:
            raise about.wrong(f"a heat map needs a matrix or a vector, and {of.text!r} has shape {found.shape}", of)
        tables.append((of.text, np.atleast_2d(found)))
        for what, named, length in zip(("rows", "columns"), labels, tables[-1][1].shape, strict=True):
            if named and len(named) != length:
                raise about.wrong(f"{len(named)} {what} are named, and {of.text} has {length}")
    return Drawing(", ".join(of.text for of in wanted), tables=tables, labels=labels)


def _steps(about: Subject) -> Drawing:
    prepared, lines = prepare(about.case.bare()), list[Line]()
    values = prepared.run()
    gradients = {f"d{name}": Name(name) for name in prepared.env if f"d{name}" in values}
    if not gradients:
        raise about.wrong("steps needs an input or parameter that has a gradient")
    first = next(iter(gradients))
    end = quantity(f"sum({UPSTREAM} * {prepared.end})" if UPSTREAM in prepared.env else f"sum({prepared.end})")
    largest = np.unravel_index(int(np.argmax(np.abs(values[first]))), np.shape(values[first]))
    for of in about.picture.of or (quantity(entry(first, [*map(int, largest)])),):
        if not {*names(of.expr)} <= gradients.keys():
            raise about.wrong(f"{of.text!r} is no entry of an input's or parameter's gradient, as dW[0,0] is", of)
        name, place = _entry(about, prepared, replace(of, expr=substitute(of.expr, gradients)))
        at, derived = float(prepared.env[name][place]), float(values[f"d{name}"][place])
        steps = STEPS * max(1.0, abs(at))
        points = ({(name, place): at + h} for h in (0.0, *steps, *-steps))
        here, ahead, behind = np.split(_values(about, prepared, end, points), (1, 1 + len(steps)))
        for label, quotient in (("central", (ahead - behind) / (2 * steps)), ("one-sided", (ahead - here) / steps)):
            lines.append(Line(f"{of.text}, {label}", steps, np.abs(quotient - derived) / (abs(derived) or 1.0)))
    return Drawing("Difference quotients", "step h", "relative error", "xy", lines)


# of each kind the stage that it shows, the settings that it takes (without cases it shows a single one), and its data
KINDS: Mapping[str, tuple[str, Sequence[str], Callable[[Subject], Drawing]]] = {
    "loss": ("train", ("cases", "of", "log"), _loss),
    "norms": ("train", ("cases", "log"), _loss),
    "curve": ("", ("cases", "of", "over", "log", "derivative"), _curve),
    "contour": ("", ("cases", "of", "over", "log"), _contour),
    "heat": ("", ("of", "rows", "columns"), _heat),
    "steps": ("", ("of", "log"), _steps),
    "sweep": ("sweep", ("log",), _sweep),
    "weights": ("train", (), _weights),
}


# Drawn by matplotlib


def plot(made: Drawing, axes: Sequence[Axes]) -> None:
    """Draw the data: each table on an axes of its own, everything else on the only one."""
    for at, ax in enumerate(axes):
        _table(ax, at, made) if made.tables else _lines(ax, made)


def _plain(words: str) -> str:
    """A text that stands as it is: between two `$` matplotlib reads a formula, what begins with `_` it leaves out."""
    return (f" {words}" if words.startswith("_") else words).replace("$", r"\$")


def _lines(ax: Axes, made: Drawing) -> None:
    log, lines = made.log, [(_drawable(x, "x" in made.log), _drawable(y, "y" in made.log)) for _, x, y in made.lines]
    if not any(np.isfinite(x + y).any() for x, y in lines):  # on such axes nothing is seen
        log, lines = "", [(_drawable(x), _drawable(y)) for _, x, y in made.lines]
    if made.field and np.isfinite(height := _drawable(made.field[2])).any():
        ax.contourf(*made.field[:2], height, levels=24, cmap="viridis", alpha=0.6)
        ax.contour(*made.field[:2], height, levels=24, colors="white", linewidths=0.4)
    ax.set_prop_cycle(color=COLOURS * len(DASHES), linestyle=DASHES * len(COLOURS))
    for (label, *_), (x, y) in zip(made.lines, lines, strict=True):
        seen = np.flatnonzero(np.isfinite(x + y))
        ax.plot(x, y, label=_plain(label), marker="o" if made.field or len(seen) == 1 else None, markevery=seen[-1:])
    scales = {f"{axis}scale": "log" if axis in log else "linear" for axis in "xy"}
    ax.set(title=_plain(made.title), xlabel=_plain(made.x), ylabel=_plain(made.y), **scales)
    if not made.field:
        ax.grid(color="#dddddd", linewidth=0.6)
    if len(made.lines) > 1 or not made.field:
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(made.lines) > len(COLOURS) else {}
        ax.legend(frameon=False, **beside)


def _drawable(values: Array, log: bool = False) -> Array:
    """The values with a gap where an axis has no place for one: not finite, too large, not positive on a log axis."""
    wide = np.asarray(values, np.float64)  # float32 has no number as large
    return np.where((wide > 1 / LARGEST if log else wide > -LARGEST) & (wide < LARGEST), wide, np.nan)


def _table(ax: Axes, at: int, made: Drawing) -> None:
    start, (name, table) = at - at % made.alike, made.tables[at]
    alike = np.concatenate([_drawable(one).ravel() for _, one in made.tables[start : start + made.alike]])
    low, high = (np.nanmin(alike), np.nanmax(alike)) if np.isfinite(alike).any() else (0.0, 0.0)
    squares = max(table.shape) <= SQUARES
    ax.imshow(_drawable(table), cmap="Blues", aspect="equal" if squares else "auto", vmin=low, vmax=high)
    for (i, j), value in np.ndenumerate(table) if max(table.shape) <= NUMBERED else ():
        colour = "white" if value > low + 0.6 * (high - low) else "black"
        ax.text(j, i, number(value), ha="center", va="center", color=colour, fontsize=8)
    ax.set_title(_plain(name if len(made.tables) > 1 else made.title))
    for ticks, labels, length in zip((ax.set_yticks, ax.set_xticks), made.labels, table.shape, strict=True):
        ticks(range(length) if length <= NUMBERED else [], [*map(_plain, labels)] or None)


def onto(made: Drawing, ax: Axes | None) -> Axes:
    """Draw one plot onto an axes, or onto a new one of pyplot's. Raises MathlabError for one that needs several."""
    if len(made.tables) > 1:
        name = "name one with of=, or " if made.alike == 1 else ""  # of weights, each is beside what it was
        raise MathlabError(f"this plot has {len(made.tables)} parts: {name}write it with mathlab plot")
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots()[1]
    plot(made, [ax])
    return ax


def rendered(made: Drawing, form: str) -> bytes:
    """The plot as a file of a format that matplotlib has: svg, png, pdf."""
    import matplotlib
    from matplotlib.figure import Figure as Page

    count, buffer = max(len(made.tables), 1), io.BytesIO()
    rows, columns = -(-count // 4), min(count, 4)
    broad = 0.55 * max((min(table.shape[1], NUMBERED) for _, table in made.tables), default=0)  # a number's width
    look = {"svg.hashsalt": "mathlab", "svg.fonttype": "none", "font.size": 10}
    with matplotlib.rc_context(look), warnings.catch_warnings(action="ignore", category=UserWarning):  # of rare letters
        width = max(4.2, broad) * columns + (2.2 if count == 1 else 0.0)
        page = Page(figsize=(width, 4.0 * rows), layout="constrained")
        plot(made, [page.add_subplot(rows, columns, at + 1) for at in range(count)])
        page.savefig(buffer, format=form, metadata=dict.fromkeys(UNSAID[form]), dpi=150)
    return buffer.getvalue()
