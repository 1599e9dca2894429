"""What a text looks like that is no expression, number, pair or line of YAML, and what to write in its place.

What one look tells stands in the tables of `signs.txt`; what needs more, in the functions here.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathlab.errors import Place

Slips = tuple[tuple[str, str], ...]

GRADIENT = (
    r"[d∂]\w*?[_/][d∂]_?(\w+)(?:\[.*\])?|d(?:[A-Z]|loss)d(\w+)"
    r"|(?:grad|nabla|delta|del|g|D|δ|Δ|∇|∂|d_)_?(\w+)|(\w+?)[_.]?(?:grad|gradient|bar)"
)
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_WORDS = "|".join({*keyword.kwlist} - {*"and or not if else for in is".split()})


def tables(path: Path, between: str) -> Mapping[str, Slips]:
    """The tables of a text file by their names: of each row, what stands before the sign and behind it."""
    found: dict[str, Slips] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            name = heading[1]
        elif line and line[0] != "#":
            before, _, behind = line.partition(between)
            found[name] = (*found.get(name, ()), (before, behind))
    return found


SIGNS, MISREAD, SUPERSCRIPTS, NUMBERS, FIGURES, VALUES, PAIRS, NAMES, KEYS, LINES, OTHER_LINES, PATHS = (
    tuple((row.replace("<number>", NUMBER).replace("<word>", _WORDS), sentence) for row, sentence in rows)
    for rows in tables(Path(__file__).with_suffix(".txt"), " => ").values()
)
FIGURES = NUMBERS + FIGURES
VALUES += FIGURES

CLOSED = {"[": "]", "{": "}"}
# a value with a colon or quotes inside, or a list that goes on as an expression
QUOTED = r"""[^{\[]*(: | :)|\w+\[[^\]]*(: | :)|(["']).*\3 *[^ #]|\[.*[^\W\d].*\] *[-+*/@.[]"""
LONGEST_SLIP = 200  # characters of what is held against the words and signs here; more are no slip


def sign(text: str, slips: Slips) -> str:
    """What to write in the place of an expression that has one of these signs; empty where it has none."""
    found = ((re.search(pattern, text), sentence) for pattern, sentence in slips)
    return next((match.expand(sentence) for match, sentence in found if match), "")


def blamed(text: str, source: str, offset: int, message: str) -> str:
    """Why a text is no expression, from what Python says of it, stripped, and where."""
    near = repr(source[offset : offset + 12])
    superscript = sign(text, SUPERSCRIPTS)
    if written := f"write {superscript}" if superscript else sign(source, SIGNS):
        return written
    if re.match(r"\d[\d.]*[^\W\d]", source[offset:]) and "literal" in message:
        return f"a product is written with '*' near {near}"
    gaps = [gap.end() for gap in re.finditer(r"[\w.)\]]\s+(?=[\w.])", source)]
    if behind := next((at for at in gaps if at == offset or (at > offset and "comma" in message)), 0):
        near = repr(source[behind : behind + 12])
        return f"before {near} an operator is missing: a product is a * b or a @ b, a call f(x)"
    reason = (message or "invalid syntax").split(";")[0].split(": value has")[0]
    return f"{reason} near {near}"


def slip(text: str, slips: Slips) -> str:
    """`"; a decimal point is written '.'"` for a text that is one of these slips, else the empty string."""
    if len(text) > LONGEST_SLIP:
        return ""
    found = ((re.fullmatch(pattern, text.strip(), re.DOTALL), sentence) for pattern, sentence in slips)
    return next((f"; {match.expand(sentence)}" for match, sentence in found if match), "")


def named(text: str) -> str:
    """What a name is, and what is meant by a text that is none."""
    of = gradient_of(text)
    hint = f"; the gradient of {of} is written d{of}" if of else slip(text, (*NAMES, *PAIRS))
    return f"letters, digits and '_', beginning with a letter{hint}"


def pair(key: str, value: object) -> str:
    """The same for a key with nothing behind it, such as `lr=0.1`, or the 5 of 0,5 in braces, or the 2) of (1, 2)."""
    return slip(key, KEYS + PAIRS) if value == "" else ""


def out_of_bounds(error: IndexError) -> str:
    """What NumPy says of an index that an axis does not have, and what it could be."""
    if many := re.search(r"array is (\d+)-dimensional, but (\d+)", str(error)):
        return f"it has {many[1]} axes, and {many[2]} of them are indexed"
    size = re.search(r"out of bounds for axis \d+ with size ([1-9]\d*)", str(error))
    return f"{error}, which counts from 0 to {int(size[1]) - 1}" if size else str(error)


def gradient_of(name: str) -> str:
    """The name whose gradient is meant by `dL_dw`, `dL/dw`, `grad_w`, `w.grad`, `delta_w`; empty for none of these."""
    if len(name) > LONGEST_SLIP:
        return ""
    found = re.fullmatch(GRADIENT, name)
    return next((group for group in found.groups() if group), "") if found else ""


def indented(lines: list[str], at: int) -> str:
    """A hint for a line of YAML that begins where none above it begins."""
    said = [line for line in lines[: at + 1] if line.strip() and line.strip()[0] != "#"]
    starts = [len(line) - len(line.lstrip()) for line in said]
    before = "".join(said[:-1])
    open_still = any(before.count(one) != before.count(other) for one, other in CLOSED.items())
    known = starts[-1] in starts[:-1] and starts[-1] <= starts[-2]
    if open_still or len(said) < 2 or known or re.search(r"[:>|-]$|^\w+$", said[-2].strip()):
        return ""
    if re.match(r"for\b", said[-2].strip()):
        return "; behind a loop's last number stands ':'"
    return f"; this line is indented by {starts[-1]}, the one above it by {starts[-2]}"


def quoted(line: str, before: str = "") -> str:
    """A hint for a line that YAML cannot read, with all that stands before it: of a value, say, that needs quotes."""
    text = line[:LONGEST_SLIP].strip()
    value = text.partition(": ")[2].strip()
    above = before.rstrip("\n").rpartition("\n")[2].strip()
    both = f"{above}\n{text}"
    if written := sign(both, LINES):
        return f"; {written}"
    parts = (text, before + text)
    if any(all(part.count(one) < part.count(other) for part in parts) for one, other in CLOSED.items()):
        return "; a bracket is closed that nothing opened"
    alone = [part for part in (value, text) if part[:1] in tuple("@`|>%&*!?,")]
    alone += [value] if re.match(r"-(?: |$)", value) else []
    if number := slip(value, NUMBERS) if value in alone and not re.search(r"(?<!\d)[^\W\d]", value) else "":  # no name
        return number
    if alone or re.match(QUOTED, value):
        written = sign((alone or [value])[0], SIGNS) or ("a mapping in braces" if re.match(r"[\w ]+: ", value) else "")
        return f"; an expression, or a text, of this kind stands in quotes{', and ' * bool(written)}{written}"
    written = sign(both, OTHER_LINES)
    return f"; {written}" if written else ""


def brackets(lines: list[str], at: int, column: int) -> str:
    """A hint for a list that YAML cannot read; it begins in the first of these lines, which is the line `at`."""
    text = re.sub(r"\s#.*", "", "\n".join(lines)[column:])  # without comments
    if text[:1] in CLOSED and text.count(text[0]) > text.count(CLOSED[text[0]]):
        return f"; what {text[0]!r} opens on line {at + 1} is not closed"
    rows = re.search(r";|\]\s*\[", "".join(lines[:1]))
    return "; rows of a list are divided by commas, as in [[1, 2], [3, 4]]" if rows else ""


def commas(numbers: Sequence[tuple[str, Place | None]], wanted: int) -> str:
    """A hint for numbers such as `[0,1, 0.3, 0,2]`, which are so many as are wanted where two without a space are one.

    Each is given with its place: what has more than one such neighbour is a list that is written without spaces.
    """
    runs: list[list[str]] = []
    after: Place | None = None
    for text, place in numbers:
        runs += [] if place and after == place else [[]]
        runs[-1].append(text)
        after = place and place.shifted(len(text) + 1)
    halves = [run for run in runs if len(run) > 1]
    if len(runs) != wanted or wanted == 1 or not all(re.fullmatch(r"[+-]?\d+,\d+", ",".join(run)) for run in halves):
        return ""
    return f"; a decimal point is written '.', as in {'.'.join(halves[0])}" if halves else ""
