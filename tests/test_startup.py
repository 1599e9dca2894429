"""What a command imports and builds before it begins: users wait for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

CONFIG = Path(__file__).parent.parent / "configs" / "softmax-mlp.yaml"
BACKPROP = ("backprop", "--quiet", "--config", str(CONFIG), "--out")


def after(*arguments: str, asked: str) -> list[str]:
    """The expression `asked`, in a process in which the command has run."""
    code = f"""
import contextlib, json, sys
from mathlab.__main__ import main
sys.argv = ["mathlab", *{arguments}]
with contextlib.suppress(SystemExit):
    main()
print(json.dumps({asked}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return cast(list[str], json.loads(done.stderr))


def test_help_needs_none_of_the_heavy_packages() -> None:
    loaded = after("--help", asked="sorted(sys.modules)")
    assert not {"numpy", "pandas", "yaml", "mathlab.config", "rich.console"} & set(loaded)


def test_a_command_that_ends_looks_for_no_garbage() -> None:
    """Nobody uses the memory again, and it took a quarter of the time of a small command."""
    assert after("--help", asked="__import__('gc').get_freeze_count()")


def test_backprop_needs_none_of_what_the_other_commands_need(tmp_path: Path) -> None:
    loaded = set(after(*BACKPROP, str(tmp_path), asked="sorted(sys.modules)"))
    stages = {f"mathlab.stages.{stage}" for stage in ("train", "gradcheck", "sweep", "replicas")}
    others = {"diagnosis", "oracle.oracle", "reports.formats", "outputs.difference", "update"}
    others |= {"witnesses.central", "witnesses.steps"}
    assert (
        not ({"pandas", "distributed", "torch", "numpy.random"} | stages | {f"mathlab.{other}" for other in others})
        & loaded
    )
    assert {name for name in loaded if name.startswith("mathlab.commands.")} == {
        f"mathlab.commands.{needed}" for needed in ("backprop", "common", "options")
    }
    assert "mathlab.stages.backprop" in loaded
