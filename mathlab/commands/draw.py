"""`mathlab draw`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, OUTPUTS, Cases, Out, Permits, written_to
from mathlab.errors import MathlabError, refuse_unknown
from mathlab.files import replace_file


def draw(
    cases: Cases,
    *,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--as", metavar="KIND", help="graph, network, scan, page or mermaid. Repeatable. [as declared, or graph]"
        ),
    ] = None,
    direction: Annotated[Literal["auto", "right", "down"], typer.Option(help="Where a graph runs.")] = "auto",
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="The sample of a batch in a network.")] = 0,
    whole: Annotated[bool, typer.Option("--all", help="A graph with every node, no repeated layers folded.")] = False,
    out: Out = OUTPUTS,
    target: Annotated[
        Path | None, typer.Option("-o", parser=written_to, metavar="FILE", help="The picture's file; - is stdout.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; 1 where a file is out of date.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Show the pictures in the browser.")] = False,
    index: Annotated[bool, typer.Option("--index", help="Make index.html, which links everything in --out.")] = False,
    permits: Permits,
) -> int:
    """Draw the graph, the network, or a page that recomputes.

    Judges the figures on the way. The files go to <out>/<experiment>/pictures/, also where figures fail.
    """
    from mathlab import plan
    from mathlab.experiment import DRAWN
    from mathlab.pictures import gallery
    from mathlab.results import ExperimentResult, Tally, tally

    for kind in kinds or ():
        refuse_unknown("picture", kind, DRAWN)
    if show and (check or str(target) == "-"):
        raise MathlabError("--open shows a file, and neither --check nor -o - writes one")
    if sum([target is not None, check, index]) > 1:
        raise MathlabError("-o writes one picture, --check none, --index a page of all: give one of them")
    asked: list[tuple[ExperimentResult, gallery.Wanted]] = []
    for experiment, chosen in cases.chosen(permits, default=[] if index else None):
        wanted = gallery.wanted(chosen, kinds or (), () if check else ("graph",))
        paged = {name for name, picture in wanted if picture.kind == "page"}
        stages = [("train", "backprop") if one.train and one.name in paged else ("backprop",) for one in chosen]
        result = plan.judged(plan.Plan(experiment, tuple(zip(chosen, stages, strict=True))), terminal.progress)
        asked.append((result, wanted))
    drawn, lacking = gallery.made(asked, direction=direction, sample=sample, whole=whole)
    terminal.complain(lacking)
    counts = sum((tally(result) for result, _ in drawn), Tally())
    if target is not None:
        pictures = [(Path(name), str(text)) for _, made in drawn for name, text in made.items()]
        if len(pictures) != 1:
            raise MathlabError(f"-o takes one picture, not {len(pictures)}: name one --case and one kind --as")
        [(name, text)] = pictures
        if name.suffix in (".svg", ".html") and not name.suffix.startswith(target.suffix):
            raise MathlabError(f"{target} would be no {target.suffix} file: write {target.with_suffix(name.suffix)}")
        if str(target) == "-":
            terminal.write(text)
        else:
            replace_file(target, text)
        shown = [target]
    elif check:
        if not any(made for _, made in drawn):
            raise MathlabError("nothing was checked: no picture is declared that draw could make")
        wrong = [words for result, made in drawn for words in gallery.stale(result, out, made)]
        terminal.write("".join(f"{words}\n" for words in wrong))
        return FAIL if wrong or not counts.passed else MATCH
    else:
        shown = [path for result, made in drawn for path in gallery.write(result, out, made)]
        if index:
            shown.append(gallery.write_index(out))
        terminal.write("".join(f"{path}\n" for path in shown))
    for path in shown if show else ():
        webbrowser.open(path.resolve().as_uri())
    return MATCH if counts.passed else FAIL
