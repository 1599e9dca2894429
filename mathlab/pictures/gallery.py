"""The pictures of what ran as files: their names, whether they still are what they would be, and an index of all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from itertools import chain, count
from math import isclose
from pathlib import Path
from string import Template
from typing import Unpack
from urllib.parse import quote

import numpy as np

from mathlab import plan
from mathlab.errors import MathlabError, Problem
from mathlab.experiment import DRAWN, Case, Experiment, Picture
from mathlab.files import replace_file, replace_files
from mathlab.outputs.tables import rows_of
from mathlab.outputs.write import ARTICLE, RUN, folder_of
from mathlab.pictures import MISSING, Look, Scene
from mathlab.pictures.graph import graph, mermaid
from mathlab.pictures.network import network
from mathlab.pictures.page import page
from mathlab.pictures.scan import scan
from mathlab.pictures.svg import escape
from mathlab.results import CaseResult, ExperimentResult
from mathlab.stages import backprop

Wanted = Sequence[tuple[str, Picture]]  # of a case
Files = Mapping[str, str | bytes]  # by name
Made = tuple[Sequence[tuple[ExperimentResult, Files]], list[Problem]]
FOLDER = "pictures"
# a number; in full as the first group says, or a rounding of one
NUMBER = re.compile(r'(data-(?:v|norm|min|max)=")?(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)')
RTOL, ATOL, ROUNDED = 1e-9, 1e-12, 2e-3  # as `mathlab diff` has them; of a number with four digits
INDEX = "index.html"
# file, the column of its verdicts, what one of them is on (and several), and those that pass
COUNTED = (
    ("figures.csv", "verdict", ("figure",), {"match", "erratum confirmed"}),
    ("derivation.csv", "verdict", ("formula",), {"agrees", "erratum confirmed"}),
    ("gradcheck.csv", "verdict", ("gradient entry", "gradient entries"), {"confirmed", "inconclusive", "kink"}),
    ("witnesses.csv", "verdict", ("witnessed gradient",), {"agrees", "inconclusive", "kink", "skipped"}),
    (ARTICLE, "status", ("number of the article", "numbers of the article"), {"checked", "given", "ignored"}),
)
KINDS: Mapping[str, tuple[str, Callable[[Scene], str]]] = {  # of `DRAWN`: how the file's name ends, and what is in it
    "graph": (".graph.svg", graph),
    "network": (".network.svg", network),
    "scan": (".scan.svg", scan),
    "page": (".html", page),
    "mermaid": (".mmd", mermaid),
}


def names(experiment: Experiment) -> dict[str, str]:
    """What the files of each case begin with: its name in small letters; of equal ones the second ends in -2."""
    found = dict[str, str]()
    for case in experiment.cases:
        slug = re.sub(r"[\W_]+", "-", case.name.casefold(), flags=re.ASCII).strip("-") or "case"
        found[case.name] = _unused(slug, "", found.values())
    return found


def _unused(stem: str, ending: str, taken: Collection[str]) -> str:
    numbered = (f"{stem}-{n}{ending}" for n in count(2))
    return next(name for name in chain([stem + ending], numbered) if name not in taken)


def draw(experiment: Experiment, result: CaseResult, kind: str, **look: Unpack[Look]) -> str:
    """A picture of a kind in `DRAWN`, as the text of its file. Raises MathlabError where there is none."""
    case = next(one for one in experiment.cases if one.name == result.case)
    with np.errstate(all="ignore"):
        ran = result.backprop or backprop.run(case, ())  # what a config declares may be a training alone
    scope = f"{re.sub(r'[^a-zA-Z0-9]+', '-', experiment.name)}-{names(experiment)[case.name]}-{kind}"
    scope = scope if scope[0].isalpha() else f"p-{scope}"
    return KINDS[kind][1](Scene(experiment, case, result.having(backprop=ran), ran, scope, **look))


def wanted(cases: Sequence[Case], kinds: Sequence[str], otherwise: Sequence[str]) -> Wanted:
    """The pictures in `DRAWN` of these kinds, or those that the cases declare, or `otherwise` where none does."""
    found = [(case.name, one) for case in cases for one in case.pictures if one.kind in DRAWN and not kinds]
    return found or [(case.name, Picture(kind)) for case in cases for kind in dict.fromkeys(kinds or otherwise)]


def made(asked: Sequence[tuple[ExperimentResult, Wanted]], form: str = "svg", **look: Unpack[Look]) -> Made:
    """The pictures of each result as files, plots in a format of matplotlib's; and why cases lack one that others have.

    Raises MathlabError where one can be drawn of no case at all, and where two configs would write to one folder.
    """
    plan.refuse_shared([result.experiment for result, _ in asked])
    texts = [(result, dict[str, str | bytes]()) for result, _ in asked]
    drawn, failed = list[Picture](), list[tuple[Picture, Problem]]()
    for (result, found), (_, pictures) in zip(texts, asked, strict=True):
        cases, slugs = {case.name: case for case in result.experiment.cases}, names(result.experiment)
        for name, picture in pictures:
            kind, place = picture.kind, picture.place or cases[name].place
            try:
                if kind in DRAWN:
                    found[slugs[name] + KINDS[kind][0]] = draw(result.experiment, result.of(name)[1], kind, **look)
                else:
                    from mathlab.pictures import plots  # what it needs takes a while to import

                    content = plots.rendered(plots.drawing(result, name, picture), form)
                    found[_unused(f"{slugs[name]}.{kind}", f".{form}", found)] = content
                drawn.append(picture)
            except MathlabError as error:
                failed += [(picture, Problem(problem.message, problem.place or place)) for problem in error.problems]
    if nowhere := [problem for picture, problem in failed if picture not in drawn]:
        raise MathlabError(nowhere)
    return texts, [problem for _, problem in failed]


def declared(result: ExperimentResult) -> tuple[Files, list[Problem]]:
    """The pictures that a config declares, as `made` has them; without matplotlib no plots, which is told too.

    A plot that compares cases of which some did not run is no part of either.
    """
    cases = result.experiment.cases
    left = {case.name for case in cases} - {case.case for case in result.cases}
    pictures = [(case.name, one) for case in cases for one in case.pictures if left.isdisjoint({case.name, *one.cases})]
    plots = [] if find_spec("matplotlib") else [one for _, one in pictures if one.kind not in DRAWN]
    [(_, found)], lacking = made([(result, [(name, one) for name, one in pictures if one not in plots])])
    if plots:
        lacking.append(Problem(f"plots are not drawn anew, for {MISSING}"))
    return found, lacking


def write(result: ExperimentResult, out: Path, texts: Files) -> list[Path]:
    """Write the pictures into `out/<experiment>/pictures/`, and the index of `out` anew if it has one."""
    folder = folder_of(result.experiment, out, FOLDER)
    if texts:
        replace_files({folder / name: text for name, text in texts.items()})
        if (out / INDEX).is_file():
            write_index(out)
    return [folder / name for name in texts]


def stale(result: ExperimentResult, out: Path, texts: Files) -> Iterator[str]:
    """What is wrong with the pictures in a folder: missing, not declared, or not what would be written."""
    folder = folder_of(result.experiment, out, FOLDER)
    for name, text in texts.items():
        try:
            if not same((folder / name).read_text(encoding="utf-8"), str(text)):
                yield f"{folder / name} is not what would be drawn now"
        except (OSError, UnicodeDecodeError):
            yield f"{folder / name} is missing"
    ran, slugs, endings = {case.case for case in result.cases}, names(result.experiment), [e for e, _ in KINDS.values()]
    known = {*texts, *(slug + ending for name, slug in slugs.items() if name not in ran for ending in endings)}
    for path in sorted(folder.glob("*")):
        if path.name.endswith(tuple(endings)) and path.name not in known:
            yield f"{path} is not declared"


def same(a: str, b: str) -> bool:
    """Whether two pictures are the same but for rounding: the markup as it is, the numbers by what they measure."""
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=False)
    near = (isclose(float(x), float(y), rel_tol=RTOL if full else ROUNDED, abs_tol=ATOL) for (full, x), (_, y) in pairs)
    return NUMBER.sub("#", a) == NUMBER.sub("#", b) and all(near)


def write_index(out: Path) -> Path:
    """Make `out/index.html`. Raises MathlabError where it cannot be written."""
    frame = Template(files("mathlab.pictures").joinpath(INDEX).read_text(encoding="utf-8"))
    folders = sorted({path.parent for kind in (RUN, FOLDER) for path in out.glob(f"*/{kind}")})
    found = "\n".join(map(_experiment, folders))
    replace_file(out / INDEX, frame.substitute(experiments=found or "<p>There are no results here yet.</p>"))
    return out / INDEX


def _experiment(folder: Path) -> str:
    said = [words for table in COUNTED for words in _verdicts(folder, *table)]
    with suppress(OSError, ValueError, LookupError, TypeError):  # of none, or of one that something else wrote
        lost = json.loads((folder / RUN).read_text(encoding="utf-8"))["not_finite"]
        said += [f'<span class="bad">✗ {escape(case)} is not finite</span>' for case in lost]
    pictures, tables = (
        [f'<a href="{quote(path.relative_to(folder.parent).as_posix())}">{escape(path.name)}</a>' for path in paths]
        for paths in (sorted((folder / FOLDER).glob("[!.]*")), sorted(folder.glob("*.csv")))
    )
    listed = f"<ul><li>{'</li><li>'.join(pictures)}</li></ul>" if pictures else ""
    verdicts = "; ".join(said) or ("nothing was compared" if (folder / RUN).is_file() else "drawn, not run")
    return f"<section><h2>{escape(folder.name)}</h2><p>{verdicts}</p>{listed}<p>{', '.join(tables)}</p></section>"


def _verdicts(folder: Path, file: str, column: str, nouns: Sequence[str], passing: set[str]) -> Iterator[str]:
    """How many verdicts a table has, and how many of them fail; nothing where there is no such table, or no row."""
    from mathlab.reports.layout import count as said  # what it needs takes a while to import

    with suppress(OSError, ValueError):
        (columns, _), *rows = rows_of(folder / file)
        verdicts = [row[columns.index(column)] for row, _ in rows]
        failed = sum(verdict not in passing for verdict in verdicts)
        look, sign, words = ("bad", "✗", f"{failed} fail") if failed else ("good", "✓", "all pass")
        if verdicts:
            yield f'<span class="{look}">{sign} {said(len(verdicts), *nouns)}, {words}</span>'
