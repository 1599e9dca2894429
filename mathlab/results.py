"""What the stages return: frozen records, from which tables and CSVs are made. Nothing here prints or computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Literal, overload

from mathlab.errors import Place
from mathlab.experiment import Array, Choice, Experiment

Role = Literal["input", "parameter", "node"]
EntryVerdict = Literal["confirmed", "refuted", "inconclusive", "kink", "not finite"]
NOT_FINITE = "not finite"  # the verdict on what is no number, beside which nothing can be held


@dataclass(frozen=True)
class Part:
    """A named piece of a gradient: an upstream gradient inside an equation that is read more than once."""

    name: str
    equation: str
    value: Array


@dataclass(frozen=True)
class Share:
    """What the equation `reader` hands back to a name that it reads: a part of its gradient, of the name's shape.

    `factors` are the reader's own gradient ("upstream") and the local derivative ("local") where the share is, entry by
    entry, their product; elsewhere (a matrix product, a sum) there are none. `fused` names the equations that are taken
    together with the reader in the stable form: their path is a part of this one.
    """

    reader: str
    equation: str
    value: Array
    factors: tuple[Part, ...] = ()
    fused: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeResult:
    """One node of the graph: its value, its gradient (same shape; None where none is derived), and their equations.

    `parts` are the pieces, named `d<name>_1` and so on, by which the gradient passes on through the node's equation;
    `stores` names the forward values that this takes; `reads` are the names in the node's own equation, and `readers`
    the equations that hand a share of its gradient back to it.
    `note` says why there is no gradient where a reader would look for one.
    """

    name: str
    role: Role
    value: Array
    equation: str = ""
    gradient: Array | None = None
    gradient_equation: str = ""
    stores: tuple[str, ...] = ()
    note: str = ""
    parts: tuple[Part, ...] = ()
    reads: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """`label` is one of match, truncated, off by k, differs, erratum confirmed, erratum refuted, rounded."""

    label: str
    passed: bool


@dataclass(frozen=True)
class Judged:
    """One printed number held against the computed one.

    `shown` is the computed value written to as many digits as were printed; `error` = computed - printed and
    `tolerance` are exact decimals (None where the computed value is not finite).
    """

    printed: str
    computed: float
    shown: str
    error: Decimal | None
    tolerance: Decimal
    verdict: Verdict
    place: Place | None = None


@dataclass(frozen=True)
class FigureResult:
    """A figure's entries in C order.

    `stage` is backprop, gradcheck or train; `updates` counts the updates made before it, in training. One that
    is `worked_out` was never printed: whoever wrote the config has worked it out. Where it differs,
    `diagnosis` says why, if that could be found out, and `first_divergence` names the earliest figure that differs too.
    """

    key: str
    stage: str
    shape: tuple[int, ...]
    entries: tuple[Judged, ...]
    updates: int | None = None
    erratum: str = ""
    at: str = ""
    because: str = ""
    worked_out: bool = False
    diagnosis: str = ""
    first_divergence: str = ""

    @property
    def passed(self) -> bool:
        return all(entry.verdict.passed for entry in self.entries)


@dataclass(frozen=True)
class FormulaResult:
    """A hand-derived formula beside the derived gradient: the largest absolute difference and what was allowed.

    One with an `erratum` passes while it differs.
    """

    name: str
    formula: str
    derived: str
    error: float
    tolerance: float
    passed: bool
    message: str = ""
    place: Place | None = None
    at: str = ""
    erratum: str = ""
    diagnosis: str = ""

    @property
    def agrees(self) -> bool:
        return self.error <= self.tolerance

    @property
    def label(self) -> str:
        """The verdict in words, as in `Verdict`."""
        if self.passed:
            return "erratum confirmed" if self.erratum else "agrees"
        if math.isnan(self.error):
            return NOT_FINITE
        return "erratum refuted" if self.erratum and self.agrees else "differs"


@dataclass(frozen=True)
class WitnessResult:
    """The gradient of `name` beside what a witness says: the worst entry's disagreement.

    It is `relative` to the larger of the two, and in units in the last place of that (`ulp`); None where there is no
    finite number to compare. `message` says why a witness was skipped.
    """

    name: str
    witness: str
    relative: float | None
    ulp: float | None
    verdict: Literal["agrees", "contradicts", "kink", "inconclusive", "skipped", "not finite"]
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.verdict not in ("contradicts", NOT_FINITE)


@dataclass(frozen=True)
class EntryCheck:
    """One entry of one parameter's gradient, held against the witnesses.

    `complex_step` and `central` are the two numeric derivatives; `resolution` is the smallest error that the comparison
    can tell from rounding; `verdict` is confirmed, refuted, inconclusive, kink (which passes when the derived value
    lies between the one-sided slopes) or, of a derived value that is nan or infinite, not finite.
    """

    parameter: str
    index: tuple[int, ...]
    derived: float
    complex_step: float
    central: float
    resolution: float
    absolute_error: float
    relative_error: float
    verdict: EntryVerdict
    passed: bool


@dataclass(frozen=True)
class EntryChecks(Sequence[EntryCheck]):
    """The checks of many entries as columns, the fields of `EntryCheck` in order; records are made when asked for."""

    parameter: Sequence[str]
    indices: Sequence[tuple[int, ...]]
    derived: Sequence[float]
    complex_step: Sequence[float]
    central: Sequence[float]
    resolution: Sequence[float]
    absolute_error: Sequence[float]
    relative_error: Sequence[float]
    verdict: Sequence[EntryVerdict]
    passed: Sequence[bool]

    @classmethod
    def of(cls, entries: Sequence[EntryCheck]) -> EntryChecks:
        """The columns of any checks."""
        if isinstance(entries, EntryChecks):
            return entries
        return cls(*([getattr(entry, name) for entry in entries] for name in EntryCheck.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: Sequence[EntryChecks]) -> EntryChecks:
        """All entries of all parts, in order."""
        return cls(*(list(chain.from_iterable(getattr(p, name) for p in parts)) for name in cls.__dataclass_fields__))

    @cached_property
    def records(self) -> tuple[EntryCheck, ...]:
        """An `EntryCheck` for each."""
        return tuple(map(EntryCheck, *(getattr(self, name) for name in self.__dataclass_fields__)))

    def __len__(self) -> int:
        return len(self.parameter)

    def __iter__(self) -> Iterator[EntryCheck]:
        return iter(self.records)

    @overload
    def __getitem__(self, place: int) -> EntryCheck: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[EntryCheck, ...]: ...

    def __getitem__(self, place: int | slice) -> EntryCheck | tuple[EntryCheck, ...]:
        return self.records[place]


@dataclass(frozen=True)
class GradcheckResult:
    """Every entry of every parameter, and the figures printed for the check itself."""

    entries: Sequence[EntryCheck]
    figures: tuple[FigureResult, ...] = ()


@dataclass(frozen=True)
class TrainResult:
    """`columns` are the training.csv columns in order, one entry per epoch from 0 (before the first update).

    `first_nonfinite` names the epoch and node where training left the finite numbers, when it did.
    """

    columns: Mapping[str, Array]
    parameters: Mapping[str, Array]
    figures: tuple[FigureResult, ...]
    updates: int
    first_nonfinite: str = ""


@dataclass(frozen=True)
class SweepResult:
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


@dataclass(frozen=True)
class BackpropResult:
    """The nodes in order (inputs, parameters, equations), the figures, the hand-derived formulas and the witnesses.

    `first_nonfinite` names the first value or gradient, in the order of computation, that is not finite, where one is.
    `shares` are what each path contributes to the gradient of a node, computed when somebody asks for them.
    """

    nodes: tuple[NodeResult, ...]
    figures: tuple[FigureResult, ...] = ()
    formulas: tuple[FormulaResult, ...] = ()
    witnesses: tuple[WitnessResult, ...] = ()
    first_nonfinite: str = ""
    shares: Mapping[str, tuple[Share, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class CaseResult:
    """What ran for one case; None for a stage that did not."""

    case: str
    dtype: str
    backprop: BackpropResult | None = None
    gradcheck: GradcheckResult | None = None
    train: TrainResult | None = None
    sweep: SweepResult | None = None


@dataclass(frozen=True)
class ExperimentResult:
    """What ran for a config, case by case."""

    experiment: Experiment
    cases: tuple[CaseResult, ...]


@dataclass(frozen=True)
class Tally:
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
    contradicted: int = 0  # gradients, by a witness
    runs: int = 0  # of sweeps
    runs_lost: int = 0  # those that left the finite numbers
    nonfinite: int = 0  # cases of which some number is not finite

    @property
    def compared(self) -> int:
        return self.figures + self.worked_out + self.formulas + self.entries

    @property
    def passed(self) -> bool:
        figures = self.failed + self.worked_out_failed + self.formulas_failed
        return not (figures or self.entries_refuted or self.entries_nonfinite or self.contradicted or self.nonfinite)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def figures_of(case: CaseResult) -> tuple[FigureResult, ...]:
    """The figures of every stage that ran, in the order backprop, gradcheck, train."""
    stages = (case.backprop, case.gradcheck, case.train)
    return tuple(figure for stage in stages if stage for figure in stage.figures)


def tally(result: ExperimentResult | CaseResult) -> Tally:
    """The counts behind the last line of a report and behind the exit code."""
    if isinstance(result, ExperimentResult):
        return sum((tally(case) for case in result.cases), Tally())
    figures, worked_out = (
        [entry.verdict for figure in figures_of(result) for entry in figure.entries if figure.worked_out is told]
        for told in (False, True)
    )
    formulas = result.backprop.formulas if result.backprop else ()
    witnesses = result.backprop.witnesses if result.backprop else ()
    entries = EntryChecks.of(result.gradcheck.entries if result.gradcheck else ())
    errata = sum(verdict.label == "erratum confirmed" for verdict in figures)
    failed, worked_out_failed = (sum(not verdict.passed for verdict in judged) for judged in (figures, worked_out))
    entries_nonfinite = sum(verdict == NOT_FINITE for verdict in entries.verdict)
    return Tally(
        figures=len(figures),
        matched=len(figures) - errata - failed,
        errata=errata,
        failed=failed,
        worked_out=len(worked_out),
        worked_out_matched=len(worked_out) - worked_out_failed,
        worked_out_failed=worked_out_failed,
        formulas=len(formulas),
        formula_errata=sum(formula.label == "erratum confirmed" for formula in formulas),
        formulas_failed=sum(not formula.passed for formula in formulas),
        entries=len(entries),
        entries_refuted=len(entries) - sum(entries.passed) - entries_nonfinite,
        entries_inconclusive=sum(verdict == "inconclusive" for verdict in entries.verdict),
        entries_nonfinite=entries_nonfinite,
        contradicted=sum(witness.verdict == "contradicts" for witness in witnesses),
        runs=len(result.sweep.nonfinite) if result.sweep else 0,
        runs_lost=len(result.sweep.lost) if result.sweep else 0,
        nonfinite=int(bool(nonfinite_of(result))),
    )


def nonfinite_of(case: CaseResult) -> dict[str, str]:
    """What is not finite, and why, by the stage that shows it."""
    stages = {"backprop": case.backprop, "train": case.train, "sweep": case.sweep}
    return {name: stage.first_nonfinite for name, stage in stages.items() if stage and stage.first_nonfinite}
