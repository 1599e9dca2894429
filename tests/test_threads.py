"""How many threads a matrix product takes: one, in the command and from Python, unless more are asked for."""

from __future__ import annotations

import json
from contextvars import ContextVar
from pathlib import Path

import pytest

from mathlab import MathlabError, load, run, threads
from mathlab.experiment import Case
from mathlab.results import StageResult
from mathlab.stages.table import STAGES, Asked
from tests.sandbox import run_all

MAPPING = {"parameters": {"w": [[1, 2], [3, 4]]}, "equations": {"L": "sum(w @ w)"}, "expected": {"L": 54}}
CONFIG = "parameters: {w: [[1, 2], [3, 4]]}\nequations: {L: sum(w @ w)}\nexpected: {L: 54}\n"


def test_python_holds_products_to_as_many_threads_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(threads, "_taken", ContextVar("untold", default=None))
    backprop, seen = STAGES["backprop"], list[set[int]]()

    def blas() -> set[int]:
        return {pool["num_threads"] for pool in pools.threadpool_info() if pool["user_api"] == "blas"}

    def watched(case: Case, asked: Asked) -> StageResult:
        seen.append(blas())
        return backprop.run(case, asked)

    monkeypatch.setitem(STAGES, "backprop", backprop._replace(run=watched))
    with pools.threadpool_limits(3):
        run(MAPPING)
        run(MAPPING, threads=2)
        assert blas() == {3}
    assert seen == [{1}, {2}]
    with pytest.raises(MathlabError, match="at least one, not 0"):
        run(load(MAPPING), threads=0)


@pytest.mark.parametrize(("asked", "said"), [((), 1), (("--threads", "2"), 2)])
def test_the_command_writes_down_how_many_it_had(asked: tuple[str, ...], said: int, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(CONFIG)
    (ran,) = run_all([(tmp_path, ["run", "net.yaml", "--out", "out", *asked])])
    assert (ran.code, ran.err) == (0, "")
    assert json.loads((tmp_path / "out" / "net" / "run.json").read_text())["threads"] == said


def test_no_threads_are_too_few(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(CONFIG)
    (ran,) = run_all([(tmp_path, ["run", "net.yaml", "--out", "out", "--threads", "0"])])
    assert ran.code == 2
    assert "--threads" in ran.err
