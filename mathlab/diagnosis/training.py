"""Training once more, with equations or settings that are not the config's: the parameters on the way, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from mathlab.experiment import Array, TrainSettings
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.train import UPDATE, Step, batches, first_rows, state_name, update_program

Cut = Callable[[int], Prepared]


def snapshots(
    prepared: Prepared, settings: TrainSettings, at: Collection[int], cut: Cut | None = None
) -> dict[int, dict[str, Array]]:
    """The parameters after each of these numbers of updates, by the equations of `prepared` as they stand.

    `cut` makes the case for a batch of a size; where it is missing, its equations are derived from the case's own.
    """
    trained = [name for name in prepared.case.parameters if name not in settings.freeze]
    env: dict[str, Array] = dict(prepared.env)
    for name in trained:
        env |= {state_name(part, name): np.zeros_like(env[name]) for part in OPTIMIZERS[settings.optimizer].state}
    kept: dict[int, dict[str, Array]] = {}
    for updates, (step, batch) in enumerate(_steps(prepared, settings, trained, cut), start=1):
        if updates > max(at):
            break
        values: Mapping[str, object] = {**env, **batch, UPDATE: float(updates)}
        out = step.program(values)
        env.update({name: np.asarray(out[new])[()] for name, new in step.moved.items()})
        if updates in at:
            kept[updates] = {name: env[name] for name in prepared.case.parameters}
    return kept


def _steps(
    prepared: Prepared, settings: TrainSettings, trained: list[str], cut: Cut | None
) -> Iterator[tuple[Step, Mapping[str, Array]]]:
    """One step after the other, and the rows it is made on, for as long as anyone asks."""
    if settings.batch_size is None:
        step = update_program(prepared, trained, settings, record=False)
        while True:
            yield step, {}
    count = len(prepared.env[settings.over[0]])
    rng = None if settings.seed is None else np.random.default_rng(settings.seed)
    steps: dict[int, Step] = {}
    while True:
        for rows in batches(count, settings.batch_size, rng):
            batch = {name: prepared.env[name][rows] for name in settings.over}
            size = len(batch[settings.over[0]])
            if size not in steps:
                batched = cut(size) if cut else prepare(first_rows(prepared.case, settings, size))
                steps[size] = update_program(batched, trained, settings, record=False)
            yield steps[size], batch
