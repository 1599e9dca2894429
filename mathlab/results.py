"""What the stages return: frozen records, from which tables and CSVs are made. Nothing here prints or computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mathlab.errors import Place
from mathlab.experiment import Array, Experiment

Role = Literal["input", "parameter", "node"]


@dataclass(frozen=True)
class Part:
    """A named piece of a gradient: an upstream gradient inside an equation that is read more than once."""

    name: str
    equation: str
    value: Array


@dataclass(frozen=True)
class NodeResult:
    """One node of the graph: its value, its gradient (same shape; None where none is derived), and their equations.

    `parts` are the pieces, named `d<name>_1` and so on, by which the gradient passes on through the node's equation;
    `stores` names the forward values that this takes.
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

    `stage` is backprop, gradcheck or train; `updates` counts the updates made before it, in training.
    """

    key: str
    stage: str
    shape: tuple[int, ...]
    entries: tuple[Judged, ...]
    updates: int | None = None
    erratum: str = ""
    at: str = ""
    because: str = ""

    @property
    def passed(self) -> bool:
        return all(entry.verdict.passed for entry in self.entries)


@dataclass(frozen=True)
class FormulaResult:
    """A hand-derived formula beside the derived gradient: the largest absolute difference and what was allowed."""

    name: str
    formula: str
    derived: str
    error: float
    tolerance: float
    passed: bool
    message: str = ""
    place: Place | None = None


@dataclass(frozen=True)
class EntryCheck:
    """One entry of one parameter's gradient, held against the witnesses.

    `complex_step` and `central` are the two numeric derivatives; `resolution` is the smallest error that the comparison
    can tell from rounding; `verdict` is confirmed, refuted, inconclusive or kink (a kink passes when the derived value
    lies between the one-sided slopes).
    """

    parameter: str
    index: tuple[int, ...]
    derived: float
    complex_step: float
    central: float
    resolution: float
    absolute_error: float
    relative_error: float
    verdict: Literal["confirmed", "refuted", "inconclusive", "kink"]
    passed: bool


@dataclass(frozen=True)
class GradcheckResult:
    """Every entry of every parameter, and the figures printed for the check itself."""

    entries: tuple[EntryCheck, ...]
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
class BackpropResult:
    """The nodes in order (inputs, parameters, equations), the figures and the hand-derived formulas."""

    nodes: tuple[NodeResult, ...]
    figures: tuple[FigureResult, ...] = ()
    formulas: tuple[FormulaResult, ...] = ()


@dataclass(frozen=True)
class CaseResult:
    """What ran for one case; None for a stage that did not."""

    case: str
    dtype: str
    backprop: BackpropResult | None = None
    gradcheck: GradcheckResult | None = None
    train: TrainResult | None = None


@dataclass(frozen=True)
class ExperimentResult:
    """What ran for a config, case by case."""

    experiment: Experiment
    cases: tuple[CaseResult, ...]


@dataclass(frozen=True)
class Tally:
    """How many things were compared, and how many of them passed."""

    figures: int = 0
    matched: int = 0
    errata: int = 0
    failed: int = 0
    formulas: int = 0
    formulas_failed: int = 0
    entries: int = 0
    entries_refuted: int = 0
    entries_inconclusive: int = 0

    @property
    def compared(self) -> int:
        return self.figures + self.formulas + self.entries

    @property
    def passed(self) -> bool:
        return not (self.failed or self.formulas_failed or self.entries_refuted)

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
    judged = [entry.verdict for figure in figures_of(result) for entry in figure.entries]
    formulas = result.backprop.formulas if result.backprop else ()
    entries = result.gradcheck.entries if result.gradcheck else ()
    errata = sum(verdict.label == "erratum confirmed" for verdict in judged)
    failed = sum(not verdict.passed for verdict in judged)
    return Tally(
        figures=len(judged),
        matched=len(judged) - errata - failed,
        errata=errata,
        failed=failed,
        formulas=len(formulas),
        formulas_failed=sum(not formula.passed for formula in formulas),
        entries=len(entries),
        entries_refuted=sum(not entry.passed for entry in entries),
        entries_inconclusive=sum(entry.verdict == "inconclusive" for entry in entries),
    )
