"""The README shows what is true: its outputs are regenerated, its commands exist, CI runs its test command."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mathlab.cli import COMMANDS, app
from mathlab.guide import topics
from tests.readme import PAGES, README, ROOT, regenerated

TEXT = README.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_shows_is_what_is_printed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert regenerated(text) == text, "run `python -m tests.readme`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_table(command: str) -> None:
    assert f"| `mathlab {command}" in TEXT


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(TEXT.splitlines()) <= 220


def test_every_topic_of_the_guide_is_in_its_table_and_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert {f"mathlab/guide/{topic}.md" for topic in topics()} <= {*links}
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]


def test_its_pictures_are_what_would_be_drawn_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    pictures = re.findall(r"!\[[^]]+\]\(outputs/(.+?)/pictures/(.+?)\)", TEXT)
    assert pictures
    for experiment, _ in pictures:
        drawn = CliRunner().invoke(app, ["draw", f"configs/{experiment}.yaml", "--check"])
        assert drawn.exit_code == 0, drawn.stdout


def test_ci_runs_the_test_command_word_for_word() -> None:
    (command,) = re.findall(r"^python3 -m venv .*pytest$", TEXT, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_extras_that_it_names_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"\.\[(\w+)\]", TEXT)
    assert named
    assert set(named) <= set(project["optional-dependencies"])
