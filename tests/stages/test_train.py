"""Training: every optimizer against its formulas written by hand in NumPy, batches, freezing, figures after updates."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Case, TrainSettings
from mathlab.results import TrainResult
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from tests.build import case, figure
from tests.language.test_planned import mlp

Floats = NDArray[np.float64]
X = np.array([[3.0, 1.0], [-1.0, 4.0], [0.5, -2.0], [1.0, 1.0], [2.0, 0.0]])
T = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
W, B = np.array([0.3, -0.7]), np.array(0.1)


def logistic(settings: TrainSettings) -> Case:
    return case(
        {"y": "sigmoid(X @ w + b)", "loss": "mean((y - T)**2)"}, {"w": W, "b": B}, {"X": X, "T": T}, train=settings
    )


def gradients(w: Floats, b: Floats, x: Floats, t: Floats) -> tuple[Floats, Floats]:
    y = 1 / (1 + np.exp(-(x @ w + b)))
    ds = 2 * (y - t) / len(t) * y * (1 - y)
    return x.T @ ds, np.asarray(np.sum(ds))


def by_hand(settings: TrainSettings, batches: list[list[int]]) -> tuple[Floats, Floats]:
    """The update rules as their papers have them, one parameter at a time."""
    values = dict(settings.settings)
    moved: list[Floats] = [W.copy(), B.copy()]
    first, second = [np.zeros(2), np.zeros(())], [np.zeros(2), np.zeros(())]
    for t, rows in enumerate(batches, start=1):
        new = []
        for k, g in enumerate(gradients(moved[0], moved[1], X[rows], T[rows])):
            if settings.optimizer == "sgd":
                step = values["lr"] * g
            elif settings.optimizer == "momentum":
                first[k] = values["momentum"] * first[k] + g
                step = values["lr"] * first[k]
            else:
                first[k] = values["beta1"] * first[k] + (1 - values["beta1"]) * g
                second[k] = values["beta2"] * second[k] + (1 - values["beta2"]) * g * g
                hat = first[k] / (1 - values["beta1"] ** t)
                step = values["lr"] * hat / (np.sqrt(second[k] / (1 - values["beta2"] ** t)) + values["eps"])
            new.append(moved[k] - step)
        moved = new
    return moved[0], moved[1]


OPTIMIZERS: Mapping[str, Mapping[str, float]] = {
    "sgd": {"lr": 0.5},
    "momentum": {"lr": 0.2, "momentum": 0.9},
    "adam": {"lr": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_full_batch(optimizer: str) -> None:
    settings = TrainSettings(optimizer, OPTIMIZERS[optimizer], epochs=20)
    result = train.run(logistic(settings))
    w, b = by_hand(settings, [list(range(5))] * 20)
    np.testing.assert_allclose(result.parameters["w"], w, rtol=1e-12)
    np.testing.assert_allclose(result.parameters["b"], b, rtol=1e-12)
    assert result.updates == 20


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_minibatches_in_order(optimizer: str) -> None:
    settings = TrainSettings(optimizer, OPTIMIZERS[optimizer], epochs=3, batch_size=2, over=("X", "T"))
    result = train.run(logistic(settings))
    w, b = by_hand(settings, [[0, 1], [2, 3], [4]] * 3)
    np.testing.assert_allclose(result.parameters["w"], w, rtol=1e-12)
    np.testing.assert_allclose(result.parameters["b"], b, rtol=1e-12)
    assert result.updates == 9


def test_shuffled_minibatches_follow_the_seed() -> None:
    def trained(seed: int) -> Floats:
        settings = TrainSettings("sgd", {"lr": 0.5}, epochs=3, batch_size=2, over=("X", "T"), seed=seed)
        return np.asarray(train.run(logistic(settings)).parameters["w"])

    rng = np.random.default_rng(7)
    orders = [rng.permutation(5).tolist() for _ in range(3)]
    batches = [order[k : k + 2] for order in orders for k in (0, 2, 4)]
    w, _ = by_hand(TrainSettings("sgd", {"lr": 0.5}, epochs=3), batches)
    np.testing.assert_allclose(trained(7), w, rtol=1e-12)
    np.testing.assert_array_equal(trained(7), trained(7))
    assert not np.array_equal(trained(7), trained(8))


def test_frozen_parameters_stay_and_still_have_a_gradient() -> None:
    result = train.run(logistic(TrainSettings("sgd", {"lr": 0.5}, epochs=5, freeze=("b",))))
    assert result.parameters["b"] == B
    assert not np.array_equal(result.parameters["w"], W)
    assert np.all(result.columns["norm(db)"] > 0)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_figures_after_updates_and_the_history(batch_size: int | None) -> None:
    """Row k of the history, and the figure after that many updates, are what the same parameters give afresh."""
    over = ("X", "T") if batch_size else ()
    per_epoch = 3 if batch_size else 1

    def settings(epochs: int, *after: int) -> TrainSettings:
        figures = tuple((updates, (figure("loss", "0.0"), figure("b", "0.0"))) for updates in after)
        return TrainSettings("sgd", {"lr": 0.5}, epochs, batch_size, over, after=figures)

    result = train.run(logistic(settings(4, 0, 2 * per_epoch, 4 * per_epoch)))
    assert len(result.columns["loss"]) == 5
    for epochs, position in ((0, 0), (2, 2), (4, 4)):
        parameters = train.run(logistic(settings(epochs))).parameters
        fresh = prepare(logistic(settings(4))).run({name: array[()] for name, array in parameters.items()})
        np.testing.assert_allclose(result.columns["loss"][position], fresh["loss"], rtol=1e-12)
        np.testing.assert_allclose(result.columns["norm(dw)"][position], np.linalg.norm(fresh["dw"]), rtol=1e-12)
        written = [result.columns[name][position] for name in ("w[0]", "w[1]", "b")]
        np.testing.assert_allclose(written, [*parameters["w"], parameters["b"]], rtol=1e-12)
        of_epoch = [entry for entry in result.figures if entry.updates == epochs * per_epoch]
        assert [entry.key for entry in of_epoch] == ["loss", "b"]
        np.testing.assert_allclose(of_epoch[0].entries[0].computed, fresh["loss"], rtol=1e-12)
        np.testing.assert_allclose(of_epoch[1].entries[0].computed, parameters["b"], rtol=1e-12)


def test_updates_are_simultaneous() -> None:
    """The second layer's step must not be seen by the first layer's gradient."""
    net = case(
        {"h": "w * x", "y": "v * h", "loss": "(y - t)**2"},
        {"w": 0.5, "v": 2.0},
        {"x": 3, "t": 1},
        train=TrainSettings("sgd", {"lr": 0.01}, epochs=1),
    )
    parameters = train.run(net).parameters
    error = 2 * (0.5 * 3 * 2 - 1)
    np.testing.assert_allclose(parameters["v"], 2 - 0.01 * error * 1.5, rtol=1e-15)
    np.testing.assert_allclose(parameters["w"], 0.5 - 0.01 * error * 2 * 3, rtol=1e-15)


def test_training_that_leaves_the_finite_numbers_says_where() -> None:
    net = case({"loss": "w**4"}, {"w": 3.0}, train=TrainSettings("sgd", {"lr": 10.0}, epochs=20))
    assert train.run(net).first_nonfinite == "epoch 4: loss is inf: w**4, where w is 4.97283e+102"


def test_float32_is_kept_through_training() -> None:
    net = case(
        {"loss": "sum((W @ x - 1)**2)"},
        {"W": np.ones((2, 2))},
        {"x": [1, 2]},
        dtype="float32",
        train=TrainSettings("adam", OPTIMIZERS["adam"], epochs=3),
    )
    result = train.run(net)
    assert result.parameters["W"].dtype == np.float32
    assert all(column.dtype == np.float32 for column in result.columns.values())


def test_outputs_are_the_nodes_that_the_target_meets() -> None:
    assert list(train.run(logistic(TrainSettings("sgd", {"lr": 0.1}, epochs=1))).columns) == [
        "loss", "y[0]", "y[1]", "y[2]", "y[3]", "y[4]", "norm(dw)", "norm(db)", "w[0]", "w[1]", "b",
    ]  # fmt: skip


def test_large_gradients_are_measured_where_they_are_made() -> None:
    size = train.FEW + 1
    net = case(
        {"loss": "sum((w - x)**2)"},
        {"w": np.zeros(size)},
        {"x": np.ones(size)},
        train=TrainSettings("sgd", {"lr": 0.25}, epochs=2),
    )
    np.testing.assert_allclose(train.run(net).columns["norm(dw)"], 2 * np.sqrt(size) * np.array([1, 0.5, 0.25]))


def test_a_class_index_out_of_range_is_told_with_its_equation() -> None:
    net = case(
        {"loss": "mean(cross_entropy(X @ W, y))"},
        {"W": np.zeros((2, 3))},
        {"X": [[1, 2]], "y": [7]},
        train=TrainSettings("sgd", {"lr": 0.1}, epochs=1),
    )
    with pytest.raises(MathlabError, match="in loss: index 7 is out of bounds"):
        train.run(net)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_progress_is_told_with_the_loss(batch_size: int | None) -> None:
    """Each epoch, or each update of a minibatch; the loss is the latest that was measured on all data."""
    told: list[tuple[int, int, float | None]] = []
    settings = TrainSettings("sgd", {"lr": 0.01}, epochs=3, batch_size=batch_size, over=("x",) * bool(batch_size))
    net = case({"loss": "sum((x * w)**2)"}, {"w": 1.0}, {"x": [1, 2, 3]}, train=settings)
    losses = train.run(net, lambda *of: told.append(of)).columns["loss"]
    if batch_size is None:
        assert told == [(1, 3, losses[0]), (2, 3, losses[1]), (3, 3, losses[2])]
    else:
        assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6]
        for done, _, loss in told:  # the next epoch does not wait for it
            assert loss in (losses[done // 2], losses[done // 2 - 1] if done > 1 else None)


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings("sgd", {"lr": 5.0}, epochs=4),
        TrainSettings("sgd", {"lr": 5.0}, epochs=4, batch_size=2, over=("X", "y")),
    ],
)
def test_what_no_equation_reads_is_watched(settings: TrainSettings) -> None:
    net = case(
        {"z": "X @ W", "accuracy": "mean(argmax(z, axis=1) == y)", "loss": "mean(cross_entropy(z, y))"},
        {"W": [[0.0, 0.1], [0.0, 0.1]]},
        {"X": np.array([[1, 0], [0, 1], [1, 0.5]]), "y": np.array([0, 1, 0])},
        train=settings,
    )
    columns = train.run(net).columns
    assert list(columns)[:2] == ["loss", "accuracy"]
    assert columns["accuracy"][[0, -1]].tolist() == [1 / 3, 1.0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_holds_little_more_than_a_step_must(optimizer: str) -> None:
    """At most half as much again as every value, gradient and parameter, from deriving the equations to the results."""
    settings = TrainSettings(optimizer, OPTIMIZERS[optimizer], epochs=3)
    net = replace(mlp(256, (200, 500, 300, 10), activation="sigmoid"), train=settings)
    prepared = prepare(net)
    values = prepared.run()
    needed = sum(values[name].nbytes for name in (*prepared.nodes, *prepared.gradients))
    held = 1 + len(settings.rule.state)
    needed += held * sum(values[name].nbytes for name in net.parameters)
    del prepared, values
    tracemalloc.start()
    train.run(net)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.5 * needed


def test_an_end_of_one_entry_is_trained_as_a_number_is() -> None:
    told: list[float | None] = []

    def trained(loss: str) -> TrainResult:
        asked = case(
            {"loss": loss},
            {"w": np.ones((1, 2))},
            {"x": [1, 2], "t": [0.5]},
            train=TrainSettings("sgd", {"lr": 0.1}, epochs=3),
        )
        return train.run(asked, lambda done, total, latest: told.append(latest))

    row, number = trained("(w @ x - t)**2"), trained("sum((w @ x - t)**2)")
    assert [*row.columns] == [*number.columns]
    np.testing.assert_array_equal(row.columns["loss"], number.columns["loss"])
    np.testing.assert_array_equal(row.parameters["w"], number.parameters["w"])
    assert told[: len(told) // 2] == told[len(told) // 2 :]
