"""The compiled program: what is printed is what runs, nothing is computed twice or for nobody, nothing is promoted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mathlab.errors import MathlabError
from mathlab.stages.derivation import derivation
from mathlab.stages.prepare import prepare
from tests.build import case
from tests.programs import Program, programs


def test_the_listing_runs_on_its_own_and_gives_the_same_bits() -> None:
    lab = case(
        {"h": "gelu(W @ x)", "p": "softmax(h)", "loss": "-log(p[t]) + cross_entropy(h, t)"},
        {"W": [[0.5, -1.0], [0.25, 2.0]]},
        {"x": [1, 2], "t": 1},
    )
    prepared = prepare(lab)
    namespace: dict[str, object] = {}
    exec(derivation(lab, "numpy"), namespace)
    function = namespace["program"]
    assert callable(function)
    alone = function(*(prepared.env[name] for name in prepared.program.inputs))
    for name, mine in zip(prepared.program.outputs, alone, strict=True):
        np.testing.assert_array_equal(mine, prepared.run()[name])


def test_what_is_needed_twice_is_computed_once() -> None:
    text = prepare(case({"a": "3 * tanh(w)", "loss": "sum(a * tanh(w))"}, {"w": [0.1, 0.2]})).program.text
    assert text.count("np.tanh") == 1


def test_what_nobody_reads_is_left_out() -> None:
    prepared = prepare(case({"spare": "exp(w)", "loss": "sum(w)"}, {"w": [0.1, 0.2]}))
    assert "spare" in prepared.program.text
    from mathlab.language.program import compile_program

    only = compile_program(prepared.both, prepared.types, ["dw"], "float64")
    assert only.text == "def program(w):\n    dw = np.ones_like(w)\n    return (dw,)\n"


def test_names_of_numpy_and_kernels_are_free_for_the_article() -> None:
    values = prepare(
        case({"loss": "np * dtype + slice", "out": "loss * shake"}, {"np": 2, "dtype": 3, "slice": 4, "shake": 5})
    )
    assert values.run()["out"] == 50
    assert values.run()["dnp"] == 15


MIXED = [
    {"m": "x > 0", "loss": "sum(m * w) + mean(x > 0) * sum(w)"},
    {"loss": "sum(w * (1 - (x > 0)))"},
    {"loss": "sum(w * one_hot(t, 2))"},
    {"loss": "sum(where(x > 0, 1, 0.5) * w)"},
    {"loss": "sum(w**0.5 * sqrt(2) + 1e-3)"},
    {"loss": "sum([w[0], 0.5, 1] * exp(1))"},
    {"loss": "sum(concat(w, [1, 2]))"},
    {"k": "argmax(x)", "loss": "w[k] * (k + 1)"},
    {"loss": "norm(w) + logsumexp(w) + sum(gelu(w)) + max(w) + mean(w)"},
    {"loss": "elu(w[1], 1.0) + w[1] * 1.0"},
    {"loss": "sum(outer(w, x) @ x) + sum((w > 0.1) + (x > 0))"},
    {"loss": "sum(w) * (2 * 3)"},
    {"loss": "exp(2 * 3) * sum(w) / (1 / 3)"},
    {"loss": "maximum(-(1), 2 * 3) * sum(w) + sqrt(2 * 2 + 1)"},
    {"k": "2 * 3", "loss": "sum(w * k)"},
    {"loss": "sum([1, 2 * 3] * w) + sum(where(x > 0, 2 * 3, -1) * w)"},
    {"loss": "sum((x > 0) * (2 * 3)) * sum(w)"},
    {"loss": "2 ** (1 / 2) * sum(w ** (2 - 1))"},
]


@pytest.mark.parametrize("equations", MIXED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_promoted(equations: dict[str, str], dtype: str) -> None:
    prepared = prepare(
        case(
            equations, {"w": [0.5, 0.25]}, {"x": [1, -1], "t": 1}, dtype="float32" if dtype == "float32" else "float64"
        )
    )
    values = prepared.run()
    for name in (*prepared.nodes, *prepared.gradients):
        if prepared.types.names[name].kind == "f":
            assert np.asarray(values[name]).dtype == dtype, (name, prepared.program.text)


@settings(max_examples=25)
@given(programs())
def test_random_programs_in_float32(program: Program) -> None:
    prepared = prepare(program.case("float32"))
    for name, array in prepared.run().items():
        if prepared.types.names[name].kind == "f":
            assert np.asarray(array).dtype == np.float32
            assert np.shape(array) == prepared.types.names[name].shape


UNFIT = [
    ({"z": "W @ x"}, "in z: shapes (2, 3) and (2,) do not fit: the inner sizes 3 and 2 differ in 'W @ x'"),
    (
        {"z": "x @ W[0].T"},
        "in z: shapes (2,) and (3,) do not fit: the inner sizes 2 and 3 differ "
        "(of two vectors, outer(a, b) is the matrix of all products) in 'x @ W[0].T'",
    ),
    ({"z": "W + x"}, "in z: shapes (2, 3) and (2,) do not fit together in 'W + x'"),
    (
        {"z": "x[2]"},
        "in z: shape (2,) cannot be indexed so: index 2 is out of bounds for axis 0 with size 2, "
        "which counts from 0 to 1 in 'x[2]'",
    ),
    (
        {"z": "sum(W, axis=2)"},
        "in z: axis 2 does not exist in shape (2, 3), whose axes are counted from 0 in 'sum(W, axis=2)'",
    ),
    ({"z": "outer(W, x)"}, "in z: outer takes two vectors, not shapes (2, 3) and (2,) in 'outer(W, x)'"),
    ({"z": "reshape(W, 4)"}, "in z: shape (2, 3) with 6 entries cannot become (4,) in 'reshape(W, 4)'"),
    ({"z": "x[w]"}, "in z: an index must be a whole number, and 'w' is none"),
    ({"z": "x[0.5]"}, "in z: an index must be a whole number, not 0.5"),
    ({"z": "x @ 2"}, "in z: @ needs vectors or matrices, not shapes (2,) and (); a number is multiplied with * "
                     "in 'x @ 2'"),
    ({"z": "ones(1000000, 1000000)"}, "in z: the result would have shape (1000000, 1000000), more than 200,000,000 "
                                      "entries in 'ones(1000000, 1000000)'"),
    ({"z": "softmax(reshape(x, 2, 1))"}, "in z: shape (2, 1) has length 1 along its last axis (say which axis is "
                                         "meant, as in axis=0; axis=1, if it is the last) in "
                                         "'softmax(reshape(x, 2, 1))'"),
    ({"z": "cross_entropy(x, W)"}, "in z: targets of shape (2, 3) fit logits of shape (2,) neither as class indices () "
                                   "nor as one-hot rows (2,); the logits stand first in 'cross_entropy(x, W)'"),
]  # fmt: skip


@pytest.mark.parametrize(("equations", "message"), UNFIT)
def test_shapes_that_do_not_fit(equations: dict[str, str], message: str) -> None:
    with pytest.raises(MathlabError) as error:
        prepare(case({**equations, "loss": "sum(z)"}, {"W": np.ones((2, 3)), "w": 1.5}, {"x": [1, 2]}))
    assert str(error.value) == message


def test_a_class_index_outside_of_its_axis() -> None:
    prepared = prepare(case({"loss": "-log(softmax(z)[t])"}, {"z": [1.0, 2.0]}, {"t": 7}))
    with pytest.raises(MathlabError, match="in loss: index 7 is out of bounds for axis 0 with size 2"):
        prepared.run()


def test_overflow_is_silent_and_visible() -> None:
    values = prepare(case({"loss": "sum(exp(w))"}, {"w": [1000.0, 0.0]})).run()
    assert values["loss"] == np.inf
