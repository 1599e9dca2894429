"""Boxes stand clear of each other, and edges clear of the boxes, whatever the graph."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mathlab.pictures.layout import Layout, Point, layered


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


def drawn(points: Sequence[Point]) -> NDArray[np.float64]:
    """Nine points of each part of an edge: through a layer it is straight, between two bent."""
    t = np.linspace(0, 1, 9)[:, None]
    parts = []
    for at, (a, b) in enumerate(pairwise(np.array(points))):
        half = (a + b) / 2
        first, second = (half[0], a[1]), (half[0], b[1])
        curve = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * first + 3 * t * t * (1 - t) * second + t**3 * b
        parts.append(curve if at % 2 else a + t * (b - a))
    return np.concatenate(parts)


def trouble(layout: Layout, sizes: Mapping[str, Point]) -> str:
    """What overlaps, if something does."""
    placed = {name: (*corner, *sizes[name]) for name, corner in layout.boxes.items()}
    for (first, one), (second, other) in combinations(placed.items(), 2):
        sides = [(one[at], one[at + 2], other[at], other[at + 2]) for at in (0, 1)]
        if not any(x + wide <= a or a + broad <= x for x, wide, a, broad in sides):
            return f"{first} overlaps {second}"
    boxes = np.array([*placed.values()])
    low, high = boxes[:, :2] + 0.5, boxes[:, :2] + boxes[:, 2:] - 0.5
    for edge, points in layout.edges.items():
        way = drawn(points)[:, None]
        if (crossed := np.flatnonzero(np.any(np.all((low < way) & (way < high), axis=2), axis=0))).size:
            return f"{edge} crosses {[*layout.boxes][crossed[0]]}"
        if not all(-0.5 <= at <= whole + 0.5 for point in points for at, whole in zip(point, layout.size, strict=True)):
            return f"{edge} leaves the picture"
    return ""


@pytest.mark.parametrize("first", range(0, 200, 50))
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.one_in(4)
def test_random_graphs(down: bool, first: int) -> None:
    for seed in range(first, first + 50):
        drawn_sizes, edges = random_graph(seed)
        sizes = {name: (high, wide) if down else (wide, high) for name, (wide, high) in drawn_sizes.items()}
        layout = layered(sizes, edges)
        assert trouble(layout, sizes) == "", seed
        for (start, end), points in layout.edges.items():
            assert points[0][0] == pytest.approx(layout.boxes[start][0] + sizes[start][0])
            assert points[-1][0] == pytest.approx(layout.boxes[end][0])


def test_a_long_graph_does_not_lean_to_one_side() -> None:
    """Ten layers of a network, each with weights and a bias beside what it reads."""
    sizes, edges = {"h0": (100.0, 200.0)}, list[tuple[str, str]]()
    for at in range(1, 11):
        sizes |= {f"W{at}": (100.0, 240.0), f"b{at}": (60.0, 150.0), f"h{at}": (100.0, 200.0)}
        edges += [(name, f"h{at}") for name in (f"h{at - 1}", f"W{at}", f"b{at}")]
    given = sorted(sizes, key=lambda name: name.startswith("h"))  # as parameters stand before equations
    layout = layered({name: sizes[name] for name in given}, edges)
    aside = [layout.boxes[f"h{at}"][1] for at in range(1, 11)]
    assert max(aside) - min(aside) < 200


def test_an_edge_over_many_layers_runs_straight() -> None:
    """A skip past eight boxes of several sizes, each with weights beside it: it bends where it leaves and arrives."""
    sizes, edges = {"h0": (100.0, 80.0)}, [("h0", "end")]
    for at in range(1, 9):
        sizes |= {f"W{at}": (60.0, 40.0 + 25 * (at % 3)), f"h{at}": (100.0, 60.0 + 40 * (at % 2))}
        edges += [(f"h{at - 1}", f"h{at}"), (f"W{at}", f"h{at}")]
    sizes["end"] = (100.0, 80.0)
    points = layered(sizes, [*edges, ("h8", "end")]).edges["h0", "end"]
    bent = [abs(a[1] - b[1]) > 1 for a, b in pairwise(points)][1::2]
    assert sum(bent) <= 3, points


def test_an_overlap_and_a_crossing_are_noticed() -> None:
    boxes, sizes = {"a": (0, 0), "b": (5, 5), "c": (40, 0), "d": (20, 0)}, dict.fromkeys("abcd", (10, 10))
    assert trouble(Layout({"a": boxes["a"], "b": boxes["b"]}, {}, (99, 99)), sizes) == "a overlaps b"
    apart = {name: boxes[name] for name in "acd"}
    assert trouble(Layout(apart, {("a", "c"): ((10.0, 5.0), (40.0, 5.0))}, (99, 99)), sizes) == "('a', 'c') crosses d"
