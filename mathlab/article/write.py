"""Suggested figures -> the config's text with them in it, and every other byte as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

from mathlab.article.pool import State
from mathlab.article.suggest import Suggestion
from mathlab.config.yamltext import LOADER
from mathlab.experiment import Experiment

STEP = 2  # columns of an indent
PLAIN = re.compile(r"[A-Za-z_][\w.()*/+ -]*(?:\[[\w,: -]*\][\w.()*/+ -]*)*")

Section = tuple[str, ...]  # the keys on the way to a mapping of figures
Found = Mapping[str, Sequence[str]]  # a figure's key, and what is printed for it, as YAML


def sections(suggestions: Iterable[Suggestion], experiment: Experiment) -> dict[Section, dict[str, list[str]]]:
    """The figures by the section that they belong to, each once."""
    alone = len(experiment.cases) == 1 and experiment.cases[0].name == "base"
    made: dict[Section, dict[str, list[str]]] = {}
    for one in suggestions:
        way = _way(one.state, alone)
        printings = made.setdefault(way, {}).setdefault(one.key, [])
        text = printing(one)
        printings += [text] if text not in printings else []
    return made


def _way(state: State, alone: bool) -> Section:
    case = () if alone else ("cases", state.case)
    inner: Mapping[str, Section] = {
        "expected": ("expected",),
        "gradcheck": ("gradcheck", "expected"),
        "after": ("train", "after", str(state.updates)),
    }
    return (*case, *inner[state.stage])


def printing(one: Suggestion) -> str:
    """`{printed: [0.73, 0.12], at: "the outputs"}`."""
    texts = iter([number.text for number in one.numbers])

    def nested(shape: Sequence[int]) -> str:
        return f"[{', '.join(nested(shape[1:]) for _ in range(shape[0]))}]" if shape else next(texts)

    at = f", at: {_quoted(one.at)}" if one.at else ""
    return f"{{printed: {nested(one.shape)}{at}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def block(way: Section, figures: Found, indent: int) -> str:
    """The section as lines of a block, to be put into a mapping whose keys stand at `indent`."""
    lines = []
    for depth, key in enumerate(way):
        lines.append(" " * (indent + STEP * depth) + f"{_key(key)}:")
    margin = " " * (indent + STEP * len(way))
    for key, printings in figures.items():
        if len(printings) == 1:
            lines.append(f"{margin}{_key(key)}: {printings[0]}")
        else:
            lines += [f"{margin}{_key(key)}:", *(f"{margin}  - {text}" for text in printings)]
    return "\n".join(lines)


def _key(key: str, flow: bool = False) -> str:
    plain = PLAIN.fullmatch(key) or key.isdigit()
    return key if plain and not (flow and re.search(r"[\[\],{}]", key)) else _quoted(key)


def _flow(way: Section, figures: Found) -> str:
    """The same inside braces."""
    inner = ", ".join(
        f"{_key(key, True)}: {printings[0] if len(printings) == 1 else '[' + ', '.join(printings) + ']'}"
        for key, printings in figures.items()
    )
    for key in reversed(way):
        inner = f"{_key(key, True)}: {{{inner}}}"
    return inner


def written(text: str, made: Mapping[Section, Found]) -> tuple[str, list[str]]:
    """The text with the figures in it, and the keys of those that have no room where they belong.

    The text is one that has been read as a config.
    """
    left: list[str] = []
    for way, figures in made.items():
        for key, printings in figures.items():
            text, fitted = _inserted(text, way, key, printings)
            left += [] if fitted else [f"{key} ({', '.join(way)})"]
    return text, left


def _inserted(text: str, way: Section, key: str, printings: Sequence[str]) -> tuple[str, bool]:
    node, rest = yaml.compose(text, Loader=LOADER), [*way, key]
    while isinstance(node, yaml.MappingNode) and (inside := _value(node, rest[0])):
        node, rest = inside, rest[1:]
        if not rest:
            return _beside(text, node, printings)
    figures = {rest[-1]: printings}
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        at = _line_end(text, _end(node))
        return f"{text[:at]}\n{block(tuple(rest[:-1]), figures, node.value[0][0].start_mark.column)}{text[at:]}", True
    if isinstance(node, yaml.MappingNode):
        at = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return f"{text[:at].rstrip()}{comma}{_flow(tuple(rest[:-1]), figures)}{text[at:]}", True
    if isinstance(node, yaml.ScalarNode) and not node.value:  # as in `gradcheck:`
        at = node.start_mark.index
        return f"{text[:at]} {{{_flow(tuple(rest[:-1]), figures)}}}{text[at:]}", True
    return text, False


def _value(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for known, value in node.value if known.value == key), None)


def _beside(text: str, node: yaml.Node, printings: Sequence[str]) -> tuple[str, bool]:
    """What is printed for a figure besides what stands there."""
    start, end = node.start_mark.index, _end(node)
    if isinstance(node, yaml.SequenceNode) and any(isinstance(item, yaml.MappingNode) for item in node.value):
        if node.flow_style:
            return f"{text[: end - 1]}, {', '.join(printings)}{text[end - 1 :]}", True
        margin, at = " " * node.start_mark.column, _line_end(text, end)
        return text[:at] + "".join(f"\n{margin}- {one}" for one in printings) + text[at:], True
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return text, False
    old = text[start:end] if isinstance(node, yaml.MappingNode) else f"{{printed: {text[start:end]}}}"
    return f"{text[:start]}[{', '.join([old, *printings])}]{text[end:]}", True


def _end(node: yaml.Node) -> int:
    """Where a node's last character stands: a block's own mark is that of what comes next."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
