"""Numbers that fit nothing: what they nearly are is told, and never claimed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mathlab import config
from mathlab.article.cover import cover
from mathlab.article.suggest import Suggestion, Undecided, suggest
from mathlab.article.text import read
from mathlab.experiment import Experiment
from mathlab.results import ExperimentResult
from mathlab.stages.prepare import prepare

NET = {
    "inputs": {"x": [1.5, -2], "t": 1},
    "parameters": {"W": [[0.3, -0.7], [0.25, 0.5]], "b": 0.1},
    "equations": {"z": "W @ x + b", "y": "sigmoid(z)", "loss": "mean((y - t)**2)"},
    "train": {"optimizer": {"name": "sgd", "lr": 0.25}, "epochs": 3},
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    path = tmp_path_factory.mktemp("near") / "net.yaml"
    path.write_text(str(NET), encoding="utf-8")
    return config.load(path)


def told(net: Experiment, folder: Path, text: str) -> tuple[list[Suggestion], list[Undecided]]:
    path = folder / "notes.md"
    path.write_text(text, encoding="utf-8")
    return suggest(cover([read(path)], [ExperimentResult(net, ())]), [net])


# y is [0.8754466418, 0.3716838117], the loss 0.2051473858, dW [[-0.0203719, 0.0271626], [-0.2201007, 0.2934676]]
NEARLY = [
    ("The loss is 0.205148.", "loss of net, base is 0.205147: rounded the other way"),
    ("The loss is 0.2051473.", "loss of net, base is 0.2051474: cut off, not rounded"),
    ("The loss is 0.205247386.", "loss of net, base is 0.205147386: one digit differs"),
    ("y is [0.8754466, 0.3715838].", "y[1] of net, base is 0.3716838: one digit differs"),
    ("dW is [[-0.0204, 0.0272], [-0.2201, 0.2936]]", "dW[1,1] of net, base is 0.2935: one digit differs"),
    ("dW is [[-0.0204, 0.0372], [-0.2201, 0.2935]]", "dW[0,1] of net, base is 0.0272: one digit differs"),
    ("The loss is 0.204748.", ""),
    ("The loss is 0.2051473858123.", ""),
    ("A third is 0.3333333.", ""),
    ("The loss is 0.206.", ""),
    ("The loss is 7.205.", ""),  # there are many of three digits, and few of four so large
    ("The loss is 7.205147386.", "loss of net, base is 0.205147386: one digit differs"),
]


@pytest.mark.parametrize(("text", "near"), NEARLY)
def test_what_nearly_fits_is_told_and_not_claimed(text: str, near: str, net: Experiment, tmp_path: Path) -> None:
    found, undecided = told(net, tmp_path, text)
    assert [one.near for one in undecided if not one.candidates] == [near]
    claimed = {number.text for one in found for number in one.numbers}
    assert claimed.isdisjoint(one.number.text for one in undecided)


def test_a_float32_run_is_found_where_no_case_is_one(net: Experiment, tmp_path: Path) -> None:
    (case,) = net.cases
    loss = prepare(replace(case, dtype="float32", train=None)).run()["loss"]
    found, (one,) = told(net, tmp_path, f"It prints {loss!s}.")
    assert (found, one.candidates) == ([], ())
    assert one.near == "it is loss of net, base as float32, which a case with dtype: float32 computes"
    (again,) = net._replace(cases=(replace(case, dtype="float32"),)).cases
    found, undecided = told(net._replace(cases=(again,)), tmp_path, f"It prints {loss!s}.")
    assert ([one.key for one in found], undecided) == (["loss"], [])
