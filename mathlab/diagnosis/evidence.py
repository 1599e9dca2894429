"""Which explanation to believe: one that fits every printed digit, when so many digits do not fit by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mathlab.diagnosis.claims import Claim
from mathlab.diagnosis.worlds import Outcomes, Scene, Trial
from mathlab.experiment import Array

BELIEVED = 0.01  # an explanation is given when at most this many of those tried are expected to fit by chance
ENOUGH = 1000  # entries; more of them could only be more convincing
COMPARED = 100  # entries, by which two explanations are known to come to the same


@dataclass(frozen=True)
class Finding:
    """The explanation of a claim; `with_it` are all the claims that it explains, `others` what explains them too."""

    cause: str
    with_it: tuple[int, ...]
    others: tuple[str, ...] = ()


def findings(scene: Scene, trials: Sequence[Trial]) -> dict[int, Finding]:
    """The best explanation of each wrong claim that has one to be believed.

    Of those that fit, that one is best which explains most of the wrong claims; then one that leaves the right ones
    right; then the first in the table's order.
    """
    wrong = scene.wrong
    fits = [{k for k in wrong if scene.claims[k].fits(trial.outcomes[k])} for trial in trials]
    broken = [
        sum(not claim.wrong and not claim.fits(outcome) for claim, outcome in _pairs(scene, trial)) if fit else 0
        for trial, fit in zip(trials, fits, strict=True)
    ]
    chances: dict[tuple[int, tuple[int, ...]], float] = {}
    found: dict[int, Finding] = {}
    for k in wrong:
        fitting = [n for n, fit in enumerate(fits) if k in fit]
        for n in sorted(fitting, key=lambda n: (-len(fits[n]), broken[n], n)):
            together = tuple(sorted(fits[n]))
            if (n, together) not in chances:  # which many claims ask for
                chances[n, together] = expected_by_chance(scene, trials, n, together)
            if chances[n, together] <= BELIEVED:
                narrow = [m for m in fitting if m != n and not trials[m].broad]
                same = (m for m in narrow if fits[m] == fits[n] and broken[m] == broken[n])
                others = [trials[m].cause for m in same if _alike(trials[m].outcomes, trials[n].outcomes, together)]
                distinct = (cause for cause in dict.fromkeys(others) if not cause.startswith(trials[n].cause))
                found[k] = Finding(trials[n].cause, together, tuple(distinct))
                break
    return found


def _pairs(scene: Scene, trial: Trial) -> Iterator[tuple[Claim, Sequence[Array] | None]]:
    return zip(scene.claims, trial.outcomes if trial.world else scene.truth, strict=True)


def expected_by_chance(scene: Scene, trials: Sequence[Trial], best: int, claims: Sequence[int]) -> float:
    """How many of the explanations tried, up to the best one, are expected to fit these claims by chance.

    An explanation that moves an entry by d from its true value is as likely to land anywhere within d of it, so it
    lands on the digits that were printed with the chance (width of what rounds to them) / 2d. One that moves an entry
    by less than half of what is to be explained cannot land there at all.
    """
    total = 0.0
    seen: set[str] = set()
    for trial in trials[: best + 1]:
        numbers = _joined(trial.outcomes, claims)
        if numbers is None:
            continue
        digits = ",".join(f"{number:.9e}" for number in numbers[:COMPARED])  # those that come to the same are one
        if digits not in seen:
            seen.add(digits)
            total += trial.weight * _luck(scene, trial, claims)
    return total


def _luck(scene: Scene, trial: Trial, claims: Sequence[int]) -> float:
    """The chance that one explanation fits every digit of the claims although it is wrong."""
    moved, width, error = [], [], []
    for k in claims:
        claim, truth, outcome = scene.claims[k], scene.truth[k], trial.outcomes[k]
        if outcome is None or truth is None:
            return 0.0
        for true, there, stated, low, high in zip(truth, outcome, claim.stated, claim.low, claim.high, strict=True):
            if there.shape != stated.shape:
                return 0.0
            known = true if true.shape == there.shape else np.zeros_like(there)
            whole = all(bool(np.all(array == np.round(array))) for array in (known, there, stated))
            moved.append(np.abs(there if trial.anywhere else there - known).ravel())
            width.append(np.maximum(high - low, 1.0 if whole else 0.0).ravel())  # whole numbers stand apart by 1
            error.append(np.abs(stated - known).ravel())
    moves, widths, errors = map(np.concatenate, (moved, width, error))
    if not np.all(np.isfinite(moves)) or np.any(errors > 2 * moves + widths):
        return 0.0
    told = np.flatnonzero(errors > widths / 2 if trial.anywhere else moves > widths / 2)[:ENOUGH]
    # entries that move alike, as p and 1 - p do, say the same thing
    alike, group = np.unique([f"{move:.6e}" for move in moves[told]], return_inverse=True)
    chances = np.ones(len(alike))
    np.minimum.at(chances, group, widths[told] / np.maximum(2 * moves[told], widths[told]))
    return float(np.prod(chances))


def _joined(outcomes: Outcomes, claims: Sequence[int]) -> Array | None:
    parts = [outcomes[k] for k in claims]
    if any(part is None for part in parts):
        return None
    return np.concatenate([value.ravel() for part in parts if part is not None for value in part])


def _alike(one: Outcomes, other: Outcomes, claims: Sequence[int]) -> bool:
    """Whether two explanations come to the same numbers, so that nothing here can tell them apart."""
    a, b = _joined(one, claims), _joined(other, claims)
    return a is not None and b is not None and a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=0))
