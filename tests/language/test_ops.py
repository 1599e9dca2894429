"""Every op of the table, at its sample calls: value and gradient against witnesses that know nothing of the table."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import cast

import numpy as np
import pytest

from mathlab.experiment import Array, Case
from mathlab.language import OPS, read
from mathlab.language.check import Types
from mathlab.language.kernels import erf, normal_cdf
from mathlab.language.ops import Op, Rule, Site
from mathlab.language.shapes import Shape, Type
from mathlab.language.syntax import Call, walk
from mathlab.stages.prepare import Prepared, prepare
from mathlab.witnesses.graph import run
from tests.build import case, complex_step, sampled

SAMPLES = [(op, text) for op, record in OPS.items() for text in record.samples]


def drawn(name: str, shape: Shape, rng: np.random.Generator) -> Array:
    if name.startswith("t"):
        return rng.integers(0, 2, shape).astype(float)
    return rng.uniform(0.5, 2, shape) if name.startswith("p") else rng.normal(size=shape)


def sample_case(op: str, text: str, dtype: str = "float64") -> Case:
    """The sample call under a weighted sum, so that no entry of its gradient can hide behind another."""
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    values = {name: drawn(name, shape, rng) for name, shape in sampled(text).items()}
    indices = {name for name in values if name.startswith("t")}
    types = Types({name: Type(array.shape) for name, array in values.items()}, indices)
    weights = rng.normal(size=types.of(read(text)).shape)
    return case(
        {"out": text, "loss": "sum(out * weights)"},
        {name: array for name, array in values.items() if name not in indices},
        {**{name: values[name] for name in indices}, "weights": weights},
        dtype="float32" if dtype == "float32" else "float64",
    )


@cache
def prepared_sample(op: str, text: str, dtype: str = "float64") -> Prepared:
    """The sample made ready, once for all the tests that look at it."""
    return prepare(sample_case(op, text, dtype))


@pytest.mark.parametrize(("op", "text"), SAMPLES)
def test_derivative_of_every_op(op: str, text: str) -> None:
    prepared = prepared_sample(op, text)
    values = prepared.run()
    for name in prepared.case.parameters:
        exact = complex_step(prepared.equations, prepared.env, name)
        gradient = np.asarray(values[f"d{name}"])
        assert gradient.shape == exact.shape
        np.testing.assert_allclose(gradient, exact, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("op", "text"), SAMPLES)
def test_value_of_every_op(op: str, text: str) -> None:
    prepared = prepared_sample(op, text)
    np.testing.assert_allclose(
        prepared.run()["out"], run(prepared.equations, prepared.env)["out"], rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize(("op", "text"), SAMPLES)
def test_float32_stays_float32(op: str, text: str) -> None:
    prepared = prepared_sample(op, text, "float32")
    values = prepared.run()
    for name in (*prepared.nodes, *prepared.gradients):
        assert np.asarray(values[name]).dtype == np.float32, name


def test_every_op_with_a_derivative_has_samples() -> None:
    without = {op for op, record in OPS.items() if not record.samples}
    flat = {op for op, record in OPS.items() if not any(record.vjp)}
    assert without == flat


@pytest.mark.parametrize("op", sorted({op for op, record in OPS.items() if record.samples}))
def test_a_wrong_derivative_is_noticed(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule of each op is replaced by one that is 1 % off; some sample must then disagree with the complex step."""
    for position, rule in enumerate(OPS[op].vjp):
        if rule is None:
            continue
        wrong = _slightly_off(rule)
        rules = tuple(wrong if k == position else other for k, other in enumerate(OPS[op].vjp))
        monkeypatch.setitem(cast(dict[str, Op], OPS), op, OPS[op]._replace(vjp=rules))
        assert any(_disagrees(op, text) for text in OPS[op].samples), (op, position)
        monkeypatch.undo()


def _slightly_off(rule: str | Callable[[Site], str]) -> Rule:
    wrong = "1.01 * ({}) + 0.01".format  # a rule that gives zeros would stay right without the sum
    return wrong(rule) if isinstance(rule, str) else lambda site: wrong(rule(site))


def _disagrees(op: str, text: str) -> bool:
    prepared = prepare(sample_case(op, text))
    values = prepared.run()
    return any(
        not np.allclose(values[f"d{name}"], complex_step(prepared.equations, prepared.env, name), rtol=1e-6)
        for name in prepared.case.parameters
    )


def test_no_sample_is_of_another_op() -> None:
    for op, text in SAMPLES:
        assert any(isinstance(part, Call) and part.op == op for part in walk(read(text))), (op, text)


def exact_cdf(x: float) -> float:
    """By the C library's erfc, without the rounding of its argument."""
    z = -x / math.sqrt(2)
    missing = float(Decimal(-x) / Decimal(2).sqrt() - Decimal(z)) if math.isfinite(x) else 0.0
    return math.erfc(z) / 2 - missing * math.exp(-z * z) / math.sqrt(math.pi)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kernel", "exact"), [(erf, math.erf), (normal_cdf, exact_cdf)])
def test_series_are_those_of_the_c_library(
    kernel: Callable[..., Array], exact: Callable[[float], float], dtype: str
) -> None:
    x = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-30, 1, 500), [np.inf, -np.inf, np.nan, 0.0]])
    x = x.astype(dtype)
    want = np.array([exact(value) for value in x.tolist()])
    with np.errstate(all="ignore"):
        computed = kernel(x)
    assert computed.dtype == dtype
    errors = np.abs(computed - want) / np.spacing(np.abs(want).astype(dtype)).astype(np.float64)
    finite = np.isfinite(x)
    tail = np.maximum(-x[finite], 0)  # where half a unit of x's last place makes as much of a difference
    assert np.max(errors[finite] - tail**2 / 2) <= 5
    np.testing.assert_array_equal(computed[~finite], want[~finite])
