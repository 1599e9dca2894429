"""The mistakes that are looked for in the equations: what is written for what, and how soon it is believed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mathlab.diagnosis import rules, slopes, swaps
from mathlab.diagnosis.rewrite import Row, Rule, rewrites
from mathlab.language.ops import ACTIVATIONS

TABLE = Path(__file__).with_name("kinds.txt")
INSTEAD = "`new` stands in place of `old`"
TOGETHER = ("exchanged", "weights exchanged")  # what is made everywhere or not at all
ONCE = (*TOGETHER, "path missing", "axis kept", "row sums", "factor inside")  # of which no reader sees another version
ACTIVATED = {op: f"{op}({', '.join('xk'[: len(row.args)])})" for op, row in ACTIVATIONS.items()}
MAPPED = [op for op, form in ACTIVATED.items() if "k" not in form and "softmax" not in op]
LOGS = [(form, base) for form in ("log(x)", "cross_entropy(x, y)") for base in (10, 2)]
FUNCTIONS: Mapping[str, Rule] = {
    **{name: rule for some in (rules, swaps) for name, rule in vars(some).items() if callable(rule)},
    "wrong_slopes": slopes.wrong_slopes,
    "activation_missing": rewrites(
        *((form, "x", f"the activation {op} is left out") for op, form in ACTIVATED.items())
    ),
    "other_function": rewrites(
        ("log(x)", "x", "the logarithm of `x` is left out"),
        *((form, f"{form} / {math.log(base)}", f"the logarithm has the base {base}") for form, base in LOGS),
        *(
            (f"{op}(x)", f"{other}(x)", f"{other} stands in place of {op}")
            for op in MAPPED
            for other in ("sigmoid", "tanh", "relu")
            if other != op
        ),
    ),
}


@dataclass(frozen=True)
class Kind:
    """A kind of mistake: what it is in a sentence, its rule, and how soon it is believed.

    `seen_by_one` says that one reader of a gradient may see it, and the others not.
    """

    sentence: str
    rule: Rule
    tier: float
    seen_by_one: bool


def _kinds(table: str, others: Mapping[str, Kind]) -> Iterator[tuple[str, Kind]]:
    """The kinds of a table; some are made as `others` are."""
    for block in re.split(r"\n(?! )", table.strip()):
        head, *lines = block.splitlines()
        name, tier, sentence = head.split(" | ")
        first = lines[0].strip()
        if first.startswith("as "):
            rule = others[first.removeprefix("as ")].rule
        else:
            rule = FUNCTIONS[first] if first in FUNCTIONS else rewrites(*map(_row, lines))
        yield name, Kind(sentence, rule, float(tier), name not in ONCE)


def _row(line: str) -> Row:
    old, new, words, rank = (*(cell.strip() for cell in line.split("|")), "", "")[:4]
    return old, new.split(" ; "), words or INSTEAD, float(rank or 0)


_, _back, _forth = re.split(r"(?:^# .*\n)+", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
BACKWARD = dict(_kinds(_back, {}))
FORWARD = dict(_kinds(_forth, BACKWARD))
