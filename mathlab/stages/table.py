"""The table of stages: the one place where a stage exists. Adding a stage is adding one record.

It is read by all that asks what there is to run, to write and to tell, so that it imports nothing but records: what a
stage does stands elsewhere, and is imported when it is first called (`mathlab backprop` need not wait for training).
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mathlab.errors import Place
from mathlab.experiment import Case
from mathlab.language.tables import rows
from mathlab.results import StageResult

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mathlab.reports.checks import Check

T = TypeVar("T")

Report = Callable[[int, int, float | None], None]  # is told how much is done, of how much, and the latest loss
Progress = Callable[[str], AbstractContextManager[Report | None]]
Row = tuple[str, ...]
Rows = Iterator[tuple[str, Iterable[str], Iterable[Row]]]  # of files: the name, the further columns, and the rows
Named = Iterable[tuple[str, Place | None]]


class Layout(NamedTuple):
    """What is known about a CSV file, as `files.txt` says it of ours.

    `columns` come first, `case` the first of them; an `open_ended` file continues with columns of its own, which are
    float64. `keys` tell its rows apart, `stages` write it, `kinds` are the pandas dtypes of the columns that are no
    texts. The rest is for `mathlab diff`; `allowed` names for a column another one, and the share of it.
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


def _layouts(path: Path) -> Iterator[tuple[str, Layout]]:
    """The files of a table, each with its layout."""
    for row, lines in rows(path).items():
        (file, *form), *columns = map(str.split, (row, *lines))
        # what is said of a column: from each word to the columns of which it is said, with what stands behind its `=`
        told = defaultdict[str, dict[str, str]](dict)
        for name, *words in columns:
            for word, _, value in (said.partition("=") for said in words):
                told[word][name] = value
        shares = {name: value.split("*") for name, value in told["within"].items()}
        layout = Layout(
            columns=tuple(name for name, *_ in columns),
            keys=(*told["key"],),
            kinds=told["is"],
            open_ended="open" in form,
            texts=(*told["text"],),
            derived=(*told["derived"],),
            scales=told["scale"],
            amplified={name: float(times) for name, times in told["times"].items()},
            rough=(*told["rough"],),
            allowed={name: (other, float(share)) for name, (share, other) in shares.items()},
        )
        yield file, layout


LAYOUTS = dict(_layouts(Path(__file__).with_name("files.txt")))


def _files(*names: str) -> Mapping[str, Layout]:
    return {name: LAYOUTS[name] for name in names}


def named(where: str) -> Callable[..., T]:
    """The function `module:name`."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]  # whoever names it knows


def later(where: str) -> Callable[..., T]:
    """The function `module:name`, imported when it is first called."""
    return lambda *args: named(where)(*args)


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
    them, by its result and the dtype: a file's name, the columns beyond its own, and the rows without their case.
    `page` shows the result, `failures` what of it failed beside figures. `checks` are all comparisons, those of figures
    where nothing else is said, and `names` what they are called, known before the case runs.
    `section` is the `module:name` of what reads the part of a config that has the stage's name, for `Case.sections`;
    the stages that have none are read with the case.
    """

    name: str
    declared: Callable[[Case], bool]
    run: Callable[[Case, Asked], StageResult]
    files: Mapping[str, Layout] = {}
    rows: Callable[..., Rows] = lambda found, dtype: iter(())
    page: Callable[..., Iterable[RenderableType]] = lambda found: ()
    failures: Callable[..., Iterable[RenderableType]] = lambda found: ()
    checks: Callable[..., Iterable[Check]] = later("mathlab.reports.checks:figure_checks")
    names: Callable[[Case], Named] = lambda case: ()
    section: str = ""
    optional: bool = True
    turn: int = 0


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
            files=_files("nodes.csv", "gradient_norms.csv", "witnesses.csv", "figures.csv", "derivation.csv"),
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
            files=_files("figures.csv", "gradcheck.csv"),
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
            files=_files("figures.csv", "training.csv"),
            rows=later("mathlab.outputs.tables:train_rows"),
            page=later("mathlab.reports.page:train_page"),
            names=later("mathlab.reports.checks:train_names"),
        ),
        Stage(
            "sweep",
            declared=lambda case: case.sweep is not None,
            run=lambda case, asked: _told("mathlab.stages.sweep:run", "sweeping", case, asked, asked.where),
            files=_files("sweep.csv"),
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
