"""What a page computes beyond its steps: trainings with batches and a state to start from, and contours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from mathlab import api
from mathlab.errors import MathlabError
from mathlab.pictures import Scene, page, plots
from mathlab.stages.prepare import prepare
from tests.pictures.script import Script

NET = {
    "inputs": {"X": [[1.5, -2], [0.5, 1], [-1, 0.25], [2, 2], [0, -1]], "t": [0, 1, 1, 0, 1]},
    "parameters": {"W": [[0.3, -0.7], [0.25, 0.5]], "b": [0.1, -0.2]},
    "equations": {"z": "tanh(X @ W + b)", "loss": "mean(cross_entropy(z, t))"},
    "expected": {"loss": "0.573"},
}
START = [[0.1, -0.2], [0.3, 0.05]]
SGD = {"name": "sgd", "lr": 0.25}
MOMENTUM = {"name": "momentum", "lr": 0.25, "momentum": 0.9}
ADAM = {"name": "adam", "lr": 0.1}
BATCHES = {"batch_size": 2, "over": ["X", "t"]}
TRAININGS: Mapping[str, Mapping[str, object]] = {
    "in order": {"optimizer": SGD, **BATCHES},
    "shuffled": {"optimizer": SGD, **BATCHES, "seed": 3},
    "with momentum from before": {"optimizer": MOMENTUM, "start": {"v_W": START}},
    "with Adam's state and batches": {"optimizer": ADAM, **BATCHES, "seed": 1, "start": {"m_W": START, "t": 4}},
    "a scheduled rate": {"optimizer": {"name": "sgd", "lr": "0.2 / epoch"}, **BATCHES, "seed": 3},
}
CONTOURS = [
    {"contour": {"over": {"W[0,0]": [-3, 3], "b[1]": [-1, 2]}}},
    {"contour": {"over": {"W[0,0]": [-1, 1], "W[1,1]": [0, 1]}, "of": ["sum(z[0])"]}},
]
CALLS = """
var leaves = data => new Map(data.leaves.map(([name, , s, d]) => [name, {s, d: d.map(Number)}]));
var trained = text => {
  const data = JSON.parse(text), {settings, epochs} = data.train;
  return lab.train(data, leaves(data), settings, epochs).losses;
};
var field = (text, at) => (data => lab.field(data, leaves(data), data.contours[at], 9))(JSON.parse(text));
"""


@cache
def script() -> Script:
    made = Script()
    made.context.eval(CALLS)
    return made


def data_of(result: api.Result) -> dict[str, page.Json]:
    (case,), (ran,) = result.experiment.cases, result.cases
    assert ran.backprop
    made = page.data(Scene(result.experiment, case, ran, ran.backprop, "net"), prepare(case))
    return dict(json.loads(json.dumps(made, default=page.tree)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", TRAININGS)
def test_a_page_trains_as_the_lab_does(way: str, dtype: str) -> None:
    result = api.run({**NET, "dtype": dtype, "train": {**TRAININGS[way], "epochs": 7}})
    data = data_of(result)
    losses = np.array(script().asked("trained", data))
    training = data["train"]
    assert isinstance(training, dict)
    assert training["rates"] == (["beta1", "beta2"] if TRAININGS[way]["optimizer"] == ADAM else [])
    assert result.cases[0].train
    rtol = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(losses, result.cases[0].train.columns["loss"], rtol=rtol)


def test_an_upstream_that_is_an_expression_is_computed_anew_and_of_all_samples() -> None:
    net = {**NET, "upstream": "s + mean(t)", "train": {**TRAININGS["shuffled"], "epochs": 3}}
    inputs = {"X": [[1.5, -2], [0.5, 1], [-1, 0.25], [2, 2], [0, -1]], "t": [0, 1, 1, 0, 1]}
    one, other = (data_of(api.run({**net, "inputs": {**inputs, "s": s}})) for s in (1, 4))
    edited = {**one, "leaves": other["leaves"]}
    np.testing.assert_array_equal(script().asked("trained", edited), script().asked("trained", other))
    losses = api.run({**net, "inputs": {**inputs, "s": 4}}, "train").cases[0].train
    assert losses
    np.testing.assert_allclose(np.array(script().asked("trained", edited)), losses.columns["loss"], rtol=1e-12)


def test_a_page_names_an_entry_of_an_expression_in_parentheses() -> None:
    data = data_of(api.run({**NET, "expected": {"b + 1": ["1.1", "0.8"]}}, "backprop"))
    figures = data["figures"]
    assert isinstance(figures, list)
    assert [row[1] for row in figures] == ["(b + 1)[0]", "(b + 1)[1]"]


def test_a_page_draws_the_contours_that_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "GRID", 9)
    result = api.run({**NET, "pictures": CONTOURS}, "backprop")
    (case,) = result.experiment.cases
    data = data_of(result)
    for at, picture in enumerate(case.pictures):
        made = plots.drawing(result, case.name, picture)
        assert made.field
        heights = np.array(script().asked("field", data, at))
        np.testing.assert_allclose(heights, made.field[2].ravel(), rtol=1e-12)


def test_the_way_on_a_contour_is_that_of_all_minibatches() -> None:
    result = api.run({**NET, "pictures": CONTOURS, "train": {**TRAININGS["shuffled"], "epochs": 7}}, "train")
    (case,) = result.experiment.cases
    (way,) = plots.drawing(result, case.name, case.pictures[0]).lines
    trained = result.cases[0].train
    assert trained
    assert len(way.x) == trained.updates + 1
    assert (way.x[-1], way.y[-1]) == (trained.parameters["W"][0, 0], trained.parameters["b"][1])


def test_a_way_of_a_case_without_the_entries_is_told() -> None:
    def part(name: str) -> dict[str, object]:
        return {"parameters": {name: [0.5]}, "equations": {"loss": f"sum({name}**2)"}, "train": train}

    train = {"optimizer": SGD, "epochs": 2}
    contour = {"contour": {"over": {"w[0]": [0, 1], "w[-1]": [0, 1]}, "cases": ["one", "other"]}}
    result = api.run({"cases": {"one": {**part("w"), "pictures": [contour]}, "other": part("v")}}, "train")
    case = result.experiment.cases[0]
    with pytest.raises(MathlabError, match="no single entry"):
        plots.drawing(result, case.name, case.pictures[0])


ODD = {
    "a class": {"W[0,0]": [0, 1], "t[0]": [0, 1]},
    "nothing known": {"W[0,0]": [0, 1], "other": [0, 1]},
    "a matrix": {"W": [0, 1], "b[0]": [0, 1]},
}


@pytest.mark.parametrize("over", ODD)
def test_a_page_leaves_out_a_contour_that_it_cannot_draw(over: str) -> None:
    counted = {"W[-1,-1]": [0, 1], "b[-2]": [0, 1]}
    pictures = [{"contour": {"over": ODD[over]}}, {"contour": {"over": counted, "of": ["dW[0,0]"]}}]
    result = api.run({**NET, "pictures": [*pictures, {"contour": {"over": counted}}]}, "backprop")
    data = data_of(result)
    assert isinstance(data["contours"], list)
    over_entries = [one["over"] for one in data["contours"] if isinstance(one, dict)]
    assert over_entries == [[["W", 3, 0, 1], ["b", 0, 0, 1]]]


def test_what_a_page_cannot_train_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PICKED", 10)
    result = api.run({**NET, "train": {"optimizer": SGD, **BATCHES, "seed": 3, "epochs": 3}})
    data = data_of(result)
    assert isinstance(data["train"], dict)
    assert "losses" in data["train"]
    assert "batches" not in data["train"]
    assert json.dumps(data)
