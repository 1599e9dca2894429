"""`mathlab sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from mathlab.commands.common import (
    OUTPUTS,
    Cases,
    Configs,
    Files,
    Folders,
    Format,
    Large,
    Out,
    Quiet,
    Target,
    allowed,
    named,
    run_stages,
)


def sweep(
    files: Files = None,
    config: Configs = None,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Where the runs are made: local or dask.")
    ] = "local",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster.")
    ] = None,
) -> int:
    """Make many runs with other settings, and compare how they end."""
    permits = allowed(allow_files, allow_large)
    return run_stages(
        "sweep", named(files, config), out, case or (), quiet, form, target, permits, where=(backend, scheduler)
    )
