"""Figures that are put into a config: where each belongs, beside what stands there."""

from __future__ import annotations

import pytest
import yaml

from mathlab.article.check import written

NEW = {"printed": 1.5, "at": "Here"}
OTHER = {"printed": [0.25, 2], "at": "There"}
ONE = ['{printed: 1.5, at: "Here"}', '{printed: [0.25, 2], at: "There"}']

CONFIGS = [
    ("a: 1  # kept\n", ("expected", "y"), [NEW, OTHER]),
    ("expected:\n  x: 1  # kept\nb: 2\n", ("expected", "y"), [NEW, OTHER]),
    ("expected: {x: 1}  # kept\n", ("expected", "y"), [NEW, OTHER]),
    ("expected: {}\n", ("expected", "y"), [NEW, OTHER]),
    ("expected:\n  y: 1  # kept", ("expected", "y"), [{"printed": 1}, NEW, OTHER]),
    ("expected: {y: [1, 2]}\n", ("expected", "y"), [{"printed": [1, 2]}, NEW, OTHER]),
    ("expected: {y: {printed: 1}}\n", ("expected", "y"), [{"printed": 1}, NEW, OTHER]),
    ("expected: {y: [{printed: 1}]}\n", ("expected", "y"), [{"printed": 1}, NEW, OTHER]),
    ("expected:\n  y:\n    - {printed: 1}  # kept\nb: 2\n", ("expected", "y"), [{"printed": 1}, NEW, OTHER]),
    ("gradcheck:\nb: 2\n", ("gradcheck", "expected", "central_W[0,1]"), [NEW, OTHER]),
    ("train: {lr: 1}\n", ("train", "after", "3", "W[:, 0]"), [NEW, OTHER]),
    ("cases:\n  one:\n    q: &q [1]\n  two:\n    b: 1\n    q: *q\n", ("cases", "two", "expected", "y"), [NEW, OTHER]),
    ("cases:\n  one:\n    b: 1\n  two:\n    b: 2\n", ("cases", "one", "expected", "sum(y, axis=0)"), [NEW, OTHER]),
]


@pytest.mark.parametrize(("text", "way", "expected"), CONFIGS)
def test_a_figure_is_written_where_it_belongs(text: str, way: tuple[str, ...], expected: list[object]) -> None:
    made, left = written(text, {way: ONE})
    assert left == []
    tree = yaml.safe_load(made)
    for key in way:
        tree = tree[int(key) if key.isdigit() else key]
    assert tree == expected
    assert made.count("# kept") == text.count("# kept")


NO_ROOM = [
    "expected: 1\n",
    "expected:\n  y:\n    printed: 1\n",
    "a: &a {y: 1}\nexpected: *a\n",  # it is of something else too
    "expected: &a {y: 1}\nb: *a\n",
    "a: &a {printed: 1}\nexpected:\n  y:\n  - {printed: 2}\n  - *a\n",
]


@pytest.mark.parametrize("text", NO_ROOM)
def test_what_has_no_room_is_told(text: str) -> None:
    assert written(text, {("expected", "y"): ONE}) == (text, ["y (expected)"])
