"""A document against the configs that compute it: each of its numbers is checked, given, ignored or open."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice, permutations
from typing import Literal, NamedTuple

import numpy as np

from mathlab.article.formats import CELL, CLOSE, OPEN, ROW, Span
from mathlab.article.text import LARGEST_ARRAY, Digits, Document, Number, digits_of
from mathlab.errors import MathlabError, Problem
from mathlab.experiment import INFINITE, Case, Experiment, Range, Value
from mathlab.language.syntax import Num, walk
from mathlab.printed import without_ones
from mathlab.results import ExperimentResult, FigureResult, Judged

Status = Literal["checked", "given", "ignored", "open"]

BEFORE, BEHIND = 400, 1_500  # characters around a quote that are near it
GUESSED = 5_000  # characters that a section has at least, where its heading is guessed
LARGEST = 10_000  # entries of an input that an article may repeat
LOOKED_AT = 5_000  # numbers, when the nearest is sought
NAMED = 4  # of what may have given a number
TELLING = 3  # digits that hardly any other number has by chance
TURNS = 24  # ways to print an array, of four axes
BEGUN = re.compile(rf"(?:[\[{OPEN}]|(?<!\w)\()[\s\0$\[({CELL}{ROW}]*\Z")  # an array, and no function's arguments
ENDED = re.compile(rf"\.?[\s\0${ROW}]*[\]){CLOSE}]")
EQUALS = re.compile(  # a name alone: no part of a formula, no hat, and no weight after an update
    rf"(?:^[\s\0>*$`&{ROW}-]*|[,;=&$][ $`]*|[:.][ $`]+|\b(?:and|with|let|where|weight|bias|input|from) [$`]?)"
    r"([^\W\d][\w{]*)[}$`& ]*=[\s\0$`]*\Z",
    re.MULTILINE,
)
ELSEWHERE = re.compile(  # before a name whose value is another for once
    r"\b(?:if|when|for|at|say|suppose|instead|would|were|new|after|updated?|next|then|becomes?|epoch|step|iter(?:ation)?)\b",
    re.IGNORECASE,
)
WORKED_ON = re.compile(r"[\s\0$`}]*(?:[-+*/^@(=×·⊙]|[^\W\d](?:_?\{?\d+)?\b(?!\s*=))")  # w = 0.9 * v + ...


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
    def wrong(self) -> list[Covered]:
        """Those that a figure claims which does not match."""
        return [one for one in self.numbers if one.claim and one.failed]

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
    cases = [case for result in results for case in result.cases]
    figures = [figure for case in cases for figure in case.figures if not figure.worked_out]
    given: dict[float, dict[str, None]] = defaultdict(dict)  # to all that has this value, each once
    values: dict[str, set[float]] = defaultdict(set)  # of each name, as people write it
    for value, name in (one for result in results for case in result.experiment.cases for one in _given(case)):
        given[value][name] = None
        values[name.rpartition(".")[2].replace("_", "")].add(value)
    found, missing, displaced = _found([*documents, *others], figures, given)
    ignored = _ignored([*documents, *others], [result.experiment for result in results])

    def known(text: str, number: Number) -> Covered:
        if why := ignored.get(number, number.why):
            return Covered(number, "ignored", why)
        if number in displaced:
            return Covered(number, "open", displaced[number])
        if claims := found.get(number):
            return Covered(number, "checked", claims[0].figure.key, claims)
        names = [*given.get(number.value, given.get(number.meant.value, ()))]
        name = _called(text, number.start) if names and not WORKED_ON.match(text, number.end) else ""
        own = sorted(values.get(name, ()))
        if own and all(abs(one - number.meant.value) > number.meant.half_unit for one in own):
            return Covered(number, "open", f"{name} is {', '.join(map(str, own[:NAMED]))}")
        more = ", …" * (len(names) > NAMED)
        return Covered(number, "given", ", ".join(names[:NAMED]) + more) if names else Covered(number, "open")

    covered = [known(document.text, number) for document in documents for number in document.numbers]
    kept = [
        one
        for one in covered
        if one.claim or one.number in displaced or one.number.decimal or (integers and not one.number.why)
    ]
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
    displaced = _displaced(documents, figures, spans, given)
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
                close = difflib.get_close_matches(entry.printed, [*looks][:LOOKED_AT], n=1, cutoff=0.7)
                missing.append((figure, entry, looks[close[0]] if close else None))
    for claims in found.values():
        claims.sort(key=lambda one: one.entry.verdict.passed)
    return found, missing, displaced


def _displaced(
    documents: Sequence[Document],
    figures: Sequence[FigureResult],
    spans: Mapping[str, Sequence[Sequence[Span]]],
    given: Container[float],
) -> Mapping[Number, str]:
    """The numbers of arrays in brackets that are a figure's own, but not in their places, and what belongs there.

    The array is the figure in another order, or one of its numbers is another's. Nothing is said of what is part of one
    that stands as it should; nor, unless it is called so, of what is given, of whole numbers, and, where the figure
    stands elsewhere, of few digits or a row.
    """
    arrays: dict[object, list[tuple[int, list[Number]]]] = defaultdict(list)
    for part, document in enumerate(documents):
        for array in ([document.numbers[member] for member in members] for _, members in document.groups):
            for key in _keys([number.meant.digits for number in array]):
                arrays[key].append((part, array))
    fits = []  # of the same size, and how many numbers are apart
    for figure in figures:
        orders = {tuple(digits_of(entry.printed) for entry in order): order for order in _orders(figure)}
        for own, order in orders.items():
            for part, array in (one for key in _keys(own) for one in arrays.get(key, ())):
                digits = [number.meant.digits for number in array]
                apart = [at for at, is_own in enumerate(own) if digits[at] != is_own]
                if sorted(digits) == sorted(own) or (len(apart) == 1 and digits[apart[0]] in own):
                    fits.append((part, array, apart, figure, order))
    right = {id(figure) for _, _, apart, figure, order in fits if not apart and len(order) == len(figure.entries)}
    settled: set[Number] = set()
    found: dict[Number, str] = {}
    for part, array, apart, figure, order in sorted(fits, key=lambda fit: (-len(fit[1]), len(fit[2]))):
        text, first, last = documents[part].text, array[0], array[-1]
        begun = BEGUN.search(text, max(first.start - BEFORE, 0), first.start)
        stands = begun and ENDED.match(text, last.end) and "and" not in text[first.end : last.start]
        here = any(start <= first.start < end for start, end in spans[figure.at][part])
        chance = (
            all(number.value in given for number in array)
            or not any(number.decimal for number in array)
            or (id(figure) in right and len(order) < len(figure.entries))
            or (id(figure) in right and any(len(array[at].digits[1]) < TELLING for at in apart))
        )
        named = begun and _called(text, begun.start()) == figure.key.replace("_", "")
        if (not apart or (stands and here and (named or not chance))) and not settled.issuperset(array):
            settled.update(array)
            found |= {array[at]: f"{figure.key} has {order[at].printed} there" for at in apart}
    return found


def _called(text: str, start: int) -> str:
    """The name that the text says to equal what begins there, as it is without its marks; empty where it says none."""
    called = EQUALS.search(text, max(start - BEFORE, 0), start)
    line = text[max(start - BEFORE, 0) : start].rpartition("\n")[2]
    return re.sub(r"[_{]", "", called[1]) if called and not ELSEWHERE.search(line) else ""


def _keys(array: Sequence[Digits]) -> Iterator[object]:
    """What an array shares with one in another order, or in which a single number is another."""
    yield tuple(sorted(array))
    yield from ((len(array), at, array[at]) for at in (0, 1))


def _orders(figure: FigureResult) -> Iterator[tuple[Judged, ...]]:
    """The entries of an array as an article may print them: one axis after another, or a row along one of the axes."""
    if 1 < len(figure.entries) <= LARGEST_ARRAY and not any(entry.printed in INFINITE for entry in figure.entries):
        places = np.arange(len(figure.entries)).reshape(without_ones(figure.shape))
        for axes in islice(permutations(range(places.ndim)), TURNS):
            turned = places.transpose(axes)
            for order in (turned.ravel(), *turned.reshape(-1, turned.shape[-1])):
                yield tuple(figure.entries[at] for at in order)


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


def _given(case: Case) -> Iterator[tuple[float, str]]:
    """Numbers that an article states before it computes, and what each of them is in the config."""
    upstream = {"upstream": case.upstream} if isinstance(case.upstream, Value) else {}
    for name, value in {**case.inputs, **case.parameters, **upstream}.items():
        if value.array.size <= LARGEST:
            yield from ((float(entry), name) for entry in value.array.flat)
    for equation in (*case.equations, *case.derivation):
        constants = [part.value for part in walk(equation.expr) if isinstance(part, Num)]
        yield from ((float(sign * value), f"a constant of {equation.name}") for value in constants for sign in (1, -1))
    if train := case.train:
        settings = {**train.settings, "epochs": train.epochs, "batch_size": train.batch_size}
        yield from ((float(value), f"train.{name}") for name, value in settings.items() if value is not None)
    if case.gradcheck and case.gradcheck.step:
        yield case.gradcheck.step, "gradcheck.step"
    for axis in (axis for grid in case.sweep.grids for axis in grid) if case.sweep else ():
        if not isinstance(axis.values, Range):
            yield from ((choice.number, f"sweep.{axis.key}") for choice in axis.values)
