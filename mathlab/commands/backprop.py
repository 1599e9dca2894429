"""`mathlab backprop`."""

from __future__ import annotations

from typing import Annotated

import typer

from mathlab.commands.common import run_stages
from mathlab.commands.options import Cases, Every, OutIf, Permits, Sets, Telling


def backprop(
    cases: Cases,
    *,
    out: OutIf = None,
    sets: Sets = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print equations, values and gradients, and nothing else.")
    ] = False,
    verbose: Every = False,
    telling: Telling,
    permits: Permits,
    witness: Annotated[
        str | None,
        typer.Option("--witness", metavar="NAMES", help="tape, complex, central, torch, with commas; or none. [tape]"),
    ] = None,
) -> int:
    """Run forward and backward, and judge the figures.

    For every node: its equation, value and gradient. Hand-derived formulas are held against the derived ones, and
    every gradient against witnesses.
    """
    witnesses = None if witness is None else [name.strip() for name in witness.split(",")]
    return run_stages("backprop", cases, telling, permits, out, sets, witnesses, brief=brief, every=verbose)
