"""The command: what it prints where, and with which exit code it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mathlab import __version__
from mathlab.cli import app
from mathlab.errors import MathlabError, Place, Problem
from mathlab.experiment import (
    Allowed,
    Case,
    Experiment,
    Figure,
    GradcheckSettings,
    PrintedNumber,
    Source,
    TrainSettings,
)
from mathlab.habits import EXAMPLES
from mathlab.language.equation import Equation
from mathlab.language.syntax import parse
from mathlab.results import BackpropResult, ExperimentResult, GradcheckResult, TrainResult
from mathlab.results.judged import FigureResult, FormulaResult, Judged, NodeResult, Verdict

LOSS = Figure("loss", parse("loss"), printed=(PrintedNumber("1.018222"),))
NOTHING = "mathlab: nothing was compared: add expected figures, a derivation or a gradcheck to the config\n"


def case(name: str = "base", *, expected: bool = True, gradcheck: bool = False, train: bool = False) -> Case:
    return Case(
        name,
        "float64",
        {},
        {},
        (Equation("loss", parse("x"), "x"),),
        expected=(LOSS,) if expected else (),
        gradcheck=GradcheckSettings() if gradcheck else None,
        train=TrainSettings("sgd", {"lr": 0.5}, 2) if train else None,
        place=Place("a.yaml", 7, 1),
    )


def experiment(name: str, *cases: Case) -> Experiment:
    return Experiment(name, f"{name}.yaml", "0" * 64, "A title", Source(), cases or (case(),))


def judged(text: str, passed: bool) -> Judged:
    verdict = Verdict("match" if passed else "differs", passed)
    return Judged(text, 1.0, text, Decimal(0), Decimal("5e-7"), verdict, Place("a.yaml", 12, 9))


@dataclass
class Lab:
    """The package behind the command, played: which configs there are, what the stages say, what was asked of them."""

    configs: dict[str, Experiment | MathlabError] = field(default_factory=lambda: {"a.yaml": experiment("a")})
    passes: bool = True
    fault: BaseException | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    written: list[ExperimentResult] = field(default_factory=list)

    def find(self, path: Path) -> list[Path]:
        if str(path) not in (*self.configs, "configs"):
            raise MathlabError(f"{path} does not exist")
        return [Path(name) for name in (self.configs if str(path) == "configs" else [str(path)])]

    def load(self, path: Path, allowed: Allowed | None = None) -> Experiment:
        found = self.configs[str(path)]
        if isinstance(found, MathlabError):
            raise found
        return found

    def called(self, stage: str, case: Case) -> None:
        self.calls.append((stage, case.name))
        if self.fault:
            raise self.fault

    def figures(self, stage: str, case: Case) -> tuple[FigureResult, ...]:
        return (FigureResult("loss", stage, (), (judged("1.018222", self.passes),)),) if case.expected else ()

    def backprop(self, case: Case, witnesses: Sequence[str] | None = None) -> BackpropResult:
        self.called("backprop", case)
        return BackpropResult((NodeResult("loss", "node", np.array(1.0), "x"),), self.figures("backprop", case))

    def gradcheck(
        self, case: Case, progress: Callable[[int, int, float | None], None] | None = None
    ) -> GradcheckResult:
        self.called("gradcheck", case)
        assert progress is None
        return GradcheckResult((), self.figures("gradcheck", case))

    def train(self, case: Case, progress: Callable[[int, int, float | None], None] | None = None) -> TrainResult:
        self.called("train", case)
        assert progress is None
        return TrainResult({"loss": np.array([2.0, 1.0])}, {}, self.figures("train", case), 1)

    def derivation(self, case: Case, form: str, full: bool) -> str:
        return f"dx = {form} of {len(case.equations)}\n"

    def write(
        self,
        result: ExperimentResult,
        out: Path,
        provenance: Mapping[str, object],
        everything: bool,
        more: Mapping[str, str],
    ) -> list[Path]:
        assert everything == (provenance["command"] == "run")
        self.written.append(result)
        return []


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    played = Lab()
    parts: dict[str, Callable[..., object]] = {
        "config.find": played.find,
        "config.load": played.load,
        "outputs.write.write": played.write,
        "stages.backprop.run": played.backprop,
        "stages.derivation.derivation": played.derivation,
        "stages.gradcheck.run": played.gradcheck,
        "stages.train.run": played.train,
        "diagnosis.explained": lambda case, result: result,
    }
    for name, part in parts.items():
        monkeypatch.setattr(f"mathlab.{name}", part)
    return played


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def test_figures_that_match_end_in_0(lab: Lab) -> None:
    result = invoke("backprop", "--config", "a.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "a: A title"
    assert result.stdout.splitlines()[-1] == "1 figure, 1 match, 0 errata confirmed"
    assert [written.experiment.name for written in lab.written] == ["a"]


def test_a_figure_that_fails_ends_in_1_and_is_still_written(lab: Lab) -> None:
    lab.passes = False
    result = invoke("backprop", "--config", "a.yaml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "a.yaml:12:9" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 figure, 0 match, 0 errata confirmed, 1 fail"
    assert len(lab.written) == 1


def test_every_problem_of_every_config_is_told_before_anything_runs(lab: Lab) -> None:
    lab.configs = {
        "a.yaml": experiment("a"),
        "b.yaml": MathlabError(
            [Problem("unknown key 'los'", Place("b.yaml", 3, 1)), Problem("not a number", Place("b.yaml", 4, 5))]
        ),
        "c.yaml": MathlabError("a second one", Place("c.yaml", 1, 2)),
    }
    result = invoke("run", "configs", "missing.yaml")
    assert (result.exit_code, result.stdout, lab.calls, lab.written) == (2, "", [], [])
    assert sorted(result.stderr.splitlines()) == [
        "b.yaml:3:1: unknown key 'los'",
        "b.yaml:4:5: not a number",
        "c.yaml:1:2: a second one",
        "mathlab: missing.yaml does not exist",
    ]


def test_a_case_that_cannot_run_ends_in_2_and_the_others_still_run(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a"), "b.yaml": experiment("b")}
    lab.fault = MathlabError("shapes (2,) and (3,) do not fit")
    result = invoke("run", "configs")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "a.yaml:7:1: shapes (2,) and (3,) do not fit\n" * 2
    assert lab.written == []
    assert lab.calls == [("backprop", "base"), ("backprop", "base")]


def came_of(error: BaseException, cause: BaseException) -> BaseException:
    """The error, as it is where the other one was being handled."""
    error.__context__ = cause
    return error


CRASHES: list[tuple[BaseException, int, str]] = [
    (ValueError("bad\nluck"), 2, "mathlab: internal error: ValueError: bad luck, please report\n"),
    (RecursionError("too deep"), 2, "mathlab: internal error: RecursionError: too deep, please report\n"),
    (MemoryError(), 2, "mathlab: there is not enough memory for this\n"),
    (ImportError("no libblas.so"), 2, "mathlab: a library cannot be loaded: no libblas.so\n"),
    (KeyboardInterrupt(), 130, ""),
    (came_of(ImportError("no libblas.so"), KeyboardInterrupt()), 130, ""),
    (came_of(KeyboardInterrupt(), KeyError("x")), 130, ""),
]


@pytest.mark.parametrize(("fault", "code", "message"), CRASHES, ids=lambda value: type(value).__name__)
def test_a_crash_is_one_line_and_never_1(lab: Lab, fault: BaseException, code: int, message: str) -> None:
    lab.fault = fault
    result = invoke("backprop", "--config", "a.yaml")
    assert (result.exit_code, result.stderr) == (code, message)


STAGES: list[tuple[tuple[str, ...], Case, list[str]]] = [
    (("backprop", "-c"), case(train=True, gradcheck=True), ["backprop"]),
    (("gradcheck", "-c"), case(), ["gradcheck"]),
    (("train", "-c"), case(train=True), ["train"]),
    (("run",), case(), ["backprop"]),
    (("run",), case(gradcheck=True, train=True), ["train", "gradcheck", "backprop"]),
    (("run",), case(expected=False, gradcheck=True), ["gradcheck"]),
    (("run",), case(expected=False, train=True), ["train"]),
]


@pytest.mark.parametrize(("command", "declared", "stages"), STAGES)
def test_stages(lab: Lab, command: tuple[str, ...], declared: Case, stages: list[str]) -> None:
    lab.configs = {"a.yaml": experiment("a", declared)}
    invoke(*command, "a.yaml")
    assert [stage for stage, _ in lab.calls] == stages


def test_run_runs_the_configs_folder_and_totals_it(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a"), "b.yaml": experiment("b", case("one"), case("two", expected=False))}
    result = invoke("run")
    assert result.exit_code == 0
    assert lab.calls == [("backprop", "base"), ("backprop", "one"), ("backprop", "two")]
    assert result.stdout.splitlines() == [
        "experiment  figures  formulas  entries  verdict",
        "a                 1                     match",
        "b                 1                     match",
        "",
        "2 figures, 2 match, 0 errata confirmed",
    ]
    pages = invoke("run", "-v").stdout.splitlines()
    assert pages[0] == "a: A title"
    assert "b: 1 figure, 1 match, 0 errata confirmed" in pages
    assert pages[-1] == result.stdout.splitlines()[-1]


def test_run_tells_in_full_what_failed_and_counts_the_rest(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a"), "b.yaml": experiment("b")}
    lab.passes = False
    lines = invoke("run").stdout.splitlines()
    assert lines[1:4] == [f"{name}                 1                     1 fail" for name in "ab"] + [""]
    assert lines[4:] == invoke("run", "--quiet").stdout.splitlines()
    assert "    a.yaml:12:9" in lines


def test_without_a_command_it_says_where_to_begin_and_does_not_pass() -> None:
    result = invoke()
    assert (result.exit_code, result.stderr) == (2, "")
    commands = re.findall(r"^  mathlab (\w+)", result.stdout, re.MULTILINE)
    assert commands == ["init", "backprop", "guide"]
    assert max(map(len, result.stdout.splitlines())) <= 80


SUGGESTION = "; did you mean 'base'?"
REFUSED: list[tuple[tuple[str, ...], tuple[Experiment, ...], str]] = [
    (
        ("run", "configs"),
        (experiment("a"), experiment("b", case(expected=False), case("c", expected=False))),
        "b.yaml:1:1: declares nothing to check: add expected, derivation, gradcheck, train or sweep\n",
    ),
    (
        ("train", "-c", "configs"),
        (experiment("a"),),
        f"mathlab: nothing to train: no case here declares train{EXAMPLES['train']}\n",
    ),
    (("run", "configs", "--case", "bse"), (experiment("a"),), f"mathlab: unknown case 'bse'{SUGGESTION}\n"),
]


@pytest.mark.parametrize(("args", "experiments", "message"), REFUSED)
def test_refused_before_anything_runs(
    lab: Lab, args: tuple[str, ...], experiments: tuple[Experiment, ...], message: str
) -> None:
    lab.configs = {made.path: made for made in experiments}
    result = invoke(*args)
    assert (result.exit_code, result.stdout, result.stderr, lab.calls) == (2, "", message, [])


def test_two_configs_of_one_name_are_refused_and_one_config_given_twice_is_not(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a"), "old/a.yaml": Experiment("a", "old/a.yaml", "", "", Source(), (case(),))}
    result = invoke("backprop", "-c", "a.yaml", "-c", "old/a.yaml")
    assert result.exit_code == 2
    assert "a.yaml and old/a.yaml would write to the same output folder" in result.stderr
    assert invoke("backprop", "-c", "a.yaml", "-c", "./a.yaml").exit_code == 0
    assert len(lab.written) == 1


@pytest.mark.parametrize("args", [("gradcheck", "-c", "a.yaml"), ("run", "a.yaml")])
def test_nothing_compared_is_not_green(lab: Lab, args: tuple[str, ...]) -> None:
    lab.configs = {"a.yaml": experiment("a", case(expected=False, train=args[0] == "run"))}
    result = invoke(*args)
    assert (result.exit_code, result.stderr) == (2, NOTHING)
    assert result.stdout.splitlines()[-1] == "no figures to compare"


def test_backprop_without_figures_is_fine(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a", case(expected=False))}
    result = invoke("backprop", "a.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "no figures to compare"


def test_training_without_figures_is_fine(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a", case(expected=False, train=True), case("other"))}
    result = invoke("train", "-c", "a.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "no figures to compare"
    assert lab.calls == [("train", "base")]


def test_a_hand_derived_formula_that_differs_ends_in_1(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    formula = FormulaResult("dx", "W @ g", "W.T @ g", 0.5, 1e-12, False, "", Place("a.yaml", 20, 3))
    monkeypatch.setattr("mathlab.stages.backprop.run", lambda case, witnesses: BackpropResult((), (), (formula,)))
    result = invoke("backprop", "-c", "a.yaml")
    assert result.exit_code == 1
    assert "a.yaml:20:3" in result.stdout


def test_quiet_prints_problems_and_the_last_line(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a"), "b.yaml": experiment("b")}
    assert invoke("run", "--quiet").stdout == "2 figures, 2 match, 0 errata confirmed\n"
    lab.passes = False
    shown = invoke("run", "--quiet").stdout
    assert "a, case base (float64)" in shown
    assert "a.yaml:12:9" in shown
    assert "A title" not in shown


def test_cases_are_chosen_by_name(lab: Lab) -> None:
    lab.configs = {"a.yaml": experiment("a", case("one"), case("two"), case("three")), "b.yaml": experiment("b")}
    assert invoke("run", "--case", "two", "--case", "one").exit_code == 0
    assert lab.calls == [("backprop", "one"), ("backprop", "two")]
    assert [written.experiment.name for written in lab.written] == ["a"]


def test_derive_prints_what_cases_share_once(lab: Lab) -> None:
    assert invoke("derive", "-c", "a.yaml").stdout == "dx = text of 1\n"
    longer = Case("long", "float64", {}, {}, (*case().equations, *case().equations))
    lab.configs = {"a.yaml": experiment("a", case("one"), case("two"), longer)}
    assert invoke("derive", "-c", "a.yaml", "--format", "latex").stdout.splitlines() == [
        "% a, one",
        "% a, two",
        "dx = latex of 1",
        "",
        "% a, long",
        "dx = latex of 2",
    ]
    assert invoke("derive", "-c", "a.yaml", "--case", "one").stdout == "dx = text of 1\n"
    lab.configs = {"a.yaml": experiment("a", case("-->one<b>"), longer)}
    assert invoke("derive", "-c", "a.yaml", "--format", "mathml").stdout.startswith("<!-- a, --&gt;one&lt;b&gt; -->\n")


USAGE = [
    ("--confg",),
    ("derive", "-c", "a.yaml", "--format", "pdf"),
    ("diff", "a"),
    ("diff", "a", "b", "--rtol", "x"),
    ("nonsense",),
]


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_usage_errors_end_in_2(args: tuple[str, ...]) -> None:
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


MISTAKEN = {
    "net.yaml": "No such command 'net.yaml'; write: mathlab run net.yaml",
    "run net.yaml -o out/": "out/ is a folder, and what is written is one file",
    "run net.yaml -o ..": ".. is a folder, and what is written is one file",
    "run net.yaml -o net.yaml/x": "net.yaml/x is to be a file below net.yaml, which is no folder",
    "run net.yaml --allow-files nowhere": "Path 'nowhere' does not exist.",
    "draw net.yaml -oout/": "out/ is a folder, and what is written is one file",
    "test net.yaml": "No such command 'test'; write: mathlab run",
    "backward net.yaml": "No such command 'backward'; write: mathlab backprop",
    "fit net.yaml": "No such command 'fit'; write: mathlab train",
    "help": "No such command 'help'; write: mathlab guide",
    "version": "No such command 'version'; write: mathlab --version",
    "--config net.yaml": "No such option: --config; a command comes first, as in: mathlab run net.yaml",
    "train net.yaml --lr 0.1": "No such option: --lr; write --set train.lr=VALUE",
    "train net.yaml --epochs 5": "No such option: --epochs; write --set train.epochs=VALUE",
    "train net.yaml --batch-size=5": "No such option: --batch-size; write --set train.batch_size=VALUE",
    "backprop net.yaml --dtype float32": "No such option: --dtype; write --set dtype=VALUE",
    "sweep net.yaml --lr 0.1": "No such option: --lr; lr stands in the config",
    "backprop net.yaml --json": "No such option: --json; write --format json",
    "backprop net.yaml --output out": "No such option: --output; write --out DIR",
    "backprop net.yaml --witnesses torch": "No such option: --witnesses; write --witness NAMES",
    "derive net.yaml --latex": "No such option: --latex; write --format latex",
    "draw net.yaml --format svg": "No such option: --format; write --as KIND",
    "update net.yaml --dry": "No such option: --dry; write --dry-run",
    "gradcheck net.yaml --flux 1": "No such option: --flux; mathlab gradcheck -h lists what there is",
    "gradcheck net.yaml --tol 1": "No such option: --tol; rtol stands in the config",
    "diff a b --tol 1": "No such option: --tol; write --rtol",
    "run --file net.yaml": "No such option: --file; write --config FILE",
    "run net": "net does not exist; did you mean 'net.yaml'?",
    "help run": "No such command 'help'; write: mathlab run -h",
    "guide softmax": "the guide has no page on 'softmax'; it stands in experiments, files, language",
    "oracle a.npz net.yaml": "Got unexpected extra argument(s) (net.yaml); a config stands behind --config",
    "run net.yml": "net.yml does not exist; did you mean 'net.yaml'?",
    "run net.yaml,other.yaml": "net.yaml,other.yaml does not exist; several are divided by spaces",
    "RUN net.yaml": "No such command 'RUN'; write: mathlab run",
    "grad-check net.yaml": "No such command 'grad-check'; write: mathlab gradcheck",
    "page net.yaml": "No such command 'page'; write: mathlab draw --as page",
    "serve": "No such command 'serve'; mathlab -h lists them",  # which is no derive
    "runn net.yaml": "No such command 'runn'; did you mean 'run'?",
    "run net.yaml --update": "No such option: --update; that is a command: mathlab update",
    "draw net.yaml -o g.png": "g.png would be no .png file: write g.svg",
    "draw net.yaml --as page -o g.svg": "g.svg would be no .svg file: write g.html",
    "run net.yaml --set w=3": "No such option: --set; it is an option of backprop, gradcheck, train",
    "backprop net.yaml -b": "No such option: -b; mathlab backprop -h lists what there is",
    "init --name mine": "No such option: --name; it stands without --name",
    "run net.yaml --out=": "An argument is empty.",
    "backprop net.yaml w=3": (
        "w=3 does not exist; what is to be set stands behind --set, in backprop, gradcheck and train"
    ),
    "run net.yaml::base": "net.yaml::base does not exist; a case stands behind --case",
    "derive net.yaml -o net.tex": "No such option: -o; write > FILE",
    "run net.yaml --no-color": "No such option: --no-color; write NO_COLOR=1 before the command",
    "sweep net.yaml --jobs 3": "No such option: --jobs; mathlab sweep -h lists what there is",
    "draw net.yaml --as html": "unknown picture 'html'; did you mean 'page'?",
    "backprop --set w 3": "'w' sets nothing: write what is set and its value, as in W1[0,0]=0.5",
    "run net.yaml --case nope": "unknown case 'nope'; known are base",
}


@pytest.mark.parametrize("words", MISTAKEN)
def test_what_is_mistaken_on_the_command_line_is_told_with_what_to_write(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("parameters: {w: 2}\nequations: {y: w**2}\nexpected: {y: 4}\n", encoding="utf-8")
    result = invoke(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.rstrip("\n").endswith(MISTAKEN[words])


def test_an_empty_argument_is_not_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("parameters: {w: 2}\nequations: {y: w**2}\nexpected: {y: 4}\n", encoding="utf-8")
    result = invoke("run", "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: An argument is empty.\n")


def test_help_and_version() -> None:
    assert invoke("--version").stdout == f"mathlab {__version__}\n"
    for command in ("backprop", "gradcheck", "train", "run", "derive", "diff"):
        assert command in invoke("--help").stdout
        result = invoke(command, "--help")
        assert result.exit_code == 0
        assert "..." not in result.stdout.replace("FILE...", "")


DIFFERENCES = [
    ("name,value\na,1.0\n", "name,value\na,1.0\n", (), 0),
    ("name,value\na,1.0\n", "name,value\na,1.1\n", (), 1),
    ("name,value\na,1.0\n", "name,value\na,1.1\n", ("--rtol", "0.2"), 0),
    ("name,value\na,1.0\n", "name,value\na,1.1\n", ("--atol", "0.2"), 0),
    ("name,value\na,1.0\n", "name,value\nb,1.0\n", (), 1),
    ("name,value\n", "name,value\n", (), 2),
]


@pytest.mark.parametrize(("a", "b", "options", "code"), DIFFERENCES)
def test_diff(tmp_path: Path, a: str, b: str, options: tuple[str, ...], code: int) -> None:
    (tmp_path / "a.csv").write_text(a)
    (tmp_path / "b.csv").write_text(b)
    result = invoke("diff", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), *options)
    assert result.exit_code == code
    assert bool(result.stderr) == (code == 2)
    assert bool(result.stdout) == (code != 2)


def test_diff_of_what_is_not_there(tmp_path: Path) -> None:
    result = invoke("diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert (result.exit_code, result.stderr) == (2, f"mathlab: {tmp_path / 'a'} does not exist\n")
