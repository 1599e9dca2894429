"""`mathlab run`."""

from __future__ import annotations

from pathlib import Path

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
    Verbose,
    allowed,
    named,
    run_stages,
)


def run(
    files: Files = None,
    config: Configs = None,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Run every stage that each config declares: the command for CI.

    Without a FILE, those of configs/. Prints a line for each experiment, and in full what failed.
    """
    paths, permits = named(files, config, default=[Path("configs")]), allowed(allow_files, allow_large)
    code = run_stages("run", paths, out, case or (), quiet, form, target, permits, summary=not verbose)
    if (out / "index.html").is_file():
        from mathlab.pictures.index import write_index

        write_index(out)
    return code
