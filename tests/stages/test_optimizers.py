"""Every optimizer against PyTorch's own, schedules, the optimizer's state in figures and as a start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Dtype, TrainSettings, Value
from mathlab.language.optimizers import OPTIMIZERS, SETTINGS
from mathlab.results import TrainResult
from mathlab.stages import train
from tests.build import case, equation, figure, value

if TYPE_CHECKING:
    import torch

UPDATES = 100  # by a schedule; of a rule a slip shows after a few
SOME = 25
# our settings, and what PyTorch calls the optimizer and its settings; the steps are so short that none goes to and fro
# over a valley, which doubles what is rounded differently every time
RULES: Mapping[str, tuple[dict[str, float], str, dict[str, object]]] = {
    "sgd": ({"lr": 0.05}, "SGD", {}),
    "momentum": ({"lr": 0.05, "momentum": 0.8}, "SGD", {"momentum": 0.8}),
    "averaged_momentum": ({"lr": 0.05, "momentum": 0.8}, "", {}),
    "nesterov": ({"lr": 0.05, "momentum": 0.8}, "SGD", {"momentum": 0.8, "nesterov": True}),
    "adagrad": ({"lr": 0.02, "eps": 1e-10}, "Adagrad", {"eps": 1e-10}),
    "adadelta": ({"lr": 0.5, "rho": 0.8, "eps": 1e-6}, "Adadelta", {"rho": 0.8, "eps": 1e-6}),
    "rmsprop": ({"lr": 0.001, "alpha": 0.98, "eps": 1e-8}, "RMSprop", {"alpha": 0.98}),
    "adam": ({"lr": 0.05, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8}, "Adam", {"betas": (0.8, 0.99)}),
    "adamax": ({"lr": 0.05, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8}, "Adamax", {"betas": (0.8, 0.99)}),
    "nadam": (
        {"lr": 0.01, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8, "momentum_decay": 0.3},
        "NAdam",
        {"betas": (0.8, 0.99), "momentum_decay": 0.3},
    ),
    "adamw": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1},
        "AdamW",
        {"betas": (0.8, 0.99), "weight_decay": 0.1},
    ),
}
OPTIONS = {
    "eps_inside": 1.0,
    "centered": 1.0,
    "amsgrad": 1.0,
    "momentum": 0.8,
    "weight_decay": 0.1,
    "dampening": 0.3,
    "clip_value": 0.2,
    "clip_norm": 0.3,
}
W, B = np.array([[0.3, -0.7, 1.1], [0.2, 0.9, -0.4]]), np.array([0.1, -0.2])
X, T = np.array([[3.0, 1.0, 0.5], [-1.0, 2.0, 1.5], [0.5, -2.0, 1.0]]), np.array([[1.0, 0], [0, 1], [1, 1]])


def trained(settings: TrainSettings, dtype: Dtype = "float64") -> TrainResult:
    equations = {"y": "tanh(X @ W.T + b)", "loss": "sum((y - T)**2)"}
    return train.run(case(equations, {"W": W, "b": B}, {"X": X, "T": T}, dtype=dtype, train=settings))


def by_torch(
    made: Callable[[list[torch.Tensor]], torch.optim.Optimizer],
    clip: Callable[[list[torch.Tensor]], object] = list,
    rate: Callable[[int], float] | None = None,
    updates: int = SOME,
) -> tuple[Array, Array]:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    weights = [torch.tensor(W, requires_grad=True), torch.tensor(B, requires_grad=True)]
    torch.set_default_dtype(torch.float64)  # in which NAdam keeps the product of its momenta
    optimizer = made(weights)
    for t in range(1, updates + 1):
        optimizer.zero_grad()
        ((torch.tanh(torch.tensor(X) @ weights[0].T + weights[1]) - torch.tensor(T)) ** 2).sum().backward()
        clip(weights)
        if rate:
            optimizer.param_groups[0]["lr"] = rate(t)
        optimizer.step()
    torch.set_default_dtype(torch.float32)
    return weights[0].detach().numpy(), weights[1].detach().numpy()


def same(result: TrainResult, expected: tuple[Array, Array]) -> None:
    for name, wanted in zip(("W", "b"), expected, strict=True):
        np.testing.assert_allclose(result.parameters[name], wanted, rtol=1e-12, atol=1e-12)


def test_every_optimizer_is_held_to_pytorch() -> None:
    assert [*RULES] == [*OPTIMIZERS]
    assert {option for rule in OPTIMIZERS.values() for option in rule.options} == {*OPTIONS}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, []) for name in OPTIMIZERS),
        *((name, [one]) for name, rule in OPTIMIZERS.items() for one in rule.options if one != "eps_inside"),
        ("rmsprop", ["centered", "momentum"]),
        ("rmsprop", ["weight_decay", "centered", "momentum"]),
    ],
)
@pytest.mark.one_in(2)
def test_it_moves_as_pytorch_has_it(name: str, options: list[str]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    settings, kind, theirs = RULES[name]
    more = {option: OPTIONS[option] for option in options}
    clips = {
        "clip_value": lambda weights: torch.nn.utils.clip_grad_value_(weights, OPTIONS["clip_value"]),
        "clip_norm": lambda weights: torch.nn.utils.clip_grad_norm_(weights, OPTIONS["clip_norm"]),
    }
    if (
        not kind
    ):  # PyTorch dampens all gradients but the first; with a constant lr it is a shorter step of the other form
        beta = settings["momentum"]
        given = {**settings, "lr": (1 - beta) * settings["lr"], **more}
        undamped = trained(TrainSettings("momentum", given, SOME)).parameters
        averaged = trained(TrainSettings(name, {**given, "lr": settings["lr"]}, SOME))
        same(averaged, (undamped["W"], undamped["b"]))
        return
    own = (
        {}
        if clips.keys() & more
        else {key: bool(value) if key in ("centered", "amsgrad") else value for key, value in more.items()}
    )
    made = getattr(torch.optim, kind)
    expected = by_torch(
        lambda weights: made(weights, lr=settings["lr"], **theirs, **own), clips.get("".join(options), list)
    )
    same(trained(TrainSettings(name, {**settings, **more}, SOME)), expected)


@pytest.mark.parametrize("name", [name for name, rule in OPTIMIZERS.items() if "eps_inside" in rule.options])
def test_what_is_added_to_a_root_may_be_added_under_it(name: str) -> None:
    settings = {**RULES[name][0], "eps": 1e-3}
    beta1, beta2, decay = (settings.get(key, 0.0) for key in ("beta1", "beta2", "weight_decay"))
    w = np.array([0.7, -1.5])
    m, v = np.zeros(2), np.zeros(2)
    for t in range(1, 6):
        g = 2 * w
        m, s = beta1 * m + (1 - beta1) * g, g**2
        rate = {"adagrad": 1.0, "rmsprop": 1 - settings.get("alpha", 0)}.get(name, 1 - beta2)
        v = {"adagrad": 1.0, "rmsprop": settings.get("alpha", 0)}.get(name, beta2) * v + rate * s
        hats = (m / (1 - beta1**t), v / (1 - beta2**t)) if beta2 else (g, v)
        w = w * (1 - settings["lr"] * decay) - settings["lr"] * hats[0] / np.sqrt(hats[1] + settings["eps"])
    made = train.run(
        case(
            {"loss": "sum(w**2)"},
            {"w": np.array([0.7, -1.5])},
            train=TrainSettings(name, {**settings, "eps_inside": 1.0}, 5),
        )
    )
    np.testing.assert_allclose(made.parameters["w"], w, rtol=1e-13)


SCHEDULES: Mapping[str, Callable[[int], float]] = {
    "0.08 / t": lambda t: 0.08 / t,
    "0.05 * 0.5 ** floor(t / 30)": lambda t: 0.05 * 0.5 ** (t // 30),
    "where(t < 10, 0.005 * t, 0.025 * (1 + cos(pi * (t - 10) / 91)))": lambda t: (
        0.005 * t if t < 10 else 0.025 * (1 + math.cos(math.pi * (t - 10) / 91))
    ),
    "0.05 / sqrt(epoch)": lambda t: 0.05 / math.sqrt(t),
    "where(t < 200, 0.01, 1 / (t - 50))": lambda t: 0.01,  # what is not chosen may be infinite
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedules(text: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    settings = TrainSettings("momentum", {"momentum": 0.9}, UPDATES, schedule=equation("lr", text))
    expected = by_torch(
        lambda weights: torch.optim.SGD(weights, lr=1.0, momentum=0.9), rate=SCHEDULES[text], updates=UPDATES
    )
    same(trained(settings), expected)
    assert trained(settings, "float32").parameters["W"].dtype == np.float32


def test_an_epoch_has_as_many_updates_as_batches() -> None:
    def ends(text: str) -> Array:
        settings = TrainSettings("sgd", {}, 3, 2, ("X", "T"), schedule=equation("lr", text))
        return trained(settings).parameters["W"]

    np.testing.assert_array_equal(ends("0.1 / epoch"), ends("where(t <= 2, 0.1, where(t <= 4, 0.1 / 2, 0.1 / 3))"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1 / (t - 3)", "the learning rate is -0.05 in update 1; it is to be 0 or more"),
        ("0.3 - 0.1 * t", "the learning rate is -0.1 in update 4; it is to be 0 or more"),
        ("10 ** (t * 100)", "the learning rate is inf in update 4; it is to be 0 or more"),
    ],
)
def test_a_schedule_that_is_no_learning_rate(text: str, message: str) -> None:
    with pytest.raises(MathlabError) as raised:
        trained(TrainSettings("sgd", {}, 5, schedule=equation("lr", text)))
    assert raised.value.problems[0].message == message


def test_the_state_is_a_figure_and_a_start() -> None:
    """Ten updates at once are four, and six more from the state after these."""
    settings = RULES["adam"][0]
    asked = ("m_W[0, 1]", "v_b[1]", "m_hat_W[0, 1]", "v_hat_b[1]")
    after = ((4, tuple(figure(key, "0.0") for key in asked)),)
    half = trained(TrainSettings("adam", settings, 4, after=after))
    m, v, m_hat, v_hat = (entry.entries[0].computed for entry in half.figures)
    assert m_hat == pytest.approx(m / (1 - 0.8**4), rel=1e-15)
    assert v_hat == pytest.approx(v / (1 - 0.99**4), rel=1e-15)
    whole = trained(TrainSettings("adam", settings, 10))

    def state(name: str) -> Array:
        figures = (figure(f"{part}_{name}{index}", "0.0") for part in "mv" for index in indices[name])
        found = trained(TrainSettings("adam", settings, 4, after=((4, tuple(figures)),))).figures
        return np.array([entry.entries[0].computed for entry in found])

    indices = {"W": [f"[{i}, {j}]" for i in range(2) for j in range(3)], "b": ["[0]", "[1]"]}
    m_w, v_w = state("W").reshape(2, 2, 3)
    m_b, v_b = state("b").reshape(2, 2)
    start: dict[str, Value] = {
        "t": value(4),
        "m_W": value(m_w),
        "v_W": value(v_w),
        "m_b": value(m_b),
        "v_b": value(v_b),
    }
    equations = {"y": "tanh(X @ W.T + b)", "loss": "sum((y - T)**2)"}
    again = TrainSettings("adam", settings, 6, start=start)
    parameters = {name: half.parameters[name] for name in ("W", "b")}
    rest = train.run(case(equations, parameters, {"X": X, "T": T}, train=again))
    same(rest, (whole.parameters["W"], whole.parameters["b"]))


def test_small_parameters_are_columns() -> None:
    result = trained(TrainSettings("sgd", {"lr": 0.05}, 3, freeze=("b",)))
    assert [name for name in result.columns if name.startswith(("W", "b"))] == [
        f"W[{i},{j}]" for i in range(2) for j in range(3)
    ]
    assert result.columns["W[1,2]"][0] == W[1, 2]
    assert result.columns["W[1,2]"][3] == result.parameters["W"][1, 2]


CONFIG = """\
inputs: {{v_w: 7}}
parameters: {{w: [1, 2], b: 3}}
equations: {{y: v_w * sum(w**2) + b}}
train: {{epochs: 2, {}}}
"""
WRONG = [
    ("optimizer: {name: adagrad, beta1: 1}", "adagrad has no setting 'beta1'; it has lr, eps"),
    ("optimizer: {name: adamw, weight_decay: 0.1, dampening: 1}", "adamw has no setting 'dampening'"),
    (
        "optimizer: {name: sgd, lr: 0.1 / s * t}",
        "unknown name 's' in the learning rate, which reads t, epoch, pi alone",
    ),
    ("optimizer: {name: sgd, lr: sum(t)}", "sum cannot stand in the learning rate, which is one number for each t"),
    ("optimizer: {name: sgd, lr: 1 - t}, after: {1: {b: 1}}", "the learning rate is -1 in update 2; it is to be 0 or"),
    ("optimizer: {name: adam, beta1: 1 / t}", "a number is needed here, not '1 / t'"),
    ("optimizer: {name: adam, clip_eps: 0}", "'clip_eps' needs a 'clip_norm': it is added to the norm"),
    ("optimizer: {name: adam}, start: {m_y: 1}", "'start' gives 'm_y', which is not part of this training's state"),
    ("optimizer: {name: adam}, freeze: b, start: {m_b: 1}", "'start' gives 'm_b', which is not part of this"),
    ("optimizer: {name: adam}, start: {m_w: [1, 2, 3]}", "'m_w' has shape (3,), but 'w' has shape (2,)"),
    ("optimizer: {name: adam}, start: {m_w: 1}", "'m_w' has shape (), but 'w' has shape (2,)"),
    ("optimizer: {name: adam}, start: {t: 1.5}", "'t' is the number of updates made before, a whole number of at le"),
    ("optimizer: {name: sgd, lr: 1}, after: {1: {m_w: 1}}", "unknown name 'm_w'"),
    ("optimizer: {name: rmsprop, centered: false}, after: {1: {m_w: 1}}", "unknown name 'm_w'"),
    ("optimizer: {name: rmsprop, centered: 1}", "true or false is needed here, not '1'"),
]


@pytest.mark.parametrize(("training", "message"), WRONG)
def test_what_is_wrong_is_one_sentence(training: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(CONFIG.format(training))
    with pytest.raises(MathlabError) as raised:
        train.run(load(str(path)).cases[0])
    (problem,) = raised.value.problems
    assert problem.message.startswith(message)
    assert problem.place
    assert problem.place.line == 4


def test_a_setting_that_is_given_brings_its_state(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    training = "optimizer: {name: rmsprop, alpha: 0.5, centered: true}, after: {1: {m_b: 0.5, s_b: 0.5, rms_b: 0.5}}"
    path.write_text(CONFIG.format(training))
    found = train.run(load(str(path)).cases[0]).figures
    assert [entry.entries[0].computed for entry in found] == pytest.approx([0.5, 0.5, 0.5], abs=1e-7)


def test_a_node_of_the_state_s_name_wins(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    training = "optimizer: {name: momentum, lr: 0.1}, after: {2: {v_w: 7, 'v_b + 0 * b': 1.9}}"
    path.write_text(CONFIG.format(training))
    found = train.run(load(str(path)).cases[0]).figures
    assert [entry.entries[0].computed for entry in found] == [7, 1.9]


def test_optimizers_have_no_setting_in_common_with_their_options() -> None:
    for name, rule in OPTIMIZERS.items():
        assert not rule.settings.keys() & rule.options.keys(), name
        assert SETTINGS[name].keys() >= {*rule.settings, *rule.options}


def test_a_norm_is_that_of_however_many_parameters() -> None:
    """As a text, the sum of 300 squares is nested deeper than an equation may be."""
    many, settings = 300, {"lr": 1.0, "clip_norm": 0.5, "clip_eps": 0.0}
    sums = {f"s{k + 1}": f"s{k} + w{k}**2" for k in range(many)}
    start = {f"w{k}": float(k) for k in range(many)}
    made = train.run(case({"s0": "w0 * 0", **sums}, start, train=TrainSettings("sgd", settings, 1)))
    length = 0.5 / np.linalg.norm([*start.values()])
    for name, first in start.items():
        np.testing.assert_allclose(made.parameters[name], first * (1 - length), rtol=1e-12)
