"""`mathlab backprop`."""

from __future__ import annotations

from mathlab.commands.common import (
    OUTPUTS,
    Brief,
    Cases,
    Configs,
    Files,
    Folders,
    Format,
    Large,
    Out,
    Quiet,
    Target,
    Witnesses,
    allowed,
    named,
    run_stages,
)


def backprop(
    files: Files = None,
    config: Configs = None,
    out: Out = OUTPUTS,
    case: Cases = None,
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
    return run_stages("backprop", paths, out, case or (), quiet, form, target, permits, witnesses, brief=brief)
