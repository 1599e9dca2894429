"""`mathlab train`."""

from __future__ import annotations

from mathlab.commands.common import (
    OUTPUTS,
    Cases,
    Configs,
    Folders,
    Format,
    Large,
    Out,
    Quiet,
    Target,
    allowed,
    run_stages,
)


def train(
    config: Configs,
    out: Out = OUTPUTS,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Train as the config says, and judge the figures."""
    return run_stages("train", config, out, case or (), quiet, form, target, allowed(allow_files, allow_large))
