"""What is said in one line where it first stands: verdicts that are not obvious, what is stored, what a name means."""

from __future__ import annotations

from collections.abc import Iterable

from mathlab.reports.layout import Row, plain

STORES = "(what a node stores: the values of the way forward that the step back through its equation reads)"
PARTS = "({part}: a part of the step back through {node}, which is read more than once and so has a name)"
MEANING = {
    "truncated": "printed cut off, not rounded; 'rounding: truncate' in the config judges it as cut off",
    "rounded": "printed rounded, where the config says 'rounding: truncate'",
    "off by": "so many units of the last printed digit",
    "erratum refuted": "the config calls it an erratum, but it agrees with what is computed",
    "inconclusive": "rounding hides the answer: neither confirmed nor refuted, and no failure",
    "kink": "there is a corner here: the derivative lies between the slopes on its two sides",
}


def explained(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows, whose last cell is a verdict; what it means stands once, where it is not obvious."""
    told: set[str] = set()
    found = []
    for row in rows:
        kind = row.cells[-1].plain.rstrip(" 0123456789")
        meaning = [plain(MEANING[kind], "dim")] if kind in MEANING and kind not in told else []
        told.add(kind)
        found.append(Row(row.cells, (*meaning, *row.notes)))
    return tuple(found)
