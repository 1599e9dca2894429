"""Mistakes made in the equations: each is tried by rewriting them, and running what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mathlab.diagnosis import rewrite
from mathlab.diagnosis.numbers import batch_size
from mathlab.diagnosis.worlds import Scene, Trial, World, rederived, tried, with_backward, with_forward
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.stages.prepare import Prepared

RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none


def backward(rule: rewrite.Rule) -> Callable[[Scene], Iterator[Trial]]:
    """One change to the backward equations."""

    def worlds(scene: Scene) -> Iterator[tuple[str, World]]:
        for name, clause, equations in rewrite.mutants(scene.prepared.backward.equations, rule, scene.names):
            whose = _derivative_of(scene, name) if rule is rewrite.without_derivative else ""
            yield f"in {name}, {clause}{whose}", World(with_backward(scene.prepared, equations), scene.case.train)

    return lambda scene: tried(scene, worlds(scene))


def _derivative_of(scene: Scene, gradient: str) -> str:
    """Which activation's derivative belongs into a gradient's equation, where its node goes through one."""
    for equation in scene.case.equations:
        match equation.expr:
            case Call(op, (Name(name), *_)) if op in rewrite.ACTIVATIONS and f"d{name}" == gradient:
                return f" (from the derivative of {op})"
    return ""


def unsummed(scene: Scene) -> Iterator[Trial]:
    """A gradient that keeps the axis it should be summed over, and so has another shape than its node."""
    equations = scene.prepared.backward.equations
    read = {name for equation in equations for name in names(equation.expr)}
    free = {equation.name for equation in equations} - read
    if all(claim.unit is not None for claim in scene.claims):
        return  # figures have their quantity's shape
    mutants = rewrite.mutants(equations, rewrite.unsummed, scene.names, free)
    yield from tried(
        scene,
        (
            (f"in {name}, {what}", World(with_backward(scene.prepared, changed), None))
            for name, what, changed in mutants
        ),
    )


def forward(rule: rewrite.Rule) -> Callable[[Scene], Iterator[Trial]]:
    """One change to the forward equations: with the gradient that belongs to it, or with the true formulas."""

    def worlds(scene: Scene) -> Iterator[tuple[str, World]]:
        for name, clause, equations in rewrite.mutants(scene.case.equations, rule, scene.names):
            other = rederived(scene.prepared, equations)
            if other is not None:
                yield f"in {name}, {clause}", World(other, scene.case.train)
                alone = with_forward(scene.prepared, other.equations)
                yield f"in {name}, {clause}, in the forward pass only", World(alone, scene.case.train)

    return lambda scene: tried(scene, worlds(scene))


def scaled_loss(scene: Scene) -> Iterator[Trial]:
    """A factor 1/2 in front of the loss, or a 2; the batch size, or 1 over it."""

    def worlds() -> Iterator[tuple[str, World]]:
        end = scene.case.equations[-1]
        scales = {0.5: "has a factor 1/2 in front", 2.0: "has a factor 2 in front (a 1/2 is missing)"}
        batch = batch_size(scene.case)
        if batch and batch > 1:
            scales.setdefault(1 / batch, "is divided by the batch size")
            scales.setdefault(float(batch), "is multiplied by the batch size")
        for value, cause in scales.items():
            expr = Call("mul", (Num(value), end.expr))
            changed = replace(end, expr=expr, text=unparse(expr))
            other = rederived(scene.prepared, (*scene.case.equations[:-1], changed))
            if other is not None:
                yield f"{end.name} {cause}", World(other, scene.case.train)

    return tried(scene, worlds())


def updated_weights(scene: Scene) -> Iterator[Trial]:
    """Gradients that pass through a weight which has been updated already."""

    def worlds() -> Iterator[tuple[str, World]]:
        train = scene.case.train
        stated = train is not None and train.optimizer == "sgd"
        if train is not None and not stated:
            return
        frozen = train.freeze if train else ()
        for rate in (train.settings["lr"],) if train else RATES:
            for weights in _subsets([name for name in _read_backward(scene) if name not in frozen]):
                other = _through_updated(scene, weights, rate)
                if other is not None:
                    at = "" if stated else f", with a learning rate of {rate:g}"
                    cause = f"the gradient passes through {' and '.join(weights)} as already updated{at}"
                    yield cause, World(other, train)

    return tried(scene, worlds())


def _read_backward(scene: Scene) -> list[str]:
    """The parameters that gradients pass through."""
    read = {name for equation in scene.prepared.backward.equations for name in names(equation.expr)}
    return [name for name in scene.case.parameters if name in read and f"d{name}" in scene.prepared.gradients]


def _subsets(parameters: list[str]) -> Iterator[tuple[str, ...]]:
    """Each alone, and all of them."""
    yield from ((name,) for name in parameters)
    if len(parameters) > 1:
        yield tuple(parameters)


def _through_updated(scene: Scene, weights: Collection[str], rate: float) -> Prepared | None:
    """The backward equations with these weights replaced by what one step makes of them, wherever that is possible."""
    prepared = scene.prepared
    definitions = {equation.name: equation for equation in prepared.backward.equations}
    types = Types(prepared.types.names, prepared.types.integral)
    equations: list[Equation] = []
    changed = False
    for equation in prepared.backward.equations:
        fresh = [w for w in weights if w in names(equation.expr) and equation.name not in _behind(f"d{w}", definitions)]
        changed = changed or bool(fresh)
        values: dict[str, Expr] = {w: Name(f"_updated_{w}") for w in fresh}
        expr = substitute(equation.expr, values)
        equations.append(replace(equation, expr=expr, text=unparse(expr)))
    if not changed:
        return None
    for w in weights:
        expr = Call("sub", (Name(w), Call("mul", (Num(rate), Name(f"d{w}")))))
        types.names[f"_updated_{w}"] = types.names[w]
        equations.append(Equation(f"_updated_{w}", expr, unparse(expr)))
    ordered = _in_order(equations)
    if ordered is None:
        return None
    return replace(prepared, backward=replace(prepared.backward, equations=ordered), types=types)


def _behind(gradient: str, definitions: Mapping[str, Equation]) -> set[str]:
    """The gradient and all that it is computed from."""
    behind, pending = set(), [gradient]
    while pending:
        name = pending.pop()
        if name in definitions and name not in behind:
            behind.add(name)
            pending += names(definitions[name].expr)
    return behind


def _in_order(equations: Sequence[Equation]) -> tuple[Equation, ...] | None:
    """The equations so that each comes after those that it reads; None where they go round in a circle."""
    waiting = {equation.name: equation for equation in equations}
    ordered: list[Equation] = []
    while waiting:
        ready = [equation for equation in waiting.values() if not waiting.keys() & set(names(equation.expr))]
        if not ready:
            return None
        ordered += ready
        for equation in ready:
            del waiting[equation.name]
    return tuple(ordered)
