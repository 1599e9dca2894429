"""Printed digits -> tolerance -> verdict: by the digits that were printed, up to the rounding of the value itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mathlab import signs
from mathlab.errors import MathlabError, Place
from mathlab.experiment import INFINITE, Array, Figure
from mathlab.results.judged import FigureResult, Judged, Verdict

Rounding = Literal["nearest", "truncate"]
Measured = Callable[[], ArrayLike]

# From this many significant digits on, a figure is a float's own text: its last digits are the rounding of the
# arithmetic, which another order of the same operations moves by a few units in the last place (ulp). No printing can
# be finer than that.
REPR_DIGITS = 15
REPR_ULPS = 4
SINGLE_DIGITS, SINGLE_ULP = 7, 2**29  # of float32, in those of float64

TIE = Decimal("0.1")  # of half a unit: so near to the middle between two figures rounding may choose either

MATCH = Verdict("match", True)
DIFFERS = Verdict("differs", False)
ERRATUM_CONFIRMED = Verdict("erratum confirmed", True)
ERRATUM_REFUTED = Verdict("erratum refuted", False)

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<decimals>\d*))?(?:(?P<e>[eE])(?P<esign>[+-]?)(?P<exponent>\d+))?", re.ASCII
)


class Digits(NamedTuple):
    """A printed number taken apart."""

    value: Decimal  # exactly
    unit: Decimal  # one of the last digit that counts
    noise: Decimal  # what a float's own rounding may move the number by; 0 with fewer digits than its own text has
    notation: re.Match[str]  # how it was written


def read_digits(text: str, digits: int | None = None, single: bool = False) -> Digits:
    """What the digits of `text` say: `5.6607e-08` counts in units of 1e-12, `16.0` in tenths, `1e3` in thousands.

    With `digits`, the unit is that of the `digits`-th significant digit (the last one, if fewer are printed). `single`
    says that it was computed in float32.

    Raises ValueError for a text that is not a decimal number, or that float64 cannot hold.
    """
    notation = _NUMBER.fullmatch(text)
    if notation is None or not (notation["whole"] or notation["decimals"]):
        raise ValueError(f"{text!r} is not a decimal number")
    nearest = float(text)
    nonzero = bool((notation["whole"] + (notation["decimals"] or "")).strip("0"))
    far_zero = not nonzero and len((notation["exponent"] or "").lstrip("0")) > 3  # as a unit, 0e-9999 would be absurd
    if math.isinf(nearest) or (nonzero and nearest == 0) or far_zero:
        raise ValueError(f"{text!r} is outside the range of float64")
    value = Decimal(text)
    count, last = _significant(value)
    if digits is not None and nonzero and digits < count:
        last, count = last + count - digits, digits
    ulp = math.ulp(nearest) * (SINGLE_ULP if single else 1)
    is_text_of_float = nonzero and count >= (SINGLE_DIGITS if single else REPR_DIGITS)
    noise = Decimal(REPR_ULPS * ulp) if is_text_of_float else Decimal(0)
    return Digits(value, Decimal((0, (1,), last)), noise, notation)


def _significant(value: Decimal) -> tuple[int, int]:
    """How many digits a number has, and the power of ten of its last one."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # it is a letter for NaN and infinity only
    return len(digits), exponent


def judge_number(
    text: str,
    computed: float | np.floating,
    *,
    rounding: Rounding = "nearest",
    digits: int | None = None,
    place: Place | None = None,
    noise: float = 0.0,
) -> Judged:
    """One printed number held against the computed one, in exact decimal arithmetic.

    With e the printed value, u one unit of its last digit and n the `noise`, how far rounding moves the computed value
    (none where that is not finite), the verdict is the first of these that holds:

    - `match`: |computed - e| <= u/2 + n, both ends included: a tie of decimals is none in binary, and n is no more than
      that here. A text of 15 or more significant digits, or 7 for a `np.float32`, is a float's own: it may be off by n,
      and by 4 ulp at e. With `rounding="truncate"` instead: both numbers, cut towards zero after the unit's digit, are
      the same, for a number within n of the computed one (the tolerance is then u + n).
    - `rounded` (truncate only): the number was rounded to nearest, not cut. Fails.
    - `truncated` (nearest only): the number was cut, not rounded. Fails.
    - `off by k`: wrong by k units, rounded to a whole number of them, for k from 1 to 9. Fails.
    - `differs`: anything else, and always where the computed value is not finite. Fails.

    `inf` and `-inf` match the infinite value that they are, and nothing else.

    `digits=n` puts the unit at the n-th significant digit: the computed value must lie within half of that unit of the
    whole printed number. A number is cut as a program displays it, in the shortest decimals of its own type: 0.3 gives
    0.3, though the float64 nearest to it is 0.29999…; hence `computed` may be a `np.float32`.

    Raises MathlabError at `place` for a text that is not a decimal number within float64's range.
    """
    if text in INFINITE:
        verdict = MATCH if float(text) == computed else DIFFERS
        return Judged(text, float(computed), str(float(computed)), None, Decimal(0), verdict, place)
    try:
        printed = read_digits(text, digits, isinstance(computed, np.float32))
    except ValueError as problem:
        raise MathlabError(f"a printed number is needed here: {problem}", place) from None
    half = printed.unit.scaleb(-1) * 5
    n = Decimal(float(noise)) if math.isfinite(noise) else Decimal(0)
    if not printed.noise:  # fewer digits than a float's own claim what they say: only a tie is left to rounding
        n = min(n, half * TIE)
    tolerance = max((half if rounding == "nearest" else printed.unit) + n, printed.noise)
    if not math.isfinite(computed):
        return Judged(text, float(computed), str(float(computed)), None, tolerance, DIFFERS, place)

    # Wide enough for every digit of any float64 (from 1e308 down to 2**-1074) beside every digit of the text.
    exact = Context(prec=1500 + len(text))

    def cut(value: Decimal) -> Decimal:
        return value.quantize(printed.unit, ROUND_DOWN, exact)

    displayed, moved = Decimal(str(computed)), max(n, printed.noise)
    error = exact.subtract(Decimal(float(computed)), printed.value)
    size = error.copy_abs()
    if rounding == "nearest":
        matches = size <= tolerance
    else:
        matches = cut(exact.subtract(displayed, moved)) <= cut(printed.value) <= cut(exact.add(displayed, moved))
    if matches:
        verdict = MATCH
    elif rounding == "truncate" and size <= half + n:
        verdict = Verdict("rounded", False)
    elif rounding == "nearest" and cut(displayed) == cut(printed.value):
        verdict = Verdict("truncated", False)
    else:
        units = exact.divide(size, printed.unit).to_integral_value(ROUND_HALF_UP, exact)
        verdict = Verdict(f"off by {units}", False) if 1 <= units <= 9 else DIFFERS
    shown = displayed if rounding == "truncate" else Decimal(float(computed))
    written = _written_like(printed.notation, shown, rounding)
    return Judged(text, float(computed), written, error, tolerance, verdict, place)


def judge(
    figure: Figure, computed: ArrayLike, stage: str, updates: int | None = None, noise: Measured | None = None
) -> FigureResult:
    """Every number of a figure held against the computed array, entry by entry in C order.

    `computed` has the figure's shape; axes of length 1 may be more or fewer, so that a single printed number can be
    held against an array of one entry. Booleans and whole numbers count as floats. `noise` measures how far rounding
    moves every entry of `computed`; it is asked only where the digits alone do not make all entries match.

    An erratum passes while the article is still wrong: its entries that do not match are `erratum confirmed`; when all
    of them match, all are `erratum refuted` and fail. A computed value that is not finite confirms nothing: `differs`.

    Raises MathlabError at the figure's place when the shapes do not fit, or when nothing was printed.
    """
    values = np.asarray(computed)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if not figure.printed:
        raise MathlabError(f"{figure.name}: no number is printed, so there is nothing to compare", figure.place)
    if without_ones(values.shape) != without_ones(figure.shape):
        printed = f"with shape {figure.shape}" if figure.shape else "as a single number"
        hint = signs.commas([(number.text, number.place) for number in figure.printed], values.size)
        hint = hint or ("" if figure.shape else "; one number of it is an entry, or its sum or mean")
        message = f"{figure.name} is printed {printed}, but computed with shape {values.shape}{hint}"
        raise MathlabError(message, figure.place)

    def judged(noise: Array) -> tuple[Judged, ...]:
        alike = partial(judge_number, rounding=figure.rounding, digits=figure.digits)
        each = zip(figure.printed, values.ravel(), noise.ravel(), strict=True)
        return tuple(alike(one.text, value, place=one.place or figure.place, noise=float(n)) for one, value, n in each)

    entries = judged(np.zeros(values.shape))
    if noise is not None and not all(entry.verdict == MATCH for entry in entries):
        both = zip(entries, judged(np.asarray(noise(), np.float64)), strict=True)
        entries = tuple(plain if plain.verdict == MATCH else noisy for plain, noisy in both)
    entries = _as_erratum(entries) if figure.erratum else entries
    result = FigureResult(figure.name, stage, figure.shape, entries, updates)
    return result._replace(erratum=figure.erratum, at=figure.at, because=figure.because, worked_out=figure.worked_out)


def neighbours(text: str, noise: float = 0.0, single: bool = False) -> tuple[str, ...]:
    """The number with its last digit one up and one down, in the same notation; none of one without digits.

    Of more than 15 significant digits, or 6 in `single` precision, the last of these is changed: it is the last that
    floats can tell apart. Nor is one changed that is lost in the `noise` of the value: half a unit of it must be more.
    """
    if text in INFINITE:
        return ()
    number, e, exponent = text.replace("E", "e").partition("e")
    value = Decimal(number)
    count, last = _significant(value)
    place = last + max(count - np.finfo(np.float32 if single else np.float64).precision, 0)
    if noise > 0 and math.isfinite(noise):
        place = max(place, (2 * Decimal(noise)).adjusted() + 1 - int(exponent or 0))
    unit = Decimal((0, (1,), place))
    return f"{value + unit:f}{e}{exponent}", f"{value - unit:f}{e}{exponent}"


def _as_erratum(entries: Sequence[Judged]) -> tuple[Judged, ...]:
    """The entries of an erratum: where all match it is refuted, else it is confirmed by those that differ finitely."""
    if all(entry.verdict == MATCH for entry in entries):
        return tuple(entry._replace(verdict=ERRATUM_REFUTED) for entry in entries)
    return tuple(
        entry if entry.verdict == MATCH or entry.error is None else entry._replace(verdict=ERRATUM_CONFIRMED)
        for entry in entries
    )


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that tell arrays apart."""
    return tuple(length for length in shape if length != 1)


def _written_like(notation: re.Match[str], value: Decimal, rounding: Rounding) -> str:
    """`value` with as many digits, and in the same notation, as the printed number."""
    whole, decimals, style = notation["whole"], notation["decimals"] or "", ""
    with localcontext(rounding=ROUND_DOWN if rounding == "truncate" else ROUND_HALF_EVEN):
        if notation["e"] is None:
            mantissa = f"{value:.{len(decimals)}f}"
        else:
            # As many digits as printed, one of them before the point: an article may have printed 53.4e-9.
            after_point = len((whole + decimals).lstrip("0") or f"0{decimals}") - 1
            mantissa, _, exponent = f"{value or 0.0:.{after_point}e}".partition("e")
            sign = "-" if exponent[0] == "-" else "+" if notation["esign"] else ""
            style = f"{notation['e']}{sign}{abs(int(exponent)):0{len(notation['exponent'])}d}"
    if notation["sign"] != "-" and not mantissa.strip("-0."):
        mantissa = mantissa.removeprefix("-")
    return mantissa + style
