"""`mathlab draw` and `mathlab plot`: files, exit codes, one sentence for bad input."""

from __future__ import annotations

import contextvars
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mathlab import files
from mathlab.cli import app
from mathlab.pictures import gallery

ROOT = Path(__file__).parents[2]
NET = """\
title: Net
inputs: {x: [1, 2]}
equations: {z: W @ x, loss: sum(z**2)}
cases:
  right: {parameters: {W: [[1, 2], [3, 4]]}, expected: {loss: 146}, pictures: [graph, page, network]}
  wrong: {parameters: {W: [[1, 2], [3, 4]]}, expected: {loss: 145}}
  trained:
    parameters: {W: [[0.1, 0.2], [0.3, 0.4]]}
    train: {optimizer: {name: sgd, lr: 0.01}, epochs: 5}
    pictures: page
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


def asked(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_it_draws_what_is_declared(net: Path, tmp_path: Path) -> None:
    ran = asked("draw", net, "--case", "right", "--case", "trained", "--out", tmp_path)
    assert ran.exit_code == 0
    folder = tmp_path / "net" / "pictures"
    assert {path.name for path in folder.iterdir()} == {
        *("right.graph.svg", "right.html", "right.network.svg", "trained.html")
    }
    assert [Path(line).name for line in ran.stdout.split()] == [
        *("right.graph.svg", "right.html", "right.network.svg", "trained.html")
    ]
    assert '"epochs":5' in (folder / "trained.html").read_text(encoding="utf-8")


def test_a_picture_is_there_also_where_figures_fail(net: Path, tmp_path: Path) -> None:
    ran = asked("draw", "--config", net, "--case", "wrong", "--out", tmp_path)
    assert ran.exit_code == 1
    assert "✗ 1 of 1 printed figures differs" in (tmp_path / "net/pictures/wrong.graph.svg").read_text(encoding="utf-8")


def test_one_picture_goes_where_it_is_sent(net: Path, tmp_path: Path) -> None:
    ran = asked("draw", net, "--case", "right", "--as", "mermaid", "-o", "-")
    assert (ran.exit_code, ran.stdout.splitlines()[0]) == (0, "flowchart LR")
    ran = asked("draw", net, "--case", "right", "--as", "graph", "-o", tmp_path / "a.svg", "--direction", "down")
    assert ran.exit_code == 0
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    ran = asked("draw", net, "--case", "right", "-o", "-")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "-o takes one picture, not 3" in ran.stderr


def test_check_tells_what_is_not_as_it_would_be(net: Path, tmp_path: Path) -> None:
    arguments = ("draw", net, "--case", "right", "--out", tmp_path)
    assert asked(*arguments).exit_code == 0
    folder = tmp_path / "net" / "pictures"
    assert asked(*arguments, "--check").exit_code == 0
    graph = folder / "right.graph.svg"
    graph.write_text(graph.read_text(encoding="utf-8").replace('data-v="146.0"', 'data-v="147.0"'), encoding="utf-8")
    (folder / "right.html").unlink()
    (folder / "right.mmd").write_text("flowchart LR\n", encoding="utf-8")
    ran = asked(*arguments, "--check")
    assert ran.exit_code == 1
    assert [line.partition(" is ")[2] for line in ran.stdout.splitlines()] == [
        *("not what would be drawn now", "missing", "not declared")
    ]
    assert "147.0" in graph.read_text(encoding="utf-8")


def test_nothing_is_written_where_it_does_not_belong(net: Path, tmp_path: Path) -> None:

    def guarded() -> Result:
        files.guard()  # as the command itself does
        return asked("draw", net, "--case", "wrong", "-o", net)

    ran = contextvars.copy_context().run(guarded)
    assert (ran.exit_code, net.read_text(encoding="utf-8")) == (2, NET)
    (tmp_path / "out" / "net").mkdir(parents=True)
    (tmp_path / "out" / "net" / "pictures").symlink_to(tmp_path)
    ran = asked("draw", net, "--case", "right", "--out", tmp_path / "out")
    assert ran.exit_code == 2
    assert "is a link that leads out of" in ran.stderr
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert asked("draw", net, "--case", "right", "--out", tmp_path / "file").exit_code == 2


def test_a_case_that_only_trains_is_drawn_too(net: Path, tmp_path: Path) -> None:
    ran = asked("run", net, "--case", "trained", "--out", tmp_path)
    assert ran.exit_code == 2  # for it compares nothing
    assert "nothing was compared" in ran.stderr
    assert '"epochs":5' in (tmp_path / "net/pictures/trained.html").read_text(encoding="utf-8")


def test_where_plots_alone_are_declared_the_graph_is_drawn(net: Path, tmp_path: Path) -> None:
    net.write_text(NET.replace("[graph, page, network]", "[{heat: {of: W}}]"), encoding="utf-8")
    ran = asked("draw", net, "--case", "right", "--out", tmp_path)
    assert (ran.exit_code, [Path(line).name for line in ran.stdout.split()]) == (0, ["right.graph.svg"])


LACKING = """\
inputs: {x: [1, 2]}
parameters: {W: [[1, 2], [3, 4]]}
equations: {z: W @ x, loss: sum(z)}
pictures: [network]
cases: {layered: {expected: {loss: 16}}, flat: {equations: {z: W * x}, expected: {loss: 16}}}
"""


def test_a_picture_is_drawn_of_the_cases_that_have_it(tmp_path: Path) -> None:
    path, said = tmp_path / "lacking.yaml", "case 'flat' has no network to draw"
    path.write_text(LACKING, encoding="utf-8")
    for command in (("draw", path), ("draw", path, "--as", "network"), ("run", path)):
        ran = asked(*command, "--out", tmp_path / command[0])
        assert (ran.exit_code, ran.stderr.count(said)) == (0, 1), ran.output
        assert [one.name for one in tmp_path.glob(f"{command[0]}/lacking/pictures/*")] == ["layered.network.svg"]
    assert asked("draw", path, "--case", "flat", "--out", tmp_path).exit_code == 2
    path.write_text(LACKING.replace("flat: {", "flat: {pictures: [network], "), encoding="utf-8")
    assert asked("draw", path, "--out", tmp_path / "none").exit_code == 2  # what a case itself declares, it must have
    assert not (tmp_path / "none").exists()


def test_a_plot_of_a_case_that_nobody_has_is_told(net: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    net.write_text(NET.replace("pictures: page", "pictures: [{loss: {cases: [trained, traned]}}]"), encoding="utf-8")
    ran = asked("run", net, "--case", "trained", "--out", tmp_path / "out")
    assert ran.exit_code == 2
    assert "unknown case 'traned'; did you mean 'trained'?" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_a_check_of_nothing_is_not_green(net: Path, tmp_path: Path) -> None:
    ran = asked("draw", net, "--case", "wrong", "--out", tmp_path, "--check")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "nothing was checked" in ran.stderr


def test_run_writes_what_is_declared_and_the_index(net: Path, tmp_path: Path) -> None:
    assert asked("draw", net, "--case", "right", "--out", tmp_path, "--index").exit_code == 0
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "net/pictures/right.html" in index
    assert "drawn, not run" in index
    assert asked("run", net, "--case", "right", "--out", tmp_path).exit_code == 0
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 figure, all pass" in index
    links = re.findall('href="([^"]*)"', index)
    assert "net/pictures/right.html" in links
    assert all((tmp_path / link).is_file() for link in links)
    assert asked("run", net, "--case", "wrong", "--out", tmp_path).exit_code == 1
    assert "2 figures, 1 fail" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_index_counts_as_failed_what_a_run_does(tmp_path: Path) -> None:
    path, index, witnesses = tmp_path / "cut.yaml", tmp_path / "index.html", tmp_path / "cut" / "witnesses.csv"
    path.write_text(
        "parameters: {w: 0.6688}\nequations: {y: w * 1}\nexpected: {y: {printed: 0.67, rounding: truncate}}\n"
    )
    assert asked("run", path, "--out", tmp_path).exit_code == 1
    gallery.write_index(tmp_path)
    assert "✗ 1 figure, 1 fail" in index.read_text(encoding="utf-8")
    assert "✓ 1 witnessed gradient, all pass" in index.read_text(encoding="utf-8")
    witnesses.write_text(witnesses.read_text().replace(",agrees,", ",contradicts,"))
    gallery.write_index(tmp_path)
    assert "✗ 1 witnessed gradient, 1 fail" in index.read_text(encoding="utf-8")
    path.write_text(
        "source: {article: a.md}\nparameters: {w: 1}\nequations: {y: w * w}\nexpected: {y: 1.0}\n"
        "train: {optimizer: {name: sgd, lr: 3}, epochs: 2000}\n"
    )
    (tmp_path / "a.md").write_text("First 1.0, then 2.75.\n")
    assert asked("run", path, "--out", tmp_path).exit_code == 1
    assert "✓ 1 figure, all pass" in index.read_text(encoding="utf-8")
    assert "✗ 2 numbers of the article, 1 fail" in index.read_text(encoding="utf-8")
    assert "✗ base is not finite" in index.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("draw {} --as grph", "unknown picture 'grph'; did you mean 'graph'?"),
        ("draw {} --case left", "unknown case 'left'"),
        ("draw {} --case right --as network --sample 3", "there is no sample 3"),
        ("draw {} --case right -o - --open", "--open shows a file, and neither --check nor -o - writes one"),
        ("draw {} --case right --check --open", "--open shows a file, and neither --check nor -o - writes one"),
        ("draw {0} --case right -o {0}.svg --check", "-o writes one picture, --check none, --index a page of all"),
        ("draw {0} --case right -o {0}.svg --index", "-o writes one picture, --check none, --index a page of all"),
        ("draw {} --check --index", "-o writes one picture, --check none, --index a page of all"),
        ("draw", "no config is named"),
        ("plot loss", "no config is named"),
        ("plot pie {}", "unknown plot 'pie'"),
        ("plot loss {} --case right", "case 'right' has no 'train'"),
        ("plot curve {} --over W=1", "--over takes NAME=LOW..HIGH"),
        ("plot heat {} --of loss", "a heat map needs a matrix or a vector"),
        ("plot heat {} --of W[", "in 'W['"),
        ("plot heat {} --of nobody", "unknown name 'nobody'"),
        ("plot heat {} --of W --log y", "heat takes no 'log'"),
    ],
)
def test_bad_input_is_one_sentence(net: Path, tmp_path: Path, arguments: str, message: str) -> None:
    ran = asked(*arguments.format(net).split(), "--out", tmp_path / "out")
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_steps_of_a_case_without_a_gradient_are_told(tmp_path: Path) -> None:
    path = tmp_path / "flat.yaml"
    path.write_text('inputs: {t: [1, 2]}\nequations: {p: ones(4), b: "p[t]", loss: sum(b)}\n', encoding="utf-8")
    ran = asked("plot", "steps", path, "--out", tmp_path)
    assert ran.exit_code == 2
    assert "steps needs an input or parameter that has a gradient" in ran.stderr


def test_of_several_configs_those_are_drawn_that_can_be(net: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.yaml", tmp_path / "out"
    other.write_text("parameters: {v: 1}\nequations: {loss: v * v}\n", encoding="utf-8")
    ran = asked("draw", other, net, "--case", "base", "--case", "right", "--as", "network", "--out", out)
    assert (ran.exit_code, ran.stderr.count("case 'base' has no network to draw")) == (0, 1)
    assert [path.name for path in out.rglob("*.svg")] == ["right.network.svg"]
    ran = asked("draw", other, "--as", "network", "--out", tmp_path / "none")
    assert (ran.exit_code, (tmp_path / "none").exists()) == (2, False)
    pytest.importorskip("matplotlib")
    ran = asked("plot", "heat", other, net, "--case", "base", "--case", "trained", "--of", "W", "--out", out)
    assert (ran.exit_code, ran.stderr.count("unknown name 'W'")) == (0, 1)
    assert [path.name for path in out.rglob("*.heat.svg")] == ["trained.heat.svg"]


@pytest.mark.parametrize("command", [("draw",), ("plot", "loss")])
def test_configs_of_one_name_do_not_write_over_each_other(net: Path, tmp_path: Path, command: Sequence[str]) -> None:
    (tmp_path / "twin").mkdir()
    twin = shutil.copy(net, tmp_path / "twin")
    ran = asked(*command, net, twin, "--case", "trained", "--out", tmp_path / "out")
    assert (ran.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "would write to the same output folder" in ran.stderr


def test_a_plot_is_a_file(net: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ran = asked("plot", "heat", "--config", net, "--of", "W", "--case", "right", "--format", "png", "--out", tmp_path)
    assert ran.exit_code == 0
    assert (tmp_path / "net/pictures/right.heat.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_matplotlib_says_how_to_install_it(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    net.write_text(f"{net.read_text(encoding='utf-8')}pictures: [{{heat: {{of: W}}}}]\n", encoding="utf-8")
    other = shutil.copy(net, tmp_path / "other.yaml")
    ran = asked("run", net, other, "--out", tmp_path)
    assert ran.stderr.count("not drawn anew") == 1  # once for all configs
    assert "pip install 'mathlab-backprop[plot]'" in ran.stderr
