"""Every entry of every parameter's gradient, held against derivatives that the forward equations alone give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array, Case, GradcheckSettings
from mathlab.language.ops import OPS
from mathlab.language.program import one_op
from mathlab.language.syntax import Call, Name
from mathlab.printed import judge
from mathlab.results import GradcheckResult
from mathlab.results.judged import NOT_FINITE, EntryCheck
from mathlab.stages import limits
from mathlab.stages.noise import MARGIN, RUNS, in_float64, noises, rounding_noise
from mathlab.stages.prepare import Prepared, evaluate, prepare
from mathlab.stages.table import Report
from mathlab.witnesses.central import Differences, widths
from mathlab.witnesses.graph import run as run_equations
from mathlab.witnesses.graph import whole
from mathlab.witnesses.reference import Floats, Mask
from mathlab.witnesses.steps import ROUNDINGS, SMALLEST_SLOPE, ComplexStep, end_noise

PROGRAM = {name: one_op(name) for name, op in OPS.items() if op.numpy}  # what the program computes, op by op
BYTES = 2_000  # of what is kept and written of an entry
WRITTEN = 1.1e-5  # seconds for the verdict on an entry, the record of it, and its line in a file,
RERUNS = 40  # runs of the program; the 17 that show what rounding does also draw random numbers,
STEPS = 6  # times as long as an op takes: a complex step and two real ones of some entries of an argument of it,
MOVED = 2e-5  # and for setting out on each,
ALONE = 6  # and so many forward passes for an entry that is run through the whole graph
VERDICTS = np.array([NOT_FINITE, "kink", "refuted", "confirmed", "inconclusive"], dtype=object)
SAMPLE = 10_000  # entries, of those of a check that would take too long or too much memory;
LEAST = 100  # of each array at least so many, or all
SMALLEST_FAULT = 5e-4  # relative: an entry is confirmed only where a fault of this size would have been refuted


def run(case: Case, progress: Report | None = None) -> GradcheckResult:
    """The gradient check of one case, and the figures printed for it.

    Checked are the parameters, or the inputs that are not class indices where there are no parameters. Figures may
    mention `central_<name>` and `complex_<name>` beside the nodes and gradients. Where a check of all entries takes
    longer or more memory than it may, and no figure is printed for it, a sample is checked, the same in every run.

    `progress` is told, array by array, (entries checked, entries in all, None).

    Raises MathlabError for a case that cannot be prepared or evaluated, and for a figure that does not fit.
    """
    settings = case.gradcheck or GradcheckSettings()
    prepared = prepare(case)
    # The witnesses work in float64 whatever the case's dtype is, at the numbers that the case really has.
    witnesses = Witnesses.of(in_float64(prepared), settings.step)
    try:
        checks = _checks(prepared, witnesses, settings, progress)
    except limits.TooLarge:
        witnesses = replace(witnesses, among=sample(witnesses.exact))
        if settings.expected or not witnesses.among:
            raise
        checks = _checks(prepared, witnesses, settings, progress)
    values = prepared.run()
    for name, found in [*checks.items()] if settings.expected else ():
        values[f"central_{name}"] = np.reshape([entry.central for entry in found], values[name].shape)
        values[f"complex_{name}"] = np.reshape([entry.complex_step for entry in found], values[name].shape)
    quantities = evaluate(settings.expected, prepared, values)
    noise = noises(settings.expected, prepared, values, own=witnesses.rounding)
    judged = zip(settings.expected, quantities, noise, strict=True)
    figures = tuple(judge(figure, value, stage="gradcheck", noise=measure) for figure, value, measure in judged)
    sampled = {name: among.size for name, among in witnesses.among.items()}
    return GradcheckResult([entry for found in checks.values() for entry in found], figures, sampled)


def _checks(
    prepared: Prepared, witnesses: Witnesses, settings: GradcheckSettings, progress: Report | None
) -> dict[str, list[EntryCheck]]:
    """The verdicts, array by array; raises limits.TooLarge for too many."""
    witnesses.permit(witnesses.measuring())
    values = prepared.run()
    noise = rounding_noise(prepared, [f"d{name}" for name in checked(prepared)])
    found: dict[str, list[EntryCheck]] = {}
    done, total = 0, sum(map(witnesses.count, checked(prepared)))
    for name in checked(prepared):
        if progress:
            progress(done, total, None)
        # where no gradient flows, zeros for the witnesses to confirm or refute
        derived = np.asarray(values.get(f"d{name}", np.zeros(values[name].shape)), np.float64)
        found[name] = check_parameter(witnesses, name, derived, noise[f"d{name}"], settings.rtol)
        done += witnesses.count(name)
    return found


def sample(exact: Prepared) -> dict[str, Mask]:
    """Which entries of every checked array are in the sample, drawn by a fixed seed; nothing where all would be."""
    rng = np.random.default_rng(0)
    masks = {name: np.zeros(np.shape(exact.env[name]), np.bool_) for name in checked(exact)}
    total = sum(mask.size for mask in masks.values())
    for mask in masks.values():
        drawn = rng.choice(mask.size, min(mask.size, max(LEAST, mask.size * SAMPLE // total)), replace=False)
        mask.flat[drawn] = True
    return masks if total > SAMPLE else {}


def checked(prepared: Prepared) -> tuple[str, ...]:
    """The names whose gradient is checked, in the order of the config."""
    case = prepared.case
    floats = (name for name in case.inputs if np.issubdtype(prepared.env[name].dtype, np.floating))
    return tuple(case.parameters) or tuple(floats)


class Measured(NamedTuple):
    """What the witnesses say of every entry of an array: the slopes to both sides, by the complex step, and the central
    difference.

    `of_slopes` is what rounding may do to the complex step while all values stay as they are, and with them the side of
    a kink; `of_values` what it may do when they do not.
    """

    left: Floats
    right: Floats
    central: Floats
    of_slopes: Floats = np.zeros(())
    of_values: Floats = np.zeros(())


@dataclass(frozen=True)
class Witnesses:
    """The complex step by the witnesses' own definitions, and the central difference by those of the program.

    `among` says which entries of an array are checked; it does not name those of which all are.
    What one parameter's check finds out about the nodes is kept for the next.
    """

    exact: Prepared
    complex: ComplexStep
    differences: Differences
    among: Mapping[str, Mask] = field(default_factory=dict)

    @classmethod
    def of(cls, exact: Prepared, step: float | None = None) -> Witnesses:
        """Those of a case in float64."""
        names, values = checked(exact), run_equations(exact.equations, exact.env)
        stepped = ComplexStep(whole(exact.equations, values, exact.upstream), names)
        end = partial(end_value, exact)
        return cls(exact, stepped, Differences(stepped, PROGRAM, end, exact.env, step))

    def measured(self, name: str) -> Measured:
        """Raises MathlabError where too many entries are at a kink."""
        exact, among = self.exact, self.among.get(name, True)

        def permitted(entries: int) -> None:
            """So many entries, at a kink or few, are to be run one by one."""
            self.permit(entries * ALONE * (MOVED * len(exact.equations) + exact.cost.seconds))

        sides = self.complex.both_sides(name, permitted, among)
        return Measured(*sides, self.differences.of(name, permitted, among))

    def noise(self, name: str) -> tuple[Floats, Floats]:
        """That of the complex step, for all entries: of slopes alone, and of values too."""
        self.permit(2 * ROUNDINGS * self.measuring())
        of_slopes, of_values = (self.complex.noise(name, values, np.random.default_rng(0)) for values in (False, True))
        return of_slopes, of_values

    def rounding(self) -> dict[str, Floats]:
        """How far rounding moves what figures call `central_<name>` and `complex_<name>`."""
        exact, differences, found = self.exact, self.differences, dict[str, Floats]()
        end = max(np.spacing(abs(differences.end(exact.env))), end_noise(exact.equations, exact.env, exact.upstream))
        for name in checked(exact):
            found[f"central_{name}"] = end / widths(np.asarray(exact.env[name]), differences.step)
            found[f"complex_{name}"] = self.noise(name)[1]
        return found

    def measuring(self) -> float:
        """The seconds that measuring all slopes once takes."""
        shapes = {name: np.shape(value) for name, value in self.complex.divided.values.items()}
        seconds = 0.0
        for equation, count in self.complex.work():
            if isinstance(equation.expr, Call):
                read = [shapes.get(arg.id, ()) for arg in equation.expr.args if isinstance(arg, Name)]
                once = limits.work(equation.expr.op, shapes[equation.name], tuple(read) or ((),))[0]
                seconds += count * STEPS * (MOVED + once)
        return seconds

    def count(self, name: str) -> int:
        """How many entries of an array are checked."""
        return int(np.count_nonzero(np.broadcast_to(self.among.get(name, True), np.shape(self.exact.env[name]))))

    def permit(self, seconds: float) -> None:
        """Raise limits.TooLarge when a check of so many seconds, beside what every check takes, is more than may be."""
        entries = sum(map(self.count, checked(self.exact)))
        cost, case = self.exact.cost, self.exact.case
        cost = cost._replace(seconds=seconds + RERUNS * cost.seconds + entries * WRITTEN)
        limits.check(case, "the gradient check", cost, 1, 2 * RUNS, case.place, each=entries * BYTES)


def check_parameter(witnesses: Witnesses, name: str, derived: Floats, noise: Floats, rtol: float) -> list[EntryCheck]:
    """The verdict on every entry of `derived`, the gradient of `name`, against the witnesses.

    `noise` is how far rounding moves `derived`; all arrays have the shape of `name`. Where an entry would fail or be
    called a kink, all are tried once more with the noise of the complex step itself, which is dear to measure: it
    loses digits too, where terms cancel.
    """
    measured, among = witnesses.measured(name), witnesses.among.get(name, True)
    entries = check_entries(name, derived, noise, measured, rtol, among)
    if all(entry.passed and entry.verdict != "kink" for entry in entries):
        return entries
    return check_entries(name, derived, noise, Measured(*measured[:3], *witnesses.noise(name)), rtol, among)


def check_entries(
    name: str, derived: Floats, noise: Floats, measured: Measured, rtol: float, among: Mask | bool = True
) -> list[EntryCheck]:
    """The verdict on every entry `among` those of the gradient of `name`, in C order. All arrays have its shape.

    With d derived, c complex step, s = MARGIN * its noise, r = MARGIN * the noise of d + s:

    - not finite: d is nan or infinite;
    - refuted: |d - c| > rtol * max(|d|, |c|) + r;
    - confirmed: not refuted, and r so small that a fault of SMALLEST_FAULT would have been; or both are exactly 0;
    - inconclusive: anything else, and all where c is not finite. The check cannot tell a fault from rounding here;
    - kink: the slopes to both sides differ by more than rtol and what rounding does to slopes. It passes when d lies
      between them, up to the bound above with an r of at most half a SMALLEST_FAULT: rounding decides on which side a
      rerun falls, and that is no noise to allow.
    """
    among = np.broadcast_to(among, derived.shape)
    arrays = (np.broadcast_to(array, derived.shape)[among] for array in (derived, noise, *measured))
    d, rounded, left, right, center, of_slopes, of_values = arrays
    blur = MARGIN * of_slopes
    with np.errstate(all="ignore"):
        resolution = MARGIN * rounded + SMALLEST_SLOPE + np.fmax(blur, MARGIN * of_values)
        low, high = np.fmin(left, right), np.fmax(left, right)
        steepest = np.fmax(np.abs(low), np.abs(high))
        kink = high - low > rtol * steepest + blur
        # at a kink: the slope nearest to the derived one, or itself when it lies between them; else both are alike
        reference = np.where(kink, np.fmin(high, np.fmax(low, d)), np.where(np.isfinite(left), right, np.nan))
        resolution = np.where(kink, np.fmin(resolution, SMALLEST_FAULT / 2 * steepest), resolution)
        error = np.abs(d - reference)
        largest = np.maximum(np.abs(d), np.abs(reference))
        finite = np.isfinite(d)
        agrees = finite & ((error <= rtol * largest + resolution) | ~np.isfinite(reference))
        told = (resolution <= SMALLEST_FAULT / 2 * np.abs(reference)) & np.isfinite(reference)
        verdicts = np.select([~finite, kink, ~agrees, (largest == 0) | told], [0, 1, 2, 3], 4)
        relative = np.where(largest != 0, error / largest, 0.0)
    numbers = (d, reference, center, resolution, error, relative, VERDICTS[verdicts], agrees)
    columns = (array.tolist() for array in numbers)
    return [*map(EntryCheck, repeat(name), map(tuple, np.argwhere(among).tolist()), *columns)]


def end_value(prepared: Prepared, env: Mapping[str, Array]) -> float:
    """The end of the graph, weighted by its upstream gradient."""
    end = np.asarray(prepared.forward(env)[prepared.end], dtype=np.float64)
    upstream = 1.0 if prepared.upstream is None else np.asarray(prepared.upstream, dtype=np.float64)
    return float(np.sum(upstream * end))
