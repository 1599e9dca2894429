"""The planned form of a program does what the readable form does, to the last bit, in less memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathlab.experiment import Array, Case, Dtype, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.kernels import WITH_OUT
from mathlab.language.ops import OPS
from mathlab.language.planned import Planned, plan
from mathlab.language.program import KERNELS, Program, compile_program
from mathlab.language.recorded import Slot, Tape
from mathlab.language.shapes import Type
from mathlab.stages.prepare import Prepared, execute, prepare
from mathlab.stages.updates import UPDATE, Training
from tests.build import case, sampled
from tests.programs import Program as Drawn
from tests.programs import programs

ROUNDS = 3

SGD = TrainSettings("sgd", {"lr": 0.01}, ROUNDS)
OPTIMIZERS = [
    SGD,
    TrainSettings("momentum", {"lr": 0.01, "momentum": 0.9}, ROUNDS),
    TrainSettings("adam", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, ROUNDS),
]


def stepping(prepared: Prepared, settings: TrainSettings) -> tuple[Program, dict[str, Array], dict[str, str]]:
    """A program that moves every parameter, its inputs, and what it moves."""
    training = Training(prepared, settings)
    outputs = (*training.moved.values(), *prepared.nodes, *prepared.gradients)
    return training.moving(prepared).compiled(outputs), {**prepared.env, **training.start()}, training.moved


def readable(prepared: Prepared, settings: TrainSettings) -> tuple[list[dict[str, Array]], dict[str, Array]]:
    """What the readable program gives in each round, and the state after the last."""
    program, env, moved = stepping(prepared, settings)
    rounds: list[dict[str, Array]] = []
    for k in range(ROUNDS + 1):
        out = execute(program, {**env, UPDATE: cast(Array, k + 1.0)})
        rounds.append(out)
        if len(rounds) <= ROUNDS:
            env |= {name: out[new] for name, new in moved.items()}
    return rounds, env


def planned(
    prepared: Prepared, recorded: tuple[str, ...], settings: TrainSettings = SGD
) -> tuple[Planned, dict[str, Array]]:
    """The planned program after the same rounds, and its state."""
    program, env, moved = stepping(prepared, settings)
    made = plan(program, {**env, UPDATE: 1.0}, moved, recorded, ROUNDS, clock=UPDATE)
    scalars = tuple(env[name] for name in made.numbers)
    with np.errstate(all="ignore"):
        scalars = made.run(0, ROUNDS, *scalars)
        made.measure(ROUNDS, *scalars)
    return made, {**made.state, **dict(zip(made.numbers, scalars, strict=True))}


def assert_same(prepared: Prepared, recorded: tuple[str, ...], settings: TrainSettings = SGD) -> None:
    rounds, state = readable(prepared, settings)
    made, moved = planned(prepared, recorded, settings)
    for name in recorded:
        for k, values in enumerate(rounds):
            np.testing.assert_array_equal(
                made.history[name][k], values[name], err_msg=f"{name} in round {k}\n{made.text}"
            )
    for name, array in moved.items():
        np.testing.assert_array_equal(array, state[name], err_msg=f"{name}\n{made.text}")


@settings(max_examples=20)
@given(programs(), st.sampled_from(OPTIMIZERS))
def test_random_programs(drawn: Drawn, optimizer: TrainSettings) -> None:
    prepared = prepare(drawn.case())
    assert_same(prepared, (prepared.end,), optimizer)
    assert_same(prepared, (*prepared.nodes, *prepared.gradients), optimizer)


def mlp(samples: int, sizes: tuple[int, ...], dtype: Dtype = "float64", activation: str = "relu") -> Case:
    """A dense network with a cross-entropy loss."""
    rng = np.random.default_rng(0)
    equations, parameters, last = {}, {}, "X"
    for k, (rows, columns) in enumerate(pairwise(sizes), start=1):
        equations[f"z{k}"] = f"{last} @ W{k} + b{k}"
        if k < len(sizes) - 1:
            equations[f"h{k}"] = f"{activation}(z{k})"
        last = f"h{k}"
        parameters[f"W{k}"] = rng.normal(size=(rows, columns)) / np.sqrt(rows)
        parameters[f"b{k}"] = np.zeros(columns)
    equations["loss"] = f"mean(cross_entropy(z{len(sizes) - 1}, y))"
    inputs = {"X": rng.normal(size=(samples, sizes[0])), "y": rng.integers(0, sizes[-1], samples)}
    return case(equations, parameters, inputs, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu", "elu", "silu", "softplus"])
@pytest.mark.one_in(2)
def test_networks(dtype: Dtype, activation: str) -> None:
    prepared = prepare(mlp(7, (5, 4, 6, 3), dtype, activation))
    for optimizer in OPTIMIZERS:
        assert_same(prepared, ("loss",), optimizer)
        assert_same(prepared, ("loss", "z3", "dW1"), optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda settings: settings.optimizer)
@pytest.mark.parametrize(
    ("samples", "widths"), [(64, (784, 128, 10)), (64, (30, 400, 400, 100)), (2000, (30, 40, 40, 10))], ids=str
)
def test_memory_is_handed_on(samples: int, widths: tuple[int, ...], optimizer: TrainSettings) -> None:
    """Planning and running a step take at most half as much again as the values that it cannot do without."""
    prepared = prepare(mlp(samples, widths))
    values = prepared.run()
    held = [*prepared.nodes, *prepared.gradients, *prepared.case.parameters]
    needed = sum(np.asarray(values[name]).nbytes for name in held)
    del values
    tracemalloc.start()
    made = planned(prepared, ("loss",), optimizer)
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    needed += sum(array.nbytes for name, array in made[1].items() if name not in prepared.case.parameters)
    assert peak <= 1.5 * needed
    assert left <= 1.3 * needed


def test_many_entries_are_chosen_and_put_back_as_few_are() -> None:
    """To the last bit, and the sign of a zero."""
    rng = np.random.default_rng(0)
    env = {
        "w": rng.normal(size=(90, 40)),
        "u": rng.choice([-1.0, 0.0, 2.0], (90, 1)),
        "t": rng.integers(0, 90, (30, 2)),
    }
    texts = {
        "a": "where(w > 0.5, w, -w) + where(u > 0, 1, w) * where(w > 0, u, -0.0)",
        "b": "u @ u[:40].T",
        "c": "scatter(w[t], w[t]) + scatter(w[:, ::2], w[:, 1::2])",
    }
    types = Types({name: Type(value.shape, "i" if name == "t" else "f") for name, value in env.items()})
    program = compile_program([Equation(name, read(text)) for name, text in texts.items()], types, [*texts], "float64")
    made = plan(program, env, {}, [*texts], varying=[*env])
    made.measure(0)
    where, put = env["w"], np.zeros((90, 40))
    np.add.at(put, env["t"], where[env["t"]])
    put[:, 1::2] += where[:, ::2]
    for name, value in zip(texts, program.function(*(env[name] for name in program.inputs)), strict=True):
        assert made.history[name][0].tobytes() == value.tobytes(), name
    assert program.function(*(env[name] for name in program.inputs))[2].tobytes() == put.tobytes()
    assert "where" not in made.text.replace("where_by_bits", "")


def test_a_variance_shares_the_distances_from_the_mean() -> None:
    along = "axis=-1, keepdims=True"
    equations = {"n": f"(w - mean(w, {along})) / sqrt(var(w, {along}) + 1)", "loss": "sum(n**3)"}
    made, _ = planned(prepare(case(equations, {"w": np.array([[0.5, 0.25, 4], [1, 2, 5]])})), ("n",))
    assert made.text.partition("def measure")[2].count("subtract") == 1


def test_what_never_changes_is_computed_once() -> None:
    net = case({"loss": "sum((exp(X.T) @ w - exp(y))**2)"}, {"w": [0.5, 0.25]}, {"X": [[1, 2], [3, 4]], "y": [1, 2]})
    made, _ = planned(prepare(net), ("loss",))
    assert "exp" not in made.text


def assert_same_rounds(program: Program, env: Mapping[str, Array], moved: Mapping[str, str]) -> None:
    """The state after some planned rounds is the state after as many readable ones."""
    values = {name: np.array(value)[()] for name, value in env.items()}
    for _ in range(ROUNDS):
        out = execute(program, values)
        values |= {name: np.array(out[new])[()] for name, new in moved.items()}
    made = plan(program, {name: np.array(value)[()] for name, value in env.items()}, moved)
    with np.errstate(all="ignore"):
        numbers = made.run(0, ROUNDS, *(env[name] for name in made.numbers))
    state = {**made.state, **dict(zip(made.numbers, numbers, strict=True))}
    for name, value in state.items():
        np.testing.assert_array_equal(value, values[name], err_msg=f"{name}\n{made.text}")


def small_program(texts: Mapping[str, str], env: Mapping[str, Array], outputs: Iterable[str]) -> Program:
    types = Types({name: Type(value.shape) for name, value in env.items()})
    lines = [Equation(name, read(text), text) for name, text in texts.items()]
    for line in lines:
        types.names[line.name] = types.of(line.expr)
    return compile_program(lines, types, [*outputs], "float64")


@pytest.mark.parametrize(
    "texts",
    [
        {"a2": "b", "b2": "a"},
        {"a2": "b + 1", "b2": "a + 1"},
        {"a2": "b.T", "b2": "a.T"},
        {"c": "a + b", "a2": "c.T", "b2": "c * 2"},
        {"c": "a * 2", "a2": "b - c", "b2": "c"},
        {"c": "-a", "b2": "c.T", "a2": "b * 3"},
        {"c": "exp(a)", "d": "c * b", "b2": "c", "a2": "d"},
        {"a2": "ones_like(a)", "b2": "a"},
        {"b2": "a[::-1]", "a2": "a[::-1] + b"},
        {"b2": "erf(a[::-1])", "a2": "erf(b[::-1]) - a"},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 2), (20, 20), ()], ids=str)
def test_every_new_value_is_made_of_old_ones(texts: dict[str, str], shape: tuple[int, ...]) -> None:
    """In particular, two arrays that swap their values do not meet in one of them."""
    if not shape and "::" in str(texts):
        return
    rng = np.random.default_rng(0)
    env = {name: rng.normal(size=shape) for name in "ab"}
    program = small_program(texts, env, ("a2", "b2"))
    assert_same_rounds(program, env, {"a": "a2", "b": "b2"})


@pytest.mark.parametrize(
    "text",
    [
        "X[argmax(w)]",  # what does not change, at a place that does
        "[1, 2, 3][argmax(w)] * ones_like(w)",
        "[w[2], w[0], w[argmin(w)]]",
        "concat(w[1:], w[:1])",
        "where(w > 0, w, -w)[[2, 1, 0]]",
        "w**3 + w**-1 + w**0.5 + 2**w + w**w",
        "reshape(X, 3, 3)[:, 0] + w",
        "clip(w, -w, 0.5)",
        "dot(X, w)",
        "[norm(w), sum(w), sum(w) / mean(w)]",
        "var(w) * w + var(w, ddof=1) + std(w, ddof=1, keepdims=True)",
        "scatter(w, X[[0, 2, 0], [1, 1, 1]])[:, 1] + scatter(w, X[:, 1])[0]",
    ],
)
def test_what_is_picked_and_arranged(text: str) -> None:
    env: dict[str, Array] = {"w": np.array([0.5, -0.25, 1.5]), "X": np.arange(9.0).reshape(3, 3)}
    assert_same_rounds(small_program({"w2": text}, env, ["w2"]), env, {"w": "w2"})


CALLS = [(op, text) for op, record in OPS.items() for text in record.samples]


@pytest.mark.parametrize(("op", "text"), CALLS, ids=lambda part: part)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.one_in(4)
def test_every_op_records(op: str, text: str, dtype: Dtype) -> None:
    """Of arguments that change and of those that do not, forwards and backwards, to the last bit."""
    rng = np.random.default_rng(0)
    values = {}
    for name, shape in sampled(text).items():
        positive = rng.uniform(0.5, 2, shape)
        values[name] = (
            rng.integers(0, 2, shape) if name[0] == "t" else positive if name[0] == "p" else rng.normal(size=shape)
        )
    whole = {name: value for name, value in values.items() if value.dtype.kind == "i"}
    floats = {name: value for name, value in values.items() if name not in whole}
    for moving in (floats, dict([*floats.items()][:1]))[: max(len(floats), 1)]:  # of one, both are the same
        fixed = {name: value for name, value in floats.items() if name not in moving}
        net = case({"y": text, "loss": "sum(square(y))"}, moving, {**fixed, **whole}, dtype=dtype)
        prepared = prepare(net)
        assert_same(prepared, (*prepared.nodes, *prepared.gradients))


@pytest.mark.parametrize(
    "text", ["ones(3, 3)", "zeros(3, 3)", "eye(3)", "arange(3)", "linspace(0, 1, 3)", "shape(X)[0]", "size(X)"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_reads_no_entry_records(text: str, dtype: Dtype) -> None:
    """Those ops that have no samples among them."""
    net = case({"y": f"sum(w * {text} + X)", "loss": "y**2"}, {"w": [0.5, -1, 2]}, {"X": np.ones((3, 3))}, dtype=dtype)
    assert_same(prepare(net), ("loss", "y", "dw"))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda settings: settings.optimizer)
@pytest.mark.parametrize(
    "case_",
    [
        mlp(600, (30, 1000, 10), "float32", "gelu"),
        case(  # whose lines lie in memory in another order, or read what others in a row write in another way
            {"h": "tanh(W.T * 2 + 1)", "k": "h * h.T + square(h) + h[0]", "m": "exp(-k[::-1]) * k", "loss": "sum(m)"},
            {"W": np.random.default_rng(0).normal(size=(300, 300))},
        ),
    ],
    ids=["rows", "orders"],
)
def test_large_arrays(case_: Case, optimizer: TrainSettings) -> None:
    prepared = prepare(case_)
    assert_same(prepared, ("loss",), optimizer)


def test_what_numpy_is_slow_along_is_computed_otherwise_with_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    net = {"z": "E[t] @ W", "p": "softmax(z)", "m": "mean((p - z)**2, axis=1)", "loss": "sum(m - min(z, axis=-1))"}
    t = rng.integers(0, 9, 500)
    prepared = prepare(case(net, {"E": rng.normal(size=(9, 4)), "W": rng.normal(size=(4, 7))}, {"t": t}))
    assert_same(prepared, ("p", "m", "loss", "dE", "dz"))
    made, _ = planned(prepared, ("loss",))
    assert made.text.count("reduce") == 2  # of the loss, which `measure` computes too
    assert "arange" not in made.text  # where rows of E lie is known
    one = prepare(
        case(
            {"z": "outer(a, b)", "k": "x @ w", "loss": "sum(z @ k.T)"},
            {"a": rng.normal(size=5), "b": rng.normal(size=3), "w": rng.normal(size=(1, 3))},
            {"x": rng.normal(size=(4, 1))},
        )
    )
    assert_same(one, ("z", "k", "loss", "da", "db", "dw"))
    assert planned(one, ("loss",))[0].text.count("dot_") == 2 * 2


def test_every_kernel_records_unless_it_is_called_whole() -> None:
    inside = {
        "lower_tail",
        "polynomial",
        "entry_by_entry",
        "cdf_of_entry",
        "two",
        "copied",
        "in_cache",
        "window_view",
        "added_at",
    }  # of those, and in no program
    called = {name for record in OPS.values() for name in KERNELS if f"{name}(" in record.numpy} | {"scatter"}
    assert called | {"norm_of_all", *inside} == KERNELS.keys()
    assert {kernel for name, kernel in KERNELS.items() if "out" in signature(kernel).parameters} >= {*WITH_OUT}
    x, t, g = np.array([[0.5, 2.0], [1.0, -1.0]]), np.array([1, 0]), np.ones((2, 2))
    given: dict[str, tuple[object, ...]] = {"cross_entropy": (x, t), "one_hot": (t, 3, np.float64)}
    given |= {"scatter": (g, (3, 2), ([2, 0],)), "windows": (x, 2), "bordered": (x, 1), "conv2d": (x, x)}
    given |= {"overlap_add": (g[:1, :1, None, None], (2, 2)), "im2col": (x, 1), "max_pool": (x, 2), "avg_pool": (x, 2)}
    for name in sorted(called | {"norm_of_all"}):
        tape = Tape()
        args = [tape.slot(arg) if isinstance(arg, np.ndarray) else arg for arg in given.get(name, (x,))]
        with np.errstate(all="ignore"):
            kernel = tape.space[name]
            assert callable(kernel)
            made = kernel(*args)
        assert isinstance(made, Slot), name
        expected = KERNELS[name](*given.get(name, (x,)))
        assert np.shape(expected) == (made.layout.shape if made.layout else ())
        assert tape.lines or made.base is not None


def test_views_are_made_once_and_inputs_given_anew() -> None:
    env = {"w": np.ones((2, 3)), "X": np.arange(8.0).reshape(2, 4).T}
    program = small_program({"w2": "w + X.T[:, :3] + X[:2, :1]"}, env, ["w2"])
    made = plan(program, env, {"w": "w2"}, varying=("X",))
    expected = env["w"].copy()
    for k in range(ROUNDS):
        X = np.full((4, 2), float(k))
        np.copyto(made.inputs["X"], X)
        made.run(k, k + 1)
        expected = expected + X.T[:, :3] + X[:2, :1]
    np.testing.assert_array_equal(made.state["w"], expected)
    assert made.state["w"] is env["w"]
    assert "attrgetter" not in made.text
    assert "getitem" not in made.text


def test_what_changes_cannot_be_looked_at() -> None:
    w = Tape().slot(np.ones(3))
    looks: list[Callable[[Slot], object]] = [bool, float, len, iter, np.asarray, lambda x: np.ones(3)[x]]
    for look in looks:
        with pytest.raises(TypeError, match="cannot be looked at"):
            look(w)
