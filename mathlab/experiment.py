"""The records that a config becomes, and that every stage reads. Nothing here computes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError, Place
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS, Update
from mathlab.language.syntax import Expr

NO_RATE = "the learning rate is {}; it is to be 0 or more"
SHARED = 100_000  # entries; a larger array is not copied for each stage

Array = NDArray[np.floating]
Dtype = Literal["float64", "float32"]
Scale = Literal["", "x", "y", "xy"]


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

    `integral` says that every entry was written without a decimal point or exponent, so that it may serve as an index.
    What is meant is `array / divided_by`; `bound` gives it. `from_file` says that it is somebody's data, `recipe` how
    the array was drawn, if it was.
    """

    array: NDArray[np.floating | np.integer]
    place: Place | None = None
    integral: bool = False
    divided_by: float = 1.0
    from_file: bool = False
    recipe: Recipe | None = None
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
        if self.divided_by == 1:
            made = self.array.astype(dtype, copy=self.array.size <= SHARED)
        else:
            made = np.divide(self.array, self.divided_by, dtype=np.dtype(dtype))
        if made.size <= SHARED:
            return made[()]
        self._bound[dtype] = shared = made.view()
        shared.flags.writeable = False
        return shared


class PrintedNumber(NamedTuple):
    """One number as the article printed it; the text keeps the digits that a float would lose."""

    text: str
    place: Place | None = None


class Figure(NamedTuple):
    """A quantity and what the article printed for it.

    `printed` lists the numbers in C order for an array of `shape` (`()` for a single number). Where they are
    `worked_out`, no article printed them: whoever wrote the config has worked them out by other means.
    """

    key: str
    quantity: Expr
    printed: tuple[PrintedNumber, ...]
    shape: tuple[int, ...]
    place: Place | None = None
    rounding: Literal["nearest", "truncate"] = "nearest"
    digits: int | None = None
    because: str = ""
    erratum: str = ""
    at: str = ""
    worked_out: bool = False

    @property
    def equation(self) -> Equation:
        """The quantity by its key."""
        return Equation(self.key, self.quantity, self.key, self.place)


@dataclass(frozen=True)
class HandFormula(Equation):
    """A gradient as the article derives it by hand; one with an `erratum` is known to be wrong, and must stay so."""

    at: str = ""
    erratum: str = ""


class GradcheckSettings(NamedTuple):
    """How gradients are checked.

    `step` is the absolute step of the central difference (None: cbrt(eps) * max(1, |x|)), `rtol` the relative error up
    to which two derivatives count as the same.
    """

    step: float | None = None
    rtol: float = 1e-6
    expected: tuple[Figure, ...] = ()


class TrainSettings(NamedTuple):
    """`after` pairs a number of updates with the figures printed for it; `over` names the inputs that are batched.

    A `schedule` gives the learning rate in place of a number in `settings`. `start` is the optimizer's state before the
    first update, as `m_W`, and the number `t` of updates that it comes from; what is not there is 0.
    """

    optimizer: str
    settings: Mapping[str, float]
    epochs: int
    batch_size: int | None = None
    over: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    seed: int | None = None
    after: tuple[tuple[int, tuple[Figure, ...]], ...] = ()
    place: Place | None = None
    schedule: Equation | None = None
    start: Mapping[str, Value] = {}

    @property
    def rule(self) -> Update:
        """The optimizer's lines under its settings."""
        return OPTIMIZERS[self.optimizer].under(self.settings)

    def trained(self, parameters: Iterable[str]) -> tuple[str, ...]:
        """Those of the parameters that move."""
        return tuple(name for name in parameters if name not in self.freeze)

    def changed(self, name: str, number: float) -> TrainSettings:
        """With another number for its seed, epochs or batch size, or for a setting, of which `lr` is no less than 0."""
        match name:
            case "seed":
                return self._replace(seed=int(number))
            case "epochs":
                return self._replace(epochs=int(number))
            case "batch_size":
                return self._replace(batch_size=int(number))
        if name == "lr" and number < 0:
            raise MathlabError(NO_RATE.format(f"{number:g}"), self.place)
        return self._replace(settings={**self.settings, name: number})


class Choice(NamedTuple):
    """A value that a sweep sets: a number, or an array in the place of an input or parameter.

    `label` is how the config writes it; `number` what sweep.csv says, which for an array is its place in the list.
    """

    label: str
    number: float
    value: Value | None = None


class Range(NamedTuple):
    """Numbers to draw from, both ends included: evenly, or evenly in the logarithm; whole numbers only if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


Kind = Literal["optimizer", "train", "value", "init"]


class Axis(NamedTuple):
    """Something that differs from run to run.

    `key` is what the config calls it. It is a setting (`name`) of the optimizer or of the training, a whole input or
    parameter (`name`), or one setting (`part`) of how such a value is drawn.
    """

    key: str
    kind: Kind
    name: str
    values: tuple[Choice, ...] | Range
    part: str = ""
    place: Place | None = None


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
    """A picture that a config declares, of a kind in `DRAWN` or `PLOTTED`.

    `of` are the quantities that it shows, `over` the names or entries that differ in it, each from one number to
    another; `cases` those that it compares (none: its own); `log` the axes with a logarithmic scale.
    """

    kind: str
    of: tuple[Equation, ...] = ()
    over: tuple[tuple[Equation, float, float], ...] = ()
    cases: tuple[str, ...] = ()
    log: Scale = ""
    title: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    derivative: bool = False
    place: Place | None = None


@dataclass(frozen=True, eq=False)  # a case is the same as itself alone: arrays have no truth value
class Case:
    """One set of inputs and figures. `name` is "base" for an experiment without cases.

    `sections` are those of the stages that read theirs by themselves, by the stage's name.
    `rolled` is the case as it is written, where its loops have been written out or sizes named, and where names stand.
    `share` is its part of the time and memory that a run may take: infinite where its user allows that. What is to be
    `quick` takes seconds, or is refused.
    """

    name: str
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
    sections: Mapping[str, object] = field(default_factory=dict)
    place: Place | None = None
    share: float = 1.0
    quick: bool = False
    rolled: tuple[Case, Mapping[str, Place]] | None = None

    def having(self, values: Mapping[str, Value]) -> Case:
        """With other values for some of its inputs and parameters."""
        inputs, parameters = (
            {name: values.get(name, one) for name, one in before.items()} for before in (self.inputs, self.parameters)
        )
        return replace(self, inputs=inputs, parameters=parameters)

    @property
    def figures(self) -> Iterator[Figure]:
        """The figures of all stages."""
        yield from self.expected
        yield from self.gradcheck.expected if self.gradcheck else ()
        for _, figures in self.train.after if self.train else ():
            yield from figures


class Allowed(NamedTuple):
    """What a config may do because its user says so, and else not.

    `files` are folders, beside the config's own, from which it may read data; `large` says that it may take as much
    time and memory as it asks for, and `quick` that it may not even take an hour.
    """

    files: tuple[Path, ...] = ()
    large: bool = False
    quick: bool = False


class Source(NamedTuple):
    """Where the figures were printed.

    `article` names the documents themselves, as paths; `ignore` are quotes whose numbers are nobody's figures, and why.
    """

    title: str = ""
    url: str = ""
    note: str = ""
    article: tuple[tuple[str, Place | None], ...] = ()
    ignore: tuple[tuple[str, str, Place | None], ...] = ()


class Experiment(NamedTuple):
    """A whole config file. `name` is the file's stem, `sha256` the hash of its bytes."""

    name: str
    path: str
    sha256: str
    title: str
    source: Source
    cases: tuple[Case, ...] = ()
