from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.diagnosis import Causes
from mathlab.errors import MathlabError
from mathlab.experiment import Case
from mathlab.oracle.matching import ALIASES, matched
from mathlab.oracle.oracle import OracleResult, compare
from mathlab.outputs.arrays import read
from mathlab.stages.prepare import prepare
from tests import planted
from tests.build import case
from tests.diagnosis.test_diagnosis import mlp, sigmoid
from tests.planted import Values

CONFIG = Path(__file__).parents[2] / "configs" / "sigmoid-2-2-2.yaml"


def mlp_oracle(bug: str = "", dtype: type = np.float64) -> OracleResult:
    """What an engineer would save: the loss and the gradients of the parameters."""
    arrays = planted.softmax_mlp(bug, dtype)
    chosen = ("loss", "dZ1", "dW1", "db1", "dW2", "db2")
    return compare(mlp(), {name: np.asarray(arrays[name], dtype) for name in chosen})


def diagnoses(result: OracleResult) -> Mapping[str, str]:
    return {row.array: row.diagnosis for row in result.compared if not row.passed}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_right_backprop_agrees(dtype: type) -> None:
    result = mlp_oracle("", dtype)
    assert result.passed
    assert len(result.compared) == 6
    assert compare(sigmoid(), planted.sigmoid_net()).passed


@pytest.mark.parametrize("bug", [bug for bug, (spoilt, _) in planted.MLP_BUGS.items() if spoilt != "Z1"])
@pytest.mark.one_in(2)
def test_a_bug_planted_in_the_mlp_is_named(bug: str) -> None:
    spoilt, words = planted.MLP_BUGS[bug]
    found = diagnoses(mlp_oracle(bug))
    assert words in found[spoilt]
    assert all(words in sentence for sentence in found.values())


@pytest.mark.parametrize("bug", ["sum", "sign", "mask missing", "updated weight", "bias not summed"])
def test_a_bug_planted_in_float32_is_named(bug: str) -> None:
    spoilt, words = planted.MLP_BUGS[bug]
    assert words in diagnoses(mlp_oracle(bug, np.float32))[spoilt]


@pytest.mark.parametrize("bug", planted.SIGMOID_BUGS)
@pytest.mark.one_in(2)
def test_a_bug_planted_in_the_sigmoid_net_is_named(bug: str) -> None:
    spoilt, words = planted.SIGMOID_BUGS[bug]
    result = compare(sigmoid(), planted.sigmoid_net(bug))
    assert words in diagnoses(result)[spoilt]
    assert result.first_divergence == next(row.quantity for row in result.compared if not row.passed)


def test_the_factor_is_said_to_be_the_batch_size() -> None:
    sentence = diagnoses(mlp_oracle("sum"))["dW1"]
    assert sentence == "in loss, the term mean(L) is 5 times what it should be: the batch size (divide by 5)"


def test_a_factor_that_is_no_number_of_the_experiment_is_not_solved_for() -> None:
    result = compare(mlp(), {"dW1": planted.softmax_mlp()["dW1"] * 1.7})
    assert (diagnoses(result), result.causes) == ({"dW1": ""}, ())


def test_a_mistake_in_a_node_that_leads_nowhere_is_named_beside_an_upstream_gradient() -> None:
    x, w, upstream = np.array([0.5, -1.2, 0.3]), np.array([0.3, -0.2, 0.7]), np.array([1, 0.5, -2])
    net = case({"z": "w * x", "side": "exp(z)", "q": "tanh(z)"}, {"w": w}, {"x": x}, upstream=upstream)
    dw = upstream * (1 - np.tanh(w * x) ** 2) * x
    result = compare(net, {"side": w * x, "q": np.tanh(w * x), "dw": dw})
    assert [(cause.cause, cause.explains) for cause in result.causes] == [
        ("in side, exp is left out in exp(z)", ("side",))
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.one_in(2)
def test_an_unrelated_wrong_array_gets_no_diagnosis(seed: int) -> None:
    true = planted.softmax_mlp()
    noise = np.random.default_rng(seed)
    wrong = {name: value + 0.1 * noise.normal(size=value.shape) for name, value in true.items() if name != "L"}
    assert set(diagnoses(compare(mlp(), wrong)).values()) == {""}


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_differs(wrong: float) -> None:
    dw1 = planted.softmax_mlp()["dW1"].copy()
    dw1[1, 2] = wrong
    (row,) = compare(mlp(), {"dW1": dw1}).compared
    assert not row.passed
    assert row.index == (1, 2)


def test_a_small_entry_is_judged_by_its_own_size() -> None:
    db1 = planted.softmax_mlp()["db1"].copy()
    smallest = int(np.argmin(np.where(db1 == 0, np.inf, np.abs(db1))))
    db1[smallest] *= 1 + 1e-7
    (row,) = compare(mlp(), {"db1": db1}).compared
    assert not row.passed
    assert row.index == (smallest,)


def test_axes_of_length_one_do_not_matter() -> None:
    assert compare(mlp(), {"db1": planted.softmax_mlp()["db1"][None, :]}).passed


# --- gradients that are 0 because their terms cancel

CENTRED = {"x": [[1.0, 2.0, 0.3], [3.0, -1.0, 0.2], [0.5, 0.7, -0.4], [-0.2, 0.1, 0.9]]}
CANCELLING: Mapping[str, tuple[Case, str]] = {
    "a bias before the batch's mean is taken off": (
        case({"a": "x + b", "c": "a - mean(a, axis=0)", "L": "sum(c**3)"}, {"b": [0.1, 0.2, -0.3]}, CENTRED),
        "b",
    ),
    "a bias before batch normalisation": (
        case(
            {
                "a": "x + b",
                "c": "a - mean(a, axis=0)",
                "n": "c / sqrt(mean(c**2, axis=0) + 1e-5)",
                "L": "sum(tanh(n * g))",
            },
            {"b": [0.1, 0.2, -0.3], "g": [1.0, 0.5, 2.0]},
            CENTRED,
        ),
        "b",
    ),
    "the shift of all features before layer normalisation": (
        case({"c": "(x + s) - mean(x + s, axis=1, keepdims=True)", "L": "sum(c**3)"}, {"s": 0.4}, CENTRED),
        "s",
    ),
    "a key's bias in attention": (
        case(
            {"s": "(x @ Q) @ (x @ K + b).T", "a": "softmax(s, axis=-1)", "L": "sum((a @ x)**2)"},
            {"Q": [[0.1], [0.3], [-0.2]], "K": [[0.4], [-0.1], [0.2]], "b": [0.7]},
            CENTRED,
        ),
        "b",
    ),
    "a bias of all logits": (
        case(
            {"z": "x @ W + s", "L": "mean(cross_entropy(z, t))"}, {"W": np.eye(3), "s": 0.2}, {**CENTRED, "t": [0] * 4}
        ),
        "s",
    ),
}


@pytest.mark.parametrize(
    ("dtype", "wrong"), [(np.float64, 1e3), (np.float64, 1e-9), (np.float32, 1e3), (np.float32, 0.01)]
)
@pytest.mark.parametrize("kind", CANCELLING)
@pytest.mark.one_in(3)
def test_a_gradient_that_cancels_is_judged_by_what_cancels(
    kind: str, wrong: float, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["mathlab.oracle.oracle"], "_explained", lambda *_: Causes())  # nobody asks why
    made, name = CANCELLING[kind]
    right: Values = {f"d{name}": np.zeros(made.parameters[name].array.shape, dtype)}
    assert compare(made, right).passed
    (row,) = compare(made, {array: np.asarray(zeros + wrong, dtype) for array, zeros in right.items()}).compared
    assert not row.passed
    assert row.tolerance < wrong / 10


@pytest.mark.parametrize(
    ("equation", "start", "gradient", "verdict"),
    [
        ("sum(relu(x))", [0, 1], [1, 1], "kink"),  # the mask of x >= 0
        ("sum(relu(x))", [0, 1], [0, 1], "agrees"),
        ("sum(relu(x))", [0, 1], [1.5, 1], "differs"),
        ("sum(relu(x))", [0, 1], [1, 2], "differs"),  # a kink excuses nothing but itself
        ("sum(abs(x))", [0, 1], [-1, 1], "kink"),
        ("max(x)", [2, 2], [1, 0], "kink"),  # that of argmax
        ("max(x)", [2, 2], [1, 0.5], "kink"),
        ("max(x)", [2, 2], [-1, 1], "differs"),
        ("sum(max_pool(reshape(x, 4, 4), 2))", [0] * 16, [*[1, 0, 1, 0, 0, 0, 0, 0] * 2], "kink"),
        ("sum(max_pool(reshape(x, 4, 4), 2))", [0] * 16, [0.25] * 16, "agrees"),
        ("sum(x**3)", [0, 1], [0.5, 3], "differs"),
    ],
)
def test_at_a_kink_any_slope_between_is_right(
    equation: str, start: list[float], gradient: list[float], verdict: str
) -> None:
    (row,) = compare(case({"L": equation}, {"x": start}), {"dx": np.array(gradient, float)}).compared
    assert row.verdict == verdict
    assert row.passed == (verdict != "differs")


def test_a_precision_says_how_far_the_arrays_may_be_off() -> None:
    rough = {name: np.asarray(planted.softmax_mlp()[name] * (1 + 1e-7)) for name in ("dW1", "db1")}
    assert not compare(mlp(), rough).passed
    assert compare(mlp(), rough, rtol=1e-5).passed
    assert not compare(mlp(), {"dW1": rough["dW1"] * 1.001}, rtol=1e-5).passed


# --- names


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_of_a_gradient_is_matched(alias: str) -> None:
    name = alias.format(name="W1", end="loss")
    assert matched(mlp(), [name]) == {name: "dW1"}


UNUSUAL = ("dLdW1", "dJ_dW1", "nabla_w1", "gW1", "grads_W1", "grads['W1']", 'grads["dW1"]', "dL/dW1", "DW1", "∂L/∂W1")


@pytest.mark.parametrize("name", [*UNUSUAL, "grad W1", "∇W1", "dloss/dW1", "W1_GRAD", "dW_1", "dlossdw1"])
def test_a_gradient_is_known_by_many_names(name: str) -> None:
    assert matched(mlp(), [name]) == {name: "dW1"}


def test_a_name_that_fits_two_is_none() -> None:
    made = case({"z": "w * W * w_1 * w1"}, {"w": 1.0, "W": 2.0, "w_1": 3.0, "w1": 4.0})
    assert matched(made, ["grad_w", "dW", "nabla_W", "DW", "dLd1", "dLdw1"]) == {
        "grad_w": "dw",
        "dW": "dW",
        "nabla_W": "dW",
    }
    assert matched(made, ["DW"], {"DW": "dW"}) == {"DW": "dW"}


def test_nodes_keep_their_names_and_strangers_are_ignored() -> None:
    assert matched(mlp(), ["W1", "Z1", "dw1", "epoch"]) == {"W1": "W1", "Z1": "Z1", "dw1": "dW1"}
    result = compare(mlp(), {"W1": planted.MLP["W1"], "epoch": np.array(3.0)})
    assert result.ignored == ("epoch",)


def test_the_gradient_of_an_input_can_be_held_against_the_lab() -> None:
    dz1 = planted.softmax_mlp()["dZ1"]
    assert compare(mlp(), {"dX": dz1 @ planted.MLP["W1"].T}).passed


# --- files and the command


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["oracle", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """A nodes.csv as mathlab writes it."""
    CliRunner().invoke(app, ["backprop", "-c", str(CONFIG), "--out", str(tmp_path), "-q"])
    return tmp_path / "sigmoid-2-2-2" / "nodes.csv"


def test_the_lab_agrees_with_its_own_csv(nodes: Path) -> None:
    code, output = run(nodes, "-c", CONFIG, "-q", "--case", "first instance")
    assert code == 0, output
    assert "0 differ" in output
    code, output = run(nodes, "-c", CONFIG, "-q")
    assert code == 0, output
    assert output.count("0 differ") > 2  # one line for each case


def test_numbers_that_differ_late_are_shown_in_full(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("parameters: {w: 0.3}\nequations: {loss: w}\n")
    np.savez(tmp_path / "mine.npz", loss=0.3 + 1e-9)
    done = CliRunner().invoke(app, ["oracle", "-c", str(tmp_path / "x.yaml"), str(tmp_path / "mine.npz")])
    assert done.exit_code == 1
    assert done.stdout.split().count("0.3") == done.stdout.split().count("0.300000001") == 1


def test_an_npz_is_for_one_case(tmp_path: Path) -> None:
    x, t = np.array([[3.0, 1.0]]), np.array([[1.0, 0.0]])
    w, v = np.array([[6.0, -3.0], [-2.0, 5.0]]), np.array([[1.0, -2.0], [0.25, 2.0]])
    h = 1 / (1 + np.exp(-x @ w))
    y = 1 / (1 + np.exp(-h @ v))
    np.savez(
        tmp_path / "mine.npz", W_grad=x.T @ ((2 * (y - t) * y * (1 - y)) @ v.T * h * (1 - h)), V_grad=h.T @ (y - t)
    )
    code, output = run(tmp_path / "mine.npz", "-c", CONFIG, "--case", "first instance")
    assert code == 1
    assert "differs first: dV\n2 arrays, 1 agree, 1 differ" in output
    code, output = run(tmp_path / "mine.npz", "-c", CONFIG)
    assert code == 2
    assert "choose one with --case" in output


def test_what_was_not_compared_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("parameters: {w: 0.3}\nequations: {loss: w * w}\n")
    np.savez(tmp_path / "mine.npz", dw=0.6, other=0.6)
    arguments = (tmp_path / "mine.npz", "-c", tmp_path / "x.yaml")
    code, output = run(*arguments)
    assert code == 2
    assert "not compared: other (sought were w, loss, and for the gradient of w: dw, grad_w" in " ".join(output.split())
    assert run(*arguments, "--allow-unmatched")[0] == 0
    assert run(*arguments, "--map", "other=dw")[0] == 0
    assert run(*arguments, "--map", "other=w")[0] == 1
    for said, words in (("other=dv", "no node or gradient 'dv'"), ("one=dw", "no array 'one'"), ("dw", "--map dw:")):
        code, output = run(*arguments, "--map", said)
        assert (code, words in output) == (2, True), output
    np.savez(tmp_path / "mine.npz", dw=0.7, other=0.6)
    assert run(*arguments)[0] == 1


def test_a_folder_holds_an_array_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("parameters: {w: 0.3}\nequations: {loss: w * w}\n")
    (tmp_path / "mine").mkdir()
    code, output = run(tmp_path / "mine", "-c", tmp_path / "x.yaml")
    assert (code, "without .npy files" in output) == (2, True)
    np.save(tmp_path / "mine" / "grad_w.npy", np.float64(0.6))
    assert run(tmp_path / "mine", "-c", tmp_path / "x.yaml")[0] == 0
    (tmp_path / "mine" / "w.npy").write_bytes(b"nothing")
    code, output = run(tmp_path / "mine", "-c", tmp_path / "x.yaml")
    assert (code, "is not a NumPy file" in output) == (2, True)


# --- sizes are named by what they are

SUMMED = "-sum(Y * log(A) + (1 - Y) * log(1 - A))"
FEATURES = {"X": [[1, 2, 3], [0, 1, -1], [2, 0, 1], [1, 1, 1]]}


@pytest.mark.parametrize("labels", [[[1, 0, 1]], [1, 0, 1]])
@pytest.mark.parametrize("loss", [f"{SUMMED} / 3", f"1 / 3 * {SUMMED}", SUMMED])
@pytest.mark.parametrize(("factor", "words"), [(4, "the length of axis 0 of X"), (3, "the division by 3 is missing")])
@pytest.mark.one_in(2)
def test_a_size_is_named_by_what_it_is(labels: object, loss: str, factor: int, words: str) -> None:
    parameters = {"W": [[0.1, -0.2, 0.3, 0.2]], "b": [[0.1]]}
    made = case({"A": "sigmoid(W @ X + b)", "J": loss}, parameters, {**FEATURES, "Y": labels})  # type: ignore[dict-item]
    right = prepare(made).run()
    (row,) = compare(made, {"db": np.asarray(right["db"]) * factor}).compared
    if factor == 3 and loss == SUMMED:
        words = "the length of axis 1 of X"
    assert words in row.diagnosis


def write_npz(**arrays: object) -> Callable[[Path], object]:
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]  # objects are what is to be refused


UNUSABLE: Mapping[str, tuple[str, Callable[[Path], object], str]] = {
    "pickled": ("a.npz", write_npz(dW=np.array([{}], object)), "pickled objects"),
    "words": ("a.npz", write_npz(dW=np.array(["a"])), "does not hold real numbers"),
    "no name": ("a.npz", write_npz(other=np.ones(2)), "no array is named like a node"),
    "no zip": ("a.npz", lambda path: path.write_bytes(b"nothing"), "is not a NumPy file"),
    "missing": ("a.npz", lambda path: None, "No such file"),
    "suffix": ("a.txt", lambda path: path.write_text("1"), ".npz and .csv files"),
    "columns": ("a.csv", lambda path: path.write_text("a,b\n1,2\n"), "a.csv:1:1: the columns name"),
    "number": ("a.csv", lambda path: path.write_text("name,index,value\nW,0,x\n"), "a.csv:2:1: 'x' is not"),
    "index": ("a.csv", lambda path: path.write_text("name,index,value\nW,-1,1\n"), "is not an index"),
    "another index": ("a.csv", lambda path: path.write_text("name,index,value\nW,\u0663,1\n"), "is not an index"),
    "Python's number": ("a.csv", lambda path: path.write_text("name,index,value\nW,0,1_0\n"), "'1_0' is not a number"),
    "gap": ("a.csv", lambda path: path.write_text('name,index,value\nW,"0,0",1\nW,"1,1",1\n'), "2 entries"),
    "columns twice": (
        "a.csv",
        lambda path: path.write_text("name,index,value,value\nW,0,1,2\n"),
        "a.csv:1:1: the column value stands twice",
    ),
    "twice": ("a.csv", lambda path: path.write_text("name,index,value\nW,0,1\nW,0,1\n"), "twice"),
    "huge": ("a.csv", lambda path: path.write_text("name,index,value\nW,99999999999999999999,1\n"), "reach"),
    "ragged": ("a.csv", lambda path: path.write_text('name,index,value\nW,0,1\nW,"0,1",1\n'), "different"),
    "empty": ("a.csv", lambda path: path.write_text("name,index,value\n"), "no case"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_file_that_cannot_be_used(kind: str, tmp_path: Path) -> None:
    name, write, words = UNUSABLE[kind]
    write(tmp_path / name)
    code, output = run(tmp_path / name, "-c", CONFIG, "--case", "first instance")
    assert code == 2
    assert words in output
    assert "internal error" not in output
    assert len(output.splitlines()) == 1


def test_a_config_is_asked_for(nodes: Path) -> None:
    code, output = run(nodes)
    assert code == 2
    assert output.strip() == f"mathlab: no config is named: write mathlab oracle --config FILE {nodes}"


def test_a_csv_may_give_gradients_alone(tmp_path: Path) -> None:
    values: Values = planted.softmax_mlp()
    path = tmp_path / "mine.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "index", "gradient"])
        for index, number in np.ndenumerate(values["dW1"]):
            writer.writerow(["W1", ",".join(map(str, index)), repr(float(number))])
    assert compare(mlp(), read(path)[""]).passed


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(MathlabError, match="cannot be read: No such file"):
        read(tmp_path / "none.csv")
