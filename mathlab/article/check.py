"""Which configs compute a document, what they say of its numbers, and what is written back into them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

import yaml

from mathlab import config, plan
from mathlab.article.cover import Coverage, cover
from mathlab.article.suggest import Suggestion
from mathlab.article.text import read
from mathlab.config.yamltext import LOADER
from mathlab.errors import MathlabError, Problem
from mathlab.experiment import Allowed, Experiment
from mathlab.files import replace_file, straight
from mathlab.results import ExperimentResult

MOST = 10_000  # files that are looked at for configs
LEFT_OUT = ("outputs", "build", "dist", "node_modules")
STEP = 2  # columns of an indent
PLAIN = re.compile(r"[A-Za-z_][\w.()*/+ -]*(?:\[[\w,: -]*\][\w.()*/+ -]*)*|\d+")
QUOTED = partial(json.dumps, ensure_ascii=False)

Way = tuple[str, ...]  # the keys that lead to a figure, its own at the end


Groups = list[tuple[Sequence[Path], list[Experiment]]]  # documents that the same experiments compute


def groups_of(files: Sequence[Path], configs: Sequence[Path], allowed: Allowed, skip_unnamed: bool) -> Groups:
    """Documents with the configs that are named, or, without, with those below the folder whose source they are.

    One that no config names is passed over if it may be. Raises MathlabError for one that may not, and for what cannot
    be read.
    """
    if configs:
        return [(files, plan.load(configs, allowed))]
    found = {file: dict[str, Experiment]() for file in files}
    for path in islice((path for suffix in config.SUFFIXES for path in sorted(Path().rglob(f"*{suffix}"))), MOST):
        hidden = any(part.startswith(".") or part in LEFT_OUT for part in path.parts)
        text = path.read_bytes()[: config.LONGEST] if path.is_file() and not hidden else b""
        try:
            for experiment in [config.load(path, allowed)] if re.search(rb"\barticle['\"]?\s*:", text) else ():
                sources = [article.resolve() for article in articles_of(experiment)]
                for file in (file for file in files if file.resolve() in sources):
                    found[file][str(path)] = experiment
        except MathlabError:  # of a config of something else
            if any(file.name.encode() in text for file in files):
                raise
    if not skip_unnamed and (unnamed := [read(file).path for file, some in found.items() if not some]):
        hint = f"say `source: {{article: {Path(unnamed[0]).name}}}` in one, or name one with --config"
        raise MathlabError([Problem(f"no config below this folder has {one} as its source; {hint}") for one in unnamed])
    alike = {tuple(some): some for some in found.values() if some}
    return [([one for one in found if tuple(found[one]) == paths], [*some.values()]) for paths, some in alike.items()]


def articles_of(experiment: Experiment) -> list[Path]:
    """The documents that a config names as its source.

    Raises MathlabError for one that lies neither below the folder in which the command runs nor below the config's, and
    for one that is not there.
    """
    folder = Path(experiment.path).parent
    for name, place in experiment.source.article:
        if not any((folder / name).resolve().is_relative_to(root.resolve()) for root in (Path(), folder)):
            raise MathlabError(f"the article {name!r} lies outside of this folder and of the config's", place)
        if not (folder / name).exists():
            raise MathlabError(f"the article {name!r} is not there", place)
    return [straight(folder / name) for name, _ in experiment.source.article]


def judged(experiment: Experiment) -> ExperimentResult:
    """Its figures, held against what is computed; it may have none yet. Raises MathlabError where it cannot run."""
    if not any(case.expected or case.train or case.gradcheck for case in experiment.cases):
        return ExperimentResult(experiment, ())
    (planned,) = plan.plans("run", [experiment], ())
    return plan.judged(planned, lambda _: nullcontext())


def coverage_of(results: Sequence[ExperimentResult], files: Sequence[Path], integers: bool = False) -> Coverage:
    """What the numbers of some documents are to experiments that ran.

    A figure may stand in another document too, if its experiment has several and one of them is among these.
    """
    told = {file.resolve(): file for file in files}
    sources = [{file.resolve(): file for file in articles_of(result.experiment)} for result in results]
    others = {path: file for some in sources if some.keys() & told for path, file in some.items() if path not in told}
    return cover([*map(read, told.values())], results, integers, [*map(read, others.values())])


def write(experiments: Sequence[Experiment], found: Sequence[Suggestion], allowed: Allowed) -> list[str]:
    """Put what is found into the configs, and say how much is in which, and for which figures there is no room.

    No config is replaced unless all of the new ones can be read. Raises MathlabError where one cannot.
    """
    told: list[str] = []
    texts: dict[Path, str] = {}
    for experiment in experiments:
        path = Path(experiment.path)
        if made := sections((one for one in found if one.state.experiment == experiment.name), experiment):
            texts[path], left = written(path.read_bytes().decode("utf-8"), made)
            told += [f"not written, for there is no room for it: {key}" for key in left]
            told.append(f"figures written into {path}: {len(made) - len(left)}")
            config.described(texts[path].encode("utf-8"), experiment.path, allowed)
    for path, text in texts.items():
        replace_file(path, text, mended=True)
    return told


# A config's text with figures in it, and every other byte as it was


def sections(suggestions: Iterable[Suggestion], experiment: Experiment) -> dict[Way, list[str]]:
    """What is printed for each figure, each once."""
    alone = len(experiment.cases) == 1 and experiment.cases[0].name == "base"
    made: dict[Way, dict[str, None]] = defaultdict(dict)
    for one in suggestions:
        case = () if alone else ("cases", one.state.case)
        inner = {"gradcheck": ("gradcheck", "expected"), "after": ("train", "after", str(one.state.updates))}
        made[*case, *inner.get(one.state.stage, ("expected",)), one.key][printing(one)] = None
    return {way: [*printings] for way, printings in made.items()}


def printing(one: Suggestion) -> str:
    """`{printed: [0.73, 0.12], at: "the outputs"}`."""
    texts = [number.text for number in one.numbers]
    for size in reversed(one.shape):
        texts = [f"[{', '.join(texts[at : at + size])}]" for at in range(0, len(texts), size)]
    at = f", at: {QUOTED(one.at)}" if one.at else ""
    return f"{{printed: {texts[0]}{at}}}"


def written(text: str, made: Mapping[Way, Sequence[str]]) -> tuple[str, list[str]]:
    """The text with the figures in it, and the keys of those that have no room where they belong.

    The text is one that has been read as a config.
    """
    left = []
    for way, printings in made.items():
        new = _inserted(text, way, printings)
        left += [] if new else [f"{way[-1]} ({', '.join(way[:-1])})"]
        text = new or text
    return text, left


def _inserted(text: str, way: Way, printings: Sequence[str]) -> str:
    """The text with a figure where it belongs, or nothing where there is no room for it."""
    node = yaml.compose(text, Loader=LOADER)
    assert node is not None  # it has been read
    while way and isinstance(node, yaml.MappingNode):
        name, inside = next(((key, value) for key, value in node.value if key.value == way[0]), (node, None))
        if inside is None:
            break
        if inside.start_mark.index < name.start_mark.index or text[inside.start_mark.index] == "&":
            return ""  # an alias, or what has one: it says something else too
        node, way = inside, way[1:]
    start, end, new = node.start_mark.index, _end(node), ", ".join(printings)
    if end < start:
        return ""
    line_end = end + len(text[end:].partition("\n")[0])
    value = new if len(printings) == 1 else f"[{new}]"
    match node:
        case yaml.SequenceNode(flow_style=False, value=[yaml.MappingNode(), *_]) if not way:
            start = end = line_end
            new = "".join(f"\n{' ' * node.start_mark.column}- {one}" for one in printings)
        case yaml.SequenceNode(value=[yaml.MappingNode(), *_]) if not way:
            start, end, new = end - 1, end - 1, f", {new}"
        case yaml.MappingNode(flow_style=False) if way:
            start = end = line_end
            margin = node.start_mark.column
            keys = (f"\n{' ' * (margin + STEP * depth)}{_key(key)}:" for depth, key in enumerate(way))
            new = f"{''.join(keys)} {value}"
        case yaml.MappingNode(flow_style=True) if way:
            start = end = len(text[: end - 1].rstrip())
            new = ", " * bool(node.value) + _nested(way, value)[1:-1]
        case yaml.ScalarNode(value="") if way:  # in the place of nothing, as after `gradcheck:`
            end, new = start, f" {_nested(way, value)}"
        case yaml.MappingNode(flow_style=True) | yaml.ScalarNode() | yaml.SequenceNode() if not way:
            old = text[start:end]
            new = f"[{old}, {new}]" if isinstance(node, yaml.MappingNode) else f"[{{printed: {old}}}, {new}]"
        case _:
            return ""
    return text[:start] + new + text[end:]


def _nested(way: Way, value: str) -> str:
    return f"{{{_key(way[0], '[]{},')}: {_nested(way[1:], value)}}}" if way else value


def _key(key: str, signs: str = "") -> str:
    return key if PLAIN.fullmatch(key) and not set(key) & set(signs) else QUOTED(key)


def _end(node: yaml.Node) -> int:
    """Where a node ends: a block's own mark is that of what comes next. -1 where a list ends with an alias.

    Of an alias there is only what it stands for, which begins further up.
    """
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        before, last = node.value[-1] if isinstance(node, yaml.MappingNode) else (node, node.value[-1])
        if last.start_mark.index >= before.start_mark.index:
            return _end(last)
        return -1 if before is node else int(before.end_mark.index)
    return int(node.end_mark.index)
