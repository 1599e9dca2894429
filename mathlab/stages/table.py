"""The table of stages: the one place where a stage exists. Adding a stage is adding one record.

It is read by all that asks what there is to run, to write and to tell, so that it imports nothing but records: what a
stage does stands elsewhere, and is imported when it is first called (`mathlab backprop` need not wait for training).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from mathlab.errors import Place
from mathlab.experiment import Array, Case
from mathlab.results import CaseResult, StageResult
from mathlab.stages import layouts
from mathlab.stages.layouts import Layout, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mathlab.config.yamltext import Tree
    from mathlab.reports.checks import Check

P = ParamSpec("P")
T = TypeVar("T")

Report = Callable[[int, int, float | None], None]  # is told how much is done, of how much, and the latest loss
Progress = Callable[[str], AbstractContextManager[Report | None]]
Rows = Iterator[tuple[str, Iterable[str], Iterable[Row]]]
Named = Iterable[tuple[str, Place | None]]


class Asked(NamedTuple):
    """What a command asks of the stages beside the case.

    `witnesses` are those that gradients are held against (None: the default ones), `where` is where the runs of a sweep
    are made (empty: here), `progress` makes a progress bar of a title.
    """

    progress: Progress
    witnesses: tuple[str, ...] | None = None
    where: str = ""


class Stage(NamedTuple):
    """One stage.

    `declared` says whether a case asks for it; one that is `optional` cannot run where the case does not. Of
    several, that with the smallest `turn` runs first. `files` are the CSVs that it writes, `rows` what stands in
    them: a file's name, the columns beyond its own, and the rows without their case. `page` shows the result,
    `failures` what of it failed beside figures. `checks` are all comparisons, and `names` what they are called,
    known before the case runs. `arrays` are its numbers by name.
    `section` reads the part of a config that has the stage's name, for `Case.sections`; the stages that have none
    are read with the case.
    """

    name: str
    declared: Callable[[Case], bool]
    run: Callable[[Case, Asked], StageResult]
    files: Mapping[str, Layout] = {}
    rows: Callable[[CaseResult], Rows] = lambda case: iter(())
    page: Callable[[CaseResult], Iterable[RenderableType]] = lambda case: ()
    failures: Callable[[CaseResult], Iterable[RenderableType]] = lambda case: ()
    checks: Callable[[CaseResult], Iterable[Check]] = lambda case: ()
    names: Callable[[Case], Named] = lambda case: ()
    arrays: Callable[[CaseResult], Mapping[str, Array]] = lambda case: {}
    section: Callable[[Tree], object] | None = None
    optional: bool = True
    turn: int = 0


def later(where: str) -> Callable[P, T]:
    """The function `module:name`, imported when it is first called."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        module, _, name = where.partition(":")
        function: Callable[P, T] = getattr(importlib.import_module(module), name)
        return function(*args, **kwargs)

    return call


def _called(where: str, *arguments: object) -> StageResult:
    run: Callable[..., StageResult] = later(where)
    return run(*arguments)


def _told(where: str, doing: str, case: Case, asked: Asked, *more: object) -> StageResult:
    """What the function `where` makes of a case, behind a bar that says what it is `doing`."""
    with asked.progress(f"{doing} {case.name}") as report:
        return _called(where, case, report, *more)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "backprop",
            declared=lambda case: bool(case.expected or case.derivation),
            run=lambda case, asked: _called("mathlab.stages.backprop:run", case, asked.witnesses),
            files={
                "nodes.csv": layouts.NODES,
                "gradient_norms.csv": layouts.NORMS,
                "witnesses.csv": layouts.WITNESSES,
                "figures.csv": layouts.FIGURES,
                "derivation.csv": layouts.DERIVATION,
            },
            rows=later("mathlab.outputs.tables:backprop_rows"),
            page=later("mathlab.reports.page:backprop_page"),
            failures=later("mathlab.reports.page:backprop_failures"),
            checks=later("mathlab.reports.checks:backprop_checks"),
            names=later("mathlab.reports.checks:backprop_names"),
            arrays=later("mathlab.results.arrays:of_backprop"),
            optional=False,
            turn=3,  # last: its result holds the values of all nodes, and training needs the memory
        ),
        Stage(
            "gradcheck",
            declared=lambda case: case.gradcheck is not None,
            run=lambda case, asked: _told("mathlab.stages.gradcheck:run", "checking", case, asked),
            files={"figures.csv": layouts.FIGURES, "gradcheck.csv": layouts.GRADCHECK},
            rows=later("mathlab.outputs.tables:gradcheck_rows"),
            page=later("mathlab.reports.page:gradcheck_page"),
            failures=later("mathlab.reports.page:gradcheck_failures"),
            checks=later("mathlab.reports.checks:gradcheck_checks"),
            names=later("mathlab.reports.checks:gradcheck_names"),
            arrays=later("mathlab.results.arrays:of_gradcheck"),
            optional=False,
            turn=2,
        ),
        Stage(
            "train",
            declared=lambda case: case.train is not None,
            run=lambda case, asked: _told("mathlab.stages.train:run", "training", case, asked),
            files={"figures.csv": layouts.FIGURES, "training.csv": layouts.TRAINING},
            rows=later("mathlab.outputs.tables:train_rows"),
            page=later("mathlab.reports.page:train_page"),
            checks=later("mathlab.reports.checks:train_checks"),
            names=later("mathlab.reports.checks:train_names"),
            arrays=later("mathlab.results.arrays:of_train"),
        ),
        Stage(
            "sweep",
            declared=lambda case: case.sweep is not None,
            run=lambda case, asked: _told("mathlab.stages.sweep:run", "sweeping", case, asked, asked.where),
            files={"sweep.csv": layouts.SWEEP},
            rows=later("mathlab.outputs.tables:sweep_rows"),
            page=later("mathlab.reports.page:sweep_page"),
            failures=later("mathlab.reports.page:sweep_failures"),
            turn=1,
        ),
    )
}


def every_file() -> dict[str, Layout]:
    """Every CSV file, with the stages that write it."""
    found: dict[str, Layout] = {}
    for stage in STAGES.values():
        for file, layout in stage.files.items():
            before = found[file].stages if file in found else ()
            found[file] = layout._replace(stages=(*before, stage.name))
    return found
