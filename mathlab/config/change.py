"""What differs from the config: by a command, as in `W1[0,0]=0.5`, and in a `sweep:` from run to run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.config import values as read
from mathlab.config import yamltext
from mathlab.config.arrays import INITS, drawn, value
from mathlab.config.keys import Keys, mapping, quantities
from mathlab.config.loops import rolled
from mathlab.config.values import Reader, Schema, any_of, attempt, gather, listed, reference
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import DTYPES, Axis, Case, Choice, Point, Range, Recipe, SweepSettings, Value
from mathlab.language.derive import UPSTREAM
from mathlab.language.optimizers import OPTIMIZERS, SETTINGS

Read = Callable[[Tree], float]
Seen = Mapping[str, dict[str, int]]
TRAIN: Mapping[str, Read] = {"seed": read.whole, "epochs": read.whole, "batch_size": read.counted}
INIT: Mapping[str, Read] = {"seed": read.whole, "std": read.positive, "fan_in": read.positive, "fan_out": read.positive}
MOST_CHOICES = 10_000
TARGET = r"(?P<name>[^\[\]]+)(?:\[(?P<index>[-+\d,:\s]*)\])?"

RANGE = Keys(
    "`{low: 0.01, high: 1, log: true}`: numbers to draw from.",
    Range,
    {"low": read.number, "high": read.number, "log": read.flag, "whole": read.flag},
    needed=("low", "high"),
)
AXES: Schema = {"type": "object", "additionalProperties": listed(reference("value"))}
DRAWN: Schema = {"type": "object", "additionalProperties": any_of(listed(reference("value")), RANGE.schema)}
SWEEP = Keys(
    "What differs from run to run; `grid` and `over` are read when the case has inherited the rest.",
    partial(SweepSettings, ()),
    {
        "grid": Reader(lambda tree: None, any_of(AXES, listed(AXES))),
        "sample": read.counted,
        "seed": read.whole,
        "over": Reader(lambda tree: None, DRAWN),
        "report": quantities,
    },
)


def sweep(case: Case, table: Table) -> SweepSettings:
    """The sweep of a case that has inherited the rest, as its `table` says. Raises MathlabError with every problem."""
    assert case.sweep
    assert case.place
    grid, over = table.get("grid"), table.get("over")
    sampled, problems = grid is None, list[Problem]()
    if sampled != bool(case.sweep.sample) or sampled != (over is not None) or (case.sweep.seed and not sampled):
        wanted = "either a 'grid' of values, or a 'sample' of so many runs with what differs 'over' them, and a 'seed'"
        raise MathlabError(f"a sweep has {wanted}", table.place)
    targets, seen = _targets(case), defaultdict[str, dict[str, int]](dict)
    grids: list[tuple[Axis, ...]] = []
    for tree in grid if grid and isinstance(grid, Row) else [grid or over or Table(table.place)]:
        lines = attempt(mapping, tree, problems) or Table(tree.place)
        if not lines and not problems:
            problems.append(Problem("this sweep changes nothing", tree.place))
        read_axis = partial(_axis, lines, targets, case, sampled, seen)
        axes = tuple(filter(None, (attempt(read_axis, name, problems) for name in lines)))
        drawn_names = {axis.name for axis in axes if axis.kind == "init"}
        both = (axis for axis in axes if axis.kind == "value" and axis.name in drawn_names)
        problems += [Problem(f"one run cannot both set '{axis.name}' and draw it", axis.place) for axis in both]
        grids.append(axes)
    if problems:
        raise MathlabError(problems)
    return case.sweep._replace(grids=tuple(grids), place=case.place)


def _targets(case: Case) -> list[Axis]:
    """All that may differ from run to run, each without its values."""
    targets: list[Axis] = []
    if case.train and (rule := OPTIMIZERS.get(case.train.optimizer)):
        settings = (one for one in SETTINGS[case.train.optimizer] if one not in rule.switches)
        targets += [Axis(setting, "optimizer", setting, ()) for setting in settings]
    if case.train:
        settings = (one for one in TRAIN if one != "batch_size" or case.train.over)
        targets += [Axis(setting, "train", setting, ()) for setting in settings]
    for name, given in {**case.inputs, **case.parameters}.items():
        parts = ("seed", "scale", *INITS[given.recipe.init].settings) if given.recipe else ()
        targets += [Axis(name, "value", name, ()), *(Axis(f"{name}.{one}", "init", name, (), one) for one in parts)]
    return targets


def _number(axis: Axis) -> Read:
    """How a number for an axis is read."""
    known = TRAIN if axis.kind == "train" else INIT if axis.kind == "init" else {}
    return known.get(axis.part or axis.name, read.number)


def _axis(table: Table, targets: Sequence[Axis], case: Case, sampled: bool, seen: Seen, name: str) -> Axis:
    key, tree = table.key(name), table[name]
    match [one for one in targets if one.key == name]:
        case []:
            raise MathlabError(f"a sweep cannot change '{name}'{_hint(name, case, targets)}", key.place)
        case [target]:
            axis = target._replace(key=str(name), place=key.place)
        case _:
            raise MathlabError(f"'{name}' is both a value and a setting of the training; rename the value", key.place)
    if isinstance(tree, Table) and sampled:
        return axis._replace(values=_range(tree, axis, case))
    if not isinstance(tree, Row) or not tree:
        wanted = "a list of values, or {low: …, high: …}" if sampled else "a list of values"
        raise MathlabError(f"'{name}' needs {wanted}, not {kind(tree)}", tree.place)
    if len(tree) > MOST_CHOICES:
        raise MathlabError(f"'{name}' lists more than {MOST_CHOICES} values", tree.place)
    return axis._replace(values=gather(partial(_choice, axis, seen[name]), tree))


def _hint(name: str, case: Case, targets: Sequence[Axis]) -> str:
    known = dict.fromkeys(one.key for one in targets)
    value_name, _, part = name.partition(".")
    if part and value_name in known and f"{value_name}.seed" not in known:
        return f", because '{value_name}' is not drawn ('init')"
    if not case.train and name in {*TRAIN, *(setting for settings in SETTINGS.values() for setting in settings)}:
        return " without a 'train'"
    plain = re.sub(r"^(train|optimizer|inputs|parameters)\.", "", name)
    return did_you_mean(plain, known) or f"; it can change {', '.join(known)}"


def _choice(axis: Axis, seen: dict[str, int], tree: Tree) -> Choice:
    """One value of an axis; an array is numbered by its place among those that the key has in any grid."""
    if axis.kind != "value":
        return Choice(str(tree), float(_number(axis)(tree)))
    given, label = value(tree), _flow(tree)
    return Choice(label, float(seen.setdefault(label, len(seen)) if given.array.ndim else given.array), given)


def _flow(tree: Tree) -> str:
    """The tree on one line, as YAML writes it."""
    if isinstance(tree, Table):
        return "{" + ", ".join(f"{name}: {_flow(part)}" for name, part in tree.items()) + "}"
    return f"[{', '.join(map(_flow, tree))}]" if isinstance(tree, Row) else str(tree)


def _range(tree: Table, axis: Axis, case: Case) -> Range:
    given = RANGE(tree)
    whole = given.whole or axis.kind == "train" or axis.part == "seed"
    for bound in ("low", "high"):
        _number(axis)(tree[bound])
        if whole and not getattr(given, bound).is_integer():
            raise MathlabError("a whole number is needed here", tree[bound].place)
    if given.low > given.high:
        raise MathlabError(f"low ({given.low:g}) is above high ({given.high:g})", tree.place)
    if given.log and given.low <= 0:
        raise MathlabError("with 'log', low must be above 0", tree["low"].place)
    if whole and max(abs(given.low), abs(given.high)) >= 2**53:
        raise MathlabError("whole numbers are drawn below 2**53", tree.place)
    if axis.kind == "value" and {**case.inputs, **case.parameters}[axis.name].array.ndim:
        raise MathlabError(f"'{axis.name}' is an array, so that it needs a list of arrays", tree.place)
    return given._replace(whole=whole)


def at_point(case: Case, point: Point) -> Case:
    """The case with what a point has on every axis. Raises MathlabError for initial values that cannot be drawn."""
    given = {**case.inputs, **case.parameters}
    if sizes := {axis.name: choice.value for axis, choice in point if choice.value and axis.name not in given}:
        case = rolled(case, lambda written: replace(written, inputs={**written.inputs, **sizes}))
    values: dict[str, Value] = {**case.inputs, **case.parameters}
    recipes: dict[str, Recipe] = {}
    train = case.train
    for axis, choice in point:
        number = choice.number
        if axis.kind == "value" and choice.value is not None:
            values[axis.name] = choice.value
        elif axis.kind == "init":
            recipe = recipes.get(axis.name) or values[axis.name].recipe
            assert recipe, "only what is drawn has such an axis"
            match axis.part:
                case "seed":
                    recipes[axis.name] = recipe._replace(seed=int(number))
                case "scale":
                    recipes[axis.name] = recipe._replace(scale=number)
                case part:
                    recipes[axis.name] = recipe._replace(settings={**recipe.settings, part: number})
        elif train:
            train = train.changed(axis.name, number, axis.place)
    for name, recipe in recipes.items():
        values[name] = replace(values[name], array=drawn(recipe, values[name].place), recipe=recipe)
    if train and len({values[name].array.shape[:1] for name in train.over}) > 1:
        raise MathlabError("the inputs that 'over' names have different numbers of samples", train.place)
    return replace(case.having(values), train=train)


# --- by a command


def assignment(text: str) -> tuple[str, str]:
    """What `text` sets, and what to. Raises MathlabError for a text that sets nothing."""
    target, equals, written = (part.strip() for part in text.replace("][", ",").partition("="))
    if not (target and equals and written):
        raise MathlabError(f"{text!r} sets nothing: write what is set and its value, as in W1[0,0]=0.5")
    return target, written


def changed(cases: Sequence[Case], target: str, given: Value | str) -> list[Case]:
    """The cases with `given` for what `target` names, where they have it. Raises MathlabError where it does not fit."""
    if target == "dtype":
        for dtype in (one for one in DTYPES if one == given):
            return [rolled(case, partial(replace, dtype=dtype)) for case in cases]
        raise MathlabError(f"dtype is {' or '.join(DTYPES)}")
    found = re.fullmatch(TARGET, target)
    name = found["name"].strip() if found else target
    settable = [_settable(case) for case in cases]
    if not found or not any(name in names for names in settable):
        known = dict.fromkeys((*(axis.key for axes in settable for axis in axes.values()), "dtype"))
        defined = {*known, *(equation.name for case in cases for equation in case.equations)}
        if name in defined or name.removeprefix("d") in defined:
            raise MathlabError(f"{target!r} is computed, so set what it is computed from")
        hint = did_you_mean(re.sub(r"^(inputs|parameters)\.", "", name), known)
        if any(name.removeprefix("train.") in rule.switches for rule in OPTIMIZERS.values()):
            hint = "; it is a switch, which stands in the config"
        hint = hint if found else "; an entry is set as in W1[0,0]=0.5"
        raise MathlabError(f"nothing here is called {target!r}{hint or '; there are ' + ', '.join(known)}")
    value = _read(target, given) if isinstance(given, str) else given
    change = partial(_changed, index=found["index"], given=value)
    return [
        rolled(case, partial(change, axes[name])) if name in axes else case
        for case, axes in zip(cases, settable, strict=True)
    ]


def _read(target: str, written: str) -> Value:
    try:
        tree, problems = yamltext.read(written, "")
        if tree is None or problems:
            raise MathlabError(problems or "a value is needed")
        return value(tree)
    except MathlabError as error:
        raise MathlabError(f"'{target}={written}' sets nothing: {error.problems[0].message}") from None


def unjudged(case: Case) -> Case:
    """The case without anything that its numbers could be held against."""

    def bare(one: Case) -> Case:
        gradcheck = one.gradcheck and one.gradcheck._replace(expected=())
        train = one.train and one.train._replace(after=())
        one = replace(one, expected=(), forward=bool(one.expected), shown=one.judged)
        return replace(one, derivation=(), pictures=(), sweep=None, gradcheck=gradcheck, train=train)

    return rolled(case, bare)


def _settable(case: Case) -> dict[str, Axis]:
    """What can be set, each by its names: lr is train.lr where no value has the name."""
    axes = _targets(case.rolled[0] if case.rolled else case)
    settings = [one._replace(key=f"train.{one.key}") for one in axes if one.kind in ("optimizer", "train")]
    values = [one for one in axes if one.kind in ("value", "init")]
    values += [Axis(UPSTREAM, "value", UPSTREAM, ())] if isinstance(case.upstream, Value) else []
    full = {one.key: one for one in (*values, *settings)}
    return full | {one.name: one for one in settings if one.name not in full}


def _changed(axis: Axis, case: Case, index: str | None, given: Value) -> Case:
    if axis.name == UPSTREAM and isinstance(case.upstream, Value):
        return replace(case, upstream=_value(case.upstream, case, UPSTREAM, index, given))
    if axis.kind == "value":
        old = {**case.inputs, **case.parameters}[axis.name]
        return at_point(case, ((axis, Choice("", 0, _value(old, case, axis.name, index, given))),))
    if given.array.ndim or index is not None:
        raise MathlabError(f"{axis.key} is a number")
    number = float(given.array)
    try:
        _number(axis)(Scalar(str(int(number) if given.integral else number), Place("", 1, 1)))
        return at_point(case, ((axis, Choice("", number)),))
    except MathlabError as error:
        raise MathlabError(f"{axis.key}: {error.problems[0].message}") from None


def _value(old: Value, case: Case, name: str, index: str | None, given: Value) -> Value:
    shape = old.array.shape
    has = f"{name} has shape {shape}" + f" in case {case.name!r}" * (case.name != "base")
    if index is None:
        if given.array.shape != shape:
            size = f"an array of shape {given.array.shape}" if given.array.ndim else "a single number"
            entry = f"; an entry is set as in {name}[{','.join('0' * len(shape))}]=0.5" if shape else ""
            raise MathlabError(f"{has}, and is set to {size}{entry}")
        return given
    made = np.array(old.bound("float64"))
    try:
        at = tuple(int(part) for part in index.split(",") if part.strip())
        if len(at) != len(shape) or given.array.ndim:
            raise IndexError
        made[at] = given.array
    except (IndexError, ValueError):
        message = f"{has}: '{name}[{index}]' is no entry of it, or is set to more"
        last = f"{name}[{','.join(str(length - 1) for length in shape)}]"
        raise MathlabError(f"{message}{f'; entries are counted from 0, up to {last}' if shape else ''}") from None
    return Value(made, old.place, old.integral and given.integral)
