"""The README shows what is true: its outputs are regenerated, its commands exist, CI runs its test command."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from mathlab.cli import app
from tests.readme import PAGES, README, ROOT, regenerated

TEXT = README.read_text(encoding="utf-8")
COMMANDS = sorted(getattr(get_command(app), "commands", {}))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_shows_is_what_is_printed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert regenerated(text) == text, "run `python -m tests.readme`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_table(command: str) -> None:
    assert f"| `mathlab {command}" in TEXT


def test_ci_runs_the_test_command_word_for_word() -> None:
    (command,) = re.findall(r"^python3 -m venv .*pytest$", TEXT, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_extras_that_it_names_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"\.\[(\w+)\]", TEXT)
    assert named
    assert set(named) <= set(project["optional-dependencies"])
