"""Mistakes made in the equations: each is tried by rewriting them, and running what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from mathlab.diagnosis import rewrite, slips
from mathlab.diagnosis.numbers import batch_size
from mathlab.diagnosis.worlds import Scene, Trial, World, rederived, tried, with_backward, with_forward
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse
from mathlab.stages.prepare import Prepared

MOST_EXCHANGED = 12  # parameters, of which any two may have been taken for each other
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none


def backward(rule: rewrite.Rule) -> Callable[[Scene], Iterator[Trial]]:
    """A change to the backward equations."""

    def worlds(scene: Scene) -> Iterator[tuple[str, World]]:
        for mutant in slips.every(scene.prepared.backward.equations, rule, slips.known(scene.prepared)):
            whose = _derivative_of(scene, mutant.made[0][0]) if rule is rewrite.without_derivative else ""
            wrong = with_backward(scene.prepared, mutant.equations)
            again = partial(_again, rule, mutant.made)
            yield f"{mutant.cause}{whose}", World(wrong, scene.case.train, batch=again, broad=mutant.broad)

    return lambda scene: tried(scene, worlds(scene))


def _again(rule: rewrite.Rule, made: Sequence[tuple[str, str]], prepared: Prepared) -> Prepared | None:
    """The same mistake in the backward equations of a batch."""
    mutant = slips.again(made, prepared.backward.equations, rule, slips.known(prepared))
    return with_backward(prepared, mutant.equations) if mutant else None


def _derivative_of(scene: Scene, gradient: str) -> str:
    """Which activation's derivative belongs into a gradient's equation, where its node goes through one."""
    for equation in scene.case.equations:
        match equation.expr:
            case Call(op, (Name(name), *_)) if op in ACTIVATIONS and f"d{name}" == gradient:
                return f" (from the derivative of {op})"
    return ""


def unsummed(scene: Scene) -> Iterator[Trial]:
    """A gradient that keeps the axis it should be summed over, and so has another shape than its node."""
    equations = scene.prepared.backward.equations
    read = {name for equation in equations for name in names(equation.expr)}
    free = {equation.name for equation in equations} - read
    if all(claim.unit is not None for claim in scene.claims):
        return  # figures have their quantity's shape
    mutants = slips.mutants(equations, rewrite.unsummed, slips.known(scene.prepared), free)
    yield from tried(
        scene, ((mutant.cause, World(with_backward(scene.prepared, mutant.equations), None)) for mutant in mutants)
    )


def transposed(scene: Scene) -> Iterator[Trial]:
    """A matrix turned over in the backward equations, or a whole gradient that a training goes on with."""

    def worlds() -> Iterator[tuple[str, World]]:
        for name in scene.case.parameters if scene.trained else ():
            shape = scene.prepared.types.names[name].shape
            if len(shape) == 2 and shape[0] == shape[1]:
                wrong = partial(_turned, f"d{name}")
                cause = f"d{name} is transposed"
                yield cause, World(wrong(scene.prepared), scene.case.train, batch=wrong)

    return itertools.chain(backward(rewrite.transposed)(scene), tried(scene, worlds()))


def _turned(gradient: str, prepared: Prepared) -> Prepared:
    turned = [
        replace(equation, expr=Call("T", (equation.expr,))) if equation.name == gradient else equation
        for equation in prepared.backward.equations
    ]
    return with_backward(prepared, turned)


def forward(rule: rewrite.Rule) -> Callable[[Scene], Iterator[Trial]]:
    """A change to the forward equations: with the gradient that belongs to it, or with the true formulas."""

    def worlds(scene: Scene) -> Iterator[tuple[str, World]]:
        for mutant in slips.every(scene.case.equations, rule, slips.known(scene.prepared)):
            other = rederived(scene.prepared, mutant.equations)
            if other is not None:
                yield mutant.cause, World(other, scene.case.train, broad=mutant.broad)
                again = partial(_forward_only, mutant.equations)
                alone = World(with_forward(scene.prepared, other.equations), scene.case.train, batch=again)
                yield f"{mutant.cause}, in the forward pass only", replace(alone, broad=mutant.broad)

    return lambda scene: tried(scene, worlds(scene))


def anywhere(rule: rewrite.Rule) -> Callable[[Scene], Iterator[Trial]]:
    """A change to the backward equations, or to the forward ones."""
    both = backward(rule), forward(rule)
    return lambda scene: itertools.chain.from_iterable(trials(scene) for trials in both)


def _forward_only(equations: Sequence[Equation], prepared: Prepared) -> Prepared | None:
    """A batch's own backward equations after other forward ones."""
    other = rederived(prepared, equations)
    return with_forward(prepared, other.equations) if other else None


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
    return tuple(replace(equation, expr=expr, text=unparse(expr)) for equation, expr in pairs)


def _backward_with(values: Mapping[str, Expr], prepared: Prepared) -> Prepared:
    return with_backward(prepared, _with(values, prepared.backward.equations))


def scaled_loss(scene: Scene) -> Iterator[Trial]:
    """A factor 1/2 in front of the loss, or a 2; the batch size, or 1 over it."""

    def worlds() -> Iterator[tuple[str, World]]:
        end = scene.case.equations[-1]
        scales = {0.5: "has a factor 1/2 in front", 2.0: "has a factor 2 in front (a 1/2 is missing)"}
        batch = batch_size(scene.prepared)
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
                other = _through_updated(weights, rate, scene.prepared)
                if other is not None:
                    at = "" if stated else f", with a learning rate of {rate:g}"
                    cause = f"the gradient passes through {' and '.join(weights)} as already updated{at}"
                    yield cause, World(other, train, batch=partial(_through_updated, weights, rate))

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


def _through_updated(weights: Collection[str], rate: float, prepared: Prepared) -> Prepared | None:
    """The backward equations with these weights replaced by what one step makes of them, wherever that is possible."""
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
