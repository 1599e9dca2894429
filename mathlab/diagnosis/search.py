"""The search: every mistake is made; equations are evaluated anew where it reaches them, and remembered where not."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations

import numpy as np

from mathlab.diagnosis import mistakes, slips
from mathlab.diagnosis.evidence import NEAR, judged
from mathlab.diagnosis.mistakes import KINDS, Mistake
from mathlab.diagnosis.rules import scaled
from mathlab.diagnosis.slips import Slip
from mathlab.diagnosis.trials import FITTED, multipliers
from mathlab.diagnosis.unfold import forms, told, unfolded, with_gradients
from mathlab.diagnosis.worlds import OVERHEAD, UNFIT, Outcome, Scene, Trial, changed, computing, program
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array
from mathlab.language import kernels
from mathlab.language.equation import Graph, by_name
from mathlab.language.program import Program, one_op
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, names, substitute, unparse, walk
from mathlab.language.terms import is_number, length, product, scaling
from mathlab.stages.prepare import Prepared

# entries computed, of which an op counts `OVERHEAD` more, at least and for each equation: some seconds
WORK, EACH = 100_000_000.0, 2_000_000.0
BACKWARD = 0.75  # of it for the backward pass
MADE, DERIVED = 5_000.0, 1_000.0  # and so many for making a mistake, and for each equation that is derived anew
COUNTED = 1.1  # times the work after which mistakes are not even counted any more
MISSES = 2  # wrong claims that a mistake reaches first, and does not explain, before it is given up
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates to try where the config states none
NEARER = 1e-4  # how much less an explanation is believed for each equation that it reaches
ELSEWHERE = 2.0  # and for being made elsewhere than in the formula that is wrong
LONGEST = 400  # characters of a line to write instead
NUMBERS = 8  # by which an equation is tried to be multiplied
COMPILED = 0.2  # of what an op costs beside its entries it costs, and an equation too, where it is compiled


class Evaluator(Graph):
    """The values of a case's names at each of some points, and what has been computed of them."""

    def __init__(self, prepared: Prepared, points: Sequence[Mapping[str, Array]]) -> None:
        super().__init__(prepared.env, prepared.both)
        self.prepared = prepared
        self.definitions = by_name(prepared.both)
        self.base = [prepared.run(point) for point in points]
        self.known: list[dict[Expr, object]] = [{} for _ in points]
        self.program, self.reads = cache(self._program), cache(self.sources)
        self.work = 0.0  # entries computed: the same on every machine

    def _program(self, name: str) -> tuple[Program, float]:
        """An equation as it stands, compiled, and its work."""
        expr, type_ = self.definitions[name], self.prepared.types.names[name]
        calls = sum(isinstance(part, Call) for part in walk(expr))
        made = program(expr, self.prepared.types, type_, self.prepared.case.dtype)
        return made, COMPILED * OVERHEAD + calls * (COMPILED * OVERHEAD + type_.size)


class World:
    """The equations with some changed; what it has computed it keeps."""

    def __init__(self, whole: Evaluator, changes: Mapping[str, Expr]) -> None:
        self.whole, self.changes = whole, changes
        self.reached, self.done = whole.reach(changes), 0
        self.points = [(dict(base), known) for base, known in zip(whole.base, whole.known, strict=True)]

    def values(self, quantity: Expr) -> list[Array]:
        """A quantity's value at every point; none where the changed equations do not fit together."""
        due = self.reached & self.whole.sources(quantity) & ~self.done
        try:
            with np.errstate(all="ignore"):
                for name in self.whole.named(due):
                    for values, known in self.points:
                        values[name] = self._equation(name, values, known)
                self.done |= due
                return [np.asarray(self._value(quantity, *point), np.float64) for point in self.points]
        except UNFIT:
            return []

    def _equation(self, name: str, values: dict[str, Array], known: dict[Expr, object]) -> Array:
        if name in self.changes:
            found = np.asarray(self._value(self.changes[name], values, known))
        else:
            made, work = self.whole.program(name)
            self.whole.work += work
            found = np.asarray(made.function(*[values[read] for read in made.inputs])[0])
        return found.astype(values[name].dtype, copy=False)

    def _value(self, expr: Expr, values: Mapping[str, Array], known: dict[Expr, object]) -> object:
        """A value; that of a call which no change here reaches is remembered, for others have it too."""
        match expr:
            case Name(name):
                return values[name]
            case Num(value):
                return value if abs(value) < 2**63 else float(value)
            case Slice():
                return expr.whole
            case NewAxis():
                return None
        fixed = not self.reached & self.whole.reads(expr)
        if fixed and expr in known:
            return known[expr]
        found = _called(expr, [self._value(arg, values, known) for arg in expr.args])
        self.whole.work += OVERHEAD + np.asarray(found).size
        if fixed:
            known[expr] = found
        return found


def _called(call: Call, args: list[object]) -> object:
    if call.op == "index":
        return operator.getitem(np.asarray(args[0]), tuple(map(_whole, args[1:])))  # type: ignore[misc]  # an index may be anything
    if call.op == "scatter":
        return kernels.scatter(np.asarray(args[0]), np.asarray(args[1]).shape, tuple(map(_whole, args[2:])))
    if args and not any(isinstance(arg, np.ndarray | np.generic) for arg in args):
        args[0] = np.asarray(args[0])  # Python's own numbers are no arrays, and raise where NumPy gives inf
    return one_op(call.op)(*args, **dict(call.attrs))


def _whole(item: object) -> object:
    """An index as integers: what was computed as floats is cast."""
    return item if item is None or isinstance(item, slice | int) else np.asarray(item).astype(np.int64)


# --- the search
ROUND, CLOSE = 100, 3e-7  # a number that is solved for is a fraction of numbers up to this, to this precision
TRUE = 1e-6  # to which part of the largest entry a closed form must be the gradient


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
        self.there = cache(self._there)  # by kind, and by what was prepared for a batch of a size
        inside = prepared.backward.parts.items()
        self.parts = {part: f"d(inside {self.called.get(name, name)})" for name, some in inside for part in some}
        self.evaluator = Evaluator(prepared, scene.points)
        self.sources = [self.evaluator.sources(claim.base) for claim in scene.claims]
        numbers = [*multipliers(scene)]
        self.names = slips.known(prepared)._replace(numbers=numbers[:NUMBERS], rates=scene.rates or RATES)
        parts = (part for expr in self.names.forward.values() for part in walk(expr))
        written = [part.value for part in parts if isinstance(part, Num) and part.value not in (0, 0.5, 1, 2)]
        said = [(number, f"the {k:g} that the equations have") for k in written for number in (k, 1 / k)]
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
        if self.evaluator.circular(mistake.changes):
            return None
        if mistake.followed:
            self.evaluator.work += DERIVED * len(self.evaluator.definitions)
            whole = mistakes.followed(mistake, self.prepared)
            if whole is None:
                return None
            mistake = whole
        outcomes = self._trained(mistake) if self.scene.trained else self._computed(mistake)
        if outcomes is None:
            return None
        trial = judged(self.scene, Trial("", outcomes, mistake=mistake))
        # of as likely ones that comes first which reaches least; a formula is wrong in itself before in what it reads
        own = {name for k in trial.explains for name in names(self.scene.claims[k].base)} & mistake.changes.keys()
        away = 0 if own or len(self.scene.points) == 1 else ELSEWHERE
        reached = self.evaluator.reach(mistake.changes).bit_count()
        cause = self.worded(mistake) if trial.explains else ""  # of the others nobody hears
        return trial._replace(cause=cause, tier=mistake.tier + NEARER * reached + away)

    def solved(self, mistake: Mistake) -> Trial | None:
        """The trial of the terms that a mistake leaves out times what a wrong claim asks for, a round number."""
        scene, reached = self.scene, self.evaluator.reach(mistake.changes)
        met = {k: (self.sources[k] & reached).bit_count() for k in scene.wrong if self.sources[k] & reached}
        if mistake.kind not in ("term missing", "path missing") or scene.printed or scene.trained or not met:
            return None
        k = min(met, key=lambda k: met[k])
        claim, true = scene.claims[k], scene.truth[k]
        without = claim.picked(World(self.evaluator, mistake.changes).values(claim.base))
        if without is None or true is None or not without.shape == true.shape == claim.stated.shape:
            return None
        at = np.unravel_index(int(np.argmax(np.abs(true - without))), true.shape)
        with np.errstate(all="ignore"):
            value = float((claim.stated[at] - without[at]) / (true[at] - without[at]))
        near = Fraction(value if math.isfinite(value) else 0).limit_denominator(ROUND)
        if abs(near - value) > CLOSE * abs(value) or near in (0, 1, -1) or abs(near.numerator) > ROUND:
            return None
        why = next((why for number, why in self.reasons if math.isclose(number, near)), "")
        if mistake.kind == "path missing" and not why and 1 not in (near.numerator, near.denominator):
            return None
        why = why or ("" if 100 % near.denominator == 0 else f"{near.numerator} / {near.denominator}")
        times = Num(float(near))
        made = [
            slip._replace(part=product(times, slip.old), clause=scaled(slip.old, times.value, why))
            for slip in mistake.made
        ]
        trial = self.tried(replace(mistake, kind="term scaled", tier=KINDS["term scaled"].tier, made=made))
        return trial and trial._replace(weight=FITTED)

    def _computed(self, mistake: Mistake) -> list[Outcome] | None:
        """The claims with a mistake made, as far as it may explain them; None where it explains nothing."""
        claims, printed, reached = self.scene.claims, self.scene.printed, self.evaluator.reach(mistake.changes)
        met = {k: (source & reached).bit_count() for k, source in enumerate(self.sources) if source & reached}
        if not any(claims[k].wrong for k in met):
            return None
        world = World(self.evaluator, mistake.changes)
        outcomes: list[Outcome] = [*self.scene.truth]
        fits = misses = 0
        for k in sorted(met, key=lambda k: (printed and not claims[k].wrong, met[k])):
            wrong = claims[k].wrong
            if fits or (misses < MISSES and (wrong or not printed)):
                outcomes[k] = claims[k].picked(world.values(claims[k].base))
                fitting = claims[k].fits(outcomes[k])
                if not (wrong or fitting or printed):
                    return None  # as what breaks a right array; a figure may be right by another computation
                fits, misses = fits + (wrong and fitting), misses + (wrong and not fitting)
        # what is 0 because c - c stands for c - h is a path that is gone, and named as one
        gone = mistake.kind == "other name" and any(not np.any(world.values(Name(k))[:1]) for k in mistake.changes)
        return outcomes if (fits or printed) and not gone else None

    def _trained(self, mistake: Mistake) -> Sequence[Outcome] | None:
        """The claims after a training with a mistake made, in the equations of its batches too."""

        def again(batch: Prepared) -> Prepared | None:
            there = self.there(mistake.kind, batch)
            found = [there.get((slip.name, slip.clause)) for slip in mistake.made]
            same = None if None in found else slips.applied(filter(None, found), by_name(batch.both))
            return changed(batch, same) if same else None

        wrong = changed(self.prepared, mistake.changes)
        made = wrong and self.scene.tried("", computing(wrong), self.scene.training(wrong, batch=again))
        return made[0].outcomes if made else None

    def _there(self, kind: str, batch: Prepared) -> Mapping[tuple[str, str], Slip]:
        """The changes of a kind to the equations of a batch, by the name of the equation and what each is called."""
        definitions = by_name(batch.equations if KINDS[kind].forward else batch.backward.equations)
        known = slips.known(batch)._replace(numbers=self.names.numbers, rates=self.names.rates)
        return {(slip.name, slip.clause): slip for slip in slips.slips(definitions, KINDS[kind].rule, known)}

    def worded(self, mistake: Mistake) -> str:
        """The mistake in words, with the names of the case for its equations, and in words for what has none there."""
        shown = {name: what.rpartition(" ")[2] for name, what in self.called.items()} if mistake.forward else {}
        alone = ", in the forward pass only" if mistake.forward and not mistake.followed else ""
        return told(slips.cause(mistake.made, shown) + alone, self.called, self.parts)

    def readings(self, mistake: Mistake) -> Iterator[tuple[str, str]]:
        """What else may be wrong where one line is a number of times what it should be, and the line to write."""
        known, (slip, *more) = self.names, dict.fromkeys((slip.name, slip.old, slip.part) for slip in mistake.made)
        whole = mistake.definitions[slip[0]], mistake.changes[slip[0]]
        for old, new in (whole, slip[1:]) if not more and not mistake.forward else ():
            if not (times := self._times(old, new)):
                continue
            read = {old.id: known.backward[old.id]} if isinstance(old, Name) and old.id in known.backward else {}
            name, kept, said = next(iter(read), slip[0]), [*scaling(substitute(new, read))], list[str]()
            scalars = [part for part in scaling(substitute(old, read)) if part in kept and not known.shape(part)]
            for some in (*combinations(scalars, 1), *combinations(filter(is_number, scalars), 2)):
                if math.isclose(abs(self._times(product(*some), Num(1)) or 1), abs(times)):
                    what = slips.listed([unparse(part).lstrip("-") for part in some])
                    said.append(f"the factor{'s' * (len(some) > 1)} {what} {'are' if len(some) > 1 else 'is'} missing")
            for part in (part for reader in known.readers(known.node(name)) for part in walk(known.forward[reader])):
                if isinstance(part, Call) and part.op == "mean" and times in known.shape(part.args[0]):
                    count = length(known.shape(part.args[0]), part.attr("axis"))
                    if count > times and count % times == 0:
                        what = f"the mean of {unparse(part.args[0])} divides by {count / times:g}"
                        said.append(f"{what}, not by all {count} entries")
            through = f" (in the {name} that it reads)" if read and old != whole[0] else ""
            line = slip[0] if through else name
            for words in said:
                yield told(f"in {line}, {words}{through}", self.called, self.parts), self.instead(mistake, line)
            return

    def _times(self, old: Expr, new: Expr) -> float:
        """By what number an expression is multiplied to be another; 0 where it is by none, or by 1 or -1."""
        one, other = (next(iter(World(self.evaluator, {}).values(expr)), np.empty(0)) for expr in (old, new))
        at = int(np.argmax(np.abs(one))) if one.size and one.shape == other.shape else -1
        times = float(other.flat[at] / one.flat[at]) if at >= 0 and one.flat[at] else 1.0
        near = round(times, 9) if abs(times) >= 1 else times
        return near if abs(near) != 1 and np.allclose(other, near * one, rtol=CLOSE, atol=0) else 0.0

    def upon(self, mistake: Mistake, explained: Iterable[int]) -> Search | None:
        """The search for what explains the rest, with one mistake taken for granted."""
        base = changed(self.prepared, mistake.changes)
        if base is None or self.evaluator.work > self.most:
            return None
        claims = [replace(claim, wrong=claim.wrong and k not in explained) for k, claim in enumerate(self.scene.claims)]
        return Search(Scene(base, claims, self.scene.points), self.most - self.evaluator.work, base, self.called)

    def instead(self, mistake: Mistake, first: str) -> str:
        """The right line in place of one that is wrong, as NumPy has it."""
        definitions = {**self.evaluator.definitions, **mistake.definitions}
        hidden = {*self.called, *self.parts, *(f"d{name}" for name in self.called)} - {first}
        expr = definitions[first]
        while found := {name: definitions[name] for name in names(expr) if name in hidden and name in definitions}:
            expr = substitute(expr, found)
        text = unparse(expr)
        if len(text) > LONGEST:  # the gradient of a weight that many steps share
            text = f"{text[: LONGEST // 2].rpartition(' + ')[0]} + ... + {text.rpartition(' + ')[2]}"
        return f"{told(first, self.called, self.parts)} = {text}"
