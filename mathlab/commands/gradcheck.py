"""`mathlab gradcheck`."""

from __future__ import annotations

from mathlab.commands.changes import show_changes
from mathlab.commands.common import run_stages
from mathlab.commands.options import OUTPUTS, Cases, OutIf, Permits, Sets, Telling


def gradcheck(cases: Cases, *, out: OutIf = None, sets: Sets = None, telling: Telling, permits: Permits) -> int:
    """Check every entry of every parameter's gradient.

    Held against the complex step and central differences; confirmed, refuted, or inconclusive.
    """
    if sets:
        return show_changes("gradcheck", cases, telling, permits, sets, out)
    return run_stages("gradcheck", cases, telling, permits, out or OUTPUTS)
