"""The formats: each is read by a parser that is not ours, and says what the results say."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase
from typer.testing import CliRunner, Result

from mathlab import config, plan
from mathlab.cli import app
from mathlab.commands import options
from mathlab.errors import Place, Problem
from mathlab.guide import page
from mathlab.outputs.tables import LARGEST_LISTED
from mathlab.reports import data
from mathlab.reports.checks import Check, Report, checks, declared
from mathlab.reports.comparisons import difference_report
from mathlab.reports.formats import FORMATS, MOST
from mathlab.reports.runs import Ran, run_report
from mathlab.results import tally
from mathlab.results.judged import NodeResult, WitnessResult
from tests.build import once
from tests.test_configs import CONFIGS, ran

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "mathlab" / "reports" / "report.schema.json").read_text(encoding="utf-8"))

WRONG = """\
title: Wrong | in [every] way
inputs: {x: [2, -1]}
parameters: {w: [0.3, -0.7], b: 0.1}
equations:
  s: w @ x + b
  p: sigmoid(s)
derivation:
  dw: p * x
  ds: p * (1 - p)
expected:
  p: 0.8032
  dw: {printed: [0.3174, -0.1586], at: "100% | a, [b]: *c*"}
  s:
    - {printed: 1.5, erratum: a slip}
    - {printed: 1.4, erratum: not a slip}
gradcheck:
  expected: {"central_w[0]": 0.4}
train:
  optimizer: {name: sgd, lr: 0.5}
  epochs: 2
  after:
    2: {b: 0.5}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "results", once)
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, args)


# The schema


@cache
def validator() -> jsonschema.Draft202012Validator:
    """The schema, but without room for a key that it does not describe."""

    def strict(schema: object) -> None:
        parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        for part in parts:
            strict(part)
        # a place is only ever a part of something else, and the branches of the if are parts of the whole
        whole = isinstance(schema, dict) and "type" in schema and "column" not in schema.get("properties", ("column",))
        if isinstance(schema, dict) and whole:
            schema["unevaluatedProperties"] = False

    schema = copy.deepcopy(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = cast("dict[str, dict[str, object]]", schema["$defs"])
    summary = definitions["summary"]
    summary["properties"] = dict.fromkeys(cast("list[str]", summary["required"]), summary.pop("additionalProperties"))
    strict(schema)
    return jsonschema.Draft202012Validator(schema)


def sample(record: data.Json, most: int) -> data.Json:
    """The record with the first `most` entries of each list."""
    if isinstance(record, list):
        return [sample(part, most) for part in record[:most]]
    return {key: sample(part, most) for key, part in record.items()} if isinstance(record, dict) else record


def mappings(record: data.Json, name: str | int = "") -> list[dict[str, data.Json]]:
    """Every mapping whose keys the schema names."""
    if isinstance(record, list):
        return [found for part in record for found in mappings(part)]
    if not isinstance(record, dict):
        return []
    own = [record] if record and name not in ("columns", "parameters") else []
    return [*own, *(found for key, part in record.items() for found in mappings(part, key))]


def objects(schema: object) -> list[dict[str, Any]]:
    """Every part of the schema that names keys."""
    if not isinstance(schema, dict | list):
        return []
    own = [schema] if isinstance(schema, dict) and "properties" in schema else []
    parts = schema.values() if isinstance(schema, dict) else schema
    return [*own, *(found for part in parts for found in objects(part))]


def test_the_schema_wants_every_key_and_no_other(folder: Path) -> None:
    optional = {*("command", "articles"), "undecided", *("causes", "known", "tried")}  # of commands, options and ends
    for schema in objects({key: part for key, part in SCHEMA.items() if key != "oneOf"}):
        assert schema["properties"].keys() - schema["required"] <= optional
    record = sample(json.loads(invoke("run", "wrong.yaml", "--format", "json").stdout), most=1)
    validator().validate(record)
    for part in mappings(record)[::10]:
        part["surprise"] = 1
        assert not validator().is_valid(record), part
        del part["surprise"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(3)
def test_json_of_the_shipped_configs_is_valid_and_exact(path: Path) -> None:
    result = ran(path)
    record = json.loads(FORMATS["json"](run_report("run", (Ran(result),))))
    validator().validate(sample(record, most=8))  # the thousands after them are made by the same lines
    assert record["passed"] is True
    for case, told in zip(result.cases, record["experiments"][0]["cases"], strict=True):
        nodes: tuple[NodeResult, ...] = case.backprop.nodes if case.backprop else ()
        for node, read in zip(nodes, told["backprop"]["nodes"] if case.backprop else (), strict=True):
            if node.value.size > LARGEST_LISTED:
                assert read["value"] is read["gradient"] is None
                continue
            back = np.array(read["value"], node.value.dtype)
            assert back.shape == tuple(read["shape"])
            np.testing.assert_array_equal(back, node.value)
            if node.gradient is not None:
                np.testing.assert_array_equal(np.array(read["gradient"], node.gradient.dtype), node.gradient)
        if case.train:
            for name, values in case.train.columns.items():
                np.testing.assert_array_equal(np.array(told["train"]["columns"][name], values.dtype), values)


ARRAY = jsonschema.Draft202012Validator({"$ref": "#/$defs/array", "$defs": SCHEMA["$defs"]})


@given(st.lists(st.floats(), min_size=1, max_size=4), st.sampled_from(["float64", "float32"]))
def test_every_float_comes_back_from_json(floats: list[float], dtype: str) -> None:
    with np.errstate(over="ignore"):
        array = np.array(floats).astype(dtype)
    record = json.loads(data.text({"values": data.array(array)}), parse_constant=pytest.fail)
    assert ARRAY.is_valid(record["values"])
    np.testing.assert_array_equal(np.array([float(value) for value in record["values"]], dtype), array)


def test_the_options_values_and_the_guide_are_the_table_of_formats() -> None:
    assert get_args(get_args(options.Format)[0]) == tuple(FORMATS)
    (table,) = re.findall(r"\| `--format` \|.*\n\|---\|---\|\n((?:\|.*\n)+)", page("ci"))
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(FORMATS)


# One item for every check


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(3)
def test_junit_has_a_test_case_for_every_figure_formula_and_parameter(path: Path) -> None:
    result = ran(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    counts = tally(result)
    suites = JUnitXml.fromstring(FORMATS["junit"](run_report("run", (Ran(result),))).encode())
    cases = [case for suite in suites for case in suite]
    parameters = {
        (case.case, entry.parameter) for case in result.cases if case.gradcheck for entry in case.gradcheck.entries
    }
    assert len(cases) == suites.tests == counts.figures + counts.worked_out + counts.formulas + len(parameters)
    assert suites.skipped == counts.errata + counts.formula_errata
    assert (suites.failures, suites.errors) == (0, 0)
    assert len({(case.classname, case.name) for case in cases}) == len(cases)
    for case, check in zip(cases, checks(result), strict=True):
        element = case._elem
        assert element.get("file") == str(path)
        if check.kind != "gradient":
            assert check.place
            assert int(element.get("line")) == check.place.line
            if check.kind in ("figure", "worked out"):
                assert lines[check.place.line - 1][check.place.column - 1 :].startswith(check.expected)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(2)
def test_declared_names_are_those_that_a_run_gives(path: Path) -> None:
    experiment = config.load(path)
    (planned,) = plan.plans("run", [experiment], ())
    told = {(check.case, check.name): check.place for check in checks(ran(path))}
    listed = [(case.name, *found) for case, stages in planned.steps for found in declared(case, stages)]
    assert [(case, name) for case, name, _ in listed] == list(told)
    assert [place for _, _, place in listed] == list(told.values())


def test_a_graph_without_parameters_declares_its_inputs(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text("inputs: {x: 2, k: [0, 1], t: 1}\nequations: {y: 'x * sum(k) * [1, 3][t]'}\ngradcheck: {}\n")
    path.write_text("inputs: {x: [2.5, 1], t: 1}\nequations: {y: 'x[t] * x[0]'}\ngradcheck: {}\n")
    (planned,) = plan.plans("run", [config.load(path)], ())
    ((case, stages),) = planned.steps
    assert [name for name, _ in declared(case, stages)] == [check.name for check in checks(ran(path))]
    assert [name for name, _ in declared(case, stages)] == ["gradient check of dx"]


def test_junit_tells_what_fails(folder: Path) -> None:
    result = invoke("run", "wrong.yaml", "--format", "junit")
    assert (result.exit_code, result.stderr) == (1, "")
    (suite,) = JUnitXml.fromstring(result.stdout.encode())
    cases: dict[str, TestCase] = {case.name: case for case in suite}
    assert {name: [type(part) for part in case.result] for name, case in cases.items()} == {
        "p": [Failure],
        "dw[0]": [],
        "dw[1]": [Failure],
        "s": [Skipped],
        "s (no. 2)": [Failure],
        "dw = p * x": [Failure],
        "ds = p * (1 - p)": [],
        "gradient check of dw": [],
        "gradient check of db": [],
        "central_w[0] in the gradient check": [Failure],
        "b after 2 updates": [Failure],
    }
    assert cases["p"].classname == "wrong.base"
    (failure,) = cases["dw[1]"].result
    assert failure.type == "truncated"
    assert failure.message == "dw[1]: truncated (printed -0.1586, computed -0.1587, error -8.49e-05, tolerance 5e-05)"
    assert [" ".join(line.split()) for line in failure.text.splitlines()][:7] == [
        "wrong.yaml:12:26: dw[1]: truncated",
        "printed -0.1586",
        "computed -0.1587",
        "error -8.49e-05",
        "tolerance 5e-05",
        "in full -0.15868489749561468",
        "at 100% | a, [b]: *c*",
    ]
    (skipped,) = cases["s"].result
    assert skipped.message.endswith("; erratum: a slip")


def test_a_diagnosis_and_a_contradicting_witness_are_told_in_every_format(folder: Path) -> None:
    result = ran(folder / "wrong.yaml")
    (case,) = result.cases
    assert case.backprop
    figures = tuple(figure._replace(diagnosis="the sign is wrong") for figure in case.backprop.figures)
    witness = WitnessResult("w", "tape", 0.25, 1e12, "contradicts")
    backprop = replace(case.backprop, figures=figures, witnesses=(witness,))
    report = run_report("run", (Ran(replace(result, cases=(case.having(backprop=backprop),))),))
    for form in ("json", "junit", "github", "markdown"):
        text = FORMATS[form](report)
        assert "the sign is wrong" in text
        assert "tape" in text
        assert "contradicts" in text
    validator().validate(data.of_report(report))


# GitHub

ANNOTATION = re.compile(r"::error file=(?P<file>[^:,]+),line=(?P<line>\d+),col=(?P<column>\d+)::(?P<message>.+)")


def test_annotations_stand_at_the_figures(folder: Path) -> None:
    result = invoke("run", "wrong.yaml", "--format", "github")
    *annotations, last = result.stdout.splitlines()
    assert result.exit_code == 1
    assert last.startswith("7 figures, 1 match, 1 erratum confirmed, 5 fail; 2 formulas, 1 agree, 1 differ; ")
    lines = WRONG.splitlines()
    shown = []
    for annotation in annotations:
        found = ANNOTATION.fullmatch(annotation)
        assert found
        assert found["file"] == "wrong.yaml"
        shown.append(lines[int(found["line"]) - 1][int(found["column"]) - 1 :])
    assert [text[:5] for text in shown] == ["0.803", "-0.15", "1.4, ", "p * x", "0.4}", "0.5}"]
    assert "at: 100%25 | a, [b]: *c*" in annotations[1]


def test_no_more_than_ten_annotations(folder: Path) -> None:
    many = WRONG + "    1: {w: [[9, 9, 9]]}\n".replace("[[9, 9, 9]]", "[9.5, 9.5]")
    many = many.replace("  p: 0.8032\n", "".join(f"  p + {k}: 0.5\n" for k in range(1, 10)))
    (folder / "wrong.yaml").write_text(many, encoding="utf-8")
    lines = invoke("run", "wrong.yaml", "--format", "github").stdout.splitlines()
    failed = sum(check.outcome == "failed" for check in checks(ran(folder / "wrong.yaml")))
    assert failed > MOST
    assert [line.startswith("::error ") for line in lines] == [True] * MOST + [False] * 2
    assert lines[MOST] == f"and {failed - MOST} more"


def test_paths_are_those_of_the_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sub").mkdir()
    (folder / "wrong.yaml").rename(folder / "sub" / "wrong.yaml")
    monkeypatch.chdir(folder / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder))
    for given_as in ("wrong.yaml", str(folder / "sub" / "wrong.yaml")):
        assert invoke("run", given_as, "--format", "github").stdout.startswith("::error file=sub/wrong.yaml,line=11,")


def test_the_summary_page_gets_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = folder / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    invoke("run", "wrong.yaml", "--format", "junit")
    assert page.read_text() == "before\n"
    invoke("run", "wrong.yaml", "--format", "github")
    text = page.read_text()
    assert text.startswith("before\n## mathlab run: failed\n")
    assert r"| wrong, base | dw\[1\] | -0.1586 | -0.1587 |" in text
    assert r"at: 100% \| a, \[b\]: \*c\*" in text
    assert "### What passes" not in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder))
    result = invoke("run", "wrong.yaml", "--format", "github")
    assert (result.exit_code, result.stderr) == (2, f"mathlab: {folder} cannot be written: Is a directory\n")
    assert result.stdout.startswith("::error ")


# Any text at all


def told(found: Sequence[Check], problems: Sequence[Problem]) -> Report:
    """A report with given checks."""
    return Report("run", False, "said", lambda quiet: (), lambda: found, dict, problems)


ANY = st.text(st.characters(), max_size=12)
PLACES = st.none() | ANY.map(Place) | st.builds(Place, ANY, st.integers(1, 99), st.integers(1, 99))
CHECKS = st.builds(
    Check,
    kind=st.just("figure"),
    group=ANY,
    case=ANY,
    name=ANY,
    outcome=st.sampled_from(["passed", "failed", "erratum"]),
    verdict=ANY,
    place=PLACES,
    expected=ANY,
    computed=ANY,
    remarks=st.lists(st.tuples(ANY, ANY), max_size=2).map(tuple),
)
TOLD = st.builds(told, st.lists(CHECKS, max_size=12), st.lists(st.builds(Problem, ANY, PLACES), max_size=2))


@given(TOLD)
def test_junit_can_hold_any_text(report: Report) -> None:
    text = FORMATS["junit"](report)
    assert text.isascii()
    root = ElementTree.fromstring(text)
    failed = [check for check in report.checks if check.outcome == "failed"]
    assert len(list(root.iter("testcase"))) == len(report.checks) + len(report.problems)
    assert len(list(root.iter("failure"))) == len(failed)
    names = [case.get("name") for case in root.iter("testcase")]
    for check, name in zip(report.checks, names, strict=False):
        if check.name.isprintable():
            assert name == check.name


@given(TOLD)
def test_no_text_can_make_a_workflow_command_of_its_own(report: Report) -> None:
    wrong = len(report.problems) + sum(check.outcome == "failed" for check in report.checks)
    text = FORMATS["github"](report)
    lines = text.splitlines()
    assert text.count("\n") == len(lines) == min(wrong, MOST) + (wrong > MOST) + 1
    for line in lines[: min(wrong, MOST)]:
        assert re.fullmatch(r"::error( file=[^:,]*(,line=\d+,col=\d+)?)?::.*", line)


@given(TOLD)
def test_every_row_of_a_markdown_table_has_its_cells(report: Report) -> None:
    text = FORMATS["markdown"](report)
    width = 0
    for line in text.split("\n"):
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)
        if line.startswith("|"):
            width = width or len(cells)
            assert len(cells) == width
            assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]`<]", line.replace("@<!-- -->", "@"))
        else:
            width = 0


def test_columns_of_a_markdown_table_are_named_by_what_has_two_sides() -> None:
    sided = Check("figure", "y", "failed", "differs", "0.5", "0.6")
    bare = (Check(kind, "y", "failed", "open") for kind in ("article", "number"))
    report = Report("run", False, "", tables=lambda _: (), compared=lambda: (sided, *bare), about=dict)
    assert "| check | printed | computed | error |" in FORMATS["markdown"](report)


# Where it goes


def test_plain_is_the_same_on_every_screen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = invoke("run", "wrong.yaml", "--format", "plain").stdout
    assert text == invoke("run", "wrong.yaml", "-v").stdout
    for name, value in (("COLUMNS", "40"), ("FORCE_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    assert invoke("run", "wrong.yaml", "--format", "plain").stdout == text
    assert not {"\t", "\x1b"} & set(text)
    assert (
        invoke("run", "wrong.yaml", "--quiet", "--format", "plain").stdout
        == invoke("run", "wrong.yaml", "--quiet", "-o", "-").stdout
    )


def test_colour(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in invoke("run", "wrong.yaml").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31mdiffers\x1b[0m" in invoke("run", "wrong.yaml").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in invoke("run", "wrong.yaml").stdout


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_holds_what_stdout_would(folder: Path, form: str) -> None:
    shown = invoke("run", "wrong.yaml", "--verbose", "--format", form)
    result = invoke("run", "wrong.yaml", "--format", form, "-o", "new/report")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")
    assert (folder / "new" / "report").read_text(encoding="utf-8") == shown.stdout
    assert [path.name for path in (folder / "new").iterdir()] == ["report"]


def test_a_folder_in_place_of_the_file_is_refused_before_anything_runs(folder: Path) -> None:
    (folder / "report").mkdir()
    result = invoke("run", "wrong.yaml", "-o", "report")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'-o': report is a folder, and what is written is one file" in result.stderr
    assert not (folder / "outputs").exists()
    assert list((folder / "report").iterdir()) == []
    assert not list(folder.glob(".*.tmp"))


def test_links_and_devices_stay_what_they_are(folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "link").symlink_to(folder / "there" / "report")
    invoke("run", "wrong.yaml", "-o", "link")
    assert (folder / "link").is_symlink()
    assert (folder / "there" / "report").read_text().startswith("wrong: ")
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    invoke("run", "wrong.yaml", "--quiet", "-o", "pipe")
    assert os.read(reader, 100).startswith(b"wrong, case base")
    os.close(reader)
    assert (folder / "pipe").is_fifo()


TROUBLE: list[tuple[tuple[str, ...], str]] = [
    (("run", "broken.yaml"), "broken.yaml:1:1: unknown key 'equation'; did you mean 'equations'?"),
    (("gradcheck", "-c", "indices.yaml"), "nothing was compared"),
    (("run", "missing.yaml"), "missing.yaml does not exist"),
    (("diff", "a", "b"), "a does not exist"),
    (("oracle", "mine.npz", "-c", "wrong.yaml"), "mine.npz"),
]


@pytest.mark.parametrize(("args", "message"), TROUBLE)
def test_bad_input_is_in_the_report_too(folder: Path, args: tuple[str, ...], message: str) -> None:
    (folder / "broken.yaml").write_text("equation: {y: x}\n")
    (folder / "indices.yaml").write_text('inputs: {t: 1}\nequations: {y: "one_hot(t, 2)[t] * 2.0"}\n')
    read: dict[str, Callable[[str], str]] = {
        "json": lambda text: str(json.loads(text)["problems"][0]),
        "junit": lambda text: str(
            [
                part.message
                for suite in JUnitXml.fromstring(text.encode())
                for case in suite
                for part in case.result
                if isinstance(part, Error)
            ]
        ),
        "github": str,
        "markdown": str,
        "plain": str,
    }
    words = message.rpartition(": ")[2]
    for form, reader in read.items():
        (folder / "report").write_text("all is well")
        result = invoke(*args, "--format", form, "-o", "report")
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert words in reader((folder / "report").read_text(encoding="utf-8"))
    record = json.loads(invoke(*args, "--format", "json").stdout)
    validator().validate(record)
    assert record["passed"] is False


# oracle


def test_somebody_elses_arrays_in_every_format(folder: Path) -> None:
    np.savez(folder / "mine.npz", dw=np.array([0.31736979499122936, 0.15868489749561468]), p=0.8021838885585817)
    texts = {form: invoke("oracle", "mine.npz", "-c", "wrong.yaml", "--format", form) for form in FORMATS}
    assert {result.exit_code for result in texts.values()} == {1}
    record = json.loads(texts["json"].stdout)
    validator().validate(record)
    assert [(row["array"], row["passed"]) for row in record["cases"][0]["arrays"]] == [("p", True), ("dw", False)]
    suites = JUnitXml.fromstring(texts["junit"].stdout.encode())
    assert [(case.name, len(case.result)) for suite in suites for case in suite] == [("p", 0), ("dw", 1)]
    annotation, last = texts["github"].stdout.splitlines()
    assert annotation.startswith("::error file=mine.npz::mine.npz, case base: dw: differs (computed -0.1586849, given ")
    assert last == "2 arrays, 1 agree, 1 differ"
    assert texts["plain"].stdout == texts["table"].stdout


# diff


def tables(folder: Path, name: str, p: float, more: str = "") -> Path:
    made = folder / name
    made.mkdir()
    (made / "nodes.csv").write_text(f"case,role,name,index,value,gradient\nbase,node,p,0,{p},1.0\n{more}")
    (made / "same.csv").write_text("a\n1\n")
    return made


def test_a_difference_in_every_format(folder: Path) -> None:
    tables(folder, "a", 0.5)
    tables(folder, "b", 0.75, "base,node,q,,2,\n")
    texts = {form: invoke("diff", "a", "b", "--format", form) for form in FORMATS}
    assert {result.exit_code for result in texts.values()} == {1}
    record = json.loads(texts["json"].stdout)
    validator().validate(record)
    (change,) = record["difference"]["changes"]
    assert change["relative_error"] == pytest.approx(1 / 3)
    suites = JUnitXml.fromstring(texts["junit"].stdout.encode())
    cases = [(suite.name, case.name, len(case.result)) for suite in suites for case in suite]
    assert cases == [
        ("nodes.csv", "case=base, name=p, index=0: value", 1),
        ("nodes.csv", "row case=base, name=q", 1),
        ("same.csv", "same.csv", 0),
    ]
    annotation = texts["github"].stdout.splitlines()[0]
    assert annotation.startswith(
        "::error file=a/nodes.csv::nodes.csv: case=base, name=p, index=0: value: differs (A 0.5, "
    )
    assert "| nodes.csv | case=base, name=p, index=0: value | 0.5 | 0.75 | 0.333 |" in texts["markdown"].stdout
    assert texts["plain"].stdout == texts["table"].stdout


def test_the_same_in_every_format(folder: Path) -> None:
    tables(folder, "a", 0.5)
    tables(folder, "b", 0.5)
    texts = {form: invoke("diff", "a", "b", "--format", form) for form in FORMATS}
    assert {result.exit_code for result in texts.values()} == {0}
    assert json.loads(texts["json"].stdout)["passed"] is True
    assert JUnitXml.fromstring(texts["junit"].stdout.encode()).failures == 0
    assert texts["github"].stdout == "2 files, 4 cells compared, 0 differ, 0 on one side only\n"


def test_a_file_whose_differences_are_not_shown_does_not_pass(folder: Path) -> None:
    from mathlab.outputs.difference import compare

    found = compare(tables(folder, "a", 0.5), tables(folder, "b", 0.75))
    report = difference_report(folder / "a", folder / "b", found, most=0)
    assert [(check.group, check.outcome) for check in report.checks] == [
        ("nodes.csv", "failed"),
        ("same.csv", "passed"),
    ]
