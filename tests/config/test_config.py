"""What configs become: values, equations, figures, cases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathlab.config import find, load
from mathlab.config.values import number
from mathlab.config.yamltext import Scalar
from mathlab.errors import MathlabError, Place, Problem
from mathlab.experiment import Case, Experiment, GradcheckSettings, PrintedNumber, Value
from mathlab.language import read

SIGMOID = """\
title: A 2-2-2 sigmoid network
source: {title: The article, url: "https://example.org", note: Instance 1 and 2.}
inputs:     {X: [[3, 1], [-1, 4]], T: [[1, 0], [0, 1]]}
parameters: {W: [[6, -3], [-2, 5]], V: [[1, -2], [0.25, 2]]}
equations:
  H: sigmoid(X @ W)
  Y: sigmoid(H @ V)
  loss: sum((Y - T)**2)
gradcheck: {rtol: 1e-5, expected: {"central_W[0,0]": 0.000000}}
train:
  optimizer: {name: momentum, lr: 0.5}
  epochs: 200
  after: {0: {loss: 0.4}}
cases:
  first instance:
    inputs: {X: [[3, 1]], T: [[1, 0]]}
    expected:
      H[0,0]: 0.9999998874648379
      dW: [[-5.34381484e-08, 1.42014367e-03], [-1.78127161e-08, 4.73381224e-04]]
  float32:
    dtype: float32
    equations: {H: tanh(X @ W), extra: 2 * loss}
    train: {optimizer: {name: sgd}, after: {1: {V: {printed: 0.10, erratum: A slip.}}, 200: {loss: 1}}}
"""


def loaded(folder: Path, text: str) -> Experiment:
    path = folder / "an experiment.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def only_case(folder: Path, text: str) -> Case:
    (case,) = loaded(folder, text).cases
    return case


def array_of(folder: Path, value: str) -> np.ndarray[tuple[int, ...], np.dtype[np.floating | np.integer]]:
    return only_case(folder, f"inputs: {{x: {value}}}\nequations: {{y: x}}").inputs["x"].array


def test_the_experiment(tmp_path: Path) -> None:
    experiment = loaded(tmp_path, SIGMOID)
    assert experiment.name == "an experiment"
    assert experiment.path == str(tmp_path / "an experiment.yaml")
    assert experiment.sha256 == hashlib.sha256(SIGMOID.encode()).hexdigest()
    assert experiment.title == "A 2-2-2 sigmoid network"
    assert experiment.source.note == "Instance 1 and 2."
    assert experiment.source.url == "https://example.org"
    assert [case.name for case in experiment.cases] == ["base", "first instance", "float32"]


def test_a_case_inherits_all_but_figures(tmp_path: Path) -> None:
    base, first, float32 = loaded(tmp_path, SIGMOID).cases
    assert first.inputs["X"].array.tolist() == [[3.0, 1.0]]
    assert list(first.inputs) == ["X", "T"]
    assert first.parameters["W"] is base.parameters["W"]
    assert first.equations == base.equations
    assert [figure.name for figure in first.expected] == ["H[0,0]", "dW"]
    assert base.gradcheck is not None
    assert [figure.name for figure in base.gradcheck.expected] == ["central_W[0,0]"]
    assert first.gradcheck == GradcheckSettings(rtol=1e-5)
    assert base.train is not None
    assert first.train is not None
    assert [updates for updates, _ in base.train.after] == [0]
    assert first.train.after == ()
    assert first.train.epochs == 200
    assert first.place == Place(str(tmp_path / "an experiment.yaml"), 15, 3)
    assert (base.dtype, float32.dtype) == ("float64", "float32")


def test_a_case_overrides_key_by_key(tmp_path: Path) -> None:
    *_, case = loaded(tmp_path, SIGMOID).cases
    assert [(equation.name, equation.text) for equation in case.equations] == [
        ("H", "tanh(X @ W)"),
        ("Y", "sigmoid(H @ V)"),
        ("loss", "sum((Y - T)**2)"),
        ("extra", "2 * loss"),
    ]
    assert case.train is not None
    assert case.train.optimizer == "sgd"
    assert case.train.settings == {"lr": 0.5}
    (one, (figure,)), (two_hundred, _) = case.train.after
    assert (one, two_hundred) == (1, 200)
    assert figure.erratum == "A slip."
    assert figure.printed[0].text == "0.10"


def test_a_case_keeps_the_order_of_equations_that_are_its_own_alone(tmp_path: Path) -> None:
    equations = "{L1: v**2, L2: sin(v), L: L1 + L2}"
    case = only_case(tmp_path, f"cases: {{one: {{parameters: {{v: 1}}, equations: {equations}}}}}")
    assert [equation.name for equation in case.equations] == ["L1", "L2", "L"]


def test_a_derivation_lists_formulas(tmp_path: Path) -> None:
    text = "parameters: {w: 2}\nequations: {y: w**2}\nderivation: {dw: [2 * w, w + w, {formula: 3 * w, erratum: no}]}\n"
    case = only_case(tmp_path, text)
    assert [(formula.text, formula.erratum) for formula in case.derivation] == [
        ("2 * w", ""), ("w + w", ""), ("3 * w", "no"),
    ]  # fmt: skip


def test_what_a_case_adds_stands_where_it_is_read(tmp_path: Path) -> None:
    """Before its first reader; what nobody reads comes last, as written."""
    top = "inputs: {x: 2}\nparameters: {w: 3}\nequations: {z: w * x, loss: z**2}\nexpected: {loss: 36}\n"
    for added, order in {
        "{u: z + 1, loss: u**2}": "z u loss",
        "{loss: v**2, u: z + 1, v: 2 * u}": "z u v loss",
        "{a: 2 * loss, b: a + z}": "z loss a b",
        "{u: w, v: 2, z: u * v * x, watched: z}": "v u z loss watched",
    }.items():
        *_, case = loaded(tmp_path, f"{top}cases: {{other: {{equations: {added}}}}}\n").cases
        assert " ".join(equation.name for equation in case.equations) == order


def test_another_optimizer_does_not_inherit_what_it_does_not_have(tmp_path: Path) -> None:
    text = """\
parameters: {w: 1}
equations: {y: w**2}
train: {optimizer: {name: momentum, lr: 0.5, momentum: 0.8}, epochs: 1}
cases:
  same: {train: {optimizer: {lr: 0.25}}}
  other: {train: {optimizer: {name: adam}}}
"""
    same, other = (case.train for case in loaded(tmp_path, text).cases)
    assert same is not None
    assert other is not None
    assert same.settings == {"lr": 0.25, "momentum": 0.8}
    assert other.settings == {"lr": 0.5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def test_the_top_level_runs_beside_cases_only_with_figures(tmp_path: Path) -> None:
    text = "inputs: {x: 2}\nequations: {y: x**2}\nderivation: {dx: 2 * x}\ncases: {base: {}, other: }\n"
    assert [case.name for case in loaded(tmp_path, text).cases] == ["base", "other"]
    assert all(case.derivation for case in loaded(tmp_path, text).cases)


def test_a_case_may_complete_the_top_level(tmp_path: Path) -> None:
    text = "equations: {y: x**2}\ncases: {a: {inputs: {x: 3}}, b: {parameters: {x: 4}}}\n"
    a, b = loaded(tmp_path, text).cases
    assert a.inputs["x"].array == 3
    assert b.parameters["x"].array == 4


def test_without_figures_there_is_still_a_case(tmp_path: Path) -> None:
    case = only_case(tmp_path, "inputs: {x: 2}\nequations: {y: x**2}\n")
    assert (case.name, case.expected, case.derivation, case.gradcheck, case.train) == ("base", (), (), None, None)


def test_printed_digits_are_kept(tmp_path: Path) -> None:
    case = only_case(
        tmp_path,
        "inputs: {x: 2}\nequations: {y: x**2}\nexpected:\n  y: 0.638760\n  norm(dx): [[1.42014367e-03, +3.0, -.50],\n"
        "    [16., 1e6, -0.000]]\n",
    )
    file = str(tmp_path / "an experiment.yaml")
    single, matrix = case.expected
    assert single.printed == (PrintedNumber("0.638760", Place(file, 4, 6)),)
    assert single.shape == ()
    assert [number.text for number in matrix.printed] == ["1.42014367e-03", "+3.0", "-.50", "16.", "1e6", "-0.000"]
    assert matrix.shape == (2, 3)
    assert (matrix.name, matrix.expr) == ("norm(dx)", read("norm(dx)"))
    assert matrix.place == Place(file, 5, 3)
    assert matrix.printed[4].place == Place(file, 6, 11)


def test_the_same_quantity_printed_several_times(tmp_path: Path) -> None:
    case = only_case(
        tmp_path,
        "inputs: {x: 2}\nequations: {y: x**2}\nexpected:\n  y:\n  - {printed: 4.0, at: Table 1}\n"
        "  - {printed: 4.1, rounding: truncate, digits: 1, because: noise, erratum: no}\n",
    )
    first, second = case.expected
    assert (first.name, first.at, first.printed[0].text, first.rounding) == ("y", "Table 1", "4.0", "nearest")
    assert (second.name, second.rounding, second.digits) == ("y", "truncate", 1)
    assert (second.because, second.erratum) == ("noise", "no")


def test_figures_and_formulas_read_gradients_and_jacobians(tmp_path: Path) -> None:
    case = only_case(
        tmp_path,
        "parameters: {x: [1, 2]}\nequations: {z: relu(x)}\nupstream: [4, -1]\nderivation: {dx: dz * (z > 0)}\n"
        'expected: {"jacobian(z, x)": [[1, 0], [0, 1]], "norm(jacobian(z, x)[0])": 1}\n'
        "gradcheck: {step: 1e-5, expected: {norm(dx - complex_x): 0.0, central_x: [4, -1]}}\n",
    )
    assert [figure.name for figure in case.expected] == ["jacobian(z, x)", "norm(jacobian(z, x)[0])"]
    assert [(formula.name, formula.text) for formula in case.derivation] == [("dx", "dz * (z > 0)")]
    assert isinstance(case.upstream, Value)
    assert case.upstream.array.tolist() == [4, -1]
    assert case.gradcheck is not None
    assert case.gradcheck.step == 1e-5


def test_equations_know_where_they_stand(tmp_path: Path) -> None:
    case = only_case(
        tmp_path,
        "inputs: {x: 2}\nequations:\n  a: x\n  b: 'x + a'\n"
        "  c: |\n\n    x\n     + b\n  d: >-\n   c\n  e: 0.5\n  f: x +\n    a\n",
    )
    places = {
        equation.name: (equation.place.line, equation.place.column) for equation in case.equations if equation.place
    }
    assert places == {"a": (3, 6), "b": (4, 7), "c": (7, 5), "d": (10, 4), "e": (11, 6), "f": (12, 6)}
    assert [equation.text for equation in case.equations] == ["x", "x + a", "x + b", "c", "0.5", "x + a"]


def test_names_are_letters_of_any_script(tmp_path: Path) -> None:
    # the key is U+00B5, the equation's is U+03BC: one name
    case = only_case(tmp_path, "inputs: {\u00b5: 2, T: 1, mT: 1}\nequations: {β1: 2 * \u03bc, lam: T + mT}\n")
    assert list(case.inputs) == ["\u03bc", "T", "mT"]
    assert [equation.name for equation in case.equations] == ["β1", "lam"]


def test_training(tmp_path: Path) -> None:
    case = only_case(
        tmp_path,
        "inputs: {X: [1, 2, 3, 4, 5], T: [1, 2, 3, 4, 5]}\nparameters: {w: 1, b: 0}\n"
        "equations: {y: sum((X * w + b - T)**2)}\n"
        "train:\n  optimizer: {name: adam, lr: 1e-3}\n  epochs: 2\n  batch_size: 2\n  over: [X, T]\n"
        "  freeze: b\n  seed: 7\n"
        "  after: {6: {w: 1}}\n",
    )
    train = case.train
    assert train is not None
    assert train.settings == {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert (train.epochs, train.batch_size, train.over, train.freeze, train.seed) == (2, 2, ("X", "T"), ("b",), 7)
    assert train.place is not None
    assert train.place.line == 4


def test_anchors_are_expanded(tmp_path: Path) -> None:
    case = only_case(tmp_path, "inputs: {x: &x [1, 2], t: *x}\nequations: {y: sum(x * t)}\nexpected: {y: 5}\n")
    assert case.inputs["t"].array.tolist() == [1, 2]


def test_arrays(tmp_path: Path) -> None:
    case = only_case(tmp_path, "inputs: {a: -3, b: [1, 2.0], c: [[1, 2], [3, 4]], d: 1e0}\nequations: {y: a}\n")
    arrays = {name: value.array for name, value in case.inputs.items()}
    assert [array.shape for array in arrays.values()] == [(), (2,), (2, 2), ()]
    assert all(array.dtype == np.float64 and array.flags.c_contiguous for array in arrays.values())
    assert [value.integral for value in case.inputs.values()] == [True, False, True, False]


def test_a_large_array_loads(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).normal(size=(200, 200))
    rows = "".join(f"    - [{', '.join(map(repr, row))}]\n" for row in expected.tolist())
    case = only_case(tmp_path, f"inputs:\n  X:\n{rows}equations: {{y: sum(X)}}\n")
    assert np.array_equal(case.inputs["X"].array, expected)


def test_initial_values(tmp_path: Path) -> None:
    rng = np.random.default_rng
    table = {
        "{init: zeros, shape: 3}": np.zeros(3),
        "{init: ones, shape: [2, 3], scale: 2}": np.full((2, 3), 2.0),
        "{init: constant, shape: [2], value: 0.5}": np.full(2, 0.5),
        "{init: normal, shape: [4], seed: 1, mean: 1, std: 2}": rng(1).normal(1, 2, 4),
        "{init: uniform, shape: [4], seed: 2, low: -1, high: 3}": rng(2).uniform(-1, 3, 4),
        "{init: uniform, shape: [4]}": rng(0).uniform(0, 1, 4),
        "{init: he, shape: [8, 4], seed: 3}": rng(3).normal(0, 0.5, (8, 4)),
        "{init: he, shape: [4, 8], seed: 3, fan_in: 8}": rng(3).normal(0, 0.5, (4, 8)),
        "{init: xavier, shape: [4, 2], seed: 4}": rng(4).uniform(-1, 1, (4, 2)),
        "{init: xavier, shape: [4, 2], seed: 4, fan_in: 1, fan_out: 0.5}": 2 * rng(4).uniform(-1, 1, (4, 2)),
    }
    for text, expected in table.items():
        assert np.array_equal(array_of(tmp_path, text), expected), text


def test_data_files(tmp_path: Path) -> None:
    floats = np.random.default_rng(0).normal(size=20) * 1e-7
    (tmp_path / "data.csv").write_text("a,b,word\n1,2,x\n3,4.5,y\n")
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    (tmp_path / "floats.csv").write_text("\n".join(map(repr, floats.tolist())))
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "sub" / "i.npy", np.array([[1, 2]], dtype=np.int32, order="F"))
    np.savez(tmp_path / "one.npz", only=np.array([0.5], np.float32))
    np.savez(tmp_path / "two.npz", a=[1], b=[2])
    table = {
        "{file: data.csv, columns: a}": [1, 3],
        "{file: data.csv, columns: [b]}": [2, 4.5],
        "{file: data.csv, columns: [b, a]}": [[2, 1], [4.5, 3]],
        "{file: bare.csv, header: false}": [[1, 2], [3, 4]],
        "{file: bare.csv, header: false, columns: [1]}": [2, 4],
        "{file: floats.csv, header: false}": floats.tolist(),
        "{file: sub/i.npy}": [[1, 2]],
        "{file: sub/../one.npz}": [0.5],
        "{file: two.npz, array: b}": [2],
    }
    for text, expected in table.items():
        assert array_of(tmp_path, text).tolist() == expected, text
    case = only_case(tmp_path, "inputs: {x: {file: data.csv, columns: a}, z: {file: one.npz}}\nequations: {y: x}\n")
    assert [value.integral for value in case.inputs.values()] == [True, False]


def test_find(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "notes.txt", ".hidden.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    assert find(tmp_path) == [tmp_path / "a.yml", tmp_path / "b.yaml"]
    assert find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_is_a_number(value: float) -> None:
    assert number(Scalar(repr(value), Place("c.yaml", 1, 1))) == value


def complaints(read: Callable[[], object]) -> Sequence[Problem]:
    """What `read` raises, as a reader of the terminal would see it; nothing where it succeeds."""
    try:
        read()
    except MathlabError as error:
        return error.problems
    return ()


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_a_sentence(text: str) -> None:
    scalar = Scalar(text, Place("c.yaml", 1, 1))
    assert all("\n" not in str(problem) for problem in complaints(lambda: number(scalar)))


@given(st.text(st.sampled_from("[]{}:,-&*!|>'\"#% \n\txy1.?"), max_size=40))
def test_any_file_loads_or_says_where_not(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text("inputs: {x: 1}\nequations:\n  y: " + text)
    assert all(problem.place and "\n" not in str(problem) for problem in complaints(lambda: load(path)))
