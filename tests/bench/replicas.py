"""Many replicas of the 2-2-2 training, with other seeds and learning rates: stacked, and one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mathlab.config.change import at_point
from mathlab.experiment import Axis, Case, Figure, Range, Recipe, SweepSettings
from mathlab.language.syntax import Name
from mathlab.stages import sweep, train
from mathlab.stages.updates import Training
from tests.bench.timing import Race, Work, beside, interleaved, once
from tests.bench.works import EPOCHS, net
from tests.build import value

MANY = 1_000
SECONDS = 10.0


def swept(count: int) -> Case:
    """Article E's network from `count` other starts, at other learning rates."""
    drawn = {
        name: replace(value(np.zeros((2, 2))), recipe=Recipe("normal", (2, 2), seed, 1.0, {"mean": 0.0, "std": 1.0}))
        for seed, name in enumerate(("W", "V"))
    }
    axes = (
        Axis("lr", "optimizer", "lr", Range(0.1, 1.0)),
        *(Axis(f"{name}.seed", "init", name, Range(0, 1e6, whole=True), "seed") for name in drawn),
    )
    return replace(net(), parameters=drawn, sweep=SweepSettings((axes,), sample=count), share=np.inf)


def loops() -> dict[str, Work]:
    """The planned loop of all replicas at once, and that of one of them as many times."""
    case = swept(MANY)
    assert case.sweep
    bare = replace(case, expected=(Figure("loss", Name("loss")),), sweep=None)
    cases = [at_point(bare, point) for point in sweep.points(case.sweep)]
    every = [one.train for one in cases if one.train]
    prepared, values, own = sweep.replicas(cases)
    steps, _, planned = sweep.updating(prepared, every, values, own)
    together, training = planned(next(steps)), Training(prepared, every[0])
    alone = train.planned_rounds(training, {**prepared.env, **training.start()}, record=False)

    def one_by_one() -> None:
        for _ in range(MANY):
            alone.run(0, EPOCHS)

    return {"stacked": lambda: together.run(0, EPOCHS), "one by one": one_by_one}


def replicas() -> Iterator[Race]:
    """Stacked beside one by one, and a whole sweep."""
    single = f"{MANY:,} single runs of the same program"
    yield Race(
        f"{MANY:,} replicas of the 2-2-2 training, stacked",
        {single: 1 / 30},
        lambda: {single: beside("stacked", interleaved(loops(), 3))["one by one"]},
    )
    yield Race(
        f"{10 * MANY:,} runs of it, the whole stage",
        {"10 seconds": 1.0},
        lambda: {"10 seconds": once(lambda: sweep.run(swept(10 * MANY))) / SECONDS},
    )
