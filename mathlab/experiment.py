"""The records that a config becomes, and that every stage reads. Nothing here computes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError, Place
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS, Update
from mathlab.language.syntax import names

SHARED = 100_000  # entries; a larger array is not copied for each stage

Array = NDArray[np.floating]
Dtype = Literal["float64", "float32"]
Scale = Literal["", "x", "y", "xy"]
DTYPES: tuple[Dtype, ...] = ("float64", "float32")


class Recipe(NamedTuple):
    """How initial values are drawn: what `{init: he, shape: [784, 128], seed: 0}` says, with its defaults."""

    init: str
    shape: tuple[int, ...]
    seed: int
    scale: float
    settings: Mapping[str, float]


@dataclass(frozen=True)
class Value:
    """A number or array as the config gives it: C order, finite; float64, or of the type that a data file has.

    What is meant is `array / divided_by`; `bound` gives it.
    """

    array: NDArray[np.floating | np.integer]
    place: Place | None = None
    integral: bool = False  # every entry was written without a point or exponent, so that it may serve as an index
    divided_by: float = 1.0
    from_file: bool = False  # somebody's data
    recipe: Recipe | None = None  # how it was drawn, if it was
    _bound: weakref.WeakValueDictionary[str, Array] = field(
        default_factory=weakref.WeakValueDictionary, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[object, ...]:
        """The value as another process gets it, which binds it anew."""
        return Value, tuple(getattr(self, one.name) for one in fields(self) if one.init)

    def bound(self, dtype: str) -> Array:
        """The value in `dtype`. A large array is made once, for all who use it at the time: nobody may change it."""
        if (made := self._bound.get(dtype)) is not None:
            return made
        plain, small = self.divided_by == 1, self.array.size <= SHARED
        made = self.array.astype(dtype, copy=small) if plain else np.divide(self.array, self.divided_by, dtype=dtype)
        if small:
            return made[()]
        self._bound[dtype] = shared = made.view()
        shared.flags.writeable = False
        return shared


INFINITE = ("inf", "-inf")  # printed numbers without digits, as of masked scores


class PrintedNumber(NamedTuple):
    """One number as the article printed it; the text keeps the digits that a float would lose."""

    text: str
    place: Place | None = None


@dataclass(frozen=True)
class Figure(Equation):
    """A quantity, named as it is written, and what the article printed for it.

    `printed` lists the numbers in C order for an array of `shape` (`()` for a single number).
    """

    printed: tuple[PrintedNumber, ...] = ()
    shape: tuple[int, ...] = ()
    rounding: Literal["nearest", "truncate"] = "nearest"
    digits: int | None = None
    because: str = ""
    erratum: str = ""
    at: str = ""
    worked_out: bool = False  # by whoever wrote the config, by other means: no article printed them


@dataclass(frozen=True)
class HandFormula(Equation):
    """A gradient as the article derives it by hand; one with an `erratum` is known to be wrong, and must stay so."""

    at: str = ""
    erratum: str = ""


class GradcheckSettings(NamedTuple):
    """How gradients are checked."""

    step: float | None = None  # of the central difference, as it is; None: cbrt(eps) * max(1, |x|)
    rtol: float = 1e-6  # the relative error up to which two derivatives count as the same
    expected: tuple[Figure, ...] = ()


class TrainSettings(NamedTuple):
    """How parameters are trained.

    `start` is the optimizer's state before the first update, as `m_W`, and the number `t` of updates that it comes
    from; what is not there is 0.
    """

    optimizer: str
    settings: Mapping[str, float]
    epochs: int
    batch_size: int | None = None
    over: tuple[str, ...] = ()  # the inputs that are batched
    freeze: tuple[str, ...] = ()
    seed: int | None = None
    after: tuple[tuple[int, tuple[Figure, ...]], ...] = ()  # numbers of updates, with the figures printed for them
    place: Place | None = None
    schedule: Equation | None = None  # the learning rate, in place of a number in `settings`
    start: Mapping[str, Value] = {}

    @property
    def rule(self) -> Update:
        """The optimizer's lines under its settings."""
        return OPTIMIZERS[self.optimizer].under(self.settings)

    def trained(self, parameters: Iterable[str]) -> tuple[str, ...]:
        """Those of the parameters that move."""
        return tuple(name for name in parameters if name not in self.freeze)

    def changed(self, name: str, number: float, place: Place | None) -> TrainSettings:
        """With another number, of a place, for its seed, epochs or batch size, or for a setting, which it is to fit."""
        if name in ("seed", "epochs", "batch_size"):
            return self._replace(**{name: int(number)})  # type: ignore[arg-type]  # of which each is whole
        if unfit := OPTIMIZERS[self.optimizer].unfit(name, number, f"{number:g}"):
            raise MathlabError(unfit, place)
        schedule = None if name == "lr" else self.schedule
        return self._replace(settings={**self.settings, name: number}, schedule=schedule)


class Choice(NamedTuple):
    """A value that a sweep sets: a number, or an array in the place of an input or parameter."""

    label: str  # how the config writes it
    number: float  # what sweep.csv says, which for an array is its place in the list
    value: Value | None = None


class Range(NamedTuple):
    """Numbers to draw from, both ends included: evenly, or evenly in the logarithm; whole numbers only if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


Kind = Literal["optimizer", "train", "value", "init"]


class Axis(NamedTuple):
    """Something that differs from run to run."""

    key: str  # what the config calls it
    kind: Kind
    name: str  # a setting of the optimizer or of the training, an input or a parameter,
    values: tuple[Choice, ...] | Range
    part: str = ""  # of which one setting differs, of how it is drawn
    place: Place | None = None


Point = tuple[tuple[Axis, Choice], ...]  # what one run has on every axis


class SweepSettings(NamedTuple):
    """Many runs of one case, and the quantities that are reported at the end of each (none: the end itself).

    Every grid gives a run for each combination of its axes' values. With `sample`, there is one list of axes, and each
    of so many runs draws a value from every axis.
    """

    grids: tuple[tuple[Axis, ...], ...]
    sample: int | None = None
    seed: int = 0
    report: tuple[Equation, ...] = ()
    place: Place | None = None


DRAWN = ("graph", "network", "scan", "page", "mermaid")  # pictures of one case, which mathlab draws by itself
PLOTTED = ("loss", "norms", "curve", "contour", "heat", "steps", "sweep", "weights")  # those that matplotlib draws


class Picture(NamedTuple):
    """A picture that a config declares, of a kind in `DRAWN` or `PLOTTED`."""

    kind: str
    of: tuple[Equation, ...] = ()  # the quantities that it shows
    over: tuple[tuple[Equation, float, float], ...] = ()  # what differs in it, from one number to another
    cases: tuple[str, ...] = ()  # those that it compares; none: its own
    log: Scale = ""  # the axes with a logarithmic scale
    title: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    derivative: bool = False
    place: Place | None = None


@dataclass(frozen=True, eq=False)  # a case is the same as itself alone: arrays have no truth value
class Case:
    """One set of inputs and figures.

    `rolled` is the case as it is written, where its loops have been written out or sizes named, and where names stand.
    """

    name: str  # "base" for an experiment without cases
    dtype: Dtype = "float64"
    inputs: Mapping[str, Value] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    equations: tuple[Equation, ...] = ()
    upstream: Value | Equation | None = None  # which reads inputs
    derivation: tuple[HandFormula, ...] = ()
    expected: tuple[Figure, ...] = ()
    gradcheck: GradcheckSettings | None = None
    train: TrainSettings | None = None
    sweep: SweepSettings | None = None
    pictures: tuple[Picture, ...] = ()
    sections: Mapping[str, object] = field(default_factory=dict)  # of the stages that read theirs by themselves
    place: Place | None = None
    share: float = 1.0  # its part of the time and memory that a run may take: infinite where its user allows that
    quick: bool = False  # it takes seconds, or is refused
    rolled: tuple[Case, Mapping[str, Place]] | None = None
    forward: bool = False  # its values are looked at, also where they have no derivative
    shown: frozenset[str] = frozenset()  # names, as dx, that nothing is held against, and that are looked at

    def having(self, values: Mapping[str, Value]) -> Case:
        """With other values for some of its inputs and parameters."""
        both = (self.inputs, self.parameters)
        inputs, parameters = ({name: values.get(name, one) for name, one in before.items()} for before in both)
        return replace(self, inputs=inputs, parameters=parameters)

    def bare(self, expected: tuple[Figure, ...] = (), train: TrainSettings | None = None) -> Case:
        """With nothing but its equations, and what is asked of them here."""
        return replace(self, expected=expected, derivation=(), gradcheck=None, train=train, sweep=None, forward=True)

    @property
    def figures(self) -> Iterator[Figure]:
        """The figures of all stages."""
        yield from self.expected
        yield from self.gradcheck.expected if self.gradcheck else ()
        for _, figures in self.train.after if self.train else ():
            yield from figures

    @property
    def judged(self) -> frozenset[str]:
        """The names in its figures and formulas, and what else is looked at."""
        formulas = {name for formula in self.derivation for name in (formula.name, *names(formula.expr))}
        return self.shown.union(formulas, *(names(figure.expr) for figure in self.figures))

    @property
    def mentioned(self) -> Iterator[Equation]:
        """All that it reads beside its figures and formulas."""
        yield from self.equations
        yield from [self.upstream] if isinstance(self.upstream, Equation) else []
        yield from self.sweep.report if self.sweep else ()
        yield from (of for picture in self.pictures for of in picture.of)


class Allowed(NamedTuple):
    """What a config may do because its user says so, and else not."""

    files: tuple[Path, ...] = ()  # folders, beside the config's own, from which it may read data
    large: bool = False  # it may take as much time and memory as it asks for,
    quick: bool = False  # and may not even take an hour


class Source(NamedTuple):
    """Where the figures were printed."""

    title: str = ""
    url: str = ""
    note: str = ""
    article: tuple[tuple[str, Place | None], ...] = ()  # the documents themselves, as paths
    ignore: tuple[tuple[str, str, Place | None], ...] = ()  # quotes whose numbers are nobody's figures, and why


class Experiment(NamedTuple):
    """A whole config file."""

    name: str  # the file's stem
    path: str
    sha256: str  # of its bytes
    title: str
    source: Source
    cases: tuple[Case, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.path}: {', '.join(case.name for case in self.cases)}>"


Config: TypeAlias = Experiment | str | Path | Mapping[str, object]  # what stands for an experiment in Python
