"""Every equation's LaTeX has the equation's value: it is read back by a reader of its own, and both are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathlab.errors import ExpressionError
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.latex import latex_equation, written
from mathlab.language.program import compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, Num, unparse
from mathlab.stages.prepare import execute, prepare
from tests.language.latexreader import Reader
from tests.language.test_ops import SAMPLES, prepared_sample
from tests.language.test_simplify import TYPES, VALUES, trees
from tests.programs import Program, programs


def assert_read_back(exprs: Iterable[Expr], types: Types, values: Mapping[str, object]) -> None:
    """Each expression has the value of what is read back of its LaTeX. All are one program, which is compiled once."""
    texts = {f"latex_{k}": (expr, written(expr, "loss", types).text) for k, expr in enumerate(exprs)}
    found = {f"{name}_read": Reader(text, types).read() for name, (_, text) in texts.items()}
    both = [*found.items(), *((name, expr) for name, (expr, _) in texts.items())]
    program = compile_program([Equation(*one) for one in both], types, [name for name, _ in both], "float64")
    results = execute(program, {name: np.asarray(value) for name, value in values.items()})
    for name, (expr, text) in texts.items():
        one, other = np.asarray(results[f"{name}_read"]), np.asarray(results[name])
        assert one.shape == other.shape, (unparse(expr), text, unparse(found[f"{name}_read"]))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=f"{unparse(expr)}\n{text}")


@pytest.mark.parametrize(("op", "text"), SAMPLES)
@pytest.mark.one_in(4)
def test_every_op(op: str, text: str) -> None:
    """The sample call itself, as an operand, and the gradients of its arguments."""
    prepared = prepared_sample(op, text)
    values = {**prepared.env, **prepared.run()}
    derived = (equation.expr for equation in (*prepared.equations, *prepared.backward.equations))
    assert_read_back([*derived, *surrounded(read(text), Name("weights"))], prepared.types, values)


def surrounded(a: Expr, b: Expr) -> list[Expr]:
    """An expression in the places where it may need brackets."""
    binary, unary = (
        "add sub mul gt maximum".split(),
        "neg log exp sin sqrt square abs".split(),
    )
    pairs = [(a, b), (b, a), (a, a)]
    return [
        *(Call(op, pair) for op in binary for pair in pairs),
        *(Call(op, (a,)) for op in unary),
        *(Call("pow", (a, Num(k))) for k in (2, -1)),
    ]


def nested() -> st.SearchStrategy[Expr]:
    """Numbers, in everything that binds in its own way, many levels deep."""
    leaves = st.sampled_from(["s", "u", "e", "x1"]).map(Name) | st.sampled_from([2, -1, 0.5, -0.25, 1e-5, -1e9]).map(
        Num
    )
    binary = st.sampled_from("add sub mul div pow gt le eq maximum minimum".split())
    unary = st.sampled_from(
        "neg log exp sin cos tanh log1p expm1 sqrt square abs sigmoid relu gelu normal_cdf norm sum sign".split()
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda op, a, b: Call(op, (a, b)), binary, inner, inner)
            | st.builds(lambda op, a: Call(op, (a,)), unary, inner)
        ),
        max_leaves=12,
    )


@settings(max_examples=120)
@given(nested())
def test_nested_expressions(expr: Expr) -> None:
    values = {"s": np.array(1.75), "u": np.array(-0.5), "e": np.array(0.25), "x1": np.array(3.0)}
    types = Types(dict.fromkeys(values, TYPES["s"]))
    try:
        types.of(expr)
    except ExpressionError:  # arithmetic on numbers alone that is no float
        return
    assert_read_back([expr], types, values)


@settings(max_examples=100)
@given(trees())
def test_arrays(expr: Expr) -> None:
    types = Types(TYPES)
    try:
        types.of(expr)
    except ExpressionError:
        return
    assert_read_back([expr], types, VALUES)


@settings(max_examples=15)
@given(programs())
def test_programs_and_their_gradients(program: Program) -> None:
    prepared = prepare(program.case())
    values = {**prepared.env, **prepared.run()}
    derived = (equation.expr for equation in (*prepared.equations, *prepared.backward.equations))
    assert_read_back(derived, prepared.types, values)


READS = [
    ("log(s + u)", r"\log\left(s + u\right)"),
    ("log(s) * u", r"\log\left(s\right) \cdot u"),
    ("log(s)**2", r"\left(\log\left(s\right)\right)^{2}"),
    ("square(s - u)", r"\left(s - u\right)^{2}"),
    ("exp(-s**2)", r"e^{-s^{2}}"),
    ("s - (u - e)", r"s - \left(u - \mathit{e}\right)"),
    ("(s / u)**2", r"\left(\frac{s}{u}\right)^{2}"),
    ("v * v", r"v \odot v"),
    ("W1 @ v", r"W_{1} \, v"),
    ("W1.T @ (W1 @ v)", r"W_{1}^{\top} \, \left(W_{1} \, v\right)"),
    ("outer(v, v)", r"v \, v^{\top}"),
    ("dot(v, v)", r"v \cdot v"),
    ("W1[0, 1]", r"\left(W_{1}\right)_{[0, 1]}"),
    ("sum(v, keepdims=True)", r"\operatorname{sum}\left(v, \mathrm{keepdims}=\mathrm{True}\right)"),
    ("s * δ1 + data * λ", r"s \cdot \delta_{1} + \mathrm{data} \cdot \lambda"),
    ("dv * dv1", r"\frac{\partial \mathrm{loss}}{\partial v} \odot \frac{\partial \mathrm{loss}}{\partial v_{1}}"),
    ("dv_1", r"\left(\frac{\partial \mathrm{loss}}{\partial v}\right)_{1}"),
    ("norm(v)**2", r"\left\lVert v \right\rVert^{2}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "latex"), READS)
def test_it_is_written_as_one_writes(text: str, latex: str) -> None:
    numbers = ("s", "u", "e", "δ1", "λ", "data")
    vectors = ("v", "v1", "dv", "dv1", "dv_1")
    types = Types({**dict.fromkeys(numbers, Type(())), **dict.fromkeys(vectors, Type((3,))), "W1": Type((3, 3))})
    assert written(read(text), "loss", types).text == latex


def test_a_comparison_is_told_from_the_equals_sign() -> None:
    equation = Equation("m", read("s == s"), "")
    assert latex_equation(equation, "loss", Types(TYPES)) == r"m &= \left(s = s\right)"
