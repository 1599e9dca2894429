"""A changed number: what it moves, what it leaves alone, and what cannot be set."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import mathlab
from mathlab import MathlabError
from mathlab.cli import app
from mathlab.config import change
from mathlab.experiment import Experiment, Value
from mathlab.reports.comparisons import changes_page
from mathlab.reports.formats import plain

NET = """\
inputs: {x: [1.5, -0.5], t: 1}
parameters: {W: [[0.8, -0.4], [0.2, 0.6]], b: [0.1, 0]}
equations:
  z: W @ x + b
  h: tanh(z)
  L: -log_softmax(h)[t]
expected: {L: 5.0}
gradcheck: {}
train: {optimizer: {name: sgd, lr: 0.1}, epochs: 3}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET, encoding="utf-8")


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, args)


AS_IN_THE_CONFIG = [
    ("W[0,1]=0.5", "[0.8, -0.4]", "[0.8, 0.5]"),
    ("W[-1, 0] = 3", "[0.2, 0.6]", "[3, 0.6]"),
    ("b=[0.5, -1]", "b: [0.1, 0]", "b: [0.5, -1]"),
    ("x[0]=-2e-3", "[1.5, -0.5]", "[-2e-3, -0.5]"),
    ("t=0", "t: 1", "t: 0"),
    ("dtype=float32", "inputs:", "dtype: float32\ninputs:"),
    ("train.lr=0.7", "lr: 0.1", "lr: 0.7"),
    ("lr=0.7", "lr: 0.1", "lr: 0.7"),
    ("train.epochs=5", "epochs: 3", "epochs: 5"),
    ("train.weight_decay=0.3", "lr: 0.1", "lr: 0.1, weight_decay: 0.3"),
]


@pytest.mark.parametrize(("text", "old", "new"), AS_IN_THE_CONFIG)
def test_it_is_as_if_the_config_said_so(text: str, old: str, new: str) -> None:
    net = NET.replace("expected: {L: 5.0}\n", "")  # which nobody needs explained
    assert net.count(old) == 1
    Path("net.yaml").write_text(net, encoding="utf-8")
    Path("new.yaml").write_text(net.replace(old, new), encoding="utf-8")
    wanted = [mathlab.run("new.yaml", command) for command in ("backprop", "train")]
    cases = change.changed(mathlab.load("net.yaml").cases, *change.assignment(text))
    made = mathlab.load("net.yaml")._replace(cases=tuple(cases))
    result = [mathlab.run(made, command) for command in ("backprop", "train")]
    for table in ("nodes", "training"):
        at = table == "training"
        assert result[at].frame(table).equals(wanted[at].frame(table))


def test_the_upstream_gradient_is_set_where_it_is_given_as_numbers() -> None:
    net = {"inputs": {"x": [1, 2]}, "parameters": {"w": [0.5, -1]}, "equations": {"y": "w * x"}}
    (made,) = change.changed(mathlab.load({**net, "upstream": [1, 2]}).cases, *change.assignment("upstream[1]=5"))
    assert isinstance(made.upstream, Value)
    assert np.array_equal(made.upstream.array, [1, 5])
    with pytest.raises(MathlabError, match=r"nothing here is called 'upstream\[1\]'"):
        change.changed(mathlab.load({**net, "upstream": "2 * x"}).cases, *change.assignment("upstream[1]=5"))


@pytest.mark.parametrize(("target", "number"), [("w.seed", 3), ("w.std", 0.5), ("train.lr", 0.2), ("lr", 0.2)])
def test_what_a_sweep_may_change_can_be_set(target: str, number: float) -> None:
    def net(seed: float = 0, std: float = 1, lr: float | str = "0.1 / t") -> Experiment:
        w = {"init": "normal", "shape": 2, "seed": seed, "std": std}
        train = {"optimizer": {"name": "sgd", "lr": lr}, "epochs": 2}
        return mathlab.load({"parameters": {"w": w}, "equations": {"L": "sum(w**2)"}, "train": train})

    key = target.rpartition(".")[2]
    made, wanted = (mathlab.run(of, "train") for of in (mathlab.changed(net(), {target: number}), net(**{key: number})))
    assert made.frame("training").equals(wanted.frame("training"))


def test_what_moved_most_stands_first_and_what_did_not_move_nowhere() -> None:
    result = invoke("backprop", "net.yaml", "--set", "b[1]=0.5")
    assert (result.exit_code, result.stderr) == (0, "")
    old, new = (
        mathlab.run(made, "backprop").cases[0].stages["backprop"].arrays
        for made in (mathlab.load("net.yaml"), mathlab.changed(mathlab.load("net.yaml"), {"b[1]": 0.5}))
    )
    rows = [re.split(r" {2,}", line.strip()) for line in result.stdout.splitlines()[2:-1]]
    shown = {row[0]: row[1:] for row in rows}
    assert shown["b[1]"] == ["0.0", "0.5", "0.5"]
    for name, value in new.items():
        for index in np.ndindex(value.shape):
            label = f"{name}[{','.join(map(str, index))}]" if index else name
            assert (label in shown) == (old[name][index] != value[index])
            if label in shown:
                np.testing.assert_allclose([*map(float, shown[label][:2])], [old[name][index], value[index]], 1e-7)
    sizes = {
        name: float(np.max(abs(new[name] - old[name])) / max(np.max(abs(new[name])), np.max(abs(old[name]))))
        for name in new
    }
    order = [*dict.fromkeys(row[0].partition("[")[0] for row in rows)]
    assert order == sorted(order, key=lambda name: -sizes[name])
    assert result.stdout.splitlines()[-1] == f"{len(order)} of {len(new)} quantities moved; figures are not judged"


@pytest.mark.parametrize("command", ["backprop", "gradcheck", "train"])
def test_nothing_is_written_unless_a_folder_is_named(command: str) -> None:
    before = sorted(Path().rglob("*"))
    assert invoke(command, "net.yaml", "--set", "W[0,0]=1").exit_code == 0
    assert sorted(Path().rglob("*")) == before
    assert invoke(command, "net.yaml", "--set", "W[0,0]=1", "--out", "new").exit_code == 0
    assert '"W[0,0]=1"' in Path("new/net/run.json").read_text(encoding="utf-8")
    if command == "backprop":
        assert mathlab.arrays("new/net")["base"]["W"][0, 0] == 1


def test_a_gradient_that_a_figure_or_a_formula_asks_for_is_shown_too() -> None:
    Path("net.yaml").write_text(NET + "derivation: {dz: dh * (1 - h**2), dx: W.T @ dz}\n", encoding="utf-8")
    shown = invoke("backprop", "net.yaml", "--set", "b[1]=0.5").stdout
    assert "dx[0]" in shown
    assert "dx[1]" in shown


def test_what_is_gone_is_named() -> None:
    loop = 'inputs: {h0: 0.5, T: 3}\nequations: {for t in 1..T: {"h[t]": "tanh(w * h[t-1])"}, L: "h[T]**2"}\n'
    Path("net.yaml").write_text(f"parameters: {{w: 0.7}}\n{loop}", encoding="utf-8")
    told = invoke("backprop", "net.yaml", "--set", "T=2").stdout.splitlines()[-1]
    assert "; gone are h3 and dh3; " in told


def test_what_is_not_finite_fails() -> None:
    result = invoke("backprop", "net.yaml", "--set", "W[0,0]=1e308", "--set", "x[0]=1e308")
    assert result.exit_code == 1
    assert "not finite: z[0] is inf" in result.stdout


REFUSED = {
    "V=1": "nothing here is called 'V'; there are x, t, W, b, train.lr, ",
    "w[0,0]=1": "nothing here is called 'w[0,0]'; did you mean 'W'?",
    "h=1": "'h' is computed, so set what it is computed from",
    "W": "'W' sets nothing: write what is set and its value, as in W1[0,0]=0.5",
    "W[0,0]=": "'W[0,0]=' sets nothing: write what is set and its value, as in W1[0,0]=0.5",
    "W[0,0]=a": "'W[0,0]=a' sets nothing: a number is needed here, not 'a'",
    "W[0,0]=[1, 2": "'W[0,0]=[1, 2' sets nothing: ",
    "W[0,0]=[1, 2]": "W has shape (2, 2): 'W[0,0]' is no entry of it, or is set to more",
    "W[2,0]=1": "W has shape (2, 2): 'W[2,0]' is no entry of it, or is set to more; "
    "entries are counted from 0, up to W[1,1]",
    "W[0]=1": "W has shape (2, 2): 'W[0]' is no entry of it, or is set to more",
    "W[]=1": "W has shape (2, 2): 'W[]' is no entry of it, or is set to more",
    "W=1": "W has shape (2, 2), and is set to a single number; an entry is set as in W[0,0]=0.5",
    "x[0]=nan": "'x[0]=nan' sets nothing: ",
    "train.lr=[1, 2]": "train.lr is a number",
    "train.epochs=1.5": "train.epochs: a whole number is needed here, not '1.5'",
    "train.momentum=1": "nothing here is called 'train.momentum'",
    "dtype=float16": "dtype is float64 or float32",
    "dtype=2": "dtype is float64 or float32",
    "W=float32": "'W=float32' sets nothing: a number is needed here, not 'float32'",
    "V=a": "nothing here is called 'V'",
    "h=tanh(z)": "'h' is computed, so set what it is computed from",
    "dW=1": "'dW' is computed, so set what it is computed from",
    "parameters.W[0,0]=1": "nothing here is called 'parameters.W[0,0]'; did you mean 'W'?",
    "W[:,0]=1": "W has shape (2, 2): 'W[:,0]' is no entry of it, or is set to more",
    "W[0,0=1": "nothing here is called 'W[0,0'; an entry is set as in W1[0,0]=0.5",
    "train.lr=-1": "train.lr: the learning rate is -1; it is to be 0 or more",
    "eps_inside=0": "nothing here is called 'eps_inside'; it is a switch, which stands in the config",
    "x=@file": "'x=@file' sets nothing: this is not YAML: found character that cannot start any token; an expression",
    "train.lr=0.2": "train.lr is read by training alone, and moves nothing here: write mathlab train",
    "epochs=5": "epochs is read by training alone, and moves nothing here: write mathlab train",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_set_is_one_sentence(text: str) -> None:
    result = invoke("backprop", "net.yaml", "--set", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"mathlab: {REFUSED[text]}")
    assert len(result.stderr.splitlines()) == 1


def test_values_are_drawn_as_in_a_config() -> None:
    drawn = "W={init: zeros, shape: [2, 2]}"
    assert (
        invoke("backprop", "net.yaml", "--set", drawn).stdout
        == invoke("backprop", "net.yaml", "--set", "W=[[0, 0], [0, 0]]").stdout
    )


@pytest.mark.parametrize("given", [("--brief",), ("-v",), ("--witness", "central"), ("--brief", "-q"), ("-v", "-q")])
def test_options_that_shape_a_page_are_refused_where_there_is_none(given: tuple[str, ...]) -> None:
    changing = () if "-q" in given else ("--set", "x[0]=3")
    result = invoke("backprop", "net.yaml", *changing, *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "mathlab: --quiet and --set leave out the page that --brief, --verbose and --witness are for\n"
    )


def test_quiet_tells_how_much_moved_alone() -> None:
    *_, last = invoke("backprop", "net.yaml", "--set", "x[0]=3").stdout.splitlines()
    assert invoke("backprop", "net.yaml", "--set", "x[0]=3", "-q").stdout.splitlines()[1:] == [last]


@pytest.mark.parametrize(("text", "case"), [("X=[[2, 1]]", "a"), ("X[1,1]=3", "b")])
def test_the_case_that_it_does_not_fit_is_named(text: str, case: str) -> None:
    own = "cases: {a: {}, b: {inputs: {X: [[1, 2]]}}}\n"
    Path("net.yaml").write_text(f"inputs: {{X: [[1, 2], [3, 4]]}}\nequations: {{y: sum(X)}}\n{own}", encoding="utf-8")
    assert f") in case '{case}'" in invoke("backprop", "net.yaml", "--set", text).stderr


def test_what_the_way_forward_reads_moves_it_in_a_loop_that_trains_too() -> None:
    loop = 'inputs: {h0: 0.5}\nequations: {for t in 1..2: {"h[t]": "tanh(w * h[t-1])"}, L: "h2**2"}\n'
    train = "train: {optimizer: {name: sgd, lr: 0.1}, epochs: 3}\n"
    Path("net.yaml").write_text(f"parameters: {{w: 0.7}}\n{loop}{train}", encoding="utf-8")
    assert "h0  0.5  0.3" in re.sub(" +", "  ", invoke("backprop", "net.yaml", "--set", "h0=0.3").stdout)
    refused = invoke("backprop", "net.yaml", "--set", "lr=0.3").stderr
    assert refused == "mathlab: lr is read by training alone, and moves nothing here: write mathlab train\n"


def test_other_formats_are_refused() -> None:
    result = invoke("backprop", "net.yaml", "--set", "t=0", "--format", "json")
    assert (result.exit_code, result.stdout) == (2, "")
    plain = invoke("backprop", "net.yaml", "--set", "t=0", "--format", "plain")
    assert plain.stdout == invoke("backprop", "net.yaml", "--set", "t=0").stdout
    assert invoke("backprop", "net.yaml", "--set", "t=0", "-o", "report").stdout == ""
    assert Path("report").read_text(encoding="utf-8") == plain.stdout


def test_a_case_without_the_name_is_left_alone() -> None:
    Path("net.yaml").write_text(NET + "cases: {other: {inputs: {u: 2}, expected: {u: 2.0}}}\n", encoding="utf-8")
    one, other = mathlab.load("net.yaml").cases
    assert change.changed([one, other], *change.assignment("u=3"))[0] is one
    shown = invoke("backprop", "net.yaml", "--set", "u=3").stdout
    assert "case other" in shown
    assert "case base" not in shown
    old, new = mathlab.load("net.yaml"), mathlab.changed(mathlab.load("net.yaml"), u=3)
    results = [mathlab.run(made, "backprop", cases=["base"]).cases[0] for made in (old, new)]
    assert plain(changes_page("net", *results)).splitlines()[-1].startswith("0 of ")


def test_from_python() -> None:
    made = mathlab.load(
        {
            "inputs": {"x": np.array([1.0, 2.0])},
            "parameters": {"w": np.float64(0.5)},
            "equations": {"y": "sum(w * x)"},
            "expected": {"y": "1.50"},
            "train": {"optimizer": {"name": "sgd", "lr": 1e-7}, "epochs": 2, "after": {2: {"y": "1.50"}}},
        }
    )
    assert made.cases[0].expected[0].printed[0].text == "1.50"
    result = mathlab.run(made)
    assert result.passed
    assert result["dw"] == 3
    with pytest.raises(MathlabError, match="no array 'dv' here"):
        _ = result["dv"]
    assert mathlab.run(mathlab.changed(made, x=[2, 2]), "backprop")["y"] == 2
    assert mathlab.changed(made, dtype="float32").cases[0].dtype == "float32"
    for wrong in (float("nan"), 1j, None, [1, [2]], [None]):
        with pytest.raises(MathlabError, match="no finite number"):
            mathlab.changed(made, w=wrong)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(MathlabError, match="'w=x' sets nothing: a number is needed here, not 'x'"):
        mathlab.changed(made, w="x")
    with pytest.raises(MathlabError, match="no place for object"):
        mathlab.load({"title": object()})
    with pytest.raises(MathlabError, match=r"mapping.yaml:1:3: unknown key 'equation'"):
        mathlab.load({"equation": {"y": "x"}})


def test_what_was_written_is_what_was_computed() -> None:
    Path("net.yaml").write_text(NET + "cases: {other: {inputs: {t: 0}, expected: {L: 1}}}\n", encoding="utf-8")
    invoke("run", "net.yaml")
    result, written = mathlab.run("net.yaml"), mathlab.arrays("outputs/net")
    assert [*written] == ["base", "other"]
    for case, arrays in written.items():
        assert {*arrays} == {*result._of(case).stages["backprop"].arrays}
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, result[case, name], strict=False)
    with pytest.raises(MathlabError, match="there are 2 cases"):
        _ = result["W"]
    with pytest.raises(MathlabError, match="cannot be read: No such file"):
        mathlab.arrays("outputs/other")
