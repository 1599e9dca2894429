"""Which configs compute a document, what they say of its numbers, and what is written back into them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from mathlab import config, plan
from mathlab.article.cover import Coverage, cover
from mathlab.article.suggest import Suggestion
from mathlab.article.text import read
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
    documents = {file.resolve() for file in files}
    found = plan.load(configs, allowed)
    paths = (path for suffix in config.SUFFIXES for path in sorted(Path().rglob(f"*{suffix}")))
    for path in islice(paths, MOST) if not configs else ():
        hidden = any(part.startswith(".") or part in LEFT_OUT for part in path.parts)
        if hidden or not path.is_file() or b"article" not in (text := path.read_bytes()[: config.LONGEST]):
            continue
        try:
            experiment = config.load(path, allowed)
            found += [experiment] if documents & {article.resolve() for article in articles_of(experiment)} else []
        except MathlabError:  # of a config of something else
            if any(file.name.encode() in text for file in documents):
                raise
    if not found:
        hint = f"say `source: {{article: {files[0].name}}}` in one, or name one with --config"
        raise MathlabError([Problem(f"no config below this folder has {file} as its source; {hint}") for file in files])
    return found


def articles_of(experiment: Experiment) -> list[Path]:
    """The documents that a config names as its source.

    Raises MathlabError for one that lies neither below the folder in which the command runs nor below the config's.
    """
    folder = Path(experiment.path).parent
    for name, place in experiment.source.article:
        if not any((folder / name).resolve().is_relative_to(root.resolve()) for root in (Path(), folder)):
            raise MathlabError(f"the article {name!r} lies outside of this folder and of the config's", place)
    return [folder / name for name, _ in experiment.source.article]


def judged(experiment: Experiment) -> ExperimentResult:
    """Its figures, held against what is computed; it may have none yet. Raises MathlabError where it cannot run."""
    if not any(case.expected or case.train or case.gradcheck for case in experiment.cases):
        return ExperimentResult(experiment, ())
    (planned,) = plan.plans("run", [experiment], ())
    return plan.judged(planned, lambda _: nullcontext())


def coverage_of(result: ExperimentResult) -> Coverage:
    """What its articles' numbers are to an experiment that ran."""
    return cover([read(file) for file in dict.fromkeys(articles_of(result.experiment))], [result])


def write(experiments: Sequence[Experiment], found: Sequence[Suggestion], allowed: Allowed) -> list[str]:
    """Put what is found into the configs; the figures for which there is no room.

    No config is replaced unless all of the new ones can be read. Raises MathlabError where one cannot.
    """
    left: list[str] = []
    texts: dict[str, str] = {}
    for experiment in experiments:
        made = sections((one for one in found if one.state.experiment == experiment.name), experiment)
        text, without = written(Path(experiment.path).read_bytes().decode("utf-8"), made)
        left += without
        if made:
            config.described(text.encode("utf-8"), experiment.path, allowed)
            texts[experiment.path] = text
    for path, text in texts.items():
        replace_file(Path(path), text)
    return left
