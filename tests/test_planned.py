"""The planned form of a program does what the readable form does, to the last bit, in less memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from mathlab.experiment import Array, Case, Dtype
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.planned import Planned, plan
from mathlab.language.program import Program, compile_program
from mathlab.stages.prepare import Prepared, execute, prepare
from tests.build import case, equation
from tests.programs import Program as Drawn
from tests.programs import programs

ROUNDS = 3


def stepping(prepared: Prepared) -> tuple[Program, dict[str, str]]:
    """A program that moves every parameter by a gradient step, and what it moves."""
    types = Types(prepared.types.names, prepared.types.integral)
    moved = {name: f"_next_{name}" for name in prepared.case.parameters}
    updates: list[Equation] = []
    for name, new in moved.items():
        updates.append(equation(new, f"{name} - 0.01 * d{name}"))
        types.names[new] = types.names[name]
    outputs = (*moved.values(), *prepared.nodes, *prepared.gradients)
    return compile_program((*prepared.both, *updates), types, outputs, prepared.case.dtype), moved


def readable(prepared: Prepared) -> tuple[list[dict[str, Array]], dict[str, Array]]:
    """What the readable program gives in each round, and the state after the last."""
    program, moved = stepping(prepared)
    env, rounds = dict(prepared.env), []
    for _ in range(ROUNDS + 1):
        out = execute(program, env)
        rounds.append(out)
        if len(rounds) <= ROUNDS:
            env |= {name: out[new] for name, new in moved.items()}
    return rounds, env


def planned(prepared: Prepared, recorded: tuple[str, ...]) -> tuple[Planned, dict[str, Array]]:
    """The planned program after the same rounds, and its state."""
    program, moved = stepping(prepared)
    env = {name: np.array(value)[()] if name in moved else value for name, value in prepared.env.items()}
    made = plan(program, env, moved, recorded, ROUNDS)
    scalars = tuple(env[name] for name in made.scalars)
    with np.errstate(all="ignore"):
        scalars = made.functions["run"](0, ROUNDS, *scalars)
        made.functions["measure"](ROUNDS, *scalars)
    return made, {**made.state, **dict(zip(made.scalars, scalars, strict=True))}


def assert_same(prepared: Prepared, recorded: tuple[str, ...]) -> None:
    rounds, state = readable(prepared)
    made, moved = planned(prepared, recorded)
    for name in recorded:
        for k, values in enumerate(rounds):
            np.testing.assert_array_equal(
                made.history[name][k], values[name], err_msg=f"{name} in round {k}\n{made.text}"
            )
    for name, array in moved.items():
        np.testing.assert_array_equal(array, state[name], err_msg=f"{name}\n{made.text}")


@settings(max_examples=60, deadline=None)
@given(programs())
def test_random_programs(drawn: Drawn) -> None:
    prepared = prepare(drawn.case())
    assert_same(prepared, (prepared.end,))
    assert_same(prepared, (*prepared.nodes, *prepared.gradients))


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
    assert_same(prepared, ("loss",))
    assert_same(prepared, ("loss", "z3", "dW1"))


def test_memory_is_handed_on() -> None:
    """Peak memory of a step: half as much again as the values, gradients and parameters that it must hold."""
    prepared = prepare(mlp(64, (30, 40, 40, 10)))
    made, _ = planned(prepared, ("loss",))
    values = prepared.run()
    held = [*prepared.nodes, *prepared.gradients, *prepared.case.parameters]
    needed = sum(np.asarray(values[name]).nbytes for name in held)
    state = sum(array.nbytes for array in made.state.values())
    assert made.footprint + state <= 1.0 * needed


def test_what_never_changes_is_computed_once() -> None:
    net = case({"loss": "sum((exp(X.T) @ w - exp(y))**2)"}, {"w": [0.5, 0.25]}, {"X": [[1, 2], [3, 4]], "y": [1, 2]})
    made, _ = planned(prepare(net), ("loss",))
    assert "exp" not in made.text
