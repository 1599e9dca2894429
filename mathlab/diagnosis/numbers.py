"""Mistakes made with the numbers themselves: what was computed is right, what is stated is a version of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mathlab.diagnosis.rewrite import factors
from mathlab.diagnosis.worlds import Outcomes, Scene, Trial
from mathlab.experiment import Array
from mathlab.language.check import Types
from mathlab.language.syntax import Call, Expr, Name, Num, unparse
from mathlab.stages.prepare import Prepared

FEW = 64  # entries of an array, of which a single number may be another one
PAIRED = 20  # wrong figures of which two may be exchanged


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
    definitions = {equation.name: equation.expr for equation in prepared.case.equations}
    types = Types(prepared.types.names, prepared.types.integral)
    pending: list[Expr] = [Name(prepared.end)]
    while pending:
        match pending.pop(0):
            case Name(name) if name in definitions:
                pending.append(definitions.pop(name))
            case Call("mean", (inner,)) as mean:
                yield types.of(inner).size // max(types.of(mean).size, 1)
            case Call("mul" | "div") as scaled:
                for factor in factors(scaled):
                    match factor:
                        case Call("div", (Num(1), Num(count))):
                            yield int(count) if count == int(count) else 1
                        case Call("div", (Num(1), under)):
                            pending.append(under)
                        case Num(part) if part and math.isfinite(1 / part):
                            count = round(1 / abs(part))
                            yield count if abs(part * count) == 1 else 1
                        case _:
                            pending.append(factor)
            case Call("add" | "sub" | "neg" | "sum", args):
                pending += args
