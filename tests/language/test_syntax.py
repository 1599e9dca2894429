"""The equation language as text: what it accepts, what it refuses and where it points, and that it reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathlab.errors import ExpressionError
from mathlab.language import read
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, parse, unparse

READ_BACK = [
    "W1 @ x + b1",
    "-log(p[target])",
    "(-2)**2",
    "-2**2",
    "x**(-1)",
    "a - (b - c)",
    "a / (b * c)",
    "a @ (b @ c)",
    "sum(E**2, axis=1, keepdims=True)",
    "P[[0, 1], y]",
    "g[:, None]",
    "X.T @ G",
    "gates[0:4]",
    "x[::-1]",
    "scatter(di, gates[0:2])",
    "δ1 * ŷ",
    "z1 > 0",
    "1e-5 * a",
    "-1e9 * a + 1e22 - 123e6",
    "x1e6[1000000] + 1.5e300",
    "(-0.0)[None]",
]


@pytest.mark.parametrize("text", READ_BACK)
def test_text_reads_back(text: str) -> None:
    assert unparse(parse(text)) == text


REFUSED = [
    ("", "an expression is missing", 0),
    ("a +", "not an expression: something is missing behind the last sign", 0),
    ("a + (b", "not an expression: '(' was never closed near '(b'", 4),
    ("a) + (b", "not an expression: unmatched ')' near ') + (b'", 1),
    ("z = a", "not an expression: write only what stands to the right of '='", 2),
    ("a ^ 2", "'^' is not in the equation language; a power is written x**2", 2),
    ("a < b < c", "a chained comparison is not in the language; write (a < b) * (b < c)", 0),
    (
        "a and b",
        "'a and b' is not in the equation language; of two masks the product is taken, as in (a > 0) * (b > 0)",
        0,
    ),
    ("a if b else c", "'a if b else c' is not in the equation language; a choice is written where(c, a, b)", 0),
    ("1 + x.shape", "'.shape' is not in the equation language; write shape(x)", 4),
    ("1 + x.__class__", "'.__class__' is not in the equation language; of attributes only .T and .mT are", 4),
    ("(lambda: 1)()", "'(lambda: 1)()' is not in the equation language", 0),
    (
        "[a for a in b]",
        "'[a for a in b]' is not in the equation language; "
        "arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
        0,
    ),
    ("f'{a}'", "'f'{a}'' is not in the equation language; an expression stands alone, without f'...'", 0),
    ("a + 'b'", "'b' is not a number; only einsum reads a text, before its arrays", 4),
    ("a + True", "True is not a number; a setting has its name before it, as in keepdims=True", 4),
    ("a + 2j", "2j is not a number", 4),
    ("1e999", "a number is too large for float64", 0),
    ("a # b", "'#' is not part of the equation language", 2),
    ("[]", "an empty list has no shape", 0),
    ("sum(*a)", "'*a' is not in the equation language", 4),
    ("sum(**a)", "'**' arguments are not in the equation language", 0),
    ("2 + sigmiod(x)", "unknown function 'sigmiod'; did you mean 'sigmoid'?", 4),
    ("relu(x, y)", "relu takes at most 1 argument (x), not 2", 0),
    ("relu()", "relu needs its argument 'x'", 0),
    ("sum(x, axes=1)", "sum has no argument 'axes'; did you mean 'axis'?", 0),
    ("sum(x, 1, axis=1)", "sum is given axis twice", 0),
    (
        "sum(x, axis=exp(0))",
        "axis of sum must be a whole number, several in brackets, or None for all axes, not 'exp(0)'",
        0,
    ),
    ("2x + 1", "not an expression: a product is written with '*' near '2x + 1'", 0),
    ("1 + np.exp(x)", "'np.exp(x)' is not in the equation language; write exp(...), with nothing before it", 4),
    ("x.sum(axis=1)", "'x.sum(axis=1)' is not in the equation language; write sum(x, ...)", 0),
    ("w.grad", "'.grad' is not in the equation language; the gradient of w is dw", 0),
    ("∂L/∂w", "not an expression: the gradient of w is written dw, without '∂' and '∇'", 0),
    ("swish(x)", "unknown function 'swish'; write silu(x)", 0),
    ("ln(x)", "unknown function 'ln'; write log(x)", 0),
    ("δ1 * blub(ŷ)", "unknown function 'blub'; mathlab guide language lists what there is", 5),
]


@pytest.mark.parametrize(("text", "message", "offset"), REFUSED)
def test_what_is_refused_and_where(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as error:
        read(text)
    assert (error.value.message, error.value.offset) == (message, offset)


HOSTILE = [
    "a" * 30_000,
    "(" * 10_000 + "a" + ")" * 10_000,
    "+".join(["a"] * 9_000),
    "-" * 5_000 + "a",
    "9" * 10_000,
    "a\0b",
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "x" + "[0]" * 6_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        read(text)
    assert "\n" not in error.value.message
    assert len(error.value.message) < 200


def expressions() -> st.SearchStrategy[Expr]:
    """Any tree of the language, typed or not."""
    numbers = st.integers(-5, 5).map(Num) | st.floats(-9, 9, allow_nan=False).map(Num)
    leaves = numbers | st.sampled_from("abcW").map(Name)
    items = st.builds(Slice, *[st.none() | st.integers(-3, 3)] * 3) | st.builds(NewAxis) | leaves

    def calls(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        binary = st.sampled_from(["add", "sub", "mul", "div", "pow", "matmul", "gt", "eq", "outer", "maximum"])
        unary = st.sampled_from(["neg", "T", "mT", "exp", "relu"])
        return (
            st.builds(lambda op, a, b: Call(op, (a, b)), binary, inner, inner)
            | st.builds(lambda op, a: Call(op, (a,)), unary, inner)
            | st.builds(lambda a, i: Call("index", (a, *i)), inner, st.lists(items, min_size=1, max_size=3))
            | st.builds(lambda a, axis: Call("sum", (a,), (("axis", axis),)), inner, st.integers(-2, 2))
        )

    return st.recursive(leaves, calls, max_leaves=12)


@given(expressions())
def test_every_tree_reads_back(expr: Expr) -> None:
    assert read(unparse(expr)) == _folded(expr)


def _folded(expr: Expr) -> Expr:
    """The tree with the minus of a number taken into the number, as reading does."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(map(_folded, expr.args))
    if expr.op == "neg" and isinstance(args[0], Num):
        return Num(-args[0].value)
    return Call(expr.op, args, expr.attrs)


def test_numbers_that_are_equal_and_not_the_same_are_two() -> None:
    assert parse("x[1]") != parse("x[1.0]")
    assert parse("1 / (x * 0.0)") != parse("1 / (x * -0.0)")
    assert parse("x * 2") == parse("x*2 ")
