"""`pytest --mathlab configs/`: every figure, formula and gradient check of a config as a test item.

Nothing of mathlab is imported before a config is collected with the option: pytest loads this module in every session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from mathlab.config.yamltext import Tree
    from mathlab.errors import Place
    from mathlab.plan import Plan
    from mathlab.reports.checks import Check

DOUBTS = ("contradicts", "not finite")  # verdicts: a gradient that a witness contradicts, and what is no number
NOTHING = "nothing to compare"  # the item of a case that declares no check, but runs, and may leave the finite numbers

SUFFIXES = (".yaml", ".yml")

# What a text that is no YAML must have to be a config that somebody is about to mend, and not a file of something else.
LOOKS_LIKE_CONFIG = re.compile(r"^(equations|layers)[ \t]*:", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the ini setting, both of them called `mathlab`, and the ini settings for what configs may do."""
    about = "collect mathlab configs (*.yaml): an item for every figure and formula"
    parser.getgroup("mathlab").addoption("--mathlab", action="store_true", help=about)
    parser.addini("mathlab", "collect mathlab configs, as with --mathlab", type="bool", default=False)
    parser.addini("mathlab_allow_files", "folders from which mathlab configs may read data too", type="paths")
    parser.addini("mathlab_allow_large", "let mathlab configs take long", type="bool", default=False)


@pytest.fixture(name="assert_gradients")
def gradients_fixture() -> Callable[..., None]:
    """`mathlab.assert_gradients`, for tests of one's own backprop: `assert_gradients("net.yaml", {"dW1": dW1})`."""
    from mathlab.api import assert_gradients

    return assert_gradients


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ConfigFile | None:
    """A YAML file that is a mathlab config, when the option or the ini setting asks for it."""
    config = parent.config
    wanted = file_path.suffix in SUFFIXES and (config.getoption("--mathlab") or config.getini("mathlab"))
    return ConfigFile.from_parent(parent, path=file_path) if wanted and is_config(file_path) else None


def is_config(path: Path) -> bool:
    """Whether the file is meant as a mathlab config: it has `equations`, or `layers` beside inputs or parameters."""
    from mathlab.config.yamltext import Table, read
    from mathlab.errors import MathlabError

    try:
        text = path.read_text(encoding="utf-8-sig")
        tree, _ = read(text, str(path))
    except MathlabError:
        return bool(LOOKS_LIKE_CONFIG.search(text))
    except (OSError, ValueError):
        return False
    if not isinstance(tree, Table):
        return False
    cases = tree.get("cases")
    return any(_has_graph(part, tree) for part in (tree, *(cases.values() if isinstance(cases, Table) else ())))


def _has_graph(part: Tree, top: Mapping[str, Tree]) -> bool:
    keys = {*part} if isinstance(part, dict) else set()
    return "equations" in keys or ("layers" in keys and not {"inputs", "parameters"}.isdisjoint({*keys, *top}))


class CheckFailed(Exception):
    """A check that does not pass; its text is all there is to say."""


Ran = Mapping[tuple[str, str], "Check"]  # by case and name
RAN = pytest.StashKey[dict[Path, Ran | Exception]]()  # every config runs once a session


class ConfigFile(pytest.File):
    """A config; its cases are collectors of their own."""

    def collect(self) -> Iterator[CaseCollector]:
        from mathlab import config, plan
        from mathlab.errors import MathlabError
        from mathlab.experiment import Allowed

        folders, large = self.config.getini("mathlab_allow_files"), bool(self.config.getini("mathlab_allow_large"))
        allowed = Allowed(tuple(folders), large, quick=True)
        short = self.path.relative_to(Path.cwd()) if self.path.is_relative_to(Path.cwd()) else self.path
        try:
            (planned,) = plan.plans("run", [config.load(short, allowed)], (), threads=1)
        except MathlabError as error:
            raise self.CollectError(_harmless(str(error), "\n")) from None
        for case, _ in planned.steps:
            yield CaseCollector.from_parent(self, name=case.name, planned=planned)


class CaseCollector(pytest.Collector):
    """A case of a config."""

    def __init__(self, *, planned: Plan, name: str, parent: ConfigFile) -> None:
        super().__init__(name, parent, nodeid=f"{parent.nodeid}::{_harmless(name)}")
        self.planned = planned

    def collect(self) -> Iterator[CheckItem]:
        from mathlab.errors import MathlabError
        from mathlab.reports.checks import declared

        for case, stages in self.planned.steps:
            if case.name == self.name:
                try:
                    expected = declared(case, stages)
                except MathlabError as error:
                    raise self.CollectError(_harmless(str(error), "\n")) from None
                for name, place in expected or [(NOTHING, case.place)]:
                    yield CheckItem.from_parent(self, name=name, place=place, planned=self.planned)


class CheckItem(pytest.Item):
    """A printed number, a formula, or the gradient check of a parameter."""

    def __init__(self, *, place: Place | None, planned: Plan, name: str, parent: CaseCollector) -> None:
        super().__init__(name, parent, nodeid=f"{parent.nodeid}::{_harmless(name)}")
        self.place = place
        self.planned = planned

    def runtest(self) -> None:
        """Fails with the explanation of the check; an erratum that is confirmed is an expected failure."""
        from mathlab.reports.checks import explanation

        assert self.parent is not None
        ran = _ran(self.path, self.planned, self.session)
        # what puts all else that the case says in doubt, and nobody can know of before it has run
        doubts = [check for (case, _), check in ran.items() if case == self.parent.name and check.verdict in DOUBTS]
        if doubts:
            raise CheckFailed("\n".join(map(explanation, doubts)))
        if self.name == NOTHING:
            pytest.skip(NOTHING)
        check = ran[self.parent.name, self.name]
        if check.outcome == "failed":
            raise CheckFailed(explanation(check))
        if check.outcome == "erratum":
            pytest.xfail(_harmless(dict(check.remarks)["erratum"]))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: str | None = None) -> str | TerminalRepr:
        if isinstance(excinfo.value, CheckFailed):
            return _harmless(str(excinfo.value), "\n")
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        assert self.parent is not None
        return self.path, self.place.line - 1 if self.place else None, _harmless(f"{self.parent.name}: {self.name}")


def _harmless(text: str, kept: str = "") -> str:
    from mathlab.terminal import harmless

    return harmless(text, kept)


def _ran(path: Path, planned: Plan, session: pytest.Session) -> Ran:
    """What running the config gives, or gave when another of its items asked. Raises what kept it from running."""
    from mathlab import plan
    from mathlab.errors import MathlabError
    from mathlab.reports.checks import checks

    ran = session.stash.setdefault(RAN, {})
    if path not in ran:
        try:
            result = plan.results(planned, lambda _: nullcontext())
            ran[path] = {(check.case, check.name): check for check in checks(result)}
        except MathlabError as error:
            ran[path] = CheckFailed(str(error))
        except Exception as error:  # a crash too: each item shall show it, and none try again
            ran[path] = error
    found = ran[path]
    if isinstance(found, Exception):
        raise found
    return found
