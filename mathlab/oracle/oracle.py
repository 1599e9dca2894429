"""Somebody else's backprop, held against the lab's: arrays matched by name and shape, compared and diagnosed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mathlab.config import load
from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Array, Case, Dtype, Experiment, Figure
from mathlab.language.syntax import Name
from mathlab.oracle.arrays import CASELESS, numbers, read
from mathlab.oracle.names import matched, wanted
from mathlab.stages.noise import rounding_noise
from mathlab.stages.prepare import Prepared, prepare

RTOL: Mapping[Dtype, float] = {"float64": 1e-9, "float32": 1e-6}
NOISE = 8.0  # times the noise that is measured: what rounding may do
GROWN = 1e6  # times which, at most, it is taken to be larger in a program whose gradients are too large


@dataclass(frozen=True)
class Compared:
    """One array of the file beside the lab's: `quantity`, of shape `expected`, is what it was matched with.

    `given` and `computed` are the entry at `index`, the one furthest beyond its tolerance; where `fits` is false the
    shapes are too different for entries to be compared.
    """

    array: str
    quantity: str
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    passed: bool
    fits: bool
    index: tuple[int, ...] = ()
    given: float = math.nan
    computed: float = math.nan
    tolerance: float = math.nan
    diagnosis: str = ""


@dataclass(frozen=True)
class Why:
    """A cause of what differs, the line to write instead, the arrays that it explains, and what may be it as well.

    `upon` says that it is seen once the causes before it are taken for granted.
    """

    cause: str
    instead: str
    explains: tuple[str, ...]
    others: tuple[str, ...] = ()
    upon: bool = False


@dataclass(frozen=True)
class OracleResult:
    """Every array that was matched, in the order of the graph; the `ignored` ones no name here matches.

    `first_divergence` is the earliest quantity that differs; `sought` says what arrays may be called. `causes` are what
    was found to explain the arrays that differ, when `tried` of at least `known` mistakes had been made.
    """

    case: str
    compared: tuple[Compared, ...]
    ignored: tuple[str, ...] = ()
    first_divergence: str = ""
    sought: str = ""
    causes: tuple[Why, ...] = ()
    tried: int = 0
    known: int = 0

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.compared)


@dataclass(frozen=True)
class Terms:
    """On what terms arrays are compared.

    `names` says which quantity some of the arrays are of. `rtol` is how precisely the other program computes each of
    its numbers (None: as its arrays' type allows). `thorough` tries every known mistake, however long it takes.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    rtol: float | None = None
    thorough: bool = False


def compare_file(cases: Sequence[Case], path: Path, terms: Terms = Terms()) -> list[OracleResult]:
    """Hold the arrays of a file against the cases they are of.

    A file that does not name its arrays' cases is for one case; of a file that does, those cases are compared that are
    among `cases`. Raises MathlabError when that leaves none, and as `read` and `compare` do.
    """
    found = read(path)
    if CASELESS in found:
        return [compare(only(cases, str(path)), found[CASELESS], terms)]
    results = [compare(case, found[case.name], terms) for case in cases if case.name in found]
    if not results:
        known = ", ".join(case.name for case in cases)
        raise MathlabError(f"{path} has arrays of {', '.join(found) or 'no case'}, and none of {known}")
    return results


def of_python(
    config: str | Path | Experiment,
    arrays: Mapping[str, Array],
    *,
    case: str = "",
    names: Mapping[str, str] | None = None,
    rtol: float | None = None,
    thorough: bool = False,
) -> OracleResult:
    """Hold arrays against an experiment, as `mathlab oracle` does.

    `arrays` are NumPy arrays, or what NumPy makes arrays of, by name (`dW1`, `grads['W1']`, ...); `case` names the case
    they are of, where the config has several; `names` says what arrays of other names are (`{"mine": "dW1"}`), and
    `rtol` how precisely they were computed (None: as their type allows). Raises MathlabError for a config that cannot
    be used, for a case that does not exist, and when no array's name is known.
    """
    experiment = config if isinstance(config, Experiment) else load(config)
    cases = [known for known in experiment.cases if case in ("", known.name)]
    if not cases:
        raise MathlabError(f"there is no case {case!r}{did_you_mean(case, [known.name for known in experiment.cases])}")
    read = {name: numbers(name, array) for name, array in arrays.items()}
    return compare(only(cases, experiment.path), read, Terms(names or {}, rtol, thorough))


def only(cases: Sequence[Case], whose: str) -> Case:
    """The one case that arrays without a case can be of. Raises MathlabError where there are several."""
    if len(cases) != 1:
        known = ", ".join(case.name for case in cases)
        raise MathlabError(f"{whose} is for one case, and there are {len(cases)} ({known}); choose one with --case")
    return cases[0]


def compare(case: Case, arrays: Mapping[str, Array], terms: Terms = Terms()) -> OracleResult:
    """Hold arrays against a case's nodes and gradients.

    float32 arrays, and those for a float32 case, are compared with the case run in float32, to 1e-6 of each entry; all
    others in float64, to 1e-9; with an `rtol` to that. To this comes what rounding is seen to do to the entry: an entry
    that is 0 because its terms cancel is judged by their size. Shapes may differ by axes of length 1.

    Raises MathlabError when no array's name is that of a node, parameter, input or gradient.
    """
    matches = matched(case, arrays, terms.names)
    sought = wanted(case)
    if not matches:
        raise MathlabError(
            f"no array is named like a node of the case {case.name!r}: {', '.join(arrays) or 'no arrays'}; {sought}; "
            f"or say it with --map {next(iter(arrays), 'mine')}=NAME"
        )
    rows: dict[str, Compared] = {}
    order: list[str] = []
    found: list[Explained] = []
    for dtype in RTOL:
        chosen = {array: name for array, name in matches.items() if _precision(case, arrays[array]) == dtype}
        if chosen:
            prepared = _with_gradients(case, dtype, chosen.values())
            order = [*prepared.env, *prepared.nodes, *prepared.gradients]
            compared, why = _compared(prepared, {array: arrays[array] for array in chosen}, chosen, terms)
            rows |= compared
            found.append(why)
    ordered = sorted(rows.values(), key=lambda row: order.index(row.quantity) if row.quantity in order else len(order))
    first = next((row.quantity for row in ordered if not row.passed), "")
    ignored = tuple(name for name in arrays if name not in matches)
    return OracleResult(
        case.name,
        tuple(ordered),
        ignored,
        first,
        sought if ignored else "",
        tuple(why for explained in found for why in explained.causes),
        sum(explained.tried for explained in found),
        sum(explained.known for explained in found),
    )


@dataclass(frozen=True)
class Explained:
    """The causes that were found, and how many mistakes were tried of how many."""

    causes: tuple[Why, ...] = ()
    tried: int = 0
    known: int = 0


def _precision(case: Case, array: Array) -> Dtype:
    return "float32" if case.dtype == "float32" or array.dtype in (np.float32, np.float16) else "float64"


def _with_gradients(case: Case, dtype: Dtype, quantities: Iterable[str]) -> Prepared:
    """The case made ready in a precision, with every gradient that is asked for."""
    nodes = {*case.inputs, *case.parameters, *(equation.name for equation in case.equations)}
    asked = [name for name in quantities if name not in nodes]
    figures = tuple(Figure(name, Name(name), (), ()) for name in dict.fromkeys(asked))
    train = replace(case.train, after=()) if case.train else None
    return prepare(replace(case, dtype=dtype, expected=figures, derivation=(), gradcheck=None, train=train))


def _compared(
    prepared: Prepared, arrays: Mapping[str, Array], names: Mapping[str, str], terms: Terms
) -> tuple[dict[str, Compared], Explained]:
    values = prepared.run()
    noise = rounding_noise(prepared, [*dict.fromkeys(names.values())])
    rows: dict[str, Compared] = {}
    windows: dict[str, Window] = {}
    for array, quantity in names.items():
        true = np.asarray(values[quantity], np.float64)
        given = np.asarray(arrays[array], np.float64)
        if [n for n in given.shape if n != 1] == [n for n in true.shape if n != 1]:
            given = given.reshape(true.shape)
        precise = _precise(prepared, arrays[array], terms.rtol)
        blur = np.where(np.isfinite(noise[quantity]), noise[quantity], 0)
        far = _tolerance(given, true, blur, precise)
        windows[array] = Window(given, true, far, precise[1] * float(np.max(blur, initial=0.0)))
        rows[array] = _row(array, quantity, arrays[array].shape, given, true, far)
    why = _explained(prepared, rows, windows, terms.thorough)
    said = {array: found.cause for found in reversed(why.causes) for array in found.explains}
    return {array: replace(row, diagnosis=said.get(array, "")) for array, row in rows.items()}, why


@dataclass(frozen=True)
class Window:
    """An array, the lab's, how far it may be off, and the noise of rounding in the lab's."""

    given: Array
    true: Array
    far: Array
    noise: float

    @property
    def grown(self) -> float:
        """How much larger the array is than the lab's; where that is nothing but rounding, this is not known."""
        largest = float(np.max(np.abs(self.true), initial=0.0))
        return float(np.max(np.abs(self.given), initial=0.0)) / largest if largest > self.noise else 1.0


def _precise(prepared: Prepared, array: Array, rtol: float | None) -> tuple[float, float]:
    """To how much of itself an entry must agree, and how many times the noise of rounding it may be off beyond that.

    A program that computes each of its numbers to `rtol` only has so much more noise than one that rounds them.
    """
    usual = RTOL[prepared.case.dtype]
    if array.dtype.kind == "f":  # a half float has fewer digits than are asked for
        usual = max(usual, float(np.finfo(array.dtype).eps))
    if rtol is None:
        return usual, NOISE
    return rtol, max(NOISE, rtol / float(np.finfo(prepared.case.dtype).eps))


def _tolerance(given: Array, true: Array, noise: Array, precise: tuple[float, float]) -> Array:
    """How far each entry may be off. Nothing here grows with what was given, beyond a small part of itself."""
    rtol, times = precise
    given = np.where(np.isfinite(given), given, 0)
    if given.shape != true.shape:
        return rtol * np.abs(given) + times * float(np.max(noise, initial=0.0))
    # what is 0 but for rounding is judged by the rounding of all such entries: that of one alone may be small by luck
    lost = np.abs(true) < times * noise
    noise = np.where(lost, np.max(noise, where=lost, initial=0.0), noise)
    return rtol * np.where(lost, np.abs(given), np.maximum(np.abs(given), np.abs(true))) + times * noise


def _row(array: str, quantity: str, shape: tuple[int, ...], given: Array, true: Array, far: Array) -> Compared:
    if given.shape != true.shape:
        return Compared(array, quantity, shape, true.shape, passed=False, fits=False)
    with np.errstate(all="ignore"):
        misses = np.abs(given - true) - far
    worst = np.unravel_index(int(np.argmax(np.where(np.isfinite(misses), misses, np.inf))), true.shape)
    passed = bool(np.all(misses <= 0))
    at = tuple(int(i) for i in worst)
    numbers = (float(given[at]), float(true[at]), float(far[at]))
    return Compared(array, quantity, shape, true.shape, passed, True, at, *numbers)


def _explained(
    prepared: Prepared, rows: Mapping[str, Compared], windows: Mapping[str, Window], thorough: bool
) -> Explained:
    """Why the arrays that differ do, as far as it can be found out."""
    if all(row.passed for row in rows.values()):
        return Explained()
    from mathlab.diagnosis.claims import of_arrays
    from mathlab.diagnosis.explain import causes
    from mathlab.diagnosis.worlds import Scene

    finite = {array: window for array, window in windows.items() if np.all(np.isfinite(window.given))}
    # the arrays of a program whose gradients are too large have the larger rounding, which counts for an explanation
    grown = max((window.grown for window in finite.values()), default=1.0)
    claims = [
        of_arrays(
            array,
            Name(rows[array].quantity),
            [window.given],
            [window.far + min(max(grown - 1, 0), GROWN) * window.noise],
            wrong=not rows[array].passed,
        )
        for array, window in finite.items()
    ]
    labels = [*finite]
    if not any(claim.wrong for claim in claims):
        return Explained()
    found = causes(Scene(prepared, claims), thorough)
    return Explained(
        tuple(
            Why(cause.text, cause.instead, tuple(labels[k] for k in cause.explains), cause.others, cause.upon)
            for cause in found.causes
        ),
        found.tried,
        found.known,
    )
