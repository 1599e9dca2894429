"""Boxes stand clear of each other, and edges clear of the boxes, whatever the graph."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from mathlab.pictures.layout import Layout, Point, layered

Box = tuple[float, float, float, float]


def random_graph(seed: int) -> tuple[dict[str, Point], list[tuple[str, str]]]:
    draw = random.Random(seed)
    names = [f"n{k}" for k in range(draw.randint(1, 30))]
    sizes = {name: (draw.uniform(40, 320), draw.uniform(24, 180)) for name in names}
    edges = [
        (start, end)
        for at, end in enumerate(names)
        for start in draw.sample(names[:at], min(at, draw.choice((0, 1, 1, 2, 2, 4))))
    ]
    return sizes, edges


def bent(a: Point, b: Point, down: bool, t: float) -> Point:
    """A point of the curve that is drawn between two layers."""
    middle = (
        ((a[0], (a[1] + b[1]) / 2), (b[0], (a[1] + b[1]) / 2))
        if down
        else (((a[0] + b[0]) / 2, a[1]), ((a[0] + b[0]) / 2, b[1]))
    )
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    points = (a, *middle, b)
    return sum(w * p[0] for w, p in zip(weights, points, strict=True)), sum(
        w * p[1] for w, p in zip(weights, points, strict=True)
    )


def trouble(layout: Layout, down: bool) -> str:
    """What overlaps, if something does."""
    for (first, one), (second, other) in combinations(layout.boxes.items(), 2):
        sides = [(one[at], one[at + 2], other[at], other[at + 2]) for at in (0, 1)]
        if not any(x + wide <= a or a + broad <= x for x, wide, a, broad in sides):
            return f"{first} overlaps {second}"
    for edge, points in layout.edges.items():
        for at in range(len(points) - 1):
            for k in range(9):
                a, b, t = points[at], points[at + 1], k / 8
                point = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) if at % 2 == 0 else bent(a, b, down, t)
                for name, box in layout.boxes.items():
                    if inside(box, point):
                        return f"{edge} crosses {name}"
        if not all(-0.5 <= x <= layout.width + 0.5 and -0.5 <= y <= layout.height + 0.5 for x, y in points):
            return f"{edge} leaves the picture"
    return ""


def inside(box: Box, point: Point) -> bool:
    return all(box[at] + 0.5 < point[at] < box[at] + box[at + 2] - 0.5 for at in (0, 1))


@pytest.mark.parametrize("down", [False, True])
def test_200_random_graphs(down: bool) -> None:
    for seed in range(200):
        sizes, edges = random_graph(seed)
        layout = layered(sizes, edges, down)
        assert trouble(layout, down) == "", seed
        assert {name: box[2:] for name, box in layout.boxes.items()} == sizes
        for (start, end), points in layout.edges.items():
            ends = (layout.boxes[start], layout.boxes[end])
            along = 1 if down else 0
            assert points[0][along] == pytest.approx(ends[0][along] + ends[0][2 + along])
            assert points[-1][along] == pytest.approx(ends[1][along])


def test_an_overlap_and_a_crossing_are_noticed() -> None:
    boxes = {"a": (0, 0, 10, 10), "b": (5, 5, 10, 10), "c": (40, 0, 10, 10), "d": (20, 0, 10, 10)}
    assert trouble(Layout({"a": boxes["a"], "b": boxes["b"]}, {}, 99, 99), False) == "a overlaps b"
    apart = {name: boxes[name] for name in "acd"}
    assert trouble(Layout(apart, {("a", "c"): ((10.0, 5.0), (40.0, 5.0))}, 99, 99), False) == "('a', 'c') crosses d"
