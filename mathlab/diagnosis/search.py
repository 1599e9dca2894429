"""The search: every mistake is made, and the claims are computed anew where it reaches them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mathlab.diagnosis import mistakes, slips
from mathlab.diagnosis.evaluator import Evaluator, Session
from mathlab.diagnosis.evidence import NEAR
from mathlab.diagnosis.mistakes import Mistake, Places
from mathlab.diagnosis.numbers import multipliers
from mathlab.diagnosis.rewrite import Names
from mathlab.diagnosis.screen import Screen
from mathlab.diagnosis.unfold import inlined, told, unfolded
from mathlab.diagnosis.worlds import Outcome, Scene, Trial, World, changed
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case, Figure
from mathlab.language.syntax import Name, names, unparse
from mathlab.stages.prepare import Prepared, prepare

# entries computed, of which an op counts `OVERHEAD` more, at least and for each equation: some seconds
WORK, EACH = 100_000_000.0, 2_000_000.0
MADE, DERIVED = 5_000.0, 1_000.0  # and so many for making a mistake, and for each equation that is derived anew
COUNTED = 1.1  # times the work after which mistakes are not even counted any more
MISSES = 2  # wrong claims that a mistake reaches first, and does not explain, before it is given up
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none
NEARER = 1e-4  # how much less an explanation is believed for each equation that it reaches
ELSEWHERE = 2.0  # and for being made elsewhere than in the formula that is wrong
LONGEST = 400  # characters of a line to write instead
NUMBERS = 8  # by which a term is tried to be multiplied


@dataclass(frozen=True)
class Searched:
    """What was found, and how many mistakes were tried of how many there are at least."""

    trials: Sequence[Trial]
    tried: int
    known: int


class Search:
    """The mistakes of a scene, and the work that may at `most` be spent on trying them."""

    def __init__(
        self, scene: Scene, most: float = WORK, prepared: Prepared | None = None, called: Mapping[str, str] = {}
    ) -> None:
        self.scene, self.most = scene, most
        self.called = called
        self.places: dict[Hashable, Places] = {}
        if prepared is None:
            whole = unfolded(scene.case)
            self.called, prepared = whole.called, _prepared(scene, whole.case)
        self.prepared = prepared
        inside = self.prepared.backward.parts.items()
        self.parts = {part: f"d(inside {called.get(name, name)})" for name, some in inside for part in some}
        self.evaluator = Evaluator(self.prepared, scene.points)
        self.sources = [self.evaluator.sources(claim.quantity) for claim in scene.claims]
        self.screen = (
            None if scene.printed or scene.trained else Screen(self.prepared, scene.claims, self.evaluator.base[0])
        )
        train = scene.case.train
        rates = (train.settings["lr"],) if train and "lr" in train.settings else RATES
        numbers = tuple(value for value in multipliers(scene))[:NUMBERS]
        self.names: Names = replace(slips.known(self.prepared), numbers=numbers, rates=rates)

    def run(self) -> Searched:
        """The mistakes that explain something: first those of the backward pass, then those of the forward one.

        Once all is explained, what is less likely is not looked for.
        """
        trials: list[Trial] = []
        tried = known = 0
        best = math.inf

        def most() -> float:
            return best + NEAR

        for some in (mistakes.backward, mistakes.forward):
            for mistake in some(self.prepared, self.names, most):
                known += 1
                self.evaluator.work += MADE
                if self.evaluator.work > COUNTED * self.most:
                    break
                if self.evaluator.work > self.most:
                    continue
                tried += 1
                trial = self.tried(mistake)
                if trial is not None:
                    trials.append(trial)
                    if len(trial.explains) == len(self.scene.wrong) and not trial.breaks:
                        best = min(best, trial.tier)
            if best < math.inf or self.evaluator.work > COUNTED * self.most:
                break
        return Searched(trials, tried, known)

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
        if self.scene.trained:
            return self._trained(mistake)
        reached = self.evaluator.reach(mistake.changes)
        sessions = [self.evaluator.session(mistake.changes, point) for point in range(len(self.scene.points))]
        touched = near = [k for k in self.scene.wrong if self.sources[k] & reached]
        if not mistake.forward and self.screen:
            near = self.screen.admitted(touched, self.evaluator.ordered(mistake.changes), sessions[0])
        near.sort(key=lambda k: (self.sources[k] & reached).bit_count())
        outcomes: list[Outcome] = [*self.scene.truth]
        explains: list[int] = []
        misses = 0
        for k in near:
            outcomes[k] = self._outcome(k, sessions)
            if self.scene.claims[k].fits(outcomes[k]):
                explains.append(k)
            else:
                misses += 1
                if misses == MISSES and not explains:
                    break
        if not near or (not explains and not self.scene.printed):
            return None
        if mistake.kind == "other name" and any(not np.any(sessions[0].value(Name(name))) for name in mistake.changes):
            return None  # what is 0 because c - c stands for c - h is a path that is gone, and named as one
        breaks = 0
        if explains:
            for k, claim in enumerate(self.scene.claims):
                if not claim.wrong and self.sources[k] & reached:
                    outcomes[k] = self._outcome(k, sessions)
                    breaks += not claim.fits(outcomes[k])
        return self._trial(mistake, outcomes, explains, breaks, len(explains) == len(touched))

    def _trained(self, mistake: Mistake) -> Trial | None:
        world = self._world(mistake)
        outcomes = self.scene.run(world) if world else None
        if outcomes is None:
            return None
        explains = [k for k in self.scene.wrong if self.scene.claims[k].fits(outcomes[k])]
        breaks = [k for k, claim in enumerate(self.scene.claims) if not claim.wrong and not claim.fits(outcomes[k])]
        return self._trial(mistake, outcomes, explains, len(breaks), len(explains) == len(self.scene.wrong))

    def _world(self, mistake: Mistake) -> World | None:
        wrong = changed(self.prepared, mistake.changes)
        return World(wrong, self.scene.case.train, batch=partial(self._again, mistake)) if wrong else None

    def _again(self, mistake: Mistake, batch: Prepared) -> Prepared | None:
        """The mistake in the equations of a batch."""
        key = (mistake.kind, mistake.forward, *(batch.types.names[name] for name in batch.case.inputs))
        if key not in self.places:
            self.places[key] = mistakes.places(mistake, self.names, batch)
        return mistakes.again(mistake, self.places[key], batch)

    def _trial(
        self, mistake: Mistake, outcomes: Sequence[Outcome], explains: Sequence[int], breaks: int, whole: bool
    ) -> Trial:
        # of as likely ones that comes first which reaches least; a formula is wrong in itself before in what it reads
        reached = self.evaluator.reach(mistake.changes).bit_count()
        own = {name for k in explains for name in names(self.scene.claims[k].quantity)} & mistake.changes.keys()
        tier = mistake.tier + NEARER * reached + (0 if own or len(self.scene.points) == 1 else ELSEWHERE)
        return Trial(
            self.worded(mistake),
            outcomes,
            broad=mistake.broad,
            tier=tier,
            explains=tuple(sorted(explains)),
            breaks=breaks,
            kind=mistake.kind,
            whole=whole,
            instead=mistake,
        )

    def worded(self, mistake: Mistake) -> str:
        """The mistake in words, with the names of the case for its equations, and in words for what has none there."""
        shown = {name: what.rpartition(" ")[2] for name, what in self.called.items()} if mistake.forward else {}
        text = slips.cause([(shown.get(name, name), clause) for name, clause in mistake.made])
        alone = ", in the forward pass only" if mistake.forward and not mistake.followed else ""
        return told(text + alone, self.called, self.parts)

    def _outcome(self, k: int, sessions: Sequence[Session]) -> Outcome:
        claim = self.scene.claims[k]
        found: list[Array] = []
        for moment in claim.moments:
            value = sessions[moment.point].value(claim.base)
            if value is None:
                return None
            try:
                found.append(np.asarray(value[claim.pick]))
            except IndexError:
                return None
        return found

    def upon(self, mistake: Mistake, explained: Sequence[int]) -> Search | None:
        """The search for what explains the rest, with one mistake taken for granted."""
        base = changed(self.prepared, mistake.changes)
        if base is None or self.evaluator.work > self.most:
            return None
        claims = [replace(claim, wrong=claim.wrong and k not in explained) for k, claim in enumerate(self.scene.claims)]
        scene = Scene(base, claims, self.scene.points)
        return Search(scene, self.most - self.evaluator.work, base, self.called)

    def instead(self, mistake: Mistake) -> str:
        """The right line in place of the first that is wrong, as NumPy has it."""
        definitions = {equation.name: equation.expr for equation in self.prepared.both}
        first = mistake.made[0][0]
        unknown = {*self.parts, *(f"d{name}" for name in self.called)} - {first}
        expr = inlined(definitions[first], definitions, self.called)
        while some := [name for name in names(expr) if name in unknown and name in definitions]:
            expr = inlined(expr, definitions, {**self.called, **dict.fromkeys(some, "")})
        text = unparse(expr)
        if len(text) > LONGEST:  # the gradient of a weight that many steps share
            text = f"{text[: LONGEST // 2].rpartition(' + ')[0]} + ... + {text.rpartition(' + ')[2]}"
        return f"{told(first, self.called, self.parts)} = {text}"


def _prepared(scene: Scene, case: Case) -> Prepared:
    """The unfolded case with the same gradients; the case itself where that cannot be had."""
    asked = dict.fromkeys(
        name for claim in scene.claims for name in names(claim.base) if name in scene.prepared.gradients
    )
    figures = tuple(Figure(name, Name(name), (), ()) for name in asked)
    try:
        return prepare(replace(case, expected=figures, derivation=(), gradcheck=None))
    except (MathlabError, ExpressionError):
        return scene.prepared
