"""Mistakes made in training: another number of updates, another learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mathlab.diagnosis.worlds import Scene, Trial, World
from mathlab.experiment import TrainSettings
from mathlab.stages.updates import in_all

STEPS = 25  # of the secant; it converges in a few or not at all
PRECISE = 10  # significant digits of a learning rate, at most


def other_updates(scene: Scene) -> Iterator[Trial]:
    """One update, or one epoch, more or less."""
    if scene.case.train:
        batches, _ = in_all(scene.prepared, scene.case.train)
        for count, what in {batches: "epoch", 1: "update"}.items():
            for later, word in ((count, "later"), (-count, "earlier")):
                yield from scene.tried(f"it is the value one {what} {word}", replace(scene.true_world, later=later))


def step_added(scene: Scene) -> Iterator[Trial]:
    """Each step made uphill."""
    train = _trained(scene)
    if train:
        rate = train.settings["lr"]
        cause = f"the learning rate is {-rate:.{PRECISE}g}, not {rate:g} (the step is added instead of subtracted)"
        yield from scene.tried(cause, _with_rate(scene, train, -rate))


def other_rates(scene: Scene) -> Iterator[Trial]:
    """The learning rate that one number of a claim asks for, written with as few digits as fit all of them."""
    train = _trained(scene)
    if train is None:
        return
    known = {train.settings["lr"]}
    for k in scene.wrong:
        solved = _solved(scene, train, k) if scene.claims[k].moments[0].updates else None
        if solved is None:
            continue
        for digits in range(1, PRECISE + 1):
            rounded = float(f"{solved:.{digits - 1}e}")
            if rounded in known or abs(rounded - solved) > 0.05 * abs(solved):
                continue
            known.add(rounded)
            cause = f"the learning rate is {rounded:.{PRECISE}g}, not {train.settings['lr']:g}"
            # there are about this many numbers of so many digits within a factor of 100 up and down
            made = scene.tried(cause, _with_rate(scene, train, rounded), weight=4 * 10.0**digits)
            if not made:
                return
            if scene.claims[k].fits(made[0].outcomes[k]):
                yield from made
                break


def _trained(scene: Scene) -> TrainSettings | None:
    """The settings by which a scene is trained, where there is a learning rate among them."""
    train = scene.case.train
    return train if train and scene.trained and "lr" in train.settings else None


def _with_rate(scene: Scene, train: TrainSettings, rate: float) -> World:
    return World(scene.prepared, replace(train, settings={**train.settings, "lr": rate}))


def _solved(scene: Scene, train: TrainSettings, k: int) -> float | None:
    """The learning rate at which the worst entry of a claim is what is stated, by the secant method."""
    claim, truth = scene.claims[k], scene.truth[k]
    if truth is None:
        return None
    stated, width = claim.stated[0], claim.high[0] - claim.low[0]
    worst = np.unravel_index(int(np.argmax(np.abs(stated - truth[0]) / np.maximum(width, 1e-300))), stated.shape)

    def miss(rate: float) -> float:
        outcomes = scene.run(_with_rate(scene, train, rate))
        outcome = outcomes[k] if outcomes else None
        return float(outcome[0][worst] - stated[worst]) if outcome is not None else math.nan

    rate = train.settings["lr"]
    a, b = rate, rate * 1.01
    at_a, at_b = float(truth[0][worst] - stated[worst]), miss(b)
    for _ in range(STEPS):
        if not math.isfinite(at_b) or at_b == at_a:
            return None
        a, at_a, b = b, at_b, b - at_b * (b - a) / (at_b - at_a)
        if not 1e-3 < abs(b / rate) < 1e3:
            return None
        at_b = miss(b)
        if abs(at_b) <= 1e-3 * float(width[worst]) or b == a:
            return b
    return None
