"""The page computes what NumPy computes: every op, forward and backward, and every case of every config."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mathlab import config
from mathlab.experiment import Array, Case, Dtype, TrainSettings
from mathlab.language import OPS, read
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.pictures.svg import number
from mathlab.stages import train
from mathlab.stages.noise import rounding_noise
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import Training
from tests.build import case
from tests.language.test_ops import SAMPLES, prepared_sample
from tests.pictures.script import OPS_JS, Script

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
X = {"x": [[0.5, -1.5, 0.5], [2.0, 2.0, -0.25]]}
FLAT: Mapping[str, str] = {  # ops that have no derivative, and so no samples
    **{op: f"({text}) * 1.0" for op, text in {"gt": "x > 0.5", "ge": "x >= 0.5", "lt": "x < 0.5"}.items()},
    **{op: f"({text}) * 1.0" for op, text in {"le": "x <= 0.5", "eq": "x == 0.5", "ne": "x != 0.5"}.items()},
    **{op: f"{op}({text})" for op, text in {"sign": "x", "floor": "x", "ceil": "x", "round": "x + 1"}.items()},
    "floordiv": "x // 0.5",
    "eye": "x @ eye(3)",
    "shape": "x * shape(x)[1]",
    "size": "x / size(x)",
    "argmax": "x[argmax(x[:, 0]), argmax(x, axis=1)]",
    "argmin": "x[argmin(x[:, 0]), argmin(x, axis=1)]",
    "one_hot": "x @ one_hot(argmax(x[0]), 3)",
    "ones_like": "x * ones_like(x)",
    "zeros_like": "x * zeros_like(x)",
    "ones": "x * ones(2, 3)",
    "zeros": "x * zeros(2, 3)",
    "arange": "x[:, arange(2)]",
}
BY_THE_ENGINE = {"rounded", "double", "scatter"}  # which it writes itself, in updates and in derivatives
INDICES = (
    *("x[1]", "x[-1]", "x[:, 1]", "x[0:2, ::-1]", "x[::-2]", "x[:, None, 1:]", "x[None]", "x[1, [0, 2, 0]]"),
    *(
        "x[[1, 0]]",
        "x[[0, 1], [2, 0]]",
        "x[[[0, 1], [1, 0]]]",
        "x[:, [[0, 2]]]",
        "x[-1:, -2]",
        "x[5:]",
        "x[None, :, [0, 1]]",
    ),
    *("reshape(x, 3, 2)[1:, [0]]", "reshape(x, 1, 2, 3)[0, :, [1, 2]]", "reshape(x, 2, 1, 3)[:, 0, [0, 2]]"),
)


ENDS = [-9.0, -5.0, -2.5, 0.5, 2.5, 1000.0]
AT_THE_ENDS = ("normal_cdf(x)", "erf(x)", "gelu(x)", "softmax(x)", "log_softmax(x)", "sigmoid(x)", "(x > 0.5) * x")


def close(found: Mapping[str, Array], values: Mapping[str, Array], noise: Mapping[str, float]) -> bool:
    """Whether all values agree, to 1e-12 or to the noise that rounding has been seen to make."""
    return all(
        found[name].shape == np.shape(values[name])
        and np.allclose(found[name], values[name], rtol=1e-12, atol=noise[name], equal_nan=True)
        for name in found
    )


def noises(prepared: Prepared) -> dict[str, float]:
    names = [*prepared.nodes, *prepared.gradients]
    eps = float(np.finfo(prepared.case.dtype).eps)
    values = prepared.run()
    # a step that leads from one value of a float to the next is noise as well
    return {
        name: 4 * np.max(noise, initial=0)
        + 8 * eps * float(np.max(np.abs(values[name]), initial=0, where=np.isfinite(values[name])))
        for name, noise in rounding_noise(prepared, names).items()
    }


Reference = tuple[Prepared, Mapping[str, Array], Mapping[str, float]]


def reference(prepared: Prepared) -> Reference:
    """What NumPy computes, and how far rounding moves it."""
    return prepared, prepared.run(), noises(prepared)


@cache
def of_sample(op: str, text: str, dtype: str = "float64") -> Reference:
    return reference(prepared_sample(op, text, dtype))


def matches(script: Script, known: Reference) -> bool:
    prepared, values, noise = known
    return close(script.run(prepared.both, prepared.env, prepared.case.dtype), values, noise)


def agrees(script: Script, one: Case) -> bool:
    return matches(script, reference(prepare(one)))


@cache
def references() -> list[Reference]:
    """Of every sample of every op, and of what is tried besides, for the mistakes that are planted."""
    return [
        *(of_sample(op, text) for op, text in SAMPLES),
        *(reference(prepare(case({"y": text, "loss": "sum(y)"}, X))) for text in INDICES),
        *(reference(prepare(case({"y": text, "loss": "sum(y * x)"}, {"x": ENDS}))) for text in AT_THE_ENDS),
    ]


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


def test_every_op_is_there_and_tried(script: Script) -> None:
    """A new op is missed here until ops.js has it."""
    known = set(script.context.eval("lab.ops.join(' ')").split())
    needed = {op for op, record in OPS.items() if not record.internal} | BY_THE_ENGINE
    assert needed - known == set(), "ops without JavaScript"
    assert needed - {op for op, _ in SAMPLES} - {*FLAT} - BY_THE_ENGINE == set(), "ops that nothing tries"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "text"), SAMPLES)
@pytest.mark.one_in(2)
def test_every_op_forward_and_backward(script: Script, op: str, text: str, dtype: str) -> None:
    assert matches(script, of_sample(op, text, dtype))


@pytest.mark.parametrize("text", AT_THE_ENDS)
def test_where_digits_are_lost_easily(script: Script, text: str) -> None:
    assert agrees(script, case({"y": text, "loss": "sum(y * x)"}, {"x": ENDS}))


@pytest.mark.parametrize("text", [*FLAT.values(), *INDICES])
def test_what_has_no_samples(script: Script, text: str) -> None:
    assert agrees(script, case({"y": text, "loss": "sum(y * x[0, 0])"}, X))


@pytest.mark.parametrize(("op", "text"), SAMPLES)
@pytest.mark.one_in(2)
def test_ties_zeros_and_what_is_not_finite(script: Script, op: str, text: str) -> None:
    prepared = prepared_sample(op, text)
    draw = random.Random(text)
    for odd in (
        [0.0, 1.0],
        [0.0, -0.0, 2.0],
        [1.0, float("nan")],
        [1.0, -2.0, float("inf"), float("-inf")],
        [745.0, -745.0],
    ):
        moved = {
            name: np.reshape(
                [draw.choice(odd) for _ in range(np.size(prepared.env[name]))], np.shape(prepared.env[name])
            )
            for name in prepared.case.parameters
        }
        with np.errstate(all="ignore"):
            values = prepared.run(moved)
        found = script.run(prepared.both, {**prepared.env, **moved}, "float64")
        for name, value in found.items():
            np.testing.assert_allclose(value, values[name], rtol=1e-12, atol=1e-300, err_msg=f"{text}, {name}, {moved}")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(3)
def test_every_case_of_every_config(script: Script, path: Path) -> None:
    for one in config.load(path).cases:
        assert agrees(script, one), one.name


def test_an_index_out_of_its_range_is_refused(script: Script) -> None:
    with pytest.raises(Exception, match="index 3 lies outside of an axis of length 3"):
        script.run([Equation("y", read("x[t]"), "")], {"x": np.arange(3.0), "t": np.array(3.0)}, "float64")


def test_two_hundred_epochs_give_the_losses_of_the_lab(script: Script) -> None:
    one = next(one for one in config.load(CONFIGS[0].parent / "sigmoid-2-2-2.yaml").cases if one.name == "training")
    trains_alike(script, one)


WAYS: Mapping[str, TrainSettings] = {
    **{
        name: TrainSettings(name, {key: 0.05 if at is None else at for key, at in rule.settings.items()}, 12)
        for name, rule in OPTIMIZERS.items()
    },
    "clipped": TrainSettings("sgd", {"lr": 0.2, "clip_norm": 0.1, "weight_decay": 0.01}, 12),
    "scheduled": TrainSettings(
        "momentum", {"momentum": 0.9}, 12, schedule=Equation("lr", read("0.1 / epoch**0.5"), "")
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", WAYS)
def test_every_optimizer_trains_as_in_the_lab(script: Script, way: str, dtype: Dtype) -> None:
    equations = {"h": "tanh(x @ W)", "loss": "sum((h - 0.3)**2)"}
    weights, inputs = {"W": [[0.5, -0.2], [0.1, 0.4]]}, {"x": [[1.0, 2.0], [-1.0, 0.5]]}
    trains_alike(script, case(equations, weights, inputs, train=WAYS[way], dtype=dtype))


def trains_alike(script: Script, one: Case) -> None:
    """Hold the losses of a training by the script, from the equations that a page has, against the lab's."""
    prepared = prepare(one)
    assert one.train
    settings = one.train
    training = Training(prepared, settings, [*settings.settings]).settled()
    env = {**prepared.env, **training.start()}
    env |= {f"_setting_{name}": np.array(value) for name, value in settings.settings.items()}
    losses = []
    for epoch in range(settings.epochs + 1):
        found = script.run(training.on(1).both, {**env, "_t": np.array(epoch + 1.0)}, one.dtype)
        losses.append(float(found[prepared.end]))
        env |= {old: found[new] for old, new in training.moved.items()}
    np.testing.assert_allclose(losses, train.run(one).columns["loss"], rtol=1e-12 if one.dtype == "float64" else 1e-5)


PLANTED: Sequence[tuple[str, str]] = (
    ("add: (a, b) => a + b", "add: (a, b) => a + b * (1 + 1e-9)"),
    ("near = t => { let term = t, sum = t", "near = t => { let term = t, sum = 0"),
    ("k = 120", "k = 3"),
    ("gt: (a, b) => +(a > b)", "gt: (a, b) => +(a >= b)"),
    ("b === 2 ? a * a", "b === 3 ? a * a"),
    ("x.s[i - skip] === 1 ? 0", "x.s[i - skip] === 2 ? 0"),
    ("at = Math.floor(row / m) * k * n + j", "at = j"),
    ("set.axis ?? -1", "set.axis ?? 0"),
    ("d[k] = r(d[k] + x.d[i])", "d[k] = x.d[i]"),
    ("keepdims ? one", "keepdims ? []"),
    ("k < 0 ? k + n : k", "k"),
    ("alpha * r(Math.expm1", "r(Math.expm1"),
    ("Math.max(x, low), high", "Math.max(x, high), low"),
    ("apart ? [block, ...rest] : rest", "rest"),
    ("const m = top(list), e =", "const m = 0, e ="),
)


@pytest.mark.parametrize(("right", "wrong"), PLANTED)
@pytest.mark.one_in(3)
def test_a_planted_mistake_is_seen(right: str, wrong: str) -> None:
    assert OPS_JS.count(right) == 1
    spoilt = Script(OPS_JS.replace(right, wrong))

    def seen(known: Reference) -> bool:
        try:
            return not matches(spoilt, known)
        except Exception as trouble:
            return "Error" in str(trouble)

    assert any(map(seen, references()))


def test_numbers_are_written_as_in_the_pictures(script: Script) -> None:
    draw = random.Random(0)
    drawn = [draw.choice([-1, 1]) * draw.random() * 10 ** draw.randint(-9, 9) for _ in range(400)]
    numbers = [
        0.0,
        -0.0,
        1.0,
        0.99999989,
        16.0,
        16.0000001,
        1e-5,
        12345678.0,
        123456.789,
        0.34,
        0.1 + 0.2,
        999.99999,
        *drawn,
    ]
    script.context.eval("var shown = text => JSON.parse(text).map(lab.numbers(false).num)")
    assert script.asked("shown", numbers) == [number(value) for value in numbers]
    singles = [np.float32(value) for value in numbers]
    script.context.eval("var single = text => JSON.parse(text).map(lab.numbers(true).num)")
    assert script.asked("single", [float(value) for value in singles]) == [number(value) for value in singles]
