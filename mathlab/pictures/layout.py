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
Item = str | tuple[str, int]  # a box; or the lane in a layer of the edges that leave a box
Link = tuple[Item, Item]
Near = Mapping[Item, Sequence[Item]]
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
    ranks = _ranks([*sizes], edges)
    paths: dict[tuple[str, str], list[Item]] = {
        (a, b): [a, *((a, layer) for layer in range(ranks[a] + 1, ranks[b])), b] for a, b in edges
    }
    links = [*dict.fromkeys(chain(*map(pairwise, paths.values())))]
    before, after = _neighbours(links, 1), _neighbours(links, 0)
    layers: list[list[Item]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for item in dict.fromkeys((*sizes, *chain(*links))):
        layers[ranks[item] if isinstance(item, str) else item[1]].append(item)
    broad = {item: sizes[item][not down] if isinstance(item, str) else LANE for layer in layers for item in layer}
    across = _placed(layers, before, after, broad)
    leaves, meets = _ports(after, 0, across, broad), _ports(before, 1, across, broad)
    thick = {name: size[down] for name, size in sizes.items()}
    deep = [max((thick[item] for item in layer if isinstance(item, str)), default=0.0) for layer in layers]
    starts = [*accumulate((depth + BETWEEN for depth in deep), initial=0.0)]
    place = {name: starts[ranks[name]] + (deep[ranks[name]] - thick[name]) / 2 for name in sizes}

    def turned(along: float, aside: float) -> Point:
        return (aside, along) if down else (along, aside)

    def drawn(a: str, b: str) -> Iterator[Point]:
        passed = [*enumerate(pairwise(paths[a, b]), ranks[a])]
        yield turned(place[a] + thick[a], leaves[passed[0][1]])
        for layer, link in passed:
            yield turned(starts[layer] + deep[layer], leaves[link])
            yield turned(starts[layer + 1], meets[link])
        yield turned(place[b], meets[passed[-1][1]])

    boxes = {name: Box(*turned(place[name], across[name] - broad[name] / 2), *sizes[name]) for name in sizes}
    total = max((across[item] + broad[item] / 2 for item in across), default=0.0)
    whole = turned(max(starts[-1] - BETWEEN, 0.0), total)
    return Layout(boxes, {edge: tuple(drawn(*edge)) for edge in paths}, *whole)


def _neighbours(links: Sequence[tuple[T, T]], end: int) -> Mapping[T, Sequence[T]]:
    """Of each item that links end in (`end` 1) or start from (0), what they lead from, or to; of others, nothing."""
    found: dict[T, list[T]] = defaultdict(list)
    for link in links:
        found[link[end]].append(link[1 - end])
    return found


def _ranks(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Every name one layer behind the last that leads to it; what nothing leads to, just before its first reader."""
    ranks: dict[str, int] = {}
    sources, readers = _neighbours(edges, 1), _neighbours(edges, 0)
    for name in names:
        ranks[name] = max((ranks[source] + 1 for source in sources[name]), default=0)
    for name in names:
        if not sources[name] and readers[name]:
            ranks[name] = min(ranks[reader] for reader in readers[name]) - 1
    return ranks


def _placed(
    layers: Sequence[list[Item]], before: Near, after: Near, broad: Mapping[Item, float]
) -> Mapping[Item, float]:
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
            weights = [1.0 + len(both[item]) if isinstance(item, str) else 4.0 for item in layer]
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


def _ports(near: Near, end: int, across: Mapping[Item, float], broad: Mapping[Item, float]) -> dict[Link, float]:
    """Where each link leaves its start (`end` 0) or meets its end (1): spread over the side of a box, amid a lane."""
    ports: dict[Link, float] = {}
    for item, others in near.items():
        for count, other in enumerate(sorted(others, key=lambda other: across[other]), start=1):
            spread = broad[item] * (count / (len(others) + 1) - 0.5) if isinstance(item, str) else 0.0
            ports[(other, item) if end else (item, other)] = across[item] + spread
    return ports
