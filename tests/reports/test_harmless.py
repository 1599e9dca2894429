"""No text of a config commands a terminal, a runner of CI or a browser: in any format, on either stream."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from mathlab import plan
from mathlab.cli import app
from mathlab.errors import LONGEST, Problem
from mathlab.reports.formats import FORMATS, escape
from mathlab.reports.runs import run_report
from mathlab.terminal import LONGEST_TEXT, harmless
from tests.build import once
from tests.sandbox import ROOT, Job, Ran, finish, start

# as the runners find them: actions/runner, ActionCommand.cs; azure-pipelines-agent, Command.cs
REGISTERED = (
    "set-output|save-state|add-mask|add-path|set-env|error|warning|notice|debug|group|endgroup|stop-commands|echo"
)
OBEYED = re.compile(rf"##\w*\[|^\s*::(?!error (?:file|line)|error::)({REGISTERED})\b", re.MULTILINE)

COMMANDS = (
    "::set-output name=outputs::/elsewhere",
    "said\n::add-mask::0",
    "\r\n\t ::stop-commands::x",
    "##[error]no",
    "a ##[group]b ###[endgroup] ##vso[task.setvariable variable=x]y",
    "##teamcity[testFailed name='x']",
    "\x1b[2J\x1b]0;title\x07 \x9b2J",
    "\u202egnp.exe\u2066 \u200b\u2028::warning::x",
    "line\r::error::x",
    "<script>alert(1)</script> <!-- --> &lt; ]]> ![x](javascript:alert) `a` @somebody #1 | - x",
)
NET = """\
title: {text}
source: {{title: {text}, note: {text}}}
inputs: {{x: 1}}
parameters: {{w: 0.5}}
equations: {{p: sigmoid(w * x)}}
derivation: {{dw: {{formula: p * x, at: {text}, erratum: {text}}}}}
expected:
  p: {{printed: 0.8032, at: {text}}}
  w * x: [{{printed: 0.6, erratum: {text}}}, {{printed: 0.5, digits: 1, because: {text}}}]
cases:
  {text}: {{inputs: {{x: 2}}, expected: {{p: {{printed: 0.1, at: {text}}}}}}}
"""
BROKEN = "inputs: {{{text}: 1}}\n{text}: {text}\nequations: {{L: {text}}}\ntrain: {{optimizer: {{name: {text}}}}}\n"


def quoted(text: str) -> str:
    return json.dumps(text)  # which is YAML too


def obeyed(text: str) -> list[str]:
    """The commands in a text, and its characters that are none to be read."""
    controls = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") and c != "\n"}
    return [found.group() for found in OBEYED.finditer(text)] + [repr(c) for c in controls]


def mathlab(folder: Path, *arguments: str) -> Ran:
    return finish(start(Job(str(folder), arguments, watched=False)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config that can be run and one that cannot for each of the texts."""
    made = tmp_path_factory.mktemp("configs")
    for inside, name, net in (("nets", "::error::{}.yaml", NET), ("broken", "##[x]{}.yaml", BROKEN)):
        (made / inside).mkdir()
        for number, text in enumerate(COMMANDS):
            (made / inside / name.format(number)).write_text(net.format(text=quoted(text)), encoding="utf-8")
    return made


@pytest.mark.parametrize("form", [*FORMATS, "narrow"])
def test_a_config_commands_nobody(form: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "results", once)
    monkeypatch.chdir(folder)
    for inside, code in (("nets", 1), ("broken", 2)):
        ran = CliRunner().invoke(app, ["run", inside, *(["--format", form] if form != "narrow" else [])])
        assert not obeyed(ran.stdout)
        assert not obeyed(ran.stderr)
        assert ran.exit_code == code, ran.stderr
        if form == "json":
            report = json.loads(ran.stdout)
            assert report["passed"] is False
            if code == 1:  # titles are spelt so that they are read as they were
                titles = [experiment["title"] for experiment in report["experiments"]]
                assert titles == [text.strip() for text in COMMANDS]
        if form == "junit":
            ElementTree.fromstring(ran.stdout)


@pytest.mark.parametrize("command", ["derive -c", "update --force --yes", "selftest", "diff x", "oracle x -c", "init"])
def test_nor_does_a_name_in_any_command(command: str, tmp_path: Path) -> None:
    for name in ("::error::a.yaml", "##[error]a.yaml", "a\x1b[2J\n::error::b.yaml"):
        (tmp_path / name).write_text(NET.format(text=quoted(COMMANDS[0])), encoding="utf-8")
        ran = mathlab(tmp_path, *command.split(), name)
        assert not obeyed(ran.out)
        assert not obeyed(ran.err)


def mixed(net: str, first: int) -> str:
    """The config with another text in each place, beginning with the one at `first`."""
    texts = iter(COMMANDS[first:] + COMMANDS)
    return re.sub(r"\{text\}", lambda _: quoted(next(texts)), net).replace("{{", "{").replace("}}", "}")


def test_nor_does_it_in_a_session_of_pytest(tmp_path: Path) -> None:
    places = range(0, len(COMMANDS), 5)
    for first in places:
        (tmp_path / f"a{first}.yaml").write_text(mixed(NET, first), encoding="utf-8")
        (tmp_path / f"b{first}.yaml").write_text(mixed(BROKEN, first), encoding="utf-8")
    command = [
        sys.executable,
        *("-m", "pytest", "-p", "mathlab.pytest_plugin", "-p", "no:cacheprovider"),
        *("-vra", "--continue-on-collection-errors", "--mathlab", "-c", "/dev/null", "--rootdir", ".", "."),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{len(places)} errors" in done.stdout, done.stdout + done.stderr
    assert all(f"a{first}.yaml" in done.stdout for first in places)
    assert not obeyed(done.stdout)
    assert not obeyed(done.stderr)


@pytest.mark.parametrize("text", COMMANDS, ids=ascii)
def test_what_is_harmless_stays_so(text: str) -> None:
    once = harmless(text)
    assert not obeyed(once)
    assert harmless(once) == once


@pytest.mark.parametrize("text", ["X[:, ::2] @ w", "a::b", "# 1", "## two [a]", "std::vector", "ä λ ∂L/∂w", ":: 2"])
def test_what_commands_nobody_is_left_alone(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# x.yaml:1", "\\# x.yaml:1"),
        ("by @somebody, W @ x, a@b.c", "by @<!-- -->somebody, W @ x, a@b.c"),
        ("<b onload=x>&amp;", "\\<b onload=x\\>\\&amp;"),
    ],
)
def test_markdown_is_no_markup(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("text", ["# a", "- a", "1. a", "2) a", "=== a", "+ a", "---"])
def test_a_problem_is_no_block_of_markdown(text: str) -> None:
    shown = FORMATS["markdown"](run_report("run", (), [Problem(text)]))
    assert re.search(r"^- \d*\\[-#=+.)]", shown, re.MULTILINE)


@pytest.mark.parametrize("form", FORMATS)
def test_what_nobody_reads_to_its_end_is_cut(form: str, tmp_path: Path) -> None:
    long = "ab " * 100_000
    (tmp_path / "a.yaml").write_text(NET.format(text=quoted(long[:1000])).replace(quoted(long[:1000]), quoted(long), 1))
    (tmp_path / "b.yaml").write_text("inputs: {x: {file: x.csv}}\nparameters: {w: 1}\nequations: {L: sum(w * x)}\n")
    (tmp_path / "c.yaml").write_text(f"inputs: {{x: 1}}\n? {quoted(long)}\n: 1\n")
    (tmp_path / "x.csv").write_text("x\n1\n" + "a" * 100_000 + "\n")
    for name in ("a", "b", "c"):
        ran = mathlab(tmp_path, "run", f"{name}.yaml", "--format", form)
        assert len(ran.out) < 100_000
        assert len(ran.err) < 2 * LONGEST
        assert "..." in ran.out + ran.err or name == "a"
    assert LONGEST < LONGEST_TEXT
