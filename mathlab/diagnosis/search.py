"""The search: every mistake in the equations is made, likeliest first, and held against the claims."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np

from mathlab.diagnosis import mistakes, slips
from mathlab.diagnosis.evidence import NEAR, judged
from mathlab.diagnosis.mistakes import KINDS, Mistake
from mathlab.diagnosis.rules import scaled
from mathlab.diagnosis.scene import Outcome, Scene, Trial
from mathlab.diagnosis.slips import Slip
from mathlab.diagnosis.trials import multipliers, scalars
from mathlab.diagnosis.unfold import forms, told, unfolded
from mathlab.diagnosis.worlds import COMPILED, Evaluator, World, changed, computing
from mathlab.errors import ExpressionError, MathlabError
from mathlab.language.equation import by_name
from mathlab.language.syntax import Call, Expr, Name, Num, names, substitute, unparse, walk
from mathlab.language.terms import product
from mathlab.stages.prepare import Prepared, with_gradients

# entries computed, of which an op counts `worlds.OVERHEAD` more, at least and for each equation: some seconds
WORK, EACH, MOST = 100_000_000.0, 2_000_000.0, 250_000_000.0  # MOST where an equation is long, or much is trained
BACKWARD = 0.75  # of it for the backward pass
MADE, WRITTEN = 5_000.0, 1_000.0  # and so many for a mistake, and for each equation that is written or derived anew
COMPILING = 6_000.0  # and for each equation of a training with a mistake, all of which are typed and put together anew
COUNTED = 1.1  # times the work after which mistakes are not even counted any more
MISSES = 2  # wrong claims that a mistake reaches first, and does not explain, before it is given up
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none
NEARER = 1e-4  # how much less an explanation is believed for each equation that it changes or reaches
ELSEWHERE = 2.0  # and for being made elsewhere than in the formula that is wrong
LONGEST = 400  # characters of a line to write instead
NUMBERS = 8  # by which an equation is tried to be multiplied
FITTED = 1e9  # numbers that were tried where one is solved for
ROUND, CLOSE = 100, 3e-7  # a number that is solved for is a fraction of numbers up to this, to this precision
TRUE = 1e-6  # to which part of the largest entry a closed form must be the gradient


class Search:
    """The mistakes of a scene, and the work that may at `most` be spent on trying them.

    They are made in the case with more names, which are `called` something, or in the one `prepared` so, where what is
    taken for granted stands in place of some `right` equations.
    """

    def __init__(
        self,
        scene: Scene,
        most: float = WORK,
        prepared: Prepared | None = None,
        called: Mapping[str, str] = {},
        right: Mapping[str, Expr] = {},
    ) -> None:
        self.scene, self.most, self.called, self.right = scene, most, called, right
        if prepared is None:
            whole, called = unfolded(scene.case)
            asked = (name for claim in scene.claims for name in names(claim.base) if name in scene.prepared.gradients)
            try:
                self.called, prepared = called, with_gradients(whole, asked)
            except (MathlabError, ExpressionError):
                prepared = scene.prepared
        self.prepared = prepared
        self.there = cache(self._there)  # by kind, and by what was prepared for a batch of a size
        inside = prepared.backward.parts.items()
        self.parts = {part: f"d(inside {self.called.get(name, name)})" for name, some in inside for part in some}
        self.evaluator = Evaluator(prepared, scene.points)
        self.sources = [self.evaluator.sources(claim.base) for claim in scene.claims]
        numbers = [*multipliers(scene)]
        self.names = slips.known(prepared)._replace(numbers=numbers[:NUMBERS], rates=scene.rates or RATES)
        parts = (part for expr in self.names.forward.values() for part in walk(expr))
        written = [part.value for part in parts if isinstance(part, Num) and part.value not in (0, 0.5, 1, 2)]
        said = [(k, f"the {k:g} that the equations have") for k in written]
        said += [(value, name) for name, value in scalars(scene).items()]
        said += [(1 / k, f"1 over {what}") for k, what in said]
        # which is said before a length that it equals
        self.reasons = sorted([*said, *numbers], key=lambda reason: (" of " in reason[1], "that the" in reason[1]))
        closed = {name: form for name, form in forms(self.evaluator, self.names) if self._is(name, form)}
        self.names = self.names._replace(closed=closed)

    def _is(self, name: str, form: Expr) -> bool:
        """Whether an expression is what a name is, but for rounding."""
        true = self.evaluator.base[0][name]
        near = TRUE * float(np.max(np.abs(true), initial=0.0))
        found = World(self.evaluator, {}).values(form)[:1]
        return any(value.shape == true.shape and np.allclose(value, true, rtol=0, atol=near) for value in found)

    def run(self) -> tuple[list[Trial], int, int]:
        """The mistakes that explain something, and how many were tried of how many there are at least.

        First come those of the backward pass, then those of the forward one; once all is explained, what is less likely
        is not looked for.
        """
        trials: list[Trial] = []
        tried = known = 0
        best = math.inf  # the tier of the likeliest that explains all
        for forward in (False, True):
            limit = self.most * (1 if forward else BACKWARD)
            for mistake in mistakes.all_of(self.prepared, self.names, forward, lambda: best + NEAR):  # noqa: B023  # as it is then
                known += 1
                self.evaluator.work += MADE + WRITTEN * len(mistake.made)
                if self.evaluator.work > COUNTED * limit:
                    break
                if self.evaluator.work <= limit:
                    tried += 1
                    trial = self.tried(mistake) or self.solved(mistake)
                    if trial is not None:
                        trials.append(trial)
                        if len(trial.explains) == len(self.scene.wrong) and not trial.breaks:
                            best = min(best, trial.tier)
            if best < math.inf:
                break
        return trials, tried, known

    def tried(self, mistake: Mistake) -> Trial | None:
        """A mistake made: a trial where it reaches a wrong claim; where numbers are many, one that it explains."""
        if self.evaluator.circular((slip.name, slip.part) for slip in mistake.made):
            return None
        if mistake.followed:
            self.evaluator.work += WRITTEN * len(self.evaluator.definitions)
            whole = mistakes.followed(mistake, self.prepared)
            if whole is None:
                return None
            mistake = whole
        outcomes = self._trained(mistake) if self.scene.trained else self._computed(mistake)
        if outcomes is None or _vanishes(mistake):
            return None
        trial = self._weighed(judged(self.scene, Trial("", outcomes, mistake=mistake)), mistake)
        # of as likely ones that comes first which changes and reaches least; a formula is wrong before what it reads is
        own = {name for k in trial.explains for name in names(self.scene.claims[k].base)} & mistake.changes.keys()
        away = 0 if own or len(self.scene.points) == 1 else ELSEWHERE
        reached = self.evaluator.reach(mistake.changes).bit_count() + len(mistake.changes)
        cause = self.worded(mistake) if trial.explains else ""  # of the others nobody hears
        return trial._replace(cause=cause, tier=mistake.tier + NEARER * reached + away)

    def _weighed(self, trial: Trial, mistake: Mistake) -> Trial:
        """The trial of a mistake in an article, with the figures together that tell the digits of one again.

        Those are what follows from that figure alone. It explains nothing where it breaks a right figure other than by
        a wrong one: only what an article goes on from may it have computed twice. Nor is one made everywhere where
        some figure is another one.
        """
        claims = self.scene.claims
        if not self.scene.printed or not trial.explains:
            return trial
        if self.scene.trained:  # where all that comes later goes on from the mistake
            return trial._replace(explains=()) if trial.breaks else trial
        first = {claims[k].base for k in trial.explains if not claims[k].pick}
        ways: dict[str, frozenset[str]] = {}  # to each name from the figures before it, or from the mistake itself: ""
        for name in self.evaluator.named(self.evaluator.reach(mistake.changes)):
            made = mistake.changes.get(name)
            read = names(made or self.evaluator.definitions[name])
            found = frozenset([""] if made else []).union(*(ways[other] for other in read if other in ways))
            ways[name] = frozenset([name]) if "" in found and Name(name) in first else found
        together: dict[frozenset[str], list[int]] = {}
        alone: list[list[int]] = []
        for k, (claim, outcome) in enumerate(zip(claims, trial.outcomes, strict=True)):
            found = frozenset[str]().union(*(ways.get(name, ()) for name in names(claim.base)))
            if k not in trial.explains:
                known = not claim.wrong or len(mistake.made) > 1
                if "" in found and known and not claim.fits(outcome):
                    return trial._replace(explains=())
            elif "" in found:
                alone.append([k])
            elif len(found) == 1:
                together.setdefault(found, []).append(k)
        return trial._replace(told=[*alone, *together.values()])

    def solved(self, mistake: Mistake) -> Trial | None:
        """The trial of the terms that a mistake leaves out times what a wrong claim asks for, a round number."""
        scene, met = self.scene, self.met(mistake)
        wrong = [k for k in met if scene.claims[k].wrong]
        if mistake.kind not in ("term missing", "path missing") or scene.printed or scene.trained or not wrong:
            return None
        k = min(wrong, key=lambda k: met[k])
        claim, true = scene.claims[k], scene.truth[k]
        without = claim.picked(World(self.evaluator, mistake.changes).values(claim.base))
        if without is None or true is None or not without.shape == true.shape == claim.stated.shape:
            return None
        # the terms are what is missing where they are left out, and what is stated has so many times as much of them
        at = np.unravel_index(int(np.argmax(np.abs(true - without))), true.shape)
        with np.errstate(all="ignore"):
            value = float((claim.stated[at] - without[at]) / (true[at] - without[at]))
        number, why = next((known for known in self.reasons if math.isclose(known[0], value, rel_tol=CLOSE)), (0.0, ""))
        if not why:
            near = Fraction(value if math.isfinite(value) else 0).limit_denominator(ROUND)
            if abs(near - value) > CLOSE * abs(value) or near in (0, 1, -1) or abs(near.numerator) > ROUND:
                return None
            if mistake.kind == "path missing" and 1 not in (near.numerator, near.denominator):
                return None
            number, why = float(near), "" if 100 % near.denominator == 0 else f"{near.numerator} / {near.denominator}"
        made = [
            slip._replace(part=product(Num(number), slip.old), clause=scaled(slip.old, number, why))
            for slip in mistake.made
        ]
        trial = self.tried(replace(mistake, kind="term scaled", tier=KINDS["term scaled"].tier, made=made))
        return trial and trial._replace(weight=FITTED)

    def met(self, mistake: Mistake) -> dict[int, int]:
        """The claims that a mistake reaches, and how many equations on the way: the fewer, the sooner it shows."""
        reached = self.evaluator.reach((*(slip.name for slip in mistake.made), *mistake.also))
        return {k: (source & reached).bit_count() for k, source in enumerate(self.sources) if source & reached}

    def _computed(self, mistake: Mistake) -> list[Outcome] | None:
        """The claims with a mistake made, as far as it may explain them; None where it explains nothing.

        They are looked at in the order in which it reaches them, so that most mistakes are given up soon.
        """
        claims, printed, met = self.scene.claims, self.scene.printed, self.met(mistake)
        if not any(claims[k].wrong for k in met):
            return None
        world = World(self.evaluator, mistake.changes)
        outcomes: list[Outcome] = [*self.scene.truth]
        fits = misses = 0
        for k in sorted(met, key=lambda k: (printed and not claims[k].wrong, met[k])):
            wrong = claims[k].wrong
            if not fits and (misses == MISSES or (printed and not wrong)):
                break  # right figures, which come last, are nothing to what explains none that is wrong
            outcomes[k] = claims[k].picked(world.values(claims[k].base))
            fitting = claims[k].fits(outcomes[k])
            if not (wrong or fitting or printed):
                return None  # as what breaks a right array; a figure may be right by another computation
            fits, misses = fits + (wrong and fitting), misses + (wrong and not fitting)
        return outcomes if fits or printed else None

    def _trained(self, mistake: Mistake) -> Sequence[Outcome] | None:
        """The claims after a training with a mistake made, in the equations of its batches too."""

        def again(batch: Prepared) -> Prepared | None:
            there = self.there(mistake.kind, batch)
            found = [there.get((slip.name, slip.clause)) for slip in mistake.made]
            same = None if None in found else slips.applied(filter(None, found), by_name(batch.both))
            return changed(batch, same) if same else None

        wrong = changed(self.prepared, mistake.changes)
        left = self.scene.left
        made = wrong and self.scene.tried("", computing(wrong), self.scene.training(wrong, batch=again))
        self.evaluator.work += COMPILING * len(self.evaluator.definitions) + COMPILED * (left - self.scene.left)
        return made[0].outcomes if made else None

    def _there(self, kind: str, batch: Prepared) -> Mapping[tuple[str, str], Slip]:
        """The changes of a kind to the equations of a batch, by the name of the equation and what each is called."""
        definitions = by_name(batch.equations if KINDS[kind].forward else batch.backward.equations)
        known = slips.known(batch)._replace(numbers=self.names.numbers, rates=self.names.rates)
        made = slips.slips(slips.places(definitions, known), KINDS[kind].rule)
        return {(slip.name, slip.clause): slip for slip in made}

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
        claims = [claim._replace(wrong=claim.wrong and k not in explained) for k, claim in enumerate(self.scene.claims)]
        right = {name: self.evaluator.definitions[name] for name in mistake.changes}
        scene = Scene(base, claims, self.scene.points)
        return Search(scene, self.most - self.evaluator.work, base, self.called, right)

    def instead(self, mistake: Mistake, first: str) -> str:
        """The right line in place of one that is wrong, as NumPy has it."""
        definitions = {**self.evaluator.definitions, **mistake.definitions, **self.right}
        hidden = {*self.called, *self.parts, *(f"d{name}" for name in self.called)} - {first}
        expr = definitions[first]
        while found := {name: definitions[name] for name in names(expr) if name in hidden and name in definitions}:
            expr = substitute(expr, found)
        text = unparse(expr)
        if len(text) > LONGEST:  # the gradient of a weight that many steps share
            text = f"{text[: LONGEST // 2].rpartition(' + ')[0]} + ... + {text.rpartition(' + ')[2]}"
        return f"{told(first, self.called, self.parts)} = {text}"


def _vanishes(mistake: Mistake) -> bool:
    """Whether c - c comes to stand for c - h: that is a path that is gone, and named as one."""
    made = {part for slip in mistake.made for part in walk(slip.part)}
    own = {slip.name for slip in mistake.made}  # what follows for a gradient may be c - c: nothing
    parts = [part for name in own for part in walk(mistake.changes[name]) if part not in made]
    return any(part.op == "sub" and part.args[0] == part.args[1] for part in parts if isinstance(part, Call))
