"""`mathlab run`."""

from __future__ import annotations

from typing import Annotated

import typer

from mathlab.commands.common import run_stages
from mathlab.commands.options import OUTPUTS, Cases, Out, Permits, Telling


def run(
    cases: Cases,
    *,
    out: Out = OUTPUTS,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print the page of every experiment.")] = False,
    telling: Telling,
    permits: Permits,
) -> int:
    """Run every stage that each config declares: the command for CI.

    Without a FILE, those of configs/. Prints a line for each experiment, and in full what failed.
    """
    code = run_stages("run", cases, telling, permits, out, summary=not verbose, every=verbose)
    if (out / "index.html").is_file():
        from mathlab.pictures.gallery import write_index

        write_index(out)
    return code
