"""All that an experiment computes and an article may print: every entry, row, sum and step of it, by its size."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mathlab.article.text import Number
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, Experiment, Figure
from mathlab.language import read
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, names, unparse, walk
from mathlab.printed import without_ones
from mathlab.stages import gradcheck, train
from mathlab.stages.prepare import Prepared, evaluate, prepare
from mathlab.stages.updates import in_all

Floats = NDArray[np.float64]
Values = Mapping[str, Array]
Fit = tuple[int, int]  # the position of a quantity in a pool, and an entry of it

SAME = 1e-6  # relative: values that no article tells apart
LARGEST = 100_000  # entries of an array whose every entry is a candidate
SLICES = 200  # rows and columns of an array that are quantities of their own
ROUND = (1, 2, 3, 4, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)  # epochs that an article may look at
LOOKS, SMALL = 300, 16  # more epochs, if the text counts them, and the entries of what is looked at there
SECONDS, KEPT = 3, 10_000_000  # that running the equations there takes at most, and numbers that are kept
DERIVED = 1_000  # in rank: what is made of a node, and not a part of it,
FAR = 20_000  # and what is no node at all
PAIRS = 6  # single numbers whose differences an article may print
WRITTEN_OUT = {"sigmoid": ("exp(-({}))", "1 + exp(-({}))"), "softmax": ("exp({})",)}
REDUCTIONS: Mapping[str, Callable[..., object]] = {
    "norm": np.linalg.norm, "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "std": np.std, "var": np.var,
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """When a value is computed: in a case, after so many updates of its training; `stage` is where its figures go.

    `counts` are the updates and epochs; one that is `aside` is spoken of where the text counts them, and else not.
    """

    experiment: str
    case: str
    stage: str = "expected"
    updates: int = 0
    counts: tuple[int, ...] = field(default=(0,), compare=False)
    aside: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        updates = f"{self.updates} update{'s' * (self.updates != 1)}"
        after = f" after {updates}" if self.stage == "after" else ""
        return f"{self.experiment}, {self.case}{after}" + (" (gradient check)" if self.stage == "gradcheck" else "")


@dataclass(frozen=True, eq=False)
class Quantity:
    """An array that an article may print, as the key of a figure, made of a node or gradient or of a formula.

    `rank` counts what makes it less likely.
    """

    state: State
    key: str
    value: Floats
    rank: int = 0
    of: str = ""

    def entry(self, at: int) -> str:
        """The key of one of its entries."""
        index = np.unravel_index(at, self.value.shape)
        return f"{self.owner}[{','.join(map(str, index))}]" if index else self.key

    @property
    def owner(self) -> str:
        """The key where an index or .T follows: in brackets, where it is more than a name."""
        return self.key if self.key.isidentifier() else f"({self.key})"


def quantities(experiment: Experiment, epochs: Collection[int] = ()) -> Iterator[Quantity]:
    """All that the experiment computes, as figures may be printed of it; what is small at these epochs, too.

    An article prints parts of its formulas too, so that every part of an equation or hand formula is one of them.
    """
    formulas = [equation.expr for case in experiment.cases for equation in (*case.equations, *case.derivation)]
    for case in experiment.cases:
        alone = replace(case, expected=(), derivation=(), gradcheck=None, train=None, sweep=None)
        prepared = _with_all_gradients(alone)
        parts = _parts(formulas + [equation.expr for equation in prepared.backward.equations])
        yield from _of_run(State(experiment.name, case.name), prepared, prepared.run(), {**parts, **_steps(case)})
        if case.gradcheck:
            yield from _checked(experiment, replace(alone, gradcheck=case.gradcheck))
        for aside, counts, values in _trained(replace(alone, train=case.train), epochs) if case.train else ():
            state = State(experiment.name, case.name, "after", counts[0], counts, aside)
            yield from _of_run(state, prepared, {**values, **prepared.run(values)}, {})


def _parts(formulas: Iterable[Expr]) -> dict[str, Expr]:
    """Every part of some formulas, and of its products what people write down in between.

    That is each term of the sums that a matrix times a vector is, a product without what it is handed from above, and
    the exponentials of which a function is made.
    """
    found: list[Expr] = []
    for part in (part for formula in formulas for part in walk(formula)):
        match part:
            case Call("matmul", (a, b)):
                found += [part, Call("mul", (a, b)), Call("mul", (Call("T", (b,)), a))]
            case Call("mul", (Call("mul", (_, *local)), last)):
                found += [part, Call("mul", (*local, last))]
            case Call(op, (a, *_)):
                found += [part, *(read(written.format(unparse(a))) for written in WRITTEN_OUT.get(op, ()))]
    return {unparse(part): part for part in found if names(part)}


def _steps(case: Case) -> dict[str, Expr]:
    """What an update of plain descent takes from each parameter, and the length of the whole gradient."""
    rate = case.train.settings.get("lr") if case.train else None
    made = [f"{rate} * d{name}" for name in case.parameters if rate]
    if len(case.parameters) > 1:
        made.append(f"sqrt({' + '.join(f'sum(d{name}**2)' for name in case.parameters)})")
    return {text: read(text) for text in made}


def _with_all_gradients(case: Case) -> Prepared:
    plain = prepare(case)
    floats = (name for name in (*case.inputs, *case.parameters, *plain.nodes) if plain.types.names[name].kind == "f")
    missing = [f"d{name}" for name in floats if f"d{name}" not in plain.types.names]
    return prepare(replace(case, expected=tuple(Figure(name, Name(name), (), ()) for name in missing)))


def _of_run(state: State, prepared: Prepared, values: Values, parts: Mapping[str, Expr]) -> Iterator[Quantity]:
    """What a run computes, save the gradient of its end, which is 1 in every run."""
    case = prepared.case
    moved = {*values} - {*case.inputs, *prepared.types.names} | {*case.parameters} if state.stage == "after" else ()
    seed = f"d{prepared.end}" if np.size(values[prepared.end]) == 1 and prepared.upstream is None else ""
    gradients = [name for name in prepared.gradients if name[1:] in prepared.types.names]  # those of parts are no keys
    named = [name for name in (*sorted(moved), *prepared.nodes, *gradients) if name != seed and name in values]
    single = [name for name in prepared.nodes if np.size(values[name]) == 1][-PAIRS:]
    texts = [f"{a} - {b}" for a in single for b in single if a != b]
    if single and single[-1] == prepared.end:  # as a root mean square, or a perplexity
        texts += [f"sqrt({prepared.end})", f"exp({prepared.end})"]
    wanted = {**parts, **{text: read(text) for text in texts}}
    if state.stage == "expected":  # long inputs may be printed rounded
        named += [name for name in (*case.inputs, *case.parameters) if np.size(values[name]) > 1]
    known = [(name, values[name]) for name in named]
    gone = {*prepared.types.names} - {*named, *case.inputs, *case.parameters}
    for key, part in wanted.items():
        with contextlib.suppress(MathlabError):  # a part of another case's formulas, whose names are not these
            if key not in named and gone.isdisjoint(names(part)):
                known += [(key, evaluate([Equation(key, part, key)], prepared, values)[0])]
    for rank, (key, value) in enumerate(known):
        array = np.asarray(value, np.float64)
        further = FAR if rank >= len(named) else 500 * (key[1:] in case.inputs)  # whose gradients are rare
        if array.size and np.isfinite(array).all():
            made = Quantity(state, key, array, rank + further, key)
            yield from _forms(made) if not state.aside else [made] if array.size <= SMALL else []


def _forms(whole: Quantity) -> Iterator[Quantity]:
    """An array, and what an article may print of it instead."""
    value, key, owner = whole.value, whole.key, whole.owner

    def form(key: str, value: object, further: int) -> Quantity:
        return replace(whole, key=key, value=np.asarray(value), rank=whole.rank + further)

    yield whole
    if whole.rank < FAR:
        yield form(f"-{owner}", -value, 100)
    if value.ndim == 2:
        yield form(f"{owner}.T", value.T, DERIVED)
        yield from (form(f"{owner}[:,{at}]", value[:, at], 300) for at in range(min(value.shape[1], SLICES)))
    for axes in range(1, value.ndim):
        for index in islice(np.ndindex(value.shape[:axes]), SLICES):
            yield form(f"{owner}[{','.join(map(str, index))}]", value[index], 200)
    for more, (name, reduce) in enumerate(REDUCTIONS.items() if value.size > 1 else (), start=1):
        yield form(f"{name}({key})", reduce(value), 2 * DERIVED * more)
        for axis in range(value.ndim if value.ndim > 1 and name in ("sum", "mean") else 0):
            yield form(f"{name}({key}, axis={axis})", reduce(value, axis=axis), 2 * DERIVED * more)


def _checked(experiment: Experiment, case: Case) -> Iterator[Quantity]:
    state, entries = State(experiment.name, case.name, "gradcheck"), gradcheck.run(case).entries
    for name, value in case.parameters.items():
        for witness, slopes in (("central", "central"), ("complex", "complex_step")):
            found = np.array([getattr(entry, slopes) for entry in entries if entry.parameter == name], np.float64)
            if found.size == value.array.size:
                key = f"{witness}_{name}"
                yield Quantity(state, key, found.reshape(value.array.shape), 5 * DERIVED, key)


def _trained(case: Case, epochs: Collection[int]) -> Iterator[tuple[bool, tuple[int, ...], Values]]:
    """Parameters and optimizer's state after so many updates and epochs, and whether only some articles look there."""
    assert case.train is not None
    prepared = prepare(case)
    each, last = in_all(prepared, case.train)
    size = sum(value.array.size for value in case.parameters.values())
    looks = min(LOOKS, int(SECONDS / max(prepared.cost.seconds, 1e-6)), KEPT // (1 + size))
    often = {count for n in ROUND for count in (n, n * each) if count < last} | {last}
    more = [n * each for n in sorted(epochs) if 0 < n * each < last][:looks]
    seen: list[tuple[bool, tuple[int, ...], Values]] = []

    def watch(done: int, values: Values) -> None:
        counts = (done,) if done % each else (done, done // each)
        kept = {name: np.array(value) for name, value in values.items() if name not in case.inputs}
        seen.append((done not in often, counts, kept))

    after = tuple((done, ()) for done in sorted({*often, *more}))
    train.run(replace(case, train=case.train._replace(after=after)), watch=watch)
    return iter(seen)


@dataclass(frozen=True, eq=False)
class Pool:
    """Entries of some quantities, in the order of their values: all of them, or those in question."""

    quantities: Sequence[Quantity]
    values: Floats
    owners: NDArray[np.intp]
    entries: NDArray[np.intp]

    def where(self, asked: Callable[[Quantity], bool]) -> Pool:
        """The entries of some of the quantities."""
        some = np.array([asked(one) for one in self.quantities], bool)[self.owners]
        return replace(self, values=self.values[some], owners=self.owners[some], entries=self.entries[some])

    def at(self, fits: Iterable[Fit]) -> Pool:
        """Some of the entries."""
        some = sorted({(self.value(fit), *fit) for fit in fits})
        values, owners, entries = np.array(some).reshape(-1, 3).T
        return replace(self, values=values, owners=owners.astype(np.intp), entries=entries.astype(np.intp))

    @cached_property
    def apart(self) -> Floats:
        """The values that an article may tell apart."""
        values: Floats = self.values[np.diff(self.values, prepend=-math.inf) > SAME * np.abs(self.values)]
        return values

    @cached_property
    def shapes(self) -> Mapping[tuple[int, ...], tuple[list[int], Floats]]:
        """The quantities of each shape, axes of length 1 aside, and their entries, one quantity a row."""
        found: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for at in np.unique(self.owners).tolist():
            found[without_ones(self.quantities[at].value.shape)].append(at)
        return {
            shape: (alike, np.stack([self.quantities[at].value.ravel() for at in alike]))
            for shape, alike in found.items()
        }

    def fitting(self, number: Number, offset: float = 0.0) -> list[Fit]:
        """The entries that are printed so, or so many further; the likeliest first."""
        value, half = number.value + offset, number.half_unit
        first, last = np.searchsorted(self.values, value - half), np.searchsorted(self.values, value + half, "right")
        return sorted(
            zip(self.owners[first:last].tolist(), self.entries[first:last].tolist(), strict=True), key=self.rank
        )

    def arrays(self, numbers: Sequence[Number], shape: tuple[int, ...], limit: float, but: int = -1) -> list[Fit]:
        """The quantities whose entries are printed so, or all `but` one are; none where `limit` would be by chance."""
        alike, rows = self.shapes.get(without_ones(shape), ([], np.zeros((0, len(numbers)))))
        if (len(alike) + 1) * _together([one for at, one in enumerate(numbers) if at != but]) >= limit:
            return []
        fits = np.abs(rows - [one.value for one in numbers]) <= [one.half_unit for one in numbers]
        fits[:, [but] if but >= 0 else []] = True
        return [(alike[at], 0) for at in np.flatnonzero(fits.all(axis=1))]

    def chance(self, number: Number) -> float:
        """How many of the values a number of these digits fits by accident.

        There are as many as lie around it; if it ends in zeros, as many of those as are printed with such zeros.
        """
        if number.value == 0:
            return math.inf
        around = self.apart[slice(*np.searchsorted(self.apart, sorted((number.value / 3, number.value * 3))))]
        if number.zeros:
            around = around[np.abs(around - around.round(-number.digits[2] - number.zeros)) <= number.half_unit]
        return (around.size + 1) * number.share

    def rank(self, fit: Fit) -> tuple[int, ...]:
        quantity = self.quantities[fit[0]]
        # a single number is printed as an entry of its node, rather than of a row of it
        return int(quantity.value.ndim > 0 and "[" in quantity.key), quantity.rank, *fit

    def value(self, fit: Fit) -> float:
        return float(self.quantities[fit[0]].value.ravel()[fit[1]])

    def key(self, fit: Fit) -> str:
        return self.quantities[fit[0]].entry(fit[1])

    def name(self, fit: Fit) -> str:
        return f"{self.key(fit)} of {self.quantities[fit[0]].state}"


def pool(found: Iterable[Quantity]) -> Pool:
    """Every entry of every quantity."""
    kept = [quantity for quantity in found if quantity.value.size <= LARGEST]
    sizes = [quantity.value.size for quantity in kept]
    values = np.concatenate([np.zeros(0), *(quantity.value.ravel() for quantity in kept)])
    entries = np.concatenate([np.zeros(0, np.intp), *map(np.arange, sizes)]).astype(np.intp)
    order = np.argsort(values, kind="stable")
    return Pool(kept, values[order], np.repeat(np.arange(len(sizes)), sizes)[order], entries[order])


def _together(numbers: Sequence[Number]) -> float:
    """Which part of all arrays of some size numbers of these digits fit.

    Equal ones, and one that the others make up to a whole number as probabilities do, say nothing on their own.
    """
    shares = sorted({number.digits[1:]: number.share for number in numbers}.values(), reverse=True)
    total = sum(number.value for number in numbers)
    dependent = abs(total - round(total)) <= sum(number.half_unit for number in numbers)
    return math.prod(shares[: len(shares) - dependent])
