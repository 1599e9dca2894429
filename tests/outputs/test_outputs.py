"""Results -> CSV files: cells, order, what is kept and what is replaced, and what can go wrong."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mathlab import files
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Case, Choice, Experiment, Recipe, Source, SweepSettings, TrainSettings, Value
from mathlab.outputs.tables import LARGEST_LISTED, tables_of
from mathlab.outputs.write import write
from mathlab.printed import judge_number
from mathlab.results import BackpropResult, CaseResult, ExperimentResult, GradcheckResult, SweepResult, TrainResult
from mathlab.results.judged import EntryCheck, FigureResult, FormulaResult, NodeResult, WitnessResult
from mathlab.stages.table import STAGES, every_file
from tests.build import case_result

NAN = math.nan


def figure(key: str, text: str, computed: float, stage: str, updates: int | None = None) -> FigureResult:
    return FigureResult(key, stage, (), (judge_number(text, computed),), updates=updates, at="eq. 2")


def backprop(shift: float = 0.0) -> BackpropResult:
    weights = np.array([[0.1, -0.0], [1e-300, 3.0]]) + shift
    return BackpropResult(
        nodes=(
            NodeResult("x", "input", np.array([1.0, 2.0])),
            NodeResult("W", "parameter", weights, gradient=np.array([[3.0, 4.0], [0.0, -12.0]])),
            NodeResult("loss", "node", np.array(0.5), gradient=np.array(1.0)),
        ),
        figures=(figure("loss", "0.50", 0.5, "backprop"), figure("loss", "0.5", 0.5, "backprop")),
        formulas=(FormulaResult("dW", "outer(dz, x)", "outer(dz, x)", 0.0, 1e-12, True),),
        witnesses=(
            WitnessResult("W", "tape", 2e-16, 1.0, "agrees"),
            WitnessResult("W", "complex", None, None, "skipped", "12 entries"),
        ),
    )


def gradcheck() -> GradcheckResult:
    entry = EntryCheck("W", (0, 1), 4.0, 4.0, 4.000000001, 1e-15, 0.0, 0.0, "confirmed", True)
    return GradcheckResult((entry,), (figure("central_W[0,1]", "4.00", 4.0, "gradcheck"),))


def train(columns: dict[str, Array]) -> TrainResult:
    return TrainResult(columns, {}, (figure("loss", "0.25", 0.2578125, "train", 1),), updates=1)


def sweep() -> SweepResult:
    settings = {"lr": (Choice("0.5", 0.5), Choice("1e-3", 0.001)), "W.seed": (Choice("3", 3.0), None)}
    return SweepResult(settings, {"loss": np.array([0.25, np.inf])}, ("", "loss is inf"), stacked=2)


TRAINED = {"first": ("loss", "norm(dW)"), "second": ("loss", "p[0]", "norm(dW)"), "third": ("loss",)}


def case(name: str) -> CaseResult:
    columns: dict[str, Array] = {column: np.array([0.5, 0.25]) for column in TRAINED[name]}
    return case_result(name, "float64", backprop(), gradcheck(), train(columns), sweep())


def experiment(*names: str, name: str = "net") -> Experiment:
    settings = TrainSettings("sgd", {"lr": 0.5}, epochs=1, seed=7)
    drawn = {"W": Value(np.zeros(1), recipe=Recipe("normal", (1,), 5, 1.0, {}))}
    sample = SweepSettings((), sample=2, seed=9)
    cases = tuple(Case(case, "float64", {}, drawn, (), train=settings, sweep=sample) for case in names)
    return Experiment(name, f"configs/{name}.yaml", "abc123", "A net", Source(), cases)


def results(*names: str) -> ExperimentResult:
    return ExperimentResult(experiment(*TRAINED), tuple(case(name) for name in names))


def only(result: ExperimentResult, stage: str) -> ExperimentResult:
    return replace(result, cases=tuple(case._replace(stages={stage: case.stages[stage]}) for case in result.cases))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in sorted(folder.iterdir()) if path.name != "run.json"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


EVERYTHING = results(*TRAINED)


def test_nodes(tmp_path: Path) -> None:
    write(results("first"), tmp_path, {})
    assert (tmp_path / "net" / "nodes.csv").read_bytes().decode() == (
        "case,role,name,index,value,gradient\n"
        "first,input,x,0,1.0,\n"
        "first,input,x,1,2.0,\n"
        'first,parameter,W,"0,0",0.1,3.0\n'
        'first,parameter,W,"0,1",0.0,4.0\n'
        'first,parameter,W,"1,0",1e-300,0.0\n'
        'first,parameter,W,"1,1",3.0,-12.0\n'
        "first,node,loss,,0.5,1.0\n"
    )


OTHER_FILES = [
    (
        "sweep.csv",
        "case,run,nonfinite,lr,W.seed,loss\nfirst,0,,0.5,3,0.25\nfirst,1,loss is inf,0.001,,inf\n",
    ),
    (
        "gradient_norms.csv",
        "case,name,role,shape,norm,largest\nfirst,W,parameter,2x2,13.0,12.0\nfirst,loss,node,scalar,1.0,1.0\n",
    ),
    (
        "witnesses.csv",
        "case,name,witness,relative,ulp,verdict,message\n"
        "first,W,tape,2e-16,1.0,agrees,\nfirst,W,complex,,,skipped,12 entries\n",
    ),
    (
        "derivation.csv",
        "case,name,formula,derived,error,tolerance,verdict,message,at,erratum,diagnosis\n"
        'first,dW,"outer(dz, x)","outer(dz, x)",0.0,1e-12,agrees,,,,\n',
    ),
    (
        "gradcheck.csv",
        "case,parameter,index,derived,complex_step,central,resolution,absolute_error,relative_error,verdict,passed\n"
        'first,W,"0,1",4.0,4.0,4.000000001,1e-15,0.0,0.0,confirmed,true\n',
    ),
    ("training.csv", "case,epoch,loss,norm(dW)\nfirst,0,0.5,0.5\nfirst,1,0.25,0.25\n"),
    (
        "figures.csv",
        "case,stage,updates,quantity,index,printed,computed,error,tolerance,verdict,worked_out,at,erratum,diagnosis\n"
        "first,backprop,,loss,,0.50,0.5,0.0,0.005,match,false,eq. 2,,\n"
        "first,backprop,,loss,,0.5,0.5,0.0,0.05,match,false,eq. 2,,\n"
        'first,gradcheck,,"central_W[0,1]",,4.00,4.0,0.0,0.005,match,false,eq. 2,,\n'
        "first,train,1,loss,,0.25,0.2578125,0.0078125,0.005,truncated,false,eq. 2,,\n",
    ),
]


@pytest.mark.parametrize(("file", "text"), OTHER_FILES)
def test_the_other_files(file: str, text: str, tmp_path: Path) -> None:
    written = write(results("first"), tmp_path, {})
    assert (tmp_path / "net" / file).read_bytes().decode() == text
    stages = case("first").stages
    assert {path.name for path in written} == {"run.json", *(name for stage in stages for name in STAGES[stage].files)}


def test_training_has_the_columns_of_every_case() -> None:
    table = tables_of(EVERYTHING)["training.csv"]
    assert table.columns == ("case", "epoch", "loss", "norm(dW)", "p[0]")
    assert table.rows[1::2] == (
        ("first", "1", "0.25", "0.25", ""),
        ("second", "1", "0.25", "0.25", "0.25"),
        ("third", "1", "0.25", "", ""),
    )


def test_a_node_named_like_a_column_does_no_harm(tmp_path: Path) -> None:
    odd: dict[str, Array] = {"epoch": np.array([0.5]), "case": np.array([7.0])}
    result = ExperimentResult(
        experiment("first", "second"),
        tuple(case_result(name, "float64", train(odd)) for name in ("first", "second")),
    )
    write(result, tmp_path, {})
    write(replace(result, cases=result.cases[1:]), tmp_path, {})
    assert (
        tmp_path / "net" / "training.csv"
    ).read_text() == "case,epoch,epoch (value),case (value)\nfirst,0,0.5,7.0\nsecond,0,0.5,7.0\n"


CELLS = [
    (np.float64(0.1), "0.1"),
    (np.float64(-0.0), "0.0"),
    (np.float32(-0.0), "0.0"),
    (np.float64(1e16), "1e+16"),
    (np.float64(-5.34381483557146e-08), "-5.34381483557146e-08"),
    (np.float32(0.1), "0.1"),
    (np.float32(-5.6607e-08), "-5.6607e-08"),
    (np.float64(NAN), "nan"),
    (np.float32(-math.inf), "-inf"),
    (np.int64(3), "3"),
    (np.bool_(True), "1"),
]


@pytest.mark.parametrize(("value", "text"), CELLS)
def test_how_a_number_is_written(value: np.generic, text: str) -> None:
    nodes = (NodeResult("v", "node", np.asarray(value)),)
    result = ExperimentResult(experiment("base"), (case_result("base", "float64", BackpropResult(nodes)),))
    assert tables_of(result)["nodes.csv"].rows[0][4] == text


@given(hnp.arrays(st.sampled_from([np.float64, np.float32]), (4,), elements={"allow_nan": False}))
def test_a_written_number_reads_back(value: Array) -> None:
    nodes = (NodeResult("v", "node", value),)
    result = ExperimentResult(experiment("base"), (case_result("base", "float64", BackpropResult(nodes)),))
    texts = [row[4] for row in tables_of(result)["nodes.csv"].rows]
    assert np.array_equal(np.array(texts, value.dtype), value)


def test_a_float32_figure_is_written_in_float32s_digits() -> None:
    judged = judge_number("0.1", np.float32(0.1))
    wide = judge_number("0.1", 0.1)
    huge = judge_number("1e300", 1e300)  # a float64 quantity of a float32 case, such as a central difference
    figures = (FigureResult("p", "backprop", (3,), (judged, wide, huge)),)
    result = ExperimentResult(experiment("base"), (case_result("base", "float32", BackpropResult((), figures)),))
    assert [row[6] for row in tables_of(result)["figures.csv"].rows] == ["0.1", "0.1", "1e+300"]
    assert judged.error == Decimal(float(np.float32(0.1))) - Decimal("0.1")


def test_a_figure_without_a_finite_value_has_no_error() -> None:
    figures = (figure("loss", "0.5", NAN, "backprop"),)
    result = ExperimentResult(experiment("base"), (case_result("base", "float64", BackpropResult((), figures)),))
    assert tables_of(result)["figures.csv"].rows[0][6:10] == ("nan", "", "0.05", "differs")


NORMS = [
    ([3 * 2.0**700, 4 * 2.0**700], str(5 * 2.0**700), str(2.0**702)),  # squares overflow
    ([3 * 2.0**-700, -4 * 2.0**-700], str(5 * 2.0**-700), str(2.0**-698)),  # squares underflow
    ([NAN, 1.0], "nan", "nan"),
    ([math.inf, 1.0], "inf", "inf"),
]


@pytest.mark.parametrize(("gradient", "norm", "largest"), NORMS)
def test_gradient_norms(gradient: list[float], norm: str, largest: str) -> None:
    nodes = (NodeResult("W", "parameter", np.ones(2), gradient=np.array(gradient)),)
    result = ExperimentResult(experiment("base"), (case_result("base", "float64", BackpropResult(nodes)),))
    assert tables_of(result)["gradient_norms.csv"].rows == (("base", "W", "parameter", "2", norm, largest),)


def test_large_arrays_are_measured_and_not_listed() -> None:
    def nodes(size: int) -> tuple[NodeResult, ...]:
        return (NodeResult("W", "parameter", np.ones(size), gradient=np.ones(size)),)

    for size, listed in ((LARGEST_LISTED, LARGEST_LISTED), (LARGEST_LISTED + 1, 0)):
        result = ExperimentResult(experiment("base"), (case_result("base", "float64", BackpropResult(nodes(size))),))
        assert len(tables_of(result)["nodes.csv"].rows) == listed
        assert len(tables_of(result)["gradient_norms.csv"].rows) == 1


def runs_in_parts() -> list[list[ExperimentResult]]:
    stages = [only(EVERYTHING, stage) for stage in ("backprop", "gradcheck", "train", "sweep")]
    cases = [results(name) for name in TRAINED]
    orders = [list(order) for parts in (stages, cases) for order in itertools.permutations(parts)]
    orders.append([EVERYTHING, *orders[1], *orders[-1]])
    orders.append([results("third", "first"), only(results("second"), "train"), only(results("second"), "gradcheck")])
    orders[-1] += [only(results("second"), "backprop"), only(results("second"), "sweep")]
    return orders


@pytest.mark.parametrize("parts", runs_in_parts())
def test_the_order_of_the_runs_makes_no_difference(parts: list[ExperimentResult], tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path / "at once", {})
    for part in parts:
        write(part, tmp_path / "in parts", {})
    assert contents(tmp_path / "in parts" / "net") == contents(tmp_path / "at once" / "net")


def test_a_stage_leaves_the_files_of_other_stages_alone(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    training = tmp_path / "net" / "training.csv"
    training.write_text("not even a table")
    assert training not in write(only(EVERYTHING, "backprop"), tmp_path, {})
    assert training.read_text() == "not even a table"


def test_new_rows_replace_old_ones(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    changed = replace(
        only(results("second"), "backprop"), cases=(case_result("second", "float64", backprop(shift=1.0)),)
    )
    write(changed, tmp_path, {})
    found = rows(contents(tmp_path / "net")["nodes.csv"])
    assert {(row["case"], row["value"]) for row in found if (row["name"], row["index"]) == ("W", "1,1")} == {
        ("first", "3.0"),
        ("second", "4.0"),
        ("third", "3.0"),
    }


def test_a_stage_with_nothing_to_say_removes_what_it_said_before(tmp_path: Path) -> None:
    write(only(results("first"), "backprop"), tmp_path, {})
    silent = case_result("first", "float64", BackpropResult(backprop().nodes))
    assert (tmp_path / "net" / "figures.csv").exists()
    written = write(replace(results("first"), cases=(silent,)), tmp_path, {})
    assert sorted(contents(tmp_path / "net")) == ["gradient_norms.csv", "nodes.csv"]
    assert sorted(path.name for path in written) == ["gradient_norms.csv", "nodes.csv", "run.json"]


def test_what_the_config_no_longer_has_is_dropped(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    renamed = ExperimentResult(experiment("first", "new"), (case("first")._replace(case="new"),))
    write(renamed, tmp_path, {})
    assert {row["case"] for text in contents(tmp_path / "net").values() for row in rows(text)} == {"first", "new"}
    untrained = experiment("first", "new")
    untrained = untrained._replace(cases=(replace(untrained.cases[0], train=None), untrained.cases[1]))
    write(replace(renamed, experiment=untrained), tmp_path, {})
    assert {row["case"] for row in rows(contents(tmp_path / "net")["training.csv"])} == {"new"}


def test_a_run_of_everything_drops_what_the_case_does_not_declare(tmp_path: Path) -> None:
    write(only(results("first", "second"), "gradcheck"), tmp_path, {})
    written = write(only(results("first"), "backprop"), tmp_path, {}, everything=True)
    assert {path.name for path in written} >= {"nodes.csv", "gradcheck.csv"}
    left = contents(tmp_path / "net")
    assert {row["case"] for row in rows(left["gradcheck.csv"])} == {"second"}  # which did not run
    write(only(results("second"), "backprop"), tmp_path, {}, everything=True)
    assert "gradcheck.csv" not in contents(tmp_path / "net")


def test_run_json(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {"command": "run"})
    text = (tmp_path / "net" / "run.json").read_text()
    run = json.loads(text)
    assert list(run) == sorted(run)
    assert run["command"] == "run"
    assert run["config"] == "net.yaml"
    assert run["sha256"] == "abc123"
    assert run["numpy"] == np.__version__
    assert run["seeds"]["second"] == {"W.seed": 5, "seed": 7, "sample": 9}
    assert run["cases"]["second"] == ["backprop", "gradcheck", "train", "sweep"]
    write(EVERYTHING, tmp_path, {"command": "run"})
    assert (tmp_path / "net" / "run.json").read_text() == text
    write(only(results("first"), "backprop"), tmp_path, {})
    assert json.loads((tmp_path / "net" / "run.json").read_text())["cases"] == {"first": ["backprop"]}


def test_text_of_any_kind_survives(tmp_path: Path) -> None:
    odd = 'Δ "quoted", a\nsecond line\rand [brackets] \ud800'
    result = results("first")
    note = figure("loss", "0.5", 0.5, "backprop")._replace(erratum=odd, at="π")
    noted = replace(result, cases=(case_result("first", "float64", BackpropResult((), (note,))),))
    write(noted, tmp_path, {})
    before = contents(tmp_path / "net")
    write(only(result, "gradcheck"), tmp_path, {})
    write(noted, tmp_path, {})
    with (tmp_path / "net" / "figures.csv").open(encoding="utf-8", newline="") as file:
        found = next(csv.DictReader(file))
    assert (found["erratum"], found["at"]) == (odd.replace("\ud800", "\\ud800"), "π")
    assert contents(tmp_path / "net")["figures.csv"].startswith(before["figures.csv"])


UNKEEPABLE = [b"", b"case,stage\nfirst,train\n", b"\xff\xfe", b'case,"stage', b"case,epoch,loss\nfirst,0\n"]


@pytest.mark.parametrize("text", UNKEEPABLE)
def test_a_file_whose_rows_cannot_be_kept(text: bytes, tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    (tmp_path / "net" / "training.csv").write_bytes(text)
    before = {path: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    with pytest.raises(MathlabError) as caught:
        write(results("second"), tmp_path, {})
    assert str(caught.value) == (
        f"{tmp_path / 'net' / 'training.csv'} is not as this version of mathlab writes it, so its rows of other cases "
        f"and stages cannot be kept; `mathlab run --out {tmp_path} FILE` of the whole config makes it anew"
    )
    assert {path: path.read_bytes() for path in (tmp_path / "net").iterdir()} == before
    write(EVERYTHING, tmp_path, {})  # nothing has to be kept


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(MathlabError, match=r"net cannot be written: (File exists|Not a directory)$"):
            write(EVERYTHING, out, {})
    (tmp_path / "net").write_text("")
    with pytest.raises(MathlabError, match=r"net cannot be written: File exists$"):
        write(EVERYTHING, tmp_path, {})


def test_a_folder_where_a_file_should_be_leaves_the_others_whole(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    before = contents(tmp_path / "net")
    (tmp_path / "net" / "run.json").unlink()
    (tmp_path / "net" / "run.json").mkdir()
    changed = replace(EVERYTHING, cases=(case_result("first", "float64", backprop(shift=1.0)),))
    with pytest.raises(MathlabError, match=r"run\.json cannot be written: Is a directory$"):
        write(changed, tmp_path, {})
    assert contents(tmp_path / "net") == before


def test_a_disk_that_fails_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(EVERYTHING, tmp_path, {})
    before = contents(tmp_path / "net")

    def full(temporary: Path, target: Path, content: bytes) -> None:
        temporary.open("xb").close()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", full)
        with pytest.raises(MathlabError, match=r"nodes\.csv cannot be written: No space left on device$"):
            write(replace(EVERYTHING, cases=(case("second"),)), tmp_path, {})
    assert contents(tmp_path / "net") == before


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path, {})
    before = contents(tmp_path / "net")
    (tmp_path / "net" / ".mathlab-999999999-0123456789abcdef.tmp").write_text("half a fi")
    write(EVERYTHING, tmp_path, {})
    assert contents(tmp_path / "net") == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_names_that_are_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(MathlabError, match="cannot be that of an output folder"):
        write(ExperimentResult(experiment("base", name=name), ()), tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_the_layouts_are_consistent() -> None:
    for layout in every_file().values():
        assert layout.columns[0] == "case"
        named = {
            *layout.keys,
            *layout.texts,
            *layout.derived,
            *layout.scales,
            *layout.scales.values(),
            *layout.amplified,
        }
        assert named <= set(layout.columns)
        assert set(layout.stages) <= set(STAGES)
    for file, table in tables_of(EVERYTHING).items():
        assert table.columns[: len(every_file()[file].columns)] == every_file()[file].columns
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        write(EVERYTHING, tmp_path / name, {})
        digests.add(hashlib.sha256(json.dumps(contents(tmp_path / name / "net")).encode()).hexdigest())
    assert len(digests) == 1
