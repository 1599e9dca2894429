"""What other people's CI is given: the GitHub Action, the pre-commit hook, and the guide's snippets for them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mathlab import cli
from mathlab.guide import page
from tests.sandbox import ROOT

ACTION = ROOT / ".github" / "actions" / "mathlab" / "action.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
TEXT = page("ci") + page("pictures")
FENCED = re.compile(r"```(yaml|sh)\n(.*?)```", re.DOTALL)
SNIPPETS = [(language, text) for language, text in FENCED.findall(TEXT)]
STEPS = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every call of mathlab in a script, a snippet or a hook."""
    for line in text.replace("\\\n", " ").splitlines():
        for call in re.findall(r"(?:^|[\s/;&|(])mathlab ((?:[a-z]|--)[^#;&|`)]*)", line):
            yield shlex.split(call)


EVERY = [
    *(words for language, text in SNIPPETS if language == "sh" for words in commands(text)),
    *(words for step in STEPS for words in commands(step.get("run", ""))),
    *(words for hook in yaml.safe_load(HOOKS.read_text(encoding="utf-8")) for words in commands(hook["entry"])),
]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_commands_and_options_exist(words: list[str]) -> None:
    assert words[0] in cli.COMMANDS
    used = words[1 : words.index("--")] if "--" in words else words[1:]
    assert {word for word in used if word.startswith("-")} <= {*cli.options(cli.command_of(words[0]))}


def test_there_are_commands_to_check() -> None:
    assert {words[0] for words in EVERY} >= {"run", "diff"}


@pytest.mark.parametrize(
    "text", [text for language, text in SNIPPETS if language == "yaml"], ids=lambda text: text[:40]
)
def test_snippets_are_yaml(text: str) -> None:
    assert yaml.safe_load(text)


@pytest.mark.parametrize("text", [text for language, text in SNIPPETS if language == "sh"], ids=lambda text: text[:40])
def test_snippets_are_shell(text: str) -> None:
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def snippet(word: str) -> object:
    """The one YAML snippet that has `word` in it."""
    (found,) = [text for language, text in SNIPPETS if language == "yaml" and word in text]
    return yaml.safe_load(found)


PINNED = re.compile(r"(?:uses: \S+@|rev: |mathlab@)(\S+?)['\s]")


@pytest.mark.parametrize("text", [TEXT, ACTION.read_text(encoding="utf-8")], ids=["guide", "action"])
def test_what_runs_with_somebody_s_token_is_pinned_to_a_commit(text: str) -> None:
    commits = PINNED.findall(text)
    assert len(commits) == len(re.findall(r"uses:|rev:|git\+https", text)) > 0
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in commits)


def test_the_snippet_of_the_action_gives_it_inputs_that_it_has() -> None:
    workflow = snippet("/.github/actions/mathlab@")
    assert isinstance(workflow, dict)
    (step,) = [step for job in workflow["jobs"].values() for step in job["steps"] if "mathlab" in step["uses"]]
    assert step["uses"].partition("/.github/")[2].partition("@")[0] == "actions/mathlab"
    assert {*step["with"]} <= {*yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]}


def test_the_snippet_of_the_hook_names_it() -> None:
    config = snippet("repos:")
    assert isinstance(config, dict)
    ids = {hook["id"] for repository in config["repos"] for hook in repository["hooks"]}
    assert ids <= {hook["id"] for hook in yaml.safe_load(HOOKS.read_text(encoding="utf-8"))}
    assert ids


def test_no_input_is_pasted_into_a_script() -> None:
    """It would be executed; it reaches the script as a variable."""
    assert not [step["run"] for step in STEPS if "${{" in step.get("run", "")]


NET = "inputs: {{x: 3}}\nparameters: {{w: 2}}\nequations: {{loss: w * x}}\nexpected: {{loss: {}}}\n"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder as CI has it: configs, and a `mathlab` on the path."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "a.yaml").write_text(NET.format(6))
    (tmp_path / "more configs").mkdir()
    (tmp_path / "more configs" / "b.yaml").write_text(NET.format("6.0"))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mathlab"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mathlab "$@"\n')
    program.chmod(0o755)
    return tmp_path


def performed(job: Path, configs: str, reference: str = "") -> list[int]:
    """The exit codes of the action's own steps, run as GitHub runs them."""
    inputs = {"inputs.configs": configs, "inputs.reference": reference, "runner.temp": str(job / "temp")}
    (job / "temp").mkdir(exist_ok=True)
    codes = []
    for step in STEPS:
        if "mathlab " not in step.get("run", "") or ("reference" in step.get("if", "") and not reference):
            continue
        given = {
            name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: inputs[found[1]], value)
            for name, value in step["env"].items()
        }
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{job / 'bin'}:{os.environ['PATH']}", **given}
        env |= {"GITHUB_OUTPUT": str(job / "output"), "GITHUB_STEP_SUMMARY": str(job / "summary")}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        codes.append(subprocess.run(command, cwd=job, env=env, capture_output=True, check=False).returncode)
    return codes


def test_the_action_runs(job: Path) -> None:
    assert performed(job, "configs\n  more configs\n".replace("  ", "")) == [0]
    fresh = job / "temp" / "mathlab-outputs"
    assert {path.name for path in fresh.iterdir()} == {"a", "b"}
    assert (job / "output").read_text() == f"outputs={fresh}\n"
    fresh.rename(job / "outputs")
    assert performed(job, "configs\nmore configs", reference="outputs") == [0, 0]
    (job / "configs" / "a.yaml").write_text(NET.format(7))
    assert performed(job, "configs", reference="outputs") == [1, 1]
    assert performed(job, "$(touch executed); `touch executed`") == [2]
    assert not [*job.rglob("executed")]


def test_the_hook_runs(job: Path) -> None:
    hook, _ = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{job / 'bin'}:{os.environ['PATH']}"}

    def code(*files: str) -> int:
        return subprocess.run(
            [*shlex.split(hook["entry"]), *files], cwd=job, env=env, capture_output=True, check=False
        ).returncode

    assert re.match(hook["files"], "configs/a.yaml")
    assert code("configs/a.yaml") == 0
    (job / "configs" / "a.yaml").write_text(NET.format(7))
    assert code("configs/a.yaml", "more configs/b.yaml") == 1
