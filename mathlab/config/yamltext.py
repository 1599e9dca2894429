"""YAML text -> a plain tree in which every part knows where it stands and how it was written.

PyYAML's own values lose what matters here: `0.638760` loses its last zero, `1e-6` becomes a text, `012` becomes 10, and
the last of two equal keys wins in silence. So the tree is built from the parser's events, and scalars stay texts.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import yaml
from yaml.reader import Reader

from mathlab import signs
from mathlab.errors import MathlabError, Place, Problem

DEEPEST = 64  # levels of nesting; NumPy's own limit on axes, and far inside Python's recursion limit
LARGEST = 100_000  # parts of the tree once every alias is expanded: an alias bomb stops here

OTHERS = (".py", ".md", ".ipynb", ".txt", ".csv", ".tex", ".html", ".toml", ".ini", ".m", ".r", ".jl")  # no configs

BLANK = "the blank U+{:04X} stands here, and YAML takes plain ones alone"

LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(str):
    """A scalar's text; `quoted` says that it stood in quotes or in a block, and so is a text whatever it looks like."""

    __slots__ = ("place", "quoted")
    place: Place
    quoted: bool

    def __new__(cls, text: str, place: Place, quoted: bool = False) -> Scalar:
        scalar = super().__new__(cls, text)
        scalar.place = place
        scalar.quoted = quoted
        return scalar

    def normalized(self) -> Scalar:
        """The same in Unicode's NFKC, in which Python compares names: the two signs for a micro are one letter."""
        return self if self.isascii() else Scalar(unicodedata.normalize("NFKC", self), self.place, self.quoted)


class Row(list["Tree"]):
    """A YAML sequence."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class Table(dict[str, "Tree"]):
    """A YAML mapping, in the order of the file; its keys are scalars too."""

    def __init__(self, place: Place, parts: Mapping[str, Tree] | None = None) -> None:
        super().__init__(parts or {})
        self.place = place

    def key(self, text: str) -> Scalar:
        """The key as it stands in the file, so with its place."""
        return next(key for key in self if key == text and isinstance(key, Scalar))


Tree: TypeAlias = "Scalar | Row | Table"


def kind(tree: Tree) -> str:
    """What a reader calls it: `"a list"`, `"a mapping"` or the text itself in quotes."""
    return "a list" if isinstance(tree, Row) else "a mapping" if isinstance(tree, Table) else repr(str(tree))


def nothing(tree: Tree | None) -> bool:
    """Whether nothing stands here, as behind `gradcheck:`, or what YAML calls so."""
    return isinstance(tree, Scalar) and not tree.quoted and tree in ("", "~", "null", "Null", "NULL")


def places(tree: Tree | None) -> dict[str, Place]:
    """Where the keys of a mapping stand, or the words of a list, or the only one."""
    parts = tree if isinstance(tree, Row | Table) else [tree]
    return {str(part.normalized()): part.place for part in parts if isinstance(part, Scalar)}


def read(text: str, file: str) -> tuple[Tree | None, tuple[Problem, ...]]:
    """The tree of one YAML document, if any, and what is wrong with its keys and tags. Raises MathlabError."""
    builder = _Builder(text, file)
    try:
        return builder.document(text), tuple(builder.problems)
    except yaml.YAMLError as error:
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            # the scanner reads ahead of the parser, and what stands before its complaint may be past our own limits
            with contextlib.suppress(yaml.YAMLError):
                _Builder(text, file).document(text[: error.problem_mark.index])
        raise MathlabError([*builder.problems, _syntax_problem(error, text, file)]) from None


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        lines, context, opened = text.split("\n"), str(error.context), error.context_mark or mark
        mark = opened if "simple key" in context else mark  # what is no key is missed at the next one
        place = Place(file, mark.line + 1, mark.column + 1)
        line = "".join(lines[mark.line : mark.line + 1])
        said = "\n".join(lines[: mark.line + 1])
        if odd := re.search(r"^ *(?:[\w.]+:(?=.*\Z))?([^\S \t\r\n])", said, re.MULTILINE):
            return Problem(BLANK.format(ord(odd[1])), _at(file, text, odd.start(1)))
        if line[mark.column :].startswith("\t"):
            return Problem("a tab stands here, and YAML is indented by spaces alone", place)
        if Path(file).suffix.lower() in OTHERS:
            hint = f"; a config is a .yaml file, and not {Path(file).name}"
        elif re.search("escape|hexa?decimal", str(error.problem)):
            hint = "; in double quotes a backslash begins an escape, in single quotes it is itself"
        elif "quoted" in context:
            hint = f"; the quotes that line {opened.line + 1} opens are not closed"
        else:
            hint = signs.brackets(lines[opened.line :], opened.line, opened.column) if "flow" in context else ""
            braces = str(error.problem).endswith("or '}'") and "[" in line[: mark.column + 1]
            hint = hint or "; inside braces an expression with brackets stands in quotes" * braces
            hint = hint or signs.indented(lines, mark.line)
            hint = hint or signs.quoted(line, "\n".join(lines[: mark.line]))
        return Problem(f"this is not YAML: {error.problem}{hint}", place)
    if bad := Reader.NON_PRINTABLE.search(text):
        how = "; a text that is UTF-16 is saved as UTF-8" * (bad.group() == "\0")
        message = f"the character U+{ord(bad.group()):04X} is not allowed in YAML{how}"
        return Problem(message, _at(file, text, bad.start()))
    return Problem("this is not YAML", Place(file, 1, 1))


def _at(file: str, text: str, at: int) -> Place:
    return Place(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


class _Builder:
    """Builds the tree of one document from its events; an anchor that is still open stands for None."""

    def __init__(self, text: str, file: str) -> None:
        self.lines = text.split("\n")
        self.file = file
        self.problems: list[Problem] = []
        self.parts = 0
        self.anchors: dict[str, tuple[Tree, int] | None] = {}

    def document(self, text: str) -> Tree | None:
        self.events = iter(yaml.parse(text, Loader=LOADER))
        root, documents = None, 0
        for event in self.events:
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise MathlabError("a config is one YAML document, and a second one starts here", self.place_of(event))
            if isinstance(event, yaml.NodeEvent):
                root = self.node(event, 1)
        return root

    def place_of(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file, 1, 1)

    def node(self, event: yaml.NodeEvent, depth: int) -> Tree:
        """The part of the tree that begins with an event, at most `DEEPEST` levels deep."""
        place, before = self.place_of(event), self.parts
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), place)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            how = f"so drop {shown!r}"
            if isinstance(event, yaml.ScalarEvent) and not event.value and not event.style:
                how, event.value = "and what begins with '!' stands in quotes", event.tag
            self.problems.append(Problem(f"tags are not used in a config, {how}", place))
        is_row = isinstance(event, yaml.SequenceStartEvent)
        tree: Tree = Row(place) if is_row else Table(place)
        if isinstance(event, yaml.ScalarEvent):
            tree = self.scalar(event, place)
        self.count(1, place)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if not isinstance(tree, Scalar) and depth > DEEPEST:
            raise MathlabError(f"the config is nested more than {DEEPEST} levels deep", place)
        if isinstance(tree, Row):
            tree.extend(self.inside(depth))
        elif isinstance(tree, Table):
            parts = self.inside(depth)
            for part in parts:
                key = self.as_key(part, tree)
                value = next(parts)
                if key is not None:
                    tree[key] = value
        if event.anchor is not None:
            self.anchors[event.anchor] = tree, self.parts - before
        return tree

    def inside(self, depth: int) -> Iterator[Tree]:
        """What a list holds, or a mapping, key and value in turn."""
        for event in self.events:
            if not isinstance(event, yaml.NodeEvent):
                return
            yield self.node(event, depth + 1)

    def count(self, parts: int, place: Place) -> None:
        self.parts += parts
        if self.parts > LARGEST:
            raise MathlabError(f"the config holds more than {LARGEST} entries; keep large arrays in a file", place)

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        end = event.end_mark
        if event.style in ("|", ">"):
            text = event.value.strip()
            return Scalar(text, self.over_lines(text, Place(self.file, place.line + 1, 1)), True)  # below its sign
        if event.style:
            place = place.shifted(1)
        elif event.anchor is not None and end and end.line + 1 == place.line:  # the event begins with the anchor
            place = Place(self.file, place.line, end.column + 1 - len(event.value))
        if end and end.line + 1 > place.line:
            place = self.over_lines(event.value, place)
        return Scalar(event.value, place, bool(event.style))

    def over_lines(self, text: str, place: Place) -> Place:
        """The place with what of the text stands on which line, up to a word that stands otherwise in the file."""
        turns: list[tuple[int, int, int]] = []
        line, column = place.line - 1, place.column - 1
        for word in re.finditer(r"\S+", text):
            begin = line
            while line < len(self.lines) and not self.lines[line][column:].strip():
                line, column = line + 1, 0
            rest = self.lines[line][column:] if line < len(self.lines) else ""
            if not rest.lstrip().startswith(word.group()):
                break
            column += len(rest) - len(rest.lstrip())
            if line > begin or not turns:
                turns.append((word.start(), line + 1, column + 1))
            column += len(word.group())
        return Place(self.file, *turns[0][1:], tuple(turns)) if turns else place

    def alias(self, name: str, place: Place) -> Tree:
        if name not in self.anchors:
            message = f"the anchor '&{name}' is not defined before this alias; what begins with '*' stands in quotes"
            raise MathlabError(message, place)
        anchored = self.anchors[name]
        if anchored is None:
            raise MathlabError(f"the anchor '&{name}' contains itself", place)
        tree, parts = anchored
        self.count(parts, place)
        return tree

    def as_key(self, tree: Tree, table: Table) -> Scalar | None:
        if isinstance(tree, Scalar) and not tree.quoted and tree[:1].isspace():
            raise MathlabError(BLANK.format(ord(tree[0])), tree.place)
        tree = tree.normalized() if isinstance(tree, Scalar) else tree
        while isinstance(tree, Scalar) and tree in table and re.match(r"for\s.+\.\.", tree):
            tree = Scalar(f"{tree} ", tree.place)  # two that count alike are two all the same
        if not isinstance(tree, Scalar):
            message = f"a key is a word or an expression, not {kind(tree)}; put it in quotes"
        elif tree == "<<" and not tree.quoted:
            message = "merge keys ('<<') are not supported; cases inherit from the top level"
        elif tree in table:
            message = f"the key {str(tree)!r} is given twice; the first stands on line {table.key(tree).place.line}"
        elif not tree.strip():
            message = "a key is missing"
        else:
            return tree
        self.problems.append(Problem(message, tree.place))
        return None
