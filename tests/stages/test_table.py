"""The table of stages: what every record says of itself holds, and a stage from elsewhere is one like the others."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.config.keys import Keys
from mathlab.config.values import at_least
from mathlab.errors import MathlabError
from mathlab.results import StageResult, Tally
from mathlab.stages.table import STAGES, Layout, Rows, Stage, every_file
from tests.build import case


class Looked(Exception):
    """A function of a stage is there, and looks at what the stage found."""


class Nothing(StageResult):
    def __getattr__(self, name: str) -> object:
        raise Looked(name)


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_what_a_record_names_is_there(stage: Stage) -> None:
    """Each function is found where it is said to be."""
    for told, more in ((stage.rows, ("float64",)), (stage.page, ()), (stage.failures, ()), (stage.checks, ())):
        with suppress(Looked):
            assert [*told(Nothing(), *more)] == []
    bare = case({"y": "x * x"}, {"x": 1.0})
    assert not stage.declared(bare)
    assert [*stage.names(bare)] == []


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_a_record_leaves_nothing_out(stage: Stage) -> None:
    """What a forgotten one would leave out without a word."""
    given = {name for name, usual in Stage._field_defaults.items() if getattr(stage, name) is not usual}
    assert "page" in given, f"{stage.name}: a page that shows what it finds is missing"
    assert not stage.files or "rows" in given, f"{stage.name}: the rows of {', '.join(stage.files)} are missing"
    assert stage.files or "rows" not in given, f"{stage.name}: the files whose rows it writes are missing"
    assert {"checks", "names"} & given != {"checks"}, f"{stage.name}: the names by which pytest collects its checks"


def test_every_file_has_a_case_and_a_stage() -> None:
    for layout in every_file().values():
        assert layout.columns[0] == layout.keys[0] == "case"
        assert layout.stages
        assert ("stage" in layout.columns) == (len(layout.stages) > 1)


@dataclass(frozen=True)
class Counted(StageResult):
    """How many parameters a case has."""

    count: int

    @property
    def counts(self) -> Tally:
        return Tally(entries=self.count, entries_refuted=self.count > 1)


def rows(found: Counted, dtype: str) -> Rows:
    yield "count.csv", (), [(str(found.count),)]


SECTION: Keys[dict[str, object]] = Keys("How many parameters there may be.", dict, {"most": at_least(1)})
COUNT = Stage(
    "count",
    declared=lambda one: "count" in one.sections,
    run=lambda one, asked: Counted(len(one.parameters)),
    files={"count.csv": Layout(columns=("case", "parameters"), keys=("case",), kinds={"parameters": "Int64"})},
    rows=rows,
    section="tests.stages.test_table:SECTION",
)


def test_a_stage_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("equations: {L: x * y}\nparameters: {x: 2, y: 3}\ncount: {}\n")
    Path("one.yaml").write_text("equations: {L: x * x}\nparameters: {x: 2}\ncount: {}\n")
    unknown = CliRunner().invoke(app, ["run", "net.yaml"])
    assert (unknown.exit_code, unknown.stderr.partition(";")[0]) == (2, "net.yaml:3:1: unknown key 'count'")
    monkeypatch.setitem(STAGES, "count", COUNT)
    assert CliRunner().invoke(app, ["run", "one.yaml"]).exit_code == 0
    result = CliRunner().invoke(app, ["run", "net.yaml"])
    assert (result.exit_code, result.stderr) == (1, "")
    assert "2 gradient entries checked, 1 refuted" in result.stdout
    assert Path("outputs/net/count.csv").read_text() == "case,parameters\nbase,2\n"
    Path("net.yaml").write_text("equations: {L: x * y}\nparameters: {x: 2, y: 3}\n")
    nothing = CliRunner().invoke(app, ["run", "net.yaml"])
    others = ", ".join(name for name in STAGES if name not in ("backprop", "count"))
    assert f"add expected, derivation, {others} or count" in nothing.stderr


def test_the_keys_of_a_section_from_elsewhere_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "count", COUNT)
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("equations: {L: x * y}\nparameters: {x: 2, y: 3}\ncount: {moost: 1}\n")
    result = CliRunner().invoke(app, ["run", "net.yaml"])
    assert (result.exit_code, result.stderr) == (2, "net.yaml:3:9: unknown key 'moost'; did you mean 'most'?\n")
    assert '"most"' in CliRunner().invoke(app, ["schema"]).stdout


def test_an_api_run_of_a_stage_that_does_not_exist() -> None:
    from mathlab import load, run

    with pytest.raises(MathlabError, match=f"known are {', '.join(STAGES)}, run"):
        run(load(Path(__file__).parents[2] / "configs" / "two-partials.yaml"), "count")
