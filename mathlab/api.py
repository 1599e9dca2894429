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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from rich.console import Console, Group, RenderableType

from mathlab import config, plan
from mathlab.config import change
from mathlab.config.datafiles import as_array
from mathlab.errors import MathlabError, did_you_mean, refuse_unknown, refuse_unless
from mathlab.experiment import DRAWN, PLOTTED, Allowed, Array, Case, Config, Experiment, Picture, Scale, Value
from mathlab.files import told
from mathlab.oracle.oracle import Terms, of_python
from mathlab.outputs.arrays import read as read_arrays
from mathlab.outputs.tables import tables_of
from mathlab.reports import page as tables
from mathlab.reports.comparisons import oracle_page
from mathlab.reports.formats import plain
from mathlab.results import CaseResult, ExperimentResult, tally
from mathlab.signs import gradient_of
from mathlab.stages.table import STAGES, every_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from mathlab.pictures import Look

__all__ = ["Result", "arrays", "assert_gradients", "changed", "load", "run"]

# Python reads every digit of a text, which pandas' own parser need not.
READERS: Mapping[str, Callable[[str], float | bool]] = {"float64": float, "Int64": int, "boolean": "true".__eq__}
HTML_WIDTH = 120  # columns; a notebook's page is about as wide
PAGES = 8  # of cases that a notebook shows at once


class Shown(str):
    """The text of a picture, which a notebook shows as the picture."""

    def _repr_svg_(self) -> str | None:
        return str(self) if self.startswith("<svg") else None

    def _repr_html_(self) -> str | None:
        """A page, in a frame that may run its script and nothing else."""
        if not self.startswith("<!DOCTYPE html>"):
            return None
        frame = 'sandbox="allow-scripts" style="width: 100%; height: 50rem; border: 0" title="The page of a case"'
        return f'<iframe {frame} srcdoc="{escape(self)}"></iframe>'


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
        file, known = f"{name}.csv", every_file()
        refuse_unknown("table", name, [one.removesuffix(".csv") for one in known])
        if file not in made:
            stages = " or ".join(known[file].stages)
            raise MathlabError(f"there is no table {name!r} here, because {stages} did not run")
        import pandas as pd

        columns, layout = made[file].columns, known[file]
        frame = pd.DataFrame(list(made[file].rows), columns=list(columns), dtype=str)
        kinds = {**dict.fromkeys(columns[len(layout.columns) :], "float64"), **layout.kinds}
        for column, kind in kinds.items():
            read = READERS[kind]
            frame[column] = pd.Series([read(text) if text else None for text in frame[column]], dtype=kind)
        return frame

    def __rich__(self) -> RenderableType:
        return Group(tables.report(self), tables.closing(tally(self)))

    def __getitem__(self, name: str | tuple[str, str]) -> Array:
        """The value of a name, or its gradient: `result["dW1"]`; of several cases, `result["case", "dW1"]`.

        Raises MathlabError for another name, and where it does not say which case it is of.
        """
        case, name = name if isinstance(name, tuple) and len(name) == 2 else (None, name)
        name = str(name)
        if case is None and len(self.cases) > 1:
            known = ", ".join(one.case for one in self.cases)
            raise MathlabError(f"there are {len(self.cases)} cases ({known}): say result[case, {name!r}]")
        ran = self._of(case).backprop
        found = ran.arrays if ran else {}
        if name not in found:
            meant = f"d{gradient_of(name)}"
            hint = f"; it is {meant!r}" if meant in found else did_you_mean(name, found)
            hint = hint or ("" if found else ", because backprop did not run")
            raise MathlabError(f"there is no array {name!r} here{hint}")
        return found[name]

    def draw(self, kind: str = "graph", case: str | None = None, **look: Unpack[Look]) -> Shown:
        """A picture of a case (the first, when it is None): `graph`, `network`, `page` or `mermaid`.

        `direction`, `sample` and `whole` are the options --direction, --sample and --all of `mathlab draw`.

        It is the text of the file that `mathlab draw` writes, which a notebook shows. Raises MathlabError for another
        kind, a case that did not run, and where there is nothing to draw.
        """
        from mathlab.pictures import gallery

        refuse_unknown("picture", kind, DRAWN)
        refuse_unknown("direction", look.get("direction", "auto"), ("auto", "right", "down"))
        return Shown(gallery.draw(self.experiment, self._of(case), kind, **look))

    def plot(
        self,
        kind: str,
        case: str | None = None,
        *,
        ax: Axes | None = None,
        of: Sequence[str] = (),
        over: Mapping[str, tuple[float, float]] | None = None,
        cases: Sequence[str] = (),
        log: Scale = "",
        title: str = "",
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        derivative: bool = False,
    ) -> Axes:
        """Draw a plot of `mathlab plot` onto `ax`, or a new one, and return it. The settings are those of a config.

        Raises MathlabError where the case does not have what it shows, and without matplotlib.
        """
        from mathlab.pictures import plots

        refuse_unknown("plot", kind, PLOTTED)
        refuse_unknown("scale", log or "x", ("x", "y", "xy"))
        refuse_unless(ax is None or hasattr(ax, "imshow"), "ax is one of matplotlib's axes", ax)
        refuse_unless(isinstance(over, Mapping | None), "over says from where to where, as in {'x': (-3, 3)}", over)
        spans = tuple(plots.interval(str(name), ends) for name, ends in (over or {}).items())
        more = (_words(cases), log, str(title or ""), _words(rows), _words(columns), derivative)
        picture = Picture(kind, tuple(map(plots.quantity, _words(of))), spans, *more)
        return plots.onto(plots.drawing(self, self._of(case).case, picture), ax)

    def _of(self, case: str | None) -> CaseResult:
        return self.cases[0] if case is None else self.of(case)[1]

    def _repr_html_(self) -> str:
        """For notebooks: what failed, and the page of every case that ran forward and backward; else the report."""
        pages = [(one.case, self.draw("page", one.case)) for one in self.cases if one.backprop][:PAGES]
        if not pages:
            return _html(self)
        said = f"<p>{escape(tables.summary(tally(self)))}</p>" + ("" if self.passed else _html(tables.problems(self)))
        folded = (
            f"<details{' open' * (at == 0)}><summary>{escape(name)}</summary>{page._repr_html_()}</details>"
            for at, (name, page) in enumerate(pages)
        )
        return said + "".join(folded)

    def __repr__(self) -> str:
        return f"<{self.experiment.name}: {tables.summary(tally(self))}>"


def load(
    source: str | Path | Mapping[str, object], *, allow_files: Sequence[str | Path] = (), allow_large: bool = False
) -> Experiment:
    """The experiment that a config file, or a mapping of the same form, describes.

    In a mapping, figures whose digits matter are texts, as in {"p": "0.50"}; its arrays may be NumPy's. Raises
    MathlabError with the problems found, in a mapping at their places in the YAML that it makes.

    `allow_files` are folders, beside the config's own, from which it may read data; `allow_large` lets it take more
    time and memory than a config that somebody else wrote should.
    """
    refuse_unless(isinstance(allow_large, bool), "allow_large is True or False", allow_large)
    return config.load(source, Allowed(tuple(map(Path, _words(allow_files))), allow_large))


def changed(experiment: Experiment, targets: Mapping[str, ArrayLike] | None = None, **values: ArrayLike) -> Experiment:
    """The experiment with other numbers, as `--set` has it: `changed(experiment, {"W[0,0]": 0.5}, b=[0, 1])`.

    Its figures are judged as before. Raises MathlabError for a name that no case has, and for what does not fit.
    """
    experiment = _loaded(experiment)
    refuse_unless(isinstance(targets, Mapping | None), "what is set is named, as in {'W[0,0]': 0.5}", targets)
    cases: Sequence[Case] = experiment.cases
    for target, given in {**(targets or {}), **values}.items():
        cases = change.changed(cases, str(target), given if isinstance(given, str) else _number(target, given))
    return experiment._replace(cases=tuple(cases))


def _number(target: str, given: ArrayLike) -> Value:
    with suppress(ValueError):  # rows of several lengths
        array = as_array(given)
        if array.dtype.kind in "iuf" and np.isfinite(array).all():
            return Value(array.astype(np.float64), integral=array.dtype.kind in "iu")
    raise MathlabError(f"{target} is set to what is no finite number")


def arrays(folder: str | Path) -> dict[str, Mapping[str, Array]]:
    """The values and gradients that a run has written to a folder such as outputs/softmax-mlp, by case and name.

    The gradient of W1 is dW1. Arrays that are too large for nodes.csv are not there. Raises MathlabError for a folder
    without a nodes.csv, and for one that cannot be read.
    """
    refuse_unless(isinstance(folder, str | Path) and "\0" not in str(folder), "a folder is a path", folder)
    path = Path(folder) / "nodes.csv"
    with told(path, "read"):
        if not path.exists() and (inside := sorted(Path(folder).glob("*/nodes.csv"))):
            raise MathlabError(f"{folder} holds the folders of experiments: name one of them, as {inside[0].parent}")
    return read_arrays(path)


def run(
    experiment: Config,
    command: str = plan.RUN,
    *,
    cases: Sequence[str] = (),
    witnesses: Sequence[str] | None = None,
    threads: int = 1,
) -> Result:
    """Run what `mathlab COMMAND` runs, without writing files: by default every stage that each case declares.

    What is not loaded yet is loaded. `cases` names the cases that run (all of them, when it is empty), `witnesses`
    those that the gradients are held against (the command's own, when it is None). A matrix product takes so many
    `threads`, and meanwhile the whole process is held to them: with one, as the command has it, the numbers are the
    same however many processors there are. Raises MathlabError for a case or witness that does not exist, for a case
    that cannot run, for a command that does not exist, for less than one thread, and when there is nothing to run.
    """
    refuse_unknown("command", command, (*STAGES, plan.RUN))
    whole = isinstance(threads, int | np.integer) and threads >= 1
    refuse_unless(whole, "a matrix product takes a whole number of threads, at least one", threads)
    asked = None if witnesses is None else _words(witnesses)
    (planned,) = plan.plans(command, [_loaded(experiment)], _words(cases), asked, threads=int(threads))
    done = plan.results(planned, lambda _: nullcontext())
    return Result(done.experiment, done.cases)


def assert_gradients(config: Config, arrays: Mapping[str, Array], *, case: str = "", **terms: Unpack[Terms]) -> None:
    """Assert, in a test of one's own backprop, that its arrays are those of an experiment.

    The arguments are those of `mathlab.oracle`. Raises AssertionError, with what `mathlab oracle` prints, where an
    array differs or is of nothing that is known, and MathlabError as `mathlab.oracle` does.
    """
    __tracebackhide__ = True
    experiment = _loaded(config)
    result = of_python(experiment, arrays, case=case, **terms)
    if result.passed and not result.ignored:
        return
    page = plain(oracle_page(result, only_failures=True))
    wrong = "these are not the gradients of" if not result.passed else "not all of these arrays are of"
    raise AssertionError(f"{wrong} {experiment.path}\n{page}")


def _html(shown: RenderableType) -> str:
    """As a terminal would show it; the console shows it to nobody, least of all to the notebook, and exports it."""
    console = Console(record=True, file=io.StringIO(), width=HTML_WIDTH, highlight=False, force_jupyter=False)
    console.print(shown, crop=False)
    form = '<pre style="line-height: 1.3">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=form)


def _loaded(source: Config) -> Experiment:
    return source if isinstance(source, Experiment) else load(source)


def _words(given: object) -> tuple[str, ...]:
    """Names as texts: one may stand alone, and None is none."""
    if isinstance(given, Iterable) and not isinstance(given, str):
        return tuple(map(str, given))
    return () if given is None else (str(given),)
