"""`mathlab derive`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH, Cases, Every, Permits


def derive(
    cases: Cases,
    *,
    form: Annotated[
        Literal["text", "latex", "numpy"], typer.Option("--format", metavar="FORM", help="text, latex or numpy.")
    ] = "text",
    verbose: Every = False,
    permits: Permits,
) -> int:
    """Print the backward equations.

    As text, as LaTeX, or as the NumPy program that is run.
    """
    from mathlab.stages.derivation import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in cases.chosen(permits):
        titles.setdefault(derivation(chosen, form, verbose).rstrip("\n"), []).append(
            f"{experiment.name}, {chosen.name}"
        )
    console = terminal.console()
    mark = "%" if form == "latex" else "#"
    for index, (text, same) in enumerate(titles.items()):
        heading = [*([""] if index else []), *(f"{mark} {title}" for title in same)] if len(titles) > 1 else []
        lines = [terminal.harmless(line, longest=None) for line in (*heading, *text.split("\n"))]
        console.out(*lines, sep="\n", highlight=False)
    return MATCH
