"""What the stages return: frozen records, from which tables and CSVs are made. Nothing here prints or computes."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, TypeVar

import numpy as np

from mathlab.errors import MathlabError, Place, refuse_unknown
from mathlab.experiment import Array, Case, Choice, Experiment
from mathlab.results.judged import (
    NOT_FINITE,
    EntryCheck,
    FigureResult,
    FormulaResult,
    NodeResult,
    Outcome,
    Share,
    WitnessResult,
)


class Tally(NamedTuple):
    """How many things were compared, and how many of them passed.

    The figures are those that were printed; what the config's author has worked out is counted apart.
    """

    figures: int = 0
    matched: int = 0
    errata: int = 0
    failed: int = 0
    worked_out: int = 0
    worked_out_matched: int = 0
    worked_out_failed: int = 0
    formulas: int = 0
    formula_errata: int = 0
    formulas_failed: int = 0
    entries: int = 0
    entries_refuted: int = 0
    entries_inconclusive: int = 0
    entries_nonfinite: int = 0
    entries_left: int = 0  # those that no sample has
    contradicted: int = 0  # gradients, by a witness
    runs: int = 0  # of sweeps
    runs_lost: int = 0  # those that left the finite numbers
    nonfinite: int = 0  # cases of which some number is not finite

    @property
    def compared(self) -> int:
        return self.figures + self.worked_out + self.formulas + self.entries

    @property
    def wrong(self) -> int:
        """Figures and formulas."""
        return self.failed + self.worked_out_failed + self.formulas_failed

    @property
    def passed(self) -> bool:
        return not (self.wrong or self.entries_refuted or self.entries_nonfinite or self.contradicted or self.nonfinite)

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]  # counts are added up, not strung together
        return Tally(*map(operator.add, self, other))


class StageResult:
    """What a stage found in a case, as everything that knows no stage by its name sees it."""

    @property
    def figures(self) -> Sequence[FigureResult]:
        return ()

    @property
    def first_nonfinite(self) -> str:
        """The first of its values that is not finite, and what made it so; empty where all are."""
        return ""

    @property
    def counts(self) -> Tally:
        """What was compared, beside the figures."""
        return Tally()

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Its numbers by name, the gradient of `W` as `dW`."""
        return {}


@dataclass(frozen=True, eq=False)  # a result is the same as itself alone: arrays have no truth value
class GradcheckResult(StageResult):
    """Every entry of every parameter, and the figures printed for the check itself.

    Of an array that is `sampled` not all entries are there; it has so many.
    """

    entries: Sequence[EntryCheck]
    figures: tuple[FigureResult, ...] = ()
    sampled: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, Sequence[EntryCheck]]:
        """The entries by their parameter."""
        return {name: [*group] for name, group in groupby(self.entries, lambda entry: entry.parameter)}

    @property
    def counts(self) -> Tally:
        verdicts = Counter[str](entry.verdict for entry in self.entries)
        seen = sum(entry.parameter in self.sampled for entry in self.entries)
        return Tally(
            entries=len(self.entries),
            entries_refuted=sum(not entry.passed for entry in self.entries) - verdicts[NOT_FINITE],
            entries_inconclusive=verdicts["inconclusive"],
            entries_nonfinite=verdicts[NOT_FINITE],
            entries_left=sum(self.sampled.values()) - seen,
        )

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The derived gradient of every parameter that was checked whole: the last entry's index tells its shape."""
        return {
            f"d{name}": np.reshape([entry.derived for entry in some], [last + 1 for last in some[-1].index])
            for name, some in self.parameters.items()
            if name not in self.sampled
        }


@dataclass(frozen=True, eq=False)
class TrainResult(StageResult):
    """`columns` are the training.csv columns in order, one entry per epoch from 0 (before the first update).

    `first_nonfinite` names the epoch and node where training left the finite numbers, when it did.
    """

    columns: Mapping[str, Array]
    parameters: Mapping[str, Array]
    figures: tuple[FigureResult, ...] = ()
    updates: int = 0
    first_nonfinite: str = ""

    @property
    def whole(self) -> Mapping[str, Array]:
        """The columns without those of entries, where there are others: W[0,0] is in W."""
        return {name: column for name, column in self.columns.items() if not name.endswith("]")} or self.columns

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The parameters after training, and what was reported of the last epoch."""
        last = {name: np.asarray(column[-1]) for name, column in self.whole.items() if len(column)}
        return {**last, **self.parameters}


@dataclass(frozen=True, eq=False)
class SweepResult(StageResult):
    """How the runs of a sweep end; everything has one entry per run.

    `settings` are what differs between them, by the config's key (None: as the config has it, in a run of another
    grid). `columns` are the reported quantities, entry by entry. `nonfinite` names the first of them, or the first
    parameter, that is no finite number. `stacked` counts the runs that were made many at a time.
    """

    settings: Mapping[str, tuple[Choice | None, ...]]
    columns: Mapping[str, Array]
    nonfinite: tuple[str, ...]
    stacked: int

    @property
    def ranked(self) -> list[int]:
        """The finite runs, that with the smallest first reported number first."""
        first = next(iter(self.columns.values()))
        return sorted((run for run, found in enumerate(self.nonfinite) if not found), key=lambda run: float(first[run]))

    @property
    def lost(self) -> list[int]:
        """The runs that left the finite numbers."""
        return [run for run, found in enumerate(self.nonfinite) if found]

    @property
    def first_nonfinite(self) -> str:
        """What the first run shows, where none stayed finite: to lose some is what sweeps are for."""
        return f"every run: {self.nonfinite[0]}, in the first" if self.lost and not self.ranked else ""

    @property
    def counts(self) -> Tally:
        return Tally(runs=len(self.nonfinite), runs_lost=len(self.lost))


@dataclass(frozen=True, eq=False)
class BackpropResult(StageResult):
    """The nodes in order (inputs, parameters, equations), the figures, the hand-derived formulas and the witnesses.

    `first_nonfinite` names the first value or gradient, in the order of computation, that is not finite, where one is.
    `shares` tell what each path contributes to the gradient of a name, computed when somebody asks for it.
    """

    nodes: tuple[NodeResult, ...]
    figures: tuple[FigureResult, ...] = ()
    formulas: tuple[FormulaResult, ...] = ()
    witnesses: tuple[WitnessResult, ...] = ()
    first_nonfinite: str = ""
    shares: Callable[[str], tuple[Share, ...]] = field(default=lambda name: (), repr=False)

    @property
    def counts(self) -> Tally:
        outcomes = Counter(formula.verdict.outcome for formula in self.formulas)
        contradicted = sum(witness.verdict == "contradicts" for witness in self.witnesses)
        told = {"formula_errata": outcomes["erratum"], "formulas_failed": outcomes["failed"]}
        return Tally(formulas=len(self.formulas), contradicted=contradicted, **told)

    @property
    def arrays(self) -> Mapping[str, Array]:
        both = (pair for n in self.nodes for pair in ((n.name, n.value), (f"d{n.name}", n.gradient)))
        return {name: array for name, array in both if array is not None}


R = TypeVar("R")


class CaseResult(NamedTuple):
    """What ran for one case: the results of its stages by their names, in the order of the table of stages."""

    case: str
    dtype: str
    stages: Mapping[str, StageResult] = {}

    def found(self, stage: str, kind: type[R]) -> R | None:
        """The result of a stage, which is of this `kind`; None where it did not run."""
        result = self.stages.get(stage)
        return result if isinstance(result, kind) else None

    def having(self, **stages: StageResult | None) -> CaseResult:
        """The same with other results of some stages."""
        return self._replace(stages={**self.stages, **{name: result for name, result in stages.items() if result}})

    @property
    def figures(self) -> tuple[FigureResult, ...]:
        """Those of every stage that ran."""
        return tuple(figure for stage in self.stages.values() for figure in stage.figures)

    @property
    def nonfinite(self) -> dict[str, str]:
        """What is not finite, and why, by the stage that shows it."""
        return {name: stage.first_nonfinite for name, stage in self.stages.items() if stage.first_nonfinite}

    @property
    def backprop(self) -> BackpropResult | None:
        return self.found("backprop", BackpropResult)

    @property
    def gradcheck(self) -> GradcheckResult | None:
        return self.found("gradcheck", GradcheckResult)

    @property
    def train(self) -> TrainResult | None:
        return self.found("train", TrainResult)

    @property
    def sweep(self) -> SweepResult | None:
        return self.found("sweep", SweepResult)


@dataclass(frozen=True)
class ExperimentResult:
    """What ran for a config, case by case."""

    experiment: Experiment
    cases: tuple[CaseResult, ...]

    def of(self, name: str, place: Place | None = None) -> tuple[Case, CaseResult]:
        """A case, and what ran for it. Raises MathlabError where there is no such case, and where it did not run."""
        cases = {case.name: case for case in self.experiment.cases}
        refuse_unknown("case", name, cases, place)
        for ran in self.cases:
            if ran.case == name:
                return cases[name], ran
        raise MathlabError(f"case {name!r} did not run", place)


def tally(result: ExperimentResult | CaseResult) -> Tally:
    """The counts behind the last line of a report and behind the exit code."""
    if isinstance(result, ExperimentResult):
        return sum(map(tally, result.cases), Tally())
    printed, worked_out = Counter[Outcome](), Counter[Outcome]()
    for figure in result.figures:
        counted = worked_out if figure.worked_out else printed
        counted.update(entry.verdict.outcome for entry in figure.entries)
    figures = Tally(
        figures=printed.total(),
        matched=printed["passed"],
        errata=printed["erratum"],
        failed=printed["failed"],
        worked_out=worked_out.total(),
        worked_out_matched=worked_out.total() - worked_out["failed"],
        worked_out_failed=worked_out["failed"],
        nonfinite=int(bool(result.nonfinite)),
    )
    return sum((stage.counts for stage in result.stages.values()), figures)
