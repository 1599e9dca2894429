"""Equations for many runs at once compute what the runs compute one by one."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathlab.experiment import Array, Case
from mathlab.language.ops import OPS
from mathlab.language.program import compile_program
from mathlab.language.replicas import RULES, stack
from mathlab.language.shapes import spaced
from mathlab.stages.prepare import Prepared, execute, prepare
from tests.build import case, sampled
from tests.programs import Program, programs

RUNS = 3
# Rounding differs where a sum is taken in another order. It is measured in units of the last place of the largest entry
# that the value has in any run: cancellation may leave little of a small one.
ULP = 16


def other(value: Array, rng: np.random.Generator) -> Array:
    """A value for another run: near the first, or another class index."""
    if np.issubdtype(value.dtype, np.integer):
        return np.asarray(rng.integers(0, 2, np.shape(value)))
    return np.asarray(value + 0.001 * rng.normal(size=np.shape(value)))


def stacked_values(prepared: Prepared, names: Collection[str]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        name: np.stack([value, *(other(np.asarray(value), rng) for _ in range(RUNS - 1))]) if name in names else value
        for name, value in prepared.env.items()
    }


def assert_same(prepared: Prepared, names: Collection[str], ulp: float = ULP) -> None:
    """Stack `names`, and compare every node and gradient with those of single runs."""
    made = stack(prepared.both, prepared.types, names, RUNS)
    env = stacked_values(prepared, names)
    outputs = [equation.name for equation in made.equations]
    together = execute(compile_program(made.equations, made.types, outputs, prepared.case.dtype), env)
    for run in range(RUNS):
        alone = prepared.run({name: value[run] for name, value in env.items() if name in names})
        for name in outputs:
            value = together[name][run] if name in made.names else together[name]
            assert value.shape == alone[name].shape
            assert value.dtype == alone[name].dtype
            scale = np.max(np.abs(together[name]), initial=1.0)
            np.testing.assert_allclose(value, alone[name], 0, ulp * np.spacing(scale), err_msg=name)


@settings(max_examples=25)
@given(programs(), st.data())
def test_random_programs(drawn: Program, data: st.DataObject) -> None:
    prepared = prepare(drawn.case())
    names = data.draw(st.sets(st.sampled_from(list(prepared.env)), min_size=1))
    assert_same(prepared, names)


SAMPLES = [text for op in OPS.values() if op.shape is not spaced for text in op.samples]


def squared(text: str) -> Case:
    """A case that squares a sample call and sums it up; p… is positive, t… a class index."""
    rng, shapes = np.random.default_rng(1), sampled(text)
    parameters = {
        name: np.abs(rng.normal(size=shape)) + 0.5 if name.startswith("p") else rng.normal(size=shape)
        for name, shape in shapes.items()
        if not name.startswith("t")
    }
    inputs = {name: rng.integers(0, 2, shape) for name, shape in shapes.items() if name.startswith("t")}
    return case({"out": text, "loss": "sum(out**2)"}, parameters, inputs)


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.one_in(3)
def test_every_op(text: str) -> None:
    """Every argument stacked alone, and all of them at once."""
    prepared = prepare(squared(text))
    for names in [*({name} for name in prepared.env), set(prepared.env)]:
        assert_same(prepared, names)


def test_every_family_has_a_rule() -> None:
    """Those without are made of numbers alone, read only a shape, or belong to figures; or runs alone must do."""
    without = {name for name, op in OPS.items() if op.shape not in RULES}
    assert without == {"ones", "zeros", "eye", "arange", "shape", "size", "linspace", "jacobian"}


@pytest.mark.parametrize("sizes", [((9, 8), (8, 9)), ((9,), (9, 8)), ((9, 8), (8,)), ((9,), (9,)), ((3, 9, 8), (8, 9))])
@pytest.mark.parametrize("names", ["A", "B", "AB"])
def test_products_of_any_shape(sizes: tuple[tuple[int, ...], ...], names: str) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size) for size in sizes)
    assert_same(prepare(case({"y": "A @ B", "loss": "sum(y**2)"}, {"A": a, "B": b})), names, ulp=64)
