"""What is read is not written to; what is replaced is replaced whole, and never through somebody's link."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mathlab import files
from mathlab.errors import MathlabError
from tests.sandbox import Job, Ran, finish, start

NET = "inputs: {x: {file: x.csv}}\nparameters: {w: 1}\nequations: {loss: sum(w * x)}\nexpected: {loss: 6}\n"
ARRAYS = "case,name,index,value,gradient\nbase,w,,1,6\n"

ALIASES: dict[str, Callable[[Path, Path], None]] = {
    "itself": lambda path, alias: None,
    "hard link": lambda path, alias: alias.hardlink_to(path),
    "link": lambda path, alias: alias.symlink_to(path.name),
    "absolute link": lambda path, alias: alias.symlink_to(path.resolve()),
}
READ = {
    "run c.yaml -o": "c.yaml",
    "run --format json c.yaml -o": "x.csv",
    "backprop -c c.yaml --format junit -o": "x.csv",
    "train -c c.yaml --format github -o": "c.yaml",  # there is nothing to train, which is told in a report as well
    "oracle a.csv -c c.yaml -o": "a.csv",
    "oracle a.csv -c c.yaml --format json -o": "x.csv",
    "diff a.csv x.csv -n 1 --format json -o": "x.csv",
    "diff one two -o": "two/a.csv",
    "article n.md -o": "n.md",
    "article n.md --format json -o": "n.yaml",
    "run n.yaml --format markdown --out . -o": "n.md",
    "backprop c.yaml --set w=2 --out . -o": "c.yaml",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(NET)
    (tmp_path / "x.csv").write_text("x\n1\n2\n3\n")
    (tmp_path / "n.yaml").write_text("source: {article: n.md}\n" + NET)
    (tmp_path / "n.md").write_text("The loss is 6.0.\n")
    for name in ("a.csv", "one/a.csv", "two/a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(ARRAYS)
    return tmp_path


def mathlab(folder: Path, *arguments: str) -> Ran:
    return finish(start(Job(str(folder), arguments, watched=False)))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("command", "target"), READ.items())
def test_a_report_never_takes_the_place_of_an_input(folder: Path, command: str, target: str, alias: str) -> None:
    name = target if alias == "itself" else f"{target}.alias"
    ALIASES[alias](folder / target, folder / name)
    before = contents(folder)
    ran = mathlab(folder, *command.split(), name)
    assert ran.code == 2
    assert f"mathlab: {name} is read by this command, and so it is not written to\n" in ran.err
    assert contents(folder) == before
    assert "passed" not in ran.out


@pytest.mark.parametrize("out", [".", "./"])
def test_nor_does_an_output(folder: Path, out: str) -> None:
    """The outputs of `c.yaml` into `.` would stand in `c/`, and one of them is what the config reads."""
    (folder / "c").mkdir()
    (folder / "x.csv").rename(folder / "c" / "nodes.csv")
    (folder / "c.yaml").write_text(NET.replace("x.csv", "c/nodes.csv"))
    before = contents(folder)
    ran = mathlab(folder, "run", "c.yaml", "--out", out)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "mathlab: c/nodes.csv is read by this command, and so it is not written to\n"
    assert contents(folder) == before


def test_a_session_of_python_may_write_what_it_has_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    files.note(path)
    files.refuse_input(path)
    files.replace_file(path, "new")
    assert path.read_text() == "new"


def test_leftovers_go_with_their_process(tmp_path: Path) -> None:
    kept = {f".mathlab-{os.getppid()}-0123456789abcdef.tmp", ".mathlab-1-nodes.csv.tmp", ".mathlab-x.tmp"}
    for name in (*kept, ".mathlab-999999999-0123456789abcdef.tmp"):  # no process has a number so large
        (tmp_path / name).write_text("half a fi")
    files.replace_file(tmp_path / "report", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "report"}


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)  # all zeros, which somebody foresees
    (tmp_path / "mine").write_text("mine")
    (tmp_path / f".mathlab-{os.getpid()}-{'00' * 8}.tmp").symlink_to("mine")
    with pytest.raises(MathlabError, match="report cannot be written: File exists"):
        files.replace_file(tmp_path / "report", "whole")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "report").exists()


def test_the_names_of_temporary_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "replace", lambda old, new: seen.append(Path(old).name))
    for _ in range(3):
        files.replace_file(tmp_path / ("r" * 250), "whole")
    assert len({*seen}) == 3
    assert all(re.fullmatch(files.TEMPORARY, name) for name in seen)


def test_mode_and_owner_stay(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    files.replace_file(path, "new")
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_nothing_is_replaced_when_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    with pytest.raises(MathlabError, match="b cannot be written: Is a directory"):
        files.replace_files({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert contents(tmp_path) == {"a": b"old"}
