"""How much there is to do only to get a config ready: its equations are read, derived and compiled for every case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mathlab.config.schema import CaseText
from mathlab.errors import MathlabError, Place
from mathlab.language.syntax import walk

LARGEST = 10_000  # operations in the equations, formulas and figures of all cases; a few seconds
CASE = 50  # operations that a case takes whatever it holds
NUMBERS = 4  # printed numbers that take as long as an operation


def check_size(cases: Iterable[tuple[CaseText, Place]]) -> None:
    """Raise MathlabError, at the case that is one too many, when the cases with all that they inherit are too large."""
    total = 0
    for text, place in cases:
        total += CASE + sum(_sizes(text))
        if total > LARGEST:
            problem = f"up to here, the cases of this config have {total} operations, and {LARGEST} are the limit"
            raise MathlabError(f"{problem}; --allow-large permits more", place)


def _sizes(text: CaseText) -> Iterator[int]:
    formulas = [*text.equations.values()]
    formulas += [one.formula for written in (text.derivation or {}).values() for one in written]
    checks = text.gradcheck.expected if text.gradcheck else None
    after = (text.train.after if text.train else None) or {}
    for figures in (text.expected, checks, *after.values()):
        for quantity, printings in (figures or {}).items():
            formulas.append(quantity)
            yield sum(len(printing.printed.texts) for printing in printings) // NUMBERS
    for formula in formulas:
        yield sum(1 for _ in walk(formula.expr))
