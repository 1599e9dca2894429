"""A document against the configs that compute it: each of its numbers is checked, given, ignored or open."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np

from mathlab.article.formats import Span
from mathlab.article.places import BEFORE, NAMED, miscalled, misplaced, names_of
from mathlab.article.text import Digits, Document, Number, digits_of, row_of
from mathlab.errors import MathlabError, Problem
from mathlab.experiment import INFINITE, Array, Case, Experiment, Figure, Range, Value
from mathlab.language.syntax import Num, walk
from mathlab.results import ExperimentResult
from mathlab.results.judged import FigureResult, Judged

Status = Literal["checked", "given", "ignored", "open"]

BEHIND = 1_500  # characters behind a quote that are near it
GUESSED = 5_000  # characters that a section has at least, where its heading is guessed
LARGEST = 10_000  # entries of an input that an article may repeat
LOOKED_AT = 5_000  # numbers, when the nearest is sought
SAY = 60  # characters by which a number is found again
MINUS = re.compile(r"[\w)\]}$][\s\0&]{0,9}-[\s\0{]{0,9}\Z")  # between what it takes a number from, and that number


Missing = tuple[FigureResult, Judged, Number | None]  # one that stands nowhere, and a number that looks like it


class Claim(NamedTuple):
    """A printed number of a figure that ran, and whether all numbers of the figure stand together there."""

    figure: FigureResult
    entry: Judged
    whole: bool = False


class Covered(NamedTuple):
    """A number of the document, and what accounts for it: `by` says which figure, input or rule.

    Of the claims on it those that fail come first.
    """

    number: Number
    status: Status
    by: str = ""
    claims: Sequence[Claim] = ()

    @property
    def claim(self) -> Judged | None:
        return self.claims[0].entry if self.claims else None

    @property
    def failed(self) -> bool:
        return self.status == "open" or (self.claim is not None and not self.claim.verdict.passed)


class Coverage(NamedTuple):
    """What was found out about some documents."""

    documents: tuple[Document, ...] = ()
    numbers: tuple[Covered, ...] = ()
    missing: tuple[Missing, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.missing and not any(one.failed for one in self.numbers)


def cover(
    documents: Sequence[Document],
    results: Sequence[ExperimentResult],
    integers: bool = False,
    others: Sequence[Document] = (),
) -> Coverage:
    """Every decimal number of the documents with its status, and the printed numbers that they and the others lack.

    Integers count where a figure claims them, or with `integers`. Raises MathlabError for an `at:` that stands nowhere,
    and for an `ignore:` that fits nothing.
    """
    figures = [figure for one in results for case in one.cases for figure in case.figures if not figure.worked_out]
    given: dict[float, dict[str, None]] = defaultdict(dict)  # to all that has this value, each once
    stated = [[one for case in result.experiment.cases for one in _given(case)] for result in results]
    for name, values in chain(*stated):
        for value in values.ravel().tolist():
            given[value][name] = None
    found, missing, displaced = _found([*documents, *others], figures, given)
    ignored = _ignored([*documents, *others], [result.experiment for result in results])
    of = {id(figure): at for at, one in enumerate(results) for case in one.cases for figure in case.figures}
    claims = {
        number: [(of[id(claim.figure)], claim.figure.key) for claim in found.get(number, ())]
        for number in (number for document in documents for number in document.numbers)
        if not any(claim.whole for claim in found.get(number, ()))  # as it should, whatever its columns are called
        if number in found or (number.decimal and not given.keys().isdisjoint((number.value, number.meant.value)))
    }
    wrong = {**miscalled(documents, claims, names_of(results, stated)), **displaced}

    def known(number: Number, text: str) -> Covered:
        if why := ignored.get(number, number.why):
            return Covered(number, "ignored", why)
        if number in wrong:
            return Covered(number, "open", wrong[number])
        if claims := found.get(number):
            return Covered(number, "checked", claims[0].figure.key, claims)
        values = (number.value, number.meant.value, *([-number.value] if _subtracted(text, number.start) else ()))
        names = [*next((given[value] for value in values if value in given), ())]
        told = [*names[:NAMED], "…"] if len(names) > NAMED else names
        return Covered(number, "given", ", ".join(told)) if names else Covered(number, "open")

    covered = [known(number, document.text) for document in documents for number in document.numbers]
    kept = [n for n in covered if n.claim or n.number in wrong or n.number.decimal or (integers and not n.number.why)]
    return Coverage(tuple(documents), tuple(kept), tuple(missing))


def _found(
    documents: Sequence[Document], figures: Sequence[FigureResult], given: Container[float]
) -> tuple[dict[Number, list[Claim]], list[Missing], Mapping[Number, str]]:
    """The claims on each number, those that fail before others; those on numbers that are not there; the displaced."""
    by_digits: dict[Digits, list[tuple[int, Number]]] = defaultdict(list)
    arrays: dict[tuple[Digits, ...], list[list[Number]]] = defaultdict(list)
    for at, document in enumerate(documents):
        for number in document.numbers:
            for digits in {number.digits, number.meant.digits}:  # 73 % is 0.73 as well
                by_digits[digits].append((at, number))
        for _, members in document.groups:
            array = [document.numbers[member] for member in members]
            arrays[tuple(number.meant.digits for number in array)].append(array)
    spans = {at: [regions(document, at) for document in documents] for at in {figure.at for figure in figures}}
    names = " or ".join(document.path for document in documents)
    nowhere = {figure.at: figure.entries[0].place for figure in figures if not any(spans[figure.at])}
    if nowhere:
        raise MathlabError([Problem(f"at: {at!r} stands nowhere in {names}", place) for at, place in nowhere.items()])
    displaced = misplaced(documents, figures, spans, given)
    looks = {number.text: number for document in documents for number in document.numbers if not number.why}
    found: dict[Number, list[Claim]] = defaultdict(list)
    missing: list[Missing] = []
    for figure in figures:
        printed = [entry for entry in figure.entries if entry.printed not in INFINITE]  # which no document's number is
        together = arrays.get(tuple(digits_of(entry.printed) for entry in printed), ())
        for at, entry in enumerate(printed):
            fitting = [
                number
                for part, number in by_digits[digits_of(entry.printed)]
                if any(start <= number.start < end for start, end in spans[figure.at][part])
            ]
            whole = {array[at] for array in together}
            for number in (number for number in fitting if number not in displaced):
                found[number].append(Claim(figure, entry, number in whole))
            if not fitting:
                as_long = [text for text in looks if abs(len(text) - len(entry.printed)) <= 1]
                close = difflib.get_close_matches(entry.printed, as_long[:LOOKED_AT], n=1, cutoff=0.7)
                missing.append((figure, entry, looks[close[0]] if close else None))
    for claims in found.values():
        claims.sort(key=lambda one: one.entry.verdict.passed)
    return found, missing, displaced


def regions(document: Document, at: str) -> list[Span]:
    """Where an `at:` points: the section of that title, or the neighbourhood of a quote; without one, everywhere.

    What has commas may name one inside another: "5.4, Compute score" is that quote in that section. Empty if nowhere.
    """
    found: list[Span] = [(0, len(document.text))]
    if not at:
        return found
    if whole := _pointed(document, at):
        return whole
    for inner in (_pointed(document, part) for part in re.split(r",\s+", at)):
        if not inner:
            return []
        found = [(max(a, c), min(b, d)) for a, b in found for c, d in inner if max(a, c) < min(b, d)] or inner
    return found


def pointer(document: Document, start: int) -> str:
    """The nearest heading, if it leads to a number; else the words before it, several if it may be, and no number."""
    heading = document.under(start)
    before = re.findall(r"[^\W\d]\w*(?:[ ,:'=()-]+[^\W\d]\w*)*", document.text[max(start - 300, 0) : start])
    said = [words if len(words) <= SAY else words[-SAY:].partition(" ")[2] for words in before[::-1]]
    pointers = [
        *([heading.title] if heading else ()),
        *sorted((words for words in said if len(words) > 3), key=lambda words: " " not in words),
    ]
    return next((words for words in pointers if any(a <= start < b for a, b in regions(document, words))), "")


def _pointed(document: Document, words: str) -> list[Span]:
    titles = document.headings
    sections = [
        (one.start, max(next((later.start for later in titles[at:] if later.level <= one.level), end), least))
        for at, one in enumerate(titles, start=1)
        for end, least in [(len(document.text), one.start + GUESSED * (one.level == 0))]
        if f"{_folded(one.title)} ".startswith(f"{_folded(words) or words} ")
    ]
    return sections or [(start - BEFORE, end + BEHIND) for start, end in document.quoted(words)]


def _folded(words: str) -> str:
    return " ".join(re.findall(r"[\w.]+", words)).casefold()


def _ignored(documents: Sequence[Document], experiments: Iterable[Experiment]) -> Mapping[Number, str]:
    """The numbers that an `ignore:` takes out, and why."""
    found: dict[Number, str] = {}
    for quote, because, place in (ignore for experiment in experiments for ignore in experiment.source.ignore):
        spans = ((document, *span) for document in documents for span in document.quoted(quote))
        inside = [one for document, a, b in spans for one in document.numbers if a <= one.start and one.end <= b]
        if not inside:
            raise MathlabError(f"ignore: {quote!r} fits no number of the article", place)
        found |= dict.fromkeys(inside, because)
    return found


def _subtracted(text: str, start: int) -> bool:
    """Whether a formula takes a number away, as the sign of what is given may be pulled out; `0.2 - 0.4` is a range."""
    formula = re.split(r"[,;\n]|[^\W\d]{2,}\s", row_of(text, start)[0])[-1]
    return bool(MINUS.search(formula)) and not set("=+*/@×·⊙").isdisjoint(formula)


def _given(case: Case) -> Iterator[tuple[str, Array]]:
    """Numbers that an article states before it computes, by what they are in the config."""
    upstream = {"upstream": case.upstream} if isinstance(case.upstream, Value) else {}
    for name, value in {**case.inputs, **case.parameters, **upstream}.items():
        if value.array.size <= LARGEST:
            yield name, np.asarray(value.array, float)
    for equation in (*case.equations, *case.derivation, *(one for one in case.figures if not one.worked_out)):
        kinds = float if isinstance(equation, Figure) else (int, float)  # the whole numbers of a figure are indices
        found = [part.value for part in walk(equation.expr) if isinstance(part, Num) and isinstance(part.value, kinds)]
        yield f"a constant of {equation.name}", np.array([*found, *(-one for one in found)], float)
    if train := case.train:
        settings = {**train.settings, "epochs": train.epochs, "batch_size": train.batch_size}
        yield from ((f"train.{name}", np.array(float(value))) for name, value in settings.items() if value is not None)
    if case.gradcheck and case.gradcheck.step:
        yield "gradcheck.step", np.array(case.gradcheck.step)
    for axis in (axis for grid in case.sweep.grids for axis in grid) if case.sweep else ():
        if not isinstance(axis.values, Range):
            yield f"sweep.{axis.key}", np.array([choice.number for choice in axis.values])
