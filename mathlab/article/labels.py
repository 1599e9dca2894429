"""The names of numbers: what the words before one call it, and how the entries of an array are numbered."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from mathlab.article.formats import CELL
from mathlab.article.text import Document, row_of
from mathlab.printed import without_ones
from mathlab.signs import gradient_of

WINDOW, NEAR = 200, 80  # characters before a number, and those in which a word or an equals sign is the last
SMALL = 64  # entries of an array that people number
SAID = r"(?:\s(?:is|are|was|now|becomes|equals|of|to|at|drops to|falls to|goes to|about))*"
# Between parts of a formula; no bullet, and no dash after a number, as in `loss: 0.5 - acc: 0.9`.
OPERATOR = re.compile(r"(?<=\S)[ \t]+[*+@⊙×·][ \t]+|(?:(?<=[^\W\d]|[)}$])|(?<=[^\W\d]\d))[ \t]+-[ \t]+")
OPENED = re.compile(r"(?:\b(?:np\.)?(?:array|tensor|float\d*))?[\s(-]*\Z")  # between an equals sign and a number
EQUALS = "=≈:→"
EQUATED = re.compile(rf"[{EQUALS}](?:[\s\0{{}}()\[\]\\^*`&|$-]|\b(?:np\.)?(?:array|tensor|float\d*)\b)*\Z")
# in the head of a column of something else than what it names
WORKED = re.compile(r"(?i)\b(?:of|to|from|for|at|in|by|net|input|pre\w*|sum|delta|error|change|norm)\b|[-+*/·×∂∇ˆδ']")
COUNTED = re.compile(r"(?:\b(?:epoch|step|iter|iteration|update|round)s?\W{0,4}|\A\W*)\Z", re.IGNORECASE)
BEHIND = re.compile(r"[\s\0,$]{0,9}(?:after|at|in)\b[\w\s]{0,20}")
COUNTS = re.compile(r"\W{0,3}(?:epoch|step|iteration|update|round|time)", re.IGNORECASE)
# What stands before a name that is no part of a formula, and what before one that is the last of several.
IF = re.compile(r"\b(?:if|say|suppose|instead|would|were)\b", re.IGNORECASE)  # before what is not so
ELSEWHERE = re.compile(  # before a name whose value is another for once
    r"\b(?:when|for|at|new|after|updated?|next|then|becomes?|epoch|step|iter(?:ation)?)\b", re.IGNORECASE
)
BEGINNING = r"\b(?:and|with|let|where|weight|bias|input|from)"
CLEAR = re.compile(rf"(?:(?:^|\n)(?:[->+]|\d+\.)?|[;:.{EQUALS}⏎$]|[\d)\]}}%],|\w{{4}},|{BEGINNING})\s?\Z")
LISTED = re.compile(r"(?:^|[\s,:;($])[^\W\d](?:\w{0,2}|\w*[_\d]\w*)(?:,\s?|\sand\s)\$?\Z")
# The names of several numbers, and those of the numbers that stand before the one in question.
SEVERAL = re.compile(
    r"(?:^|[\s($:])(?P<names>(?P<stem>[^\W\d]+)[\d_]+(?:(?:, ?| and )(?P=stem)[\d_]+)+)\)?"
    r"(?P<sign>=| (?:are|were|is)(?: |\Z))\(?(?P<before>(?:-?[\d.]+(?:,| and) ?)*)\Z"
)
ARRAY = re.compile(r"(?<=[=,\s])\[(?:[^\[\]]|\[[^\[\]]*\])*\]")  # one of several, and not an index
PROSE = r"\b(?:and|or|so|that|the|with|which|is|are|then|but|where|as|of|to)\b|[^\W\d]{2,}\s[^\W\d]{2,}"
# Between the name of an equation and its value, which may stand there already, before another name.
BROKEN = re.compile(rf"(?s:\d\.\d.*[^\W\d]\w*[{EQUALS}]\Z)|[;⏎]|[.,]\s[^\W\d]|{PROSE}")


class Called(NamedTuple):
    """What a text calls a number: all the names that it may mean, as they are without their marks.

    They are `plain` where they say what the number is: in the head of a column, or alone before it, and not the last of
    several. They are `equal` to it where there is an equals sign between, and nothing but a name before that; perhaps
    `once`, as after an update.
    """

    names: Collection[str] = ()
    plain: bool = False
    equal: bool = False
    once: bool = False


def folded(name: str) -> str:
    """A name as people write it: W_1, W1 and W^{(1)} are one."""
    return re.sub("[_ˆ]", "", name)


def numbered(name: str, shape: tuple[int, ...]) -> list[list[str]]:
    """The ways in which people number the entries of a small array, in C order: from 1 or 0, columns first or last."""
    return [
        [name + "".join(str(at + first) for at in place[::step]) for place in np.ndindex(axes)]
        for axes in dict.fromkeys((without_ones(shape), shape))
        if 1 < math.prod(shape) <= SMALL
        for step in (1, -1)
        for first in (1, 0)
    ]


def called(text: str, start: int) -> Called:
    """What a number may be called: by the head of its column and of its row, or else by the words before it.

    Those are what stands before an equals sign, or before `is`: z of `z_1 = w x + b = 1.75`, where b ends a formula.
    """
    row, heads = row_of(text, start)
    told = not IF.search(row)
    if heads:
        of_row, of_column = (_bare(head[:WINDOW]) for head in (*heads, "")[:2])
        found = {folded(word) for word in re.findall(r"[^\W\d]\w*", f"{of_row} {of_column}")} - {""}
        if not found.isdisjoint(("gradient", "gradients", "grad")):
            found |= {f"d{word}" for word in found}
        if of_row.strip().isdigit() and not re.search(r"[\d[(]", row.rpartition(CELL)[2]):
            found |= {word + of_row.strip() for word in found}
        return Called(found, told, equal=told and not WORKED.search(f"{of_row} {of_column}"))
    window = WINDOW if EQUATED.search(text, max(start - NEAR, 0), start) else NEAR
    before = ARRAY.sub("0.0", OPERATOR.sub("·", text[max(start - window, 0) : start].rpartition("\n\n")[2]))
    plain = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", _bare(before)))
    tight = re.sub(rf"\s?([/_{EQUALS}])\s?|(?<=∂) ", r"\1", OPENED.sub("", plain).replace(":=", "="))
    opened = re.search(r"\[[^=]*\Z", before)  # of the numbers in an array the first alone is called so
    if (several := SEVERAL.search(tight)) and not (opened and opened[0].strip("[ \n")):
        listed = re.findall(rf"{several['stem']}[\d_]+", several["names"])
        if further := listed[len(re.findall(r"[\d.]+", several["before"])) :]:
            sure = told and not opened
            return Called({folded(further[0])}, sure, sure and several["sign"] == "=", bool(ELSEWHERE.search(row)))
    elif tight.endswith(tuple(EQUALS)):
        over = re.sub(r"(∇_?\w+) ?[A-Z]\b", r"\1", re.sub(r"(?<=[^\s/_])∂", "/∂", tight))
        equations = [*re.finditer(rf"(?<![^\s,;(.⏎${EQUALS}])((?=[^\W\d]|[∂∇])[\w∂∇/.]+)(['+]?)(?=[{EQUALS}])", over)]
        alone = [
            one
            for one in equations
            if CLEAR.search(over[: one.start()]) and not LISTED.search(over[: one.start()])
            if not (one[2] or "ˆ" in one[1] or BROKEN.search(over, one.end()))
        ]
        for equation in (alone or equations)[-1:]:
            name, gradient, sure = equation[1], gradient_of(equation[1]), told and bool(alone)
            layer = "z" if gradient[:1].isdigit() else ""  # of whose sums δ^{(1)} mostly is the gradient
            names = {folded(name), *([folded(f"d{layer}{gradient}")] if gradient else ())}
            equal = sure and not layer and bool(re.search(r"[=≈][\s\0$`]*\Z", before))
            return Called(names, sure, equal, once=bool(ELSEWHERE.search(row)))
    elif said := re.search(rf"([^\W\d]\w+){SAID}\Z", tight):
        name = folded(said[1])
        return Called({name, name.casefold()}, plain=told and not LISTED.search(tight[: said.start()]))
    return Called()


def _bare(text: str) -> str:
    """A text without marks, where W^{(1)}_{12} and W_{12}^{(1)} are W1_12, and w^+ is w'."""
    primed = re.sub(r"\^[\0{]*[*+]", "'", text)
    outside = re.sub(r"_[\0{]*(\w+)[\0}]*\^[\0{]*\((\d+)\)", r"\2_\1", primed)
    return re.sub(r"\^\{?\((\d+)\)|(?<=\w)\$|\$(?![^\W\d])|[\0{}\\^*`&|\[\]]", r"\1", outside)


def counters(document: Document, at: int) -> set[float]:
    """The whole numbers that count epochs or updates before a number in its line or row of a table, or just behind."""
    text, numbers, start = document.text, document.numbers, document.numbers[at].start
    line, _ = row_of(text, start)
    first = bisect_left(numbers, start - len(line), key=lambda number: number.start)
    behind = [one for one in numbers[at + 1 : at + 2] if BEHIND.fullmatch(text, numbers[at].end, one.start)]
    return {
        one.value
        for one in (*numbers[first:at], *behind)
        if not one.decimal
        if COUNTED.search(text[max(start - len(line), one.start - WINDOW) : one.start]) or COUNTS.match(text, one.end)
    }
