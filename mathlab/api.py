"""mathlab from Python: what the command does, as values.

>>> from mathlab import load, run
>>> result = run(load("configs/softmax-mlp.yaml"))
>>> result.passed
True
>>> result.frame("figures")[["quantity", "index", "printed", "computed", "verdict"]].head(3)
  quantity index   printed  computed verdict
0     loss        1.018222  1.018222   match
1        p     0  0.638763  0.638763   match
2        p     1  0.361237  0.361237   match
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console, Group, RenderableType

from mathlab import config, plan
from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Allowed, Experiment
from mathlab.outputs.tables import LAYOUTS, Layout, tables_of
from mathlab.plan import Command
from mathlab.reports import page as tables
from mathlab.results import ExperimentResult, tally

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "load", "run"]

# Python reads every digit of a text, which pandas' own parser need not.
READERS: Mapping[str, Callable[[str], float | bool]] = {"float64": float, "Int64": int, "boolean": "true".__eq__}
HTML_WIDTH = 120  # columns; a notebook's page is about as wide


@dataclass(frozen=True)
class Result(ExperimentResult):
    """What ran for an experiment. `cases` holds the records; here they are as tables, for people and for pandas."""

    @property
    def passed(self) -> bool:
        """Whether every figure, formula and gradient matches."""
        return tally(self).passed

    def frame(self, name: str) -> pd.DataFrame:
        """One of the CSV tables: `nodes`, `figures`, `training` and so on, as the files are called.

        Columns of numbers are float64 (NaN for an empty cell), counts Int64, the others texts, among them `index`
        (`0,1`) and `printed`. Raises MathlabError for another name, and for the table of a stage that did not run.
        """
        made = tables_of(self)
        file = f"{name}.csv"
        if file not in LAYOUTS:
            known = [known.removesuffix(".csv") for known in LAYOUTS]
            raise MathlabError(f"there is no table {name!r}{did_you_mean(name, known)}")
        if file not in made:
            stages = " or ".join(LAYOUTS[file].stages)
            raise MathlabError(f"there is no table {name!r} here, because {stages} did not run")
        return _frame(made[file].columns, made[file].rows, LAYOUTS[file])

    def __rich__(self) -> RenderableType:
        return Group(tables.report(self), tables.closing(tally(self)))

    def _repr_html_(self) -> str:
        """The same page for notebooks."""
        console = Console(record=True, file=io.StringIO(), width=HTML_WIDTH, highlight=False, force_jupyter=False)
        console.print(self, crop=False)
        return console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.3">{code}</pre>')

    def __repr__(self) -> str:
        return f"<{self.experiment.name}: {tables.summary(tally(self))}>"


def load(path: str | Path, *, allow_files: Sequence[str | Path] = (), allow_large: bool = False) -> Experiment:
    """The experiment that a config file describes. Raises MathlabError with the problems found in the file.

    `allow_files` are folders, beside the config's own, from which it may read data; `allow_large` lets it take more
    time and memory than a config that somebody else wrote should.
    """
    return config.load(path, Allowed(tuple(map(Path, allow_files)), allow_large))


def run(
    experiment: Experiment,
    command: Command = "run",
    *,
    cases: Sequence[str] = (),
    witnesses: Sequence[str] | None = None,
) -> Result:
    """Run what `mathlab COMMAND` runs, without writing files: by default every stage that each case declares.

    `cases` names the cases that run (all of them, when it is empty), `witnesses` those that the gradients are held
    against (the command's own, when it is None). Raises MathlabError for a case or witness that does not exist, for a
    case that cannot run, for a command that does not exist, and when there is nothing to run.
    """
    if command not in get_args(Command):
        raise MathlabError(f"there is no command {str(command)!r}; known are {', '.join(get_args(Command))}")
    (planned,) = plan.plans(command, [experiment], cases, witnesses)
    done = plan.results(planned, lambda _: nullcontext())
    return Result(done.experiment, done.cases)


def _frame(columns: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=str)
    kinds = {**dict.fromkeys(columns[len(layout.columns) :], "float64"), **layout.kinds}
    for column, kind in kinds.items():
        read = READERS[kind]
        frame[column] = pd.Series([read(text) if text else None for text in frame[column]], dtype=kind)
    return frame
