"""Which configs compute a document, what they say of its numbers, and what is written back into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from mathlab import config, plan
from mathlab.article.cover import Coverage, cover
from mathlab.article.suggest import Suggestion
from mathlab.article.text import Document, read
from mathlab.article.write import sections, written
from mathlab.errors import MathlabError, Problem
from mathlab.experiment import Allowed, Experiment
from mathlab.files import replace_file
from mathlab.results import ExperimentResult

MOST = 10_000  # files that are looked at for configs
LEFT_OUT = ("outputs", "build", "dist", "node_modules")


def experiments_of(files: Sequence[Path], configs: Sequence[Path], allowed: Allowed) -> list[Experiment]:
    """The configs that are named; without one, those below the folder whose source is one of the files.

    Raises MathlabError where there is none, and for what cannot be read.
    """
    if configs:
        return plan.load(configs, allowed)
    documents = {file.resolve() for file in files}
    found = [experiment for path in _configs(Path()) for experiment in _naming(path, documents, allowed)]
    if not found:
        name = files[0].name
        hint = f"say `source: {{article: {name}}}` in one, or name one with --config"
        raise MathlabError([Problem(f"no config below this folder has {file} as its source; {hint}") for file in files])
    return found


def _configs(folder: Path) -> Iterator[Path]:
    """The configs below a folder that mention an article."""
    paths = (path for suffix in config.SUFFIXES for path in sorted(folder.rglob(f"*{suffix}")))
    for _, path in zip(range(MOST), paths, strict=False):
        hidden = any(part.startswith(".") or part in LEFT_OUT for part in path.parts)
        if not hidden and path.is_file() and b"article" in path.read_bytes()[: config.LONGEST]:
            yield path


def _naming(path: Path, documents: set[Path], allowed: Allowed) -> Iterator[Experiment]:
    try:
        experiment = config.load(path, allowed)
    except MathlabError:  # a config of something else, or one that is not about these documents
        return
    if not documents.isdisjoint(path.resolve() for path in articles_of(experiment)):
        yield experiment


def articles_of(experiment: Experiment) -> list[Path]:
    """The documents that a config names as its source.

    Raises MathlabError for one that lies neither below the folder in which the command runs nor below the config's.
    """
    folder = Path(experiment.path).parent
    found = []
    for name, place in experiment.source.article:
        path = folder / name
        if not any(path.resolve().is_relative_to(root.resolve()) for root in (Path(), folder)):
            raise MathlabError(f"the article {name!r} lies outside of this folder and of the config's", place)
        found.append(path)
    return found


def judged(experiments: Sequence[Experiment]) -> list[ExperimentResult]:
    """Their figures, held against what is computed. Raises MathlabError for one that cannot run."""
    return [_judged(experiment) for experiment in experiments]


def _judged(experiment: Experiment) -> ExperimentResult:
    """With the stages that have figures: a config may have none yet."""
    if not any(case.expected or case.train or case.gradcheck for case in experiment.cases):
        return ExperimentResult(experiment, ())
    (planned,) = plan.plans("run", [experiment], ())
    return plan.judged(planned, lambda _: nullcontext())


def coverage_of(result: ExperimentResult) -> Coverage:
    """What its articles' numbers are to an experiment that ran."""
    return cover(documents_of(articles_of(result.experiment)), [result])


def write(experiments: Sequence[Experiment], found: Sequence[Suggestion]) -> list[str]:
    """Put what is found into the configs; the figures for which there is no room.

    A config is replaced only when the new one reads as the old one with these figures. Raises MathlabError where not.
    """
    left: list[str] = []
    for experiment in experiments:
        path = Path(experiment.path)
        own = [one for one in found if one.state.experiment == experiment.name]
        text, without = written(path.read_text(encoding="utf-8"), sections(own, experiment))
        left += without
        if own:
            replace_file(path, text)
    return left


def documents_of(files: Sequence[Path]) -> list[Document]:
    """The documents. Raises MathlabError with the problems of all of them."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            documents.append(read(file))
        except MathlabError as error:
            problems += error.problems
    if problems:
        raise MathlabError(problems)
    return documents
