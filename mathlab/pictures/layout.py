"""A layered drawing of a directed graph: where its boxes stand and how its edges run, the same every time.

After Sugiyama, Tagawa & Toda 1981: every node gets a layer behind all that it reads; an edge over several layers gets a
lane in each; sweeps over the layers move each item to the middle of its neighbours, at first past those beside it.
Edges run straight across layers and bend only between them, where no box stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from statistics import fmean
from typing import NamedTuple, TypeVar

GAP = 22.0  # between what stands side by side
BETWEEN = 44.0  # between layers
LANE = 6.0  # the room of an edge, forward and backward, that passes a layer
SWEEPS = 16
T = TypeVar("T")
Item = tuple[str, int]  # a box in its layer; or the lane, in a later one, of the edges that leave the box
Near = Mapping[Item, Sequence[Item]]
Span = Mapping[Item, float]  # where an item stands across the layers, or how much room it takes there
Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Boxes by name, and edges as points: straight from each even one to the next, bent from each odd one."""

    boxes: Mapping[str, Box]
    edges: Mapping[tuple[str, str], tuple[Point, ...]]
    width: float
    height: float


def layered(sizes: Mapping[str, Point], edges: Sequence[tuple[str, str]], down: bool) -> Layout:
    """The layout of boxes of these (width, height), whose names stand in an order in which no edge leads back.

    Layers follow one another to the right, or `down`.
    """
    ranks = ranked([*sizes], edges)
    paths = {(a, b): [*((a, layer) for layer in range(ranks[a], ranks[b])), (b, ranks[b])] for a, b in edges}
    links = [*dict.fromkeys(chain(*map(pairwise, paths.values())))]
    before, after = _neighbours(links, 1), _neighbours(links, 0)
    broad = dict.fromkeys(chain(*links), LANE) | {item: sizes[item[0]][not down] for item in ranks.items()}
    layers: list[list[Item]] = [[] for _ in {*ranks.values()}]
    for item in dict.fromkeys((*ranks.items(), *broad)):
        layers[item[1]].append(item)
    across = _placed(layers, before, after, broad)
    leaves, meets = _ports(after, ranks, across, broad), _ports(before, ranks, across, broad)
    thick = {name: size[down] for name, size in sizes.items()}
    deep = [max(thick[name] for name, rank in layer if ranks[name] == rank) for layer in layers]
    starts = [*accumulate((depth + BETWEEN for depth in deep), initial=0.0)]
    place = {name: starts[rank] + (deep[rank] - thick[name]) / 2 for name, rank in ranks.items()}
    ways = {}
    for (a, b), path in paths.items():
        way = [(place[a] + thick[a], leaves[path[0], path[1]])]
        for start, end in pairwise(path):
            way += [(starts[end[1]] - BETWEEN, leaves[start, end]), (starts[end[1]], meets[end, start])]
        ways[a, b] = [*way, (place[b], meets[path[-1], path[-2]])]

    def turned(along: float, aside: float) -> Point:
        return (aside, along) if down else (along, aside)

    sides = {name: across[name, rank] - broad[name, rank] / 2 for name, rank in ranks.items()}
    boxes = {name: Box(*turned(place[name], sides[name]), *size) for name, size in sizes.items()}
    total = max((across[item] + broad[item] / 2 for item in across), default=0.0)
    whole = turned(max(starts[-1] - BETWEEN, 0.0), total)
    return Layout(boxes, {edge: tuple(turned(*point) for point in way) for edge, way in ways.items()}, *whole)


def _neighbours(links: Sequence[tuple[T, T]], end: int) -> Mapping[T, Sequence[T]]:
    """Of each item that links end in (`end` 1) or start from (0), what they lead from, or to; of others, nothing."""
    found: dict[T, list[T]] = defaultdict(list)
    for link in links:
        found[link[end]].append(link[1 - end])
    return found


def ranked(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Every name one layer behind the last that leads to it; what nothing leads to, just before its first reader."""
    ranks: dict[str, int] = {}
    sources, readers = _neighbours(edges, 1), _neighbours(edges, 0)
    for name in names:
        ranks[name] = max((ranks[source] + 1 for source in sources[name]), default=0)
    for name in names:
        if not sources[name] and readers[name]:
            ranks[name] = min(ranks[reader] for reader in readers[name]) - 1
    return ranks


def _placed(layers: Sequence[list[Item]], before: Near, after: Near, broad: Span) -> Span:
    """The middle of every item: near its neighbours', and clear of those beside it in its layer.

    The first sweeps look at the layer that they come from alone, and the first half puts the layers in order.
    """
    middle, both = dict.fromkeys(broad, 0.0), {item: [*before[item], *after[item]] for item in broad}
    for sweep in range(SWEEPS):
        near = both if sweep > SWEEPS // 4 else (before, after)[sweep % 2]
        for layer in layers[:: -1 if sweep % 2 else 1]:
            wish = {item: fmean([middle[other] for other in near[item]] or [middle[item]]) for item in layer}
            if sweep < SWEEPS // 2:
                layer.sort(key=wish.__getitem__)
            weights = [4.0 if broad[item] == LANE else 1.0 + len(both[item]) for item in layer]
            places = _apart([wish[item] for item in layer], weights, [broad[item] + GAP for item in layer])
            middle.update(zip(layer, places, strict=True))
    least = min((middle[item] - broad[item] / 2 for item in middle), default=0.0)
    return {item: at - least for item, at in middle.items()}


def _apart(wished: Sequence[float], weights: Sequence[float], rooms: Sequence[float]) -> Iterator[float]:
    """The places nearest to those wished for, in their order and clear of each other: isotonic regression."""
    offsets = [*accumulate((before + here) / 2 for before, here in pairwise([0.0, *rooms]))]
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, weight, offset in zip(wished, weights, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, heavy, many = blocks.pop()
            mean, weight, count = (mean * weight + other * heavy) / (weight + heavy), weight + heavy, count + many
        blocks.append((mean, weight, count))
    return (mean + offset for mean, offset in zip((m for m, _, n in blocks for _ in range(n)), offsets, strict=True))


def _ports(near: Near, ranks: Mapping[str, int], across: Span, broad: Span) -> Mapping[tuple[Item, Item], float]:
    """Where each link touches its first item: spread over the side of a box, amid a lane."""
    ports = {}
    for item, others in near.items():
        room = broad[item] if ranks[item[0]] == item[1] else 0.0
        for count, other in enumerate(sorted(others, key=across.__getitem__), start=1):
            ports[item, other] = across[item] + room * (count / (len(others) + 1) - 0.5)
    return ports
