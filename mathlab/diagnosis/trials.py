"""Mistakes outside of the equations: in the numbers themselves, in how they are rounded, and in the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from mathlab.diagnosis.scene import Outcome, Outcomes, Scene, Trial
from mathlab.diagnosis.worlds import computing
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Dtype
from mathlab.language.check import Types
from mathlab.language.equation import by_name
from mathlab.language.syntax import Call, Expr, Name, Num, names, unparse
from mathlab.language.terms import factors
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import Training

FEW = 64  # entries of an array, of which a single number may be another one
PAIRED = 20  # wrong figures of which two may be exchanged
DECIMALS = range(1, 9)
TOSSES = 2  # numbers that are cut and not rounded, before it is no accident
MOST = 12  # claims for each of which the figures printed before it are carried on
STEPS = 25  # of the secant; it converges in a few or not at all
PRECISE = 10  # significant digits of a learning rate, at most


def _whole(cause: str, change: Callable[[Array], Array]) -> Callable[[Scene], Iterator[Trial]]:
    return lambda scene: iter([Trial(cause, scene.transformed(change), world=False)])


def sign(scene: Scene) -> Iterator[Trial]:
    """The sign of everything; where some arrays of a program are right, it is that of a line."""
    some = len(scene.points) == 1 and not scene.printed and len(scene.wrong) < len(scene.claims)
    yield from () if some else _whole("the sign is the other way round", np.negative)(scene)


transpose = _whole("it is the transpose", np.transpose)


def factor(scene: Scene) -> Iterator[Trial]:
    """Everything times a number of the experiment."""
    for value, reason in multipliers(scene):
        yield from _whole(f"it is {value:.4g} times the computed value: {reason}", partial(np.multiply, value))(scene)


def clipped_norm(scene: Scene) -> Iterator[Trial]:
    """The gradients of parameters scaled down so that their norm, of all together, is a round number."""
    owners = [Name(f"d{name}") for name in scene.case.parameters if not scene.printed and len(scene.points) == 1]
    true = {k: scene.bases[k][0] for k in scene.wrong if scene.claims[k].base in owners}
    norm = math.hypot(*(float(np.linalg.norm(array)) for array in true.values()))
    most = float(f"{math.hypot(*(float(np.linalg.norm(scene.claims[k].stated)) for k in true)):.2g}")
    for divisor in (norm, norm + 1e-6) if 0 < most < norm else ():  # as PyTorch has it
        words = f"the gradients are clipped: their norm, of all together, is {norm:.4g} and becomes {most:g}"
        yield Trial(words, _only(scene, {k: array * (most / divisor) for k, array in true.items()}), world=False)


def swapped(scene: Scene) -> Iterator[Trial]:
    """Two entries, rows or columns exchanged, or the numbers of two quantities."""
    known = ((k, scene.truth[k]) for k in scene.wrong if len(scene.points) == 1)
    single = {k: truth[0] for k, truth in known if truth is not None}
    for k, true in single.items():
        claim, base = scene.claims[k], scene.bases[k][0]
        if claim.stated[0].shape == true.shape:
            off = np.abs(claim.stated[0] - true) > (claim.high - claim.low)[0] / 2
            for what, moved, weight in _exchanged(true, off):
                yield Trial(f"{what} are exchanged", _only(scene, {k: moved}), weight, world=False)
            for index in np.ndindex(base.shape) if not true.shape and base.size <= FEW else ():
                if index != claim.pick:
                    name = f"{unparse(claim.base)}[{', '.join(map(str, index))}]"
                    yield Trial(f"it is the value of {name}", _only(scene, {k: base[index]}), world=False)
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
    return [np.array([values[n]], np.float64) if n in values else None for n in range(len(scene.claims))]


# --- rounding


def truncated(scene: Scene) -> Iterator[Trial]:
    """Every number cut after its last printed digit.

    One number is cut where it should be rounded up by the toss of a coin: it takes `TOSSES` of them, and none beside
    them that was rounded up.
    """
    outcomes = list[Outcome]()
    cut_off, rounded_up = 0, 0
    for claim, truth in zip(scene.claims, scene.truth, strict=True):
        if claim.unit is None or truth is None:
            outcomes.append(None)
            continue
        units, stated = truth / claim.unit, np.round(claim.stated / claim.unit)
        cut = np.trunc(units * (1 + 4e-16))  # the nudge keeps 0.3, a little less in binary, from being cut to 0.2
        outcomes.append(cut * claim.unit)
        differ = cut != np.round(units)
        cut_off += int(np.count_nonzero(differ & (stated == cut)))
        rounded_up += int(np.count_nonzero(differ & (stated == np.round(units)))) if not claim.wrong else 0
    if cut_off >= TOSSES and not rounded_up:
        yield Trial("the digits are cut off, not rounded", outcomes, anywhere=True, world=False)


def other_precision(scene: Scene) -> Iterator[Trial]:
    """The whole case in the other precision."""
    if len(scene.points) > 1:  # a formula is no number that somebody computed
        return
    other: Dtype = "float32" if scene.case.dtype == "float64" else "float64"
    with suppress(MathlabError, ExpressionError):
        prepared = prepare(replace(scene.case, dtype=other))
        yield from scene.tried(f"it was computed in {other}", computing(prepared), scene.training(prepared))


def every_rounding(scene: Scene) -> Iterator[Trial]:
    """Every intermediate result rounded as soon as it is computed; what is stated is computed from what was.

    No program does that, and one of its arrays that holds round numbers would fit easily.
    """
    if not scene.printed:
        return
    ways: Mapping[str, Callable[..., Array]] = {"decimal": np.round, "significant digit": to_significant}
    for (what, rounded), k in product(ways.items(), DECIMALS):
        cause = f"every intermediate result was rounded to {k} {what}{'s' * (k > 1)}"
        yield from scene.tried(cause, computing(scene.prepared, partial(rounded, decimals=k)))


def to_significant(array: Array, decimals: int) -> Array:
    """The array with each entry rounded to so many significant digits."""
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
        own, when = names(scene.claims[k].base), scene.claims[k].updates
        others = tuple(n for n, name in named.items() if scene.claims[n].updates == when and name not in own)
        causes |= {(n,): f"it follows from {scene.claims[n].label} as printed" for n in others}
        if len(others) > 1:
            causes.setdefault(others, "it follows from the other figures as they are printed")
    for chosen, cause in causes.items():
        given: dict[str, Array] = {}
        for k in chosen:
            value = np.array(given.get(named[k], scene.bases[k][0]), scene.case.dtype)
            value[scene.claims[k].pick] = scene.claims[k].stated[0]
            given[named[k]] = value[()]
        # that a printed number is what it is printed as explains nothing
        when = scene.claims[chosen[0]].updates
        told = [claim.updates == when and given.keys().isdisjoint(names(claim.base)) for claim in scene.claims]
        for trial in scene.tried(cause, computing(scene.prepared, given=given)):
            outcomes = [outcome if tells else None for outcome, tells in zip(trial.outcomes, told, strict=True)]
            yield trial._replace(outcomes=outcomes)


# --- training


def other_updates(scene: Scene) -> Iterator[Trial]:
    """One update, or one epoch, more or less."""
    train = scene.case.train
    for count, what in {Training(scene.prepared, train).each: "epoch", 1: "update"}.items() if train else ():
        for by, word in ((count, "later"), (-count, "earlier")):
            cause = f"it is the value one {what} {word}"
            yield from scene.tried(cause, train=scene.training(scene.prepared, later=by))


def step_added(scene: Scene) -> Iterator[Trial]:
    """Each step made uphill."""
    for rate in scene.rates:
        cause = f"the learning rate is {-rate:.{PRECISE}g}, not {rate:g} (the step is added instead of subtracted)"
        yield from scene.tried(cause, train=scene.training(scene.prepared, -rate))


def other_rates(scene: Scene) -> Iterator[Trial]:
    """The learning rate that one number of a claim asks for, written with as few digits as fit all of them."""
    known = {*scene.rates}
    for rate, k in product(scene.rates, scene.wrong):
        solved = _solved(scene, rate, k) if scene.claims[k].updates else math.nan
        for digits in range(1, PRECISE + 1):
            rounded = float(f"{solved:.{digits - 1}e}")
            if rounded in known or not abs(rounded - solved) <= 0.05 * abs(solved):
                continue
            known.add(rounded)
            cause = f"the learning rate is {rounded:.{PRECISE}g}, not {rate:g}"
            # there are about this many numbers of so many digits within a factor of 100 up and down
            made = scene.tried(cause, train=scene.training(scene.prepared, rounded), weight=4 * 10.0**digits)
            if not made:
                return
            if scene.claims[k].fits(made[0].outcomes[k]):
                yield from made
                break


def _solved(scene: Scene, rate: float, k: int) -> float:
    """The learning rate at which the worst entry of a claim is what is stated, by the secant method; or nan."""
    claim, truth = scene.claims[k], scene.truth[k]
    if truth is None:
        return math.nan
    widths = claim.high - claim.low
    worst = int(np.argmax(np.abs(claim.stated - truth) / np.maximum(widths, 1e-300)))

    def miss(other: float) -> float:
        near = 1e-3 < abs(other / rate) < 1e3
        trials = scene.tried("", train=scene.training(scene.prepared, other)) if near else []
        outcome = trials[0].outcomes[k] if trials else None
        return math.nan if outcome is None else float((outcome - claim.stated).flat[worst])

    a, b, at_a = rate, rate * 1.01, float((truth - claim.stated).flat[worst])
    for _ in range(STEPS):
        at_b = miss(b)
        if abs(at_b) <= 1e-3 * widths.flat[worst]:
            return b
        if not math.isfinite(at_b) or at_b == at_a:
            break
        a, at_a, b = b, at_b, b - at_b * (b - a) / (at_b - at_a)
    return math.nan


# --- the numbers by which something may be multiplied


def multipliers(scene: Scene) -> Iterator[tuple[float, str]]:
    """Each number by which a value may be off, and what it is here: a 2, the batch size, the rate, a length."""
    batch, rate = batch_size(scene.prepared), next(iter(scene.rates), 0)
    known = [(2.0, "a factor 2"), (0.5, "a factor 1/2")]
    if batch:
        size = next((name for name, value in scalars(scene).items() if value == batch), "the batch size")
        known += [(float(batch), f"{size} (divide by {batch})"), (1 / batch, f"1 over {size} (multiply by {batch})")]
    if rate not in (0, 1):
        known += [(rate, "the learning rate"), (-rate, "minus the learning rate")]
    named: dict[float, list[str]] = {}
    for value, what in known:
        named.setdefault(value, []).append(what)
    shapes = {name: value.array.shape for name, value in (*scene.case.inputs.items(), *scene.case.parameters.items())}
    lengths = [(n, f"the length of axis {k} of {name}") for name, shape in shapes.items() for k, n in enumerate(shape)]
    matrices = [name for name in scene.case.inputs if len(shapes[name]) > 1]
    lengths += [(math.prod(shapes[name]), f"the number of entries of {name}") for name in matrices]
    for length, what in lengths:
        if length > 1:
            named.setdefault(float(length), [what])  # one of the others already is not named as well
            named.setdefault(1 / length, [f"1 over {what}"])
    yield from ((value, " or ".join(words)) for value, words in named.items())


def scalars(scene: Scene) -> dict[str, float]:
    """The inputs that are single numbers, also those that count a loop, but for 0 and 1."""
    case, *_ = scene.case.rolled or [scene.case]
    single = {name: float(value.array) for name, value in case.inputs.items() if not value.array.shape}
    return {name: value for name, value in single.items() if abs(value) not in (0, 1)}


def batch_size(prepared: Prepared) -> int | None:
    """The number of samples: a length of the inputs over which the end is a mean; None where it is none over such."""
    definitions, types = by_name(prepared.case.equations), Types(prepared.types.names, prepared.types.integral)
    pending: list[Expr] = [Name(prepared.end)]
    counts: list[float] = []  # by which the end divides its sums
    while pending:
        for factor in factors(pending.pop(0)):
            match factor:
                case Name(name) if name in definitions:
                    pending.append(definitions.pop(name))
                case Call("mean", (inner,)):
                    counts.append(types.of(inner).size / max(types.of(factor).size, 1))
                case Call("div", (Num(1), Num(count))):
                    counts.append(count)
                case Call("div", (Num(1), under)):
                    pending.append(under)
                case Num(part) if part:
                    counts.append(round(1 / abs(part), 9))
                case Call("add" | "sub" | "sum", args):
                    pending += args
    lengths = {n for value in prepared.case.inputs.values() for n in value.array.shape} - {1}
    found = next((n for count in counts for n in lengths if n == count), None)
    train = prepared.case.train
    return train.batch_size if found and train and train.batch_size else found
