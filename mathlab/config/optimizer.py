"""`optimizer: {name: adam, lr: 0.01}` -> its settings, and a learning rate that changes."""

from __future__ import annotations

import re
from dataclasses import replace

from mathlab import habits
from mathlab.config.formulas import formula
from mathlab.config.values import attempt, choice, flag, number
from mathlab.config.yamltext import Scalar, Table, Tree
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.language import OPS, shapes
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS, SCHEDULED, SETTINGS
from mathlab.language.syntax import Call, Name, walk

MOVING = re.compile(r"\b(t|epoch)\b")  # what a learning rate reads that changes


def optimizer(table: Table | None, place: Place) -> tuple[str, dict[str, float], Equation | None]:
    """The optimizer's name, all its settings, and its learning rate where that is no number.

    Raises MathlabError for what it does not have or lacks.
    """
    if table is None or "name" not in table:
        raise MathlabError(f"train needs an optimizer with a 'name': {', '.join(SETTINGS)}", place)
    name = choice(table["name"], SETTINGS, "optimizer")
    defaults, switches = SETTINGS[name], OPTIMIZERS[name].switches
    rate = _schedule(table.get("lr")) if "lr" in defaults else None
    problems: list[Problem] = []
    given: dict[str, float | None] = {}
    for key, tree in table.items():
        if key in defaults and not (key == "lr" and rate):
            given[str(key)] = attempt(flag if key in switches else number, tree, problems)
        elif key not in defaults and key != "name":
            hint = f"; that is the optimizer '{key}'" if key in OPTIMIZERS else habits.pair(key, tree)
            hint = hint or did_you_mean(key, defaults) or f"; it has {', '.join(defaults)}"
            problems.append(Problem(f"{name} has no setting '{key}'{hint}", table.key(key).place))
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
