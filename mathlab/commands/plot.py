"""`mathlab plot`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, OUTPUTS, Cases, Out, Permits
from mathlab.errors import refuse_unknown


def plot(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="loss, norms, curve, contour, heat, steps, sweep, weights.")
    ],
    cases: Cases,
    *,
    of: Annotated[list[str] | None, typer.Option("--of", metavar="EXPR", help="What is shown. Repeatable.")] = None,
    over: Annotated[
        list[str] | None, typer.Option("--over", metavar="NAME=LOW..HIGH", help="What it is drawn over. Repeatable.")
    ] = None,
    derivative: Annotated[bool, typer.Option("--derivative", help="A curve with its derivative.")] = False,
    log: Annotated[Literal["x", "y", "xy"] | None, typer.Option("--log", help="Logarithmic axes.")] = None,
    form: Annotated[Literal["svg", "png", "pdf"], typer.Option("--format", help="The file's format.")] = "svg",
    out: Out = OUTPUTS,
    permits: Permits,
) -> int:
    """Plot a training, a curve, a contour, a heat map or a sweep.

    Several cases are drawn into one plot. The files go to <out>/<experiment>/pictures/. Needs matplotlib.
    """
    from mathlab import plan
    from mathlab.experiment import PLOTTED, Picture
    from mathlab.pictures import gallery, plots
    from mathlab.results import ExperimentResult, Tally, tally

    refuse_unknown("plot", kind, PLOTTED)
    parts = [text.partition("=") for text in over or ()]
    spans = tuple(plots.interval(name, ends.split("..")) for name, _, ends in parts)
    picture = Picture(kind, tuple(map(plots.quantity, of or ())), spans, log=log or "", derivative=derivative)
    stage, *_ = plots.KINDS[kind]
    asked: list[tuple[ExperimentResult, gallery.Wanted]] = []
    for experiment, chosen in cases.chosen(permits):
        steps = tuple((one, (stage,) if stage and getattr(one, stage) else ()) for one in chosen)
        result = plan.judged(plan.Plan(experiment, steps), terminal.progress)
        named = tuple(name for name in cases.case or () if any(one.name == name for one in chosen))
        able = [one.name for one, stages in steps if stages] or [chosen[0].name]
        asked.append((result, [((*named, *able)[0], picture._replace(cases=named if len(named) > 1 else ()))]))
    drawn, lacking = gallery.made(asked, form)
    terminal.complain(lacking)
    shown = [path for result, made in drawn for path in gallery.write(result, out, made)]
    terminal.write("".join(f"{path}\n" for path in shown))
    return MATCH if sum((tally(result) for result, _ in drawn), Tally()).passed else FAIL
