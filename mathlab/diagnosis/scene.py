"""What is to be explained: a case with claims about it, and what they come to by one explanation that is tried."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.diagnosis.worlds import OVERHEAD, UNFIT, Compute, computing, program
from mathlab.experiment import Array, Case, Dtype, Figure
from mathlab.language.syntax import Call, Expr, Name, Num
from mathlab.printed import read_digits
from mathlab.results.judged import FigureResult
from mathlab.stages.prepare import Env, Prepared
from mathlab.stages.updates import Training

if TYPE_CHECKING:
    from mathlab.diagnosis.mistakes import Mistake

Outcome = Array | None  # what a claim's numbers would be, with the points along the first axis
Outcomes = Sequence[Outcome]  # one for each claim
Train = Callable[[Collection[int]], Mapping[int, Env]]  # the parameters after each of some numbers of updates
SLACK = 1 + 1e-9  # windows are kept as floats: what lies on an edge is inside
TRIES = 2_000_000_000  # what all tries together may cost, in entries computed: a few seconds


class Claim(NamedTuple):
    """Numbers stated for a quantity at each of a scene's points: what fits lies between `low` and `high`."""

    label: str
    base: Expr  # what the quantity is, or is an entry of: `dW` for `dW[0, 1]`,
    pick: tuple[int, ...]  # and which one; empty for all of it
    stated: Array  # with the points along the first axis, as in the next three
    low: Array
    high: Array
    unit: Array | None  # one unit of each number's last printed digit, None for numbers that a program wrote
    wrong: bool  # the numbers do not fit; the others serve as a check on explanations
    updates: int = 0  # after so many

    def picked(self, bases: Iterable[Array]) -> Outcome:
        """The numbers, where its `base` has these values; None where there are none, or no such entry."""
        try:
            found = [np.asarray(base)[self.pick] for base in bases]
        except IndexError:
            return None
        return np.array(found) if found else None

    def fits(self, values: Outcome) -> bool:
        """Whether every number is the one stated."""
        if values is None or values.shape != self.low.shape:
            return False
        return bool(np.all((self.low <= values) & (values <= self.high)))


def of_figure(figure: Figure, result: FigureResult, shape: tuple[int, ...], wrong: bool) -> Claim:
    """The claim that a printed figure makes; `shape` is that of the computed value."""

    def array(numbers: Iterable[float]) -> NDArray[np.float64]:
        return np.array([*numbers], np.float64).reshape(1, *shape)

    base, pick = figure.expr, tuple[int, ...]()
    match figure.expr:
        case Call("index", (Name() as name, *items)):
            picked = tuple(item.value for item in items if isinstance(item, Num) and isinstance(item.value, int))
            base, pick = (name, picked) if len(picked) == len(items) else (base, pick)
    stated = array(float(entry.printed) for entry in result.entries)
    below = above = array(float(entry.tolerance) for entry in result.entries) * SLACK
    if figure.rounding == "truncate":  # what was cut lies further from zero
        below, above = np.where(stated < 0, below, 0), np.where(stated < 0, 0, above)
    units = array(float(read_digits(entry.printed, figure.digits).unit) for entry in result.entries)
    label = result.key if result.updates is None else f"{result.key} after {result.updates}"
    return Claim(label, base, pick, stated, stated - below, stated + above, units, wrong, result.updates or 0)


def of_arrays(label: str, quantity: Expr, stated: Sequence[Array], far: Sequence[Array], wrong: bool = True) -> Claim:
    """The claim that a formula, or someone else's program, makes: one array for each point, from the article's on."""
    numbers, off = np.array(stated, np.float64), np.array(far, np.float64)
    return Claim(label, quantity, (), numbers, numbers - off, numbers + off, None, wrong)


class Trial(NamedTuple):
    """One explanation tried: what the claims' numbers would be if it held."""

    cause: str
    outcomes: Outcomes
    weight: float = 1.0  # how many explanations of its kind it stands for, of which it is the one that comes closest
    anywhere: bool = False  # its numbers owe nothing to how far they are from the true ones, as those of a rounding
    world: bool = True  # without, the right claims stay as they are
    tier: float = 5.0  # the lower, the likelier
    explains: tuple[int, ...] = ()  # these wrong claims
    told: Sequence[Sequence[int]] = ()  # those of them, where known, that tell the same digits again
    breaks: int = 0  # so many right ones
    whole: bool = True  # it reaches no other wrong one
    mistake: Mistake | None = None  # the one in the equations that was made
    others: tuple[Trial, ...] = ()  # that come to the same


@dataclass
class Scene:
    """A case and the claims about it that are to be explained."""

    prepared: Prepared
    claims: Sequence[Claim]
    points: Sequence[Mapping[str, Array]] = ({},)  # the parameters at which they are made, the article's own first
    left: float = TRIES  # of the work that may be spent

    def __post_init__(self) -> None:
        self.case: Case = self.prepared.case
        self.wrong = [position for position, claim in enumerate(self.claims) if claim.wrong]
        # whether some claim has digits, and may fit by chance; whether some is about what was trained
        self.printed = any(claim.unit is not None for claim in self.claims)
        train, types = self.case.train, self.prepared.types
        self.rates = [train.settings["lr"]] if train and "lr" in train.settings else []
        self.trained = train is not None and any(claim.updates for claim in self.claims)
        self.counts = {claim.updates for claim in self.claims}
        when = min((self.claims[k].updates for k in self.wrong), default=0)
        self.first = {count for count in self.counts if count <= when}
        self.cut = cache(self._cut)
        self.read = [program(claim.base, types, types.of(claim.base), self.case.dtype) for claim in self.claims]
        self.compute = computing(self.prepared)
        with np.errstate(all="ignore"):
            self.states = self.training(self.prepared)(self.counts)
            self.bases = self._bases(self.compute, self.states)
        self.truth: Outcomes = self.transformed(lambda base: base)

    def training(
        self,
        prepared: Prepared,
        rate: float | None = None,
        batch: Callable[[Prepared], Prepared | None] = lambda true: None,
        later: int = 0,
    ) -> Train:
        """What trains by some equations, at another rate, or some updates longer.

        `batch` makes the same mistake in the equations of a batch.
        """
        settings = self.case.train
        if settings and rate is not None:
            settings = settings._replace(settings={**settings.settings, "lr": rate})

        def cut(size: int) -> Prepared:
            true = self.cut(prepared.case.dtype, size)
            return batch(true) or true

        def train(counts: Collection[int]) -> Mapping[int, Env]:
            at = {count: count + later for count in counts if count + later >= 0}
            made: Mapping[int, Env] = {0: {}}
            if settings and any(at.values()):  # a claim may be about more updates than there are
                training = Training(prepared, settings._replace(epochs=max(at.values()))).settled()
                made = training.states(
                    at.values(), lambda size: computing(training.moving(cut(size) if settings.over else prepared))
                )
            return {count: made[end] for count, end in at.items() if end in made}

        return train

    def _cut(self, dtype: Dtype, size: int) -> Prepared:
        assert self.case.train  # there are no batches without training
        case = replace(self.case, dtype=dtype)
        return Training(replace(self.prepared, case=case), self.case.train).cut(size)

    def tried(
        self, cause: str, compute: Compute | None = None, train: Train | None = None, weight: float = 1.0
    ) -> list[Trial]:
        """The trial of other values, or of another training; none where they cannot be had, or the work is used up.

        What a training comes to later is computed where it explains something of what was wrong first: else ten
        thousand updates would be made for every try.
        """
        compute = compute or self.compute
        outcomes = self._outcomes(compute, train, self.first)
        if outcomes and self.first != self.counts and any(self.claims[k].fits(outcomes[k]) for k in self.wrong):
            outcomes = self._outcomes(compute, train, self.counts) or outcomes
        return [Trial(cause, outcomes, weight)] if outcomes else []

    def _outcomes(self, compute: Compute, train: Train | None, counts: Collection[int]) -> Outcomes | None:
        entries = sum(self.prepared.types.names[equation.name].size + OVERHEAD for equation in self.prepared.both)
        cost = entries * (len(counts) * len(self.points) + max(counts, default=0))
        if cost > self.left:
            return None
        self.left -= cost
        try:
            with np.errstate(all="ignore"):
                known = {count: state for count, state in self.states.items() if count in counts}
                bases = self._bases(compute, train(counts) if train else known)
        except UNFIT:
            return None
        return [claim.picked(some) for claim, some in zip(self.claims, bases, strict=True)]

    def _bases(self, compute: Compute, states: Mapping[int, Env]) -> list[list[Array]]:
        """What each claim's quantity is, or is an entry of, at the points; none where it is about other updates."""
        values = {count: [compute({**point, **state}) for point in self.points] for count, state in states.items()}
        each = ((made, values.get(claim.updates, ())) for claim, made in zip(self.claims, self.read, strict=True))
        return [
            [np.asarray(made.function(*map(some.__getitem__, made.inputs))[0], np.float64) for some in those]
            for made, those in each
        ]

    def transformed(self, change: Callable[[Array], Array]) -> Outcomes:
        """The claims' numbers with `change` made to the array that each is, or is an entry of."""
        return [claim.picked(map(change, bases)) for claim, bases in zip(self.claims, self.bases, strict=True)]
