"""Sweeps: which runs there are, that stacked runs end as single ones do, and that it does not matter where they run."""

from __future__ import annotations

import csv
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from mathlab import config
from mathlab.config.change import at_point
from mathlab.errors import MathlabError
from mathlab.experiment import Case, SweepSettings
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.outputs.tables import tables_of
from mathlab.results import ExperimentResult, SweepResult
from mathlab.stages import sweep
from mathlab.stages.backends import spread, where
from tests.build import case_result
from tests.test_cli import invoke

NET = """
dtype: {dtype}
inputs: {{X: [[3, 1], [-1, 4], [0.5, 2]], t: [0, 1, 0], rate: 0.1}}
parameters:
  W: {{init: normal, shape: [2, 3], seed: 0}}
  b: [0, 0.1, 0.2]
  V: {{init: normal, shape: [3, 2], seed: 1}}
equations:
  h: tanh(X @ W + b)
  z: h @ V
  loss: mean(cross_entropy(z, t)) + rate * sum(W**2)
train: {{{train}}}
sweep: {{{sweep}}}
"""
OPTIMIZER = "optimizer: {name: sgd, lr: 0.05}, epochs: 20"
EPS = {"float64": 2.3e-16, "float32": 1.2e-7}


def load(folder: Path, sweep: str, train: str = OPTIMIZER, dtype: str = "float64") -> Case:
    path = folder / "net.yaml"
    path.write_text(NET.format(sweep=sweep, train=train, dtype=dtype), encoding="utf-8")
    (case,) = config.load(path).cases
    return case


def settings_of(case: Case) -> SweepSettings:
    assert case.sweep
    return case.sweep


def chosen(result: SweepResult, key: str) -> list[float | None]:
    return [None if choice is None else choice.number for choice in result.settings[key]]


def csv_of(case: Case, result: SweepResult, folder: Path) -> tuple[tuple[str, ...], ...]:
    experiment = config.load(folder / "net.yaml")
    return tables_of(ExperimentResult(experiment, (case_result(case.name, case.dtype, result),)))["sweep.csv"].rows


# --- which runs there are ---------------------------------------------------------------------------------------------


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    result = sweep.run(load(tmp_path, "grid: {lr: [0.1, 1e-1, 0.5], W.seed: [0, 7]}"))
    assert chosen(result, "lr") == [0.1, 0.1, 0.1, 0.1, 0.5, 0.5]
    assert chosen(result, "W.seed") == [0, 7] * 3
    assert result.columns["loss"][0] == result.columns["loss"][2]


def test_a_list_of_grids_is_one_after_the_other(tmp_path: Path) -> None:
    two = "grid: [{lr: [0.1, 0.2]}, {b: [[0, 0, 0], [1, 1, 1]], V.scale: [1, 2]}]"
    case = load(tmp_path, two)
    result = sweep.run(case)
    assert chosen(result, "lr") == [0.1, 0.2, None, None, None, None]
    assert chosen(result, "b") == [None, None, 0, 0, 1, 1]  # an array is told by its place in the list
    assert [row[3:6] for row in csv_of(case, result, tmp_path)][1:3] == [("0.2", "", ""), ("", "0", "1")]


def test_a_larger_sample_begins_with_a_smaller_one(tmp_path: Path) -> None:
    over = "over: {lr: {low: 0.01, high: 1, log: true}, W.seed: {low: 3, high: 5}, rate: [0, 0.1]}, seed: 4"
    small, large = (sweep.points(settings_of(load(tmp_path, f"sample: {n}, {over}"))) for n in (5, 300))
    assert [[choice.number for _, choice in point] for point in large[:5]] == [
        [choice.number for _, choice in point] for point in small
    ]
    rates, seeds, choices = zip(*([choice.number for _, choice in point] for point in large), strict=True)
    assert set(seeds) == {3, 4, 5}
    assert set(choices) == {0, 0.1}
    assert 0.01 <= min(rates) < 0.02
    assert 0.5 < max(rates) <= 1
    assert 0.08 < float(np.median(rates)) < 0.125  # the middle of the logarithms


# --- stacked runs end as single ones do -------------------------------------------------------------------------------

SGD = "optimizer: {name: sgd, lr: 0.05}"
SWEPT = {
    "settings": ("grid: {lr: [0.1, 0.03], W.seed: [0, 1, 2]}", OPTIMIZER),
    "values": (
        "grid: {X: [[[3, 1], [-1, 4], [0, 2]], [[1, 1], [1, 4], [3, 2]]], b: [[0, 0, 1], [0, 1, 0]]}",
        OPTIMIZER,
    ),
    "class indices": ("grid: {t: [[0, 1, 0], [1, 1, 0]], rate: [0, 0.1]}", OPTIMIZER),
    "how values are drawn": ("grid: {W.std: [0.5, 2], V.scale: [0.1, 1]}", OPTIMIZER),
    "frozen": ("grid: {W.seed: [0, 1], lr: [0.1, 0.03]}", f"{OPTIMIZER}, freeze: [W]"),
    "batches": ("grid: {lr: [0.1, 0.03], W.seed: [0, 1]}", f"{SGD}, epochs: 5, batch_size: 2, over: [X, t]"),
    "the same shuffling": ("grid: {lr: [0.1, 0.03]}", f"{SGD}, epochs: 5, batch_size: 2, over: [X, t], seed: 3"),
    "other shuffling": (
        "grid: {seed: [3, 4], X: [[[3, 1], [-1, 4], [0, 2]], [[1, 1], [1, 4], [3, 2]]]}",
        f"{SGD}, epochs: 5, batch_size: 2, over: [X, t]",
    ),
}


def assert_as_single(case: Case, ulp: float) -> None:
    stacked = sweep.run(case)
    assert stacked.stacked == len(stacked.nonfinite)
    bare = sweep._bare(case)
    for run, point in enumerate(sweep.points(settings_of(case))):
        ends = sweep.alone(at_point(bare, point)).reported
        values = np.concatenate([end.ravel() for end in ends])
        together = np.array([column[run] for column in stacked.columns.values()])
        assert together.dtype == values.dtype
        np.testing.assert_allclose(together, values, rtol=0, atol=ulp * EPS[case.dtype] * np.max(np.abs(values)))


# Training makes small differences larger, or forgets them: after one epoch little of that is seen.
@pytest.mark.parametrize(("dtype", "epochs", "ulp"), [("float64", 1, 8), ("float32", 1, 8), ("float64", 20, 100)])
@pytest.mark.parametrize(("swept", "train"), SWEPT.values(), ids=SWEPT)
@pytest.mark.one_in(2)
def test_stacked_runs_end_as_single_ones(
    swept: str, train: str, dtype: str, epochs: int, ulp: float, tmp_path: Path
) -> None:
    train = re.sub(r"epochs: \d+", f"epochs: {epochs}", train)
    assert_as_single(load(tmp_path, f"{swept}, report: [loss, dW, z]", train, dtype), ulp)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.one_in(2)
def test_every_setting_of_every_optimizer(optimizer: str, dtype: str, tmp_path: Path) -> None:
    """In float32 too, where 1 - 0.999 is worth nothing unless it is computed as Python computes it."""
    grids = [
        f"{{{name}: [{default or 0.1}, {(default or 0.1) * 0.97}]}}"
        for name, default in OPTIMIZERS[optimizer].settings.items()
    ]
    train = f"optimizer: {{name: {optimizer}, lr: 0.1}}, epochs: 20"
    assert_as_single(load(tmp_path, f"grid: [{', '.join(grids)}], report: [loss, V]", train, dtype), ulp=500)


def test_without_training(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("inputs: {x: 1}\nequations: {y: x**2}\nsweep: {grid: {x: [1, 2.5, -3]}, report: [y, dx]}\n")
    (case,) = config.load(path).cases
    result = sweep.run(case)
    assert result.columns["y"].tolist() == [1, 6.25, 9]
    assert result.columns["dx"].tolist() == [2, 5, -6]


def test_shapes_that_do_not_agree_are_made_apart(tmp_path: Path) -> None:
    case = load(tmp_path, "grid: [{X: [[[3, 1]]], t: [[1]], lr: [0.1, 0.5]}, {epochs: [0, 3]}, {lr: [0.3, 0.4]}]")
    assert len(sweep._pieces(sweep._bare(case), sweep.points(settings_of(case)))[0]) == 4
    result = sweep.run(case)
    assert np.isfinite(result.columns["loss"]).all()
    assert len(set(result.columns["loss"].tolist())) == 6


def test_what_cannot_be_stacked_is_run_alone(tmp_path: Path) -> None:
    case = load(tmp_path, "grid: {lr: [0.1, 0.5]}, report: ['jacobian(loss, b)[0]', loss]")
    result = sweep.run(case)
    assert result.stacked == 0
    stacked = sweep.run(load(tmp_path, "grid: {lr: [0.1, 0.5]}, report: ['db[0]', loss]"))
    assert stacked.stacked == 2
    for mine, other in zip(result.columns.values(), stacked.columns.values(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_what_is_not_finite_is_named(tmp_path: Path) -> None:
    result = sweep.run(load(tmp_path, "grid: {lr: [0.1, 1e300]}, report: [norm(V)]"))
    assert result.nonfinite[0] == ""
    assert result.nonfinite[1].startswith("norm(V) is ")
    assert result.ranked == [0]


# --- bad input --------------------------------------------------------------------------------------------------------

REFUSED = {
    **dict.fromkeys(
        ("", "grid: {lr: [1]}, sample: 3", "sample: 3", "grid: {lr: [1]}, over: {lr: [1]}", "grid: {lr: [1]}, seed: 1"),
        "a sweep has either a 'grid' of values, or a 'sample' of so many runs with what differs 'over' them",
    ),
    "grid: {}": "this sweep changes nothing",
    "grid: {lr: 0.1}": "'lr' needs a list of values, not '0.1'",
    "grid: {lr: []}": "'lr' needs a list of values, not a list",
    "grid: {lr: [a]}": "a number is needed here, not 'a'",
    "grid: {momentum: [1]}": "a sweep cannot change 'momentum'; it can change lr, "
    "clip_value, clip_norm, weight_decay, clip_eps, seed, epochs",
    "grid: {W.sed: [1]}": "a sweep cannot change 'W.sed'; did you mean 'W.seed' or 'W.std'?",
    "grid: {b.seed: [1]}": "a sweep cannot change 'b.seed', because 'b' is not drawn ('init')",
    "grid: {W.seed: [0.5]}": "a whole number is needed here, not '0.5'",
    "grid: {W.std: [0]}": "a number above 0 is needed here, not 0",
    "grid: {lr: {low: 0, high: 1}}": "'lr' needs a list of values, not a mapping",
    "sample: 2, over: {lr: {low: 0, high: 1, log: true}}": "with 'log', low must be above 0",
    "sample: 2, over: {lr: {low: 2, high: 1}}": "low (2) is above high (1)",
    "sample: 2, over: {b: {low: 0, high: 1}}": "'b' is an array, so that it needs a list of arrays",
    "sample: 2, over: {W.seed: {low: 0, high: 1.5}}": "a whole number is needed here, not '1.5'",
    "grid: {lr: [1]}, report: [los]": "unknown name 'los'; did you mean 'loss'?",
    "grid: {lr: [1]}, report: []": "an empty list reports nothing",
    "grid: {batch_size: [1, 2]}": "a sweep cannot change 'batch_size'",
    "grid: {W: [[[1, 2, 3], [4, 5, 6]]], W.seed: [0, 1]}": "one run cannot both set 'W' and draw it",
    "grid: []": "this sweep changes nothing",
    "grid: {lr: [1]}, repot: [loss]": "unknown key 'repot'; did you mean 'report'?",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(MathlabError) as raised:
        load(tmp_path, text)
    (problem,) = raised.value.problems
    assert problem.message.startswith(message)
    assert problem.place


WRONG = {
    "grid: {X: [[[1, 2]], [[1, 2, 3]]]}": "in run 0 (X: [[1, 2]])",
    "grid: {b: [[0, 0, 0], [0, 0]]}": "in run 1 (b: [0, 0])",
    "grid: {t: [[0, 1, 0], [0, 9, 0]]}": "in run 1 (t: [0, 9, 0])",
    "grid: {W.std: [1, 1e308], W.scale: [99]}": "values are not finite, in run 1 (W.std: 1e308, W.scale: 99)",
    "grid: {lr: [1]}, report: ['jacobian(z, W)']": "'jacobian(z, W)' has 36 entries, and at most 16 are reported",
    "sample: 100000000, over: {lr: [1, 2]}": "the sweep takes about 100 GB",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_a_run_that_does_not_fit_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(MathlabError) as raised:
        sweep.run(load(tmp_path, text))
    assert message in str(raised.value)
    assert all(problem.place for problem in raised.value.problems)


def test_batches_of_different_lengths(tmp_path: Path) -> None:
    train = f"{SGD}, epochs: 1, batch_size: 1, over: [X, t]"
    with pytest.raises(MathlabError, match="different numbers of samples, in run 1"):
        sweep.run(load(tmp_path, "grid: {t: [[0, 1, 0], [0, 1]]}", train))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("dusk", None), "unknown backend 'dusk'; did you mean 'dask'?"),
        (("local", "tcp://127.0.0.1:1"), "--scheduler is for --backend dask"),
        (("dask", None), "--backend dask needs --scheduler ADDRESS"),
    ],
)
def test_backends_that_are_refused(asked: tuple[str, str | None], message: str) -> None:
    with pytest.raises(MathlabError, match=f"^{message}"):
        where(*asked)


# --- where they run ---------------------------------------------------------------------------------------------------

MANY = "sample: 12, over: {lr: {low: 0.1, high: 1}, epochs: {low: 100, high: 140}}"


def test_other_processes_give_the_same_bytes(tmp_path: Path) -> None:
    case = load(tmp_path, MANY)
    base = sweep._bare(case)
    pieces, _ = sweep._pieces(base, sweep.points(settings_of(case)))
    here, there = (list(spread(sweep.ends_of, pieces, "", seconds)) for seconds in (0.0, 1e9))
    for one, other in zip(chain(*here), chain(*there), strict=True):
        for mine, theirs in zip(one.reported, other.reported, strict=True):
            assert mine.tobytes() == theirs.tobytes()


def test_an_error_in_another_process_keeps_its_place(tmp_path: Path) -> None:
    case = load(tmp_path, "grid: {lr: [0.1]}")
    bad = replace(case, equations=case.equations[1:])
    pieces = [sweep.Piece(sweep._bare(bad), ((0, ()),), stacked=False)] * 2
    with pytest.raises(MathlabError) as raised:
        list(spread(sweep.ends_of, pieces, "", 1e9))
    assert raised.value.problems[0].place


@contextmanager
def cluster() -> Iterator[tuple[str, int]]:
    """Two Dask workers on loopback: the scheduler's address, and the process of one of them."""
    distributed = pytest.importorskip("distributed", reason="the extra 'sweep' is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as made:
        yield made.scheduler_address, made.workers[0].process.pid


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(tmp_path: Path) -> None:
    case = load(tmp_path, MANY.replace("sample: 12", "sample: 40"))
    with cluster() as (address, worker):
        killed: list[int] = []

        def kill_once(done: int, total: int, loss: float | None) -> None:
            if not killed:
                os.kill(worker, signal.SIGKILL)
                killed.append(done)

        result = sweep.run(case, kill_once, address)
    assert killed
    assert killed[0] < 40
    assert csv_of(case, result, tmp_path) == csv_of(case, sweep.run(case), tmp_path)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    load(tmp_path, "grid: {lr: [0.1, 0.5]}, report: [loss, b]")
    result = invoke("sweep", "-c", str(tmp_path / "net.yaml"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    assert "sweep, 2 runs, all of them stacked" in result.stdout
    with (tmp_path / "out" / "net" / "sweep.csv").open(newline="") as file:
        columns, *rows = csv.reader(file)
    assert columns == ["case", "run", "nonfinite", "lr", "loss", "b[0]", "b[1]", "b[2]"]
    assert [row[:4] for row in rows] == [["base", "0", "", "0.1"], ["base", "1", "", "0.5"]]


def test_a_whole_number_is_shown_as_it_is_written(tmp_path: Path) -> None:
    load(tmp_path, "grid: {epochs: [1, 2], W.seed: [3]}")
    shown = invoke("sweep", "-c", str(tmp_path / "net.yaml"), "--out", str(tmp_path / "out")).stdout
    rows = [line.split()[-4:-1] for line in shown.splitlines() if line.startswith(("  best", "  worst"))]
    assert sorted(rows) == [["0", "1", "3"], ["1", "2", "3"]]


def test_the_command_needs_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("inputs: {x: 1}\nequations: {y: x}\n")
    result = invoke("sweep", "-c", str(path))
    assert (result.exit_code, result.stderr) == (
        2,
        "mathlab: nothing to sweep: no case here declares sweep, as in {grid: {lr: [0.1, 0.2]}}\n",
    )
