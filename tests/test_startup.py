"""What a command imports and builds before it begins: users wait for it."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from typer.main import get_command

from mathlab import frozen
from mathlab.cli import app
from mathlab.results import Verdict

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


def test_backprop_needs_none_of_what_the_other_commands_need(tmp_path: Path) -> None:
    loaded = set(after(*BACKPROP, str(tmp_path), asked="sorted(sys.modules)"))
    stages = {f"mathlab.stages.{stage}" for stage in ("train", "gradcheck", "sweep", "replicas")}
    others = {"diagnosis", "oracle", "reports", "selftest", "difference", "update", "backends", "layers", "sweeptable"}
    assert not ({"pandas", "joblib", "torch"} | stages | {f"mathlab.{other}" for other in others}) & loaded
    assert "mathlab.stages.backprop" in loaded


def test_no_record_that_backprop_needs_is_compiled_one_method_at_a_time(tmp_path: Path) -> None:
    standard = """[
    f"{name}.{known}"
    for name, module in sorted(sys.modules.items()) if name.startswith("mathlab")
    for known, cls in sorted(vars(module).items())
    if isinstance(cls, type) and cls.__module__ == name and getattr(cls, "__dataclass_params__", None)
    and cls.__dataclass_params__.frozen and "__slots__" not in vars(cls)
]"""
    assert after(*BACKPROP, str(tmp_path), asked=standard) == []


BUILT = "[known.callback.__name__ for known in sys.modules['mathlab.cli'].app.registered_commands]"
COMMANDS: Mapping[str, object] = getattr(get_command(app), "commands", {})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_that_is_asked_for_is_the_only_one_that_is_built(name: str) -> None:
    assert after(name, "--help", asked=BUILT) == [name]


def test_where_none_is_asked_for_they_all_are() -> None:
    assert after("--help", asked=BUILT) == after("--version", "derive", asked=BUILT) == list(COMMANDS)


# Records that share their methods


def records(decorator: Callable[..., Callable[[type], type]]) -> dict[str, type]:
    """The same two records, as the decorator makes them."""

    @decorator(frozen=True)
    class Point:
        x: int
        y: float = 0.5
        tags: Sequence[str] = dataclasses.field(default_factory=list)
        place: int = dataclasses.field(default=7, compare=False)
        kept: dict[str, int] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)
        function: Callable[[float], float] = abs

        @property
        def twice(self) -> int:
            return 2 * self.x

    @decorator(frozen=True)
    class Named(Point):
        name: str = ""

        def __repr__(self) -> str:
            return f"<{self.name}>"

    return {"Point": Point, "Named": Named}


def outcome(expression: str, known: Mapping[str, type]) -> str:
    try:
        return repr(eval(expression, {**vars(dataclasses), **vars(copy), **known}))
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize(
    "expression",
    [
        "Point(1)",
        "Point(1, 2.5, ['a'])",
        "Point(y=3.0, x=2).twice",
        "Point(1).tags is Point(1).tags",
        "Point(1).kept is Point(1).kept",
        "Point(-1).function(-1.5)",
        "Point.y, Point.__match_args__, [field.name for field in fields(Named)]",
        "Point(1) == Point(1, place=8)",
        "Point(1) == Point(2)",
        "Point(1) == Named(1), Named(1) == Point(1)",
        "Point(1) == (1, 0.5)",
        "hash(Point(1, tags=())) == hash(Point(1, tags=(), place=8))",
        "len({Point(1, tags=()), Point(1, tags=()), Point(2, tags=())})",
        "Named(1, name='n'), Named(1, 2.0).y",
        "replace(Point(1, tags=['b']), x=4)",
        "asdict(Point(1, tags=['b']))",
        "deepcopy(Point(1, tags=['b'])), deepcopy(Named(1)) == Named(1)",
        # what there is not
        "Point()",
        "Point(1, x=1)",
        "Point(1, z=1)",
        "Point(z=1)",
        "Point(1, kept={})",
        "Point(1, 2.0, [], 3, abs, 5)",
        "hash(Point(1))",
        "setattr(Point(1), 'x', 2)",
        "setattr(Point(1), 'new', 2)",
        "delattr(Point(1), 'x')",
        "replace(Point(1), kept={})",
    ],
)
def test_a_record_does_what_the_standard_one_does(expression: str) -> None:
    found, expected = (outcome(expression, records(made)) for made in (frozen.dataclass, dataclasses.dataclass))
    assert found == expected


def test_a_record_goes_to_other_processes_and_into_match() -> None:
    match pickle.loads(pickle.dumps(Verdict("match", passed=True))):
        case Verdict(label, passed):
            assert (label, passed) == ("match", True)
        case other:
            pytest.fail(repr(other))
