"""What was compared, as sheets: printed figures, hand-derived formulas, entries of a gradient check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from mathlab.layout import Paragraph, Row, Sheet, number, plain, short
from mathlab.results import EntryCheck, FigureResult, FormulaResult, Judged

CHECKED = 40  # entries of a gradient check; a longer one shows its worst
WORST = 10

STYLES = {"confirmed": "green", "kink": "green", "inconclusive": "yellow", "erratum confirmed": "cyan"}


def count(number: int, one: str, many: str = "") -> str:
    """`1 figure`, `2 figures`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def figures(results: Sequence[FigureResult], only_failures: bool = False) -> Iterable[RenderableType]:
    """A row for every printed number; below it what the config says about it, and its place where it fails."""
    rows = tuple(row for figure in results for row in _figure_rows(figure, only_failures))
    if rows:
        names = ("quantity", "printed", "computed", "error", "tolerance", "verdict")
        yield Sheet(names, rows, head=(0, 5), words=(0, 5))


def _figure_rows(figure: FigureResult, only_failures: bool) -> Iterable[Row]:
    about = [
        plain(f"{word}: {text}" if word else text, "dim")
        for word, text in (("", figure.at), ("because", figure.because), ("erratum", figure.erratum))
        if text
    ]
    shown = [
        (index, entry)
        for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True)
        if not (only_failures and entry.verdict.passed)
    ]
    for place, (index, entry) in enumerate(shown, start=1):
        where = [plain(str(entry.place), "bold red")] if entry.place and not entry.verdict.passed else []
        yield Row(_figure_cells(figure, index, entry), (*where, *(about if place == len(shown) else [])))


def _figure_cells(figure: FigureResult, index: tuple[int, ...], entry: Judged) -> tuple[Text, ...]:
    after = "" if figure.updates is None else f" after {count(figure.updates, 'update')}"
    return (
        plain(_indexed(figure.key, index) + after),
        plain(entry.printed),
        plain(entry.shown),
        plain(short(entry.error)),
        plain(short(entry.tolerance)),
        _verdict(entry.verdict.label, entry.verdict.passed),
    )


def _indexed(key: str, index: tuple[int, ...]) -> str:
    if not index:
        return key
    simple = re.fullmatch(r"\w+([\[(][^\[\]()]*[\])])?", key)  # a name, or one call or index of it
    return f"{key if simple else f'({key})'}[{','.join(map(str, index))}]"


def _verdict(label: str, passed: bool) -> Text:
    return plain(label, STYLES.get(label, "green") if passed else "bold red")


def formulas(results: Sequence[FormulaResult]) -> Iterable[RenderableType]:
    """The hand-derived formulas beside the derived ones."""
    rows = tuple(_formula_row(formula) for formula in results)
    if rows:
        names = ("gradient", "by hand", "derived", "error", "tolerance", "verdict")
        yield Sheet(names, rows, head=(0, 5), words=(0, 1, 2, 5))


def _formula_row(formula: FormulaResult) -> Row:
    where = [plain(str(formula.place), "bold red")] if formula.place and not formula.passed else []
    cells = (
        plain(formula.name),
        plain(formula.formula),
        plain(formula.derived),
        plain(short(formula.error)),
        plain(short(formula.tolerance)),
        _verdict("agrees" if formula.passed else "differs", formula.passed),
    )
    return Row(cells, (*where, *([plain(formula.message)] if formula.message else [])))


def entries(checks: Sequence[EntryCheck]) -> Iterable[RenderableType]:
    """Every entry that was checked; of more than `CHECKED`, the worst."""
    shown = checks
    if len(checks) > CHECKED:
        shown = sorted(checks, key=_badness, reverse=True)[:WORST]
        yield Paragraph(plain(f"the {len(shown)} worst of {len(checks)} entries"), indent=2)
    if shown:
        names = ("entry", "derived", "complex step", "central", "resolution", "absolute", "relative", "verdict")
        yield Sheet(names, tuple(Row(_entry_cells(entry)) for entry in shown), head=(0, 7), words=(0, 7))


def _badness(entry: EntryCheck) -> tuple[bool, bool, float]:
    """Refuted before inconclusive before confirmed, then by relative error; NaN is worst."""
    error = entry.relative_error
    return not entry.passed, entry.verdict == "inconclusive", error if error == error else float("inf")


def _entry_cells(entry: EntryCheck) -> tuple[Text, ...]:
    numbers = (entry.derived, entry.complex_step, entry.central)
    errors = (entry.resolution, entry.absolute_error, entry.relative_error)
    return (
        plain(_indexed(f"d{entry.parameter}", entry.index)),
        *(plain(number(value)) for value in numbers),
        *(plain(short(value)) for value in errors),
        _verdict(entry.verdict, entry.passed),
    )
