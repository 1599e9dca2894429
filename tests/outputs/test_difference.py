"""`mathlab diff`: which cells, rows, columns and files differ, and what cannot be compared."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mathlab.errors import MathlabError
from mathlab.outputs import difference
from mathlab.outputs.difference import Change, Difference, OneSided, compare, renewal
from mathlab.stages.table import every_file

NODES = "case,role,name,index,value,gradient\n"
FIGURES = "case,stage,updates,quantity,index,printed,computed,error,tolerance,verdict,at,erratum\n"
GRADCHECK = (
    "case,parameter,index,derived,complex_step,central,resolution,absolute_error,relative_error,verdict,passed\n"
)


def folder(path: Path, **files: str) -> Path:
    """A folder with these files; `net__nodes` stands for net/nodes.csv."""
    for name, text in files.items():
        file = path / (name.replace("__", "/") + ".csv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return path


def pair(tmp_path: Path, file: str, a: str, b: str) -> tuple[Path, Path]:
    return folder(tmp_path / "a", **{file: a}), folder(tmp_path / "b", **{file: b})


# one cell of nodes.csv in a and in b: are they the same?
CELLS = [
    ("0.5", "0.5", True),
    ("0.5", "0.50", True),
    ("1.0", "1.000000001", True),
    ("1.0", "1.0000000011", False),
    ("1e9", "1000000000.5", True),
    ("0.0", "1e-12", True),
    ("0.0", "1.1e-12", False),
    ("-5.3438e-08", "5.3438e-08", False),
    ("nan", "nan", True),
    ("nan", "NaN", True),
    ("nan", "", False),
    ("nan", "1.0", False),
    ("inf", "inf", True),
    ("inf", "Infinity", True),
    ("inf", "-inf", False),
    ("1.0", "inf", False),
    ("1e400", "2e400", False),
    ("1e400", "inf", False),
    ("inf", "1.0", False),
    ("1e308", "-1e308", False),
    ("", "", True),
    ("", "0.0", False),
    ("0.0", "", False),
    ("match", "match", True),
    ("match", "Match", False),
    ("match", "1.0", False),
]


@pytest.mark.parametrize(("a", "b", "same"), CELLS)
def test_cells(a: str, b: str, same: bool, tmp_path: Path) -> None:
    row = 'base,node,W,"0,1",{},1.0\n'
    found = compare(*pair(tmp_path, "nodes", NODES + row.format(a), NODES + row.format(b)))
    assert found.same == same
    assert (found.files, found.cells, found.missing) == (("nodes.csv",), 3, 0)
    assert [(change.key, change.column, change.a, change.b) for change in found.changes] == (
        [] if same else [("case=base, name=W, index=0,1", "value", a, b)]
    )


def test_tolerances_are_the_callers(tmp_path: Path) -> None:
    a, b = pair(tmp_path, "nodes", NODES + "base,node,W,,1.0,8.0\n", NODES + "base,node,W,,1.25,8.0\n")
    assert not compare(a, b, rtol=0.1).same
    assert compare(a, b, rtol=0.2).same
    assert compare(a, b, rtol=0.0, atol=0.25).same
    assert not compare(a, b, rtol=0.0, atol=0.24).same
    assert compare(a, b).changes[0].error == pytest.approx(0.2)


def test_no_tolerance_means_the_last_bit_counts(tmp_path: Path) -> None:
    a, b = pair(tmp_path, "nodes", NODES + "b,node,W,,0.1,\n", NODES + "b,node,W,,0.10000000000000002,\n")
    assert compare(a, b).same
    assert compare(a, b, rtol=0.0, atol=0.0).changed == 1


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none(wrong: float, tmp_path: Path) -> None:
    with pytest.raises(MathlabError, match=r"^rtol is .*, but a tolerance is a number from 0 up$"):
        compare(tmp_path, tmp_path, rtol=wrong)


def test_rows_are_matched_by_key_whatever_their_order(tmp_path: Path) -> None:
    rows = [f'case {c},node,n{n},"{i},0",{c + n / 7 + i},{i}\n' for c in range(3) for n in range(4) for i in range(5)]
    shuffled = random.Random(0).sample(rows, len(rows))
    found = compare(*pair(tmp_path, "nodes", NODES + "".join(rows), NODES + "".join(shuffled)), rtol=0.0, atol=0.0)
    assert found.same
    assert found.cells == 3 * len(rows)


def test_rows_of_one_side(tmp_path: Path) -> None:
    a = NODES + "base,node,x,,1.0,\nbase,node,y,,1.0,\n"
    b = NODES + "base,node,y,,1.0,\nbase,node,z,0,1.0,\nother,node,y,,1.0,\n"
    found = compare(*pair(tmp_path, "nodes", a, b))
    assert found.one_sided == (
        OneSided("nodes.csv", "row", "case=base, name=x", "a"),
        OneSided("nodes.csv", "row", "case=base, name=z, index=0", "b"),
        OneSided("nodes.csv", "row", "case=other, name=y", "b"),
    )
    assert (found.same, found.missing, found.cells, found.changed) == (False, 3, 3, 0)


def test_a_quantity_that_is_printed_twice(tmp_path: Path) -> None:
    row = "base,backprop,,loss,,{},{},0.0,0.005,match,,\n"
    a = FIGURES + row.format("0.50", "0.5") + row.format("0.500", "0.5")
    b = FIGURES + row.format("0.50", "0.5") + row.format("0.500", "0.625") + row.format("0.5", "0.5")
    found = compare(*pair(tmp_path, "figures", a, b))
    key = "case=base, stage=backprop, quantity=loss"
    assert [(change.key, change.column, change.b) for change in found.changes] == [
        (f"{key} (no. 2)", "computed", "0.625")
    ]
    assert found.one_sided == (OneSided("figures.csv", "row", f"{key} (no. 3)", "b"),)


def test_its_rows_in_another_order(tmp_path: Path) -> None:
    row = "base,backprop,,loss,,{},0.5,0.0,0.005,match,{},\n"
    rows = [row.format(printed, at) for printed, at in (("0.50", "5.4"), ("0.500", "5.4"), ("0.50", "5.40"))]
    assert compare(*pair(tmp_path, "figures", FIGURES + "".join(rows), FIGURES + "".join(reversed(rows)))).same


FIGURE = "base,backprop,,loss,,{printed},{computed},{error},0.005,{verdict},,\n"
AS_BEFORE = {"printed": "100.50", "computed": "100.5", "error": "0.0", "verdict": "match"}
FIGURE_CELLS = [
    ({}, []),
    # computed moved by less than its tolerance, and error with it: by all of itself
    ({"computed": "100.50000000000001", "error": "1.4210854715202004e-14"}, []),
    ({"computed": "100.50000005", "error": "5e-08"}, []),
    ({"error": "2e-07"}, ["error"]),
    ({"computed": "100.6", "error": "0.1"}, ["computed", "error"]),
    ({"verdict": "truncated"}, ["verdict"]),
    ({"printed": "100.5"}, ["printed"]),  # the same number, but another claim
]


@pytest.mark.parametrize(("change", "columns"), FIGURE_CELLS)
def test_figures(change: dict[str, str], columns: list[str], tmp_path: Path) -> None:
    a, b = FIGURE.format(**AS_BEFORE), FIGURE.format(**{**AS_BEFORE, **change})
    found = compare(*pair(tmp_path, "figures", FIGURES + a, FIGURES + b))
    assert sorted(change.column for change in found.changes) == columns


CHECK = (
    'base,W,"0,1",{derived},{complex_step},{central},{resolution},{absolute_error},{relative_error},confirmed,true\n'
)
CHECKED = {
    "derived": "-5.34e-08",
    "complex_step": "-5.34e-08",
    "central": "-5.34e-08",
    "resolution": "1e-23",
    "absolute_error": "6.6e-24",
    "relative_error": "1.2e-16",
}
CHECK_CELLS = [
    ({"absolute_error": "0.0", "relative_error": "0.0", "resolution": "3e-23"}, []),  # rounding of rounding
    ({"central": "-5.31e-08"}, []),  # 3e-10: what rounding does to a difference quotient
    ({"central": "5.34e-06"}, ["central"]),
    ({"derived": "-5.345e-08"}, ["derived"]),
    ({"complex_step": "5.34e-08"}, ["complex_step"]),
    ({"absolute_error": "1e-11"}, ["absolute_error"]),
]


@pytest.mark.parametrize(("change", "columns"), CHECK_CELLS)
def test_gradcheck(change: dict[str, str], columns: list[str], tmp_path: Path) -> None:
    a, b = CHECK.format(**CHECKED), CHECK.format(**{**CHECKED, **change})
    found = compare(*pair(tmp_path, "gradcheck", GRADCHECK + a, GRADCHECK + b))
    assert sorted(change.column for change in found.changes) == columns


def test_training_columns_of_one_side(tmp_path: Path) -> None:
    a = "case,epoch,loss,norm(dW)\nbase,0,0.5,1.0\nbase,1,0.25,0.5\n"
    b = "case,epoch,p[0],loss\nbase,0,0.5,0.5\nbase,1,0.5,0.25\n"
    found = compare(*pair(tmp_path, "training", a, b))
    assert found.one_sided == (
        OneSided("training.csv", "column", "norm(dW)", "a"),
        OneSided("training.csv", "column", "p[0]", "b"),
    )
    assert (found.cells, found.changed) == (2, 0)


def test_trees_and_their_files(tmp_path: Path) -> None:
    text = NODES + "base,node,x,,1.0,\n"
    a = folder(tmp_path / "a", net__nodes=text, net__training="case,epoch,loss\nbase,0,1.0\n", mlp__nodes=text)
    b = folder(tmp_path / "b", net__nodes=text.replace("1.0", "1.5"), gone__nodes=text, mlp__nodes=text)
    (a / "net" / "run.json").write_text('{"numpy": "2.0"}')
    (b / "net" / "run.json").write_text('{"numpy": "2.1"}')
    found = compare(a, b)
    assert found.files == ("mlp/nodes.csv", "net/nodes.csv")
    assert [(change.file, change.a, change.b) for change in found.changes] == [("net/nodes.csv", "1.0", "1.5")]
    assert found.one_sided == (
        OneSided("net/training.csv", "file", "net/training.csv", "a"),
        OneSided("gone/nodes.csv", "file", "gone/nodes.csv", "b"),
    )
    assert compare(a / "mlp", b / "mlp").same
    assert not compare(a / "net", b / "net").same
    # two files may have any names: nodes.csv is known by its columns, too
    (tmp_path / "old.csv").write_text(text)
    assert compare(tmp_path / "old.csv", a / "net" / "nodes.csv").same
    assert compare(a / "net" / "nodes.csv", tmp_path / "old.csv").cells == 3


def test_the_worst_comes_first_and_the_counts_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "LISTED", 3)
    a = NODES + "".join(f"base,node,x,{i},1.0,1.0\n" for i in range(10)) + "base,node,y,,1.0,\n"
    b = NODES + "".join(f"base,node,x,{i},{1 + i / 10},{1 - i / 20}\n" for i in range(10)) + "base,node,y,,nan,\n"
    b += "".join(f"base,node,z,{i},,\n" for i in range(5))
    found = compare(*pair(tmp_path, "nodes", a, b))
    assert found.changed == 19
    assert [(change.column, change.b) for change in found.changes] == [
        ("value", "nan"),
        ("gradient", "0.55"),
        ("gradient", "0.6"),
    ]
    assert found.missing == 5
    assert [item.what for item in found.one_sided] == [f"case=base, name=z, index={i}" for i in range(3)]


def test_tables_of_others(tmp_path: Path) -> None:
    def changes(a: str, b: str) -> list[tuple[str, str]]:
        return [(change.key, change.column) for change in compare(*pair(tmp_path, "other", a, b)).changes]

    assert changes("name,v\nx,1\ny,2\n", "name,v\nx,1\ny,3\n") == [("2", "v")]
    assert changes("a,b\n.1,2\n.1,\n", "a,b\n.1,2\n.1,4\n") == [("2", "b")]
    assert changes("a\nx\ny\n", "a\nx\nz\n") == [("2", "a")]
    assert changes("v,v\n1,2\n", "v,v\n1,3\n") == [("1", "v (2)")]


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MathlabError, match=r"nowhere does not exist$"):
        compare(tmp_path / "nowhere", tmp_path)
    a = folder(tmp_path / "a", nodes=NODES)
    with pytest.raises(MathlabError, match=r"one is a folder, the other a file$"):
        compare(a, a / "nodes.csv")
    with pytest.raises(MathlabError, match=r"have no rows$"):
        compare(a, a)
    b = folder(tmp_path / "b", other="x\n1\n")
    with pytest.raises(MathlabError, match=r"have no CSV file in common$"):
        compare(a, b)
    with pytest.raises(MathlabError, match=r"^/dev/zero is neither a file nor a folder$"):
        compare(Path("/dev/zero"), b / "other.csv")
    os.mkfifo(b / "pipe.csv")
    with pytest.raises(MathlabError, match=r"pipe\.csv is not a file$"):
        compare(b, b)
    with pytest.raises(MathlabError, match=r"have no CSV file in common$"):
        compare(folder(tmp_path / "tree", net__nodes=NODES), a)


BROKEN = [
    (b"", "it has no columns"),
    (b"case,role,name,index,value,gradient\nbase,node,x\n", "line 2 has 3 cells, and the header 6"),
    (b"case,index,name\n1,2,3,4\n", "line 2 has 4 cells, and the header 3"),
    (b'case,name,index,value\nbase,x,"0,1\n', "unexpected end of data in line 2"),
    (b"case,name,index,value\nbase,\xff,0,1\n", "'utf-8' codec can't decode byte 0xff"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_what_is_no_table(text: bytes, message: str, tmp_path: Path) -> None:
    a = folder(tmp_path / "a", nodes=NODES)
    (tmp_path / "broken.csv").write_bytes(text)
    with pytest.raises(MathlabError) as caught:
        compare(a / "nodes.csv", tmp_path / "broken.csv")
    assert str(caught.value).startswith(f"{tmp_path / 'broken.csv'} is not a CSV table: {message}")


def test_a_file_without_its_key(tmp_path: Path) -> None:
    a, b = pair(tmp_path, "nodes", NODES + "base,node,x,,1.0,\n", "case,name,value\nbase,x,1.0\n")
    with pytest.raises(MathlabError, match=r"nodes\.csv has no column 'index', by which its rows are told apart$"):
        compare(a, b)


@pytest.mark.parametrize(
    ("changes", "one_sided", "most", "shown"),
    [
        (5, 0, 3, (3, 0)),
        (0, 5, 3, (0, 3)),
        (5, 5, 4, (2, 2)),
        (5, 1, 4, (3, 1)),
        (1, 5, 4, (1, 3)),
        (5, 5, 0, (0, 0)),
        (5, 5, 1, (1, 0)),
        (1, 1, 9, (1, 1)),
    ],
)
def test_no_more_than_asked_for_and_some_of_both(
    changes: int, one_sided: int, most: int, shown: tuple[int, int]
) -> None:
    found = Difference(
        files=("a.csv",),
        cells=9,
        changed=changes,
        changes=tuple(Change("a.csv", str(at), "value", "1", "2", 1.0) for at in range(changes)),
        missing=one_sided,
        one_sided=tuple(OneSided("a.csv", "row", str(at), "a") for at in range(one_sided)),
    )
    told = found.worst(most)
    assert (len(told.changes), len(told.one_sided)) == shown


@pytest.mark.parametrize("file", every_file())
def test_a_folder_of_another_version_is_said_to_be_one(file: str, tmp_path: Path) -> None:
    layout = every_file()[file]
    out = tmp_path / "my outputs"
    (out / "net").mkdir(parents=True)
    written = out / "net" / file
    written.write_text(",".join(layout.columns) + "\n")
    assert renewal(out) == ""
    written.write_text(",".join(layout.columns[:-1]) + "\n")
    how = f"`mathlab run --out '{out}' FILE…` of its configs makes the folder anew"
    assert renewal(out) == renewal(out / "net") == f"{written} is not as this version of mathlab writes it; {how}"
