"""The names of numbers: what the words before one call it, and the words by which it is found again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from mathlab.article.cover import regions
from mathlab.article.formats import CELL, CLOSE, OPEN, ROW
from mathlab.article.pool import Fit, Pool
from mathlab.article.text import Document, Number

WINDOW, LINE, TABLE = 200, 300, 5_000  # characters before a number
LONGEST = 9  # digits of a count of updates
SMALL = 64  # entries of an array that people number
SAID = r"(?: (?:is|are|was|now|becomes|equals|of|to|at|drops to|falls to|about))*"
GRADIENTS = re.compile(
    r"(?:∂[^\s∂/=]{1,9}/?∂|\bd\w{1,9}?/d|\bd[A-Za-z]{1,5}_d|∇_?)(\w+)(?: ?[A-Z]\b)?(?![\w/])|\b(\w+)\.grad\b"
)
OPENED = re.compile(r"(?:\b(?:np\.)?(?:array|tensor|float\d*))?[\s(-]*\Z")  # between an equals sign and a number
LOSS = ("loss", "Loss", "cost", "Cost", "error", "Error", "objective")  # what articles call the end
EQUALS = "=≈:→"
COUNTED = re.compile(r"(?:\b(?:epoch|step|iter|iteration|update|round)s?\W{0,4}|\A\W*)\Z", re.IGNORECASE)
COUNTS = re.compile(r"\W{0,3}(?:epoch|step|iteration|update|round|time)", re.IGNORECASE)


def folded(name: str) -> str:
    """A name as people write it: W_1, W1 and W^{(1)} are one."""
    return name.replace("_", "")


def labelled(pool: Pool, ends: Collection[str]) -> Mapping[str, list[Fit]]:
    """The entries of nodes, gradients and parameters, by what an article may call them: their own name, or numbered."""
    found: dict[str, list[Fit]] = defaultdict(list)
    for at, quantity in enumerate(pool.quantities):
        if quantity.key != quantity.of or not quantity.key.isidentifier():
            continue
        size, name = quantity.value.size, folded(quantity.key)
        for called in {name, name.casefold() if len(name) > 2 else name, *(LOSS if quantity.key in ends else ())}:
            found[called] += [(at, entry) for entry in range(min(size, 1_000))]
        for entry, index in enumerate(np.ndindex(quantity.value.shape) if 1 < size <= SMALL else ()):
            for first in (0, 1):
                found[name + "".join(str(one + first) for one in index)].append((at, entry))
    return found


def labels(text: str, start: int) -> set[str]:
    """What a number may be called: by the words before it, by the head of its column and of its row."""
    table = text.rfind(OPEN, max(start - TABLE, 0), start)
    if text.rfind(CLOSE, max(start - TABLE, 0), start) >= table:
        return {_label(text, start)}
    rows = [row.split(CELL) for row in text[table + 1 : start].split(ROW)]
    head = next((row for row in rows if any(map(str.strip, row))), [])
    cells = [rows[-1][0], *head[len(rows[-1]) - 1 : len(rows[-1])]]
    return {folded(word) for cell in cells for word in re.findall(r"[^\W\d]\w*", re.sub(r"[\0{}$\\^*`]", "", cell))}


def _label(text: str, start: int) -> str:
    """What stands before a number and an equals sign, or before `is`: z of `z_1 = w x + b = 1.75`; empty if nothing."""
    before = text[max(start - WINDOW, 0) : start].rpartition("\n\n")[2]
    plain = re.sub(r"\s+", " ", re.sub(r"\^\{?\((\d+)\)|[\0{}$\\^*`&|⏎\[\]]", r"\1", before))
    tight = re.sub(r" ?([∂/_]) ?", r"\1", OPENED.sub("", plain)).replace(":=", "=")
    named = re.sub(rf" ?([{EQUALS}]) ?", r"\1", GRADIENTS.sub(r" d\1\2", tight))
    if named.endswith(tuple(EQUALS)):
        names = re.findall(rf"(?<![^\s,;(.{EQUALS}])([^\W\d]\w*)['+]?(?=[{EQUALS}])", named)
        return folded(names[-1]) if names else ""
    said = re.search(rf"([^\W\d]\w+){SAID}\Z", named)
    return folded(said[1]).casefold() if said else ""


def count_of(number: Number) -> int:
    """What a whole number counts; -1 of others."""
    return int(number.text) if number.text.isdigit() and len(number.text) < LONGEST else -1


def counters(document: Document, at: int) -> set[int]:
    """The whole numbers in the line of a number, or its row of a table, before it that count epochs or updates."""
    text, start = document.text, document.numbers[at].start
    row = text[max(start - LINE, 0) : start]
    inside = row.rpartition(ROW)[2]
    line = inside if ROW in row and CLOSE not in inside else row.rpartition("\n")[2]
    first = bisect_left(document.numbers, start - len(line), key=lambda number: number.start)
    return {
        count_of(number)
        for number in document.numbers[first:at]
        if COUNTED.search(text[start - len(line) : number.start]) or COUNTS.match(text, number.end)
    }


def pointer(document: Document, start: int) -> str:
    """The nearest heading, if it leads to a number; else the words before it, as many as it takes."""
    heading = document.under(start)
    before = re.findall(r"[^\W\d]\w*(?:[ ,.:'=()-]+\w+)*", document.text[max(start - 300, 0) : start])
    pointers = [heading.title] if heading else []
    pointers += [words[-60:].partition(" ")[2] or words[-60:] for words in reversed(before) if len(words) > 3]
    return next((words for words in pointers if any(a <= start < b for a, b in regions(document, words))), "")
