"""What was compared, as sheets: printed figures, hand-derived formulas, entries of a gradient check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from mathlab.reports.layout import Paragraph, Row, Sheet, number, plain, short
from mathlab.reports.meanings import explained
from mathlab.results import EntryCheck, FigureResult, FormulaResult, Judged, WitnessResult

CHECKED = 40  # entries of a gradient check; a longer one shows its worst
WORST = 10

STYLES = {
    "confirmed": "green",
    "kink": "green",
    "inconclusive": "yellow",
    "skipped": "yellow",
    "erratum confirmed": "cyan",
}


def count(number: int, one: str, many: str = "") -> str:
    """`1 figure`, `2 figures`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def figures(results: Sequence[FigureResult], only_failures: bool = False) -> Iterable[RenderableType]:
    """A row for every number; below it what the config says about it, and its place where it fails.

    Those that were worked out stand in a sheet of their own, after those that were printed.
    """
    for worked_out, source in ((False, "printed"), (True, "worked out")):
        told = [figure for figure in results if figure.worked_out is worked_out]
        rows = explained(row for figure in told for row in _figure_rows(figure, only_failures))
        if rows:
            names = ("quantity", source, "computed", "error", "tolerance", "verdict")
            yield Sheet(names, rows, head=(0, 5), words=(0, 5))


def _figure_rows(figure: FigureResult, only_failures: bool) -> Iterable[Row]:
    about = _about(("", figure.at), ("because", figure.because), ("erratum", figure.erratum))
    about += _about(("diagnosis", figure.diagnosis), ("differs first", figure.first_divergence))
    shown = [
        (index, entry)
        for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True)
        if not (only_failures and entry.verdict.passed)
    ]
    for place, (index, entry) in enumerate(shown, start=1):
        where = [plain(str(entry.place), "bold red")] if entry.place and not entry.verdict.passed else []
        yield Row(_figure_cells(figure, index, entry), (*where, *(about if place == len(shown) else [])))


def _about(*said: tuple[str, str]) -> list[Text]:
    """What the config says about a figure or formula, a line for each."""
    return [plain(f"{word}: {text}" if word else text, "dim") for word, text in said if text]


def _figure_cells(figure: FigureResult, index: tuple[int, ...], entry: Judged) -> tuple[Text, ...]:
    return (
        plain(quantity(figure.key, index, figure.updates)),
        plain(entry.printed),
        plain(entry.shown),
        plain(short(entry.error)),
        plain(short(entry.tolerance)),
        _verdict(entry.verdict.label, entry.verdict.passed),
    )


def quantity(key: str, index: tuple[int, ...], updates: int | None = None) -> str:
    """One entry of what a figure is printed for: `p[0]`, `loss after 2 updates`."""
    after = "" if updates is None else f" after {count(updates, 'update')}"
    return indexed(key, index) + after


def indexed(key: str, index: tuple[int, ...]) -> str:
    """One entry of a quantity; an expression is put in parentheses: `(a + b)[0,1]`."""
    if not index:
        return key
    simple = re.fullmatch(r"\w+([\[(][^\[\]()]*[\])])?", key)  # a name, or one call or index of it
    return f"{key if simple else f'({key})'}[{','.join(map(str, index))}]"


def _verdict(label: str, passed: bool) -> Text:
    return plain(label, STYLES.get(label, "green") if passed else "bold red")


def formulas(results: Sequence[FormulaResult]) -> Iterable[RenderableType]:
    """The hand-derived formulas beside the derived ones."""
    rows = explained(_formula_row(formula) for formula in results)
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
        _verdict(formula.label, formula.passed),
    )
    message = [plain(formula.message)] if formula.message else []
    return Row(
        cells,
        (*where, *message, *_about(("", formula.at), ("erratum", formula.erratum), ("diagnosis", formula.diagnosis))),
    )


def witnesses(results: Sequence[WitnessResult]) -> Iterable[RenderableType]:
    """Every gradient beside every witness."""
    rows = tuple(
        Row(
            (
                plain(f"d{result.name}"),
                plain(result.witness),
                *(plain("" if error is None else short(error)) for error in (result.relative, result.ulp)),
                _verdict(result.verdict, result.passed),
            ),
            (plain(result.message, "dim"),) if result.message else (),
        )
        for result in results
    )
    if rows:
        yield Sheet(("gradient", "witness", "relative", "ulp", "verdict"), rows, head=(0, 1, 4), words=(0, 1, 4))


def entries(checks: Sequence[EntryCheck]) -> Iterable[RenderableType]:
    """Every entry that was checked; of more than `CHECKED`, the worst."""
    shown = checks
    if len(checks) > CHECKED:
        shown = sorted(checks, key=badness, reverse=True)[:WORST]
        yield Paragraph(plain(f"the {len(shown)} worst of {len(checks)} entries"), indent=2)
    if shown:
        names = ("entry", "derived", "complex step", "central", "resolution", "absolute", "relative", "verdict")
        yield Sheet(names, explained(Row(_entry_cells(entry)) for entry in shown), head=(0, 7), words=(0, 7))


def badness(entry: EntryCheck) -> tuple[bool, bool, float]:
    """Refuted before inconclusive before confirmed, then by relative error; NaN is worst."""
    error = entry.relative_error
    return not entry.passed, entry.verdict == "inconclusive", error if error == error else float("inf")


def _entry_cells(entry: EntryCheck) -> tuple[Text, ...]:
    numbers = (entry.derived, entry.complex_step, entry.central)
    errors = (entry.resolution, entry.absolute_error, entry.relative_error)
    return (
        plain(indexed(f"d{entry.parameter}", entry.index)),
        *(plain(number(value)) for value in numbers),
        *(plain(short(value)) for value in errors),
        _verdict(entry.verdict, entry.passed),
    )
