"""`mathlab derive`."""

from __future__ import annotations

from html import escape
from typing import Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH, Cases, Every, Permits

COMMENTS = {"latex": "% {}", "mathml": "<!-- {} -->"}


def derive(
    cases: Cases,
    *,
    form: Annotated[
        Literal["text", "latex", "mathml", "numpy"],
        typer.Option("--format", metavar="FORM", help="text, latex, mathml or numpy."),
    ] = "text",
    verbose: Every = False,
    permits: Permits,
) -> int:
    """Print the backward equations.

    As text, as LaTeX, as MathML, or as the NumPy program that is run.
    """
    from mathlab.stages.derivation import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in cases.chosen(permits):
        for case in chosen:
            text = derivation(case, form, verbose).rstrip("\n")
            titles.setdefault(text, []).append(f"{experiment.name}, {case.name}")
    console = terminal.console()
    for index, (text, same) in enumerate(titles.items()):
        # a name with --> in it would end the comment, and be part of the web page
        comments = (COMMENTS.get(form, "# {}").format(escape(title) if form == "mathml" else title) for title in same)
        heading = [*([""] if index else []), *comments] if len(titles) > 1 else []
        lines = [terminal.harmless(line, longest=None) for line in (*heading, *text.split("\n"))]
        console.out(*lines, sep="\n", highlight=False)
    return MATCH
