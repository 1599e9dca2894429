"""How far rounding moves a value: measured, by running the case again with everything off in its last place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mathlab.experiment import Array, Dtype, Figure
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Name
from mathlab.stages.prepare import Env, Prepared, evaluator, execute

Floats = NDArray[np.float64]
Lead = Callable[[Prepared, Env, "Shake"], Env]  # from where the case starts to where it is looked at

AGREEMENT = {"float64": 1e-9, "float32": 1e-4}  # relative: up to there nobody asks about rounding
MARGIN = 6  # times the noise that is measured: what rounding may do to a derivative
RUNS = 8  # of each kind; seeded, so that a verdict never changes
# what picks among numbers, or changes a sign, never rounds
PICKING = frozenset({np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.sign, np.copysign})


class Shake:
    """Moves floats by up to `units` units in the last place of `dtype`, and takes down which way comparisons went.

    What it returns hands itself on: NumPy's own operations on it are shaken too, inside of a kernel as well.
    """

    def __init__(self, rng: np.random.Generator, dtype: Dtype, units: float = 1.0) -> None:
        self.rng, self.dtype, self.units = rng, dtype, units
        self.branches: list[bytes] = []

    def __call__(self, value: ArrayLike) -> Array:
        """The value of an op, shaken where NumPy has not been seen to round it."""
        return value if isinstance(value, _Watched) else self.moved(np.asarray(value, self.dtype))

    def moved(self, value: Array) -> Array:
        if self.units:
            value = _off(value, self.units * self.rng.uniform(-1, 1, value.shape))
        return self.watched(value)

    def watched(self, value: Array) -> Array:
        """The same numbers; those that are made of them are shaken."""
        if not np.issubdtype(np.asarray(value).dtype, np.floating):
            return value
        view = np.asarray(value).view(_Watched)
        view.shake = self
        return view

    def chosen(self, value: Array) -> None:
        self.branches.append(np.asarray(value).tobytes())


class _Watched(np.ndarray):
    """An array whose operations are shaken."""

    shake: Shake

    def __array_finalize__(self, made_from: object) -> None:
        if isinstance(made_from, _Watched):
            self.shake = made_from.shake

    def __array_ufunc__(
        self,
        ufunc: np.ufunc,
        method: Literal["__call__", "reduce", "reduceat", "accumulate", "outer", "at"],
        *inputs: object,
        **settings: object,
    ) -> object:
        into = settings.get("out")
        if isinstance(into, tuple):
            settings["out"] = tuple(map(_plain, into))
        result = getattr(ufunc, method)(*map(_plain, inputs), **settings)
        if result is None:  # `at` works in place
            return None
        array = np.asarray(result)
        if array.dtype == np.bool_ or ufunc is np.sign:
            self.shake.chosen(array)
        if not np.issubdtype(array.dtype, np.floating):
            return result
        shaken = self.shake.watched(array) if ufunc in PICKING else self.shake.moved(array)
        if isinstance(into, tuple):
            _plain(into[0])[...] = shaken  # type: ignore[index]  # an array, as NumPy has accepted it
            return into[0]
        return shaken

    def __array_function__(
        self, function: Callable[..., object], types: object, args: Iterable[object], settings: Mapping[str, object]
    ) -> object:
        result = super().__array_function__(function, types, args, settings)  # type: ignore[arg-type]
        if function in (np.argmax, np.argmin):
            self.shake.chosen(np.asarray(result))
        return self.shake.moved(np.asarray(result)) if function is np.dot else result  # no ufunc, but it rounds


def _plain(value: object) -> object:
    return np.asarray(value) if isinstance(value, _Watched) else value


def rounding_noise(prepared: Prepared, names: Sequence[str]) -> dict[str, Floats]:
    """How far rounding moves each entry of the nodes and gradients `names`; 0 for a gradient that there is not."""
    known = {*prepared.env, *prepared.nodes, *prepared.gradients}
    exprs = [Name(name) if name in known else Call("zeros_like", (Name(name[1:]),)) for name in names]
    lines = [Equation(name, expr) for name, expr in zip(names, exprs, strict=True)]
    return dict(zip(names, quantity_noise(lines, prepared, prepared.env, kinks=True), strict=True))


def quantity_noise(
    quantities: Sequence[Equation],
    prepared: Prepared,
    values: Env,
    lead: Lead | None = None,
    runs: int = RUNS,
    own: Env | None = None,
    kinks: bool = False,
) -> list[Floats]:
    """How far rounding moves each entry of figures' quantities (or of formulas): of what they name, and in themselves.

    It is the largest deviation among three kinds of rerun: with the result of every op off by up to a unit in its last
    place; with the inputs and parameters so (which decides the side of a kink where a sum cancels to 0 up to rounding),
    but for entries of a few bits, which are what was written; and, for a case in float32, in float64, where the
    deviation is the rounding itself. A rerun that is nan says nothing; where none says anything, the noise is inf.
    Unless `kinks` count, nor does one in which a comparison falls out differently: on the other side of a kink the
    value is another, and not the same one rounded.

    `values` are those of the inputs and parameters to begin with, from which `lead` (a training) gets to where the
    quantities are looked at. `own` holds the noise of what is no node or gradient and stands among the values as it is.
    """
    own = own or {}
    fixed = {name: values[name] for name in own}
    known = dict.fromkeys((*prepared.case.inputs, *prepared.case.parameters, *prepared.env))
    start = {name: values[name] for name in known if name in values}
    blur, rng, dtype = np.random.default_rng(1), np.random.default_rng(0), prepared.case.dtype
    nudged = ({name: _nudged(value, rng) for name, value in start.items()} for _ in range(runs))
    kinds: list[tuple[Prepared, Shake, Iterable[Env]]] = [
        (prepared, Shake(rng, dtype), [start] * runs),
        (prepared, Shake(rng, dtype, 0), nudged),
    ]
    if dtype != "float64":
        wide = {name: _wide(value) for name, value in start.items()}
        kinds.append((in_float64(prepared), Shake(rng, "float64", 0), [wide]))

    def looked(prepared: Prepared, shake: Shake) -> Callable[[Env], list[Floats]]:
        """What one rerun shows."""
        evaluate = evaluator(quantities, prepared, values, shake)

        def seen(env: Env) -> list[Floats]:
            shake.branches = []
            env = {name: shake.watched(value) for name, value in env.items()}
            env |= lead(prepared, env, shake) if lead else {}
            here = {**env, **execute(prepared.compiled(shaken=True), env, shake), **fixed}
            if shake.units:
                here |= {name: fixed[name] + own[name] * blur.uniform(-1, 1, np.shape(own[name])) for name in own}
            return [np.asarray(value, np.float64) for value in evaluate(here)]

        return seen

    still = Shake(np.random.default_rng(0), dtype, 0)
    with np.errstate(all="ignore"):
        true = looked(prepared, still)(start)
        largest = [np.full(np.shape(value), np.nan) for value in true]
        for same, shake, starts in kinds:
            seen = looked(same, shake)
            for env in starts:
                there = seen(env)
                if kinks or shake.branches == still.branches:
                    for k, (value, moved) in enumerate(zip(true, there, strict=True)):
                        off = np.where(moved == value, 0, np.abs(moved - value))  # a mask's -inf stays what it is
                        largest[k] = np.fmax(largest[k], off)
    return [np.where(np.isnan(entries), np.inf, entries) for entries in largest]


def noises(
    quantities: Sequence[Figure],
    prepared: Prepared,
    values: Env,
    lead: Lead | None = None,
    runs: int = RUNS,
    own: Callable[[], Env] = dict,
) -> Iterator[Callable[[], Floats]]:
    """For each figure, what measures the noise of its quantity; with the first that is asked, all are measured."""
    measured = cache(lambda: quantity_noise(quantities, prepared, values, lead, runs, own()))
    return (partial(lambda k: measured()[k], k) for k in range(len(quantities)))


def in_float64(prepared: Prepared) -> Prepared:
    """The same equations in float64, at the numbers that float32 makes of the inputs."""
    if prepared.case.dtype == "float64":
        return prepared
    env = {name: _wide(value) for name, value in prepared.env.items()}
    return replace(prepared, case=replace(prepared.case, dtype="float64"), env=env)


def _wide(value: Array) -> Array:
    return np.asarray(value, np.float64)[()] if np.issubdtype(value.dtype, np.floating) else value


def _nudged(value: Array, rng: np.random.Generator) -> Array:
    """Every entry one unit in the last place up or down, but for those that are exact."""
    if not np.issubdtype(value.dtype, np.floating):
        return value
    wide, info = np.asarray(value, np.float64), np.finfo(value.dtype)
    # sums and products of fixed-point numbers so short are exact; 0.1 has no end in binary
    bits = info.nmant // 4
    counts = np.abs(wide) * 2.0**bits
    short = (counts == np.floor(counts)) & (counts < 4.0**bits)
    return np.where(short, value, _off(value, rng.choice([-1.0, 1.0], wide.shape)))[()]


def _off(value: Array, units: Floats) -> Array:
    """The value moved by so many units in its last place; what is 0 or not finite stays."""
    with np.errstate(all="ignore"):
        step = np.where((value == 0) | ~np.isfinite(value), 0, np.spacing(np.abs(value)))
        return np.asarray(np.asarray(value, np.float64) + step.astype(np.float64) * units, value.dtype)
