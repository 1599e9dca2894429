"""Pictures of what ran: the computation graph, the network, a scan, a page that recomputes, plots."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from mathlab.experiment import Case, Experiment
from mathlab.results import BackpropResult, CaseResult

MISSING = "matplotlib is not installed: pip install 'mathlab-backprop[plot]'"


class Look(TypedDict, total=False):
    """How a picture is wanted, as `Scene` has it."""

    direction: str
    sample: int
    whole: bool


class Scene(NamedTuple):
    """A case that ran forward and backward, to be drawn: every id in its picture begins with `scope`.

    A graph runs in a `direction`, folded unless the `whole` is wanted; a network shows one `sample` of a batch.
    """

    experiment: Experiment
    case: Case
    result: CaseResult
    backprop: BackpropResult  # which the result has
    scope: str
    direction: str = "auto"
    sample: int = 0
    whole: bool = False

    @property
    def title(self) -> str:
        """What the picture is called."""
        title = self.experiment.title or self.experiment.name
        alone = self.case.name == "base" and len(self.experiment.cases) == 1
        return title if alone else f"{title} — {self.case.name}"
