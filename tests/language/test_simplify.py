"""Simplifying keeps the value and the shape, whatever it is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mathlab.errors import ExpressionError
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.shapes import Type
from mathlab.language.simplify import Builder, Factor, is_ones, join, split
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, unparse
from mathlab.witnesses.graph import evaluate

VALUES = {
    "A": np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]]),
    "B": np.array([[1.5, 0.5], [-0.5, 2.5], [0.25, 1.0]]),
    "v": np.array([0.5, 2.0, -1.5]),
    "s": np.array(1.75),
    "t": np.array(1),
}
TYPES = {name: Type(array.shape, "i" if name == "t" else "f") for name, array in VALUES.items()}

ITEMS: list[tuple[Expr, ...]] = [(Slice(None, None, None), NewAxis()), (Num(0),), (NewAxis(),)]


def trees() -> st.SearchStrategy[Expr]:
    """Trees of the ops that the rules are made of, over names of several shapes and the special constants."""
    leaves = (
        st.sampled_from("ABvs").map(Name)
        | st.sampled_from([0, 1, 2, -1, 3, 0.5, 0.1, 2.0]).map(Num)
        | st.sampled_from(["ones_like(A)", "ones_like(v)", "ones(2, 1)", "one_hot(t, 3)", "zeros_like(v)"]).map(read)
    )

    def calls(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        pair = st.tuples(inner, inner)
        binary = st.sampled_from(["add", "sub", "mul", "div", "matmul", "outer"])
        axis = st.sampled_from([(), (("axis", 0),), (("axis", -1), ("keepdims", True)), (("axis", 1),)])
        return (
            st.builds(lambda op, args: Call(op, args), binary, pair)
            | st.builds(lambda op, arg: Call(op, (arg,)), st.sampled_from(["neg", "T", "ones_like", "sqrt"]), inner)
            | st.builds(lambda arg, n: Call("pow", (arg, Num(n))), inner, st.sampled_from([1, 2]))
            | st.builds(lambda arg, attrs: Call("sum", (arg,), attrs), inner, axis)
            | st.builds(lambda arg, items: Call("index", (arg, *items)), inner, st.sampled_from(ITEMS))
        )

    return st.recursive(leaves, calls, max_leaves=8)


def rebuilt(builder: Builder, expr: Expr) -> Expr:
    """The tree built again from its leaves by the simplifier."""
    if not isinstance(expr, Call):
        return expr
    return builder.call(expr.op, tuple(rebuilt(builder, arg) for arg in expr.args), expr.attrs)


@given(trees())
def test_value_and_shape_are_kept(expr: Expr) -> None:
    types = Types(TYPES)
    try:
        shape = types.of(expr).shape
    except ExpressionError:
        assume(False)
    with np.errstate(all="ignore"):
        plain = evaluate(expr, VALUES)
    # a number over zero, or the root of a negative one, may become another kind of nothing
    assume(np.all(np.isfinite(plain)))
    simplified = rebuilt(Builder(types), expr)
    assert types.of(simplified).shape == shape, unparse(simplified)
    with np.errstate(all="ignore"):
        found = np.broadcast_to(evaluate(simplified, VALUES), plain.shape)
    np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12, err_msg=unparse(simplified))


@given(trees())
def test_splitting_and_joining_keep_the_value(expr: Expr) -> None:
    types = Types(TYPES)
    try:
        types.of(expr)
    except ExpressionError:
        assume(False)
    with np.errstate(all="ignore"):
        plain = evaluate(expr, VALUES)
        assume(np.all(np.isfinite(plain)))
        found = evaluate(join(*split(expr)), VALUES)
    np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12)


READ_AS = [
    ("0.5 * (2 * s)", "s"),
    ("2 * v / 3", "2 * v / 3"),
    ("-(-v)", "v"),
    ("-v + A", "A - v"),
    ("s - (-v)", "s + v"),
    ("v * 1", "v"),
    ("ones_like(A) * v", "ones_like(A) * v"),
    ("ones_like(A) * A", "A"),
    ("v**1", "v"),
    ("sqrt(v)**2", "v"),
    ("A.T.T", "A"),
    ("v.T", "v"),
    ("(A @ B).T", "B.T @ A.T"),
    ("outer(v, -v)", "-outer(v, v)"),
    ("sum(one_hot(t, 3))", "1"),
    ("v + v", "2 * v"),
    ("A * v / v", "A"),
    ("s / (1 / 3)", "s / (1 / 3)"),
    ("v * s / s**2", "v / s"),
    ("2 * v / (2 * s)", "v / s"),
    ("s * v / v", "s * ones_like(v)"),
    ("s * sqrt(s) / sqrt(s)", "s * sqrt(s) / sqrt(s)"),
    ("s * v / where(s > 0, s, v == 0)", "v"),
    ("s / where(s > 0, s, t == 0)", "s / where(s > 0, s, t == 0)"),  # where s < 0 and t = 0, that is s
    ("v / 3 + 2 * v / 3", "v"),
    ("v + ones_like(v) / 2", "v + 1 / 2"),
    ("v + 2 * v", "3 * v"),
    ("0.01 * (2 * A)", "0.02 * A"),
]


@pytest.mark.parametrize(("text", "simplified"), READ_AS)
def test_it_reads_as_an_article_would(text: str, simplified: str) -> None:
    assert unparse(rebuilt(Builder(Types(TYPES)), read(text))) == simplified


def test_a_number_in_front_keeps_its_decimals_and_its_count_apart() -> None:
    factor, core = split(read("2 * (v * 0.01) / 4"))
    assert core == Name("v")
    assert factor == Factor() * split(read("0.02 * v / 4"))[0]
    assert unparse(join(factor, core)) == "0.02 * v / 4"


def test_a_one_is_one_in_either_form() -> None:
    assert is_ones(Num(1))
    assert is_ones(Num(1.0))
    assert not is_ones(Num(2))
