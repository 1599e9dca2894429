"""What the checks of a case are called: known before it runs, so that a test session can be collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mathlab.errors import Place
from mathlab.experiment import Case, Figure
from mathlab.reports.verdicts import quantity
from mathlab.stages.table import STAGES, Named


def declared(case: Case, stages: Sequence[str]) -> tuple[tuple[str, Place | None], ...]:
    """The names that the checks of a case will have, and where each stands, without running it.

    Raises MathlabError for a case without parameters whose inputs cannot be told apart, because it does not fit.
    """
    found = [named for stage in stages for named in STAGES[stage].names(case)]
    return tuple(zip(distinct(name for name, _ in found), (place for _, place in found), strict=True))


def backprop_names(case: Case) -> Named:
    """Of the figures, then of the formulas."""
    yield from _declared_figures("backprop", case.expected)
    yield from ((formula_name(formula.name, formula.text), formula.place) for formula in case.derivation)


def gradcheck_names(case: Case) -> Named:
    """Of the parameters, then of the figures."""
    if case.gradcheck:
        yield from ((gradient_name(parameter), case.place) for parameter in case.parameters or _checked_inputs(case))
        yield from _declared_figures("gradcheck", case.gradcheck.expected)


def train_names(case: Case) -> Named:
    """Of the figures, in the order of the updates."""
    for updates, figures in sorted(case.train.after if case.train else (), key=lambda pair: pair[0]):
        yield from _declared_figures("train", figures, updates)


def _checked_inputs(case: Case) -> tuple[str, ...]:
    """The names whose gradient is checked where there are no parameters."""
    from mathlab.stages.gradcheck import checked
    from mathlab.stages.prepare import prepare

    return checked(prepare(case))


def _declared_figures(
    stage: str, figures: Iterable[Figure], updates: int | None = None
) -> Iterator[tuple[str, Place | None]]:
    for figure in figures:
        for index, printed in zip(np.ndindex(figure.shape), figure.printed, strict=True):
            yield figure_name(stage, figure.key, index, updates), printed.place or figure.place


def figure_name(stage: str, key: str, index: tuple[int, ...], updates: int | None) -> str:
    """`p[0]`, `loss after 2 updates`, `central_W[0,1] in the gradient check`."""
    return quantity(key, index, updates) + (" in the gradient check" if stage == "gradcheck" else "")


def formula_name(name: str, formula: str) -> str:
    """`dW = outer(dz, x)`."""
    return f"{name} = {formula}"


def gradient_name(parameter: str) -> str:
    """`gradient check of dW`."""
    return f"gradient check of d{parameter}"


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names; one that comes again gets a number."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield f"{name} (no. {seen[name]})" if seen[name] > 1 else name
