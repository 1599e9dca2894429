"""YAML -> Experiment: one config file, every problem in it at once, each with its line and column."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mathlab.config import yamltext
from mathlab.config.checks import check, check_size, optimizer
from mathlab.config.formulas import Formulas, is_loop, lines
from mathlab.config.keys import draft, mapping
from mathlab.config.permits import current, permits
from mathlab.config.schema import CaseText, ConfigText, TrainText
from mathlab.config.yamltext import Scalar, Table, kind
from mathlab.errors import MathlabError, Place, Problem
from mathlab.experiment import Allowed, Case, Experiment, TrainSettings
from mathlab.files import note
from mathlab.language.optimizers import SETTINGS
from mathlab.language.syntax import names as read_names

__all__ = ["described", "find", "load"]

LONGEST = 10_000_000  # bytes
MOST = 100  # problems; nobody reads more at a time
BASE = "base"
SUFFIXES = (".yaml", ".yml")
NAMED = ("inputs", "parameters", "equations")  # sections that a case extends key by key


class _Draft(NamedTuple):
    """A case with all that it inherits, before it is a record, and where it and its training stand."""

    name: str
    text: CaseText
    place: Place
    train_place: Place


def find(paths: Sequence[str | Path]) -> list[Path]:
    """The configs at `paths`: a file stays, a folder gives its *.yaml and *.yml in the order of their names.

    Raises MathlabError for a path that does not exist and a folder without configs.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        try:
            if not path.exists():
                raise MathlabError(f"{path} does not exist")
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            raise MathlabError(f"{path} cannot be read ({error.strerror})") from None
        if path.is_dir():
            note(path)
            inside = [file for file in inside if file.suffix in SUFFIXES and file.is_file() and file.name[0] != "."]
            if not inside:
                raise MathlabError(f"{path} holds no config (*.yaml, *.yml)")
        found.update(dict.fromkeys(inside))
    return list(found)


def load(path: str | Path, allowed: Allowed | None = None) -> Experiment:
    """The experiment that a config file describes, which may read data from its own folder and those `allowed`.

    Raises MathlabError with the problems found in the file: all of them, or as many as anybody will read.
    """
    return described(_content(str(path)), str(path), allowed)


def described(content: bytes, file: str, allowed: Allowed | None = None) -> Experiment:
    """The same of the text of a config that is, or could be, the `file`."""
    with permits(Path(file).parent, allowed or Allowed()):
        return _experiment(file, content, allowed or Allowed())


def _experiment(file: str, content: bytes, allowed: Allowed) -> Experiment:
    tree, found = yamltext.read(content.decode("utf-8-sig"), file)
    current().tree = tree
    if not isinstance(tree, Table):
        if tree is None or (isinstance(tree, Scalar) and not tree):
            raise MathlabError([*found, Problem("the config is empty", Place(file, 1, 1))])
        raise MathlabError([*found, Problem(f"a config is a mapping of keys, not {kind(tree)}", tree.place)])

    # what a section defines, asked before what cannot be read is taken out of the tree
    names = _names(tree)
    config, wrong_keys = draft(ConfigText, tree)
    problems = {*found[:MOST], *wrong_keys[:MOST]}
    drafts: list[_Draft] = []
    for name, table in _cases(config, tree, problems):
        text: CaseText = config
        own = _names(table)
        if table is not tree:
            case, wrong_keys = draft(CaseText, table)
            problems |= {*wrong_keys[:MOST]}
            text = _merged(config, case)
        place = name.place if isinstance(name, Scalar) else tree.place
        train_place = next((part.key("train").place for part in (table, tree) if "train" in part), place)
        drafts.append(_Draft(str(name), text, place, train_place))
        if names is not None and own is not None:
            unreadable = (names | own).difference(text.inputs, text.parameters, text.equations)
            if any(part is not None for part in (text.layers, text.loss, text.batch)) or any(map(is_loop, names | own)):
                if unreadable:
                    continue  # the layers' shapes are not known, or what the loops read
                from mathlab.config.loops import unrolled  # only here: few configs have any
                from mathlab.config.shorthand import expanded

                try:
                    text = unrolled(expanded(text))
                except MathlabError as error:
                    problems |= {*error.problems}
                    continue
                drafts[-1] = drafts[-1]._replace(text=text)
            problems |= {*islice(check(text, place, train_place, unreadable), MOST)}
    if problems:
        listed = sorted(problems, key=lambda problem: (problem.place or tree.place, problem.message))
        raise MathlabError(listed[:MOST])
    if not allowed.large:
        check_size([(draft.text, draft.place) for draft in drafts])
    share = math.inf if allowed.large else 1 / len(drafts)
    return Experiment(
        name=Path(file).stem,
        path=file,
        sha256=hashlib.sha256(content).hexdigest(),
        title=config.title,
        source=config.source,
        cases=tuple(_case(draft, share, allowed.quick) for draft in drafts),
    )


def _content(file: str) -> bytes:
    try:
        if Path(file).exists() and not Path(file).is_file() and not Path(file).is_dir():
            raise MathlabError(f"the config {file} is not a file")  # but a device or a pipe, and they may never end
        note(Path(file))
        with Path(file).open("rb") as stream:
            content = stream.read(LONGEST + 1)
    except FileNotFoundError:
        raise MathlabError(f"the config {file} does not exist") from None
    except IsADirectoryError:
        raise MathlabError(f"the config {file} is a folder") from None
    except (OSError, ValueError) as error:
        raise MathlabError(f"the config {file} cannot be read ({getattr(error, 'strerror', error)})") from None
    if len(content) > LONGEST:
        raise MathlabError(f"the config {file} is longer than {LONGEST} bytes; keep large arrays in a file")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig")) + 1
        place = Place(file, before.count(b"\n") + 1, column)
        raise MathlabError(
            f"the config is not UTF-8: it has the byte 0x{content[error.start]:02x} here", place
        ) from None
    return content


def _names(tree: Table) -> set[str] | None:
    """Every name that a mapping means to define; None when a section that defines names is not a mapping.

    A key that does not exist may be such a section, misspelt: its names are none to complain of once more.
    """
    known = ConfigText.readers()
    misspelt = {name for key, part in tree.items() if key not in known and isinstance(part, Table) for name in part}
    try:
        return misspelt.union(*(lines(mapping(tree[section])) for section in NAMED if section in tree))
    except MathlabError:
        return None


def _has_figures(text: CaseText) -> bool:
    after = text.train.after if text.train else None
    return bool(text.expected or after or (text.gradcheck and text.gradcheck.expected))


def _cases(config: ConfigText, tree: Table, problems: set[Problem]) -> list[tuple[str, Table]]:
    """The cases that run, each with the mapping that is its own. The top level runs beside cases if it has figures."""
    cases: list[tuple[str, Table]] = [(name, table) for name, table in (config.cases or {}).items()]
    if cases and not _has_figures(config):
        return cases
    for name, _ in cases:
        if name == BASE and isinstance(name, Scalar):
            message = f"a case cannot be called '{BASE}' beside figures at the top level, which are those of '{BASE}'"
            problems.add(Problem(message, name.place))
    return [(BASE, tree), *cases]


def _merged(top: CaseText, case: CaseText) -> CaseText:
    """A case with all that it inherits; figures are its own."""
    gradcheck = replace(top.gradcheck, expected=()) if top.gradcheck else None
    return CaseText(
        dtype=case.dtype or top.dtype,
        inputs={**top.inputs, **case.inputs},
        parameters={**top.parameters, **case.parameters},
        layers=top.layers if case.layers is None else case.layers,
        loss=top.loss if case.loss is None else case.loss,
        batch=top.batch if case.batch is None else case.batch,
        equations=_with_added(top.equations, case.equations),
        upstream=case.upstream or top.upstream,
        derivation=case.derivation or top.derivation,
        expected=case.expected,
        gradcheck=case.gradcheck or gradcheck,
        train=_merged_train(top.train, case.train or TrainText()) if top.train else case.train,
        sweep=case.sweep or top.sweep,
        pictures=top.pictures if case.pictures is None else case.pictures,
        sections={**top.sections, **case.sections},
    )


def _with_added(top: Formulas, case: Formulas) -> Formulas:
    """A case's equations in place of those of the same names; what it adds stands before the first that reads it."""
    merged = {**top, **case}
    order, unread = [*top], 0
    for name in [name for name in case if name not in top][::-1]:
        reader = next((at for at, key in enumerate(order) if name in read_names(merged[key].expr)), None)
        order.insert(len(order) - unread if reader is None else reader, name)
        unread += reader is None
    return {name: merged[name] for name in order}


def _merged_train(top: TrainText, case: TrainText) -> TrainText:
    said = {field.name: value for field in fields(case) if (value := getattr(case, field.name)) is not None}
    if top.optimizer is not None and case.optimizer is not None:
        said["optimizer"] = _merged_optimizer(top.optimizer, case.optimizer)
    return replace(top, **{**said, "after": case.after})


def _merged_optimizer(top: Table, case: Table) -> Table:
    """The case's settings over the top level's; another optimizer does not inherit what it does not have."""
    name = case.get("name")
    kept = SETTINGS.get(name, top) if isinstance(name, Scalar) else top
    merged = Table(case.place)
    merged.update({key: value for key, value in top.items() if key in kept})
    merged.update(case)
    return merged


def _case(draft: _Draft, share: float, quick: bool) -> Case:
    from mathlab.config.sweeps import sweep  # only here: few configs have one

    text = draft.text
    return Case(
        name=draft.name,
        dtype=text.dtype or "float64",
        inputs={str(key): value for key, value in text.inputs.items()},
        parameters={str(key): value for key, value in text.parameters.items()},
        equations=tuple(replace(one, name=str(key)) for key, one in text.equations.items()),
        upstream=text.upstream,
        derivation=tuple(replace(one, name=str(key)) for key, ways in text.derivation.items() for one in ways),
        expected=text.expected,
        gradcheck=text.gradcheck,
        train=_train(text.train, draft.train_place) if text.train else None,
        sweep=sweep(text.sweep, text, draft.place) if text.sweep else None,
        pictures=text.pictures or (),
        sections=text.sections,
        place=draft.place,
        share=share,
        quick=quick,
    )


def _train(text: TrainText, place: Place) -> TrainSettings:
    name, settings, rate = optimizer(text, place)
    return TrainSettings(
        optimizer=name,
        settings=settings,
        epochs=text.epochs or 0,
        batch_size=text.batch_size,
        over=tuple(map(str, text.over or ())),
        freeze=tuple(map(str, text.freeze or ())),
        seed=text.seed,
        after=tuple((int(count), figures) for count, figures in (text.after or {}).items()),
        place=place,
        schedule=replace(rate, name="lr") if rate else None,
        start={str(key): value for key, value in (text.start or {}).items()},
    )
