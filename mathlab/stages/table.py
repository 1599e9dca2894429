"""The table of stages: the one place where a stage exists. Adding a stage is adding one record.

It is read by all that asks what there is to run, to write and to tell, so that it imports nothing but records: what a
stage does stands elsewhere, and is imported when it is first called (`mathlab backprop` need not wait for training).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mathlab.errors import Place
from mathlab.experiment import Case
from mathlab.results import CaseResult, StageResult

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mathlab.config.yamltext import Tree
    from mathlab.reports.checks import Check

T = TypeVar("T")

Report = Callable[[int, int, float | None], None]  # is told how much is done, of how much, and the latest loss
Progress = Callable[[str], AbstractContextManager[Report | None]]
Row = tuple[str, ...]
Rows = Iterator[tuple[str, Iterable[str], Iterable[Row]]]  # of files: the name, the further columns, and the rows
Named = Iterable[tuple[str, Place | None]]


class Layout(NamedTuple):
    """What is known about a CSV file.

    `columns` come first, `case` the first of them; an `open_ended` file continues with columns of its own. `keys` are
    the columns that tell its rows apart, `stages` those that write it. `kinds` are the pandas dtypes of the columns
    that are no texts; a column of its own is float64. The rest is for `mathlab diff`: `texts` are
    compared as they are written, `derived` (computed from other columns) are not compared, `scales` names the column by
    whose size a column's tolerance is measured, `amplified` says how many tolerances a column may differ by, and the
    `rough` ones, which measure rounding itself, are the same when they are of the same order of size.
    `allowed` says of a column what share of another one it may be off by: a figure's computed value need not be known
    much finer than the figure was printed.
    """

    columns: Row
    keys: Row
    kinds: Mapping[str, str] = {}
    open_ended: bool = False
    texts: Row = ()
    derived: Row = ()
    scales: Mapping[str, str] = {}
    amplified: Mapping[str, float] = {}
    rough: Row = ()
    allowed: Mapping[str, tuple[str, float]] = {}
    stages: tuple[str, ...] = ()


def _table(written: str) -> Layout:
    """The layout of such columns: `index* value:float64`, where a * marks a key, and those without a kind are texts."""
    pairs = [column.partition(":") for column in written.split()]
    kinds = {name.strip("*"): kind for name, _, kind in pairs if kind}
    keys = tuple(name.strip("*") for name, *_ in pairs if "*" in name)
    return Layout(tuple(name.strip("*") for name, *_ in pairs), keys, kinds)


FIGURES = _table(
    "case* stage* updates*:Int64 quantity* index* printed computed:float64 error:float64 tolerance:float64 verdict "
    "worked_out:boolean at erratum diagnosis"
)._replace(
    texts=("printed", "at", "erratum"),
    # error = computed - printed, two nearly equal numbers: it is off by no more than computed is
    scales={"error": "computed"},
    rough=("tolerance",),
    allowed={"computed": ("tolerance", 2e-5), "error": ("tolerance", 2e-5)},
)
DERIVATION = _table(
    "case* name* formula* derived error:float64 tolerance:float64 verdict message at erratum diagnosis"
)._replace(texts=("at", "erratum"), rough=("tolerance",), allowed={"error": ("tolerance", 0.01)})
GRADCHECK = _table(
    "case* parameter* index* derived:float64 complex_step:float64 central:float64 resolution:float64 "
    "absolute_error:float64 relative_error:float64 verdict passed:boolean"
)._replace(
    derived=("relative_error",),
    scales={"absolute_error": "derived"},
    rough=("resolution",),
    allowed=dict.fromkeys(("derived", "complex_step", "absolute_error"), ("resolution", 0.01)),
    # a difference quotient divides the rounding of its two values by its step, which is cbrt(eps)
    amplified={"central": sys.float_info.epsilon ** (-1 / 3)},
)
WITNESSES = _table("case* name* witness* relative:float64 ulp:float64 verdict message")._replace(
    derived=("relative", "ulp"),  # rounding itself, which no tolerance measures
)


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
    known before the case runs.
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
    section: Callable[[Tree], object] | None = None
    optional: bool = True
    turn: int = 0


def later(where: str) -> Callable[..., T]:
    """The function `module:name`, imported when it is first called."""
    module, _, name = where.partition(":")
    return lambda *args: getattr(importlib.import_module(module), name)(*args)


def _told(where: str, doing: str, case: Case, asked: Asked, *more: object) -> StageResult:
    """What the function `where` makes of a case, behind a bar that says what it is `doing`."""
    run: Callable[..., StageResult] = later(where)
    with asked.progress(f"{doing} {case.name}") as report:
        return run(case, report, *more)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "backprop",
            declared=lambda case: bool(case.expected or case.derivation),
            run=lambda case, asked: later("mathlab.stages.backprop:run")(case, asked.witnesses),
            files={
                "nodes.csv": _table("case* role name* index* value:float64 gradient:float64"),
                "gradient_norms.csv": _table("case* name* role shape norm:float64 largest:float64"),
                "witnesses.csv": WITNESSES,
                "figures.csv": FIGURES,
                "derivation.csv": DERIVATION,
            },
            rows=later("mathlab.outputs.tables:backprop_rows"),
            page=later("mathlab.reports.page:backprop_page"),
            failures=later("mathlab.reports.page:backprop_failures"),
            checks=later("mathlab.reports.checks:backprop_checks"),
            names=later("mathlab.reports.checks:backprop_names"),
            optional=False,
            turn=3,  # last: its result holds the values of all nodes, and training needs the memory
        ),
        Stage(
            "gradcheck",
            declared=lambda case: case.gradcheck is not None,
            run=lambda case, asked: _told("mathlab.stages.gradcheck:run", "checking", case, asked),
            files={"figures.csv": FIGURES, "gradcheck.csv": GRADCHECK},
            rows=later("mathlab.outputs.tables:gradcheck_rows"),
            page=later("mathlab.reports.page:gradcheck_page"),
            failures=later("mathlab.reports.page:gradcheck_failures"),
            checks=later("mathlab.reports.checks:gradcheck_checks"),
            names=later("mathlab.reports.checks:gradcheck_names"),
            optional=False,
            turn=2,
        ),
        Stage(
            "train",
            declared=lambda case: case.train is not None,
            run=lambda case, asked: _told("mathlab.stages.train:run", "training", case, asked),
            files={"figures.csv": FIGURES, "training.csv": _table("case* epoch*:Int64")._replace(open_ended=True)},
            rows=later("mathlab.outputs.tables:train_rows"),
            page=later("mathlab.reports.page:train_page"),
            checks=later("mathlab.reports.checks:train_checks"),
            names=later("mathlab.reports.checks:train_names"),
        ),
        Stage(
            "sweep",
            declared=lambda case: case.sweep is not None,
            run=lambda case, asked: _told("mathlab.stages.sweep:run", "sweeping", case, asked, asked.where),
            files={"sweep.csv": _table("case* run*:Int64 nonfinite")._replace(open_ended=True, texts=("nonfinite",))},
            rows=later("mathlab.outputs.tables:sweep_rows"),
            page=later("mathlab.reports.page:sweep_page"),
            failures=later("mathlab.reports.page:sweep_failures"),
            turn=1,
        ),
    )
}


def every_file() -> dict[str, Layout]:
    """Every CSV file, with the stages that write it."""
    return {
        file: layout._replace(stages=tuple(name for name, other in STAGES.items() if file in other.files))
        for stage in STAGES.values()
        for file, layout in stage.files.items()
    }
