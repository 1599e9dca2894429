"""Mistakes of precision: digits cut, narrow floats, and rounded numbers that are carried on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.diagnosis.claims import Claim
from mathlab.diagnosis.worlds import Rounding, Scene, Trial, World, rederived, tried
from mathlab.experiment import Array, Dtype
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.syntax import Expr, Name, names, substitute

DECIMALS = range(1, 9)
TOSSES = 2  # numbers that are cut and not rounded, before it is no accident
MOST = 12  # claims for each of which the figures printed before it are carried on


def truncated(scene: Scene) -> Iterator[Trial]:
    """Every number cut after its last printed digit.

    One number is cut where it should be rounded up by the toss of a coin: it takes `TOSSES` of them, and none beside
    them that was rounded up.
    """
    outcomes: list[list[Array] | None] = []
    cut_off, rounded_up = 0, 0
    for claim, truth in zip(scene.claims, scene.truth, strict=True):
        if claim.unit is None or truth is None:
            outcomes.append(None)
            continue
        # the nudge keeps 0.3, which is a little less in binary, from being cut to 0.2
        units = truth[0] / claim.unit
        cut = np.trunc(units * (1 + 4e-16))
        outcomes.append([cut * claim.unit])
        stated = np.round(claim.stated[0] / claim.unit)
        differ = cut != np.round(units)
        cut_off += int(np.count_nonzero(differ & (stated == cut)))
        rounded_up += int(np.count_nonzero(differ & (stated == np.round(units)))) if not claim.wrong else 0
    told = cut_off >= TOSSES and not rounded_up
    yield Trial("the digits are cut off, not rounded", outcomes, anywhere=True, world=False, told=told)


def other_precision(scene: Scene) -> Iterator[Trial]:
    """The whole case in the other precision."""
    other: Dtype = "float32" if scene.case.dtype == "float64" else "float64"
    case = replace(scene.case, dtype=other)
    prepared = rederived(replace(scene.prepared, case=case), case.equations)
    if prepared is not None:
        yield from tried(scene, iter([(f"it was computed in {other}", World(prepared, case.train))]))


def roundings(scene: Scene) -> Iterator[Trial]:
    """Every intermediate result rounded as soon as it is computed."""
    world = scene.true_world
    kinds: list[tuple[str, Rounding]] = []
    for what, rounding in (("decimal", to_decimals), ("significant digit", to_significant)):
        for k in DECIMALS:
            cause = f"every intermediate result was rounded to {k} {what}{'s' * (k > 1)}"
            kinds.append((cause, partial(rounding, k)))
    # what is stated was not rounded with the rest: it is computed from what was
    fresh = [_definition(scene, claim) for claim in scene.claims]
    scene = replace(
        scene, claims=[replace(claim, quantity=expr) for claim, expr in zip(scene.claims, fresh, strict=True)]
    )
    return tried(scene, ((cause, replace(world, rounding=rounding)) for cause, rounding in kinds))


def _definition(scene: Scene, claim: Claim) -> Expr:
    """The quantity of a claim in terms of what it is computed from."""
    definitions = {equation.name: equation.expr for equation in scene.prepared.both}
    return substitute(claim.quantity, definitions)


def to_decimals(decimals: int, array: Array) -> Array:
    """The array with each entry rounded to so many decimals."""
    return np.asarray(np.round(array, decimals))


def to_significant(digits: int, array: Array) -> Array:
    """The array with each entry rounded to so many significant digits."""
    with np.errstate(all="ignore"):
        decades = np.floor(np.log10(np.abs(array)))
        scale = np.where(np.isfinite(decades), 10.0 ** (digits - 1 - decades), 1.0)
    return np.asarray(np.round(array * scale) / scale, np.asarray(array).dtype)


def carried_on(scene: Scene) -> Iterator[Trial]:
    """Printed numbers, right or wrong, that the computation was continued with."""
    printed = [k for k, claim in enumerate(scene.claims) if claim.unit is not None and _name(scene, claim)]
    causes: dict[tuple[int, ...], str] = {}
    for k in scene.wrong[:MOST]:
        own = set(names(scene.claims[k].quantity))
        same = [n for n in printed if scene.claims[n].moments == scene.claims[k].moments]
        others = tuple(n for n in same if _name(scene, scene.claims[n]) not in own)
        causes |= {(n,): f"it follows from {scene.claims[n].label} as printed" for n in others}
        if len(others) > 1:
            causes.setdefault(others, "it follows from the other figures as they are printed")
    for chosen, cause in causes.items():
        outcomes = scene.run(_continued(scene, chosen))
        if outcomes is not None:
            given = {_name(scene, scene.claims[k]) for k in chosen}
            moments = scene.claims[chosen[0]].moments
            # that a printed number is what it is printed as explains nothing
            told = [claim.moments == moments and not given & set(names(claim.quantity)) for claim in scene.claims]
            yield Trial(cause, [outcome if tells else None for outcome, tells in zip(outcomes, told, strict=True)])


def _name(scene: Scene, claim: Claim) -> str:
    """The node, gradient or parameter that a claim gives the value of; empty where it gives something else."""
    base = claim.base
    known = {*scene.case.parameters, *(equation.name for equation in scene.prepared.both)}
    return base.id if isinstance(base, Name) and base.id in known and len(claim.moments) == 1 else ""


def _continued(scene: Scene, claims: Collection[int]) -> World:
    """The true training, after which some values are taken as they are printed."""
    prepared = scene.prepared
    stated: dict[str, Array] = {}
    for k in claims:
        claim = scene.claims[k]
        name = _name(scene, claim)
        value = np.array(stated.get(name, scene.bases[k][0]))
        value[claim.pick] = claim.stated[0]
        stated[name] = value.astype(scene.case.dtype)[()]
    nodes = {name: f"_printed_{name}" for name in stated if name not in scene.case.parameters}
    types = Types(prepared.types.names, prepared.types.integral)
    types.names |= {pin: types.names[name] for name, pin in nodes.items()}

    def pinned(equation: Equation) -> Equation:
        pin = nodes.get(equation.name)
        return equation.saying(Name(pin)) if pin else equation

    shown = replace(
        prepared,
        equations=tuple(map(pinned, prepared.equations)),
        backward=replace(prepared.backward, equations=tuple(map(pinned, prepared.backward.equations))),
        types=types,
        env={**prepared.env, **{pin: stated[name] for name, pin in nodes.items()}},
    )
    parameters = {name: value for name, value in stated.items() if name not in nodes}
    return replace(scene.true_world, shown=shown, stated=parameters)
