"""Every derived gradient beside what the witnesses say: the worst disagreement, and whether rounding explains it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Literal

import numpy as np

from mathlab.errors import MathlabError, refuse_unknown
from mathlab.experiment import Array
from mathlab.results.judged import WitnessResult
from mathlab.stages.limits import cost
from mathlab.stages.noise import AGREEMENT, MARGIN, Floats, rounding_noise
from mathlab.stages.prepare import Prepared
from mathlab.witnesses.graph import seen_from
from mathlab.witnesses.reference import Mask
from mathlab.witnesses.table import WITNESSES

DEFAULT = ("tape",)
NONE = "none"
PATIENCE = 0.05  # seconds that one gradient may take by default,
TOGETHER = 0.5  # and all of them,
LONGEST, ALTOGETHER = 10.0, 30.0  # and both when the witness was asked for
RESOLUTIONS = 10  # of a central difference, which estimates its own


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The witnesses of these names, each once; "none" alone stands for none.

    Raises MathlabError for one that does not exist or is not installed.
    """
    if list(names) == [NONE]:
        return ()
    for name in names:
        refuse_unknown("witness", name, WITNESSES)
        if not WITNESSES[name].installed():
            raise MathlabError(WITNESSES[name].install)
    return tuple(dict.fromkeys(names))


def run(prepared: Prepared, values: Mapping[str, Array], names: Sequence[str] | None) -> tuple[WitnessResult, ...]:
    """What the witnesses `names` say of every gradient in `values`, gradient after gradient.

    None stands for the default ones, which are skipped where they would keep anybody waiting. Raises MathlabError for a
    witness that does not exist or is not installed, and for what it cannot evaluate.
    """
    asked, patience = (DEFAULT, PATIENCE) if names is None else (chosen(names), LONGEST)
    case, derived = prepared.case, {*prepared.gradients}
    gradients = [name for name in (*case.inputs, *case.parameters, *prepared.nodes) if f"d{name}" in derived]
    # measured only where something is to be explained by it
    noise = cache(partial(rounding_noise, prepared, [f"d{name}" for name in gradients]))
    work = cost(prepared.equations, prepared.types).operations
    results = []
    left = (TOGETHER if names is None else ALTOGETHER) * case.share
    for name in gradients:
        size = int(np.size(values[name]))
        for witness in asked:
            seconds = WITNESSES[witness].seconds(size, work)
            left -= seconds
            if seconds > patience or left < 0:
                because = f"{size} entries in a graph of {work} operations would take too long"
                results.append(WitnessResult(name, witness, None, None, "skipped", because))
            else:
                results.append(_compared(prepared, name, witness, values[f"d{name}"], noise))
    return tuple(results)


def _compared(
    prepared: Prepared, name: str, witness: str, gradient: Array, noise: Callable[[], Mapping[str, Floats]]
) -> WitnessResult:
    """One gradient beside one witness.

    An entry agrees when the two differ by no more than a relative AGREEMENT, the resolution of the witness, and
    what rounding may do to either. It is at a kink where the slopes to both sides differ and both lie between them.
    It is inconclusive where the witness has no finite answer. Anything else contradicts; but a gradient that is not
    finite is called that, whatever the witness has.
    """
    derived = np.asarray(gradient, np.float64)
    if not np.isfinite(derived).all():
        return WitnessResult(name, witness, None, None, "not finite")
    told, resolution = WITNESSES[witness].measure(prepared.equations, prepared.env, name, prepared.upstream)
    with np.errstate(all="ignore"):
        size, error = np.maximum(np.abs(derived), np.abs(told)), np.abs(derived - told)
        units = (size, np.spacing(size.astype(prepared.case.dtype)).astype(np.float64))
        shares = (np.where(error == 0, 0.0, error / unit).ravel().tolist() for unit in units)
        relative, ulp = (max(filter(math.isfinite, errors), default=None) for errors in shares)
    allowed = AGREEMENT[prepared.case.dtype] * size + RESOLUTIONS * resolution
    doubtful = ~(error <= allowed) & np.isfinite(told)
    kinks = np.zeros_like(doubtful)
    if doubtful.any():
        from mathlab.witnesses.steps import ComplexStep  # only here: it is rarely needed

        seen = ComplexStep(seen_from(name, prepared.equations, prepared.env, prepared.upstream), (name,))
        sides = seen.both_sides(name)
        low, high = np.minimum(*sides), np.maximum(*sides)
        # what rounding may do to the gradient as it is derived, and inside of a witness; at a kink, where the slopes to
        # both sides differ by more than that, it decides on which side a rerun falls, and that is no noise to allow
        rounding = MARGIN * (noise()[f"d{name}"] + seen.noise(name, True, np.random.default_rng(0)))
        slack = allowed + np.minimum(rounding, high - low)  # of the two slopes themselves
        between = np.all([(low - slack <= one) & (one <= high + slack) for one in (derived, told)], 0)
        kinks = doubtful & (high - low > allowed)
        doubtful &= np.where(kinks, ~between, ~(error <= allowed + rounding))
    sure: Literal["kink", "agrees"] = "kink" if kinks.any() else "agrees"
    unsure: Literal["contradicts", "inconclusive"] = "contradicts" if doubtful.any() else "inconclusive"
    certain = np.isfinite(told).all() and not doubtful.any()
    return WitnessResult(name, witness, relative, ulp, sure if certain else unsure)


def at_kink(prepared: Prepared, quantity: str, given: Array, far: Array, missed: Mask, worst: tuple[int, ...]) -> bool:
    """Whether all entries that miss are of a gradient that has none there, and lie between the slopes to both sides.

    So is what a program says where ReLU is at 0 or entries of a maximum are equal: at a tie any share is right.
    """
    name = quantity.removeprefix("d")
    if quantity not in prepared.gradients or name not in {*prepared.env, *prepared.nodes}:
        return False
    from mathlab.witnesses.steps import ComplexStep

    step = ComplexStep(seen_from(name, prepared.equations, prepared.env, prepared.upstream), (name,))
    one = np.zeros_like(missed)
    one[worst] = True
    for among in (one, missed):  # most that miss are no kinks, and one entry says so
        left, right = step.both_sides(name, among=among)
        with np.errstate(all="ignore"):
            low, high = np.minimum(left, right) - far, np.maximum(left, right) + far
            between = (low <= given) & (given <= high) & (np.abs(right - left) > far)
        if not between[among].all():
            return False
    return True
