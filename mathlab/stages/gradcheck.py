"""Every entry of every parameter's gradient, held against derivatives that the forward equations alone give."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Array, Case, GradcheckSettings, Value
from mathlab.printed import judge
from mathlab.results import EntryCheck, GradcheckResult
from mathlab.stages.prepare import Prepared, evaluate, prepare
from mathlab.witnesses import SMALLEST_SLOPE, central_difference, complex_step_noise, one_sided

Floats = NDArray[np.float64]

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
    exact = prepared if case.dtype == "float64" else prepare(_widened(case))
    values = prepared.run()
    noise = rounding_noise(prepared, exact, values)
    entries: list[EntryCheck] = []
    numeric: dict[str, Array] = {}
    for name in checked(prepared):
        of_name = check_parameter(exact, name, _gradient(values, name), noise[name], settings)
        entries += of_name
        for witness, slopes in (
            ("central", [entry.central for entry in of_name]),
            ("complex", [entry.complex_step for entry in of_name]),
        ):
            numeric[f"{witness}_{name}"] = np.array(slopes, dtype=np.float64).reshape(values[name].shape)
    quantities = evaluate(settings.expected, prepared, {**values, **numeric})
    figures = tuple(
        judge(figure, quantity, stage="gradcheck")
        for figure, quantity in zip(settings.expected, quantities, strict=True)
    )
    return GradcheckResult(tuple(entries), figures)


def checked(prepared: Prepared) -> tuple[str, ...]:
    """The names whose gradient is checked, in the order of the config."""
    case = prepared.case
    floats = (name for name in case.inputs if np.issubdtype(prepared.env[name].dtype, np.floating))
    return tuple(case.parameters) or tuple(floats)


def check_parameter(
    exact: Prepared, name: str, derived: Floats, noise: Floats, settings: GradcheckSettings
) -> tuple[EntryCheck, ...]:
    """The verdict on every entry of `derived`, the gradient of `name`, against the witnesses of `exact`.

    `noise` is how far rounding moves `derived`; all arrays have the shape of `name`. Entries that would fail or be
    called a kink are tried once more with the noise of the complex step itself, which is dear to measure: a gradient
    whose terms cancel to 0 differs from it by what rounding leaves of them.
    """
    left, right = one_sided(exact.equations, exact.env, name, exact.upstream)
    central, resolution = central_difference(lambda env: _end(exact, env), exact.env, name, settings.step)
    entries = check_entries(name, derived, left, right, central, resolution, noise, settings.rtol)
    doubtful = np.array([not entry.passed or entry.verdict == "kink" for entry in entries], dtype=np.bool_)
    if not doubtful.any():
        return entries
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
) -> tuple[EntryCheck, ...]:
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
    return tuple(
        _check_entry(
            name,
            index,
            float(derived[index]),
            (float(complex_left[index]), float(complex_right[index])),
            float(central[index]),
            float(central_resolution[index]),
            MARGIN * float(noise[index]) + SMALLEST_SLOPE,
            0.0 if step_noise is None else MARGIN * float(step_noise[index]),
            rtol,
        )
        for index in np.ndindex(derived.shape)
    )


def _check_entry(
    name: str,
    index: tuple[int, ...],
    derived: float,
    slopes: tuple[float, float],
    central: float,
    central_resolution: float,
    resolution: float,
    step_resolution: float,
    rtol: float,
) -> EntryCheck:
    low, high = min(slopes), max(slopes)
    resolution += step_resolution
    kink = high - low > rtol * max(abs(low), abs(high)) + step_resolution
    # at a kink: the slope nearest to the derived one, or itself when it lies between them
    reference = against = min(high, max(low, derived)) if kink else slopes[1]
    if kink:
        resolution = min(resolution, SMALLEST_FAULT / 2 * max(abs(low), abs(high)))
    elif not np.isfinite(slopes).all():
        against = central
        resolution += central_resolution
    error = abs(derived - against)
    largest = max(abs(derived), abs(against))
    agrees = error <= rtol * largest + resolution or not np.isfinite(against)
    verdict: Literal["confirmed", "refuted", "inconclusive", "kink"]
    if not np.isfinite(derived):
        verdict, agrees = "refuted", False
    elif kink:
        verdict = "kink"
    elif not agrees:
        verdict = "refuted"
    elif error == largest == 0 or resolution <= SMALLEST_FAULT / 2 * abs(against) < np.inf:
        verdict = "confirmed"
    else:
        verdict = "inconclusive"
    return EntryCheck(
        parameter=name,
        index=index,
        derived=derived,
        complex_step=reference,
        central=central,
        resolution=resolution,
        absolute_error=error,
        relative_error=error / largest if largest else 0.0,
        verdict=verdict,
        passed=agrees,
    )


def rounding_noise(prepared: Prepared, exact: Prepared, values: Mapping[str, Array]) -> dict[str, Floats]:
    """For every name that is checked, how far rounding moves the entries of its derived gradient.

    It is the largest deviation among three kinds of rerun: with every value off by a unit in its last place as it is
    computed; with the parameters so (which decides the side of a kink where a sum cancels to 0 up to rounding); and,
    for a case in float32, in float64, where the deviation is the rounding itself.
    """
    rng = np.random.default_rng(0)
    names = checked(prepared)
    reruns: list[Mapping[str, Array]] = [prepared.shaken(rng) for _ in range(RUNS)]
    reruns += [prepared.run({name: _nudged(prepared.env[name], rng) for name in names}) for _ in range(RUNS)]
    reruns += [exact.run()] if exact is not prepared else []
    noise = {}
    with np.errstate(all="ignore"):
        for name in names:
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


def _end(prepared: Prepared, env: Mapping[str, Array]) -> float:
    """The end of the graph, weighted by its upstream gradient."""
    end = np.asarray(prepared.forward(env)[prepared.end], dtype=np.float64)
    upstream = 1.0 if prepared.upstream is None else np.asarray(prepared.upstream, dtype=np.float64)
    return float(np.sum(upstream * end))


def _widened(case: Case) -> Case:
    """The case in float64, at the numbers that float32 makes of its inputs."""

    def rounded(value: Value) -> Value:
        return dataclasses.replace(value, array=value.array.astype(np.float32).astype(np.float64))

    return dataclasses.replace(
        case,
        dtype="float64",
        inputs={name: rounded(value) for name, value in case.inputs.items()},
        parameters={name: rounded(value) for name, value in case.parameters.items()},
        upstream=case.upstream and rounded(case.upstream),
    )
