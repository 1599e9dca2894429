"""The search: every mistake is made, and the claims are computed anew where it reaches them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mathlab.diagnosis import mistakes, slips
from mathlab.diagnosis.claims import Outcome
from mathlab.diagnosis.evaluator import Evaluator, Session
from mathlab.diagnosis.evidence import NEAR, judged
from mathlab.diagnosis.mistakes import Mistake
from mathlab.diagnosis.trials import multipliers
from mathlab.diagnosis.unfold import told, unfolded, with_gradients
from mathlab.diagnosis.worlds import Scene, Trial, World, changed
from mathlab.errors import ExpressionError, MathlabError
from mathlab.language.syntax import Name, names, substitute, unparse
from mathlab.stages.prepare import Prepared

# entries computed, of which an op counts `OVERHEAD` more, at least and for each equation: some seconds
WORK, EACH = 100_000_000.0, 2_400_000.0
BACKWARD = 0.75  # of it for the backward pass
MADE, DERIVED = 5_000.0, 1_000.0  # and so many for making a mistake, and for each equation that is derived anew
COUNTED = 1.1  # times the work after which mistakes are not even counted any more
MISSES = 2  # wrong claims that a mistake reaches first, and does not explain, before it is given up
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none
NEARER = 1e-4  # how much less an explanation is believed for each equation that it reaches
ELSEWHERE = 2.0  # and for being made elsewhere than in the formula that is wrong
LONGEST = 400  # characters of a line to write instead
NUMBERS = 8  # by which a term is tried to be multiplied


class Search:
    """The mistakes of a scene, and the work that may at `most` be spent on trying them.

    They are made in the case with more names, which are `called` something, or in the one `prepared` so.
    """

    def __init__(
        self, scene: Scene, most: float = WORK, prepared: Prepared | None = None, called: Mapping[str, str] = {}
    ) -> None:
        self.scene, self.most, self.called = scene, most, called
        if prepared is None:
            whole, called = unfolded(scene.case)
            asked = (name for claim in scene.claims for name in names(claim.base) if name in scene.prepared.gradients)
            try:
                self.called, prepared = called, with_gradients(whole, asked)
            except (MathlabError, ExpressionError):
                prepared = scene.prepared
        self.prepared = prepared
        inside = prepared.backward.parts.items()
        self.parts = {part: f"d(inside {self.called.get(name, name)})" for name, some in inside for part in some}
        self.evaluator = Evaluator(prepared, scene.points)
        self.sources = [self.evaluator.sources(claim.quantity) for claim in scene.claims]
        train = scene.case.train
        rates = (train.settings["lr"],) if train and "lr" in train.settings else RATES
        self.names = replace(slips.known(prepared), numbers=[*multipliers(scene)][:NUMBERS], rates=rates)

    def run(self) -> tuple[list[Trial], int, int]:
        """The mistakes that explain something, and how many were tried of how many there are at least.

        First come those of the backward pass, then those of the forward one; once all is explained, what is less likely
        is not looked for.
        """
        trials: list[Trial] = []
        tried = known = 0
        best = math.inf  # the tier of the likeliest that explains all

        def most() -> float:
            return best + NEAR

        for forward in (False, True):
            limit = self.most * (1 if forward else BACKWARD)
            for mistake in mistakes.all_of(self.prepared, self.names, forward, most):
                known += 1
                self.evaluator.work += MADE
                if self.evaluator.work > COUNTED * limit:
                    break
                if self.evaluator.work <= limit:
                    tried += 1
                    trial = self.tried(mistake)
                    if trial is not None:
                        trials.append(trial)
                        if len(trial.explains) == len(self.scene.wrong) and not trial.breaks:
                            best = min(best, trial.tier)
            if best < math.inf:
                break
        return trials, tried, known

    def tried(self, mistake: Mistake) -> Trial | None:
        """A mistake made: a trial where it reaches a wrong claim; where numbers are many, one that it explains."""
        if self.evaluator.circular(mistake.changes):
            return None
        if mistake.followed:
            self.evaluator.work += DERIVED * len(self.evaluator.order)
            whole = mistakes.followed(mistake, self.prepared)
            if whole is None:
                return None
            mistake = whole
        outcomes = self._trained(mistake) if self.scene.trained else self._computed(mistake)
        if outcomes is None:
            return None
        trial = judged(self.scene, Trial(self.worded(mistake), outcomes, mistake=mistake))
        # of as likely ones that comes first which reaches least; a formula is wrong in itself before in what it reads
        own = {name for k in trial.explains for name in names(self.scene.claims[k].quantity)} & mistake.changes.keys()
        away = 0 if own or len(self.scene.points) == 1 else ELSEWHERE
        reached = self.evaluator.reach(mistake.changes).bit_count()
        return replace(trial, tier=mistake.tier + NEARER * reached + away)

    def _computed(self, mistake: Mistake) -> list[Outcome] | None:
        """The claims with a mistake made, as far as it may explain them; None where it explains nothing."""
        claims, printed, reached = self.scene.claims, self.scene.printed, self.evaluator.reach(mistake.changes)
        met = {k: (source & reached).bit_count() for k, source in enumerate(self.sources) if source & reached}
        if not any(claims[k].wrong for k in met):
            return None
        sessions = [Session(self.evaluator, mistake.changes, point) for point in range(len(self.scene.points))]
        outcomes: list[Outcome] = [*self.scene.truth]
        fits = misses = 0
        for k in sorted(met, key=lambda k: met[k]):
            if (claims[k].wrong or not printed) and not (misses >= MISSES and not fits):
                outcomes[k] = self._outcome(k, sessions)
                fitting = claims[k].fits(outcomes[k])
                if not claims[k].wrong and not fitting:
                    return None  # as what breaks a right array; a figure may be right by another computation
                fits, misses = fits + (fitting and claims[k].wrong), misses + (not fitting)
        if not fits and not printed:
            return None
        if mistake.kind == "other name" and any(not np.any(sessions[0].value(Name(name))) for name in mistake.changes):
            return None  # what is 0 because c - c stands for c - h is a path that is gone, and named as one
        for k in met if fits and printed else ():
            if not claims[k].wrong:
                outcomes[k] = self._outcome(k, sessions)
        return outcomes

    def _outcome(self, k: int, sessions: Sequence[Session]) -> Outcome:
        claim = self.scene.claims[k]
        found = [sessions[moment.point].value(claim.base) for moment in claim.moments]
        values = [value for value in found if value is not None]
        return claim.picked(values) if len(values) == len(found) else None

    def _trained(self, mistake: Mistake) -> Sequence[Outcome] | None:
        """The claims after a training with a mistake made, in the equations of its batches too."""

        def again(batch: Prepared) -> Prepared | None:
            changes = mistakes.again(mistake, batch, self.names)
            return changed(batch, changes) if changes else None

        wrong = changed(self.prepared, mistake.changes)
        return self.scene.run(World(wrong, self.scene.case.train, batch=again)) if wrong else None

    def worded(self, mistake: Mistake) -> str:
        """The mistake in words, with the names of the case for its equations, and in words for what has none there."""
        shown = {name: what.rpartition(" ")[2] for name, what in self.called.items()} if mistake.forward else {}
        alone = ", in the forward pass only" if mistake.forward and not mistake.followed else ""
        return told(slips.cause(mistake.made, shown) + alone, self.called, self.parts)

    def upon(self, mistake: Mistake, explained: Iterable[int]) -> Search | None:
        """The search for what explains the rest, with one mistake taken for granted."""
        base = changed(self.prepared, mistake.changes)
        if base is None or self.evaluator.work > self.most:
            return None
        claims = [replace(claim, wrong=claim.wrong and k not in explained) for k, claim in enumerate(self.scene.claims)]
        return Search(Scene(base, claims, self.scene.points), self.most - self.evaluator.work, base, self.called)

    def instead(self, mistake: Mistake) -> str:
        """The right line in place of the first that is wrong, as NumPy has it."""
        definitions, first = self.evaluator.definitions, mistake.made[0].name
        hidden = {*self.called, *self.parts, *(f"d{name}" for name in self.called)} - {first}
        expr = definitions[first]
        while found := {name: definitions[name] for name in names(expr) if name in hidden and name in definitions}:
            expr = substitute(expr, found)
        text = unparse(expr)
        if len(text) > LONGEST:  # the gradient of a weight that many steps share
            text = f"{text[: LONGEST // 2].rpartition(' + ')[0]} + ... + {text.rpartition(' + ')[2]}"
        return f"{told(first, self.called, self.parts)} = {text}"
