"""`W1[0,0]=0.5` -> cases with this number in the place of the config's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.config import yamltext
from mathlab.config.loops import rolled
from mathlab.config.schema import DTYPES
from mathlab.config.sweeps import TRAIN
from mathlab.config.values import array
from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Case, Value

TARGET = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<index>[-+\d,\s]*)\])?")


def assignment(text: str) -> tuple[str, Value | str]:
    """What `text` sets, and to what: a number, an array, or a word. Raises MathlabError for a text that does not."""
    target, equals, written = (part.strip() for part in text.replace("][", ",").partition("="))
    if not (target and equals and written):
        raise MathlabError(f"{text!r} sets nothing: write what is set and its value, as in W1[0,0]=0.5")
    if target == "dtype" or written in DTYPES:
        return target, written
    try:
        tree, problems = yamltext.read(written, "")
        if tree is None or problems:
            raise MathlabError(problems or "a value is needed")
        return target, array(tree)
    except MathlabError as error:
        raise MathlabError(f"{text!r} sets nothing: {error.problems[0].message}") from None


def changed(cases: Sequence[Case], target: str, given: Value | str) -> list[Case]:
    """The cases with `given` for what `target` names, where they have it. Raises MathlabError where it does not fit."""
    found = TARGET.fullmatch(target)
    name = found["name"].strip() if found else target
    settable = [_settable(case) for case in cases]
    if not found or not any(name in names for names in settable):
        known = dict.fromkeys(full for names in settable for full in names.values())
        computed = {equation.name for case in cases for equation in case.equations}
        hint = "; it is computed, so set what it is computed from" if name in computed else did_you_mean(name, known)
        raise MathlabError(f"nothing here is called {target!r}{hint or '; there are ' + ', '.join(known)}")
    change = partial(_changed, index=found["index"], given=given)
    return [
        rolled(case, partial(change, names[name])) if name in names else case
        for case, names in zip(cases, settable, strict=True)
    ]


def unjudged(case: Case) -> Case:
    """The case without anything that its numbers could be held against."""

    def bare(one: Case) -> Case:
        gradcheck = one.gradcheck and one.gradcheck._replace(expected=())
        train = one.train and one.train._replace(after=())
        return replace(one, expected=(), derivation=(), pictures=(), sweep=None, gradcheck=gradcheck, train=train)

    return rolled(case, bare)


def _settable(case: Case) -> dict[str, str]:
    """What can be set, each by its names: lr is train.lr where no value has the name."""
    case = case.rolled[0] if case.rolled else case
    train = case.train
    settings = (*train.settings, *(name for name in TRAIN if getattr(train, name) is not None)) if train else ()
    full = (*case.inputs, *case.parameters, *(f"train.{name}" for name in settings), "dtype")
    return {**dict(zip(full, full, strict=True)), **{name: f"train.{name}" for name in settings if name not in full}}


def _changed(name: str, case: Case, index: str | None, given: Value | str) -> Case:
    if name == "dtype":
        for dtype in DTYPES:
            if dtype == given:
                return replace(case, dtype=dtype)
        raise MathlabError(f"dtype is {' or '.join(DTYPES)}")
    if isinstance(given, str):
        raise MathlabError(f"{name} is a number or an array, not {given!r}")
    if old := {**case.inputs, **case.parameters}.get(name):
        return case.having({name: _value(old, name, index, given)})
    assert case.train, "it has the name, which is then that of a setting"
    key, number = name.removeprefix("train."), float(given.array) if not given.array.ndim else None
    setting = key in case.train.settings
    if number is None or (not setting and not (given.integral and number >= (key == "batch_size"))):
        raise MathlabError(f"{name} is {'a number' if setting else 'a whole number'}")
    return replace(case, train=case.train.changed(key, number))


def _value(old: Value, name: str, index: str | None, given: Value) -> Value:
    shape = old.array.shape
    if index is None:
        if given.array.shape != shape:
            size = f"an array of shape {given.array.shape}" if given.array.ndim else "a single number"
            entry = f"; an entry is set as in {name}[{','.join('0' * len(shape))}]=0.5" if shape else ""
            raise MathlabError(f"{name} has shape {shape}, and is set to {size}{entry}")
        return given
    made = np.array(old.bound("float64"))
    try:
        at = tuple(int(part) for part in index.split(",") if part.strip())
        if len(at) != len(shape) or given.array.ndim:
            raise IndexError
        made[at] = given.array
    except (IndexError, ValueError):
        message = f"{name} has shape {shape}: '{name}[{index}]' is no entry of it, or is set to more"
        last = f"{name}[{','.join(str(length - 1) for length in shape)}]"
        raise MathlabError(f"{message}{f'; entries are counted from 0, up to {last}' if shape else ''}") from None
    return Value(made, old.place, old.integral and given.integral)
