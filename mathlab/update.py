"""Failing figures -> the config's text with the computed numbers in their place, and every other byte as it was."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from mathlab.article.check import articles_of, coverage_of
from mathlab.article.formats import parts, rebuilt
from mathlab.article.text import DIGITS, SEPARATOR
from mathlab.config.yamltext import Row, Scalar, Tree, read
from mathlab.errors import MathlabError, Place, Problem
from mathlab.files import replace_file, told
from mathlab.results import ExperimentResult, tally
from mathlab.results.judged import FigureResult, Judged

LINE = re.compile("[^\r\n\x85\u2028\u2029]*(?:\r\n|[\r\n\x85\u2028\u2029]|$)")  # as YAML breaks them
FIGURES = ("expected", "after")  # the keys of sections that hold figures
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


class Change(NamedTuple):
    """One printed number, and the computed one written like it: as many digits, in the same notation."""

    place: Place
    key: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.place}: {self.old} -> {self.new} ({self.key})"


def changes(result: ExperimentResult) -> tuple[list[Change], list[Problem]]:
    """What makes the failing figures of a run match, in the order of the file, and why others cannot be made to.

    Errata stay as they are printed. A number that stands in the file once, but is compared with two that are written
    differently (it has an anchor, or is printed once for two stages), cannot match both.
    """
    found: dict[Place, Change] = {}
    problems: list[Problem] = []
    printed: dict[Place, set[str]] = {}
    for figure, entry in _numbers(result):
        if entry.place is None:
            continue
        printed.setdefault(entry.place, set()).add(entry.printed if entry.verdict.passed else entry.shown)
        if entry.verdict.passed:
            continue
        if entry.error is None:
            what = f"{figure.key} is computed as {entry.shown}, which is not written as {entry.printed} is"
            problems.append(Problem(what, entry.place))
        else:
            found[entry.place] = Change(entry.place, figure.key, entry.printed, entry.shown)
    for place, texts in printed.items():
        if place in found and len(texts) > 1:
            problems.append(Problem(f"{found.pop(place).key} would have to be {' and '.join(sorted(texts))}", place))
    return [found[place] for place in sorted(found)], problems


def passed(result: ExperimentResult, changes: Iterable[Change]) -> bool:
    """Whether the run passes with the changes made: what they cannot mend still fails."""
    places, counts = {change.place for change in changes}, tally(result)
    mended = sum(entry.place in places and not entry.verdict.passed for _, entry in _numbers(result))
    return counts._replace(failed=counts.failed + counts.worked_out_failed - mended, worked_out_failed=0).passed


def _numbers(result: ExperimentResult) -> list[tuple[FigureResult, Judged]]:
    """What was compared, but for errata."""
    figures = (figure for case in result.cases for figure in case.figures if not figure.erratum)
    return [(figure, entry) for figure in figures for entry in figure.entries]


def rewritten(text: str, changes: Iterable[Change]) -> str:
    """The text with every change made. Raises MathlabError where the old number does not stand at its place."""
    lines = LINE.findall(text)
    for change in sorted(changes, key=lambda change: change.place, reverse=True):  # from the end, so that places stay
        row, column = change.place.line - 1, change.place.column - 1
        if row >= len(lines) or not lines[row].startswith(change.old, column):
            raise MathlabError(f"{change.old} does not stand here", change.place)
        lines[row] = lines[row][:column] + change.new + lines[row][column + len(change.old) :]
    return "".join(lines)


def update(result: ExperimentResult, changes: Sequence[Change]) -> None:
    """Make the changes in the config, as it was run, in one step. Raises MathlabError where that cannot be done."""
    path = Path(result.experiment.path)
    with told(path, "read"):
        content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != result.experiment.sha256:
        raise MathlabError(f"{path} has changed since it was run; run it again")
    text = content.decode("utf-8-sig")
    tree, _ = read(text, result.experiment.path)
    others = {*_others(tree)} if tree is not None else set()
    bound = "{} has an alias that is no figure, and would change with it"
    if wrong := [Problem(bound.format(change.old), change.place) for change in changes if change.place in others]:
        raise MathlabError(wrong)
    replace_file(path, BOM * content.startswith(BOM.encode()) + rewritten(text, changes), mended=True)


def _others(tree: Tree, figure: bool = False) -> list[Place]:
    """Where all stands that is no figure, or is an erratum's."""
    if isinstance(tree, Scalar):
        return [] if figure else [tree.place]
    if isinstance(tree, Row):
        inside = [(part, figure) for part in tree]
    else:
        inside = [(part, "erratum" not in tree and (figure or key in FIGURES)) for key, part in tree.items()]
    return [place for part, is_figure in inside for place in _others(part, is_figure)]


def in_articles(result: ExperimentResult, changes: Sequence[Change]) -> tuple[dict[Path, str], list[str]]:
    """The articles' texts with the changes made in them, and a line for each; what is written otherwise there stays."""
    new = {change.place: change for change in changes}
    texts: dict[Path, str] = {}
    told = []
    for path in articles_of(result.experiment) if new else ():
        content, kind = path.read_bytes().decode("utf-8"), path.suffix.lower()
        source = content.removeprefix(BOM)
        pieces = [piece for _, piece, _ in parts(source, str(path), kind)]
        made, starts = [*pieces], [0, *accumulate(len(piece) + 1 for piece in pieces)]
        (document,), numbers, _ = coverage_of([result], [path])
        for one in reversed(numbers):
            claims = [claim for claim in one.claims if claim.whole] or one.claims
            changed = {new.get(claim.entry.place) if claim.entry.place else None for claim in claims}
            change = next(filter(None, changed), None)
            if change is None:
                continue
            at = bisect_right(starts, one.number.start) - 1
            start, end = one.number.start - starts[at], one.number.end - starts[at]
            written = _like(document.text[one.number.start : one.number.end], pieces[at][start:end], change)
            why = "" if written else f"{change.new} cannot be written as {change.old} is here"
            if len({other and other.new for other in changed}) > 1:
                why = "figures that differ now were printed so"
            if why:
                told.append(f"{one.number.place}: left as it is, for {why}")
                continue
            made[at] = made[at][:start] + written + made[at][end:]
            told.append(f"{one.number.place}: {change.old} -> {change.new}")
        if made != pieces:
            texts[path] = BOM * (content != source) + rebuilt(source, str(path), kind, made)
    return texts, told[::-1]


def _like(read: str, source: str, change: Change) -> str:
    """The new number in the signs of the old: its minus, point and separators, its power or per cent.

    `read` is the source as numbers are found in it, sign by sign. Nothing where the last digits are not of one unit, as
    those of 9.99e-3 and 1.00e-2, and for a sign that would leave more than its minus.
    """
    digits, old, new = re.search(DIGITS, read), Decimal(change.old), Decimal(change.new)
    assert digits  # it is a number
    head, minus = source[: digits.start()], change.new.startswith("-")
    if old.as_tuple().exponent != new.as_tuple().exponent or (len(head) > 1 and not minus):
        return ""
    separator, point = re.search(SEPARATOR, digits[0]), digits[0].find(".")
    power = old.adjusted() - Decimal(re.sub(SEPARATOR, "", digits[0])).adjusted()
    whole, _, rest = f"{abs(new.scaleb(-power)):f}".partition(".")
    if separator:
        whole = f"{int(whole):,}".replace(",", source[digits.start() :][slice(*separator.span())])
    rest = source[digits.start() + point] + rest if rest else ""
    return (head or "-") * minus + whole * (point != 0 or whole != "0") + rest + source[digits.end() :]
