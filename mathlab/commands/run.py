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
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Run every stage that each config declares: the command for CI.

    Without a FILE, those of configs/.
    """
    paths = named(files, config, default=[Path("configs")])
    code = run_stages("run", paths, out, case or (), quiet, form, target, allowed(allow_files, allow_large))
    if (out / "index.html").is_file():
        from mathlab.pictures.index import write_index

        write_index(out)
    return code
