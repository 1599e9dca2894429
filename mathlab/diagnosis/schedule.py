"""Mistakes made in training: another number of updates, another learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mathlab.diagnosis.worlds import Outcomes, Scene, Trial, World, tried
from mathlab.experiment import TrainSettings
from mathlab.stages.updates import in_all

STEPS = 25  # of the secant; it converges in a few or not at all
PRECISE = 10  # significant digits of a learning rate, at most


def other_updates(scene: Scene) -> Iterator[Trial]:
    """One update, or one epoch, more or less."""

    def worlds() -> Iterator[tuple[str, World]]:
        train = scene.case.train
        if train is None:
            return
        batches, _ = in_all(scene.prepared, train)
        for count, what in {batches: "epoch", 1: "update"}.items():
            for later, word in ((count, "later"), (-count, "earlier")):
                yield f"it is the value one {what} {word}", replace(scene.true_world, later=later)

    return tried(scene, worlds())


def step_added(scene: Scene) -> Iterator[Trial]:
    """Each step made uphill."""
    train = scene.case.train
    if train is not None and scene.trained and "lr" in train.settings:
        rate = train.settings["lr"]
        outcomes = _with_rate(scene, train, -rate)
        if outcomes is not None:
            cause = f"the learning rate is {-rate:.{PRECISE}g}, not {rate:g} (the step is added instead of subtracted)"
            yield Trial(cause, outcomes)


def other_rates(scene: Scene) -> Iterator[Trial]:
    """The learning rate that one number of a claim asks for, written with as few digits as fit all of them."""
    train = scene.case.train
    if train is None or not scene.trained or "lr" not in train.settings:
        return
    rate = train.settings["lr"]
    known: set[float] = {rate}
    for k in scene.wrong:
        solved = _solved(scene, train, k) if scene.claims[k].moments[0].updates else None
        if solved is None:
            continue
        for digits in range(1, PRECISE + 1):
            rounded = float(f"{solved:.{digits - 1}e}")
            if rounded in known or abs(rounded - solved) > 0.05 * abs(solved):
                continue
            known.add(rounded)
            outcomes = _with_rate(scene, train, rounded)
            if outcomes is None:
                return
            if scene.claims[k].fits(outcomes[k]):
                cause = f"the learning rate is {rounded:.{PRECISE}g}, not {rate:g}"
                # there are about this many numbers of so many digits within a factor of 100 up and down
                yield Trial(cause, outcomes, weight=4 * 10.0**digits)
                break


def _with_rate(scene: Scene, train: TrainSettings, rate: float) -> Outcomes | None:
    return scene.run(World(scene.prepared, replace(train, settings={**train.settings, "lr": rate})))


def _solved(scene: Scene, train: TrainSettings, k: int) -> float | None:
    """The learning rate at which the worst entry of a claim is what is stated, by the secant method."""
    claim, truth = scene.claims[k], scene.truth[k]
    if truth is None:
        return None
    stated, width = claim.stated[0], claim.high[0] - claim.low[0]
    worst = np.unravel_index(int(np.argmax(np.abs(stated - truth[0]) / np.maximum(width, 1e-300))), stated.shape)

    def miss(rate: float) -> float:
        outcomes = _with_rate(scene, train, rate)
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
