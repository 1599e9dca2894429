"""`mathlab init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the experiment, and so of its file.")],
    article: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="An article: its title and formulas are a start.")
    ] = None,
) -> int:
    """Write a first experiment, with comments, to NAME.yaml."""
    import shlex

    from mathlab.starter import start

    path = start(name, article)
    dashes = "-- " if str(path).startswith("-") else ""
    how = f"run it with: mathlab run {dashes}{shlex.quote(str(path))}"
    if article:
        found = f"mathlab article --write {shlex.quote(str(article))}"
        how = f"put the article's inputs and equations into it, then have its numbers found with: {found}"
    terminal.write(f"{terminal.harmless(f'{path} is written; {how}')}\n")
    return MATCH
