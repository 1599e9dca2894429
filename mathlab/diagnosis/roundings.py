"""Mistakes of precision: digits cut, narrow floats, and rounded numbers that are carried on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from mathlab.diagnosis.worlds import Outcome, Scene, Trial, World, changed
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Dtype
from mathlab.language.check import Types
from mathlab.language.syntax import Name, names, substitute
from mathlab.stages.prepare import prepare

DECIMALS = range(1, 9)
TOSSES = 2  # numbers that are cut and not rounded, before it is no accident
MOST = 12  # claims for each of which the figures printed before it are carried on


def truncated(scene: Scene) -> Iterator[Trial]:
    """Every number cut after its last printed digit.

    One number is cut where it should be rounded up by the toss of a coin: it takes `TOSSES` of them, and none beside
    them that was rounded up.
    """
    outcomes: list[Outcome] = []
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
    try:
        prepared = prepare(replace(scene.case, dtype=other))
    except (MathlabError, ExpressionError):
        return
    yield from scene.tried(f"it was computed in {other}", World(prepared, scene.case.train))


def roundings(scene: Scene) -> Iterator[Trial]:
    """Every intermediate result rounded as soon as it is computed."""
    # what is stated was not rounded with the rest: it is computed from what was
    definitions = {equation.name: equation.expr for equation in scene.prepared.both}
    claims = [replace(claim, quantity=substitute(claim.quantity, definitions)) for claim in scene.claims]
    fresh = replace(scene, claims=claims)
    ways: Mapping[str, Callable[[int, Array], Array]] = {"decimal": to_decimals, "significant digit": to_significant}
    for what, rounded in ways.items():
        for k in DECIMALS:
            cause = f"every intermediate result was rounded to {k} {what}{'s' * (k > 1)}"
            yield from fresh.tried(cause, replace(scene.true_world, rounding=partial(rounded, k)))


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
    named = {k: name for k, claim in enumerate(scene.claims) if claim.unit is not None and (name := _name(scene, k))}
    causes: dict[tuple[int, ...], str] = {}
    for k in scene.wrong[:MOST]:
        own, moments = {*names(scene.claims[k].quantity)}, scene.claims[k].moments
        others = tuple(n for n, name in named.items() if scene.claims[n].moments == moments and name not in own)
        causes |= {(n,): f"it follows from {scene.claims[n].label} as printed" for n in others}
        if len(others) > 1:
            causes.setdefault(others, "it follows from the other figures as they are printed")
    for chosen, cause in causes.items():
        given, moments = {named[k] for k in chosen}, scene.claims[chosen[0]].moments
        # that a printed number is what it is printed as explains nothing
        told = [claim.moments == moments and not given & {*names(claim.quantity)} for claim in scene.claims]
        for trial in scene.tried(cause, _continued(scene, chosen)):
            outcomes = [outcome if tells else None for outcome, tells in zip(trial.outcomes, told, strict=True)]
            yield replace(trial, outcomes=outcomes)


def _name(scene: Scene, k: int) -> str:
    """The node, gradient or parameter that a claim gives the value of; empty where it gives something else."""
    base = scene.claims[k].base
    known = {*scene.case.parameters, *(equation.name for equation in scene.prepared.both)}
    return base.id if isinstance(base, Name) and base.id in known and len(scene.claims[k].moments) == 1 else ""


def _continued(scene: Scene, claims: Collection[int]) -> World:
    """The true training, after which some values are taken as they are printed."""
    stated: dict[str, Array] = {}
    for k in claims:
        name = _name(scene, k)
        value = np.array(stated.get(name, scene.bases[k][0]))
        value[scene.claims[k].pick] = scene.claims[k].stated[0]
        stated[name] = value.astype(scene.case.dtype)[()]
    pins = {name: f"_printed_{name}" for name in stated if name not in scene.case.parameters}
    types = Types(scene.prepared.types.names, scene.prepared.types.integral)
    types.names |= {pin: types.names[name] for name, pin in pins.items()}
    env = {**scene.prepared.env, **{pin: stated[name] for name, pin in pins.items()}}
    shown = changed(replace(scene.prepared, types=types, env=env), {name: Name(pin) for name, pin in pins.items()})
    parameters = {name: value for name, value in stated.items() if name not in pins}
    return replace(scene.true_world, shown=shown, stated=parameters)
