"""All that an experiment computes and an article may print: every entry, row, sum and step of it, by its size."""

from __future__ import annotations

import contextlib
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mathlab.article.text import Number
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, Experiment, Figure
from mathlab.language.syntax import Call, Expr, Name, names, unparse, walk
from mathlab.printed import REPR_DIGITS, REPR_ULPS
from mathlab.stages import gradcheck, train
from mathlab.stages.prepare import Prepared, evaluate, prepare

Floats = NDArray[np.float64]
Values = Mapping[str, Array]

LARGEST = 100_000  # entries of an array whose every entry is a candidate
ROUND = (1, 2, 3, 4, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)  # epochs that an article may look at
DERIVED = 1_000  # in rank: what is made of a node, and not a part of it,
FAR = 20_000  # and what is no node at all
PAIRS = 6  # single numbers whose differences an article may print
REDUCTIONS: Mapping[str, Callable[..., object]] = {
    "norm": np.linalg.norm,
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
}


@dataclass(frozen=True)
class State:
    """When a value is computed: in a case, after so many updates of its training; `stage` is where its figures go."""

    experiment: str
    case: str
    stage: str = "expected"
    updates: int = 0

    def __str__(self) -> str:
        updates = f"{self.updates} update{'s' * (self.updates != 1)}"
        after = f" after {updates}" if self.stage == "after" else ""
        return f"{self.experiment}, {self.case}{after}" + (" (gradient check)" if self.stage == "gradcheck" else "")


@dataclass(frozen=True, eq=False)
class Quantity:
    """An array that an article may print, as the key of a figure. `rank` counts what makes it less likely."""

    state: State
    key: str
    value: Floats
    rank: int = 0

    @property
    def name(self) -> str:
        """The node or gradient that it is of."""
        return re.sub(r"\W.*", "", re.sub(rf"^(?:{'|'.join(REDUCTIONS)})\(", "", self.key))

    def entry(self, at: int) -> str:
        """The key of one of its entries."""
        index = np.unravel_index(at, self.value.shape)
        return f"{self.owner}[{','.join(map(str, index))}]" if index else self.key

    @property
    def owner(self) -> str:
        """The key where an index or .T follows: in brackets, where it is more than a name."""
        return self.key if self.key.isidentifier() else f"({self.key})"


def quantities(experiment: Experiment) -> Iterator[Quantity]:
    """All that the experiment computes, as figures may be printed of it.

    An article prints parts of its formulas too, so that every part of an equation or hand formula is one of them.
    """
    formulas = [equation.expr for case in experiment.cases for equation in (*case.equations, *case.derivation)]
    parts = {unparse(part): part for expr in formulas for part in walk(expr) if isinstance(part, Call) and names(part)}
    for case in experiment.cases:
        prepared = _with_all_gradients(replace(case, derivation=(), gradcheck=None, train=None, sweep=None))
        yield from _of_run(State(experiment.name, case.name), prepared, prepared.run(), parts)
        if case.gradcheck:
            yield from _checked(experiment, case)
        if case.train:
            for updates, parameters in _trained(case):
                yield from _of_run(
                    State(experiment.name, case.name, "after", updates), prepared, prepared.run(parameters), {}
                )


def _with_all_gradients(case: Case) -> Prepared:
    plain = prepare(replace(case, expected=()))
    floats = (name for name in (*case.inputs, *case.parameters, *plain.nodes) if plain.types.names[name].kind == "f")
    wanted = [name for name in floats if f"d{name}" not in plain.types.names]
    return prepare(replace(case, expected=tuple(_figure(f"d{name}", Name(f"d{name}")) for name in wanted)))


def _figure(key: str, expr: Expr) -> Figure:
    return Figure(key, expr, (), ())


def _of_run(state: State, prepared: Prepared, values: Values, parts: Mapping[str, Expr]) -> Iterator[Quantity]:
    moved = prepared.case.parameters if state.stage == "after" else {}
    gradients = [name for name in prepared.gradients if name[1:] in prepared.types.names]  # those of parts are no keys
    named = {name: values[name] for name in (*moved, *prepared.nodes, *gradients)}
    single = [name for name in prepared.nodes if np.size(values[name]) == 1][-PAIRS:]
    wanted = {**parts, **{f"{a} - {b}": Call("sub", (Name(a), Name(b))) for a in single for b in single if a != b}}
    for rank, (name, value) in enumerate({**named, **dict(_evaluated(wanted, prepared, values))}.items()):
        array = np.asarray(value, np.float64)
        if array.size and np.isfinite(array).all():
            yield from _forms(Quantity(state, name, array, rank if name in named else FAR + rank))


def _evaluated(parts: Mapping[str, Expr], prepared: Prepared, values: Values) -> Iterator[tuple[str, Array]]:
    for key, part in parts.items():
        with contextlib.suppress(MathlabError):  # a part of another case's formulas, whose names are not these
            yield key, evaluate([_figure(key, part)], prepared, values)[0]


def _forms(whole: Quantity) -> Iterator[Quantity]:
    """An array, and what an article may print of it instead."""
    yield whole
    value, key, owner, far = whole.value, whole.key, whole.owner, whole.rank
    if value.ndim == 2:
        yield replace(whole, key=f"{owner}.T", value=value.T, rank=far + DERIVED)
        rows, columns = map(range, value.shape)
        yield from (replace(whole, key=f"{owner}[{n}]", value=value[n], rank=far + 200) for n in rows)
        yield from (replace(whole, key=f"{owner}[:,{n}]", value=value[:, n], rank=far + 300) for n in columns)
    if value.size > 1:
        for more, (name, reduce) in enumerate(REDUCTIONS.items(), start=1):
            yield replace(whole, key=f"{name}({key})", value=np.asarray(reduce(value)), rank=far + 2 * DERIVED * more)
            for axis in range(value.ndim if value.ndim > 1 and name in ("sum", "mean") else 0):
                reduced = np.asarray(reduce(value, axis=axis))
                yield replace(whole, key=f"{name}({key}, axis={axis})", value=reduced, rank=far + 2 * DERIVED * more)


def _checked(experiment: Experiment, case: Case) -> Iterator[Quantity]:
    entries = gradcheck.run(replace(case, expected=(), derivation=(), train=None)).entries
    for name in dict.fromkeys(entry.parameter for entry in entries):
        shape = np.shape(case.parameters[name].array) if name in case.parameters else ()
        for witness, slopes in (("central", "central"), ("complex", "complex_step")):
            value = np.array([getattr(entry, slopes) for entry in entries if entry.parameter == name], np.float64)
            if value.size == math.prod(shape):
                yield Quantity(
                    State(experiment.name, case.name, "gradcheck"),
                    f"{witness}_{name}",
                    value.reshape(shape),
                    5 * DERIVED,
                )


def _trained(case: Case) -> Iterator[tuple[int, Values]]:
    """The parameters after so many updates, at the epochs that an article may look at."""
    assert case.train is not None
    last = case.train.epochs
    for epochs in sorted({*(n for n in ROUND if n < last), last}):
        settings = replace(case.train, epochs=epochs, after=())
        done = train.run(replace(case, expected=(), derivation=(), gradcheck=None, train=settings))
        yield done.updates, done.parameters


@dataclass(frozen=True)
class Pool:
    """Every entry of every quantity, in the order of their size."""

    quantities: tuple[Quantity, ...]
    values: Floats
    owners: NDArray[np.intp]
    entries: NDArray[np.intp]

    @classmethod
    def of(cls, quantities: Iterable[Quantity]) -> Pool:
        kept = tuple(quantities)
        small = [k for k, quantity in enumerate(kept) if quantity.value.size <= LARGEST]
        sizes = [kept[k].value.size for k in small]
        values = np.concatenate([np.zeros(0), *(kept[k].value.ravel() for k in small)])
        owners = np.repeat(np.array(small, np.intp), sizes)
        entries = np.concatenate([np.zeros(0, np.intp), *(np.arange(size) for size in sizes)]).astype(np.intp)
        order = np.argsort(values, kind="stable")
        return cls(kept, values[order], owners[order], entries[order])

    def quantity(self, at: int) -> Quantity:
        return self.quantities[int(self.owners[at])]

    @cached_property
    def distinct(self) -> Floats:
        return np.unique(np.float32(self.values)).astype(np.float64)

    def fitting(self, number: Number, slack: float = 0.0) -> list[int]:
        """The entries that are printed so, or are no more than `slack` away; the likeliest quantity first."""
        value, half = float(number.text), max(half_unit(number), slack)
        first = np.searchsorted(self.values, value - half, side="left")
        return sorted(range(first, np.searchsorted(self.values, value + half, side="right")), key=self.rank)

    def rank(self, at: int) -> tuple[int, ...]:
        quantity = self.quantity(at)
        # a single number is printed as an entry of its node, rather than of a row of it
        return int(quantity.value.ndim > 0 and "[" in quantity.key), quantity.rank, int(self.owners[at])

    def chance(self, number: Number) -> float:
        """How many values a number of these digits fits by accident: as dense as they lie around it."""
        size = abs(float(number.text))
        if size == 0:
            return math.inf
        sign = math.copysign(1.0, float(number.text))
        low, high = sorted((sign * size / 3, sign * size * 3))
        around = bisect_left(self.distinct, high) - bisect_left(self.distinct, low)
        digits = number.digits[1]
        zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))  # 16.0 is as likely as 16
        return (around + 1) * 2 * half_unit(number) * 10.0**zeros / (size * 8 / 3)

    def name(self, at: int) -> str:
        return f"{self.key(at)} of {self.quantity(at).state}"

    def key(self, at: int) -> str:
        return self.quantity(at).entry(int(self.entries[at]))


def half_unit(number: Number) -> float:
    """Half a unit of the last digit; of a float's own text, some units in its last place."""
    _, digits, exponent = number.digits
    if len(digits) >= REPR_DIGITS:
        return REPR_ULPS * math.ulp(float(number.text))
    return 0.5 * 10.0**exponent * (1 + 1e-12)
