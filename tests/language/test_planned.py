"""The planned form of a program does what the readable form does, to the last bit, in less memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathlab.experiment import Array, Case, Dtype, TrainSettings
from mathlab.language.check import Types
from mathlab.language.planned import Planned, plan
from mathlab.language.program import Program, compile_program
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.train import UPDATE, initial_state, update_equations
from tests.build import case
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
    types = Types(prepared.types.names, prepared.types.integral)
    trained, state = initial_state(prepared, settings)
    updates, moved = update_equations(trained, settings, types)
    outputs = (*moved.values(), *prepared.nodes, *prepared.gradients)
    program = compile_program((*prepared.both, *updates), types, outputs, prepared.case.dtype)
    return program, {**prepared.env, **state}, moved


def readable(prepared: Prepared, settings: TrainSettings) -> tuple[list[dict[str, Array]], dict[str, Array]]:
    """What the readable program gives in each round, and the state after the last."""
    program, env, moved = stepping(prepared, settings)
    rounds: list[dict[str, Array]] = []
    for k in range(ROUNDS + 1):
        with np.errstate(all="ignore"):
            out = program({**env, UPDATE: k + 1.0})
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
    scalars = tuple(env[name] for name in made.scalars)
    with np.errstate(all="ignore"):
        scalars = made.functions["run"](0, ROUNDS, *scalars)
        made.functions["measure"](ROUNDS, *scalars)
    return made, {**made.state, **dict(zip(made.scalars, scalars, strict=True))}


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


@settings(max_examples=60, deadline=None)
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
    made, state = planned(prepared, ("loss",), optimizer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    needed += sum(array.nbytes for name, array in state.items() if name not in prepared.case.parameters)
    assert peak <= 1.5 * needed
    assert made.footprint + sum(array.nbytes for array in made.state.values()) <= 1.2 * needed


def test_what_never_changes_is_computed_once() -> None:
    net = case({"loss": "sum((exp(X.T) @ w - exp(y))**2)"}, {"w": [0.5, 0.25]}, {"X": [[1, 2], [3, 4]], "y": [1, 2]})
    made, _ = planned(prepare(net), ("loss",))
    assert "exp" not in made.text
