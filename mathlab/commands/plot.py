"""`mathlab plot`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, OUTPUTS, Chosen, Out, Permits
from mathlab.errors import MathlabError, refuse_unknown

if TYPE_CHECKING:
    from mathlab.language.equation import Equation


def plot(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="loss, norms, curve, contour, heat, steps, sweep, weights.")
    ],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Configs.")] = None,
    case: Chosen = None,
    of: Annotated[list[str] | None, typer.Option("--of", metavar="EXPR", help="What is shown. Repeatable.")] = None,
    over: Annotated[
        list[str] | None, typer.Option("--over", metavar="NAME=LOW..HIGH", help="What it is drawn over. Repeatable.")
    ] = None,
    derivative: Annotated[bool, typer.Option("--derivative", help="A curve with its derivative.")] = False,
    log: Annotated[Literal["x", "y", "xy"] | None, typer.Option("--log", help="Logarithmic axes.")] = None,
    form: Annotated[Literal["svg", "png", "pdf"], typer.Option("--format", help="The file's format.")] = "svg",
    out: Out = OUTPUTS,
    *,
    permits: Permits,
) -> int:
    """Plot a training, a curve, a contour, a heat map or a sweep.

    Several cases are drawn into one plot. The files go to <out>/<experiment>/pictures/. Needs matplotlib.
    """
    from mathlab import plan
    from mathlab.experiment import PLOTTED, Picture
    from mathlab.pictures import gallery, plots
    from mathlab.results import Tally, tally

    refuse_unknown("plot", kind, PLOTTED)
    if not files:
        raise MathlabError(f"say of which configs, as in: mathlab plot {kind} net.yaml")
    named = tuple(case or ())
    spans = tuple(map(_range, over or ()))
    picture = Picture(kind, tuple(map(plots.quantity, of or ())), spans, named, log or "", derivative=derivative)
    counts, shown = Tally(), list[Path]()
    for experiment in plan.load(files, permits.allowed):
        stage, *_ = plots.KINDS[kind]
        cases = [one for _, one in plan.chosen([experiment], named)]
        steps = [(one, (stage,) if stage and getattr(one, stage) else ()) for one in cases]
        result = plan.judged(plan.Plan(experiment, tuple(steps)), terminal.progress)
        counts += tally(result)
        able = [one.name for one in cases if not stage or getattr(one, stage)] or [one.name for one in cases]
        made, _ = gallery.made(result, [((*named, *able)[0], picture)], form)
        shown += gallery.write(result, out, made)
    terminal.write("".join(f"{path}\n" for path in shown))
    return MATCH if counts.passed else FAIL


def _range(text: str) -> tuple[Equation, float, float]:
    from mathlab.pictures.plots import quantity

    name, _, ends = text.partition("=")
    low, _, high = ends.partition("..")
    with contextlib.suppress(ValueError):
        return quantity(name), float(low), float(high)
    raise MathlabError(f"--over takes NAME=LOW..HIGH, as in x=-4..4, and not {text!r}")
