"""What is to be explained, as claims, and the same computation with something done otherwise: what they are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case, Figure, TrainSettings
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, names
from mathlab.printed import read_digits
from mathlab.results import FigureResult
from mathlab.stages import updates
from mathlab.stages.prepare import Env, Prepared, execute

# What all tries together may cost, counted in entries computed (an equation costs `OVERHEAD` more); a few seconds.
WORK = 2_000_000_000
OVERHEAD = 500
RESULT = "_result"  # the name of an expression that is compiled alone
# what equations raise that do not fit together
UNFIT = (MathlabError, ExpressionError, ArithmeticError, ValueError, IndexError, TypeError)

if TYPE_CHECKING:
    from mathlab.diagnosis.mistakes import Mistake

Outcome = Sequence[Array] | None  # what a claim's numbers would be, at each of its moments
SLACK = 1 + 1e-9  # windows are kept as floats: what lies on an edge is inside
Outcomes = Sequence[Outcome]  # one for each claim


class Moment(NamedTuple):
    """When a quantity is looked at: after so many updates, or at one of the points (0 is the article's own)."""

    updates: int = 0
    point: int = 0


@dataclass(frozen=True, eq=False)
class Claim:
    """Numbers stated for `quantity` at some moments, one array for each: what fits lies between `low` and `high`."""

    label: str
    quantity: Expr
    moments: tuple[Moment, ...]
    stated: tuple[Array, ...]
    low: tuple[Array, ...]
    high: tuple[Array, ...]
    unit: Array | None  # one unit of each number's last printed digit, None for numbers that a program wrote
    wrong: bool  # the numbers do not fit; the others serve as a check on explanations

    @property
    def base(self) -> Expr:
        """What the quantity is an entry of: `dW` for `dW[0, 1]`, else the quantity itself."""
        return self.quantity.args[0] if isinstance(self.quantity, Call) and self.pick else self.quantity

    @property
    def pick(self) -> tuple[int, ...]:
        """The entry that the quantity is of its base; empty for all of it."""
        match self.quantity:
            case Call("index", (Name(), *items)):
                picked = tuple(item.value for item in items if isinstance(item, Num) and isinstance(item.value, int))
                return picked if len(picked) == len(items) else ()
        return ()

    @property
    def widths(self) -> list[Array]:
        """How far apart the numbers may lie that fit, at each moment."""
        return [high - low for low, high in zip(self.low, self.high, strict=True)]

    def picked(self, bases: Iterable[Array]) -> Outcome:
        """The numbers, where its `base` has these values; None where there are none, or no such entry."""
        try:
            return [np.asarray(base)[self.pick] for base in bases] or None
        except IndexError:
            return None

    def fits(self, values: Outcome) -> bool:
        """Whether every number, at every moment, is the one stated."""
        return values is not None and all(
            low.shape == value.shape and bool(np.all((low <= value) & (value <= high)))
            for low, value, high in zip(self.low, values, self.high, strict=True)
        )


def of_figure(figure: Figure, result: FigureResult, shape: tuple[int, ...], wrong: bool) -> Claim:
    """The claim that a printed figure makes; `shape` is that of the computed value."""

    def array(numbers: Iterable[float]) -> NDArray[np.float64]:
        return np.array([*numbers], np.float64).reshape(shape)

    stated = array(float(entry.printed) for entry in result.entries)
    below = above = array(float(entry.tolerance) for entry in result.entries) * SLACK
    if figure.rounding == "truncate":  # what was cut lies further from zero
        below, above = np.where(stated < 0, below, 0), np.where(stated < 0, 0, above)
    units = array(float(read_digits(entry.printed, figure.digits).unit) for entry in result.entries)
    label = result.key if result.updates is None else f"{result.key} after {result.updates}"
    moments, low, high = (Moment(result.updates or 0),), (stated - below,), (stated + above,)
    return Claim(label, figure.quantity, moments, (stated,), low, high, units, wrong)


def of_arrays(label: str, quantity: Expr, stated: Sequence[Array], far: Sequence[Array], wrong: bool = True) -> Claim:
    """The claim that a formula, or someone else's program, makes: one array for each point, from the article's on."""
    moments = tuple(Moment(point=point) for point in range(len(stated)))
    low, high = (tuple(move(*both) for both in zip(stated, far, strict=True)) for move in (np.subtract, np.add))
    return Claim(label, quantity, moments, tuple(stated), low, high, None, wrong)


# --- worlds


class World(NamedTuple):
    """Equations to run in place of the true ones."""

    prepared: Prepared
    settings: TrainSettings | None  # which train them
    later: int = 0  # updates more than a claim says are made
    rounding: Callable[[Array], Array] | None = None  # done to every equation's value as soon as it is computed
    shown: Prepared | None = None  # the equations after the training is done, where they are others
    stated: Mapping[str, Array] = {}  # values of parameters in these
    batch: Callable[[Prepared], Prepared | None] | None = None  # makes the same mistake in the equations of a batch


class Trial(NamedTuple):
    """One explanation tried: what the claims' numbers would be if it held."""

    cause: str
    outcomes: Outcomes
    weight: float = 1.0  # how many explanations of its kind it stands for, of which it is the one that comes closest
    anywhere: bool = False  # its numbers owe nothing to how far they are from the true ones, as those of a rounding
    world: bool = True  # without, the right claims stay as they are
    tier: float = 5.0  # the lower, the likelier
    explains: tuple[int, ...] = ()  # these wrong claims
    breaks: int = 0  # so many right ones
    whole: bool = True  # it reaches no other wrong one
    mistake: Mistake | None = None  # the one in the equations that was made
    told: bool = True  # else it is ruled out, or an accident as likely; it counts among those tried all the same
    others: tuple[str, ...] = ()  # that come to the same


def program(expr: Expr, types: Types, result: Type, dtype: str) -> Program:
    """One expression compiled: worlds differ in few of theirs, so that each is compiled once for all of them."""
    read = tuple((name, types.names[name]) for name in names(expr))
    return _compiled(expr, result, read, types.integral, dtype)


@lru_cache(5_000)
def _compiled(
    expr: Expr, result: Type, read: Sequence[tuple[str, Type]], integral: frozenset[str], dtype: str
) -> Program:
    types = Types({**dict(read), RESULT: result}, integral)
    return compile_program([Equation(RESULT, expr)], types, [RESULT], dtype)


def computed(equations: Iterable[Equation], types: Types, dtype: str) -> Callable[[Env], dict[str, Array]]:
    """What computes all equations."""
    bound = [(made.name, program(made.expr, types, types.names[made.name], dtype)) for made in equations]

    def compute(env: Env) -> dict[str, Array]:
        values = dict(env)
        with np.errstate(all="ignore"):
            for name, made in bound:
                (values[name],) = made.function(*[values[read] for read in made.inputs])
        return values

    return compute


@dataclass
class Scene:
    """A case and the claims about it that are to be explained."""

    prepared: Prepared
    claims: Sequence[Claim]
    points: Sequence[Mapping[str, Array]] = ({},)  # the parameters at which they are made, the article's own first
    left: float = WORK  # that may be spent
    batches: dict[Hashable, Prepared] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.case: Case = self.prepared.case
        self.wrong = [position for position, claim in enumerate(self.claims) if claim.wrong]
        # whether some claim has digits, and may fit by chance; whether some is about what was trained
        self.printed = any(claim.unit is not None for claim in self.claims)
        self.moments = tuple(dict.fromkeys(moment for claim in self.claims for moment in claim.moments))
        self.trained = self.case.train is not None and any(moment.updates for moment in self.moments)
        when = min((self.claims[k].moments[0].updates for k in self.wrong), default=0)
        self.first = tuple(moment for moment in self.moments if moment.updates <= when)
        self.true_world = World(self.prepared, self.case.train)
        with np.errstate(all="ignore"):
            self.bases = self._bases(self.true_world, self.moments)
        self.truth: Outcomes = self.transformed(lambda base: base)

    def run(self, world: World) -> Outcomes | None:
        """The claims' numbers in a world; None where it cannot be run, or where the work is used up.

        What a training comes to later is computed for a world that explains something of what was wrong first: else
        ten thousand updates would be made for every try.
        """
        try:
            with np.errstate(all="ignore"):
                outcomes = self._outcomes(world, self.first)
                if outcomes is None or self.first == self.moments:
                    return outcomes
                if not any(self.claims[k].fits(outcomes[k]) for k in self.wrong):
                    return outcomes
                return self._outcomes(world, self.moments) or outcomes
        except UNFIT:
            return None

    def tried(self, cause: str, world: World, weight: float = 1.0) -> list[Trial]:
        """The trial of a world; none where it cannot be run."""
        outcomes = self.run(world)
        return [] if outcomes is None else [Trial(cause, outcomes, weight)]

    def _outcomes(self, world: World, moments: Sequence[Moment]) -> Outcomes | None:
        entries = sum(self.prepared.types.names[equation.name].size + OVERHEAD for equation in self.prepared.both)
        cost = entries * (len(moments) + max((moment.updates for moment in moments), default=0))
        if cost > self.left:
            return None
        self.left -= cost
        pairs = zip(self.claims, self._bases(world, moments), strict=True)
        return [claim.picked(bases) for claim, bases in pairs]

    def _bases(self, world: World, moments: Sequence[Moment]) -> list[list[Array]]:
        """What each claim's quantity is, or is an entry of, at its moments; none where it is about others as well."""
        due = {moment: moment.updates + world.later for moment in moments if moment.point == 0 or not world.later}
        later, states = [count for count in due.values() if count > 0], dict[int, dict[str, Array]]()
        if later and world.settings:
            states = snapshots(world.prepared, world.settings, later, partial(self._batch, world))
        values = {
            moment: self._run(world, states[count] if count else self.points[moment.point])
            for moment, count in due.items()
            if count == 0 or count in states
        }
        known = [claim.moments if values.keys() >= {*claim.moments} else () for claim in self.claims]
        return [
            [self._value(claim.base, values[moment], world.prepared.case.dtype) for moment in at]
            for claim, at in zip(self.claims, known, strict=True)
        ]

    def transformed(self, change: Callable[[Array], Array]) -> Outcomes:
        """The claims' numbers with `change` made to the array that each is, or is an entry of."""
        return [claim.picked(map(change, bases)) for claim, bases in zip(self.claims, self.bases, strict=True)]

    def _batch(self, world: World, size: int) -> Prepared:
        """A world's equations for a batch of a size; without the mistake they are derived once."""
        case, settings = world.prepared.case, world.settings
        key = (case.equations, case.dtype, size)
        if key not in self.batches:
            assert settings is not None  # there are no batches without training
            self.batches[key] = updates.first_rows(world.prepared, settings, size)
        true = self.batches[key]
        return (world.batch(true) if world.batch else None) or true

    def _run(self, world: World, parameters: Env) -> dict[str, Array]:
        """Every name's value in a world, given those of the parameters."""
        prepared = world.shown or world.prepared
        values = {**prepared.env, **parameters, **world.stated}
        if world.rounding is not None:
            return {**values, **execute(prepared.compiled(shaken="equations"), values, world.rounding)}
        return computed(prepared.both, prepared.types, prepared.case.dtype)(values)

    def _value(self, quantity: Expr, values: Env, dtype: str) -> Array:
        types = self.prepared.types
        made = execute(program(quantity, types, types.of(quantity), dtype), values)
        return np.asarray(made[RESULT], np.float64)


def changed(prepared: Prepared, changes: Mapping[str, Expr]) -> Prepared | None:
    """The case with some equations changed, the others as they were derived; None where they do not fit together."""
    types = Types(prepared.types.names, prepared.types.integral)
    try:
        types.names |= {name: types.of(expr) for name, expr in changes.items()}
        equations, backward = (
            in_order(equation.saying(changes.get(equation.name, equation.expr)) for equation in some)
            for some in (prepared.equations, prepared.backward.equations)
        )
    except (ExpressionError, CycleError):
        return None
    return replace(prepared, equations=equations, backward=prepared.backward._replace(equations=backward), types=types)


def in_order(equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations so that each comes after those that it reads. Raises CycleError where they go round."""
    named = {equation.name: equation for equation in equations}
    place = {name: k for k, name in enumerate(named)}
    graph = {name: [read for read in names(equation.expr) if read in named] for name, equation in named.items()}
    if all(place[read] < place[name] for name, some in graph.items() for read in some):
        return tuple(named.values())
    return tuple(named[name] for name in TopologicalSorter(graph).static_order())


def snapshots(
    prepared: Prepared, settings: TrainSettings, at: Collection[int], cut: Callable[[int], Prepared] | None = None
) -> dict[int, dict[str, Array]]:
    """The parameters and the optimizer's state after each of these numbers of updates, by the equations of `prepared`.

    `cut` makes the case for a batch of a size; where it is missing, its equations are derived from the case's own.
    """
    trained = settings.trained(prepared.case.parameters)
    settings = updates.settled(
        prepared, settings._replace(epochs=max(at))
    )  # a claim may be about more updates than there are
    env = {**prepared.env, **updates.at_rest(trained, settings, prepared.env)}
    cut = cut or (lambda size: updates.first_rows(prepared, settings, size))

    def advance_on(size: int, batch: updates.Batch) -> updates.Advance:
        whole = cut(size) if batch else prepared
        types = Types(whole.types.names, whole.types.integral)
        equations, moved = updates.update_equations(trained, settings, types)
        compute = computed((*whole.both, *equations), types, whole.case.dtype)

        def advance(first: int, last: int, batch: updates.Batch) -> None:
            for done in range(first, last):
                out = compute({**env, **batch, updates.UPDATE: np.asarray(done + 1.0)})
                env.update({name: np.asarray(out[new])[()] for name, new in moved.items()})

        return advance

    kept: dict[int, dict[str, Array]] = {}
    for done in updates.updates(prepared, settings, advance_on, at):
        if done in at:
            shown = updates.shown_state(trained, settings, env, done)
            kept[done] = {name: value for name, value in shown.items() if name not in prepared.types.names}
            kept[done] |= {name: env[name] for name in prepared.case.parameters}
        if done == max(at):
            break
    return kept
