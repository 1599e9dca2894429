"""mathlab from Python: what the README and the docstrings show, and that importing it is cheap."""

from __future__ import annotations

import doctest
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import mathlab
from mathlab import MathlabError, Result, api, changed, load, run
from mathlab.outputs.tables import tables_of
from mathlab.results import ExperimentResult
from mathlab.stages.table import every_file
from tests.test_pytest_plugin import GOOD

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "mathlab" / "guide" / "reading.md")
SIGMOID = ROOT / "configs" / "sigmoid-2-2-2.yaml"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Of a config with something for each stage but sweep."""
    path = tmp_path_factory.mktemp("configs") / "good.yaml"
    path.write_text(GOOD)
    return run(load(path))


def test_what_there_is_is_listed() -> None:
    assert {"run", "load", "changed"} <= {*dir(mathlab)}


def test_the_docstring_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, attempted = doctest.testmod(api)
    assert attempted
    assert not failed


def test_the_readme_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    sessions = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if block.startswith(">>> ")]
    assert sessions
    for session in sessions:
        test = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)
        assert doctest.DocTestRunner().run(test).failed == 0


def test_the_result_is_the_frozen_record_of_the_command(result: Result) -> None:
    assert isinstance(result, ExperimentResult)
    assert result.passed
    assert [case.case for case in result.cases] == ["base"]
    with pytest.raises(FrozenInstanceError):
        result.cases = ()  # type: ignore[misc]  # which is the point
    assert repr(result).startswith("<good: 4 figures, ")
    assert repr(result.experiment).endswith(": base>")


@pytest.mark.parametrize("file", [file for file in every_file() if file != "sweep.csv"])  # nothing is swept there
def test_a_frame_is_the_table(result: Result, file: str) -> None:
    layout, table = every_file()[file], tables_of(result)[file]
    frame = result.frame(file.removesuffix(".csv"))
    assert tuple(frame.columns) == table.columns
    assert len(frame) == len(table.rows) > 0
    assert set(layout.kinds) <= set(layout.columns)
    for at, name in enumerate(table.columns):
        texts = [row[at] for row in table.rows]
        kind = "float64" if name not in layout.columns else layout.kinds.get(name)
        if kind is None:
            assert list(frame[name]) == texts
            # a new column of numbers is to be named in `kinds`; these are texts that may look like numbers
            assert name in ("index", "printed", "shape", "derived", "formula") or not all(map(_is_number, texts)), name
            continue
        assert str(frame[name].dtype) == kind
        for text, value in zip(texts, frame[name], strict=True):
            if text == "":
                assert pd.isna(value)
            elif kind == "boolean":
                assert bool(value) is (text == "true")
            else:
                np.testing.assert_equal(float(value), float(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_there_is_no_frame_of_what_did_not_run() -> None:
    result = run(load(SIGMOID), "backprop", cases=["second instance"])
    assert [case.case for case in result.cases] == ["second instance"]
    with pytest.raises(MathlabError, match="no table 'training' here, because train did not run"):
        result.frame("training")
    with pytest.raises(MathlabError, match="unknown table 'figure'; did you mean 'figures'"):
        result.frame("figure")


def test_what_the_command_refuses_is_raised(tmp_path: Path) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text("parameters: {x: 3}\nequations: {y: x * x}\n")
    with pytest.raises(MathlabError, match="declares nothing to check"):
        run(load(bare))
    assert run(load(bare), "backprop").frame("nodes")["gradient"].tolist() == [6.0, 1.0]
    with pytest.raises(MathlabError, match="unknown case 'bse'; did you mean 'base'"):
        run(load(bare), "backprop", cases=["bse"])
    with pytest.raises(MathlabError, match="does not exist"):
        load(tmp_path / "missing.yaml")


class Page(HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_notebooks_show_the_report_of_what_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "net.yaml"
    config.write_text("title: <b>[a]&\nparameters: {x: 3}\nequations: {y: x * x}\nexpected: {y: 9.0}\n")
    result = run(load(config), "gradcheck")
    text = io.StringIO()
    Console(file=text, width=120).print(result)
    page = Page()
    page.feed(result._repr_html_())
    assert page.open == []
    assert page.text.strip() == text.getvalue().strip()
    assert text.getvalue().startswith("net: <b>[a]&\n")
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_what_failed(tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text("parameters: {x: 3}\nequations: {y: x * x}\nexpected: {y: 9.5}\n")
    shown = run(load(config))._repr_html_()
    assert re.search(r"<pre.*net\.yaml:3:15.*</pre>", shown, re.DOTALL)


def test_in_a_notebook_the_assertion_shows_nothing_and_is_plain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "net.yaml"
    config.write_text("parameters: {x: 3}\nequations: {y: x * x}\n")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with pytest.raises(AssertionError, match=r"\n {2}dx .* differs\n") as caught:
        mathlab.assert_gradients(config, {"dx": np.array(5.0)})
    assert "\x1b" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_arrays_are_those_of_one_experiment_and_called_as_here(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "nodes.csv").write_text("")
    with pytest.raises(MathlabError, match=r"holds the folders of experiments: name one of them, as .*net$"):
        mathlab.arrays(tmp_path)
    result = run({"parameters": {"x": 3}, "equations": {"y": "x * x"}}, "backprop")
    for word in ("x_grad", "grad_x", "dL_dx"):
        with pytest.raises(MathlabError, match=rf"^there is no array '{word}' here; it is 'dx'$"):
            result[word]


def test_importing_mathlab_is_light_and_typed() -> None:
    code = "import sys, mathlab; print([name for name in ('numpy', 'rich', 'yaml', 'typer') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert Path(mathlab.__file__).with_name("py.typed").exists()
    assert all(hasattr(mathlab, name) for name in mathlab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = mathlab.lod  # type: ignore[attr-defined]  # which is the point


def test_its_arrays_cannot_be_written_to(result: Result) -> None:
    backprop = result.cases[0].backprop
    assert backprop
    for node in backprop.nodes:
        for array in (node.value, node.gradient, *(part.value for part in node.parts)):
            if array is not None:
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 0


NUMBER: Any = 3
UNTYPED: Any = mathlab  # as it is called by who checks no types
ITSELF: Any = {}
ITSELF["inputs"] = ITSELF
REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda of: of[3], "there is no array '3' here"),
    (lambda of: of["base", 3], "there is no array '3' here"),
    (lambda of: of[3, "dw"], "unknown case 3; known are base"),
    (lambda of: of["base", "w", 0], "there is no array"),
    (lambda of: of.frame(3), "unknown table 3; known are "),
    (lambda of: of.draw("graph", direction="up"), "unknown direction 'up'; known are auto, right, down"),
    (lambda of: of.plot("loss", log="q"), "unknown scale 'q'; known are x, y, xy"),
    (lambda of: of.plot("weights"), "^this plot has 2 parts: write it with mathlab plot$"),
    (
        lambda of: of.plot("heat", of=["x", "y"]),
        "^this plot has 2 parts: name one with of=, or write it with mathlab plot$",
    ),
    (lambda of: run(of.experiment, witnesses=[NUMBER]), "unknown witness '3'; known are "),
    (lambda of: run(of.experiment, cases=[NUMBER]), "unknown case '3'; known are base"),
    (lambda of: changed(of.experiment, {NUMBER: 4}), "nothing here is called '3'"),
    (
        lambda of: UNTYPED.changed(of.experiment, ["w=3"]),
        r"^what is set is named, as in {'W\[0,0\]': 0.5}, not \['w=3'\]$",
    ),
    (lambda of: UNTYPED.run([of.experiment]), r"^a config is a path, a mapping, or what load returns, not \[<mapping"),
    (lambda of: UNTYPED.load(ITSELF), "^a config has no place for this: Circular"),
    (lambda of: UNTYPED.load({"equations": {"y": 1}}, allow_large="no"), "^allow_large is True or False, not 'no'$"),
    (
        lambda of: UNTYPED.run(of.experiment, threads="a"),
        "^a matrix product takes a whole number of threads, at least one, not",
    ),
    (lambda of: UNTYPED.run(of.experiment, threads=1.5), "not 1.5$"),
    (lambda of: UNTYPED.arrays(None), "^a folder is a path, not None$"),
    (lambda of: UNTYPED.arrays("a\0b"), r"^a folder is a path, not 'a.x00b'$"),
    (lambda of: UNTYPED.arrays("a" * 300), "cannot be read: File name too long$"),
    (lambda of: UNTYPED.load(""), r"^the config \. is a folder$"),
    (lambda of: UNTYPED.run(of.experiment, of["x"]), r"^unknown command array\(\[1., 2.\]\); known are"),
    (lambda of: of.frame(of["x"]), r"^unknown table array\("),
    (lambda of: UNTYPED.changed(of.experiment, of["x"]), r"^what is set is named, as in .*, not array\("),
    (lambda of: of.plot("curve", of="y", over=of["x"]), r"^over says from where to where, .*, not array\("),
    (lambda of: UNTYPED.run(of.experiment, witnesses=of["x"]), r"^unknown witness '1.0'; known are"),
    (lambda of: UNTYPED.oracle(of.experiment, {"dw": 3}, names=of["x"]), r"^names says what .*, not array\("),
    (lambda of: UNTYPED.oracle(of.experiment, {"dw": 3}, rtol=of["x"]), r"^rtol is a number .*, not array\("),
    (lambda of: of.plot("curve", of="y", over={"w": "a"}), r"over= pairs, as in {'x': \(-4, 4\)}: 'w' is given 'a'$"),
    (lambda of: of.plot("curve", of="y", over=["w"]), r"^over says from where to where, as in {'x': \(-3, 3\)}, not"),
    (lambda of: of.plot("heat", of="x", ax=3), "^ax is one of matplotlib's axes, not 3$"),
    (lambda of: UNTYPED.oracle(None, {}), "^a config is a path, a mapping, or what load returns, not None$"),
    (lambda of: UNTYPED.oracle(of.experiment, [3.0]), r"^arrays are given by name, as in {'dW1': dW1}, not \[3.0\]$"),
    (
        lambda of: UNTYPED.assert_gradients(of.experiment, {"dw": 3}, tol=1),
        "unknown setting 'tol'; did you mean 'rtol'",
    ),
    (lambda of: UNTYPED.assert_gradients(of.experiment, {"dw": 3}, rtol=-1), "rtol is a number from 0 to 0.5, not -1"),
]


def test_what_stands_alone_is_one_and_what_holds_numbers_an_array(tmp_path: Path) -> None:
    class Tensor:
        """As PyTorch's: one that is differentiated gives its numbers to nobody."""

        def __array__(self, dtype: object = None, copy: object = None) -> object:
            raise RuntimeError

        def detach(self) -> object:
            return np.array([1.0, 2.0])

    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "sub").mkdir()
    config = tmp_path / "sub" / "c.yaml"
    config.write_text("inputs: {x: {file: ../x.csv, columns: a}}\nequations: {y: sum(x)}\n")
    with pytest.raises(MathlabError, match="outside"):
        UNTYPED.load(config, allow_files=str(tmp_path / "sub"))  # whose first letter is no folder that is permitted
    assert UNTYPED.load(config, allow_files=tmp_path)
    net: Any = {"inputs": {"x": Tensor()}, "parameters": {"w": Decimal("2.0")}, "equations": {"y": "sum(w * x)"}}
    ran = UNTYPED.run(net, "backprop", cases="base", witnesses="tape")
    assert ran["y"] == 6
    assert UNTYPED.run(ran.experiment, "backprop", cases=None, witnesses=["tape"]).passed
    assert ran.plot("heat", of="x").get_title() == "x"
    UNTYPED.assert_gradients(net, {"dw": 3, "x": Tensor()}, rtol=np.float32(1e-5))
    assert UNTYPED.oracle(net, {"dw": 3}).passed


@pytest.mark.parametrize(("asked", "sentence"), REFUSED)
def test_what_is_not_there_is_one_sentence(asked: Callable[[Any], object], sentence: str) -> None:
    net = {"inputs": {"x": [1, 2]}, "parameters": {"w": 2}, "equations": {"y": "w * x", "L": "sum(y)"}}
    ran = UNTYPED.run({**net, "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}, "expected": {"L": 6}})
    with pytest.raises(MathlabError, match=sentence):
        asked(ran)


def test_a_command_that_does_not_exist(result: Result) -> None:
    with pytest.raises(MathlabError, match=r"^unknown command 'derive'; known are backprop, gradcheck"):
        run(result.experiment, "derive")
