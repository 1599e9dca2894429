"""The commands that read an article: what they print, write and end with."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mathlab import config
from mathlab.article import check
from mathlab.article.pool import quantities
from mathlab.article.text import read
from mathlab.cli import app

GUIDE = Path(__file__).parents[2] / "mathlab" / "guide" / "article.md"
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's own article and config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_document_beside_the_configs_has_the_path_that_a_repository_knows(folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "articles").mkdir()
    (folder / "articles" / "a.md").write_text("The loss is 0.123.\n", encoding="utf-8")
    config = "source: {article: ../articles/a.md}\nparameters: {x: 3}\nequations: {y: x * x}\nexpected: {y: 9}\n"
    (folder / "configs" / "net.yaml").write_text(config, encoding="utf-8")
    assert "::error file=articles/a.md,line=1," in invoke("run", "configs", "--format", "github").stdout


def test_an_array_in_another_order_is_told_at_the_line_of_each_number() -> None:
    Path("net.md").write_text("p = [0.450166 0.549834]\n", encoding="utf-8")
    net = "source: {article: net.md}\ninputs: {x: [0.5, 0.3]}\nequations: {p: softmax(x), L: sum(p * x)}\n"
    Path("net.yaml").write_text(f"{net}expected: {{p: [0.549834, 0.450166]}}\n", encoding="utf-8")
    told = invoke("article", "net.md", "--format", "github")
    assert told.exit_code == 1
    assert "::error file=net.md,line=1,col=6::net.md: 0.450166 at 1:6: open: p has 0.549834 there" in told.stdout


def test_the_guide_goes_as_it_says() -> None:
    assert invoke("article", "notes.md").exit_code == 1
    assert invoke("article", "--write", "notes.md").exit_code == 0
    ran = invoke("run", "neuron.yaml", "--quiet")
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (0, "2 figures, 2 match, 0 errata confirmed")
    rows = Path("outputs/neuron/article.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "document,line,column,number,status,by"
    assert rows[-1] == "notes.md,11,24,0.378388,checked,dw"
    changed = Path("notes.md").read_text(encoding="utf-8").replace("0.378388", "0.378398")
    Path("notes.md").write_text(changed, encoding="utf-8")
    ran = invoke("run", "neuron.yaml", "--quiet")
    assert ran.exit_code == 1
    assert "0.378388 of dw is printed nowhere at 'Backward'; the document has 0.378398, notes.md:11:24" in ran.stdout


def test_what_stands_nowhere_is_like_a_number_as_long_as_it_is() -> None:
    Path("net.md").write_text("From w = 0.5 comes 0.36.\n", encoding="utf-8")
    net = "source: {article: net.md}\nparameters: {w: 0.5}\nequations: {y: 0.77 * w}\nexpected: {y: 0.385}\n"
    Path("net.yaml").write_text(net, encoding="utf-8")
    assert "0.385 of y is printed nowhere\n" in invoke("article", "net.md").stdout
    Path("net.md").write_text("From w = 0.5 comes 0.386.\n", encoding="utf-8")
    assert "0.385 of y is printed nowhere; the document has 0.386, net.md:1:20\n" in invoke("article", "net.md").stdout


def test_what_is_written_keeps_every_line_that_was_there() -> None:
    before = Path("neuron.yaml").read_text(encoding="utf-8")
    assert "figures written into neuron.yaml: 2\n" in invoke("article", "--write", "notes.md").stdout
    assert Path("neuron.yaml").read_text(encoding="utf-8").startswith(before)


def test_suggesting_writes_nothing() -> None:
    before = Path("neuron.yaml").read_bytes()
    told = invoke("article", "--suggest", "notes.md")
    assert told.exit_code == 1
    assert 'dw: {printed: 0.378388, at: "Backward"}' in told.stdout
    assert "written" not in told.stdout
    assert Path("neuron.yaml").read_bytes() == before


def test_a_config_of_the_document_that_cannot_be_read_is_told() -> None:
    Path("other.yaml").write_text("source: {article: others.md}\nequations: {y: 2 x}\n", encoding="utf-8")
    assert invoke("article", "notes.md").exit_code == 1
    Path("neuron.yaml").write_text(FILES["neuron.yaml"].replace("sigmoid", "sigmod"), encoding="utf-8")
    told = invoke("article", "notes.md")
    assert told.exit_code == 2
    assert "neuron.yaml:5:16: unknown function 'sigmod'; did you mean 'sigmoid'?" in told.output


def test_no_config_is_replaced_by_one_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("neuron.yaml").read_bytes()
    monkeypatch.setattr(check, "written", lambda text, figures: (text + "expected: {nothing: 1.0}\n", []))
    told = invoke("article", "--write", "notes.md")
    assert told.exit_code == 2
    assert "unknown name 'nothing'" in told.output
    assert Path("neuron.yaml").read_bytes() == before


UNSHARED = """\
source: {article: net.md}
inputs: {x: [0.7, -1.3], t: 0.45}
parameters: {w: [0.31, -0.42]}
equations:
  s: w @ x / sqrt(2)
  o: tanh(s)
  L: (o - t)**2 / 2
"""


def test_what_is_written_is_read_again() -> None:
    """Gradients of parts of an equation, and parts without a name, are computed too and are no keys of figures."""
    Path("net.yaml").write_text(UNSHARED, encoding="utf-8")
    o = math.tanh((0.31 * 0.7 + 0.42 * 1.3) / math.sqrt(2))
    Path("net.md").write_text(f"The root of 2 is 1.4142136, and do = {o - 0.45:.8f}.\n", encoding="utf-8")
    told = invoke("article", "--write", "net.md").stdout
    assert f"do: {{printed: {o - 0.45:.8f}" in told
    assert "1.4142136 fits nothing" in told
    assert invoke("run", "net.yaml", "--quiet").stdout.endswith("1 figure, 1 match, 0 errata confirmed\n")


@pytest.mark.parametrize(
    "equations",
    [
        {"S": "X @ W + b", "P": "softmax(S)", "l": "-log(P[:, 0])", "L": "mean(l)"},
        {"A": "softmax(X @ X.T / sqrt(2))", "C": "A @ X + b[:2]", "L": "sum((C - 0.3)**2) / 2"},
    ],
)
def test_every_key_that_may_be_suggested_is_a_figure_of_a_config(equations: dict[str, str]) -> None:
    plain = {
        "inputs": {"X": [[1.0, 0.5], [-0.3, 0.8]]},
        "parameters": {"W": [[0.4, -0.1, 0.2], [0.2, 0.7, -0.6]], "b": [0.1, 0.0, -0.2]},
        "equations": equations,
    }
    Path("plain.yaml").write_text(json.dumps(plain), encoding="utf-8")
    expected: dict[str, object] = {}
    for quantity in quantities(config.load(Path("plain.yaml"))):
        expected[quantity.key] = quantity.value.tolist()
        expected[quantity.entry(quantity.value.size - 1)] = quantity.value.ravel()[-1].item()
    Path("every.yaml").write_text(json.dumps({**plain, "expected": expected}), encoding="utf-8")
    ran = invoke("backprop", "every.yaml", "--quiet")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.count("figures") == 1


def test_update_mends_the_text_too() -> None:
    invoke("article", "--write", "notes.md")
    for name in ("notes.md", "neuron.yaml"):
        text = Path(name).read_text(encoding="utf-8")
        Path(name).write_text(text.replace("0.378388", "0.379388"), encoding="utf-8")
    before = Path("notes.md").read_text(encoding="utf-8")
    looked = invoke("update", "--article", "--dry-run", "neuron.yaml")
    assert looked.stdout.splitlines()[-1] == "notes.md:11:24: 0.379388 -> 0.378388"
    assert Path("notes.md").read_text(encoding="utf-8") == before
    assert invoke("update", "--article", "neuron.yaml").exit_code == 0
    assert Path("notes.md").read_text(encoding="utf-8") == before.replace("0.379388", "0.378388")


# A digit that is wrong in a text, and how y = 18512.5 and r = -0.12625 stand there instead.
NOTATIONS = [
    ("a.md", "18,912.5", "18,512.5"),
    ("a.tex", "$18\\,912.5$", "$18\\,512.5$"),
    ("a.tex", "$18{,}912.5$", "$18{,}512.5$"),
    ("a.html", "18&#8239;912.5", "18&#8239;512.5"),
    ("a.md", "18.912,5 und 0,25", "18.512,5 und 0,25"),
    ("a.md", "$1.8912 \\times 10^{4}$", "$1.8512 \\times 10^{4}$"),
    ("a.html", "1.8912 × 10<sup>4</sup>", "1.8512 × 10<sup>4</sup>"),
    ("a.md", "\u221212.925 %", "\u221212.625 %"),
    ("a.md", "$10^{-2} \\begin{pmatrix} -12.925 \\end{pmatrix}$", "$10^{-2} \\begin{pmatrix} -12.625 \\end{pmatrix}$"),
    ("a.md", "-.12925", "-.12625"),
    ("a.md", "12.925 %", "-12.625 %"),
    ("a.md", "\u221218,912.5", "18,512.5"),
]


@pytest.mark.parametrize(("name", "old", "new"), NOTATIONS)
def test_update_writes_a_number_as_it_stands_in_the_text(name: str, old: str, new: str) -> None:
    Path(name).write_text(f"It is {old} here.\n", "utf-8")
    (number,) = (one for one in read(Path(name)).numbers if "9" in one.text)
    key = "r" if abs(number.meant.value) < 1 else "y"
    net = "inputs: {x: 18000, p: -0.126}\nequations: {r: p - 0.00025, y: x + 512.5}\n"
    Path("a.yaml").write_text(f"source: {{article: {name}}}\n{net}expected: {{{key}: {number.meant.text}}}\n", "utf-8")
    invoke("update", "--article", "a.yaml")
    assert Path(name).read_text("utf-8") == f"It is {new} here.\n"


NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "source": ["0.379388\n"], "outputs": []},
        {"cell_type": "markdown", "source": ['# A "neuron"\n', "\U0001d6fd = \u22120.5, and y = 0.851953.\n"]},
        {
            "cell_type": "code",
            "source": "print(dw)  # 0.379388",
            "outputs": [{"output_type": "stream", "text": ["0.379388\n"]}, {"data": {"text/plain": "y is 0.851953"}}],
        },
    ]
}


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_update_mends_a_notebook_too(ascii: bool, indent: int | None) -> None:
    config_text = FILES["neuron.yaml"].replace("notes.md", "notes.ipynb") + "expected: {y: 0.851953, dw: 0.379388}\n"
    Path("neuron.yaml").write_text(config_text, encoding="utf-8")
    for keys in (False, True):
        before = json.dumps(NOTEBOOK, indent=indent, ensure_ascii=ascii, sort_keys=keys)
        Path("notes.ipynb").write_text(before, encoding="utf-8")
        Path("neuron.yaml").write_text(config_text, encoding="utf-8")
        done = invoke("update", "--article", "neuron.yaml")
        after = Path("notes.ipynb").read_text(encoding="utf-8")
        assert done.stdout.splitlines()[-1] == "notes.ipynb, cell 3:1:1: 0.379388 -> 0.378388"
        cells = json.loads(after)["cells"]
        assert cells[2]["outputs"][0]["text"] == ["0.378388\n"]
        assert after.replace("0.378388", "0.379388") == before
        assert after.count("0.379388") == 2
    Path("notes.ipynb").write_text(before.replace(": ", ":  "), encoding="utf-8")
    Path("neuron.yaml").write_text(config_text, encoding="utf-8")
    refused = invoke("update", "--article", "neuron.yaml")
    assert (refused.exit_code, "no program lays out a notebook so" in refused.output) == (2, True)
    assert Path("neuron.yaml").read_text(encoding="utf-8") == config_text


def test_update_mends_each_document_of_an_article() -> None:
    """Of which one lacks the heading of the other's figures."""
    figures = "expected: {y: {printed: 0.851963, at: One}, dw: {printed: 0.378389, at: Two}}\n"
    Path("neuron.yaml").write_text(FILES["neuron.yaml"].replace("notes.md", "[one.md, two.md]") + figures, "utf-8")
    for name, text in {"one.md": "# One\n\n0.851963\n", "two.md": "# Two\n\n0.378389\n"}.items():
        Path(name).write_text(text, "utf-8")
    assert invoke("update", "--article", "neuron.yaml").exit_code == 0
    assert [Path(name).read_text("utf-8")[-9:-1] for name in ("one.md", "two.md")] == ["0.851953", "0.378388"]


def test_update_mends_a_text_of_windows_too() -> None:
    invoke("article", "--write", "notes.md")
    Path("neuron.yaml").write_text(Path("neuron.yaml").read_text("utf-8").replace("0.378388", "0.379388"), "utf-8")
    text = "\ufeff" + FILES["notes.md"].replace("0.378388", "0.379388").replace("\n", "\r\n")
    Path("notes.md").write_bytes(text.encode())
    assert invoke("update", "--article", "neuron.yaml").exit_code == 0
    assert Path("notes.md").read_bytes() == text.replace("0.379388", "0.378388").encode()


def test_a_config_starts_from_an_article(folder: Path) -> None:
    Path("notes.md").write_text('# It\'s "one"\n\nwith $z = w x$ and\n\n    y = f(z)\n', encoding="utf-8")
    assert invoke("init", "new", "--from", "notes.md").exit_code == 0
    text = Path("new.yaml").read_text(encoding="utf-8")
    assert "#   z = w x\n#   y = f(z)\n" in text
    made = config.load("new.yaml")
    assert (made.title, [name for name, _ in made.source.article]) == ('It\'s "one"', ["notes.md"])
    Path("a.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": ["$\\eta = x$"]}]}), "utf-8")
    assert invoke("init", "notebook", "--from", "a.ipynb").exit_code == 0
    assert "#   \\eta = x\n" in Path("notebook.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.tex", "% \\title{Old}\n\\title{By\n  hand}\n\\section{First}\nw = 1\n", "By hand"),
        ("b.md", '---\ndate: 2024\ntitle: "By hand"\n---\n\n# First\n', "By hand"),
        ("c.html", "<title>Site: by hand</title><h1>By <i>hand</i></h1>", "By hand"),
        ("d.md", "# First\n\ntitle: none\n", "First"),
        ("e.md", "# \U0001f9e9 By\x9f hand\n", "\U0001f9e9 By hand"),
    ],
)
def test_a_config_has_the_title_of_its_article(name: str, text: str, title: str) -> None:
    Path(name).write_text(text, encoding="utf-8")
    assert invoke("init", "new", "--from", name).exit_code == 0
    assert config.load("new.yaml").title == title


def test_every_format(folder: Path) -> None:
    record = json.loads(invoke("article", "notes.md", "--format", "json").stdout)
    assert [number["status"] for number in record["article"]["numbers"]] == ["given", "given", "open", "open"]
    github = invoke("article", "notes.md", "--format", "github").stdout.splitlines()
    assert github[0].startswith("::error file=notes.md,line=7,col=22::")
    Path("notes.md").write_text(Path("notes.md").read_text().replace("0.378388", "0.378398"), encoding="utf-8")
    record = json.loads(invoke("article", "--suggest", "notes.md", "--format", "json").stdout)
    assert [one["near"] for one in record["article"]["undecided"]] == [
        "dw of neuron, base is 0.378388: one digit differs"
    ]
    annotations = invoke("article", "--suggest", "notes.md", "--format", "github").stdout
    assert "open; nearly: dw of neuron, base is 0.378388: one digit differs" in annotations
    for form in ("plain", "junit", "markdown"):
        assert "0.851953" in invoke("article", "notes.md", "--format", form).stdout


def test_a_document_without_numbers_compares_nothing() -> None:
    Path("notes.md").write_text("# A neuron by hand\n", "utf-8")
    assert invoke("article", "notes.md").exit_code == 2
    Path("neuron.yaml").write_text(FILES["neuron.yaml"] + "expected: {y: 0.851953}\n", "utf-8")
    assert invoke("article", "notes.md").exit_code == 1


WRONG = [
    (("article", "nothing.md"), "nothing.md cannot be read"),
    (("article", "notes.md", "-c", "nothing.yaml"), "nothing.yaml does not exist"),
    (("article", "neuron.yaml"), "a document ends in one of"),
    (("article", "other.md"), "no config below this folder has other.md as its source"),
    (("init", "new", "--from", "nothing.md"), "nothing.md cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    Path("other.md").write_text("0.5", encoding="utf-8")
    result = invoke(*arguments)
    assert (result.exit_code, message in result.stderr, "Traceback" in result.stderr) == (2, True, False)


def test_documents_are_each_held_against_what_computes_them() -> None:
    """A part of an article alone, documents of several configs at once, and those that no config names."""
    Path("neuron.yaml").write_text(
        FILES["neuron.yaml"].replace("notes.md", "[one.md, two.md]") + "expected: {y: 0.851953, dw: 0.378388}\n",
        "utf-8",
    )
    Path("other.yaml").write_text(
        "source: {article: three.md}\ninputs: {z: 0.625}\nequations: {v: z * 3}\nexpected: {v: 1.875}\n", "utf-8"
    )
    Path("_config.yml").write_text("title: README.md\narticles: 3\n", "utf-8")
    texts = {"one.md": "y = 0.851953", "two.md": "dw = 0.378388", "three.md": "v = 1.875", "README.md": "in 0.625 s"}
    for name, text in texts.items():
        Path(name).write_text(f"{text}\n", "utf-8")
    assert invoke("article", "one.md").stdout.splitlines()[-1].startswith("1 number: 1 checked, 0 given")
    assert invoke("article", "one.md", "two.md", "three.md").exit_code == 0
    unnamed = invoke("article", "README.md", "one.md")
    assert (unnamed.exit_code, "no config below this folder has README.md" in unnamed.output) == (2, True)
    assert invoke("article", "--skip-unnamed", "README.md", "one.md").exit_code == 0
    assert invoke("article", "--skip-unnamed", "README.md").exit_code == 0
    Path("two.md").write_text("dw = 0.625\n", "utf-8")  # which is given, but in the other config
    told = invoke("article", "one.md", "two.md", "three.md").stdout
    assert told.splitlines()[-1].startswith(
        "3 numbers: 2 checked, 0 given, 0 ignored, 1 open; 1 printed figure missing"
    )


# Of w = [1, 2] both are [0.1, 0.2]; of w = [1, 3] one of them is not.
TWINS = """
source: {article: twins.md}
inputs: {x: [0.1, 0.1], y: [0.1, 0.2]}
parameters: {w: [1, 2]}
equations: {z: x * w, q: y * 1, s: sum(z)}
expected: {z: [0.10, 0.20], "z[1]": 0.20, "q[1]": 0.20, s: 0.30}
"""


@pytest.mark.parametrize("point", [".", ","])
def test_where_figures_that_differ_were_printed_alike_the_text_stays(point: str) -> None:
    """An array stands where all of it stands; of single numbers none knows which is which."""
    text = f"# Twins\n\nz is [0{point}10; 0{point}20], one is 0{point}20, the sum 0{point}30.\n"
    Path("twins.md").write_text(text, "utf-8")
    Path("twins.yaml").write_text(TWINS.replace("w: [1, 2]", "w: [1, 3]"), "utf-8")
    assert invoke("update", "--article", "twins.yaml").stdout.splitlines()[-3:] == [
        "twins.md:3:13: 0.20 -> 0.30",
        "twins.md:3:27: left as it is, for figures that differ now were printed so",
        "twins.md:3:41: 0.30 -> 0.40",
    ]
    changed = text.replace(f"; 0{point}20", f"; 0{point}30").replace(f"sum 0{point}30", f"sum 0{point}40")
    assert Path("twins.md").read_text("utf-8") == changed


def test_an_at_that_is_suggested_holds_no_number() -> None:
    """Else it is nowhere as soon as that number changes."""
    Path("plain.txt").write_text("We know that y = 0.851953 and then that dw = 0.378388.\n", "utf-8")
    Path("neuron.yaml").write_text(FILES["neuron.yaml"].replace("notes.md", "plain.txt"), "utf-8")
    assert 'dw: {printed: 0.378388, at: "and then that dw"}' in invoke("article", "--suggest", "plain.txt").stdout
