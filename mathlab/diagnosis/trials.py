"""Mistakes outside of the equations: in the numbers themselves, in how they are rounded, and in the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from mathlab.diagnosis.rewrite import by_name, factors
from mathlab.diagnosis.worlds import Outcome, Outcomes, Scene, Trial, World, changed
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Dtype
from mathlab.language.check import Types
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import in_all

FEW = 64  # entries of an array, of which a single number may be another one
PAIRED = 20  # wrong figures of which two may be exchanged
DECIMALS = range(1, 9)
TOSSES = 2  # numbers that are cut and not rounded, before it is no accident
MOST = 12  # claims for each of which the figures printed before it are carried on
STEPS = 25  # of the secant; it converges in a few or not at all
PRECISE = 10  # significant digits of a learning rate, at most


def sign(scene: Scene) -> Iterator[Trial]:
    """Everything times -1."""
    yield Trial("the sign is the other way round", scene.transformed(np.negative), world=False)


def transpose(scene: Scene) -> Iterator[Trial]:
    """Matrices, and what is an entry of one, turned over."""
    yield Trial("it is the transpose", scene.transformed(np.transpose), world=False)


def factor(scene: Scene) -> Iterator[Trial]:
    """Everything times a number of the experiment."""
    for value, reason in multipliers(scene):
        multiplied = scene.transformed(partial(np.multiply, value))
        yield Trial(f"it is {value:.4g} times the computed value: {reason}", multiplied, world=False)


def any_factor(scene: Scene) -> Iterator[Trial]:
    """Everything times whatever the largest entry asks for, where a program or a formula computed the numbers."""
    named = [1.0, -1.0, *dict(multipliers(scene))]
    for k in scene.wrong:
        claim, truth = scene.claims[k], scene.truth[k]
        if claim.unit is None and truth is not None and claim.stated[0].shape == truth[0].shape and truth[0].size > 1:
            at = np.unravel_index(int(np.argmax(np.abs(truth[0]))), truth[0].shape)
            value = float(claim.stated[0][at] / truth[0][at]) if truth[0][at] else 0.0
            if np.isfinite(value) and value and not np.any(np.isclose(value, named, rtol=1e-6)):
                multiplied = scene.transformed(partial(np.multiply, value))
                # the factor is fitted to one entry: that one is no evidence
                cause = f"it is {value:.6g} times the computed value, every entry of it"
                yield Trial(cause, multiplied, weight=1e9, world=False)


def swapped(scene: Scene) -> Iterator[Trial]:
    """Two entries, rows or columns exchanged, or the numbers of two quantities."""
    for k in scene.wrong:
        claim, truth = scene.claims[k], scene.truth[k]
        if truth is None or len(claim.moments) > 1 or claim.stated[0].shape != truth[0].shape:
            continue
        for what, moved, weight in _exchanged(truth[0], np.abs(claim.stated[0] - truth[0]) > claim.widths[0] / 2):
            yield Trial(f"{what} are exchanged", _only(scene, {k: moved}), weight, world=False)
        base = scene.bases[k][0]
        for index in np.ndindex(base.shape) if not truth[0].shape and base.size <= FEW else ():
            if index != claim.pick:
                name = f"{unparse(claim.base)}[{', '.join(map(str, index))}]"
                yield Trial(f"it is the value of {name}", _only(scene, {k: base[index]}), world=False)
    single = {k: truth[0] for k in scene.wrong if len(scene.claims[k].moments) == 1 and (truth := scene.truth[k])}
    for j, k in combinations([*single][:PAIRED], 2):
        if single[j].shape == single[k].shape:
            cause = f"the values of {scene.claims[j].label} and {scene.claims[k].label} are exchanged"
            yield Trial(cause, _only(scene, {j: single[k], k: single[j]}), world=False)


def _exchanged(array: Array, off: NDArray[np.bool_]) -> Iterator[tuple[str, Array, float]]:
    """An array with two rows, columns or entries exchanged that are `off`, and of how many pairs they are one."""
    for axis in (*range(array.ndim), *([None] if array.ndim > 1 else [])):
        places = np.flatnonzero(off) if axis is None else np.unique(np.nonzero(off)[axis])
        if len(places) == 2:
            order = np.arange(array.size if axis is None else array.shape[axis])
            order[places] = order[places[::-1]]
            moved = np.take(array, order, axis).reshape(array.shape)
            what = "rows" if axis == 0 < array.ndim - 1 else "columns" if axis else "entries"
            one, other = ([*map(int, np.unravel_index(n, array.shape))] if axis is None else n for n in places)
            yield f"{what} {one} and {other}", moved, math.comb(len(order), 2)


def _only(scene: Scene, values: dict[int, Array]) -> Outcomes:
    """Some claims' values, and none of the others."""
    return [[np.asarray(values[n], np.float64)] if n in values else None for n in range(len(scene.claims))]


# --- rounding


def truncated(scene: Scene) -> Iterator[Trial]:
    """Every number cut after its last printed digit.

    One number is cut where it should be rounded up by the toss of a coin: it takes `TOSSES` of them, and none beside
    them that was rounded up.
    """
    outcomes: list[Outcome] = [None] * len(scene.claims)
    cut_off, rounded_up = 0, 0
    for k, (claim, truth) in enumerate(zip(scene.claims, scene.truth, strict=True)):
        if claim.unit is not None and truth is not None:
            units, stated = truth[0] / claim.unit, np.round(claim.stated[0] / claim.unit)
            cut = np.trunc(units * (1 + 4e-16))  # the nudge keeps 0.3, a little less in binary, from being cut to 0.2
            outcomes[k] = [cut * claim.unit]
            differ = cut != np.round(units)
            cut_off += int(np.count_nonzero(differ & (stated == cut)))
            rounded_up += int(np.count_nonzero(differ & (stated == np.round(units)))) if not claim.wrong else 0
    told = cut_off >= TOSSES and not rounded_up
    yield Trial("the digits are cut off, not rounded", outcomes, anywhere=True, world=False, told=told)


def other_precision(scene: Scene) -> Iterator[Trial]:
    """The whole case in the other precision."""
    other: Dtype = "float32" if scene.case.dtype == "float64" else "float64"
    try:
        prepared = prepare(replace(scene.case, dtype=other))
    except (MathlabError, ExpressionError):
        return
    yield from scene.tried(f"it was computed in {other}", World(prepared, scene.case.train))


def every_rounding(scene: Scene) -> Iterator[Trial]:
    """Every intermediate result rounded as soon as it is computed."""
    # what is stated was not rounded with the rest: it is computed from what was
    definitions = by_name(scene.prepared.both)
    claims = [replace(claim, quantity=substitute(claim.quantity, definitions)) for claim in scene.claims]
    fresh = replace(scene, claims=claims)
    ways: Mapping[str, Callable[..., Array]] = {"decimal": np.round, "significant digit": to_significant}
    for (what, rounded), k in product(ways.items(), DECIMALS):
        cause = f"every intermediate result was rounded to {k} {what}{'s' * (k > 1)}"
        yield from fresh.tried(cause, scene.true_world._replace(rounding=partial(rounded, decimals=k)))


def to_significant(array: Array, decimals: int) -> Array:
    """The array with each entry rounded to so many significant digits."""
    with np.errstate(all="ignore"):
        decades = np.floor(np.log10(np.abs(array)))
        scale = np.where(np.isfinite(decades), 10.0 ** (decimals - 1 - decades), 1.0)
    return np.asarray(np.round(array * scale) / scale, np.asarray(array).dtype)


def carried_on(scene: Scene) -> Iterator[Trial]:
    """Printed numbers, right or wrong, that the computation was continued with."""
    printed = [(k, claim.base) for k, claim in enumerate(scene.claims) if claim.unit is not None]
    # the node, gradient or parameter that each gives the value of
    named = {k: base.id for k, base in printed if isinstance(base, Name) and base.id not in scene.case.inputs}
    causes: dict[tuple[int, ...], str] = {}
    for k in scene.wrong[:MOST]:
        own, moments = names(scene.claims[k].quantity), scene.claims[k].moments
        others = tuple(n for n, name in named.items() if scene.claims[n].moments == moments and name not in own)
        causes |= {(n,): f"it follows from {scene.claims[n].label} as printed" for n in others}
        if len(others) > 1:
            causes.setdefault(others, "it follows from the other figures as they are printed")
    for chosen, cause in causes.items():
        given, moments = {named[k] for k in chosen}, scene.claims[chosen[0]].moments
        # that a printed number is what it is printed as explains nothing
        told = [claim.moments == moments and given.isdisjoint(names(claim.quantity)) for claim in scene.claims]
        for trial in scene.tried(cause, _continued(scene, {k: named[k] for k in chosen})):
            outcomes = [outcome if tells else None for outcome, tells in zip(trial.outcomes, told, strict=True)]
            yield trial._replace(outcomes=outcomes)


def _continued(scene: Scene, named: Mapping[int, str]) -> World:
    """The true training, after which what some claims give the value of is taken as it is printed."""
    stated: dict[str, Array] = {}
    for k, name in named.items():
        value = np.array(stated.get(name, scene.bases[k][0]))
        value[scene.claims[k].pick] = scene.claims[k].stated[0]
        stated[name] = value.astype(scene.case.dtype)[()]
    pins = {name: f"_printed_{name}" for name in stated if name not in scene.case.parameters}
    types = Types(scene.prepared.types.names, scene.prepared.types.integral)
    types.names |= {pin: types.names[name] for name, pin in pins.items()}
    shown = changed(replace(scene.prepared, types=types), {name: Name(pin) for name, pin in pins.items()})
    values = {pins.get(name, name): value for name, value in stated.items()}
    return scene.true_world._replace(shown=shown, stated=values)


# --- training


def other_updates(scene: Scene) -> Iterator[Trial]:
    """One update, or one epoch, more or less."""
    if scene.case.train:
        batches, _ = in_all(scene.prepared, scene.case.train)
        for count, what in {batches: "epoch", 1: "update"}.items():
            for later, word in ((count, "later"), (-count, "earlier")):
                yield from scene.tried(f"it is the value one {what} {word}", scene.true_world._replace(later=later))


def step_added(scene: Scene) -> Iterator[Trial]:
    """Each step made uphill."""
    for rate in _rate(scene):
        cause = f"the learning rate is {-rate:.{PRECISE}g}, not {rate:g} (the step is added instead of subtracted)"
        yield from scene.tried(cause, _with_rate(scene, -rate))


def other_rates(scene: Scene) -> Iterator[Trial]:
    """The learning rate that one number of a claim asks for, written with as few digits as fit all of them."""
    known = {*_rate(scene)}
    for rate in _rate(scene):
        for k in scene.wrong:
            solved = _solved(scene, rate, k) if scene.claims[k].moments[0].updates else math.nan
            for digits in range(1, PRECISE + 1):
                rounded = float(f"{solved:.{digits - 1}e}")
                if rounded in known or not abs(rounded - solved) <= 0.05 * abs(solved):
                    continue
                known.add(rounded)
                cause = f"the learning rate is {rounded:.{PRECISE}g}, not {rate:g}"
                # there are about this many numbers of so many digits within a factor of 100 up and down
                made = scene.tried(cause, _with_rate(scene, rounded), weight=4 * 10.0**digits)
                if not made:
                    return
                if scene.claims[k].fits(made[0].outcomes[k]):
                    yield from made
                    break


def _rate(scene: Scene) -> list[float]:
    """The learning rate by which a scene is trained, where there is one."""
    train = scene.case.train
    return [train.settings["lr"]] if train and scene.trained and "lr" in train.settings else []


def _with_rate(scene: Scene, rate: float) -> World:
    train = scene.case.train
    return scene.true_world._replace(settings=train and train._replace(settings={**train.settings, "lr": rate}))


def _solved(scene: Scene, rate: float, k: int) -> float:
    """The learning rate at which the worst entry of a claim is what is stated, by the secant method; or nan."""
    claim, truth = scene.claims[k], scene.truth[k]
    if truth is None:
        return math.nan
    misses = np.abs(claim.stated[0] - truth[0]) / np.maximum(claim.widths[0], 1e-300)
    worst = np.unravel_index(int(np.argmax(misses)), misses.shape)

    def miss(rate: float) -> float:
        outcomes = scene.run(_with_rate(scene, rate))
        outcome = outcomes[k] if outcomes else None
        return float(outcome[0][worst] - claim.stated[0][worst]) if outcome is not None else math.nan

    a, at_a, b = rate, float(truth[0][worst] - claim.stated[0][worst]), rate * 1.01
    for _ in range(STEPS):
        at_b = miss(b) if 1e-3 < abs(b / rate) < 1e3 else math.nan
        if abs(at_b) <= 1e-3 * claim.widths[0][worst] or b == a:
            return b
        if not math.isfinite(at_b) or at_b == at_a:
            break
        a, at_a, b = b, at_b, b - at_b * (b - a) / (at_b - at_a)
    return math.nan


# --- the numbers by which something may be multiplied


def multipliers(scene: Scene) -> Iterator[tuple[float, str]]:
    """Each number by which a value may be off, and what it is here: a 2, the batch size, the rate, a length."""
    batch, train = batch_size(scene.prepared) or 1, scene.case.train
    rate = train.settings.get("lr", 1) if train else 1
    known = [(2.0, "a factor 2"), (0.5, "a factor 1/2")]
    if batch > 1:
        known += [(float(batch), f"the batch size (divide by {batch})")]
        known += [(1 / batch, f"1 over the batch size (multiply by {batch})")]
    if rate and rate != 1:
        known += [(rate, "the learning rate"), (-rate, "minus the learning rate")]
    named: dict[float, list[str]] = {}
    for value, what in known:
        named.setdefault(value, []).append(what)
    inputs, given = scene.case.inputs, {**scene.case.inputs, **scene.case.parameters}
    axes = ((name, axis, n) for name, value in given.items() for axis, n in enumerate(value.array.shape))
    lengths = [(n, f"the length of axis {axis} of {name}") for name, axis, n in axes]
    sizes = {name: value.array.size for name, value in inputs.items() if value.array.ndim > 1}
    lengths += [(size, f"the number of entries of {name}") for name, size in sizes.items()]
    for length, what in lengths:
        if length > 1:
            named.setdefault(float(length), [what])  # one of the others already is not named as well
            named.setdefault(1 / length, [f"1 over {what}"])
    yield from ((value, " or ".join(words)) for value, words in named.items())


def batch_size(prepared: Prepared) -> int | None:
    """The number of samples: a length of the inputs over which the end is a mean; None where it is none over such."""
    lengths = {n for value in prepared.case.inputs.values() for n in value.array.shape}
    found = next((count for count in _averaged(prepared) if count > 1 and count in lengths), None)
    train = prepared.case.train
    return train.batch_size if found and train and train.batch_size else found


def _averaged(prepared: Prepared) -> Iterator[int]:
    """The counts by which the end divides its sums."""
    definitions = by_name(prepared.case.equations)
    pending: list[Expr] = [Name(prepared.end)]
    types = Types(prepared.types.names, prepared.types.integral)
    while pending:
        for factor in factors(pending.pop(0)):
            match factor:
                case Name(name) if name in definitions:
                    pending.append(definitions.pop(name))
                case Call("mean", (inner,)):
                    yield types.of(inner).size // max(types.of(factor).size, 1)
                case Call("div", (Num(1), Num(count))):
                    yield int(count) if count == int(count) else 1
                case Call("div", (Num(1), under)):
                    pending.append(under)
                case Num(part) if part and math.isfinite(1 / part):
                    count = round(1 / abs(part))
                    yield count if abs(part * count) == 1 else 1
                case Call("add" | "sub" | "sum", args):
                    pending += args
