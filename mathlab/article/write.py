"""Suggested figures -> the config's text with them in it, and every other byte as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import yaml

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
        inner = {"gradcheck": ("gradcheck", "expected"), "after": ("train", "after", str(one.state.updates))}
        case = () if alone else ("cases", one.state.case)
        made.setdefault((*case, *inner.get(one.state.stage, ("expected",)), one.key), {})[printing(one)] = None
    return {way: [*printings] for way, printings in made.items()}


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
    """The text with a figure where it belongs, or nothing where there is no room for it."""
    node = yaml.compose(text, Loader=LOADER)
    assert node is not None  # it has been read
    while way and isinstance(node, yaml.MappingNode):
        inside = next((value for key, value in node.value if key.value == way[0]), None)
        if inside is None:
            break
        node, way = inside, way[1:]
    start, end, new = node.start_mark.index, _end(node), ", ".join(printings)
    line_end = end + len(text[end:].partition("\n")[0])
    value = new if len(printings) == 1 else f"[{new}]"
    match node:
        case yaml.SequenceNode(flow_style=flow) if not way and isinstance(node.value[0], yaml.MappingNode):
            lines = "".join(f"\n{' ' * node.start_mark.column}- {one}" for one in printings)
            return _put(text, end - 1, f", {new}") if flow else _put(text, line_end, lines)
        case yaml.MappingNode(flow_style=False):
            margin = node.start_mark.column
            keys = "".join(f"\n{' ' * (margin + STEP * depth)}{_key(key)}:" for depth, key in enumerate(way))
            return _put(text, line_end, f"{keys} {value}") if way else ""
        case yaml.MappingNode() if way:
            inner = _nested(way, value)[1:-1]
            last = len(text[: end - 1].rstrip())
            return text[:last] + ", " * bool(node.value) + inner + text[end - 1 :]
    if way:  # in the place of nothing, as after `gradcheck:`
        return "" if node.value else _put(text, start, f" {_nested(way, value)}")
    old = text[start:end] if isinstance(node, yaml.MappingNode) else f"{{printed: {text[start:end]}}}"
    return f"{text[:start]}[{old}, {new}]{text[end:]}"


def _nested(way: Way, value: str) -> str:
    return f"{{{_key(way[0], '[]{},')}: {_nested(way[1:], value)}}}" if way else value


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
