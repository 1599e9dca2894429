"""A document against the configs that compute it: each of its numbers is checked, given, ignored or open."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mathlab.article.formats import Span
from mathlab.article.text import Digits, Document, Number, digits_of
from mathlab.errors import MathlabError, Place, Problem
from mathlab.experiment import Case, Experiment, Value
from mathlab.language.syntax import Num, walk
from mathlab.results import ExperimentResult, Verdict, figures_of

Status = Literal["checked", "given", "ignored", "open"]

BEFORE, BEHIND = 400, 1_500  # characters around a quote that are near it
GUESSED = 5_000  # characters that a section has at least, where its heading is guessed
LARGEST = 10_000  # entries of an input that an article may repeat


@dataclass(frozen=True)
class Claim:
    """A printed number of a figure that ran, and where the article is said to print it."""

    key: str
    text: str
    place: Place | None
    at: str
    verdict: Verdict


@dataclass(frozen=True)
class Covered:
    """A number of the document, and what accounts for it: `by` says which figure, input or rule."""

    number: Number
    status: Status
    by: str = ""
    claim: Claim | None = None


@dataclass(frozen=True)
class Missing:
    """A printed number that no document has where its figure says; `nearest` is a number that looks like it."""

    claim: Claim
    nearest: Number | None


@dataclass(frozen=True)
class Coverage:
    """What was found out about some documents."""

    documents: tuple[Document, ...]
    numbers: tuple[Covered, ...]
    missing: tuple[Missing, ...] = ()

    def count(self, status: Status) -> int:
        return sum(covered.status == status for covered in self.numbers)

    @property
    def wrong(self) -> list[Covered]:
        """Those that a figure claims which does not match."""
        return [one for one in self.numbers if one.claim and not one.claim.verdict.passed]

    @property
    def passed(self) -> bool:
        return not (self.count("open") or self.missing or self.wrong)


def cover(documents: Sequence[Document], results: Sequence[ExperimentResult], integers: bool = False) -> Coverage:
    """Every decimal number of the documents with its status, and the printed numbers that they lack.

    Integers count where a figure claims them, or with `integers`. Raises MathlabError for an `at:` that stands nowhere,
    and for an `ignore:` that fits nothing.
    """
    claims = [claim for result in results for claim in claims_of(result)]
    found, missing = _found(documents, claims)
    given = {value: name for result in results for value, name in _given(result.experiment)}
    ignored = _ignored(documents, [result.experiment for result in results])
    covered = []
    for document in documents:
        for number in document.numbers:
            key = document.path, number.start
            one = _status(number, found.get(key), ignored.get(key, ""), given)
            if one.status == "checked" or number.decimal or (integers and not number.why):
                covered.append(one)
    return Coverage(tuple(documents), tuple(covered), tuple(missing))


def _status(number: Number, claim: Claim | None, ignored: str, given: Mapping[float, str]) -> Covered:
    if ignored or number.why:
        return Covered(number, "ignored", ignored or number.why)
    if claim:
        return Covered(number, "checked", claim.key, claim)
    for value in _values(number):
        if value in given:
            return Covered(number, "given", given[value])
    return Covered(number, "open")


def claims_of(result: ExperimentResult) -> Iterator[Claim]:
    """Every number that a figure says is printed."""
    for case in result.cases:
        for figure in figures_of(case):
            if not figure.worked_out:
                for entry in figure.entries:
                    yield Claim(figure.key, entry.printed, entry.place, figure.at, entry.verdict)


def _found(
    documents: Sequence[Document], claims: Sequence[Claim]
) -> tuple[dict[tuple[str, int], Claim], list[Missing]]:
    """The claim on each number, by document and offset; and the claims on numbers that are not there."""
    by_digits: dict[Digits, list[tuple[Document, Number]]] = defaultdict(list)
    for document in documents:
        for number in document.numbers:
            for digits in {number.digits, *_as_fraction(number)}:
                by_digits[digits].append((document, number))
    places = {(document.path, at): regions(document, at) for at in {c.at for c in claims} for document in documents}
    nowhere = {claim.at: claim for claim in claims if not any(places[d.path, claim.at] for d in documents)}
    if nowhere:
        names = " or ".join(document.path for document in documents)
        raise MathlabError([Problem(f"at: {at!r} stands nowhere in {names}", c.place) for at, c in nowhere.items()])
    found: dict[tuple[str, int], Claim] = {}
    missing = []
    for claim in claims:
        fitting = [
            (document.path, number.start)
            for document, number in by_digits[digits_of(claim.text)]
            if any(start <= number.start < end for start, end in places[document.path, claim.at])
        ]
        for key in fitting:
            if key not in found or not claim.verdict.passed or claim.verdict.label != "match":
                found[key] = claim
        if not fitting:
            missing.append(Missing(claim, _nearest(claim, documents)))
    return found, missing


def _as_fraction(number: Number) -> Iterator[Digits]:
    """73 % is 0.73 as well."""
    if number.percent:
        sign, digits, exponent = number.digits
        yield sign, digits, exponent - 2


def _nearest(claim: Claim, documents: Iterable[Document]) -> Number | None:
    known = {number.text: number for document in documents for number in document.numbers if not number.why}
    close = difflib.get_close_matches(claim.text, [*known][:5_000], n=1, cutoff=0.7)
    return known[close[0]] if close else None


def regions(document: Document, at: str) -> list[Span]:
    """Where an `at:` points: the section of that title, or the neighbourhood of a quote; without one, everywhere.

    What has commas may name one inside another: "5.4, Compute score" is that quote in that section. Empty if nowhere.
    """
    if not at:
        return [(0, len(document.text))]
    if whole := _pointed(document, at):
        return whole
    outer: list[Span] = []
    for part in re.split(r",\s+", at):
        inner = _pointed(document, part)
        if not inner:
            return []
        both = [(max(a, c), min(b, d)) for a, b in outer for c, d in inner if max(a, c) < min(b, d)]
        outer = both or inner
    return outer


def _pointed(document: Document, words: str) -> list[Span]:
    wanted = _folded(words)
    sections = []
    for count, heading in enumerate(document.headings):
        title = _folded(heading.title)
        if title == wanted or (wanted and title.startswith(wanted + " ")):
            later = (h.start for h in document.headings[count + 1 :] if h.level <= heading.level)
            least = heading.start + GUESSED * (heading.level == 0)
            sections.append((heading.start, max(next(later, len(document.text)), least)))
    return sections or [(start - BEFORE, end + BEHIND) for start, end in document.quoted(words)]


def _folded(words: str) -> str:
    return " ".join(re.findall(r"[\w.]+", words)).casefold()


def _ignored(documents: Sequence[Document], experiments: Iterable[Experiment]) -> dict[tuple[str, int], str]:
    """The numbers that an `ignore:` takes out, and why."""
    found: dict[tuple[str, int], str] = {}
    for experiment in experiments:
        for quote, because, place in experiment.source.ignore:
            spans = [(document, span) for document in documents for span in document.quoted(quote)]
            inside = {
                (document.path, number.start): because
                for document, (start, end) in spans
                for number in document.numbers
                if start <= number.start and number.end <= end
            }
            if not inside:
                raise MathlabError(f"ignore: {quote!r} fits no number of the article", place)
            found |= inside
    return found


# What an article states before it computes


def _values(number: Number) -> Iterator[float]:
    value = float(number.text)
    yield value
    if number.percent:
        yield value / 100


def _given(experiment: Experiment) -> Iterator[tuple[float, str]]:
    """Numbers of the config itself, and what each of them is."""
    for case in experiment.cases:
        values = {
            **case.inputs,
            **case.parameters,
            **({"upstream": case.upstream} if isinstance(case.upstream, Value) else {}),
        }
        for name, value in values.items():
            if value.array.size <= LARGEST:
                yield from ((float(entry), name) for entry in np.ravel(value.array))
        yield from _constants(case)
        if case.train:
            settings = {**case.train.settings, "epochs": case.train.epochs, "batch_size": case.train.batch_size or 0}
            yield from ((float(value), f"train.{name}") for name, value in settings.items())
        if case.gradcheck and case.gradcheck.step:
            yield case.gradcheck.step, "gradcheck.step"
        if case.sweep:
            for axis in (axis for grid in case.sweep.grids for axis in grid):
                choices = axis.values if isinstance(axis.values, tuple) else ()
                yield from ((choice.number, f"sweep.{axis.key}") for choice in choices)


def _constants(case: Case) -> Iterator[tuple[float, str]]:
    for equation in (*case.equations, *case.derivation):
        for part in walk(equation.expr):
            if isinstance(part, Num):
                yield from ((float(sign * part.value), f"a constant of {equation.name}") for sign in (1, -1))
