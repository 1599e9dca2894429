"""Mistakes made with the numbers themselves: what was computed is right, what is stated is a version of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from mathlab.diagnosis.numbers import multipliers
from mathlab.diagnosis.worlds import Scene, Trial
from mathlab.experiment import Array
from mathlab.language.syntax import unparse


def sign(scene: Scene) -> Iterator[Trial]:
    """Everything times -1."""
    yield Trial("the sign is the other way round", scene.transformed(np.negative), world=False)


def transpose(scene: Scene) -> Iterator[Trial]:
    """Matrices, and what is an entry of one, turned over."""

    def turned(array: Array) -> Array | None:
        return array.T if array.ndim > 1 else None

    yield Trial("it is the transpose", scene.transformed(turned), world=False)


def factor(scene: Scene) -> Iterator[Trial]:
    """Everything times a number of the experiment."""
    for value, reason in multipliers(scene):
        multiply = partial(np.multiply, value)
        yield Trial(f"it is {value:.4g} times the computed value: {reason}", scene.transformed(multiply), world=False)


def any_factor(scene: Scene) -> Iterator[Trial]:
    """Everything times whatever the largest entry asks for, where a program or a formula computed the numbers."""
    named = [1.0, -1.0, *dict(multipliers(scene))]
    for k in scene.wrong:
        claim, truth = scene.claims[k], scene.truth[k]
        if claim.unit is None and truth is not None and claim.stated[0].shape == truth[0].shape and truth[0].size > 1:
            at = np.unravel_index(int(np.argmax(np.abs(truth[0]))), truth[0].shape)
            value = float(claim.stated[0][at] / truth[0][at]) if truth[0][at] else 0.0
            if np.isfinite(value) and value and not np.any(np.isclose(value, named, rtol=1e-6)):
                multiply = partial(np.multiply, value)
                cause = f"it is {value:.6g} times the computed value, every entry of it"
                # the factor is fitted to one entry: that one is no evidence
                yield Trial(cause, scene.transformed(multiply), weight=1e9, world=False)


def swapped(scene: Scene) -> Iterator[Trial]:
    """Two entries, rows or columns exchanged, or the numbers of two quantities."""
    for k in scene.wrong:
        claim, truth = scene.claims[k], scene.truth[k]
        if truth is None or len(claim.moments) > 1 or claim.stated[0].shape != truth[0].shape:
            continue
        array, stated = truth[0], claim.stated[0]
        for axis in range(array.ndim):
            # only what is not as it should be can have been exchanged
            off = np.abs(stated - array) > (claim.high[0] - claim.low[0]) / 2
            rows = np.unique(np.nonzero(off)[axis])
            if len(rows) == 2:
                order = np.arange(array.shape[axis])
                order[rows] = order[rows[::-1]]
                what = "entries" if array.ndim == 1 else "rows" if axis == 0 else "columns"
                cause = f"{what} {rows[0]} and {rows[1]} are exchanged"
                pairs = len(order) * (len(order) - 1) / 2
                yield Trial(cause, _only(scene, k, np.take(array, order, axis)), weight=pairs, world=False)
        places = np.argwhere(np.abs(stated - array) > (claim.high[0] - claim.low[0]) / 2)
        if len(places) == 2 and array.ndim > 1:
            one, other = map(tuple, places.tolist())
            moved = array.copy()
            moved[one], moved[other] = array[other], array[one]
            cause = f"entries {list(one)} and {list(other)} are exchanged"
            yield Trial(cause, _only(scene, k, moved), weight=array.size * (array.size - 1) / 2, world=False)
        if not array.shape:
            yield from _other_entries(scene, k)
    yield from _exchanged(scene)


def _other_entries(scene: Scene, k: int) -> Iterator[Trial]:
    """A single number that is another entry of the same array."""
    claim = scene.claims[k]
    base = scene.bases[k][0]
    for index in np.ndindex(base.shape):
        if index != claim.pick and base.size <= 64:
            name = f"{unparse(claim.base)}[{', '.join(map(str, index))}]"
            yield Trial(f"it is the value of {name}", _only(scene, k, np.asarray(base[index])), world=False)


def _exchanged(scene: Scene) -> Iterator[Trial]:
    """The numbers of two wrong figures, each printed for the other."""
    wrong = [k for k in scene.wrong if len(scene.claims[k].moments) == 1][:20]
    for position, j in enumerate(wrong):
        for k in wrong[position + 1 :]:
            one, other = scene.truth[j], scene.truth[k]
            if one is not None and other is not None and one[0].shape == other[0].shape:
                outcomes = [other if n == j else one if n == k else None for n in range(len(scene.claims))]
                cause = f"the values of {scene.claims[j].label} and {scene.claims[k].label} are exchanged"
                yield Trial(cause, outcomes, world=False)


def _only(scene: Scene, k: int, value: Array) -> list[list[Array] | None]:
    return [[np.asarray(value, np.float64)] if n == k else None for n in range(len(scene.claims))]
