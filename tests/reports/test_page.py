"""Tables are read by people: what must be whole, what must be there, at 80 columns and piped."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, Group, RenderableType

from mathlab import config
from mathlab.errors import Place
from mathlab.experiment import Array, Case, Experiment, Source
from mathlab.outputs.difference import Change, Difference, OneSided
from mathlab.reports import page as tables
from mathlab.reports.comparisons import difference_page
from mathlab.reports.layout import Paragraph, Row, Sheet, array_lines, number, plain, short
from mathlab.reports.runs import VERDICTS
from mathlab.reports.steps import backward
from mathlab.results import BackpropResult, CaseResult, ExperimentResult, GradcheckResult, Tally, TrainResult, tally
from mathlab.results.judged import EntryCheck, FigureResult, FormulaResult, Judged, NodeResult, Verdict, WitnessResult
from mathlab.stages import backprop
from tests.build import case, case_result

PIPED = 1_000_000
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def test_a_verdict_folds_between_its_parts() -> None:
    words = plain("net  7  match, 4 errata, 2 inconclusive")
    shown = [line.plain for line in Paragraph(words, hang=8, part=VERDICTS).lines(28)]
    assert shown == ["net  7  match, 4 errata,", "        2 inconclusive"]


def lines(renderable: RenderableType, width: int = 80, color: bool = False) -> list[str]:
    """What a terminal of that width shows, a string a line."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, height=50, force_terminal=color, color_system="standard" if color else None
    )
    console.print(renderable, crop=False)
    return stream.getvalue().splitlines()


def text(renderable: RenderableType, width: int = 80) -> str:
    return "\n".join(lines(renderable, width))


def judged(
    printed: str, computed: float, label: str = "match", passed: bool = True, place: Place | None = None
) -> Judged:
    error = Decimal(computed) - Decimal(printed) if np.isfinite(computed) else None
    return Judged(printed, computed, printed, error, Decimal("5e-7"), Verdict(label, passed), place)


def figure(key: str, *entries: Judged, shape: tuple[int, ...] = (), erratum: str = "", at: str = "") -> FigureResult:
    return FigureResult(key, "backprop", shape, entries, erratum=erratum, at=at)


def check(index: tuple[int, ...], relative: float, verdict: str = "confirmed") -> EntryCheck:
    assert verdict in ("confirmed", "refuted", "inconclusive", "kink")
    return EntryCheck(
        "W", index, -5.34381483557146e-08, -5.34381483557146e-08, -5.3e-08, 1e-12, 1e-20, relative, verdict,  # type: ignore[arg-type]  # asserted above
        verdict != "refuted",
    )  # fmt: skip


def experiment_of(*cases: CaseResult) -> ExperimentResult:
    declared = tuple(Case(case.case, "float64", {}, {}, ()) for case in cases)
    source = Source("An article", "https://example.org", "A reconstruction\nof [bold] inputs.")
    return ExperimentResult(Experiment("mlp", "mlp.yaml", "0" * 64, "A [red]title[/red]", source, declared), cases)


NODES = (
    NodeResult("x", "input", np.array([1.0, 2.0])),
    NodeResult(
        "W1",
        "parameter",
        np.array([[0.3, 0.4], [-0.5, -0.2]]),
        gradient=np.array([[0.447134, 0.894268], [0.0, 0.0]]),
        gradient_equation="outer(dz1, x)",
    ),
    NodeResult(
        "z1", "node", np.array([1.1, -0.8]), "W1 @ x + b1", np.array([0.447134, 0.0]), "dh * (z1 > 0)", ("z1", "x")
    ),
    NodeResult("mask", "node", np.array([True, False]), "z1 > 0", note="no gradient: a comparison has none"),
)
FIGURES = (
    figure("L[0]", judged("0.08699208259994781", 0.08699208259994781), at="section 3"),
    figure("H_in[0,0]", judged("16.0", 16.0)),
    figure(
        "dW",
        judged("-5.34381484e-08", -5.34381484e-08),
        judged("1.42014367e-03", 1.5e-03, "differs", False, Place("configs/e.yaml", 12, 7)),
        shape=(2,),
    ),
    figure("V[bold]", judged("1.06837185", 1.05, "erratum confirmed"), erratum="The printed matrix is for 0.65."),
)
FORMULAS = (
    FormulaResult("dW1", "outer(dz1, x)", "outer(dz1, x)", 0.0, 1e-12, True),
    FormulaResult("dh", "W2 @ d", "W2.T @ d", 0.5, 1e-12, False, "shapes agree", Place("configs/e.yaml", 30, 8)),
)
BACKPROP = BackpropResult(NODES, FIGURES, FORMULAS)
TRAINED = TrainResult(
    {"loss": np.linspace(1, 0.1, 201), "Y[0,0]": np.zeros(201), "norm(dW)": np.linspace(2, 0.2, 201)},
    {"W": np.eye(2)},
    (FigureResult("Y[0,0]", "train", (), (judged("0.94607312", 0.94607312),), updates=200),),
    200,
    "loss is not finite after epoch 7",
)
CASE = case_result("first", "float64", BACKPROP, GradcheckResult((check((0, 0), 0.0), check((0, 1), 1.0, "refuted"))))
TRAINING = case_result("training", "float32", TRAINED)


def test_a_node_shows_equation_shape_value_and_what_it_stores() -> None:
    shown = lines(tables.report(experiment_of(case_result("base", "float64", BACKPROP))))
    start = shown.index("backward")
    assert [re.split(r" {2,}", line.strip()) for line in shown if line.startswith("  z1 =")] == [
        ["z1 = W1 @ x + b1", "(2,)", "[1.1, -0.8]"]
    ]
    assert [re.split(r" {2,}", line.strip()) for line in shown[start + 1 : start + 3]] == [
        ["dz1 = dh * (z1 > 0)", "(2,)", "[0.447134, 0.0]"],
        ["stores z1, x"],
    ]
    assert shown[start + 3].startswith("  (what a node stores: ")
    assert "  no gradient: a comparison has none" in shown


CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_gradient_stands_behind_those_that_it_comes_from(path: Path) -> None:
    for chosen in config.load(path).cases:
        nodes = backprop.run(chosen, ["none"]).nodes
        order = backward(nodes)
        assert sorted(node.name for node in order) == sorted(n.name for n in nodes if n.gradient is not None)
        told: set[str] = set()
        for node in order:
            assert told >= {*node.readers}
            told.add(node.name)


def test_stores_and_the_names_of_parts_are_explained_where_they_first_stand() -> None:
    equations = {"h": "tanh(x)", "y": "sigmoid(h) + h**2", "z": "sigmoid(h * y) * (h + y)", "L": "sum(y * exp(z))"}
    found = backprop.run(case(equations, {"x": [0.5, -1]}), ["none"])
    shown = lines(tables.report(experiment_of(case_result("base", "float64", found))), PIPED)
    (about,) = [at for at, line in enumerate(shown) if line.startswith("  (what a node stores: ")]
    assert about == min(at for at, line in enumerate(shown) if line.startswith("  stores ")) + 1
    parts = [[part.name for part in node.parts] for node in backward(found.nodes) if node.parts]
    (told,) = [at for at, line in enumerate(shown) if ": a part of the step back through" in line]
    assert shown[told].startswith(f"  ({parts[0][0]}: ")
    assert shown[told - 1].startswith(f"  {parts[0][-1]} = ")


def test_in_brief_there_are_equations_with_value_and_gradient_and_nothing_else() -> None:
    result = experiment_of(case_result("base", "float64", BackpropResult(NODES)))
    shown = [re.split(r" {2,}", line.strip()) for line in lines(tables.brief(result), 100)]
    assert [row[0] for row in shown if row != [""]] == [
        "z1 = W1 @ x + b1",
        "mask = z1 > 0",
        "dz1 = dh * (z1 > 0)",
        "dW1 = outer(dz1, x)",
        "[",
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 120, PIPED])
def test_no_digit_is_cut_and_no_number_broken_at_any_width(width: int) -> None:
    result = experiment_of(CASE, TRAINING)
    whole = NUMBER.findall(text(tables.report(result), PIPED))
    assert sorted(NUMBER.findall(text(tables.report(result), width))) == sorted(whole)
    assert "…" not in text(tables.report(result), width)


def test_nothing_is_wider_than_80_columns() -> None:
    assert max(map(len, lines(tables.report(experiment_of(CASE, TRAINING))))) <= 80


def test_brackets_survive_markup() -> None:
    shown = text(tables.report(experiment_of(CASE)))
    for label in ("H_in[0,0]", "V[bold]", "mlp: A [red]title[/red]", "A reconstruction of [bold] inputs."):
        assert label in shown


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert text(plain("a\x1b[31mb\x07\x9b")) == r"a\x1b[31mb\x07\x9b"


def test_a_failing_figure_names_its_line_and_a_passing_one_does_not() -> None:
    shown = text(tables.report(experiment_of(CASE)))
    assert shown.count("configs/e.yaml:12:7") == 1
    assert shown.index("1.42014367e-03") < shown.index("configs/e.yaml:12:7")
    assert "configs/e.yaml:30:8" in shown


def test_notes_stand_below_their_figure() -> None:
    shown = lines(tables.report(experiment_of(CASE)), PIPED)
    row = next(index for index, line in enumerate(shown) if "V[bold]" in line)
    assert shown[row + 1].strip() == "erratum: The printed matrix is for 0.65."
    row = next(index for index, line in enumerate(shown) if "L[0]" in line)
    assert shown[row + 1].strip() == "section 3"


def test_quiet_shows_only_problems() -> None:
    shown = tables.problems(experiment_of(CASE, TRAINING))
    page = text(shown)
    assert "dW[1]" in page
    assert "dW[0]" not in page
    assert "dW[0,1]" in page
    assert "W2 @ d" in page
    assert "outer" not in page
    assert "loss is not finite after epoch 7" in page
    good = experiment_of(case_result("base", "float64", BackpropResult(NODES, FIGURES[:2], FORMULAS[:1])))
    assert not tables.problems(good).renderables


SUMMARIES = [
    (Tally(), "no figures to compare"),
    (Tally(figures=1, matched=1), "1 figure, 1 match, 0 errata confirmed"),
    (Tally(figures=9, matched=7, errata=2), "9 figures, 7 match, 2 errata confirmed"),
    (
        Tally(figures=9, matched=7, errata=1, failed=1, formulas=5),
        "9 figures, 7 match, 1 erratum confirmed, 1 fail; 5 formulas, 5 agree",
    ),
    (Tally(formulas=5, formulas_failed=2), "5 formulas, 3 agree, 2 differ"),
    (Tally(entries=1), "1 gradient entry checked, 0 refuted, 0 inconclusive"),
    (
        Tally(entries=8, entries_refuted=1, entries_inconclusive=2),
        "8 gradient entries checked, 1 refuted, 2 inconclusive",
    ),
]


@pytest.mark.parametrize(("counts", "line"), SUMMARIES)
def test_summary(counts: Tally, line: str) -> None:
    assert tables.summary(counts) == line


def test_every_case_ends_in_its_own_counts() -> None:
    shown = text(tables.report(experiment_of(CASE, TRAINING)))
    assert tables.summary(tally(TRAINING)) in shown


ARRAYS: list[tuple[Array, list[str]]] = [
    (np.array(1.018222), ["1.018222"]),
    (np.array(16.0), ["16.0"]),
    (np.array(1), ["1"]),
    (np.array([1.1, -0.8]), ["[1.1, -0.8]"]),
    (np.array([[6.0, -3.0], [-2.0, 5.0]]), ["[[ 6.0, -3.0],", " [-2.0,  5.0]]"]),
    (np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), ["[[[1.0],", "  [2.0]],", " [[3.0],", "  [4.0]]]"]),
    (np.zeros((0, 3)), ["[]"]),
    (np.array([np.nan, np.inf, -np.inf]), ["[nan, inf, -inf]"]),
    (np.array([0.3], np.float32), ["[0.3]"]),
    (np.arange(17.0), ["norm 38.678159, min 0.0, max 16.0"]),
    (np.full(20, 1e300), ["norm inf, min 1e+300, max 1e+300"]),
]


@pytest.mark.parametrize(("array", "expected"), ARRAYS, ids=lambda value: str(value)[:30])
def test_arrays(array: Array, expected: list[str]) -> None:
    assert [line.plain for line in array_lines(array)] == expected


LABELS = [
    ("loss", (), "loss"),
    ("p", (1,), "p[1]"),
    ("dW[0]", (1,), "dW[0][1]"),
    ("sum(L, axis=1)", (0, 2), "sum(L, axis=1)[0,2]"),
    ("p - t", (0,), "(p - t)[0]"),
    ("(p) - (t)", (0,), "((p) - (t))[0]"),
]


@pytest.mark.parametrize(("key", "index", "label"), LABELS)
def test_an_entry_of_an_array_figure_is_labelled(key: str, index: tuple[int, ...], label: str) -> None:
    shape = tuple(size + 1 for size in index)
    entries = tuple(judged("1.0", 1.0) for _ in np.ndindex(shape))
    shown = text(
        tables.report(
            experiment_of(case_result("a", "float64", BackpropResult((), (figure(key, *entries, shape=shape),))))
        ),
        PIPED,
    )
    assert f"  {label} " in shown


NUMBERS: list[tuple[Callable[[], str], str]] = [
    (lambda: number(-5.34381483557146e-08), "-5.3438148e-08"),
    (lambda: number(1e22), "1e+22"),
    (lambda: number(np.int64(3)), "3"),
    (lambda: number(-0.0), "0.0"),
    (lambda: short(None), "not finite"),
    (lambda: short(Decimal("5E-7")), "5e-07"),
    (lambda: short(Decimal("-4.9412E-7")), "-4.94e-07"),
    (lambda: short(Decimal("0E-20")), "0"),
    (lambda: short(0.5), "0.5"),
    (lambda: short(float("nan")), "nan"),
    (lambda: short(float("inf")), "inf"),
]


@pytest.mark.parametrize(("make", "expected"), NUMBERS)
def test_numbers(make: Callable[[], str], expected: str) -> None:
    assert make() == expected


def test_a_long_gradient_check_shows_the_worst_and_counts_the_rest() -> None:
    entries = [check((index,), index * 1e-9) for index in range(50)]
    entries[3] = check((3,), 1e-12, "inconclusive")
    entries[4] = check((4,), 1e-15, "refuted")
    shown = lines(tables.report(experiment_of(case_result("a", "float64", GradcheckResult(tuple(entries))))))
    heads = [line.strip() for line in shown if re.match(r" +dW\[", line)]
    assert heads[:3] == ["dW[4]  refuted", "dW[3]  inconclusive", "dW[49]  confirmed"]
    assert len(heads) == 10
    assert "  dW: 50 entries, 48 confirmed, 1 inconclusive, 1 refuted" in shown


def test_selected_epochs() -> None:
    assert tables.selected(0) == []
    assert tables.selected(1) == [0]
    assert tables.selected(201) == [0, 1, 2, 5, 10, 20, 50, 100, 200]


def test_training_shows_losses_norms_and_parameters() -> None:
    shown = text(tables.report(experiment_of(TRAINING)))
    assert re.search(r"epoch 200 +0\.1 +0\.2$", shown, re.MULTILINE)
    assert "Y[0,0] after 200 updates" in shown
    assert re.search(r"W +\(2, 2\) +\[\[1\.0, 0\.0\],", shown)


def test_colour_says_nothing_that_words_do_not() -> None:
    escape = re.compile(r"\x1b\[[0-9;]*m")
    colored = lines(tables.report(experiment_of(CASE)), color=True)
    assert any("\x1b[32m" in line for line in colored)
    assert [escape.sub("", line).rstrip() for line in colored] == lines(tables.report(experiment_of(CASE)))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.text("ab[]é漢", max_size=30), st.floats(allow_nan=False), st.floats(allow_nan=False)), max_size=5
    ),
    st.integers(1, 130),
)
def test_a_sheet_loses_nothing(rows: list[tuple[str, float, float]], width: int) -> None:
    cells = [(name, repr(a), repr(b)) for name, a, b in rows]
    sheet = Sheet(("name", "a", "b"), tuple(Row(tuple(map(plain, row)), (plain("some note"),)) for row in cells))
    words = text(sheet, width).split()
    for name, a, b in cells:
        assert words.count(a) >= 1
        assert words.count(b) >= 1
        assert not name or name in words


def test_a_paragraph_hangs_and_an_endless_word_stays_whole() -> None:
    assert lines(Paragraph(plain("one two three"), indent=1), 10) == [" one two", "   three"]
    assert lines(Paragraph(plain("x" * 30)), 10) == ["x" * 30]


def test_a_long_equation_and_a_long_value_wrap_between_words() -> None:
    equation = " + ".join(f"w{index} * x{index}" for index in range(20))
    node = NodeResult("z", "node", np.linspace(0.1, 1, 16) / 3, equation)
    shown = lines(tables.report(experiment_of(case_result("a", "float64", BackpropResult((node,))))), 60)
    assert max(map(len, shown)) <= 60
    assert equation in " ".join(" ".join(shown).split())
    assert "0.033333333, 0.053333333," in text(Paragraph(array_lines(node.value)[0]), 60)


def test_a_difference_shows_the_worst_and_counts_all() -> None:
    changes = (
        Change("mlp/nodes.csv", "case=base, name=W[bold], index=0,1", "value", "0.1", "0.2", 0.5),
        Change("mlp/figures.csv", "case=base, quantity=loss", "verdict", "match", "", float("inf")),
        Change("mlp/nodes.csv", "case=base, name=z", "value", "1.0", "1.00001", 1e-5),
    )
    missing = (OneSided("mlp/nodes.csv", "row", "case=base, name=q", "b"), OneSided("x.csv", "file", "x.csv", "a"))
    found = Difference(("mlp/nodes.csv", "mlp/figures.csv"), 120, 7, changes, 2, missing)
    shown = text(Group(*difference_page(found.worst(3))))
    for part in (
        "name=W[bold], index=0,1",
        "0.1",
        "(empty)",
        "B only: row case=base, name=q in mlp/nodes.csv",
        "and 6 more",
    ):
        assert part in shown
    assert "1.00001" not in shown
    assert shown.splitlines()[-1] == "2 files, 120 cells compared, 7 differ, 2 on one side only"
    assert text(Group(*difference_page(Difference(("a.csv",), 3)))) == (
        "1 file, 3 cells compared, 0 differ, 0 on one side only"
    )


def test_witnesses_stand_beside_the_gradients() -> None:
    told = (
        WitnessResult("W1", "tape", 2.5e-16, 1.0, "agrees"),
        WitnessResult("W1", "central", None, None, "skipped", "5000 entries would take too long"),
        WitnessResult("b1", "tape", 2.0, 9e15, "contradicts"),
    )
    page = lines(tables.report(experiment_of(case_result("a", "float64", BackpropResult((), witnesses=told)))), 100)
    assert "\n".join(page[page.index("witnesses") + 1 :]).split("\n\n")[0].splitlines() == [
        "  gradient  witness  relative    ulp  verdict",
        "  dW1       tape      2.5e-16      1  agrees",
        "  dW1       central                   skipped",
        "    5000 entries would take too long",
        "  db1       tape            2  9e+15  contradicts",
    ]
    quiet = tables.problems(experiment_of(case_result("a", "float64", BackpropResult((), witnesses=told))))
    assert [line for line in lines(quiet, 100) if "dW1" in line or "db1" in line] == [page[page.index("witnesses") + 5]]


def test_the_last_line_is_a_line_for_each_kind_of_thing_where_it_is_too_wide() -> None:
    counts = Tally(figures=220, matched=215, errata=5, formulas=239, formula_errata=8, entries=453)
    assert lines(tables.closing(counts)) == [part.strip() for part in tables.summary(counts).split(";")]
    assert lines(tables.closing(counts), 200) == [tables.summary(counts)]
