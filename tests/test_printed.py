"""Verdicts by printed digits."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mathlab.errors import MathlabError, Place
from mathlab.experiment import Figure, PrintedNumber
from mathlab.language.syntax import Name
from mathlab.printed import Rounding, judge, judge_number, neighbours
from mathlab.results.judged import Verdict

pytestmark = pytest.mark.numbers

PLACE = Place("a.yaml", 3, 5)


def label(text: str, computed: float | np.floating, rounding: Rounding = "nearest", digits: int | None = None) -> str:
    return judge_number(text, computed, rounding=rounding, digits=digits).verdict.label


NEAREST = [
    # as printed, and rounded to nearest
    ("1.018222", 1.01822151, "match"),
    ("0.300000", 0.3, "match"),
    ("0.300000", 0.2999994, "off by 1"),
    ("-2.500000", -2.5, "match"),
    ("12", 12.0, "match"),
    ("-5.6607e-08", -5.66073e-08, "match"),
    ("-5.6607e-08", 5.66073e-08, "differs"),
    ("1e3", 1499.0, "match"),
    ("1E+3", 2600.0, "off by 2"),
    (".5", 0.5, "match"),
    ("16.", 16.4, "match"),
    ("+0.25", 0.25, "match"),
    ("0.000000", 4e-7, "match"),
    ("0.000000", 6e-7, "truncated"),
    ("0e-8", 6e-8, "off by 6"),
    # both ends are closed, and exactly there: 0.125 and 0.375 are floats, 0.135 is not
    ("0.12", 0.125, "match"),
    ("0.13", 0.125, "match"),
    ("0.12", math.nextafter(0.125, 1), "truncated"),
    ("0.13", math.nextafter(0.125, 0), "off by 1"),
    ("2", 2.5, "match"),
    ("3", 2.5, "match"),
    ("1e3", 1500.0, "match"),
    ("1e3", 1500.0000000000002, "truncated"),
    # cut instead of rounded
    ("0.99", 0.9999998874648379, "truncated"),
    ("0.0004", 0.00047752, "truncated"),
    ("-0.0004", -0.00047752, "truncated"),
    ("0.02", 0.0179862, "match"),
    # wrong by some units
    ("0.02", 0.0379862, "off by 2"),
    ("0.02", 0.0109862, "off by 1"),
    ("0.10", 0.1949, "off by 9"),
    ("0.10", 0.195, "differs"),  # 9.5 units and a little more: 10, which no single digit describes
    ("0.10", 0.25, "differs"),
    ("7.7e-5", 7.7e-4, "differs"),
]


@pytest.mark.parametrize(("text", "computed", "expected"), NEAREST)
def test_nearest(text: str, computed: float, expected: str) -> None:
    assert judge_number(text, computed).verdict == Verdict(expected, passed=expected == "match")


TRUNCATE = [
    ("0.73", 0.7319, "match"),
    ("0.73", 0.7399, "match"),
    ("0.99", 0.9999998874648379, "match"),
    ("-0.99", -0.9999998874648379, "match"),
    ("0.3", 0.3, "match"),  # the float64 nearest to 0.3 lies below it
    ("0.00", -0.004, "match"),
    ("0.74", 0.7399, "rounded"),
    ("-0.74", -0.7399, "rounded"),
    ("0.71", 0.7319, "off by 2"),
    ("0.74", 0.7349, "off by 1"),
    ("0.50", 0.7399, "differs"),
]


@pytest.mark.parametrize(("text", "computed", "expected"), TRUNCATE)
def test_truncate(text: str, computed: float, expected: str) -> None:
    assert label(text, computed, rounding="truncate") == expected


SINGLE = [  # of a float32, whose own text has 7 to 9 digits; the next ones lie 6e-8 away
    ("0.76074266", "0.7607426", "match"),
    ("0.7607427", "0.7607426", "match"),
    ("0.7607430", "0.7607426", "off by 4"),
    ("0.760743", "0.76074245", "off by 1"),  # claims what it says
    ("1.234567e300", "1", "differs"),
]


@pytest.mark.parametrize(("text", "computed", "expected"), SINGLE)
def test_the_own_text_of_a_float32(text: str, computed: str, expected: str) -> None:
    assert label(text, np.float32(computed)) == expected
    changed = neighbours(text, single=True)  # are told apart from it
    assert expected != "match" or not any(label(one, np.float32(computed)) == "match" for one in changed)


def test_a_float32_is_cut_in_its_own_digits() -> None:
    assert label("0.7", np.float32(0.7), rounding="truncate") == "match"  # as a float64 it is 0.69999998…


DIGITS = [
    ("-5.34381483665323e-08", -5.34381483557146e-08, None, "differs"),
    ("-5.34381483665323e-08", -5.34381483557146e-08, 9, "match"),
    ("-5.34381483665323e-08", -5.34381583557146e-08, 9, "differs"),
    ("-5.34381483665323e-08", -5.34381486665323e-08, 9, "off by 3"),
    ("123456", 123400.0, 3, "match"),
    ("123456", 124000.0, 3, "off by 1"),
    ("0.25", 0.254, 9, "match"),
]


@pytest.mark.parametrize(("text", "computed", "digits", "expected"), DIGITS)
def test_leading_digits_only(text: str, computed: float, digits: int | None, expected: str) -> None:
    assert label(text, computed, digits=digits) == expected


def test_a_floats_own_text_is_allowed_its_last_bits() -> None:
    text = "0.9999998874648379"
    value = float(text)
    for ulps, expected in ((0, "match"), (3, "match"), (-3, "match"), (5, "off by 6"), (-5, "off by 5")):
        assert label(text, value + ulps * math.ulp(value)) == expected
    assert judge_number(text, value).tolerance == Decimal(4 * math.ulp(value))
    # one digit fewer than 15, and only the digits count
    assert judge_number("0.99999988746484", 1.0).tolerance == Decimal("5e-15")


@pytest.mark.parametrize("computed", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_never_matches(computed: float) -> None:
    judged = judge_number("1.5", computed)
    assert (judged.verdict.label, judged.verdict.passed, judged.error) == ("differs", False, None)
    assert judged.shown == str(computed)


@pytest.mark.parametrize("computed", [math.nan, math.inf, -math.inf, 1.0])
@pytest.mark.parametrize("text", ["inf", "-inf"])
def test_a_printed_infinity_matches_itself_alone(text: str, computed: float) -> None:
    assert (judge_number(text, computed).verdict.label == "match") == (float(text) == computed)


SHOWN = [
    ("0.300000", 0.3, "0.300000"),
    ("0.02", 0.0179862, "0.02"),
    ("12", -12.4, "-12"),
    ("16.", 16.4, "16"),
    (".5", 0.26, "0.3"),
    ("0.000", -0.0, "0.000"),
    ("0.000", -0.0001, "0.000"),
    ("-0.000", -0.0001, "-0.000"),
    ("-0.000", 0.0001, "0.000"),
    ("-5.6607e-08", -5.34381e-08, "-5.3438e-08"),
    ("-5.6607e-08", 1234567.0, "1.2346e+06"),
    ("5.6607e-8", 1.5e-12, "1.5000e-12"),
    ("1e3", 2600.0, "3e3"),
    ("1.5E+03", 2640.0, "2.6E+03"),
    ("1.5e3", 0.000264, "2.6e-4"),
    ("0.53e-7", 5.34e-8, "5.3e-8"),
    ("53.4e-09", 5.3438e-08, "5.34e-08"),
    ("0.000e+00", 0.0, "0.000e+00"),
    ("0.000e+00", -0.0, "0.000e+00"),
    ("1.42014367e-03", 0.0, "0.00000000e+00"),
    ("9.99e-05", 9.996e-05, "1.00e-04"),
]


@pytest.mark.parametrize(("text", "computed", "expected"), SHOWN)
def test_shown_with_the_printed_digits(text: str, computed: float, expected: str) -> None:
    assert judge_number(text, computed).shown == expected


def test_a_truncated_figure_is_shown_cut() -> None:
    assert judge_number("0.99", 0.9999, rounding="truncate").shown == "0.99"
    assert judge_number("9.9e-01", 0.9999, rounding="truncate").shown == "9.9e-01"


def test_error_and_tolerance_are_exact() -> None:
    judged = judge_number("0.1", 0.1)
    assert judged.error == Decimal("5.5511151231257827021181583404541015625E-18")
    assert judged.tolerance == Decimal("0.05")
    assert judge_number("0.1", 0.1, rounding="truncate").tolerance == Decimal("0.1")


@pytest.mark.parametrize("text", ["", ".", "1_000", "0x10", "nan", "+inf", "1,5", " 1", "1e", "٣"])
def test_what_is_not_a_number(text: str) -> None:
    with pytest.raises(MathlabError) as caught:
        judge_number(text, 1.0, place=PLACE)
    assert str(caught.value) == f"a.yaml:3:5: a printed number is needed here: {text!r} is not a decimal number"


@pytest.mark.parametrize("text", ["1e999", "1e-999", "-1e99999999999999999999", "0e-99999999999999999999"])
def test_what_float64_cannot_hold(text: str) -> None:
    with pytest.raises(MathlabError, match="is outside the range of float64"):
        judge_number(text, 1.0)


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, st.integers(0, 20), st.sampled_from("ef"))
def test_what_python_prints_matches(value: float, digits: int, notation: str) -> None:
    value += 0.0  # a zero that is computed has no sign to show
    text = f"{value:.{digits}{notation}}"
    assume(math.isfinite(float(text)) and (float(text) != 0 or not Decimal(text)))
    judged = judge_number(text, value)
    assert judged.verdict.label == "match"
    assert judged.shown == text
    assert judged.error is not None
    assert abs(judged.error) <= judged.tolerance


@given(FINITE)
def test_a_repr_matches(value: float) -> None:
    assert label(repr(value), value) == "match"


@given(FINITE, st.integers(0, 13), st.sampled_from([-1, 1]))
def test_the_last_digit_changed_by_one_fails(value: float, digits: int, change: int) -> None:
    printed = Decimal(f"{value:.{digits}e}")
    exponent = printed.as_tuple().exponent
    assert isinstance(exponent, int)
    wrong = printed + change * Decimal((0, (1,), exponent))
    assume(math.isfinite(float(wrong)) and (float(wrong) != 0 or not wrong) and len(wrong.as_tuple().digits) < 15)
    judged = judge_number(f"{wrong:e}" if wrong else f"0e{exponent}", value)
    # a tie lies half a unit from both neighbours, and both are right; one further on it is off by 1.5 units
    tie = abs(Decimal(value) - printed) == Decimal((0, (1,), exponent)) / 2
    assert judged.verdict.label in {"off by 1", "truncated", *(["match", "off by 2"] if tie else [])}
    assert judged.verdict.passed == (judged.verdict.label == "match")


@given(st.integers(-(10**6), 10**6), st.integers(-(10**7), 10**7), st.integers(-9, 9))
def test_a_power_of_ten_changes_no_verdict(printed: int, computed: int, power: int) -> None:
    """Halves are exact floats, ties among them; so the verdict of p against c/2 is that of 10**k times both."""
    first = judge_number(f"{printed}", computed / 2)
    scaled = computed * 10**power / 2
    assume(Decimal(scaled) == Decimal(computed).scaleb(power) / 2)
    second = judge_number(f"{printed}e{power}", scaled)
    assert first.verdict == second.verdict
    assert second.tolerance == first.tolerance.scaleb(power)


def figure(texts: list[str], shape: tuple[int, ...], rounding: Rounding = "nearest", erratum: str = "") -> Figure:
    printed = tuple(PrintedNumber(text, Place("a.yaml", 3, 5 + 9 * i)) for i, text in enumerate(texts))
    return Figure("dW", Name("dW"), "dW", PLACE, printed, shape, rounding, erratum=erratum, at="eq. 4")


def labels(*texts: str, computed: list[float], erratum: str = "") -> list[str]:
    result = judge(figure(list(texts), (len(texts),), erratum=erratum), np.array(computed), "backprop")
    assert result.passed == all(entry.verdict.passed for entry in result.entries)
    return [entry.verdict.label for entry in result.entries]


def test_a_figure_is_judged_entry_by_entry() -> None:
    result = judge(figure(["0.5", "1.25", "-3", "0.0"], (2, 2)), np.array([[0.5, 1.25], [-3.0, 0.2]]), "train", 200)
    assert [entry.verdict.label for entry in result.entries] == ["match", "match", "match", "off by 2"]
    assert [entry.place for entry in result.entries][1] == Place("a.yaml", 3, 14)
    assert (result.key, result.stage, result.shape, result.updates, result.at) == ("dW", "train", (2, 2), 200, "eq. 4")
    assert not result.passed


ERRATA = [
    (["1.0", "2.0"], [1.0, 2.0], ["erratum refuted", "erratum refuted"]),
    (["1.0", "2.0"], [1.0, 2.5], ["match", "erratum confirmed"]),
    (["1.0", "2.0"], [3.0, 2.5], ["erratum confirmed", "erratum confirmed"]),
    (["1.0", "2.0"], [1.0, math.nan], ["match", "differs"]),
    (["1.0", "2.0"], [3.0, math.inf], ["erratum confirmed", "differs"]),
]


@pytest.mark.parametrize(("texts", "computed", "expected"), ERRATA)
def test_errata(texts: list[str], computed: list[float], expected: list[str]) -> None:
    assert labels(*texts, computed=computed, erratum="The step is that of 0.65.") == expected


SHAPES_THAT_FIT = [((), ()), ((), (1,)), ((), (1, 1)), ((2,), (1, 2)), ((1, 2), (2,)), ((2, 1), (2,)), ((2, 2), (2, 2))]


@pytest.mark.parametrize(("printed", "computed"), SHAPES_THAT_FIT)
def test_shapes_that_fit(printed: tuple[int, ...], computed: tuple[int, ...]) -> None:
    result = judge(figure(["1"] * math.prod(printed), printed), np.ones(computed), "backprop")
    assert result.passed
    assert result.shape == printed


SHAPES_THAT_DO_NOT = [
    ((2,), (2, 2), "a.yaml:3:5: dW is printed with shape (2,), but computed with shape (2, 2)"),
    (
        (),
        (2,),
        "a.yaml:3:5: dW is printed as a single number, but computed with shape (2,); "
        "one number of it is an entry, or its sum or mean",
    ),
    ((4,), (2, 2), "a.yaml:3:5: dW is printed with shape (4,), but computed with shape (2, 2)"),
    ((2, 1), (), "a.yaml:3:5: dW is printed with shape (2, 1), but computed with shape ()"),
    ((0,), (0,), "a.yaml:3:5: dW: no number is printed, so there is nothing to compare"),
]


@pytest.mark.parametrize(("printed", "computed", "message"), SHAPES_THAT_DO_NOT)
def test_shapes_that_do_not_fit(printed: tuple[int, ...], computed: tuple[int, ...], message: str) -> None:
    with pytest.raises(MathlabError) as caught:
        judge(figure(["1"] * math.prod(printed), printed), np.ones(computed), "backprop")
    assert str(caught.value) == message


@pytest.mark.parametrize("computed", [np.array([True, False]), np.array([1, 0]), np.array([1, 0], np.float32), [1, 0]])
def test_masks_and_whole_numbers_are_numbers(computed: np.ndarray) -> None:
    assert judge(figure(["1", "0"], (2,)), computed, "backprop").passed


def test_float32_is_judged_by_the_value_it_holds() -> None:
    value = np.float32(-5.66068e-08)
    entry = judge(figure(["-5.6607e-08"], ()), np.array(value), "backprop").entries[0]
    assert entry.computed == float(value)
    assert entry.verdict.label == "match"
