"""The numbers of an experiment by which something may be multiplied by mistake, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterator

from mathlab.diagnosis.worlds import Scene
from mathlab.experiment import Case


def factors(scene: Scene) -> Iterator[tuple[float, str]]:
    """Each number by which a value may be off, and what it is here: a 2, the batch size, the learning rate, a length.

    A length that is one of the others already is not named as well.
    """
    named: dict[float, list[str]] = {2.0: ["a factor 2"], 0.5: ["a factor 1/2"]}
    batch = batch_size(scene.case) or 1
    if batch > 1:
        named.setdefault(float(batch), []).append(f"the batch size (divide by {batch})")
        named.setdefault(1 / batch, []).append(f"1 over the batch size (multiply by {batch})")
    rate = scene.case.train.settings.get("lr") if scene.case.train else None
    if rate and rate != 1:
        named.setdefault(rate, []).append("the learning rate")
        named.setdefault(-rate, []).append("minus the learning rate")
    for length, what in _lengths(scene.case):
        named.setdefault(float(length), [what])
        named.setdefault(1 / length, [f"1 over {what}"])
    yield from ((value, " or ".join(words)) for value, words in named.items())


def batch_size(case: Case) -> int | None:
    """The number of samples: the rows that most inputs have in common, or else the columns."""
    if case.train and case.train.batch_size:
        return case.train.batch_size
    shapes = [value.array.shape for value in case.inputs.values() if value.array.ndim]
    matrices = [shape for shape in shapes if len(shape) > 1]
    rows, columns = [shape[0] for shape in matrices], [shape[-1] for shape in matrices]
    sharing = {n: sum(shape[0] == n for shape in shapes) for n in rows}
    for n in columns:  # which a vector of class indices has too, but so may anything else
        sharing[n] = max(sharing.get(n, 0), columns.count(n))
    return max(sharing, key=lambda n: sharing[n], default=None)


def _lengths(case: Case) -> Iterator[tuple[int, str]]:
    """The lengths of the arrays' axes, and the number of entries of whole inputs."""
    for name, value in (*case.inputs.items(), *case.parameters.items()):
        for axis, length in enumerate(value.array.shape):
            if length > 1:
                yield length, f"the length of axis {axis} of {name}"
    for name, value in case.inputs.items():
        if value.array.ndim > 1 and value.array.size > 1:
            yield value.array.size, f"the number of entries of {name}"
