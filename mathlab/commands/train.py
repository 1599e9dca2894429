"""`mathlab train`."""

from __future__ import annotations

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


def train(
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
    """Train as the config says, and judge the figures."""
    return run_stages(
        "train", named(files, config), out, case or (), quiet, form, target, allowed(allow_files, allow_large)
    )
