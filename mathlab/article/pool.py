"""All that an experiment computes and an article may print: every entry, row, sum and step of it, by its size."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
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
from mathlab.stages.updates import Training

Floats = NDArray[np.float64]
Values = Mapping[str, Array]
Fit = int  # the position of an entry among those of all quantities, one after another

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


def quantities(experiment: Experiment, epochs: Collection[float] = ()) -> Iterator[Quantity]:
    """All that the experiment computes, as figures may be printed of it; what is small at these epochs, too.

    An article prints parts of its formulas too, so that every part of an equation or hand formula is one of them.
    """
    formulas = [equation.expr for case in experiment.cases for equation in (*case.equations, *case.derivation)]
    for case in experiment.cases:
        end = case.equations[-1].name
        prepared = prepare(case.bare((Figure(end, Name(end)),)))
        if not prepared.forward_only:
            known = prepared.types.names
            floats = (name for name in (*case.inputs, *case.parameters, *prepared.nodes) if known[name].kind == "f")
            asked = (Figure(name, Name(name)) for name in (f"d{one}" for one in floats) if name not in known)
            with contextlib.suppress(MathlabError):  # of an input that has no derivative, so that only others have one
                prepared = prepare(case.bare(tuple(asked)))
        parts = _parts(case, formulas + [equation.expr for equation in prepared.backward.equations])
        yield from _of_run(State(experiment.name, case.name), prepared, prepared.run(), parts)
        if case.gradcheck:
            yield from _checked(experiment, replace(case.bare(), gradcheck=case.gradcheck))
        for aside, counts, values in _trained(case.bare(train=case.train), epochs) if case.train else ():
            state = State(experiment.name, case.name, "after", counts[0], counts, aside)
            yield from _of_run(state, prepared, {**values, **prepared.run(values)}, {})


def _parts(case: Case, formulas: Iterable[Expr]) -> dict[str, Expr]:
    """Every part of some formulas, and what people write down in between.

    That is each term of the sums that a matrix times a vector is, a product without what it is handed from above, the
    exponentials of which a function is made, what plain descent takes from each parameter, and the length of the whole
    gradient.
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
    rate = case.train.settings.get("lr") if case.train else None
    texts = [f"{rate} * d{name}" for name in case.parameters if rate]
    squares = [f"sum(d{name}**2)" for name in case.parameters]
    texts += [f"sqrt({' + '.join(squares)})"] if len(squares) > 1 else []
    return {unparse(part): part for part in found if names(part)} | {text: read(text) for text in texts}


def _of_run(state: State, prepared: Prepared, values: Values, parts: Mapping[str, Expr]) -> Iterator[Quantity]:
    """What a run computes, save the gradient of its end, which is 1 in every run."""
    case, end, types = prepared.case, prepared.end, prepared.types.names
    given = (*case.inputs, *case.parameters)
    single = [name for name in prepared.nodes if np.size(values[name]) == 1][-PAIRS:]
    seed = f"d{end}" if end in single and prepared.upstream is None else ""
    # those of parts are no keys
    gradients = [name for name in prepared.gradients if name[1:] in types and name != seed]
    if state.stage == "after":
        named = [*sorted({*values} - {*case.inputs, *types} | {*case.parameters}), *prepared.nodes, *gradients]
    else:  # long inputs may be printed rounded
        named = [*prepared.nodes, *gradients, *(name for name in given if np.size(values[name]) > 1)]
    texts = [f"{a} - {b}" for a in single for b in single if a != b]
    texts += [f"sqrt({end})", f"exp({end})"] if end in single else []  # as a root mean square, or a perplexity
    known, gone = [(name, values[name]) for name in named], {*types} - {*named, *given}
    for key, part in {**parts, **{text: read(text) for text in texts}}.items():
        with contextlib.suppress(MathlabError):  # a part of another case's formulas, whose names are not these
            if key not in named and gone.isdisjoint(names(part)):
                known += [(key, evaluate([Equation(key, part, key)], prepared, values)[0])]
    for rank, (key, value) in enumerate(known):
        array = np.asarray(value, np.float64)
        further = FAR if rank >= len(named) else 500 * (key[1:] in case.inputs)  # whose gradients are rare
        if array.size and np.isfinite(array).all():
            made = Quantity(state, key, array, rank + further, key)
            yield from _forms(made, given) if not state.aside else [made] if array.size <= SMALL else []


def _forms(whole: Quantity, given: Collection[str]) -> Iterator[Quantity]:
    """An array, and what an article may print of it instead; nobody turns the sign of what is given."""
    value, key, owner = whole.value, whole.key, whole.owner
    forms: list[tuple[str, object, int]] = [(key, value, 0)]
    forms += [(f"-{owner}", -value, 100)] if whole.rank < FAR and key not in given else []
    if value.ndim == 2:
        forms.append((f"{owner}.T", value.T, DERIVED))
        forms += ((f"{owner}[:,{at}]", value[:, at], 300) for at in range(min(value.shape[1], SLICES)))
    for axes in range(1, value.ndim):
        rows = islice(np.ndindex(value.shape[:axes]), SLICES)
        forms += ((f"{owner}[{','.join(map(str, row))}]", value[row], 200) for row in rows)
    for more, (name, reduce) in enumerate(REDUCTIONS.items() if value.size > 1 else (), start=1):
        forms.append((f"{name}({key})", reduce(value), 2 * DERIVED * more))
        along = range(value.ndim if value.ndim > 1 and name in ("sum", "mean") else 0)
        forms += ((f"{name}({key}, axis={axis})", reduce(value, axis=axis), 2 * DERIVED * more) for axis in along)
    for key, made, further in forms:
        yield replace(whole, key=key, value=np.asarray(made), rank=whole.rank + further)


def _checked(experiment: Experiment, case: Case) -> Iterator[Quantity]:
    state, entries = State(experiment.name, case.name, "gradcheck"), gradcheck.run(case).entries
    for name, value in case.parameters.items():
        found = np.array([entry.central for entry in entries if entry.parameter == name], np.float64)
        if found.size == value.array.size:
            key = f"central_{name}"
            yield Quantity(state, key, found.reshape(value.array.shape), 5 * DERIVED, key)


def _trained(case: Case, epochs: Collection[float]) -> Iterator[tuple[bool, tuple[int, ...], Values]]:
    """Parameters and optimizer's state after so many updates and epochs, and whether only some articles look there."""
    assert case.train is not None
    training = Training(prepare(case), case.train).settled()
    train.check_cost(training)
    each, last = training.each, training.total
    size = sum(value.array.size for value in case.parameters.values())
    looks = min(LOOKS, int(SECONDS / max(training.prepared.cost.seconds, 1e-6)), KEPT // (1 + size))
    often = {count for n in ROUND for count in (n, n * each) if count < last} | {last}
    more = [int(n) * each for n in sorted(epochs) if 0 < n * each < last][:looks]
    hidden = {*case.inputs, *training.moved} - {*case.parameters}
    for done, values in training.states({*often, *more}, lambda size: training.on(size).run).items():
        counts = (done,) if done % each else (done, done // each)
        yield done not in often, counts, {name: value for name, value in values.items() if name not in hidden}


@dataclass(frozen=True, eq=False)
class Pool:
    """Entries of some quantities, by their values: all of them, or those in question.

    `flat` are the entries of all quantities, one after another, `owners` the positions of the quantities that they are
    of, `starts` the first entry of each, and `fits` the entries in question.
    """

    quantities: Sequence[Quantity]
    flat: Floats
    owners: NDArray[np.intp]
    starts: NDArray[np.intp]
    fits: NDArray[np.intp]

    @cached_property
    def values(self) -> Floats:
        return self.flat[self.fits]

    def where(self, asked: Callable[[Quantity], bool]) -> Pool:
        """The entries of some of the quantities."""
        some = np.array([asked(one) for one in self.quantities], bool)
        return replace(self, fits=self.fits[some[self.owners[self.fits]]])

    def at(self, fits: Iterable[Fit]) -> Pool:
        """Some of the entries."""
        some = np.unique(np.fromiter(fits, np.intp))
        return replace(self, fits=some[np.argsort(self.flat[some], kind="stable")])

    @cached_property
    def apart(self) -> Floats:
        """The values that an article may tell apart."""
        values: Floats = self.values[np.diff(self.values, prepend=-math.inf) > SAME * np.abs(self.values)]
        return values

    @cached_property
    def shapes(self) -> Counter[tuple[int, ...]]:
        """How many of the quantities are of each shape, axes of length 1 aside."""
        owners = np.unique(self.owners[self.fits]).tolist()
        return Counter(without_ones(self.quantities[at].value.shape) for at in owners)

    def fitting(self, number: Number, offset: float = 0.0) -> list[Fit]:
        """The entries that are printed so, or so many further; the likeliest first."""
        value, half = number.value + offset, number.half_unit
        first, last = np.searchsorted(self.values, value - half), np.searchsorted(self.values, value + half, "right")
        return sorted(self.fits[first:last].tolist(), key=self.rank)

    def arrays(self, numbers: Sequence[Number], shape: tuple[int, ...], limit: float, but: int = -1) -> list[Fit]:
        """The quantities whose entries are printed so, or all `but` one are; none where `limit` would be by chance."""
        told = [one for at, one in enumerate(numbers) if at != but]
        shares = sorted({one.digits[1:]: one.share for one in told}.values(), reverse=True)
        # equal ones, and one that the others make up to a whole number as probabilities do, say nothing on their own
        total, signs = sum(one.value for one in told), Counter[object]()
        for one in told:  # a pair of a number and its negative makes nothing up
            signs[one.digits[1:]] += -1 if one.digits[0] else 1
        dependent = any(signs.values()) and abs(total - round(total)) <= sum(one.half_unit for one in told)
        if (self.shapes[without_ones(shape)] + 1) * math.prod(shares[: len(shares) - dependent]) >= limit:
            return []
        sought = min(range(len(numbers)), key=lambda at: (at == but, numbers[at].share))
        decimals = max((one.half_unit for one in numbers if one.decimal), default=math.inf)  # of [0. 0.39], 0 is 0.00
        values, halves = np.array([(one.value, min(one.half_unit, decimals)) for one in numbers]).T
        halves[[but] if but >= 0 else []] = math.inf
        fits = (fit - sought for fit in self.fitting(numbers[sought]) if self.starts[self.owners[fit]] == fit - sought)
        alike = (fit for fit in fits if without_ones(self.owner(fit).value.shape) == without_ones(shape))
        return [fit for fit in alike if np.all(np.abs(self.flat[fit : fit + len(numbers)] - values) <= halves)]

    def chance(self, number: Number) -> float:
        """How many of the values a number of these digits fits by accident.

        There are as many as lie around it; if it ends in zeros, as many of those as are printed with such zeros.
        """
        if number.value == 0:
            return math.inf
        around = self.apart[slice(*np.searchsorted(self.apart, sorted((number.value / 3, number.value * 3))))]
        alike = np.abs(around - around.round(-number.last)) <= number.half_unit
        return (np.count_nonzero(alike) + 1) * number.share

    def owner(self, fit: Fit) -> Quantity:
        return self.quantities[int(self.owners[fit])]

    def rank(self, fit: Fit) -> tuple[int, ...]:
        quantity = self.owner(fit)
        # a single number is printed as an entry of its node, rather than of a row of it
        return int(quantity.value.ndim > 0 and "[" in quantity.key), quantity.rank, fit

    def key(self, fit: Fit) -> str:
        return self.owner(fit).entry(fit - self.starts[self.owners[fit]])

    def name(self, fit: Fit) -> str:
        return f"{self.key(fit)} of {self.owner(fit).state}"


def pool(found: Iterable[Quantity]) -> Pool:
    """Every entry of every quantity."""
    kept = [quantity for quantity in found if quantity.value.size <= LARGEST]
    sizes = [quantity.value.size for quantity in kept]
    flat = np.concatenate([np.zeros(0), *(quantity.value.ravel() for quantity in kept)])
    owners, starts = np.repeat(np.arange(len(kept)), sizes), np.cumsum([0, *sizes])[:-1]
    return Pool(kept, flat, owners, starts, np.argsort(flat, kind="stable"))
