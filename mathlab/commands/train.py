"""`mathlab train`."""

from __future__ import annotations

from mathlab.commands.common import run_stages
from mathlab.commands.options import Cases, OutIf, Permits, Sets, Telling


def train(cases: Cases, *, out: OutIf = None, sets: Sets = None, telling: Telling, permits: Permits) -> int:
    """Train as the config says, and judge the figures."""
    return run_stages("train", cases, telling, permits, out, sets)
