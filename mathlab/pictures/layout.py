"""A layered drawing of a directed graph: where its boxes stand and how its edges run, the same every time.

After Sugiyama, Tagawa & Toda 1981: every node gets a layer behind all that it reads; an edge over several layers gets a
lane in each; sweeps over the layers move each item to the middle of its neighbours, at first past those beside it. What
reads nothing stands by turns at either end of its layer, or a long graph would lean to one side.
Edges run straight across layers and bend only between them, where no box stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, cycle, pairwise
from statistics import fmean
from typing import NamedTuple, TypeVar

GAP = 22.0  # between what stands side by side
BETWEEN = 44.0  # between layers
LANE = 6.0  # the room of an edge, forward and backward, that passes a layer
SWEEPS = 16  # of which the first quarter puts layers in order
K = TypeVar("K")
V = TypeVar("V")
Item = tuple[str, int]  # a box in its layer; or the lane, in a later one, of the edges that leave the box
Near = Mapping[Item, Sequence[Item]]
Span = Mapping[Item, float]  # where an item stands across the layers, or how much room it takes there
Point = tuple[float, float]


class Layout(NamedTuple):
    """Boxes by name, and edges as points: straight from each even one to the next, bent from each odd one."""

    boxes: Mapping[str, Point]  # their corners, the first of their layers and the least aside
    edges: Mapping[tuple[str, str], Sequence[Point]]
    size: Point


def layered(sizes: Mapping[str, Point], edges: Sequence[tuple[str, str]]) -> Layout:
    """The layout of boxes of these sizes, along and across, whose names stand in an order in which no edge leads back.

    Layers follow one another to the right: what runs down is turned before and after.
    """
    ranks = ranked([*sizes], edges)
    paths = {(a, b): [*((a, layer) for layer in range(ranks[a], ranks[b])), (b, ranks[b])] for a, b in edges}
    links = [*dict.fromkeys(chain(*map(pairwise, paths.values())))]
    before, after = grouped((b, a) for a, b in links), grouped(links)
    rooms = dict.fromkeys(chain(*links), LANE) | {item: sizes[item[0]][1] for item in ranks.items()}
    layers: list[list[Item]] = [[] for _ in {*ranks.values()}]
    items, at_end = dict.fromkeys((*ranks.items(), *rooms)), cycle((True, False))
    for item in sorted(items, key=lambda item: not before[item]):
        layer = layers[item[1]]
        behind = bool(before[item]) or next(at_end)
        layer.insert(len(layer) if behind else 0, item)
    across = _placed(layers, before, after, rooms)
    leaves, meets = _ports(after, ranks, across, rooms), _ports(before, ranks, across, rooms)
    deep = [max(sizes[name][0] for name, rank in layer if ranks[name] == rank) for layer in layers]
    starts = [*accumulate((depth + BETWEEN for depth in deep), initial=0.0)]
    place = {name: starts[rank] + (deep[rank] - sizes[name][0]) / 2 for name, rank in ranks.items()}
    ways = {}
    for (a, b), path in paths.items():
        run = [(place[a] + sizes[a][0], leaves[path[0], path[1]])]
        for start, end in pairwise(path):
            run += [(starts[end[1]] - BETWEEN, leaves[start, end]), (starts[end[1]], meets[end, start])]
        ways[a, b] = [*run, (place[b], meets[path[-1], path[-2]])]
    boxes = {name: (place[name], across[name, ranks[name]] - broad / 2) for name, (_, broad) in sizes.items()}
    breadth = max((across[item] + rooms[item] / 2 for item in rooms), default=0.0)
    return Layout(boxes, ways, (max(starts[-1] - BETWEEN, 0.0), breadth))


def grouped(pairs: Iterable[tuple[K, V]]) -> Mapping[K, Sequence[V]]:
    """By the first of each pair all that come second to it; nothing by anything else."""
    found: dict[K, list[V]] = defaultdict(list)
    for first, second in pairs:
        found[first].append(second)
    return found


def ranked(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """The layer of every name, counted from 0: just before its first reader; what nothing reads is in the last."""
    readers, ahead = grouped(edges), dict[str, int]()  # layers ahead of the last
    for name in reversed(names):
        ahead[name] = max((ahead[reader] + 1 for reader in readers[name]), default=0)
    return {name: max(ahead.values()) - ahead[name] for name in names}


def _placed(layers: Sequence[list[Item]], before: Near, after: Near, rooms: Span) -> Span:
    """The middle of every item: near its neighbours', and clear of those beside it in its layer.

    The sweeps that put layers in order look at the layer that they come from alone.
    """
    middle, both = dict.fromkeys(rooms, 0.0), {item: [*before[item], *after[item]] for item in rooms}
    for sweep in range(SWEEPS):
        ordering = sweep < SWEEPS // 4
        near = (before, after)[sweep % 2] if ordering else both
        for layer in layers[:: -1 if sweep % 2 else 1]:
            wish = {item: fmean([middle[other] for other in near[item]] or [middle[item]]) for item in layer}
            if ordering:
                layer.sort(key=lambda item: round(wish[item]))  # where two wish for one place, the rounding has no say
            places = _apart([wish[item] for item in layer], [rooms[item] + GAP for item in layer])
            middle.update(zip(layer, places, strict=True))
    least = min((middle[item] - rooms[item] / 2 for item in middle), default=0.0)
    return {item: at - least for item, at in middle.items()}


def _apart(wished: Sequence[float], rooms: Sequence[float]) -> Sequence[float]:
    """Places clear of each other, in order, with the least sum of squares of the distances to those wished.

    That is isotonic regression: those that would pass each other stand side by side, where they wish to be on average.
    """
    offsets = [*accumulate((before + here) / 2 for before, here in pairwise([0.0, *rooms]))]
    groups = list[tuple[float, int]]()  # the sum of what is wished, and of how many
    for wish, offset in zip(wished, offsets, strict=True):
        total, count = wish - offset, 1
        while groups and groups[-1][0] / groups[-1][1] > total / count:
            others, many = groups.pop()
            total, count = total + others, count + many
        groups.append((total, count))
    free = chain.from_iterable([total / count] * count for total, count in groups)
    return [place + offset for place, offset in zip(free, offsets, strict=True)]


def _ports(near: Near, ranks: Mapping[str, int], across: Span, rooms: Span) -> Mapping[tuple[Item, Item], float]:
    """Where each link touches its first item: spread over the side of a box, amid a lane."""
    ports = {}
    for item, others in near.items():
        room = rooms[item] if ranks[item[0]] == item[1] else 0.0
        for count, other in enumerate(sorted(others, key=across.__getitem__), start=1):
            ports[item, other] = across[item] + room * (count / (len(others) + 1) - 0.5)
    return ports
