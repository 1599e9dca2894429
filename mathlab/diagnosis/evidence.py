"""Which explanation to believe: one that fits every printed digit, when so many digits do not fit by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from mathlab.diagnosis.scene import Outcome, Scene, Trial
from mathlab.experiment import Array
from mathlab.language.syntax import names

BELIEVED = 0.01  # an explanation is given when at most this many of those tried are expected to fit by chance
ENOUGH = 1000  # entries; more of them could only be more convincing
COMPARED = 100  # entries, by which two explanations are known to come to the same
PATHS = ("term missing", "path missing", "mask missing")  # what may make a whole gradient 0
SOLVED = ("term scaled", "other length")
# kinds of which two that change the same line, and come to the same, are one
RETOLD = (("term's sign", "line's sign"), ("number missing", "term scaled", "other number", "other length"))
NEAR = 0.15  # how far the sorts of two explanations may lie apart that are given beside each other


def judged(scene: Scene, trial: Trial) -> Trial:
    """The trial with what it explains, how many right claims it breaks, and whether it is `whole`."""
    outcomes = ((k, outcome) for k, outcome in enumerate(trial.outcomes) if outcome is not scene.truth[k])
    fits = {k: scene.claims[k].fits(outcome) for k, outcome in outcomes}
    wrong = [k for k in fits if scene.claims[k].wrong]
    explains = tuple(k for k in wrong if fits[k])
    breaks = sum(not fit for k, fit in fits.items() if not scene.claims[k].wrong) if trial.world and explains else 0
    return trial._replace(explains=explains, breaks=breaks, whole=len(explains) == len(wrong))


def best(scene: Scene, trials: Sequence[Trial], tried: int) -> dict[int, Trial]:
    """The best explanation of each wrong claim that has one to be believed, with the others that come to the same.

    One that breaks a right array is none. Of the others that one is best which explains most of the wrong claims; then
    one that leaves right figures right, which an article may have from another computation; then the likeliest.
    """
    ordered = sorted(trials, key=lambda trial: trial.tier)
    counting = [n for n, trial in enumerate(ordered) if _counts(scene, trial)]
    ranked = sorted(counting, key=lambda n: (-len(ordered[n].explains), ordered[n].breaks))

    chance = cache(lambda n: expected_by_chance(scene, ordered, n, tried))
    found: dict[int, Trial] = {}
    for k in scene.wrong:
        n = next((n for n in ranked if k in ordered[n].explains and chance(n) <= BELIEVED), None)
        if n is not None:
            trial = ordered[n]
            rivals = (ordered[m] for m in ranked if m != n and ordered[m].explains == trial.explains)
            found[k] = trial._replace(others=tuple(one for one in rivals if _same(one, trial)))
    return found


def _same(one: Trial, best: Trial) -> bool:
    """Whether one that is about as likely comes to the same numbers, so that nothing here can tell them apart."""
    near = abs(one.tier - best.tier) <= NEAR and not one.cause.startswith(best.cause)
    if not near or _retold(one, best) or (one.mistake and len(one.mistake.made) > 1):
        return False
    a, b = (_joined(trial.outcomes[k] for k in best.explains) for trial in (one, best))
    return a.size > 0 and a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=0))


def _retold(one: Trial, best: Trial) -> bool:
    """Whether one says the amount, or the sign, of the same line in other words, or from inside of it."""
    a, b = one.mistake, best.mistake
    if not (a and b and a.changes.keys() == b.changes.keys() and a.definitions == b.definitions):
        return False
    one_path, best_path = a.made[0].path, b.made[0].path
    inside = (one_path[: len(best_path)] == best_path) != (best_path[: len(one_path)] == one_path)
    return (a.kind == b.kind and inside) or any({a.kind, b.kind} <= {*same} for same in RETOLD)


def _counts(scene: Scene, trial: Trial) -> bool:
    """Whether a trial explains something at all: zeros come free, and only of a path that is gone."""
    if not trial.explains or (trial.breaks and not scene.printed):
        return False
    # what is solved for, or reaches everything, fits one of several arrays by accident
    wide = trial.mistake and (trial.mistake.forward or trial.mistake.kind in SOLVED)
    if wide and not scene.printed and 2 * len(trial.explains) < len(scene.wrong):
        return False
    empty = [k for k in trial.explains if scene.claims[k].fits(np.zeros_like(scene.claims[k].low))]
    if len(empty) < len(trial.explains):
        return True
    kind, own = (trial.mistake.kind, trial.mistake.changes.keys()) if trial.mistake else ("", set())
    # that what is 0 has nothing handed on to it says nothing
    beyond = any(not own & {*names(scene.claims[k].base)} for k in empty)
    return kind in PATHS and trial.whole and (beyond or kind != "path missing")


def expected_by_chance(scene: Scene, trials: Sequence[Trial], best: int, tried: int) -> float:
    """How many of the explanations tried, up to the best one, are expected to fit by chance what that explains.

    An explanation that moves an entry by d from its true value is as likely to land anywhere within d of it, so it
    lands on the digits that were printed with the chance (width of what rounds to them) / 2d. One that moves an entry
    by less than half of what is to be explained cannot land there at all.
    """
    found = trials[best]

    def luck(trial: Trial, some: Sequence[int]) -> float:
        of = [scene.claims[k] for k in some]
        true, there = (_joined(values[k] for k in some) for values in (scene.truth, trial.outcomes))
        stated, widths = _joined(one.stated for one in of), _joined(one.high - one.low for one in of)
        return _luck(true, there, stated, widths, trial.anywhere)

    # of those that tell the same digits again the most telling one counts
    claims = [min(some, key=lambda k: luck(found, [k])) for some in found.told] or found.explains
    if not scene.printed:  # the numbers of a program: those that do not fit are not kept
        return (tried + found.weight) * luck(found, claims)
    total = 0.0
    seen: set[str] = set()
    for trial in trials[: best + 1]:
        if likely := luck(trial, claims):
            there = _joined(trial.outcomes[k] for k in claims)
            digits = ",".join(f"{number:.9e}" for number in there[:COMPARED])  # those that come to the same are one
            total += 0 if digits in seen else trial.weight * likely
            seen.add(digits)
    return total


def _luck(true: Array, there: Array, stated: Array, widths: Array, anywhere: bool) -> float:
    """The chance that an explanation fits every digit although it is wrong: so many numbers `there`, for the `true`."""
    if there.shape != stated.shape:
        return 0.0
    known = true if true.shape == there.shape else np.zeros_like(there)
    moves, errors = np.abs(there if anywhere else there - known), np.abs(stated - known)
    whole = all(np.all(array == np.round(array)) for array in (known, there, stated))
    widths = np.maximum(widths, 1.0 if whole else 0.0)  # whole numbers stand apart by 1
    if not np.all(np.isfinite(moves)) or np.any(errors > 2 * moves + widths):
        return 0.0
    told = np.flatnonzero(errors > widths / 2 if anywhere else moves > widths / 2)[:ENOUGH]
    # entries that move alike, as p and 1 - p do, say the same thing
    alike, group = np.unique([f"{move:.6e}" for move in moves[told]], return_inverse=True)
    chances = np.ones(len(alike))
    np.minimum.at(chances, group, widths[told] / np.maximum(2 * moves[told], widths[told]))
    return float(np.prod(chances))


def _joined(parts: Iterable[Outcome]) -> Array:
    """All numbers of some claims; none where a claim has none."""
    found = [*parts]
    known = [np.ravel(part) for part in found if part is not None]
    return np.concatenate(known) if len(known) == len(found) else np.empty(0)
