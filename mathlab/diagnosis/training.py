"""Training once more, with equations or settings that are not the config's: the parameters on the way, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from mathlab.experiment import Array, TrainSettings
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import (
    UPDATE,
    Advance,
    Batch,
    at_rest,
    first_rows,
    update_program,
    updates,
)


def snapshots(
    prepared: Prepared, settings: TrainSettings, at: Collection[int], cut: Callable[[int], Prepared] | None = None
) -> dict[int, dict[str, Array]]:
    """The parameters after each of these numbers of updates, by the equations of `prepared` as they stand.

    `cut` makes the case for a batch of a size; where it is missing, its equations are derived from the case's own.
    """
    trained = [name for name in prepared.case.parameters if name not in settings.freeze]
    env = {**prepared.env, **at_rest(trained, settings, prepared.env)}

    def case_of(size: int) -> Prepared:
        return cut(size) if cut else prepare(first_rows(prepared.case, settings, size))

    def advance_on(size: int, batch: Batch) -> Advance:
        step = update_program(case_of(size) if batch else prepared, trained, settings)

        def advance(first: int, last: int, batch: Batch) -> None:
            for done in range(first, last):
                values: dict[str, object] = {**env, **batch, UPDATE: done + 1.0}
                out = step.program(values)
                env.update({name: np.asarray(out[new])[()] for name, new in step.moved.items()})

        return advance

    kept: dict[int, dict[str, Array]] = {}
    endless = replace(settings, epochs=max(at))  # a claim may be about more updates than there are
    for done in updates(prepared, endless, advance_on, at):
        if done in at:
            kept[done] = {name: env[name] for name in prepared.case.parameters}
        if done == max(at):
            break
    return kept
