"""`pytest --mathlab`: an item for everything that a config claims."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# imported here because pytester forgets what a session inside of it imports, and NumPy cannot be imported twice
import mathlab.diagnosis
import mathlab.reports.checks
import mathlab.stages.gradcheck
import mathlab.stages.train  # noqa: F401

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
# without what no test here is about, and what would be imported for each of them
INI = "[pytest]\naddopts = -p no:cacheprovider -p no:hypothesispytest"

GOOD = """\
parameters: {w: [3, 4]}
equations: {n: norm(w)}
derivation: {dw: w / n}
expected:
  n: {printed: 5.1, erratum: a slip}
  dw: [0.6, 0.8]
gradcheck: {}
train:
  optimizer: {name: sgd, lr: 1}
  epochs: 1
  after: {1: {n: 4.0}}
"""
WRONG = GOOD.replace("0.8]", "0.9]").replace("w / n", "w * n").replace("n: 4.0", "n: 4.1")


@pytest.fixture
def folder(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".yaml", good=GOOD, compose="services: {web: {image: nginx}}\n", keras="layers: [dense]\n")
    pytester.makefile(".yaml", list="- 1\n", template="a: {{ b }}\nc: [\n")
    pytester.makeini(f"{INI} -p no:xdist\n")
    return pytester


def test_it_is_registered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"mathlab": "mathlab.pytest_plugin"}
    assert "mathlab.pytest_plugin" in {entry.value for entry in entry_points(group="pytest11")}


def test_an_item_for_every_figure_formula_and_gradient(folder: pytest.Pytester) -> None:
    result = folder.runpytest("--mathlab", "--collect-only", "-q")
    assert result.outlines[: result.outlines.index("")] == [
        "good.yaml::base::n",
        "good.yaml::base::dw[0]",
        "good.yaml::base::dw[1]",
        "good.yaml::base::dw = w / n",
        "good.yaml::base::gradient check of dw",
        "good.yaml::base::n after 1 update",
    ]
    folder.runpytest("--mathlab").assert_outcomes(passed=5, xfailed=1)


def test_what_is_wrong_is_told(folder: pytest.Pytester) -> None:
    folder.makefile(".yaml", wrong=WRONG)
    result = folder.runpytest("--mathlab", "-rx", "wrong.yaml")
    result.assert_outcomes(passed=2, failed=3, xfailed=1)
    result.stdout.re_match_lines_random(
        [
            r"wrong\.yaml:6:13: dw\[1\]: off by 1$",
            r"  printed +0\.9$",
            r"  computed +0\.8$",
            r"  in full +0\.8$",
            r"wrong\.yaml:3:18: dw = w \* n: differs$",
            r"  by hand +w \* n$",
            r"wrong\.yaml:11:18: n after 1 update: off by 1$",
            r"XFAIL wrong\.yaml::base::n - a slip$",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_one_item_can_be_chosen(folder: pytest.Pytester) -> None:
    folder.runpytest("--mathlab", "good.yaml::base::dw[1]").assert_outcomes(passed=1)


def test_the_ini_setting_does_what_the_option_does(folder: pytest.Pytester) -> None:
    folder.makeini(f"{INI} -p no:xdist\nmathlab = true\n")
    folder.runpytest().assert_outcomes(passed=5, xfailed=1)


def test_configs_may_do_what_the_ini_file_says(folder: pytest.Pytester) -> None:
    folder.mkdir("sub")
    (folder.path / "x.csv").write_text("a\n1\n2\n")
    (folder.path / "sub" / "far.yaml").write_text(GOOD_FAR)
    folder.runpytest("--mathlab", "sub").assert_outcomes(errors=1)
    folder.makeini(f"{INI} -p no:xdist\nmathlab = true\nmathlab_allow_files = .\nmathlab_allow_large = true\n")
    folder.runpytest("sub").assert_outcomes(passed=1)


def test_without_the_option_nothing_is_collected_or_imported(folder: pytest.Pytester) -> None:
    folder.makepyfile(
        test_it="""
        import sys

        def test_nothing_heavy():
            assert "mathlab.pytest_plugin" in sys.modules
            assert not {"numpy", "pandas", "yaml", "rich.console", "mathlab.config"} & set(sys.modules)
        """
    )
    folder.runpytest_subprocess().assert_outcomes(passed=1)


GOOD_FAR = "inputs: {x: {file: ../x.csv}}\nequations: {n: sum(x)}\nexpected: {n: 3}\n"

BROKEN = [
    (WRONG.replace("norm(w)", "norm(v)"), "'v'"),
    ("parameters: {w: 3}\nequations: {n: w * w}\n", "declares nothing to check"),
    ("parameters: {w: 3}\nequations: {n: w * w\n", "this is not YAML"),
    ("cases: {a: {equations: {n: w * w}}}\n", "w"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_config_that_cannot_be_used_is_an_error_at_collection(
    folder: pytest.Pytester, text: str, message: str
) -> None:
    folder.makefile(".yaml", broken=text)
    result = folder.runpytest("--mathlab")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*broken.yaml:*{message}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_config_runs_once_and_one_that_cannot_run_says_so_in_every_item(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mathlab import plan
    from mathlab.errors import MathlabError

    ran: list[str] = []

    def refuse(planned: plan.Plan, progress: object) -> None:
        ran.append(planned.experiment.name)
        raise MathlabError("it does not fit")

    monkeypatch.setattr("mathlab.plan.results", refuse)
    result = folder.runpytest("--mathlab")
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(["it does not fit"] * 6)
    assert ran == ["good"]


def test_with_xdist(folder: pytest.Pytester) -> None:
    folder.makefile(".yaml", wrong=WRONG)
    folder.makeini(INI)
    folder.runpytest_subprocess("--mathlab", "-n", "2").assert_outcomes(passed=7, failed=3, xfailed=2)


DIVERGES = "parameters: {w: 3}\nequations: {L: w**4}\ntrain: {optimizer: {name: sgd, lr: LR}, epochs: 20}\n"


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        (DIVERGES.replace("LR", "10") + "expected: {L: 81}\n", {"failed": 1}),
        (DIVERGES.replace("LR", "10"), {"failed": 1}),
        (DIVERGES.replace("LR", "0.001"), {"skipped": 1}),
    ],
)
def test_what_is_not_finite_fails_although_all_figures_match(
    folder: pytest.Pytester, text: str, outcomes: dict[str, int]
) -> None:
    folder.makefile(".yaml", lost=text)
    result = folder.runpytest("--mathlab", "lost.yaml")
    result.assert_outcomes(**outcomes)
    if "failed" in outcomes:
        result.stdout.fnmatch_lines(["*the numbers of train: not finite", "*epoch 4: L is inf: w**4, where w is *"])
