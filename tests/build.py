"""Cases made from plain Python values, as the tests write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mathlab import plan
from mathlab.experiment import Array, Case, Figure, GradcheckSettings, HandFormula, PrintedNumber, TrainSettings, Value
from mathlab.language import read
from mathlab.language.equation import Equation
from mathlab.language.syntax import names
from mathlab.results import (
    BackpropResult,
    CaseResult,
    ExperimentResult,
    GradcheckResult,
    StageResult,
    SweepResult,
    TrainResult,
)
from mathlab.stages.gradcheck import Witnesses
from mathlab.stages.prepare import Prepared
from mathlab.stages.table import Progress
from mathlab.witnesses.reference import Floats
from mathlab.witnesses.table import WITNESSES


def value(array: ArrayLike) -> Value:
    """A value as a config would give it: integral when every entry is a whole number."""
    floats = np.array(array, np.float64)
    return Value(floats, integral=bool(np.all(floats == np.round(floats))))


def complex_step(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> Floats:
    """The gradient as that witness has it."""
    return WITNESSES["complex"].measure(equations, env, wrt, seed)[0]


def sampled(text: str) -> dict[str, tuple[int, ...]]:
    """The names in a sample call of an op, and the shapes that they have: x23 has two rows and three columns."""
    return {name: tuple(map(int, name[1:])) for name in names(read(text))}


def equation(name: str, text: str) -> Equation:
    return Equation(name, read(text), text)


def figure(key: str, *printed: str, shape: tuple[int, ...] = ()) -> Figure:
    return Figure(key, read(key), key, printed=tuple(map(PrintedNumber, printed)), shape=shape)


def case(
    equations: Mapping[str, str],
    parameters: Mapping[str, ArrayLike],
    inputs: Mapping[str, ArrayLike] | None = None,
    *,
    dtype: Literal["float64", "float32"] = "float64",
    upstream: ArrayLike | None = None,
    derivation: Mapping[str, str] | None = None,
    expected: tuple[Figure, ...] = (),
    train: TrainSettings | None = None,
    gradcheck: GradcheckSettings | None = None,
) -> Case:
    return Case(
        name="base",
        dtype=dtype,
        inputs={name: value(array) for name, array in (inputs or {}).items()},
        parameters={name: value(array) for name, array in parameters.items()},
        equations=tuple(equation(name, text) for name, text in equations.items()),
        upstream=None if upstream is None else value(upstream),
        derivation=tuple(HandFormula(name, read(text), text) for name, text in (derivation or {}).items()),
        expected=expected,
        train=train,
        gradcheck=gradcheck,
    )


def case_result(name: str, dtype: str, *results: StageResult) -> CaseResult:
    """What ran for a case, in the order of the table of stages."""
    kinds = {"backprop": BackpropResult, "gradcheck": GradcheckResult, "train": TrainResult, "sweep": SweepResult}
    found = {stage: result for stage, kind in kinds.items() for result in results if isinstance(result, kind)}
    return CaseResult(name, dtype, found)


def remembering(exact: Prepared) -> Witnesses:
    """The witnesses of a gradient check, which look at each parameter once: for many faults in its gradient."""
    witnesses = Witnesses.of(exact)
    for question in ("measured", "noise"):
        object.__setattr__(witnesses, question, cache(getattr(witnesses, question)))
    return witnesses


MADE: dict[object, ExperimentResult] = {}


def once(planned: plan.Plan, progress: Progress) -> ExperimentResult:
    """What `plan.results` gives, kept: for tests that tell the results of a config in many ways."""
    steps = tuple((case.name, *stages) for case, stages in planned.steps)
    key = (planned.experiment.path, planned.experiment.sha256, planned.witnesses, steps)
    if key not in MADE:
        MADE[key] = RESULTS(planned, progress)
    return MADE[key]


RESULTS = plan.results  # itself, wherever `once` stands in its place
