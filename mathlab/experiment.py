"""The records that a config becomes, and that every stage reads. Nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import Place
from mathlab.language.equation import Equation
from mathlab.language.syntax import Expr

Array = NDArray[np.floating]
Dtype = Literal["float64", "float32"]


@dataclass(frozen=True)
class Value:
    """A number or array as the config gives it: float64, C order, finite.

    `integral` says that every entry was written without a decimal point or exponent, so that it may serve as an index.
    """

    array: NDArray[np.float64]
    place: Place | None = None
    integral: bool = False


@dataclass(frozen=True)
class PrintedNumber:
    """One number as the article printed it; the text keeps the digits that a float would lose."""

    text: str
    place: Place | None = None


@dataclass(frozen=True)
class Figure:
    """A quantity and what the article printed for it.

    `printed` lists the numbers in C order for an array of `shape` (`()` for a single number).
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


@dataclass(frozen=True)
class GradcheckSettings:
    """How gradients are checked.

    `step` is the absolute step of the central difference (None: cbrt(eps) * max(1, |x|)), `rtol` the relative error up
    to which two derivatives count as the same.
    """

    step: float | None = None
    rtol: float = 1e-6
    expected: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class TrainSettings:
    """`after` pairs a number of updates with the figures printed for it; `over` names the inputs that are batched."""

    optimizer: str
    settings: Mapping[str, float]
    epochs: int
    batch_size: int | None = None
    over: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    seed: int | None = None
    after: tuple[tuple[int, tuple[Figure, ...]], ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Case:
    """One set of inputs and figures. `name` is "base" for an experiment without cases."""

    name: str
    dtype: Dtype
    inputs: Mapping[str, Value]
    parameters: Mapping[str, Value]
    equations: tuple[Equation, ...]
    upstream: Value | None = None
    derivation: tuple[Equation, ...] = ()
    expected: tuple[Figure, ...] = ()
    gradcheck: GradcheckSettings | None = None
    train: TrainSettings | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Source:
    """Where the figures were printed."""

    title: str = ""
    url: str = ""
    note: str = ""


@dataclass(frozen=True)
class Experiment:
    """A whole config file. `name` is the file's stem, `sha256` the hash of its bytes."""

    name: str
    path: str
    sha256: str
    title: str
    source: Source
    cases: tuple[Case, ...] = field(default=())
