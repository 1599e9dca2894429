"""No name of ours lives where a config's names live: whatever a value or a node is called, it computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from mathlab import config
from mathlab.config.keys import name as as_name
from mathlab.config.yamltext import Scalar
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Array, Case, TrainSettings
from mathlab.language.ops import OPS
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.program import RESERVED
from mathlab.outputs.tables import tables_of
from mathlab.results import ExperimentResult
from mathlab.stages import backprop, gradcheck, sweep, train
from mathlab.stages.prepare import prepare
from tests.build import case, case_result

OURS = """
k last first run range measure copyto i0 x1 h0 c1 add_0 program tape np math dtype slice shake norm_ norm__ np_ type
out axis T g t w v m y x lr beta1 eps seed case epoch quantity match λ float len print iter
""".split()
AWKWARD = (*OURS, *sorted(RESERVED), *OPS)
ROLES = ("inputs", "parameters", "equations")


@cache
def names() -> tuple[str, ...]:
    """The awkward names that a config may have, but for those that are the gradient of another one."""
    found = dict[str, None]()
    for name in AWKWARD:
        try:
            as_name(Scalar(name, Place("", 1, 1)))
        except MathlabError:
            continue
        found[name] = None
    return tuple(name for name in found if not (name[0] == "d" and name[1:] in found))


def written(role: str, called: Sequence[str], optimizer: str, batches: bool) -> str:
    """A config with all of these names in one role."""
    sections = {
        "inputs": "data: [[1, 2], [3, -1]], labels: [0, 1]",
        "parameters": "weights: [[0.5, 0.1], [-0.25, 0.5]]",
    }
    nodes: dict[str, str] = {}
    if role in sections:
        sections[role] += "".join(f", {name}: [{k % 5 - 2.5}, {k % 3 - 1}]" for k, name in enumerate(called))
    else:
        nodes = {name: f"data[0] * {k % 7} + weights[1]" for k, name in enumerate(called)}
    for start in range(0, len(called), 20):
        terms = (f"{name} * {k % 3 + 1}" for k, name in enumerate(called[start : start + 20], start))
        nodes[f"part{start}"] = f"norm({' + '.join(terms)} + data @ weights[0], axis=0, keepdims=True)"
    nodes["all_parts"] = f"tanh(({' + '.join(part for part in nodes if part.startswith('part'))}) / {len(called)})"
    nodes["cost"] = "mean(cross_entropy(tanh(data @ weights) * all_parts, labels))"
    over = ", batch_size: 1, over: [data, labels]" if batches else ""
    swept = "data: [[[1, 2], [3, -1]], [[0, 1], [1, 2]]]" if role in sections else "lr: [0.1, 0.01]"
    lines = [
        *(f"{section}: {{{text}}}" for section, text in sections.items()),
        *("equations:", *(f"  {name}: {text}" for name, text in nodes.items())),
        f"train: {{optimizer: {{name: {optimizer}, lr: 0.01}}, epochs: 3{over}}}",
        f"sweep: {{grid: {{{swept}}}, report: [cost, sum({called[-1]})]}}",
        "gradcheck: {}",
    ]
    return "\n".join([*lines, ""])


def cases(
    folder: Path, role: str, optimizer: str = "sgd", batches: bool = False, most: int | None = None
) -> tuple[Case, Case, dict[str, str]]:
    """The case with awkward names, the same with plain ones, and which of those stands for which."""
    plain = {f"plain{k}": name for k, name in enumerate(names()[:most])}
    made: list[Case] = []
    for file, called in (("awkward", [*plain.values()]), ("plain", [*plain])):
        path = folder / f"{file}.yaml"
        path.write_text(written(role, called, optimizer, batches), encoding="utf-8")
        made += config.load(path).cases
    return made[0], made[1], plain


def assert_same(found: Mapping[str, Array], wanted: Mapping[str, Array], plain: Mapping[str, str]) -> None:
    prefixes = {f"d{name}": f"d{other}" for name, other in plain.items()} | dict(plain)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[prefixes.get(name, name)], value, err_msg=prefixes.get(name, name))


@pytest.mark.parametrize(
    ("role", "optimizer", "batches", "most"),
    [
        *(("parameters", optimizer, False, len(OURS)) for optimizer in OPTIMIZERS),
        *((role, "sgd", False, len(OURS)) for role in ROLES if role != "parameters"),
        *((role, "adam", True, None) for role in ROLES),
    ],
)
@pytest.mark.one_in(4)
def test_training(tmp_path: Path, role: str, optimizer: str, batches: bool, most: int | None) -> None:
    """What an optimizer does of its own, it does to parameters; all names are tried with one of them."""
    awkward, simple, plain = cases(tmp_path, role, optimizer, batches, most)
    found, wanted = train.run(awkward), train.run(simple)
    assert_same(found.parameters, wanted.parameters, plain)
    np.testing.assert_array_equal([*found.columns.values()], [*wanted.columns.values()])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("batches", "most"), [(False, len(OURS)), (True, None)])
@pytest.mark.one_in(3)
def test_sweeps(tmp_path: Path, role: str, batches: bool, most: int | None) -> None:
    awkward, simple, _ = cases(tmp_path, role, "momentum", batches, most)
    runs, expected = sweep.run(awkward), sweep.run(simple)
    assert runs.stacked == expected.stacked == 2
    np.testing.assert_array_equal([*runs.columns.values()], [*expected.columns.values()])
    assert not any(runs.nonfinite)


@pytest.mark.parametrize("role", ROLES)
def test_every_value_gradient_and_check(tmp_path: Path, role: str) -> None:
    awkward, simple, plain = cases(tmp_path, role, most=15)
    assert_same(prepare(awkward).run(), prepare(simple).run(), plain)
    checks = [entry.verdict for entry in gradcheck.run(awkward).entries]
    looked = [found.verdict for found in backprop.run(awkward, ("tape",)).witnesses]
    assert {*checks} == {"confirmed"}
    assert {*looked} == {"agrees"}


@pytest.mark.parametrize("role", ROLES)
def test_the_printed_program(tmp_path: Path, role: str) -> None:
    """It runs on its own, with the names that it was given."""
    awkward, _, _ = cases(tmp_path, role)
    prepared = prepare(awkward)
    space: dict[str, object] = {}
    exec(prepared.program.listing(), space)
    program = cast(Callable[..., Sequence[Array]], space["program"])
    values = program(*(prepared.env[name] for name in prepared.program.inputs))
    expected = prepared.run()
    for name, value in zip(prepared.program.outputs, values, strict=True):
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_parameter_called_k(tmp_path: Path) -> None:
    net = case(
        {"loss": "sum((k * x)**2)"}, {"k": [0.5, 0.3]}, {"x": [1, 2]}, train=TrainSettings("sgd", {"lr": 0.1}, 1)
    )
    np.testing.assert_allclose(train.run(net).parameters["k"], [0.4, 0.06])


@pytest.mark.parametrize(
    ("value", "end"), [("run", "epoch"), ("w", "run"), ("nonfinite", "case"), ("case", "nonfinite")]
)
def test_no_column_stands_twice_in_a_table(tmp_path: Path, value: str, end: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(COLUMNS.format(value=value, end=end), encoding="utf-8")
    experiment = config.load(path)
    (only,) = experiment.cases
    result = case_result("base", "float64", train.run(only), sweep.run(only))
    tables = tables_of(ExperimentResult(experiment, (result,)))
    for name in ("training.csv", "sweep.csv"):
        assert len(tables[name].columns) == len({*tables[name].columns})
        assert {end, f"{end} (value)"} & {*tables[name].columns}


COLUMNS = """
parameters: {{{value}: 0.5}}
equations:
  {end}: (2 * {value})**2
train: {{optimizer: {{name: sgd, lr: 0.1}}, epochs: 1}}
sweep: {{grid: {{{value}: [1, 2]}}}}
"""
