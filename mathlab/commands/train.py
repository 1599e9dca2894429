"""`mathlab train`."""

from __future__ import annotations

from mathlab.commands.changes import show_changes
from mathlab.commands.common import (
    OUTPUTS,
    Cases,
    Configs,
    Files,
    Folders,
    Format,
    Large,
    OutIf,
    Quiet,
    Sets,
    Target,
    allowed,
    named,
    run_stages,
)


def train(
    files: Files = None,
    config: Configs = None,
    out: OutIf = None,
    case: Cases = None,
    sets: Sets = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Train as the config says, and judge the figures."""
    paths, permits = named(files, config), allowed(allow_files, allow_large)
    if sets:
        return show_changes("train", paths, sets, out, case or (), form, target, permits)
    return run_stages("train", paths, out or OUTPUTS, case or (), quiet, form, target, permits)
