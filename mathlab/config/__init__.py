"""YAML -> Experiment: one config file, every problem in it at once, each with its line and column."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import cast

from mathlab.config import yamltext
from mathlab.config.change import sweep
from mathlab.config.checks import check, check_size
from mathlab.config.datafiles import as_array
from mathlab.config.keys import current, formula, mapping, permits
from mathlab.config.loops import is_loop, lines_of, unrolled, written_in
from mathlab.config.schema import CASE, SHORTHAND, case_keys, top_keys
from mathlab.config.values import attempt
from mathlab.config.yamltext import Scalar, Table, Tree, kind, nothing
from mathlab.errors import MathlabError, Place, Problem, refuse_unless
from mathlab.experiment import Allowed, Case, Experiment, Source
from mathlab.files import missing, note, told
from mathlab.language.optimizers import SETTINGS
from mathlab.language.syntax import names as read_names

__all__ = ["described", "find", "load"]

LONGEST = 10_000_000  # bytes
MOST = 100  # problems; nobody reads more at a time
BASE = "base"
NUMBER = re.compile(r'(?<!\\)"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"')  # a text that is one, in JSON
SUFFIXES = (".yaml", ".yml")
FIGURES = {"train": "after", "gradcheck": "expected"}  # keys of sections that hold figures, which no case inherits
NAMED = ("inputs", "parameters", "equations")  # sections that define names


def find(path: Path) -> list[Path]:
    """The configs at a path, those of a folder by their names. Raises MathlabError for a path without any."""
    with told(path, "read"):
        if not path.exists():
            raise MathlabError(f"{path} {missing(path, SUFFIXES)}")
        if not path.is_dir():
            return [path]
        inside = [one for one in sorted(path.iterdir()) if one.suffix in SUFFIXES and one.name[0] != "."]
        if found := [*filter(Path.is_file, inside)]:
            return found
    raise MathlabError(f"{path} holds no config (*.yaml, *.yml)")


def load(source: str | Path | Mapping[str, object], allowed: Allowed | None = None) -> Experiment:
    """The experiment of a file or a mapping, with data of its own folder and the `allowed`. Raises MathlabError."""
    if isinstance(source, Mapping):
        return described(_yaml(source).encode(), "mapping.yaml", allowed)
    refuse_unless(isinstance(source, str | Path), "a config is a path, a mapping, or what load returns", source)
    return described(_content(str(source)), str(source), allowed)


def _yaml(part: object) -> str:
    """A mapping as YAML, on one line. A text that is a number keeps its digits and loses its quotes."""

    def plain(value: object) -> object:
        match value:
            case Mapping():
                return {**value}
            case Path() | Decimal():
                return str(value)
        if hasattr(value, "__array__"):
            return as_array(value).tolist()
        raise MathlabError(f"a config has no place for {type(value).__name__}")

    try:
        return NUMBER.sub(r"\1", json.dumps(part, default=plain, ensure_ascii=False))
    except (TypeError, ValueError) as error:  # of a key, and of a mapping that holds itself
        raise MathlabError(f"a config has no place for this: {error}") from None


def described(content: bytes, file: str, allowed: Allowed | None = None) -> Experiment:
    """The same of the text of a config that is, or could be, the `file`."""
    allowed = allowed or Allowed()
    tree, found = yamltext.read(content.decode("utf-8-sig"), file)
    if not isinstance(tree, Table):
        if tree is None or (isinstance(tree, Scalar) and not tree):
            raise MathlabError([*found, Problem("the config is empty", Place(file, 1, 1))])
        message = f"a config is a mapping of keys, as in 'parameters: {{w: 0.5}}', not {kind(tree)}"
        raise MathlabError([*found, Problem(f"{message}; mathlab init writes one", tree.place)])
    keys = top_keys()
    problems = [*found, *keys.unknown(tree)]
    with permits(Path(file).parent, allowed):
        top = keys.said(tree, problems)
        runs = [*_runs(tree, cast("dict[Scalar, Table]", top.get("cases", {})), problems)]
        read = [_case(name, tree, table, 1 / len(runs), allowed) for name, table in runs]
    every = {*problems[:MOST], *(problem for _, wrong in read for problem in wrong[:MOST])}
    if every:
        listed = sorted(every, key=lambda problem: (problem.place or tree.place, problem.message))
        raise MathlabError(listed[:MOST])
    cases = tuple(case for case, _ in read)
    if not allowed.large:
        check_size(cases)
    sha256, source = hashlib.sha256(content).hexdigest(), cast(Source, top.get("source", Source()))
    return Experiment(Path(file).stem, file, sha256, str(top.get("title", "")), source, cases)


def _case(name: str, top: Table, own: Table, share: float, allowed: Allowed) -> tuple[Case, list[Problem]]:
    """A case with all that it inherits, as far as it can be read, and what is wrong with it."""
    place = name.place if isinstance(name, Scalar) else own.place
    keys, tree = case_keys(), inherited(top, own)
    problems = keys.unknown(own) if own is not top else []
    said = keys.said(tree, problems)
    share = math.inf if allowed.large else share
    case = keys.make(**said, name=str(name), place=place, share=share, quick=allowed.quick)
    written, shorthand = _written(tree), any(key in tree for key in SHORTHAND)
    if written is None:
        return case, problems
    unreadable = written.keys() - {*case.inputs, *case.parameters, *(one.name for one in case.equations)}
    if unreadable and (shorthand or any(map(is_loop, written))):
        return case, problems  # for the layers' shapes are not known, or what the loops read
    for name in [*unreadable]:  # what is meant by it, as y by y(x), or what is grouped below it
        unreadable |= {*re.findall(r"[^\W_]\w*", name), *yamltext.places(written[name])}
    try:
        if shorthand:
            from mathlab.config.shorthand import expanded  # only here: it makes a table of all layers

            case = expanded(case, tree)
        if case.sweep and not unreadable:
            case = replace(case, sweep=attempt(partial(sweep, case), mapping(tree["sweep"]), problems) or case.sweep)
        if not unreadable:
            case = unrolled(case, {**yamltext.places(tree.get("inputs")), **yamltext.places(tree.get("parameters"))})
    except MathlabError as error:
        return case, [*problems, *error.problems]
    return case, [*problems, *islice(check(case, tree, own, top, unreadable), MOST)]


def _content(file: str) -> bytes:
    path = Path(file)
    with told(path, "read"):
        if not path.is_file():  # also a device or a pipe, which may never end
            raise MathlabError(f"the config {path} {missing(path, SUFFIXES)}")
        note(path)
        with path.open("rb") as stream:
            content = stream.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise MathlabError(f"the config {file} is longer than {LONGEST} bytes; keep large arrays in a file")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        *lines, line = content[: error.start].decode("utf-8-sig").split("\n")
        message = f"the config is not UTF-8: it has the byte 0x{content[error.start]:02x} here; save it as UTF-8"
        raise MathlabError(message, Place(file, len(lines) + 1, len(line) + 1)) from None
    return content


def _written(tree: Table) -> dict[str, Tree] | None:
    """What stands for each name that is meant, also below a misspelt key; None where a section is no mapping."""
    known = top_keys().readers
    groups = [part for key, part in tree.items() if key not in known and isinstance(part, Table)]
    found = {name: part for group in groups for name, part in group.items()}
    for section in (tree[section] for section in NAMED if section in tree):
        if (table := attempt(mapping, section, [])) is None:
            return None
        found |= {": ".join((*headers, key)): part for part, (key, *headers) in written_in(table)}
    return found


def _runs(tree: Table, cases: dict[Scalar, Table], problems: list[Problem]) -> Iterator[tuple[str, Table]]:
    """The cases that run, each with the mapping that is its own. The top level runs beside cases if it has figures."""
    sections = [(tree.get(name), key) for name, key in FIGURES.items()]
    if any(isinstance(part, Table) and key in part for part, key in sections) or "expected" in tree or not cases:
        yield BASE, tree
        if wrong := next((name for name in cases if name == BASE), None):
            message = f"a case cannot be called '{BASE}' beside figures at the top level, which are those of '{BASE}'"
            problems.append(Problem(message, wrong.place))
    above, said = "the name of a case", None
    for name, part in mapping(tree["cases"]).items() if cases else ():
        if name in CASE and (nothing(said) or not isinstance(part, Table) or CASE.keys().isdisjoint(part)):
            raise MathlabError(f"'{name}' is to be indented below {above}", cast(Scalar, name).place)
        above, said = f"case '{name}'", part
    yield from cases.items()


def inherited(top: Table, case: Table) -> Table:
    """What a case says, with all that it inherits; figures are its own.

    The place of its training is that of the key. What is no mapping where one is needed stays, to be complained of.
    """
    whole = Table(case.place, case)
    for key, tree in top.items() if case is not top else ():
        part = tree
        if key in FIGURES and isinstance(tree, Table):
            part = Table(tree.place, {name: tree[name] for name in tree if name != FIGURES[key]})
        if key in case and key in MERGED:
            try:
                whole[key] = MERGED[key](mapping(part), mapping(case[key]))
            except MathlabError:
                whole[key] = part if isinstance(case[key], Table) else case[key]
        elif key not in case and key != "expected":
            whole[key] = part
    if isinstance(train := whole.get("train"), Table) or nothing(train):
        place = (case if "train" in case else top).key("train").place
        whole["train"] = Table(place, train if isinstance(train, Table) else {})
    return whole


def _entries(top: Table, case: Table) -> Table:
    """A case's entries in place of those of the same names."""
    return Table(case.place, {**top, **case})


def _equations(top: Table, case: Table) -> Table:
    """The same of equations, also of those in a loop; what a case adds stands before the first that reads it."""
    merged = {**top}
    for name, part in case.items():
        above, lines = lines_of(name, top.get(name)), lines_of(name, part)
        merged[name] = _equations(above, lines) if above and lines else part
    order = [*merged]
    for name in [name for name in order if name not in top][::-1]:
        series, own = name.partition("[")[0], order.index(name)  # of a line in a loop
        reader = next((at for at, key in enumerate(order[:own]) if _reads(merged[key], series)), own)
        order.insert(reader, order.pop(own))
    return Table(case.place, {name: merged[name] for name in order})


def _reads(tree: Tree, name: str) -> bool:
    """Whether an equation reads a name, or one of those in a loop does."""
    if isinstance(tree, Table):
        return any(_reads(part, name) for part in tree.values())
    found = attempt(partial(current().once, formula), tree, [])
    return found is not None and name in read_names(found.expr)


def _training(top: Table, case: Table) -> Table:
    """A case's settings in place of the top level's; another optimizer does not inherit what it does not have."""
    whole = _entries(top, case)
    above, own = top.get("optimizer"), case.get("optimizer")
    if isinstance(above, Table) and isinstance(own, Table):
        name = own.get("name")
        kept = SETTINGS.get(name, above) if isinstance(name, Scalar) else above
        whole["optimizer"] = _entries(Table(own.place, {key: above[key] for key in above if key in kept}), own)
    return whole


MERGED = {"inputs": _entries, "parameters": _entries, "equations": _equations, "train": _training}
