"""Every entry of every parameter's gradient, held against derivatives that the forward equations alone give."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array, Case, GradcheckSettings, Value
from mathlab.language.cost import Cost
from mathlab.language.functions import FUNCTIONS
from mathlab.printed import judge
from mathlab.results import EntryChecks, GradcheckResult
from mathlab.stages import checkcost, limits
from mathlab.stages.prepare import Prepared, evaluate, prepare
from mathlab.witnesses import SMALLEST_SLOPE, central_difference, complex_step_noise
from mathlab.witnesses.arrays import numbers
from mathlab.witnesses.central import Differences
from mathlab.witnesses.divided import divided
from mathlab.witnesses.evaluation import run as run_equations
from mathlab.witnesses.graph import whole
from mathlab.witnesses.numeric import both_sides
from mathlab.witnesses.stacked import with_values
from mathlab.witnesses.superposed import Responses

Floats = NDArray[np.float64]

BYTES = 2_000  # of what is kept and written of an entry
VERDICTS = np.array(["refuted", "kink", "confirmed", "inconclusive"], dtype=object)
RUNS = 8  # of the shaken program, and as many at shaken parameters; seeded, so that a verdict never changes
MARGIN = 8  # times the largest deviation among those runs: what rounding may do
SMALLEST_FAULT = 5e-4  # relative: an entry is confirmed only where a fault of this size would have been refuted


def run(case: Case) -> GradcheckResult:
    """The gradient check of one case, and the figures printed for it.

    Checked are the parameters, or the inputs that are not class indices where there are no parameters. Figures may
    mention `central_<name>` and `complex_<name>` beside the nodes and gradients.

    Raises MathlabError for a case that cannot be prepared or evaluated, and for a figure that does not fit.
    """
    settings = case.gradcheck or GradcheckSettings()
    prepared = prepare(case)
    # The witnesses work in float64 whatever the case's dtype is, at the numbers that the case really has.
    exact = prepared if case.dtype == "float64" else prepare(widened(case))
    count = sum(np.size(exact.env[name]) for name in checked(exact))
    _permitted(case, checkcost.least(exact, count), count)
    witnesses = Witnesses.of(exact)
    _permitted(case, checkcost.of(exact, checked(exact), witnesses.differences, witnesses.responses.smooth), count)
    values = prepared.run()
    noise = rounding_noise(prepared, exact, values)
    checks = {
        name: check_parameter(exact, name, _gradient(values, name), noise[name], settings, witnesses)
        for name in checked(prepared)
    }
    numeric: dict[str, Array] = {}
    for name, found in checks.items() if settings.expected else ():
        for witness, slopes in (("central", found.central), ("complex", found.complex_step)):
            numeric[f"{witness}_{name}"] = np.array(slopes, dtype=np.float64).reshape(values[name].shape)
    quantities = evaluate(settings.expected, prepared, {**values, **numeric})
    figures = tuple(
        judge(figure, quantity, stage="gradcheck")
        for figure, quantity in zip(settings.expected, quantities, strict=True)
    )
    return GradcheckResult(EntryChecks.joined([*checks.values()]), figures)


def _permitted(case: Case, cost: Cost, entries: int) -> None:
    """Raise MathlabError when a check of so many entries takes more than the case may."""
    limits.check(case, "the gradient check", cost, 1, 2 * RUNS, case.place, each=entries * BYTES)


def checked(prepared: Prepared) -> tuple[str, ...]:
    """The names whose gradient is checked, in the order of the config."""
    case = prepared.case
    floats = (name for name in case.inputs if np.issubdtype(prepared.env[name].dtype, np.floating))
    return tuple(case.parameters) or tuple(floats)


@dataclass(frozen=True)
class Witnesses:
    """The complex step by the witnesses' own definitions, and the central difference by those of the program.

    What one parameter's check finds out about the nodes is kept for the next.
    """

    responses: Responses
    differences: Differences

    @classmethod
    def of(cls, exact: Prepared) -> Witnesses:
        """Those of a case in float64."""
        equations = divided(exact.equations)
        graph = whole(equations, run_equations(equations, exact.env), exact.upstream)
        values = {name: numbers(value) for name, value in {**exact.env, **exact.forward(exact.env)}.items()}
        own = with_values(FUNCTIONS, equations, values)
        differences = Differences(dataclasses.replace(graph, values=own), FUNCTIONS, lambda env: end_value(exact, env))
        return cls(Responses(graph, checked(exact)), differences)


def check_parameter(
    exact: Prepared,
    name: str,
    derived: Floats,
    noise: Floats,
    settings: GradcheckSettings,
    witnesses: Witnesses | None = None,
) -> EntryChecks:
    """The verdict on every entry of `derived`, the gradient of `name`, against the witnesses of `exact`.

    `noise` is how far rounding moves `derived`; all arrays have the shape of `name`. Entries that would fail or be
    called a kink are tried once more with the noise of the complex step itself, which is dear to measure: a gradient
    whose terms cancel to 0 differs from it by what rounding leaves of them.
    """
    witnesses = witnesses or Witnesses.of(exact)
    left, right = both_sides(witnesses.responses.graph.seen_from(name), witnesses.responses)
    central, resolution = central_difference(
        lambda env: end_value(exact, env),
        exact.env,
        name,
        settings.step,
        lambda points: witnesses.differences.of(name, points),
        resolved=not np.isfinite([left, right]).all(),  # nothing else asks for the resolution
    )
    entries = check_entries(name, derived, left, right, central, resolution, noise, settings.rtol)
    if all(entries.passed) and "kink" not in entries.verdict:
        return entries
    doubtful = ~np.array(entries.passed) | (np.array(entries.verdict) == "kink")
    step_noise = complex_step_noise(
        exact.equations, exact.env, name, exact.upstream, doubtful.reshape(derived.shape), np.random.default_rng(0)
    )
    return check_entries(name, derived, left, right, central, resolution, noise, settings.rtol, step_noise)


def check_entries(
    name: str,
    derived: Floats,
    complex_left: Floats,
    complex_right: Floats,
    central: Floats,
    central_resolution: Floats,
    noise: Floats,
    rtol: float,
    step_noise: Floats | None = None,
) -> EntryChecks:
    """The verdict on every entry of the gradient of `name`, in C order. All arrays have the shape of `name`.

    `complex_left` and `complex_right` are the one-sided slopes of the complex step, the same but at a kink; `noise` is
    how far rounding moves the derived gradient, and `step_noise` how far it moves the slopes (not at all when None).
    With d derived, c complex step, s = MARGIN * step_noise, r = MARGIN * noise + s:

    - refuted: |d - c| > rtol * max(|d|, |c|) + r, or d is not finite;
    - confirmed: not refuted, and r so small that a fault of SMALLEST_FAULT would have been; or both are exactly 0;
    - inconclusive: anything else. The check cannot tell a fault from rounding here, and says so;
    - kink: the slopes differ by more than rtol and s. It passes when d lies between them, up to the bound above with an
      r of at most half a SMALLEST_FAULT: rounding decides on which side a rerun falls, and that is no noise to allow.

    Where the complex step is not finite, the central difference stands in for it, with its own resolution added to r.
    """
    shape, size = derived.shape, derived.size
    d, left, right, center = (array.ravel() for array in (derived, complex_left, complex_right, central))
    noise_of_step = np.zeros(size) if step_noise is None else MARGIN * step_noise.ravel()
    with np.errstate(all="ignore"):
        resolution = MARGIN * noise.ravel() + SMALLEST_SLOPE + noise_of_step
        low, high = _smaller(left, right), _larger(left, right)
        steepest = _larger(np.abs(low), np.abs(high))
        kink = high - low > rtol * steepest + noise_of_step
        # at a kink: the slope nearest to the derived one, or itself when it lies between them
        reference = np.where(kink, _smaller(high, _larger(low, d)), right)
        stands_in = ~kink & ~(np.isfinite(left) & np.isfinite(right))
        against = np.where(stands_in, center, reference)
        resolution = np.where(stands_in, resolution + central_resolution.ravel(), resolution)
        resolution = np.where(kink, _smaller(resolution, SMALLEST_FAULT / 2 * steepest), resolution)
        error = np.abs(d - against)
        largest = _larger(np.abs(d), np.abs(against))
        finite = np.isfinite(d)
        agrees = finite & ((error <= rtol * largest + resolution) | ~np.isfinite(against))
        told = (resolution <= SMALLEST_FAULT / 2 * np.abs(against)) & np.isfinite(against)
        verdicts = np.select([~finite, kink, ~agrees, (largest == 0) | told], [0, 1, 0, 2], 3)
        relative = np.where(largest != 0, error / largest, 0.0)
    return EntryChecks(
        parameter=[name] * size,
        indices=list(itertools.product(*map(range, shape))),
        derived=d.tolist(),
        complex_step=reference.tolist(),
        central=center.tolist(),
        resolution=resolution.tolist(),
        absolute_error=error.tolist(),
        relative_error=relative.tolist(),
        verdict=VERDICTS[verdicts].tolist(),
        passed=agrees.tolist(),
    )


# of two numbers one of which is NaN, the first: so the NaN of a slope to the right does not hide the one to the left


def _smaller(a: Floats, b: Floats) -> Floats:
    return np.where(b < a, b, a)


def _larger(a: Floats, b: Floats) -> Floats:
    return np.where(b > a, b, a)


def rounding_noise(
    prepared: Prepared, exact: Prepared, values: Mapping[str, Array], names: Sequence[str] | None = None
) -> dict[str, Floats]:
    """How far rounding moves the entries of the derived gradients of `names`: those that are checked, unless given.

    It is the largest deviation among three kinds of rerun: with every value off by a unit in its last place as it is
    computed; with the parameters so (which decides the side of a kink where a sum cancels to 0 up to rounding); and,
    for a case in float32, in float64, where the deviation is the rounding itself.
    """
    rng = np.random.default_rng(0)
    moved = checked(prepared)
    reruns: list[Mapping[str, Array]] = [prepared.shaken(rng) for _ in range(RUNS)]
    reruns += [prepared.run({name: _nudged(prepared.env[name], rng) for name in moved}) for _ in range(RUNS)]
    reruns += [exact.run()] if exact is not prepared else []
    noise = {}
    with np.errstate(all="ignore"):
        for name in moved if names is None else names:
            deviations = np.abs(np.stack([_gradient(rerun, name) for rerun in reruns]) - _gradient(values, name))
            # a maximum that is shaken equals no entry any more: such a rerun is nan, and says nothing of rounding
            told = ~np.isnan(deviations)
            noise[name] = np.where(told.any(axis=0), np.max(np.where(told, deviations, 0.0), axis=0), np.inf)
    return noise


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    """Every entry one unit in the last place, or about that, up or down."""
    exact = np.asarray(array, dtype=np.float64)
    eps = float(np.finfo(array.dtype.name).eps)
    return np.asarray(exact * (1 + eps * rng.choice([-1.0, 1.0], exact.shape)), dtype=array.dtype)


def _gradient(values: Mapping[str, Array], name: str) -> Floats:
    """The derived gradient of `name`; where none flows to it, zeros for the witnesses to confirm or refute."""
    return np.asarray(values.get(f"d{name}", np.zeros(values[name].shape)), dtype=np.float64)


def end_value(prepared: Prepared, env: Mapping[str, Array]) -> float:
    """The end of the graph, weighted by its upstream gradient."""
    end = np.asarray(prepared.forward(env)[prepared.end], dtype=np.float64)
    upstream = 1.0 if prepared.upstream is None else np.asarray(prepared.upstream, dtype=np.float64)
    return float(np.sum(upstream * end))


def widened(case: Case) -> Case:
    """The case in float64, at the numbers that float32 makes of its inputs."""

    def rounded(value: Value) -> Value:
        return dataclasses.replace(value, array=value.bound("float32").astype(np.float64), divided_by=1.0)

    return dataclasses.replace(
        case,
        dtype="float64",
        inputs={name: rounded(value) for name, value in case.inputs.items()},
        parameters={name: rounded(value) for name, value in case.parameters.items()},
        upstream=case.upstream and rounded(case.upstream),
    )
