"""A layered drawing of a directed graph: where its boxes stand and how its edges run, the same every time.

After Sugiyama, Tagawa & Toda 1981: every node gets a layer behind all that it reads; an edge over several layers gets a
lane in each; the order inside the layers is found by barycentres, the places by least squares that keep that order.
Edges run straight across layers and bend only between them, where no box stands.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

GAP = 22.0  # between boxes side by side
BETWEEN = 44.0  # between layers
LANE = 14.0  # the room of an edge, forward and backward, that passes a layer
SWEEPS = 8
Item = str | tuple[str, int]  # a box; or the lane in a layer of the edges that leave a box
Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Boxes by name, and edges as points: straight from each even one to the next, bent from each odd one."""

    boxes: Mapping[str, Box]
    edges: Mapping[tuple[str, str], tuple[Point, ...]]
    width: float
    height: float


def layered(sizes: Mapping[str, Point], edges: Sequence[tuple[str, str]], down: bool) -> Layout:
    """The layout of boxes of these (width, height), whose names stand in an order in which no edge leads back.

    Layers follow one another to the right, or `down`.
    """
    thick = {name: size[1] if down else size[0] for name, size in sizes.items()}
    broad = {name: size[0] if down else size[1] for name, size in sizes.items()}
    ranks = _ranks([*sizes], edges)
    paths = {edge: _path(*edge, ranks) for edge in edges}
    links = list(dict.fromkeys(pair for path in paths.values() for pair in itertools.pairwise(path)))
    layers = _ordered(ranks, links)
    across = _placed(layers, links, broad)
    starts, at = [], 0.0
    deep = [max((thick.get(item, 0.0) for item in layer if isinstance(item, str)), default=0.0) for layer in layers]
    for depth in deep:
        starts.append(at)
        at += depth + BETWEEN
    place = {name: starts[ranks[name]] + (deep[ranks[name]] - thick[name]) / 2 for name in sizes}
    ports = _ports(links, across, broad)
    drawn = {}
    for edge, path in paths.items():
        points: list[Point] = [(place[edge[0]] + thick[edge[0]], ports[path[0], path[1], 0])]
        for step, item in enumerate(path):
            layer = ranks[edge[0]] + step
            if step:
                points.append((starts[layer], ports[path[step - 1], item, 1]))
            if item != edge[1]:
                points.append((starts[layer] + deep[layer], ports[item, path[step + 1], 0]))
        drawn[edge] = (*points, (place[edge[1]], ports[path[-2], edge[1], 1]))
    total = max((across[name] + broad[name] / 2 for name in sizes), default=0.0)
    total = max([total, *(across[item] + LANE / 2 for layer in layers for item in layer)])

    def turned(point: Point) -> Point:
        return (point[1], point[0]) if down else point

    boxes = {name: Box(*turned((place[name], across[name] - broad[name] / 2)), *sizes[name]) for name in sizes}
    whole = turned((max(at - BETWEEN, 0.0), total))
    return Layout(boxes, {edge: tuple(map(turned, points)) for edge, points in drawn.items()}, *whole)


def _ranks(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Every name one layer behind the last that leads to it; what nothing leads to, just before its first reader."""
    ranks = dict.fromkeys(names, 0)
    sources: dict[str, list[str]] = {name: [] for name in names}
    readers: dict[str, list[str]] = {name: [] for name in names}
    for start, end in edges:
        sources[end].append(start)
        readers[start].append(end)
    for name in names:
        ranks[name] = max((ranks[source] + 1 for source in sources[name]), default=0)
    for name in names:
        if not sources[name] and readers[name]:
            ranks[name] = min(ranks[reader] for reader in readers[name]) - 1
    return ranks


def _path(start: str, end: str, ranks: Mapping[str, int]) -> tuple[Item, ...]:
    """The boxes and lanes along an edge; those of one box share their lanes."""
    return (start, *((start, layer) for layer in range(ranks[start] + 1, ranks[end])), end)


def _ordered(ranks: Mapping[str, int], links: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """The items of each layer, in the order with the fewest crossings that some sweeps of barycentres find."""
    layers: list[list[Item]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    lanes = dict.fromkeys(item for pair in links for item in pair if isinstance(item, tuple))
    items: list[Item] = [*ranks, *lanes]
    for item in items:
        layers[ranks[item] if isinstance(item, str) else item[1]].append(item)
    before, after = _neighbours(links, 1), _neighbours(links, 0)
    best, fewest = layers, _crossings(layers, after)
    for sweep in range(SWEEPS if fewest else 0):
        forward = sweep % 2 == 0
        layers = [[*layer] for layer in layers]
        for number in range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1):
            fixed = {item: at for at, item in enumerate(layers[number - 1 if forward else number + 1])}
            near = before if forward else after
            own = {item: float(at) for at, item in enumerate(layers[number])}
            layers[number].sort(key=lambda item: fmean([fixed[n] for n in near[item]]) if near.get(item) else own[item])
        crossings = _crossings(layers, after)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _neighbours(links: Sequence[tuple[Item, Item]], end: int) -> dict[Item, list[Item]]:
    found: dict[Item, list[Item]] = {}
    for link in links:
        found.setdefault(link[end], []).append(link[1 - end])
    return found


def _crossings(layers: Sequence[Sequence[Item]], after: Mapping[Item, Sequence[Item]]) -> int:
    count = 0
    for here, there in itertools.pairwise(layers):
        fixed = {item: at for at, item in enumerate(there)}
        ends = [sorted(fixed[other] for other in after.get(item, ())) for item in here]
        flat = [end for group in ends for end in group]
        count += sum(a > b for at, a in enumerate(flat) for b in flat[at + 1 :])
    return count


def _placed(
    layers: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]], broad: Mapping[str, float]
) -> dict[Item, float]:
    """The middle of every item: near its neighbours', in the order of its layer, and clear of those beside it."""

    def room(item: Item) -> float:
        return broad[item] + GAP if isinstance(item, str) else LANE + GAP / 2

    near = {item: [] for layer in layers for item in layer}  # type: dict[Item, list[Item]]
    for start, end in links:
        near[start].append(end)
        near[end].append(start)
    middle: dict[Item, float] = {}
    for layer in layers:
        at = 0.0
        for item in layer:
            middle[item] = at + room(item) / 2
            at += room(item)
    for sweep in range(2 * SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wished = [fmean(middle[other] for other in near[item]) if near[item] else middle[item] for item in layer]
            weights = [4.0 if isinstance(item, tuple) else 1.0 + len(near[item]) for item in layer]
            middle.update(zip(layer, _apart(wished, weights, [room(item) for item in layer]), strict=True))
    least = min((middle[item] - room(item) / 2 for item in middle), default=0.0)
    return {item: at - least - GAP / 2 if isinstance(item, str) else at - least for item, at in middle.items()}


def _apart(wished: Sequence[float], weights: Sequence[float], rooms: Sequence[float]) -> Iterator[float]:
    """The places nearest to those wished for, in their order and clear of each other: isotonic regression."""
    offsets, at = [], 0.0
    for before, here in zip([0.0, *rooms], rooms, strict=False):
        at += (before + here) / 2
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, weight, offset in zip(wished, weights, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, heavy, many = blocks.pop()
            mean, weight, count = (mean * weight + other * heavy) / (weight + heavy), weight + heavy, count + many
        blocks.append((mean, weight, count))
    return (mean + offset for mean, offset in zip((m for m, _, n in blocks for _ in range(n)), offsets, strict=True))


def _ports(
    links: Sequence[tuple[Item, Item]], across: Mapping[Item, float], broad: Mapping[str, float]
) -> dict[tuple[Item, Item, int], float]:
    """Where each link leaves its start (0) and meets its end (1): spread over the side of a box, amid a lane."""
    ports: dict[tuple[Item, Item, int], float] = {}
    for end in (0, 1):
        for item, others in _neighbours(links, end).items():
            for count, other in enumerate(sorted(others, key=lambda other: across[other])):
                spread = broad[item] * ((count + 1) / (len(others) + 1) - 0.5) if isinstance(item, str) else 0.0
                link = (item, other) if end == 0 else (other, item)
                ports[(*link, end)] = across[item] + spread
    return ports
