"""`mathlab backprop`."""

from __future__ import annotations

from mathlab.commands.changes import show_changes
from mathlab.commands.common import (
    OUTPUTS,
    Brief,
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
    Witnesses,
    allowed,
    named,
    run_stages,
)


def backprop(
    files: Files = None,
    config: Configs = None,
    out: OutIf = None,
    case: Cases = None,
    sets: Sets = None,
    quiet: Quiet = False,
    brief: Brief = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
    witness: Witnesses = None,
) -> int:
    """Run forward and backward, and judge the figures.

    For every node: its equation, value and gradient. Hand-derived formulas are held against the derived ones, and
    every gradient against witnesses.
    """
    witnesses = None if witness is None else [name.strip() for name in witness.split(",")]
    paths, permits = named(files, config), allowed(allow_files, allow_large)
    if sets:
        return show_changes("backprop", paths, sets, out, case or (), form, target, permits)
    return run_stages(
        "backprop", paths, out or OUTPUTS, case or (), quiet, form, target, permits, witnesses, brief=brief
    )
