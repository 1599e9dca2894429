"""The names of numbers: what the words before one call it, and the words by which it is found again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from mathlab.article.cover import regions
from mathlab.article.pool import Fit, Pool
from mathlab.article.text import Document

WINDOW = 200  # characters before a number
SMALL = 64  # entries of an array that people number
SAID = r"(?: (?:is|are|was|now|becomes|equals|of|to|at|drops to|falls to|about))*"
GRADIENTS = re.compile(
    r"(?:∂[^\s∂/=]{1,9}/?∂|\bd\w{1,9}?/d|\bd[A-Za-z]{1,5}_d|∇_?)(\w+)(?: ?[A-Z]\b)?(?![\w/])|\b(\w+)\.grad\b"
)
OPENED = re.compile(r"(?:\b(?:np\.)?(?:array|tensor|float\d*))?[\s(-]*\Z")  # between an equals sign and a number
EQUALS = "=≈:→"


def folded(name: str) -> str:
    """A name as people write it: W_1, W1 and W^{(1)} are one."""
    return name.replace("_", "")


def labelled(pool: Pool) -> Mapping[str, list[Fit]]:
    """The entries of nodes, gradients and parameters, by what an article may call them: their own name, or numbered."""
    found: dict[str, list[Fit]] = defaultdict(list)
    for at, quantity in enumerate(pool.quantities):
        if quantity.key != quantity.of or not quantity.key.isidentifier():
            continue
        size, name = quantity.value.size, folded(quantity.key)
        for called in {name, name.casefold() if len(name) > 2 else name}:
            found[called] += [(at, entry) for entry in range(min(size, 1_000))]
        for entry, index in enumerate(np.ndindex(quantity.value.shape) if 1 < size <= SMALL else ()):
            for first in (0, 1):
                found[name + "".join(str(one + first) for one in index)].append((at, entry))
    return found


def label(text: str, start: int) -> str:
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


def pointer(document: Document, start: int) -> str:
    """The nearest heading, if it leads to a number; else the words before it, as many as it takes."""
    heading = document.under(start)
    before = re.findall(r"[^\W\d]\w*(?:[ ,.:'=()-]+\w+)*", document.text[max(start - 300, 0) : start])
    pointers = [heading.title] if heading else []
    pointers += [words[-60:].partition(" ")[2] or words[-60:] for words in reversed(before) if len(words) > 3]
    return next((words for words in pointers if any(a <= start < b for a, b in regions(document, words))), "")
