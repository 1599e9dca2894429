"""`mathlab sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from mathlab.commands.common import run_stages
from mathlab.commands.options import OUTPUTS, Cases, Out, Permits, Telling


def sweep(
    cases: Cases,
    *,
    out: Out = OUTPUTS,
    telling: Telling,
    permits: Permits,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Where the runs are made: local or dask.")
    ] = "local",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster.")
    ] = None,
) -> int:
    """Make many runs with other settings, and compare how they end."""
    return run_stages("sweep", cases, telling, permits, out, where=(backend, scheduler))
