"""What a text looks like that is no expression, number, pair or line of YAML, and what to write in its place."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathlab.errors import Place

KEYWORDS = {*keyword.kwlist} - {*"and or not if else for in is".split()}
Slips = tuple[tuple[str, str], ...]

# What several signs say.
ALONE, SEPARATED = r"write \1 alone", "digits stand without separators"
DRAW = "values are drawn as in {init: normal, shape: [2, 3], seed: 0}"
LIST = "a list is written [1, 2], in brackets and with commas"
PERCENT, POWER = "a percentage is written as a fraction, as in 0.25", "a power of ten is written as in 3.9e-2"

GRADIENT = re.compile(
    r"[d∂]\w*?[_/][d∂](\w+)(?:\[.*\])?|d(?:[A-Z]|loss)d(\w+)|(?:grad|nabla|delta|del|g|D|δ|Δ|∇|∂|d_)_?(\w+)|(\w+?)[_.]?(?:grad|gradient|bar)"
)
# What an expression looks like that is none, and what to write.
SIGNS: Slips = (
    (r"\w'\s*\(", "a function's derivative is written out, as in sigmoid(x) * (1 - sigmoid(x)), or (x > 0) of relu"),
    (r"^\s*d/d\w", "the gradient of w is written dw"),
    (r"[∂∇]", "the gradient of w is written dw, without '∂'"),
    (r"\\|\$", "an expression is not LaTeX: write sigmoid(x), w @ x, a / b"),
    (r"[·⋅×∗∙•]", "a product is written '*', that of matrices '@'"),
    (r"[⊙∘⊗]", "an entry-wise product is written '*'"),
    (r"[÷⁄]", "a quotient is written a / b"),
    (r"[−–—]", "a minus sign is written '-'"),
    (r"[⟨⟩]|^\s*<.*>\s*$", "an inner product is written dot(a, b)"),
    (r"\*\s+\*", "a power is written x**2"),
    (r"‖", "a norm is written norm(x)"),
    (r"[“”‘’]", "quotes of this kind are no part of an expression"),
    (r"->|→|↦|:=", "write the expression alone"),
    (r"[\w^)\]]\{|[)\]]_\w", "an entry is written x[0], a power x**2"),
    (r"%\*%", "a product of matrices is written '@'"),
    (r"\.[*/^]", "entry-wise operators are written *, / and **"),
    (r"\w\.\(", "a function is called as in tanh(x), and takes every entry"),
    (r"∞", "what is infinite is written inf"),
    (r"√", "a root is written sqrt(x)"),
    (r"∑|Σ\s", "a sum is written sum(x)"),
    (r"∏", "a product of entries is written prod(x)"),
    (r"^\s*if\b|\?", "a choice is written where(c, a, b)"),
    (r"\d\s*%\s*(?:$|[-+*/)])", PERCENT),
    (r"\d \d{3}\b", SEPARATED),
    (r"\d\.\d+\.\d", "a number has one decimal point"),
    (r"[≥≤≠]", "comparisons are written '>=', '<=', '==' and '!='"),
    (r"<>", "what differs is written a != b"),
    (r"&&|&", "of two masks the product is taken, as in (a > 0) * (b > 0)"),
    (r"\|", "an absolute value is written abs(x), a norm norm(x)"),
    (r"^[^']*'[^']*$", "a transpose is written x.T, and what is derived d<name>"),
    (r"^\s*[\w\[\], ]*[-+*/@]?=(?!=)", "write only what stands to the right of '='"),
    (r";", "an equation is one expression, without ';'"),
    (rf"\b(?:{'|'.join(sorted(KEYWORDS))})\b", "a word of Python is no name"),
)
# What is read as other letters, because names are the same in all their forms: x² is x2.
SUPERSCRIPTS: Slips = ((r"[ᵀᵗ⊤]", "x.T for a transpose"), (r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]", "x**2 for a power"))
_DIGITS = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
NUMBER = re.compile(_DIGITS)
# The same of a whole text that is to be a number.
NUMBERS: Slips = (
    (r"([+-]?[1-9]\d{0,2}),(\d{3})", r"write \1.\2 or \1\2, without ','"),
    (r"[+-]?\d{1,3}(?:,\d{3})+\.\d+", SEPARATED),
    (r"([+-]?\d+),(\d+)", r"a decimal point is written '.', as in \1.\2"),
    (rf"[~≈≃∼]\s*({_DIGITS})", r"write \1 alone, whose digits say how precise it is"),
    (rf"({_DIGITS})\s*(?:±|\+/?-).*", r"write \1 alone, whose digits say how precise it is"),
    (rf"{_DIGITS}\s*%", PERCENT),
    (rf"{_DIGITS}\s*[×x*·⋅]\s*10\s*[-+^*⁰¹²³⁴-⁹⁻].*|10\s*(?:\^|\*\*|[⁰¹²³⁴-⁹⁻]).*|{_DIGITS}\s+[eE].*", POWER),
    (r"[+-]?\d{1,3}(?:[ _'’.]\d{3})+(?:[.,]\d+)?", SEPARATED),
    (rf"{_DIGITS}\s*(?:[-/^+*]|\*\*)\s*{_DIGITS}|[¼-¾⅐-⅞]", "a fraction is written out in digits, or is an equation"),
    (rf"({_DIGITS}(?:[eE][+-]?\d+)?)(?:[fFLdj]|\.\.\.?|…)", ALONE),
    (r"([1-9]\d*)\s*[x×]\s*([1-9]\d*)", r"a shape is written [\1, \2]"),
    (r"pi|π", "write 3.141592653589793"),
    (r"(?i:~|null|none|nil|na|n/a|-+)", "what has no value is left out"),
    (r"0[xbo]\w+", "write it in decimal digits"),
    (rf"{_DIGITS}\s*[kKMGT%‰]", "write it out in digits"),
    (rf"{_DIGITS}[eEdD][-+.0-9]*", POWER),
    (rf"[+-]+({_DIGITS})", r"one sign stands before a number: write \1"),
    (r"[Oo][.,]([0-9]+)", r"write 0.\1, with the digit 0"),
    (rf"==?\s*({_DIGITS})", ALONE),
    (r"=.*", "a spreadsheet's formula is written out in digits, or is an equation"),
    (rf"{_DIGITS}\s*[-+]\s*{_DIGITS}[ij]", "all numbers are real"),
    (r"\d+(?:\.\d+){2,}", "a number has one decimal point"),
    (r"(?:\w+\.)*[^\W\d]\w*\(.*", "a formula is written out in digits, or is an equation"),
    (rf"({_DIGITS}(?:[eE][+-]?\d+)?)\s+(?:\(|[^\W\d]{{2}}).*", ALONE),
    (rf"(?!\[.*\]|\({_DIGITS}$)[^\d.+*/^-]*(?<![A-Za-z])({_DIGITS}(?:[eE][+-]?\d+)?)(?![\d.]*[eE\d])[^\d*/^]*", ALONE),
)
# The same of one of the numbers of a figure, and of those of a value.
FIGURES: Slips = (
    *NUMBERS,
    (rf"\(?\s*{_DIGITS}(?:\s*[,;]\s*|\s+){_DIGITS}.*|\({_DIGITS}", LIST),
    (r"(?i:true|yes|on|false|no|off)", "in a mask, true is 1 and false is 0"),
    (r"-?[0-9]+(?::|\.\.)-?[0-9]+(?::-?[0-9]+)?", "a range would be written out, as in [1, 2, 3]"),
    (r"\[.*\]", "a list stands without quotes"),
    (r"\.\.\.|…|_|\?", "a figure gives every entry, or one, as in dw[0]"),
)
VALUES: Slips = (
    (r"(?:\w+\.)*(?:rand\w*|normal|uniform)\(.*", DRAW),
    (r"zeros|ones", r"values are made as in {init: \g<0>, shape: [2, 3]}"),
    (r"(?:\w+\.)*(?:zeros|ones|eye)\(.*", "values are made as in {init: zeros, shape: [2, 3]}"),
    (r"(?:\w+\.)*(?:c|array|asarray|tensor|matrix|Tensor|float\d+)\(.*", "the numbers stand alone, in brackets"),
    (r"[\w./-]+\.(?:csv|tsv|txt|npy|npz|json|mat|pt)", r"a file is named as in {file: \g<0>}"),
    (r"(?i:he|kaiming|xavier|glorot|normal|uniform|randn?|random)(?:_\w+)?(?:\(\))?", DRAW),
    *FIGURES,
)
# The same of a text that is to be a key with its value.
PAIRS: Slips = (
    (
        r"([\w.\[\],]+)\s*(?:[=:]|==|\s(?=\s*[-+.\d]))\s*"
        r"([^=\s()/](?:[^()=]|\([^()]*\))*?)(?:\s+\w+\s*[=:].*)?",
        r"write \1: \2",
    ),
    (r"\w+\s*[-+*/@]=.*", "a name is given once, and what comes of it has another"),
    (r"true|yes|on", "write {}"),
)

# The same of a text that is to be a name.
NAMES: Slips = (
    (r"(?=[$\\])\$?\\?([^\W\d]\w*)\$?", r"write \1, without LaTeX's signs"),
    (r"(\w+?)_?\{(\w+)\}", r"write \1_\2"),
    (r"(\w+)['′]+", r"write \1_prime"),
    (r"(\d+)_?([^\W\d]\w*)", r"write \2\1"),
    (r"(\w+)\([\w, ]*\)", r"write \1 alone: an equation says what it reads"),
    (r"\w+\[\s*[^\W\d].*\]", "steps stand below a loop, as in 'for t in 1..3:'"),
    (r"(\w+)\[[\d, :]*\]", r"\1 is given whole, as in \1: [0.5, -1]"),
    (r"([^\W\d]\w*)[-.](\w+)|([^\W\d]\w*) ([^\W\d]\w*)", r"write \1\3_\2\4"),
)

CLOSED = {"[": "]", "{": "}"}
LONGEST_SLIP = 200  # characters of what is held against the words and signs here; more are no slip


def sign(text: str, slips: Slips) -> str:
    """What to write in the place of an expression that has one of these signs; empty where it has none."""
    return next((sentence for pattern, sentence in slips if re.search(pattern, text)), "")


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


def cut(message: str) -> str:
    """A hint for an expression that YAML may have cut off at its comma."""
    return "; in quotes, if YAML's braces cut it off at a comma" if "was never closed" in message else ""


def named(text: str) -> str:
    """What a name is, and what is meant by a text that is none."""
    of = gradient_of(text)
    hint = f"; the gradient of {of} is written d{of}" if of else slip(text, (*NAMES, *PAIRS))
    return f"letters, digits and '_', beginning with a letter{hint}"


def pair(key: str, value: object) -> str:
    """The same for a key with nothing behind it, such as `lr=0.1`, or the 5 of 0,5 in braces, or the 2) of (1, 2)."""
    if value != "":
        return ""
    rest = re.fullmatch(rf"{_DIGITS}[^\w(]?|[^(=:]*\)", key)
    return "; a decimal point is written '.', and a list stands in brackets" if rest else slip(key, PAIRS)


def out_of_bounds(error: IndexError) -> str:
    """What NumPy says of an index that an axis does not have, and what it could be."""
    size = re.search(r"out of bounds for axis \d+ with size ([1-9]\d*)", str(error))
    return f"{error}, which counts from 0 to {int(size[1]) - 1}" if size else str(error)


def gradient_of(name: str) -> str:
    """The name whose gradient is meant by `dL_dw`, `dL/dw`, `grad_w`, `w.grad`, `delta_w`; empty for none of these."""
    if len(name) > LONGEST_SLIP:
        return ""
    found = GRADIENT.fullmatch(name)
    return next((group for group in found.groups() if group), "") if found else ""


def indented(lines: list[str], at: int) -> str:
    """A hint for a line of YAML that begins where none above it begins."""
    said = [line for line in lines[: at + 1] if line.strip() and line.strip()[0] != "#"]
    starts = [len(line) - len(line.lstrip()) for line in said]
    before = "".join(said[:-1])
    open_still = any(before.count(one) != before.count(other) for one, other in CLOSED.items())
    if open_still or len(said) < 2 or re.search(r"[:>|-]$|^\w+$", said[-2].strip()) or starts[-1] in starts[:-1]:
        return ""
    return f"; this line is indented by {starts[-1]}, the one above it by {starts[-2]}"


def quoted(line: str, before: str = "") -> str:
    """A hint for a value, or a key, in YAML that only quotes keep together; of a line with all that stands before."""
    text = line[:LONGEST_SLIP].strip()
    value = text.partition(": ")[2].strip()
    above = before.rstrip("\n").rpartition("\n")[2].strip()
    if comment := re.match(r"//|%|--(?!-)|/\*", text) or re.match(r"//|/\*", above):
        return f"; a comment begins with '#', not with '{comment[0]}'"
    if re.match(r"[\w\[\], ]+: [^\[{\"']*, *[\w\[\], ]+: ", text):
        return "; each key has a line of its own, or all of them stand in braces"
    parts = (text, before + text)
    if any(all(part.count(one) < part.count(other) for part in parts) for one, other in CLOSED.items()):
        return "; a bracket is closed that nothing opened"
    if re.search(r",\s*,", text):
        return "; between two commas a value is missing"
    alone = [part for part in (value, text) if part[:1] in tuple("@`|>%&*!?,")]
    alone += [value] if re.match(r"-(?: |$)", value) else []
    if alone or re.match(r"""[^{\[]*(: | :)|(["']).*\2 *[^ #]""", value):
        written = sign((alone or [value])[0], SIGNS) or ("a mapping in braces" if ": " in value else "")
        return f"; an expression, or a text, of this kind stands in quotes{', and ' * bool(written)}{written}"
    if re.search(r"[}\]],? *[\w{]", text):
        return "; behind a bracket that is closed, a new line begins"
    pairs = (part for part in (text, above) if re.fullmatch(r"[\w.]+(?:\s*=[^=].*)?", part))
    return next((f"; a key is written 'name: value', and not {part!r}" for part in pairs), "")


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
    if len(runs) != wanted or not all(re.fullmatch(r"[+-]?\d+,\d+", ",".join(run)) for run in halves):
        return ""
    return f"; a decimal point is written '.', as in {'.'.join(halves[0])}" if halves else ""
