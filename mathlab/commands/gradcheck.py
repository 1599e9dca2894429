"""`mathlab gradcheck`."""

from __future__ import annotations

from mathlab.commands.common import run_stages
from mathlab.commands.options import Cases, OutIf, Permits, Sets, Telling


def gradcheck(cases: Cases, *, out: OutIf = None, sets: Sets = None, telling: Telling, permits: Permits) -> int:
    """Check every entry of every parameter's gradient.

    Held against the complex step and central differences; confirmed, refuted, or inconclusive.
    """
    return run_stages("gradcheck", cases, telling, permits, out, sets)
