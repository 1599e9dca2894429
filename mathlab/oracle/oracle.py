"""Somebody else's backprop, held against the lab's: arrays matched by name and shape, compared and diagnosed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from mathlab import plan
from mathlab.config import load
from mathlab.diagnosis import Cause, Causes, Scene, causes, of_arrays
from mathlab.errors import MathlabError, refuse_unknown, refuse_unless
from mathlab.experiment import Array, Case, Config, Dtype, Experiment
from mathlab.language.syntax import Name
from mathlab.oracle.matching import matched, wanted
from mathlab.outputs.arrays import CASELESS, numbers, read
from mathlab.stages.noise import rounding_noise
from mathlab.stages.prepare import Prepared, with_gradients
from mathlab.stages.witness import at_kink

RTOL: Mapping[Dtype, float] = {"float64": 1e-9, "float32": 1e-6}
NOISE = 8.0  # times the noise that is measured: what rounding may do
GROWN = 1e6  # times which, at most, it is taken to be larger in a program whose gradients are too large


@dataclass(frozen=True)
class Compared:
    """One array of the file beside the lab's; where `fits` is false the shapes are too different for a comparison."""

    array: str
    quantity: str  # what it was matched with,
    shape: tuple[int, ...]
    expected: tuple[int, ...]  # and the shape of that
    passed: bool
    fits: bool
    index: tuple[int, ...] = ()  # of the entry furthest beyond its tolerance,
    given: float = math.nan  # and its numbers
    computed: float = math.nan
    tolerance: float = math.nan
    diagnosis: str = ""
    kink: bool = False  # it passes although some entries differ, since each lies between the slopes to both sides

    @property
    def verdict(self) -> str:
        """In a word."""
        return "differs" if not self.passed else "kink" if self.kink else "agrees"


class OracleResult(NamedTuple):
    """Every array that was matched, in the order of the graph, and why those differ that do."""

    case: str
    compared: tuple[Compared, ...]
    ignored: tuple[str, ...] = ()  # those that no name here matches
    first_divergence: str = ""  # the earliest quantity that differs
    sought: str = ""  # what arrays may be called
    causes: tuple[Cause, ...] = ()
    tried: int = 0  # mistakes,
    known: int = 0  # of at least so many

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.compared)


class Terms(TypedDict, total=False):
    """On what terms arrays are compared."""

    names: Mapping[str, str] | None  # which quantity some of the arrays are of: {"mine": "dW1"}
    rtol: float | None  # how precisely the other program computes each of its numbers; None: as its arrays' type allows
    thorough: bool  # tries every known mistake, however long it takes


def compare_file(cases: Sequence[Case], path: Path, **terms: Unpack[Terms]) -> list[OracleResult]:
    """Hold the arrays of a file against the cases they are of.

    A file that does not name its arrays' cases is for one case; of a file that does, those cases are compared that are
    among `cases`. Raises MathlabError when that leaves none, and as `read` and `compare` do.
    """
    found = read(path)
    if CASELESS in found:
        return [compare(only(cases, str(path)), found[CASELESS], **terms)]
    results = [compare(case, found[case.name], **terms) for case in cases if case.name in found]
    if not results:
        known = ", ".join(case.name for case in cases)
        raise MathlabError(f"{path} has arrays of {', '.join(found) or 'no case'}, and none of {known}")
    return results


def of_python(config: Config, arrays: Mapping[str, Array], *, case: str = "", **terms: Unpack[Terms]) -> OracleResult:
    """Hold arrays against an experiment, as `mathlab oracle` does.

    `arrays` are NumPy arrays, or what NumPy makes arrays of, by name (`dW1`, `grads['W1']`, ...); `case` names the case
    they are of, where the config has several; for the rest see `Terms`. Raises MathlabError for a config that cannot be
    used, for a case that does not exist, and when no array's name is known.
    """
    refuse_unless(isinstance(arrays, Mapping), "arrays are given by name, as in {'dW1': dW1}", arrays)
    names, rtol = terms.get("names"), terms.get("rtol")
    refuse_unless(isinstance(names, Mapping | None), "names says what arrays are of, as in {'mine': 'dW1'}", names)
    for term in terms:
        refuse_unknown("setting", term, Terms.__annotations__)
    fits = rtol is None or (isinstance(rtol, Real) and 0 <= rtol <= 0.5)
    refuse_unless(fits, "rtol is a number from 0 to 0.5", rtol)
    experiment = config if isinstance(config, Experiment) else load(config)
    [(_, cases)] = plan.chosen([experiment], [case] if case else ())
    found = {str(name): numbers(str(name), array) for name, array in arrays.items()}
    return compare(only(cases, experiment.path), found, **terms)


def only(cases: Sequence[Case], whose: str) -> Case:
    """The one case that arrays without a case can be of. Raises MathlabError where there are several."""
    if len(cases) != 1:
        known = ", ".join(case.name for case in cases)
        there = f"{whose} is for one case, and there are {len(cases)} ({known})"
        raise MathlabError(f"{there}; choose one with --case or case=")
    return cases[0]


def compare(case: Case, arrays: Mapping[str, Array], **terms: Unpack[Terms]) -> OracleResult:
    """Hold arrays against a case's nodes and gradients.

    float32 arrays, and those for a float32 case, are compared with the case run in float32, to 1e-6 of each entry; all
    others in float64, to 1e-9; with an `rtol` to that. To this comes what rounding is seen to do to the entry: an entry
    that is 0 because its terms cancel is judged by their size. Shapes may differ by axes of length 1.

    Raises MathlabError when no array's name is that of a node, parameter, input or gradient.
    """
    matches = matched(case, arrays, terms.get("names"))
    sought = wanted(case)
    if not matches:
        mine = next(iter(arrays), "mine")
        none = f"no array is named like a node of the case {case.name!r}: {', '.join(arrays) or 'no arrays'}; {sought}"
        raise MathlabError(f"{none}; or say it: --map {mine}=NAME, and from Python names={{{mine!r}: NAME}}")
    rows: list[Compared] = []
    why: list[Causes] = []
    narrow = [name for name in matches if case.dtype == "float32" or arrays[name].dtype in (np.float32, np.float16)]
    wide = [name for name in matches if name not in narrow]
    precisions: Mapping[Dtype, Sequence[str]] = {"float64": wide, "float32": narrow}
    for dtype, chosen in precisions.items():
        if chosen:
            quantities = [matches[name] for name in chosen]
            prepared = with_gradients(replace(case, dtype=dtype), quantities)
            values, noise = prepared.run(), rounding_noise(prepared, [*dict.fromkeys(quantities)])
            held = [
                _held(prepared, name, arrays[name], quantity, values[quantity], noise[quantity], terms.get("rtol"))
                for name, quantity in zip(chosen, quantities, strict=True)
            ]
            rows += [row for row, *_ in held]
            why.append(_explained(prepared, held, terms.get("thorough", False)))
    order = [*prepared.env, *prepared.nodes, *prepared.gradients]
    rows.sort(key=lambda row: order.index(row.quantity) if row.quantity in order else len(order))
    told = [cause for some in why for cause in some.causes]
    said = {array: cause.cause for cause in reversed(told) for array in cause.explains}
    ignored = tuple(name for name in arrays if name not in matches)
    return OracleResult(
        case.name,
        tuple(replace(row, diagnosis=said.get(row.array, "")) for row in rows),
        ignored,
        first_divergence=next((row.quantity for row in rows if not row.passed), ""),
        sought=sought if ignored else "",
        causes=tuple(told),
        tried=sum(some.tried for some in why),
        known=sum(some.known for some in why),
    )


# what is said of an array, its numbers and the lab's, how far each may be off, and how much of that is noise at most
Held = tuple[Compared, Array, Array, Array, float]


def _held(
    prepared: Prepared, name: str, array: Array, quantity: str, value: Array, noise: Array, rtol: float | None
) -> Held:
    """Nothing that is allowed grows with what was given, beyond a small part of itself.

    A program that computes each of its numbers to `rtol` only has so much more noise than one that rounds them.
    """
    true, given = np.asarray(value, np.float64), np.asarray(array, np.float64)
    if [n for n in given.shape if n != 1] == [n for n in true.shape if n != 1]:
        given = given.reshape(true.shape)
    fits = given.shape == true.shape
    row = Compared(name, quantity, array.shape, true.shape, passed=fits, fits=fits)
    times = max(NOISE, (rtol or 0) / float(np.finfo(prepared.case.dtype).eps))
    if rtol is None:  # a half float has fewer digits than are asked for
        rtol = max(RTOL[prepared.case.dtype], float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0)
    blur = times * np.where(np.isfinite(noise), noise, 0)
    largest, size = float(np.max(blur, initial=0.0)), np.where(np.isfinite(given), np.abs(given), 0)
    if not fits:
        return row, given, true, rtol * size + largest, largest
    # what is 0 but for rounding is judged by the rounding of all such entries: that of one alone may be small by luck
    lost = np.abs(true) < blur
    blur = np.where(lost, np.max(blur, where=lost, initial=0.0), blur)
    far = rtol * np.where(lost, size, np.maximum(size, np.abs(true))) + blur
    with np.errstate(all="ignore"):
        error = np.abs(given - true)
        beyond = np.where(np.isfinite(error), error - far, np.inf)
    at = tuple(map(int, np.unravel_index(int(np.argmax(beyond)), beyond.shape)))
    missed = ~(error <= far)
    kink = bool(missed.any()) and at_kink(prepared, quantity, given, far, missed, at)
    row = replace(row, index=at, given=float(given[at]), computed=float(true[at]), tolerance=float(far[at]))
    return replace(row, passed=kink or not missed.any(), kink=kink), given, true, far, largest


def _explained(prepared: Prepared, held: Sequence[Held], thorough: bool) -> Causes:
    """Why the arrays that differ do, as far as it can be found out."""
    finite = [one for one in held if np.all(np.isfinite(one[1]))]
    # the arrays of a program whose gradients are too large have the larger rounding, which counts for an explanation
    grown = 1.0
    for _, given, true, _, noise in finite:
        mine, largest = (float(np.max(np.abs(array), initial=0.0)) for array in (given, true))
        grown = max(grown, mine / largest if largest > noise else 0)
    more = min(grown, GROWN) - 1
    claims = [
        of_arrays(row.array, Name(row.quantity), [given], [far + more * noise], not row.passed)
        for row, given, _, far, noise in finite
    ]
    return causes(Scene(prepared, claims), thorough) if any(claim.wrong for claim in claims) else Causes()
