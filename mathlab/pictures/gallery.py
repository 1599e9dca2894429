"""Which pictures there are of what ran, what their files are called, and whether files are still what they would be."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import numpy as np

from mathlab.errors import MathlabError, Problem
from mathlab.experiment import DRAWN, PLOTTED, Case, Experiment
from mathlab.files import refuse_inputs, replace_files
from mathlab.outputs.write import folder_of
from mathlab.pictures.graph import graph, mermaid
from mathlab.pictures.network import network
from mathlab.pictures.scan import scan
from mathlab.results import CaseResult, ExperimentResult
from mathlab.stages import backprop

FOLDER = "pictures"
ENDINGS: Mapping[str, str] = {
    "graph": ".graph.svg",
    "network": ".network.svg",
    "scan": ".scan.svg",
    "page": ".html",
    "mermaid": ".mmd",
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
MEASURED = re.compile(r'data-(?:v|norm|min|max)="([^"]*)"')  # the numbers in full, of which others are roundings
RTOL, ATOL, ROUNDED = 1e-9, 1e-12, 2e-3  # as `mathlab diff` has them; of a number with four digits


@dataclass(frozen=True)
class Options:
    """How the graph runs, and which sample of a batch the network shows."""

    direction: str = "auto"
    sample: int = 0


def names(experiment: Experiment) -> dict[str, str]:
    """What the files of each case begin with: its name in small letters; of equal ones the second ends in -2."""
    seen: Counter[str] = Counter()
    found = {}
    for case in experiment.cases:
        slug = re.sub(r"[\W_]+", "-", case.name.casefold(), flags=re.ASCII).strip("-") or "case"
        seen[slug] += 1
        found[case.name] = slug if seen[slug] == 1 else f"{slug}-{seen[slug]}"
    return found


def draw(experiment: Experiment, result: CaseResult, kind: str, options: Options | None = None) -> str:
    """A picture of a kind in `DRAWN`, as the text of its file. Raises MathlabError where there is none."""
    options = options or Options()
    if result.backprop is None:  # a run of what a config declares may have trained alone
        with np.errstate(all="ignore"):
            case = next(one for one in experiment.cases if one.name == result.case)
            result = result.having(backprop=backprop.run(case, ()))
    scope = f"{re.sub(r'[^a-zA-Z0-9]+', '-', experiment.name)}-{names(experiment)[result.case]}-{kind}"
    scope = scope if scope[0].isalpha() else f"p-{scope}"
    makers: Mapping[str, Callable[[], str]] = {
        "graph": partial(graph, experiment, result, scope, options.direction),
        "network": partial(network, experiment, result, scope, options.sample),
        "scan": partial(scan, experiment, result, scope),
        "mermaid": partial(mermaid, result),
        "page": partial(_page, experiment, result, scope),
    }
    return makers[kind]()


def _page(experiment: Experiment, result: CaseResult, scope: str) -> str:
    from mathlab.pictures.page import page  # what it needs takes a while to import

    return page(experiment, result, scope)


def wanted(
    cases: Sequence[Case], kinds: Sequence[str] = (), otherwise: Sequence[str] = ("graph",)
) -> dict[str, list[str]]:
    """The kinds that are to be drawn of each case: these; or those that it declares, or `otherwise` where none does."""
    if not kinds and any(case.pictures for case in cases):
        return {case.name: [one.kind for one in case.pictures if one.kind in DRAWN] for case in cases}
    return {case.name: list(dict.fromkeys(kinds or otherwise)) for case in cases}


def made(
    result: ExperimentResult, kinds: Mapping[str, Sequence[str]], options: Options | None = None
) -> dict[str, str]:
    """File name -> text, for the pictures of these kinds of each case.

    Raises MathlabError with all that cannot be drawn.
    """
    found, problems = dict[str, str](), list[Problem]()
    slugs = names(result.experiment)
    places = {(case.name, one.kind): one.place for case in result.experiment.cases for one in case.pictures}
    for case in result.cases:
        for kind in kinds.get(case.case, ()):
            try:
                found[slugs[case.case] + ENDINGS[kind]] = draw(result.experiment, case, kind, options)
            except MathlabError as error:
                place = places.get((case.case, kind))
                problems += [Problem(problem.message, problem.place or place) for problem in error.problems]
    if problems:
        raise MathlabError(problems)
    return found


def declared(result: ExperimentResult) -> tuple[dict[str, str | bytes], int]:
    """File name -> content of the pictures that a config declares; and how many plots are left out without matplotlib.

    A plot that compares cases of which some did not run is no part of either. Raises MathlabError as `made` does.
    """
    cases = result.experiment.cases
    drawn = made(result, {case.name: [one.kind for one in case.pictures if one.kind in DRAWN] for case in cases})
    found: dict[str, str | bytes] = {**drawn}
    ran, left_out, able = {case.case for case in result.cases}, 0, find_spec("matplotlib") is not None
    for name, slug in names(result.experiment).items():
        pictures = next(case.pictures for case in cases if case.name == name) if name in ran else ()
        for picture in (one for one in pictures if one.kind in PLOTTED and ran >= {*one.cases}):
            if not able:
                left_out += 1
                continue
            from mathlab.pictures import chart, plots

            file = next(
                f for n in count(1) if (f := f"{slug}.{picture.kind}{f'-{n}' if n > 1 else ''}.svg") not in found
            )
            found[file] = chart.rendered(plots.drawing(plots.subject(result, name, picture)), "svg")
    return found, left_out


def write(result: ExperimentResult, out: Path, texts: Mapping[str, str | bytes]) -> list[Path]:
    """Write the pictures into `out/<experiment>/pictures/`, and the index of `out` anew if it has one."""
    from mathlab.pictures.index import refresh

    folder = folder_of(result.experiment, out, FOLDER)
    if texts:
        refuse_inputs([folder, *(folder / name for name in texts)])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MathlabError(f"{folder} cannot be written: {error.strerror or error}") from None
        replace_files({folder / name: text for name, text in texts.items()})
        refresh(out)
    return [folder / name for name in texts]


def stale(result: ExperimentResult, out: Path, texts: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the pictures in a folder: missing, not declared, or not what would be written."""
    folder = folder_of(result.experiment, out, FOLDER)
    for name, text in texts.items():
        try:
            there = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            yield f"{folder / name} is missing"
            continue
        if not same(there, text):
            yield f"{folder / name} is not what would be drawn now"
    cases = {case.case for case in result.cases}
    others = {slug for name, slug in names(result.experiment).items() if name not in cases}
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            ending = next((end for end in ENDINGS.values() if path.name.endswith(end)), "")
            if ending and path.name not in texts and path.name.removesuffix(ending) not in others:
                yield f"{path} is not declared"


def same(a: str, b: str) -> bool:
    """Whether two pictures are the same but for rounding: the markup as it is, the numbers by what they measure."""
    if a == b:
        return True
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    full = zip(MEASURED.findall(a), MEASURED.findall(b), strict=True)
    shown = zip(NUMBER.findall(MEASURED.sub("", a)), NUMBER.findall(MEASURED.sub("", b)), strict=True)
    return all(_near(x, y, RTOL) for x, y in full) and all(_near(x, y, ROUNDED) for x, y in shown)


def _near(x: str, y: str, rtol: float) -> bool:
    return x == y or abs(float(x) - float(y)) <= ATOL + rtol * abs(float(y))
