"""Data files: columns of a CSV however they are named, types no wider than the data, and the memory of it all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mathlab.config import datafiles, load
from mathlab.config.datafiles import PIECE, Numbers, chosen, read_numpy
from mathlab.errors import MathlabError
from mathlab.experiment import SHARED, Value
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from tests.sandbox import run_all


def read_csv(path: Path, named: Sequence[str] | None = None, header: bool | None = True) -> Numbers:
    """One selection of a file's columns."""
    return datafiles.select(datafiles.read_csv(path, header), named, ())


NAMES = ("label", "pixel0", "pixel1", "pixel2", "0", "odd..name")

COLUMNS: list[tuple[list[str] | None, list[str], list[int]]] = [
    (None, [], [0, 1, 2, 3, 4, 5]),
    (["pixel1"], [], [2]),
    (["pixel1", "label"], [], [2, 0]),
    (["pixel0..pixel2"], [], [1, 2, 3]),
    (["pixel2..pixel2"], [], [3]),
    (["pixel1.."], [], [2, 3, 4, 5]),
    (["..pixel0"], [], [0, 1]),
    ([".."], ["label"], [1, 2, 3, 4, 5]),
    (None, ["label", "0.."], [1, 2, 3]),
    (["1", "-1"], [], [1, 5]),
    (["1..3"], [], [1, 2, 3]),
    (["1..3"], ["2"], [1, 3]),
    (["0"], [], [4]),  # a name before a position
    (["odd..name"], [], [5]),
]


@pytest.mark.parametrize(("columns", "but", "positions"), COLUMNS)
def test_columns_go_by_name_position_and_range(columns: list[str] | None, but: list[str], positions: list[int]) -> None:
    assert chosen(NAMES, columns, but, "f.csv") == positions


REFUSED = [
    (["pixel9"], [], "f.csv has no column 'pixel9'; did you mean 'pixel2' or 'pixel1' or 'pixel0'?"),
    (["6"], [], "f.csv has no column '6'; it has label, pixel0, pixel1, pixel2, 0, odd..name"),
    (["-7"], [], "f.csv has no column '-7'; it has label, pixel0, pixel1, pixel2, 0, odd..name"),
    (["pixel0:pixel2"], [], "f.csv has no column 'pixel0:pixel2'; several are a list, or written first..last"),
    (["pixel0..pixle2"], [], "f.csv has no column 'pixle2'; did you mean 'pixel2'?"),
    (["pixel2..pixel0"], [], "in f.csv, column 'pixel2' stands after 'pixel0'"),
    (None, ["lable"], "f.csv has no column 'lable'; did you mean 'label'?"),
    (["label"], ["label"], "no column of f.csv is left"),
]


@pytest.mark.parametrize(("columns", "but", "message"), REFUSED)
def test_columns_that_are_not_there(columns: list[str] | None, but: list[str], message: str) -> None:
    with pytest.raises(MathlabError) as caught:
        chosen(NAMES, columns, but, "f.csv")
    assert str(caught.value) == message


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_columns_that_are_parted_by_another_sign(sign: str) -> None:
    with pytest.raises(MathlabError, match=re.escape(f"no column 'a'; its columns are parted by {sign!r}")):
        chosen([f"a{sign}b"], ["a"], [], "f.csv")


WIDTHS = [
    (["0", "255"], np.uint8),
    (["-1", "-128"], np.int8),
    (["-1", "255"], np.int16),
    (["0", "70000"], np.uint32),
    (["0", "1.5"], np.float64),
    (["0", "1e3"], np.uint16),
    (["0", "-0.0"], np.float64),
]


@pytest.mark.parametrize(("entries", "dtype"), WIDTHS)
def test_whole_numbers_take_no_more_room_than_they_need(entries: list[str], dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("\n".join(["x", *entries]))
    found = read_csv(path)
    assert found.dtype == dtype
    assert found.tolist() == [float(entry) for entry in entries]


@given(st.lists(st.sampled_from(["1", "-3", "300", "2.25", "70000"]), min_size=1, max_size=12))
def test_a_file_that_is_read_in_pieces_is_the_same(entries: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.csv"
        path.write_text("\n".join(["x,y", *(f"{entry},1" for entry in entries)]))
        patch.setattr("mathlab.config.datafiles.PIECE", 4)
        assert read_csv(path, ["x"]).tolist() == [float(entry) for entry in entries]


PLAIN = ("0", "7", "007", "65536", "99999999999999", "-4", "2.25", "-0.1", "5.", ".5", "0.30000000000001", "-.125")
OTHERS = ("9" * 18, "-0.0", "+3", "1e3", "2.5E-7", "0.1234567890123456789", "1" * 19, "-" + "2" * 18, " 4", '"5"')


@given(
    st.lists(st.lists(st.sampled_from((*PLAIN, *OTHERS)), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from([3, 6, PIECE]),
)
@example([["0", "0", "9" * 14], ["0", "0", "-4"]], "\n", False, 3)  # a piece without a sign, and one with
def test_decimals_are_what_python_makes_of_them(rows: list[list[str]], end: str, ends: bool, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.csv"
        path.write_bytes(end.join(["x,y,z", *map(",".join, rows), *[""] * ends]).encode())
        patch.setattr(datafiles, "PIECE", piece)
        for named in (None, ("y",), ("z", "x")):
            found = read_csv(path, named)
            wanted = [row["xyz".index(name)] for row in rows for name in named or "xyz"]
            numbers = np.array([float(text.strip('"')) for text in wanted])
            assert found.ravel().astype(np.float64).tobytes() == numbers.tobytes()
            exact = all(number.is_integer() and abs(number) < 2**32 and str(number) != "-0.0" for number in numbers)
            assert (found.dtype.kind in "iu") == exact


def test_a_file_that_several_values_name_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.csv").write_text("a,b,name\n1,2,x\n3,4,y\n")
    config = tmp_path / "c.yaml"
    values = ("columns: a", "columns: b, divide_by: 2", "but: name", "columns: a")
    inputs = ", ".join(f"x{k}: {{file: f.csv, {value}}}" for k, value in enumerate(values))
    case = "cases: {one: {inputs: {x0: {file: f.csv, columns: b}}, expected: {x0: [2, 4]}}}"
    config.write_text(f"inputs: {{{inputs}}}\nequations: {{L: sum(x0)}}\n{case}\n")
    asked, read_all = list[Path](), datafiles.read_csv

    def reading(path: Path, header: bool | None) -> object:
        asked.append(path)
        return read_all(path, header)

    monkeypatch.setattr(datafiles, "read_csv", reading)
    (read,) = load(config).cases
    assert [read.inputs[f"x{k}"].array.tolist() for k in range(4)] == [[2, 4], [2, 4], [[1, 2], [3, 4]], [1, 3]]
    assert len(asked) == 1
    config.write_text(config.read_text().replace("but: name", "but: a"))
    with pytest.raises(MathlabError, match=r"row 1 in column 'name' of f.csv is 'x'") as caught:
        load(config)
    assert len(caught.value.problems) == 1
    assert len(asked) == 2


def test_the_row_of_a_bad_entry_is_counted_over_all_pieces(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a,b\n" + "1,2\n" * PIECE + "1,x\n" + "1,2\n")
    with pytest.raises(MathlabError) as caught:
        read_csv(path)
    assert str(caught.value) == f"row {PIECE + 1} in column 'b' of f.csv is 'x', which is not a finite number"
    path.write_text("a,b\n" + "1,2\n" * PIECE + "1,2,3\n")
    with pytest.raises(MathlabError, match=rf"^row {PIECE + 1} of f.csv is longer than its first line"):
        read_csv(path, ["a"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, ">f4", ">i2", np.float16])
def test_an_array_keeps_its_type(dtype: type | str, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.arange(6).reshape(2, 3, order="F").astype(dtype))
    found = read_numpy(tmp_path / "f.npy", None)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found.flags.c_contiguous


def test_divide_by_divides_exactly(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    pixels = np.arange(256)
    np.savetxt(tmp_path / "f.csv", pixels, fmt="%d")
    path.write_text(
        "inputs: {x: {file: f.csv, header: false, divide_by: 255}}\nequations: {y: sum(x)}\n"
        "cases: {a: {expected: {y: 128}}, b: {dtype: float32, expected: {y: 128}}}\n"
    )
    double, single = (prepare(case).env["x"] for case in load(path).cases)
    np.testing.assert_array_equal(double, pixels / 255)
    np.testing.assert_array_equal(single, pixels.astype(np.float32) / np.float32(255))
    path.write_text(path.read_text().replace("sum(x)", '"sum(one_hot(x, 256))"'))
    with pytest.raises(MathlabError, match="an index must be a whole number"):
        prepare(load(path).cases[0])


def test_a_large_array_is_made_once_and_by_nobody_changed() -> None:
    value = Value(np.zeros(SHARED + 1, np.uint8))
    one = value.bound("float32")
    assert one.dtype == np.float32
    assert value.bound("float32") is one
    assert value.bound("float64") is not one
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 1
    already = Value(np.zeros(SHARED + 1))
    assert np.shares_memory(already.bound("float64"), already.array)


def _digits(path: Path, rows: int) -> None:
    """A file laid out as that of the handwritten digits is; the labels can be learnt from the pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (rows, 784), dtype=np.uint8) * (rng.random((rows, 784)) < 0.2)
    labels = np.argmax(pixels[:, :10], axis=1)
    header = ",".join(["label", *(f"pixel{k}" for k in range(784))])
    np.savetxt(path, np.column_stack([labels, pixels]), fmt="%d", delimiter=",", header=header, comments="")


NET = """\
dtype: {dtype}
inputs:
  X: {{file: train.csv, columns: pixel0..pixel783, divide_by: 255}}
  y: {{file: train.csv, columns: label}}
parameters:
  W1: {{init: he, shape: [784, 128], seed: 0}}
  b1: {{init: zeros, shape: [128]}}
  W2: {{init: xavier, shape: [128, 10], seed: 1}}
  b2: {{init: zeros, shape: [10]}}
layers:
  - affine: {{W: W1, b: b1}}
  - relu
  - affine: {{W: W2, b: b2, as: logits}}
equations:
  accuracy: mean(argmax(logits, axis=1) == y)
loss: cross_entropy
train:
  optimizer: {{name: adam, lr: 0.003}}
  epochs: {epochs}
  batch_size: 100
  over: [X, y]
  seed: 0
  after: {{0: {{"mean(argmax(logits, axis=1) == y)": 0.1}}}}
"""


def test_a_digit_net_learns_from_a_csv(tmp_path: Path) -> None:
    _digits(tmp_path / "train.csv", 500)
    (tmp_path / "net.yaml").write_text(NET.format(dtype="float64", epochs=12))
    (case,) = load(tmp_path / "net.yaml").cases
    assert case.inputs["X"].array.dtype == np.uint8
    result = train.run(case)
    assert result.columns["accuracy"][-1] > 0.9 > 0.3 > result.columns["accuracy"][0]
    (figure,) = result.figures
    assert figure.entries[0].computed == result.columns["accuracy"][0]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """A folder with the digits' file, for each number of rows."""
    made = {rows: tmp_path_factory.mktemp("digits") for rows in (200, 2000)}
    for rows, folder in made.items():
        _digits(folder / "train.csv", rows)
    return made


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_memory_is_no_more_than_three_times_the_data(folders: Mapping[int, Path], dtype: str) -> None:
    """Of a run, which looks at every value once, and trains."""

    def peak(rows: int) -> float:
        (folders[rows] / "net.yaml").write_text(NET.format(dtype=dtype, epochs=1) + "expected: {accuracy: 0.1}\n")
        (ran,) = run_all([(folders[rows], ["run", "net.yaml", "--quiet", "--out", "out"])])
        assert ran.code in (0, 1), ran.err
        return ran.megabytes * 2**20

    fixed = peak(200)  # the interpreter, what it imports, the parameters
    assert peak(2000) - fixed <= 3 * 2000 * 784 * np.dtype(dtype).itemsize
    assert sum(file.stat().st_size for file in (folders[2000] / "out" / "net").iterdir()) < 2_000_000


READ_AS_SOMETHING_ELSE = (
    (
        "0.5,1.5,0\n2.0,1.0,1\n",
        "",
        "every cell in the first row of f.csv is a number: say 'header: false' if it is data",
    ),
    ("1\n2\n", "", "every cell in the first row of f.csv is a number"),
    ("1e5,nan,-inf\n1,2,3\n", "", "every cell in the first row of f.csv is a number"),
    ("\ufeff1, 2\n1,2\n", "", "every cell in the first row of f.csv is a number"),
    ("a,b,a\n1,2,3\n", "", "f.csv has two columns that are called 'a'"),
    ("a,b,a\n1,2,3\n", "columns: b", "f.csv has two columns that are called 'a'"),
    ("1,1\n1,2\n", "header: true", "f.csv has two columns that are called '1'"),
    (",a,b\n0,1,2\n", "", "column 0 of f.csv has no name in the first row; choose the 'columns'"),
    ("a,b,\n1,2,3\n", "", "column 2 of f.csv has no name in the first row; choose the 'columns'"),
    ("x\n1\n\n2\n", "", "line 3 of f.csv is empty"),
    ("x\n1\n2\n \n\n3\n", "", "line 4 of f.csv is empty"),
    ("1\r\n\r\n2\r\n", "header: false", "line 2 of f.csv is empty"),
    ("a;b\n1;2\n", "", "row 1 in column 'a;b' of f.csv is '1;2', which is not a finite number"),
    ("x\n0,5\n", "", "row 1 of f.csv is longer than its first line, "),
    ('x\n"0,5"\n', "", "row 1 in column 'x' of f.csv is '0,5', which is not a finite number"),
    ("a\tb\n1\t2\n", "", "row 1 in column 'a\\tb' of f.csv is '1\\t2', which is not a finite number"),
    ("a,b\n1,2,3\n", "", "row 1 of f.csv is longer than its first line, "),
    ("x\n1_000\n", "", "row 1 in column 'x' of f.csv is '1_000', which is not a finite number"),
    ("x\nTrue\n", "", "row 1 in column 'x' of f.csv is 'True', which is not a finite number"),
    (
        "\udcff\n1\n",
        "",
        "f.csv is no table of text: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; save it as",
    ),
)


@pytest.mark.parametrize(("text", "said", "message"), READ_AS_SOMETHING_ELSE)
def test_what_may_be_meant_otherwise_is_refused(tmp_path: Path, text: str, said: str, message: str) -> None:
    (tmp_path / "f.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    config = tmp_path / "c.yaml"
    config.write_text(f"inputs: {{x: {{file: f.csv, {said}}}}}\nequations: {{L: sum(x)}}\n")
    with pytest.raises(MathlabError, match=rf"c\.yaml:1:20: {re.escape(message)}"):
        load(config)


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("1,2\n3,4\n", "header: false", [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", "header: true", [[3, 4]]),
        ("1,2\n3,4\n", "header: true, columns: '2'", [4]),
        ("\ufeffa,b\n3,4\n", "columns: a", [3]),
        (",a\n0,4\n", "columns: a", [4]),
        (",a\n0,4\n", "columns: 0", [0]),
        ("a,b\n3,4,\n", "", [[3, 4]]),
        ("x\n1\n2\n\n\n", "", [1, 2]),
        ("\n\nx\n1\n", "", [1]),
        ("a,b\n1,2\n\n3,4\n", "", [[1, 2], [3, 4]]),
    ],
)
def test_what_can_be_meant_in_one_way_is_read(tmp_path: Path, text: str, said: str, expected: list[object]) -> None:
    (tmp_path / "f.csv").write_bytes(text.encode("utf-8"))
    config = tmp_path / "c.yaml"
    config.write_text(f"inputs: {{x: {{file: f.csv, {said}}}}}\nequations: {{L: sum(x)}}\n")
    assert load(config).cases[0].inputs["x"].array.tolist() == expected


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("1 2\n3 4\n", "u", [[1, 2], [3, 4]]),
        ("# heights\n1.5, 2\n3, -4e-1\n", "f", [[1.5, 2], [3, -0.4]]),
        ("0\n# between\n\n1\n1\n", "u", [0, 1, 1]),
        ("5 6 7", "u", [5, 6, 7]),
    ],
)
def test_a_text_file_is_a_table_of_numbers(tmp_path: Path, text: str, kind: str, values: list[float]) -> None:
    (tmp_path / "x.txt").write_text(text)
    (tmp_path / "c.yaml").write_text("inputs: {x: {file: x.txt}}\nparameters: {w: 2}\nequations: {L: sum(w * x)}\n")
    (case,) = load(tmp_path / "c.yaml").cases
    assert case.inputs["x"].array.dtype.kind == kind
    np.testing.assert_array_equal(case.inputs["x"].array, values)
    assert prepare(case).run()["L"] == 2 * np.sum(values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2\n3\n", "row 2 in column '1' of x.txt is empty or NaN"),
        ("1 2\n3 4 5\n", "row 2 of x.txt is longer than its first line"),
        ("a b\n1 2\n", "row 1 in column '0' of x.txt is 'a', which is not a finite number"),
        ("1,,2\n", "row 1 in column '1' of x.txt is empty or NaN"),
        ("1 nan\n", "row 1 in column '1' of x.txt is empty or NaN"),
        ("# nothing\n", "x.txt has no rows"),
    ],
)
def test_a_text_file_of_something_else_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    (tmp_path / "c.yaml").write_text("inputs: {x: {file: x.txt}}\nequations: {L: sum(x)}\n")
    with pytest.raises(MathlabError, match=f"c.yaml:1:20: {sentence}"):
        load(tmp_path / "c.yaml")
