"""What was compared, as sheets: printed figures, hand-derived formulas, entries of a gradient check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.console import RenderableType
from rich.text import Text

from mathlab.reports.checks import SIDES, WORST, Check, badness
from mathlab.reports.layout import Row, Sheet, indexed, number, plain, said, short
from mathlab.results import EntryCheck, WitnessResult

CHECKED = 40  # entries of a gradient check; a longer one shows its worst

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

STYLES = {
    "confirmed": "green",
    "kink": "green",
    "inconclusive": "yellow",
    "skipped": "yellow",
    "erratum confirmed": "cyan",
}


def compared(found: Iterable[Check]) -> Iterable[RenderableType]:
    """A row for every number that was printed, then worked out, and for every formula; below it what is known of it.

    What is said of a whole figure stands once, below the last of its numbers.
    """
    every = [*found]
    for kind in SIDES:
        told = [check for check in every if check.kind == kind]
        if told:
            names = ("gradient" if kind == "formula" else "quantity", *SIDES[kind], "error", "tolerance", "verdict")
            rows = explained(_row(check, after) for check, after in zip_longest(told, told[1:]) if check)
            yield Sheet(names, rows, head=(0, 5), words=(0, 1, 2, 5) if kind == "formula" else (0, 5))


def _row(check: Check, after: Check | None) -> Row:
    told_next = after.remarks if after and check.figure and after.figure == check.figure else ()
    where = [plain(str(check.place), "bold red")] if check.place and check.outcome == "failed" else []
    remarks = [_remark(*one) for one in check.remarks if one[0] != "in full" and one not in told_next]
    texts = (check.of, check.expected, check.computed, check.error, check.tolerance)
    return Row.of(*texts, _verdict(check.verdict, check.outcome != "failed"), notes=(*where, *remarks))


def _remark(word: str, text: str) -> Text:
    """What the config says, or what was found out, in a line; a message is the lab's own."""
    called = {"at": "", "message": "", "first divergence": "differs first"}.get(word, word)
    return plain(f"{called}: {text}" if called else text, "" if word == "message" else "dim")


def _verdict(label: str, passed: bool) -> Text:
    return plain(label, STYLES.get(label, "green") if passed else "bold red")


def explained(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows, whose last cell is a verdict; what it means stands once, where it is not obvious."""
    found, untold = [], dict(MEANING)
    for row in rows:
        meaning = untold.pop(row.cells[-1].plain.rstrip(" 0123456789"), "")
        found.append(Row(row.cells, (plain(meaning, "dim"), *row.notes) if meaning else row.notes))
    return tuple(found)


def witnesses(results: Sequence[WitnessResult]) -> Iterable[RenderableType]:
    """Every gradient beside every witness."""
    rows = []
    for one in results:
        errors = ("" if error is None else short(error) for error in (one.relative, one.ulp))
        notes = [plain(one.message, "dim")] if one.message else []
        rows.append(Row.of(f"d{one.name}", one.witness, *errors, _verdict(one.verdict, one.passed), notes=notes))
    if rows:
        yield Sheet(("gradient", "witness", "relative", "ulp", "verdict"), tuple(rows), head=(0, 1, 4), words=(0, 1, 4))


def entries(checks: Sequence[EntryCheck]) -> Iterable[RenderableType]:
    """Every entry that was checked; of more than `CHECKED`, the worst."""
    shown, rows = checks, []
    if len(checks) > CHECKED:
        shown = sorted(checks, key=badness, reverse=True)[:WORST]
        yield said(f"the {len(shown)} worst of {len(checks)} entries", indent=2)
    for one in shown:
        numbers = map(number, (one.derived, one.complex_step, one.central))
        errors = map(short, (one.resolution, one.absolute_error, one.relative_error))
        name = indexed(f"d{one.parameter}", one.index)
        rows.append(Row.of(name, *numbers, *errors, _verdict(one.verdict, one.passed)))
    if rows:
        names = ("entry", "derived", "complex step", "central", "resolution", "absolute", "relative", "verdict")
        yield Sheet(names, explained(rows), head=(0, 7), words=(0, 7))
