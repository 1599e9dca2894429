"""The names of numbers: what the words before one call it, and the words by which it is found again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from mathlab.article.cover import regions
from mathlab.article.pool import Fit, Pool
from mathlab.article.text import Document, Number, row_of
from mathlab.signs import gradient_of

WINDOW = 200  # characters before a number
SAY = 60  # characters by which it is found again
LONGEST = 9  # digits of a count of updates
SMALL = 64  # entries of an array that people number
SAID = r"(?: (?:is|are|was|now|becomes|equals|of|to|at|drops to|falls to|goes to|about))*"
# Between parts of a formula; no bullet, and no dash after a number, as in `loss: 0.5 - acc: 0.9`.
OPERATOR = re.compile(r"(?<=\S)[ \t]+[*+@⊙×·][ \t]+|(?:(?<=[^\W\d]|[)}$])|(?<=[^\W\d]\d))[ \t]+-[ \t]+")
OPENED = re.compile(r"(?:\b(?:np\.)?(?:array|tensor|float\d*))?[\s(-]*\Z")  # between an equals sign and a number
LOSS = ("loss", "Loss", "cost", "Cost", "error", "Error", "objective")  # what articles call the end
EQUALS = "=≈:→"
COUNTED = re.compile(r"(?:\b(?:epoch|step|iter|iteration|update|round)s?\W{0,4}|\A\W*)\Z", re.IGNORECASE)
BEHIND = re.compile(r"[\s\0,$]{0,9}(?:after|at|in)\b[\w\s]{0,20}")
COUNTS = re.compile(r"\W{0,3}(?:epoch|step|iteration|update|round|time)", re.IGNORECASE)


def folded(name: str) -> str:
    """A name as people write it: W_1, W1 and W^{(1)} are one."""
    return name.replace("_", "")


def labelled(pool: Pool, ends: Collection[str]) -> Mapping[str, list[Fit]]:
    """Nodes, gradients and parameters, by what an article may call them: the name of all entries, norm and mean of one.

    Where there are few, each entry has a number too, from 0 and from 1.
    """
    found: dict[str, list[Fit]] = defaultdict(list)
    for start, quantity in zip(pool.starts.tolist(), pool.quantities, strict=True):
        size, name = quantity.value.size, folded(quantity.of)
        alone = size == 1 and quantity.key.endswith(f"({quantity.of})")
        if not quantity.of.isidentifier() or not (alone or quantity.key == quantity.of):
            continue
        for called in {name, name.casefold() if len(name) > 2 else name, *(LOSS if quantity.of in ends else ())}:
            found[called] += range(start, start + min(size, 1_000))
        for fit, index in enumerate(np.ndindex(quantity.value.shape) if 1 < size <= SMALL else (), start):
            for first in (0, 1):
                found[name + "".join(str(one + first) for one in index)].append(fit)
    return found


def labels(text: str, start: int) -> set[str]:
    """What a number may be called: by the head of its column and of its row, or else by the words before it.

    Those are what stands before an equals sign, or before `is`: z of `z_1 = w x + b = 1.75`, where b ends a formula.
    """
    if heads := row_of(text, start)[1]:
        found = {folded(word) for word in re.findall(r"[^\W\d]\w*", re.sub(r"[\0{}$\\^*`]", "", " ".join(heads)))}
        return found | {f"d{word}" for word in found if not found.isdisjoint(("gradient", "gradients", "grad"))}
    before = OPERATOR.sub("·", text[max(start - WINDOW, 0) : start].rpartition("\n\n")[2])
    plain = re.sub(r"\s+", " ", re.sub(r"\^\{?\((\d+)\)|[\0{}$\\^*`&|⏎\[\]]", r"\1", before))
    tight = re.sub(rf" ?([/_{EQUALS}]) ?|(?<=∂) ", r"\1", OPENED.sub("", plain).replace(":=", "="))
    if tight.endswith(tuple(EQUALS)):
        over = re.sub(r"(∇_?\w+) ?[A-Z]\b", r"\1", re.sub(r"(?<=[^\s/_])∂", "/∂", tight))
        names = re.findall(rf"(?<![^\s,;(.{EQUALS}])((?=[^\W\d]|[∂∇])[\w∂∇/.]+)['+]?(?=[{EQUALS}])", over)
        return {folded(name) for name in names[-1:] for name in (name, f"d{gradient_of(name)}")}
    said = re.search(rf"([^\W\d]\w+){SAID}\Z", tight)
    return {folded(said[1]).casefold()} if said else set()


def count_of(number: Number) -> int:
    """What a whole number counts; -1 of others."""
    return int(number.text) if number.text.isdigit() and len(number.text) < LONGEST else -1


def counters(document: Document, at: int) -> set[int]:
    """The whole numbers that count epochs or updates before a number in its line or row of a table, or just behind."""
    text, numbers, start = document.text, document.numbers, document.numbers[at].start
    line, _ = row_of(text, start)
    first = bisect_left(numbers, start - len(line), key=lambda number: number.start)
    behind = [one for one in numbers[at + 1 : at + 2] if BEHIND.fullmatch(text, numbers[at].end, one.start)]
    return {
        count_of(one)
        for one in (*numbers[first:at], *behind)
        if COUNTED.search(text[max(start - len(line), one.start - WINDOW) : one.start]) or COUNTS.match(text, one.end)
    }


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
