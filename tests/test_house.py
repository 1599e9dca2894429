"""How the package is built: which way imports run, how large a file may be, and that a name means one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from pathlib import Path
from unittest.mock import Mock

import pytest

from mathlab import run
from mathlab.guide import page
from mathlab.language.derive import derive
from mathlab.stages import prepare

ROOT = Path(__file__).parent.parent
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "mathlab").rglob("*.py"))}

# A module imports from its own floor and from those below it. The table of stages stands with the records: it names the
# functions that it needs (`later`), and imports none of them.
FLOORS = (
    ("__init__", "__main__"),  # what the package offers, loaded when it is asked for, and the script
    ("cli",),
    ("commands",),
    ("pytest_plugin", "api", "update", "starter"),
    ("reports", "pictures", "article", "guide"),
    ("oracle", "plan"),
    ("diagnosis",),
    ("stages",),
    ("outputs", "printed"),
    ("witnesses", "config", "results", "stages.table"),
    ("experiment",),
    ("language",),
    ("errors", "files", "habits", "signs", "terminal", "threads"),
)
LEVELS = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}

LOOSE = 14  # files beside `__init__` and `__main__`
LONGEST = 400  # lines of a file
CORE = 5_400  # lines of what one reads first, without the rows of the tables of ops

# Public names that stand twice in a package, and why: each is called by its module's name.
TWICE = {
    "run": "what a stage does: `train.run`",
    "main": "the script, and the command that it guards",
    "load": "`mathlab.load` is `plan.load` for one config, which is `config.load`",
    **dict.fromkeys(("number", "plain"), "`data` for JSON, `layout` for a terminal"),
}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@cache
def tree(file: str) -> ast.Module:
    return ast.parse(FILES[file].read_text(encoding="utf-8"))


def dotted(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {dotted(file): file for file in FILES}


def imported(file: str) -> Iterator[tuple[str, int]]:
    """The modules of ours that a file imports, with the line.

    Inside functions too: whoever needs a thing later needs it. Not what stands under TYPE_CHECKING: who only hands a
    thing on may name its type, and knows no more of it. What `mathlab` itself offers is that of `mathlab.api`; only its
    version is its own.
    """
    for node in statements(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.split(".")[0] == "mathlab")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: an import says the whole name"
            module = node.module or ""
            for alias in node.names if module.split(".")[0] == "mathlab" else ():
                if f"{module}.{alias.name}" in MODULES:
                    yield f"{module}.{alias.name}", node.lineno
                elif module != "mathlab":
                    yield module, node.lineno
                elif alias.name != "__version__":
                    yield "mathlab.api", node.lineno


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree that are no expressions, but for what only a type checker reads."""
    left = [node]
    while left:
        node = left.pop()
        yield node
        typed = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        left += [child for child in ast.iter_child_nodes(node) if not (typed or isinstance(child, ast.expr))]


def room(module: str) -> str:
    """What has a floor: a room, a loose module, or a part of a room that has a floor of its own."""
    own = module.removeprefix("mathlab.")
    return own if own in LEVELS else own.split(".")[0] if "." in module else "__init__"


def test_every_room_has_its_floor() -> None:
    assert {room(module) for module in MODULES} <= LEVELS.keys()


def test_imports_run_one_way() -> None:
    upwards = [
        f"{file}:{line} imports {module}"
        for file in FILES
        for module, line in imported(file)
        if LEVELS[room(module)] > LEVELS[room(dotted(file))]
    ]
    assert not upwards


def test_no_modules_import_each_other() -> None:
    graph = {dotted(file): {module for module, _ in imported(file)} - {dotted(file)} for file in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' < '.join(error.args[1])}")


def test_a_circle_and_a_way_up_would_be_seen() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    assert "mathlab.reports.checks" not in {module for module, _ in imported("mathlab/stages/table.py")}  # a type
    assert "mathlab.plan" in {module for module, _ in imported("mathlab/commands/common.py")}  # inside a function
    assert LEVELS["plan"] > LEVELS["stages"] > LEVELS["language"]


def test_the_top_floor_is_small() -> None:
    loose = [file for file in FILES if file.count("/") == 1 and not file.startswith("mathlab/__")]
    assert len(loose) <= LOOSE


def test_no_file_is_too_long() -> None:
    assert not {file: lines(path) for file, path in FILES.items() if lines(path) > LONGEST}


def test_the_core_is_short() -> None:
    """The core is what the guide says to read first, but for tables."""
    order = page("engine").partition("## The order")[2].partition("\n## ")[0]
    named = {f"mathlab/{name}" for name in re.findall(r"`((?:\w+/)*\w+\.py)`", order)} & FILES.keys()
    core = named - {"mathlab/stages/table.py"} | {"mathlab/language/ops/__init__.py", "mathlab/language/ops/record.py"}
    assert len(core) > 18
    assert sum(lines(FILES[file]) for file in core) <= CORE


def test_the_first_line_says_what_a_file_is() -> None:
    for file, path in FILES.items():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        said = (ast.get_docstring(tree(file)) or "").splitlines()
        assert said, file
        assert re.fullmatch(rf'"""{re.escape(said[0])}(""")?', first), file
        assert len(said[0].split()) > 1, file
        assert said[0].endswith("."), file


def homes() -> Mapping[str, set[str]]:
    """The files in which each public class or function is made."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        for node in tree(file).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                found[node.name].add(file)
    return found


def test_a_name_stands_twice_only_where_packages_tell_it_apart() -> None:
    shared = {
        (name, one, other)
        for name, files in homes().items()
        for one, other in combinations(sorted(files), 2)
        if room(dotted(one)) == room(dotted(other)) or one.count("/") == other.count("/") == 1
    }
    assert {name for name, *_ in shared} == {*TWICE}, shared


def test_a_case_is_made_ready_once_for_all_its_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    derived = Mock(wraps=derive)
    monkeypatch.setattr(prepare, "derive", derived)
    ran = run(
        {
            "parameters": {"w": 0.5},
            "equations": {"z": "w**2", "L": "3 * z"},
            "expected": {"L": 0.75, "dw": 3},
            "gradcheck": {},
            "train": {"optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 2},
        }
    )
    assert [*ran.cases[0].stages] == ["backprop", "gradcheck", "train"]
    assert derived.call_count == 1
