"""Results -> files: one folder of CSVs per experiment, the same bytes for the same numbers."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from mathlab import __version__
from mathlab.errors import MathlabError
from mathlab.experiment import Case, Experiment
from mathlab.files import refuse_input, replace_files, told
from mathlab.outputs.tables import Table, csv_text, join, owner, parts_of, rows_of
from mathlab.results import ExperimentResult
from mathlab.stages.table import STAGES, Layout, every_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # a module that is not there

RUN = "run.json"
ARTICLE = "article.csv"


def refuse_inputs(experiments: Iterable[Experiment], out: Path | None, report: Path | None) -> None:
    """Raise MathlabError, before anything runs, where `write` or a report would take the place of what is read."""
    written = [out / one.name / file for one in experiments for file in (*every_file(), ARTICLE, RUN)] if out else []
    for path in [*written, report] if report else written:
        refuse_input(path)


def write(
    result: ExperimentResult,
    out: Path,
    provenance: Mapping[str, object],
    everything: bool = False,
    more: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write `out/<experiment>/*.csv` and run.json (with `provenance` beside what is known here); the files written.

    A file is touched only when a stage that writes it ran. In it, the rows of the cases and stages that ran are
    replaced, and the others are kept as long as the config still has their case (and, for training, its `train`): so
    running the stages or the cases one by one leaves the same files as running all of them at once. With `everything`,
    the cases that ran did so with all the stages that they should have, and lose their rows of other ones. A file that
    ends up without rows is removed. run.json describes the last run alone.
    `more` are files of the experiment as a whole and their texts, an empty one of which is removed.

    Every text is made before the first file is written, and each file is replaced in one step, so a run that fails
    leaves whole files. What a killed run left half-written is removed. Several runs at once into one folder take turns.

    Raises MathlabError, naming the path, for a folder or file that cannot be written, for an experiment whose name is
    no folder's, and for a file whose rows must be kept but cannot be read.
    """
    folder = folder_of(result.experiment, out)
    configured = {
        (case.name, stage.name)
        for case in result.experiment.cases
        for stage in STAGES.values()
        if not stage.optional or stage.declared(case)
    }
    settled = {(case.case, stage) for case in result.cases for stage in (STAGES if everything else case.stages)}
    made, texts = parts_of(result), {**(more or {})}
    with _alone_in(folder):
        for file, layout in every_file().items():
            if everything or file in made:
                kept = _kept(folder / file, layout, configured - settled)
                texts[file] = csv_text(*join(layout, [*kept, *made.get(file, ())], result))
        texts[RUN] = json.dumps({**_run(result), **provenance}, indent=2, sort_keys=True, default=str) + "\n"
        replace_files({folder / file: text or None for file, text in texts.items()})
    return [folder / file for file, text in texts.items() if text]


def folder_of(experiment: Experiment, out: Path, inside: str = "") -> Path:
    """Where the files of an experiment go. Raises MathlabError for a name that is no folder's, and for a way out."""
    name = experiment.name
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise MathlabError(f"the name {name!r} of {experiment.path} cannot be that of an output folder")
    folder = out / name / inside
    if not folder.resolve().is_relative_to(out.resolve()):
        raise MathlabError(f"{folder} is a link that leads out of {out}")
    return folder


def _run(result: ExperimentResult) -> dict[str, object]:
    experiment = result.experiment
    ran = {case.case: [*case.stages] for case in result.cases}
    return {
        "cases": ran,
        "config": Path(experiment.path).name,
        "mathlab": __version__,
        "not_finite": {case.case: said for case in result.cases if (said := case.nonfinite)},
        "numpy": np.__version__,
        "python": platform.python_version(),
        "seeds": {case.name: _seeds(case, ran[case.name]) for case in experiment.cases if case.name in ran},
        "sha256": experiment.sha256,
    }


def _seeds(case: Case, stages: Collection[str]) -> dict[str, int]:
    """All that a case drew by: its initial values, the shuffles of its training, the samples of its sweep."""
    values = {**case.inputs, **case.parameters}
    seeds = {f"{name}.seed": value.recipe.seed for name, value in values.items() if value.recipe}
    if case.train and case.train.seed is not None and "train" in stages:
        seeds["seed"] = case.train.seed
    if case.sweep and case.sweep.sample and "sweep" in stages:
        seeds["sample"] = case.sweep.seed
    return seeds


def _kept(path: Path, layout: Layout, keep: Collection[tuple[str, str]]) -> list[Table]:
    """The rows of the file at `path` of the owners in `keep`, each a table; it is read if there may be any."""
    if not path.exists() or not any(stage in layout.stages for _, stage in keep):
        return []
    if not path.is_file():  # a pipe, which nobody may ever write to
        raise MathlabError(f"{path} is not a file")
    try:
        with told(path, "read"):
            (columns, _), *rows = rows_of(path)
    except ValueError:
        columns, rows = (), []
    own = len(layout.columns)
    if columns[:own] != layout.columns or not (layout.open_ended or len(columns) == own):
        lost = "so its rows of other cases and stages cannot be kept"
        anew = f"`mathlab run --out {shlex.quote(str(path.parents[1]))} FILE` of the whole config makes it anew"
        raise MathlabError(f"{path} is not as this version of mathlab writes it, {lost}; {anew}")
    owned = groupby((row for row, _ in rows), partial(owner, layout))
    return [Table(columns, tuple(some)) for one, some in owned if one in keep]


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and wait until no other run writes to it. The system ends a killed run's turn by itself."""
    with told(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        with contextlib.suppress(OSError):  # a file system without locks; each file is still replaced in one step
            if handle is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)
