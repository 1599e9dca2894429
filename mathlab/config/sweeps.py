"""`sweep:` -> what differs from run to run, and what is reported of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from mathlab.config.arrays import value
from mathlab.config.initial import INITS
from mathlab.config.keys import Keys, key, mapping, parsed
from mathlab.config.schema import CaseText, SweepText
from mathlab.config.values import attempt, flag, gather, number, positive, whole
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import Axis, Choice, Kind, Range, SweepSettings, Value
from mathlab.language.optimizers import OPTIMIZERS, SETTINGS

Read = Callable[[Tree], float]
TRAIN: Mapping[str, Read] = {"seed": whole, "epochs": whole, "batch_size": partial(whole, least=1)}
INIT: Mapping[str, Read] = {"seed": whole, "std": positive, "fan_in": positive, "fan_out": positive}
MOST_CHOICES = 10_000


@dataclass(frozen=True)
class RangeText(Keys):
    """`{low: 0.01, high: 1, log: true}`."""

    low: float = key(number)
    high: float = key(number)
    log: bool = key(flag, False)
    whole: bool = key(flag, False)


@dataclass(frozen=True)
class _Target:
    """What an axis sets, and how a number for it is read."""

    kind: Kind
    name: str
    part: str = ""
    read: Read = number

    @property
    def whole(self) -> bool:
        return self.kind == "train" or self.part == "seed"


def sweep(text: SweepText, case: CaseText, place: Place) -> SweepSettings:
    """The sweep of a case that has inherited all that it does not say itself.

    Raises MathlabError with every problem in it.
    """
    if (text.grid is None) == (text.sample is None):
        raise MathlabError("a sweep has either a 'grid' of values or a 'sample' of so many runs", place)
    problems: list[Problem] = []
    if text.sample is None:
        problems += [Problem(f"'{word}' needs a 'sample'", place) for word in ("over", "seed") if getattr(text, word)]
    elif text.over is None:
        problems.append(Problem("'sample' needs 'over': what differs from run to run", place))
    trees = text.grid if isinstance(text.grid, Row) else [text.grid or text.over or Table(place)]
    targets = _targets(case)
    grids = []
    for tree in trees:
        table = attempt(mapping, tree, problems) or Table(tree.place)
        if not table and not problems:
            problems.append(Problem("this sweep changes nothing", table.place))
        read_axis = partial(_axis, table, targets, case, text.sample is not None)
        grids.append(tuple(axis for name in table if (axis := attempt(read_axis, name, problems))))
    if problems:
        raise MathlabError(problems)
    return SweepSettings(_numbered(grids), text.sample, text.seed or 0, text.report, place)


def _targets(case: CaseText) -> dict[str, list[_Target]]:
    """All that may differ from run to run, by what the config calls it."""
    found: dict[str, list[_Target]] = {}
    if case.train:
        optimizer = case.train.optimizer.get("name") if case.train.optimizer else None
        settings = SETTINGS.get(optimizer, {}) if isinstance(optimizer, Scalar) else {}
        for setting in (one for one in settings if one not in OPTIMIZERS[str(optimizer)].switches):
            found.setdefault(setting, []).append(_Target("optimizer", setting))
        for setting, read in TRAIN.items():
            found.setdefault(setting, []).append(_Target("train", setting, read=read))
    for name, given in (*case.inputs.items(), *case.parameters.items()):
        found.setdefault(str(name), []).append(_Target("value", str(name)))
        if given.recipe:
            for part in ("seed", "scale", *INITS[given.recipe.init].settings):
                target = _Target("init", str(name), part, INIT.get(part, number))
                found.setdefault(f"{name}.{part}", []).append(target)
    return found


def _axis(table: Table, targets: Mapping[str, list[_Target]], case: CaseText, sampled: bool, name: str) -> Axis:
    key, tree = table.key(name), table[name]
    if name not in targets:
        raise MathlabError(f"a sweep cannot change '{name}'{_hint(name, case, targets)}", key.place)
    if len(targets[name]) > 1:
        raise MathlabError(f"'{name}' is both a value and a setting of the training; rename the value", key.place)
    (target,) = targets[name]
    axis = partial(Axis, str(name), target.kind, target.name, part=target.part, place=key.place)
    if isinstance(tree, Table) and sampled:
        return axis(_range(tree, target, case))
    if not isinstance(tree, Row) or not tree:
        wanted = "a list of values, or {low: …, high: …}" if sampled else "a list of values"
        raise MathlabError(f"'{name}' needs {wanted}, not {kind(tree)}", tree.place)
    if len(tree) > MOST_CHOICES:
        raise MathlabError(f"'{name}' lists more than {MOST_CHOICES} values", tree.place)
    return axis(tuple(gather(partial(_choice, target), tree)))


def _hint(name: str, case: CaseText, targets: Mapping[str, list[_Target]]) -> str:
    value_name, _, part = name.partition(".")
    if part and value_name in targets and f"{value_name}.seed" not in targets:
        return f", because '{value_name}' is not drawn ('init')"
    if not case.train and name in {*TRAIN, *(setting for settings in SETTINGS.values() for setting in settings)}:
        return " without a 'train'"
    return did_you_mean(name, targets) or f"; it can change {', '.join(targets)}"


def _choice(target: _Target, tree: Tree) -> Choice:
    if target.kind != "value":
        return Choice(str(tree), target.read(tree))
    given = value(tree)
    return Choice(_flow(tree), float(given.array) if not given.array.ndim else 0.0, given)


def _flow(tree: Tree) -> str:
    """The tree on one line, as YAML writes it."""
    if isinstance(tree, Table):
        return "{" + ", ".join(f"{name}: {_flow(part)}" for name, part in tree.items()) + "}"
    return f"[{', '.join(map(_flow, tree))}]" if isinstance(tree, Row) else str(tree)


def _range(tree: Table, target: _Target, case: CaseText) -> Range:
    given = parsed(RangeText)(tree)
    for bound in ("low", "high"):
        target.read(tree[bound])
        if (given.whole or target.whole) and getattr(given, bound) != int(getattr(given, bound)):
            raise MathlabError("a whole number is needed here", tree[bound].place)
    if given.low > given.high:
        raise MathlabError(f"low ({given.low:g}) is above high ({given.high:g})", tree.place)
    if given.log and given.low <= 0:
        raise MathlabError("with 'log', low must be above 0", tree["low"].place)
    if max(abs(given.low), abs(given.high)) >= 2**53 and (given.whole or target.whole):
        raise MathlabError("whole numbers are drawn below 2**53", tree.place)
    if target.kind == "value" and _value(case, target.name).array.ndim:
        raise MathlabError(f"'{target.name}' is an array, so that it needs a list of arrays", tree.place)
    return Range(given.low, given.high, given.log, given.whole or target.whole)


def _value(case: CaseText, name: str) -> Value:
    values = {**case.inputs, **case.parameters}
    return values[cast(Scalar, name)]


def _numbered(grids: Sequence[Sequence[Axis]]) -> tuple[tuple[Axis, ...], ...]:
    """The axes with every array numbered by its place among the values that its key has in any grid."""
    seen: dict[str, dict[str, int]] = {}

    def numbered(key: str, choice: Choice) -> Choice:
        if choice.value is None or not choice.value.array.ndim:
            return choice
        places = seen.setdefault(key, {})
        return replace(choice, number=float(places.setdefault(choice.label, len(places))))

    return tuple(
        tuple(
            axis
            if isinstance(axis.values, Range)
            else replace(axis, values=tuple(numbered(axis.key, choice) for choice in axis.values))
            for axis in axes
        )
        for axes in grids
    )
