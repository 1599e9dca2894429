"""What was computed and judged: nodes, figures, formulas, gradients and entries, each as a frozen record."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Literal, NamedTuple

from mathlab.errors import Place
from mathlab.experiment import Array
from mathlab.language.equation import Step

Role = Literal["input", "parameter", "node"]
Outcome = Literal["passed", "failed", "erratum"]
EntryVerdict = Literal["confirmed", "refuted", "inconclusive", "kink", "not finite"]
NOT_FINITE = "not finite"  # the verdict on what is no number, beside which nothing can be held


class Part(NamedTuple):
    """A named piece of a gradient: an upstream gradient inside an equation that is read more than once."""

    name: str
    equation: str
    value: Array


class Share(NamedTuple):
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


class NodeResult(NamedTuple):
    """One node of the graph: its value, its gradient (same shape; None where none is derived), and their equations.

    `parts` are the pieces, named `d<name>_1` and so on, by which the gradient passes on through the node's equation;
    `stores` names the forward values that this takes; `reads` are the names in the node's own equation, and `readers`
    the equations that hand a share of its gradient back to it.
    `note` says why there is no gradient where a reader would look for one. `step` is that of a loop, where a page may
    leave it out.
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
    step: Step | None = None


class Verdict(NamedTuple):
    """`label` is one of match, truncated, off by k, differs, erratum confirmed, erratum refuted, rounded."""

    label: str
    passed: bool

    @property
    def outcome(self) -> Outcome:
        """That of a number that differs as the config says it does is a kind of its own."""
        return "failed" if not self.passed else "erratum" if self.label == "erratum confirmed" else "passed"


class Judged(NamedTuple):
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


class FigureResult(NamedTuple):
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


class FormulaResult(NamedTuple):
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
    def verdict(self) -> Verdict:
        """In the words that printed numbers are judged in, where they fit."""
        if self.passed:
            return Verdict("erratum confirmed" if self.erratum else "agrees", True)
        refuted = "erratum refuted" if self.erratum and self.agrees else "differs"
        return Verdict(NOT_FINITE if math.isnan(self.error) else refuted, False)


class WitnessResult(NamedTuple):
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


class EntryCheck(NamedTuple):
    """One entry of one parameter's gradient, held against the witnesses.

    `complex_step` and `central` are the two numeric derivatives; `resolution` is the smallest error that the comparison
    can tell from rounding; `verdict` is confirmed, refuted, inconclusive, kink (which passes when the derived value
    lies between the one-sided slopes) or, of a derived value that is nan or infinite, not finite.
    """

    parameter: str
    index: tuple[int, ...]  # type: ignore[assignment]  # it hides a method of tuples
    derived: float
    complex_step: float
    central: float
    resolution: float
    absolute_error: float
    relative_error: float
    verdict: EntryVerdict
    passed: bool
