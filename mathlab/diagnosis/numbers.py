"""The numbers of an experiment by which something may be multiplied by mistake, and what each of them is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mathlab.diagnosis.worlds import Scene
from mathlab.experiment import Case
from mathlab.language.check import Types
from mathlab.language.syntax import Call, Expr, Name, Num
from mathlab.stages.prepare import Prepared


def multipliers(scene: Scene) -> Iterator[tuple[float, str]]:
    """Each number by which a value may be off, and what it is here: a 2, the batch size, the learning rate, a length.

    A length that is one of the others already is not named as well.
    """
    named: dict[float, list[str]] = {2.0: ["a factor 2"], 0.5: ["a factor 1/2"]}
    batch = batch_size(scene.prepared) or 1
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
            case Call("div", (inner, Num(count))) if count == int(count):
                yield int(count)
                pending.append(inner)
            case Call("mul", (Num(part), inner) | (inner, Num(part))) if part:
                count = 1 / abs(part)
                yield round(count) if math.isfinite(count) and abs(part * round(count)) == 1 else 1
                pending.append(inner)
            case Call("mul", (Call("div", (Num(1), Num(count))), inner)) if count == int(count):
                yield int(count)
                pending.append(inner)
            case Call("add" | "sub" | "neg" | "sum" | "mul" | "div", args):
                pending += args


def _lengths(case: Case) -> Iterator[tuple[int, str]]:
    """The lengths of the arrays' axes, and the number of entries of whole inputs."""
    for name, value in (*case.inputs.items(), *case.parameters.items()):
        for axis, length in enumerate(value.array.shape):
            if length > 1:
                yield length, f"the length of axis {axis} of {name}"
    for name, value in case.inputs.items():
        if value.array.ndim > 1 and value.array.size > 1:
            yield value.array.size, f"the number of entries of {name}"
