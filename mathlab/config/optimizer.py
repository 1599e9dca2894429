"""`optimizer: {name: adam, lr: 0.01}` -> its settings, and a learning rate that changes."""

from __future__ import annotations

import re
from dataclasses import replace

from mathlab import habits, signs
from mathlab.config.formulas import formula
from mathlab.config.values import attempt, choice, flag, number, whole
from mathlab.config.yamltext import Scalar, Table, Tree
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import NO_RATE
from mathlab.language import OPS, shapes
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS, SCHEDULED, SETTINGS
from mathlab.language.syntax import Call, Name, walk

WORD = re.compile(r"[^\W\d]{2}")
MOVING = re.compile(r"\b(t|epoch)\b")  # what a learning rate reads that changes


def optimizer(table: Table | None, place: Place) -> tuple[str, dict[str, float], Equation | None]:
    """The optimizer's name, its settings, and its learning rate where that is no number. Raises MathlabError."""
    if table is None or "name" not in table:
        words = [str(word) for item in (table or {}).items() for word in item if isinstance(word, str)]
        named = [habits.folded(word) for word in words if habits.folded(word) in SETTINGS]
        hint = f"; write {{name: {named[0]}, lr: 0.1}}" if named else ""
        message = f"train needs an optimizer with a 'name': {', '.join(SETTINGS)}{hint}"
        raise MathlabError(message, table.place if table else place)
    name = choice(table["name"], SETTINGS, "optimizer")
    defaults, switches = SETTINGS[name], OPTIMIZERS[name].switches
    rate = _schedule(table.get("lr")) if "lr" in defaults else None
    problems: list[Problem] = []
    given: dict[str, float | None] = {}
    for key, tree in table.items():
        if key in defaults and not (key == "lr" and rate):
            given[str(key)] = attempt(flag if key in switches else number, tree, problems)
            if key == "lr" and problems and WORD.search(str(tree)):
                problems[-1] = problems[-1].hinted("; what changes reads t and epoch, which count from 1")
        elif key not in defaults and key != "name":
            hint = f"; that is the optimizer '{key}'" if key in OPTIMIZERS else signs.pair(key, tree)
            hint = hint or did_you_mean(key, defaults) or f"; it has {', '.join(defaults)}"
            problems.append(Problem(f"{name} has no setting '{key}'{hint}", table.key(key).place))
    if (given.get("lr") or 0) < 0:
        problems.append(Problem(NO_RATE.format(table["lr"]), table["lr"].place))
    if problems:
        raise MathlabError(problems)
    found = {key: given.get(key, default) for key, default in defaults.items()}
    settings = {key: float(one) for key, one in found.items() if one is not None and (one or key not in switches)}
    if rate:
        settings.pop("lr", None)
    for key in OPTIMIZERS[name].settings:
        if key not in settings and not (key == "lr" and rate):
            raise MathlabError(f"{name} needs its setting '{key}'", table["name"].place)
    if "clip_eps" in settings and "clip_norm" not in settings:
        raise MathlabError("'clip_eps' needs a 'clip_norm': it is added to the norm", table.key("clip_eps").place)
    return name, settings, replace(rate, name="lr") if rate else None


def _schedule(tree: Tree | None) -> Equation | None:
    """A learning rate that changes from update to update; None for what is to be a number."""
    if not isinstance(tree, Scalar) or not MOVING.search(tree):
        return None
    rate = formula(tree)
    for part in walk(rate.expr):
        if isinstance(part, Name) and part.id not in SCHEDULED:
            message = f"unknown name '{part.id}' in the learning rate, which reads {', '.join(SCHEDULED)} alone"
            raise MathlabError(message, rate.place_of(part))
        if isinstance(part, Call) and OPS[part.op].shape is not shapes.broadcast:
            message = f"{part.op} cannot stand in the learning rate, which is one number for each t"
            raise MathlabError(message, rate.place_of(part))
    return rate


def updates(tree: Tree) -> int:
    """How many updates figures are printed after."""
    try:
        return whole(tree)
    except MathlabError as error:
        hint = "; figures stand below a number of updates, as in 'after: {1: {w: 0.5}}'"
        hint = "" if str(tree)[1:].isdigit() else hint
        raise MathlabError([one.hinted(hint) for one in error.problems]) from None
