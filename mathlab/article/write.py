"""Suggested figures -> the config's text with them in it, and every other byte as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import yaml

from mathlab.article.pool import State
from mathlab.article.suggest import Suggestion
from mathlab.config.yamltext import LOADER
from mathlab.experiment import Experiment

STEP = 2  # columns of an indent
PLAIN = re.compile(r"[A-Za-z_][\w.()*/+ -]*(?:\[[\w,: -]*\][\w.()*/+ -]*)*|\d+")
QUOTED = partial(json.dumps, ensure_ascii=False)

Way = tuple[str, ...]  # the keys that lead to a figure, its own at the end


def sections(suggestions: Iterable[Suggestion], experiment: Experiment) -> dict[Way, list[str]]:
    """What is printed for each figure, each once."""
    alone = len(experiment.cases) == 1 and experiment.cases[0].name == "base"
    made: dict[Way, dict[str, None]] = {}
    for one in suggestions:
        case = () if alone else ("cases", one.state.case)
        made.setdefault((*case, *_section(one.state), one.key), {})[printing(one)] = None
    return {way: [*printings] for way, printings in made.items()}


def _section(state: State) -> Way:
    inner = {"gradcheck": ("gradcheck", "expected"), "after": ("train", "after", str(state.updates))}
    return inner.get(state.stage, ("expected",))


def printing(one: Suggestion) -> str:
    """`{printed: [0.73, 0.12], at: "the outputs"}`."""
    texts = iter([number.text for number in one.numbers])

    def nested(shape: Sequence[int]) -> str:
        return f"[{', '.join(nested(shape[1:]) for _ in range(shape[0]))}]" if shape else next(texts)

    at = f", at: {QUOTED(one.at)}" if one.at else ""
    return f"{{printed: {nested(one.shape)}{at}}}"


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
    """The text with a figure where it belongs, or nothing where that is no mapping."""
    node = yaml.compose(text, Loader=LOADER)
    assert node is not None  # it has been read
    while way and isinstance(node, yaml.MappingNode):
        inside = next((value for key, value in node.value if key.value == way[0]), None)
        if inside is None:
            break
        node, way = inside, way[1:]
    if not way:
        return _beside(text, node, printings)
    value = printings[0] if len(printings) == 1 else f"[{', '.join(printings)}]"
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        margin = node.value[0][0].start_mark.column
        lines = [f"\n{' ' * (margin + STEP * depth)}{_key(key)}:" for depth, key in enumerate(way)]
        return _put(text, _line_end(text, node), f"{''.join(lines)} {value}")
    for key in reversed(way):
        value = f"{{{_key(key, '[]{},')}: {value}}}"
    if isinstance(node, yaml.MappingNode):
        end = len(text[: node.end_mark.index - 1].rstrip())
        return text[:end] + ", " * bool(node.value) + value[1:-1] + text[node.end_mark.index - 1 :]
    empty = isinstance(node, yaml.ScalarNode) and not node.value  # as in `gradcheck:`
    return _put(text, node.start_mark.index, f" {value}") if empty else ""


def _beside(text: str, node: yaml.Node, printings: Sequence[str]) -> str:
    """The text with what is printed for a figure besides what stands there."""
    start, end, new = node.start_mark.index, _end(node), ", ".join(printings)
    if isinstance(node, yaml.SequenceNode) and any(isinstance(item, yaml.MappingNode) for item in node.value):
        if node.flow_style:
            return _put(text, end - 1, f", {new}")
        margin = " " * node.start_mark.column
        return _put(text, _line_end(text, node), "".join(f"\n{margin}- {one}" for one in printings))
    if isinstance(node, yaml.MappingNode):
        return f"{text[:start]}[{text[start:end]}, {new}]{text[end:]}" if node.flow_style else ""
    return f"{text[:start]}[{{printed: {text[start:end]}}}, {new}]{text[end:]}"


def _key(key: str, signs: str = "") -> str:
    return key if PLAIN.fullmatch(key) and not set(key) & set(signs) else QUOTED(key)


def _put(text: str, at: int, more: str) -> str:
    return text[:at] + more + text[at:]


def _end(node: yaml.Node) -> int:
    """Where a node's last character stands: a block's own mark is that of what comes next."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, node: yaml.Node) -> int:
    """The end of the line on which a node ends."""
    end = text.find("\n", _end(node))
    return len(text) if end < 0 else end
