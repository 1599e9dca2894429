"""Mistakes made in all equations at once: parameters exchanged, the loss scaled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from mathlab.diagnosis.numbers import batch_size
from mathlab.diagnosis.worlds import Scene, Trial, World, rederived, tried, with_backward
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute
from mathlab.stages.prepare import Prepared

MOST_EXCHANGED = 12  # parameters, of which any two may have been taken for each other


def exchanged_parameters(scene: Scene) -> Iterator[Trial]:
    """Two parameters of one shape, as w6 and w7 of a net with a name for each weight, each in the other's place."""

    def worlds() -> Iterator[tuple[str, World]]:
        shape = {name: scene.prepared.types.names[name].shape for name in scene.case.parameters}
        backward_only = _read_backward(scene)
        for one, other in itertools.combinations(list(shape)[:MOST_EXCHANGED], 2):
            if shape[one] != shape[other]:
                continue
            swap: dict[str, Expr] = {one: Name(other), other: Name(one)}
            cause = f"{one} and {other} are exchanged"
            if one in backward_only and other in backward_only:
                wrong = partial(_backward_with, swap)
                yield f"{cause} in the backward pass", World(wrong(scene.prepared), scene.case.train, batch=wrong)
            forward_too = rederived(scene.prepared, _with(swap, scene.case.equations))
            if forward_too is not None:
                yield f"{cause} in the equations", World(forward_too, scene.case.train)

    return tried(scene, worlds())


def _with(values: Mapping[str, Expr], equations: Sequence[Equation]) -> tuple[Equation, ...]:
    exprs = [substitute(equation.expr, values) for equation in equations]
    pairs = zip(equations, exprs, strict=True)
    return tuple(equation.saying(expr) for equation, expr in pairs)


def _backward_with(values: Mapping[str, Expr], prepared: Prepared) -> Prepared:
    return with_backward(prepared, _with(values, prepared.backward.equations))


def scaled_loss(scene: Scene) -> Iterator[Trial]:
    """A factor 1/2 in front of the loss, or a 2; the batch size, or 1 over it."""

    def worlds() -> Iterator[tuple[str, World]]:
        end = scene.case.equations[-1]
        scales = {0.5: "has a factor 1/2 in front", 2.0: "has a factor 2 in front (a 1/2 is missing)"}
        batch = batch_size(scene.prepared)
        if batch and batch > 1:
            scales.setdefault(1 / batch, f"is divided by the batch size (multiply by {batch})")
            scales.setdefault(float(batch), f"is multiplied by the batch size (divide by {batch})")
        for value, cause in scales.items():
            expr = Call("mul", (Num(value), end.expr))
            changed = end.saying(expr)
            other = rederived(scene.prepared, (*scene.case.equations[:-1], changed))
            if other is not None:
                yield f"{end.name} {cause}", World(other, scene.case.train)

    return tried(scene, worlds())


def _read_backward(scene: Scene) -> list[str]:
    """The parameters that gradients pass through."""
    read = {name for equation in scene.prepared.backward.equations for name in names(equation.expr)}
    return [name for name in scene.case.parameters if name in read and f"d{name}" in scene.prepared.gradients]
