"""A layered drawing of a directed graph: where its boxes stand and how its edges run, the same every time.

After Sugiyama, Tagawa & Toda 1981, in steps: every node gets a layer behind all that it reads, and an edge over several
layers a lane in each; each layer is put in order; what stands in it moves until the edges are as straight as that order
lets them be; and edges are drawn, straight across layers and bent only between them, where no box stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, chain, cycle, pairwise
from statistics import fmean, median
from typing import NamedTuple, TypeVar

GAP = 22.0  # between what stands side by side
BETWEEN = 44.0  # between layers
LANE = 6.0  # the room of an edge, forward and backward, that passes a layer
SWEEPS = 4  # over all layers, there and back by turns: to put them in order, and again to straighten the edges
K = TypeVar("K")
V = TypeVar("V")
Item = tuple[str, int]  # a box in its layer; or the lane, in a later one, of the edges that leave the box
Near = Mapping[Item, Sequence[Item]]  # the items that an item is linked to, in the layer before it or in that after it
Span = Mapping[Item, float]  # where an item stands across the layers, or how much room it takes there
Ports = Mapping[tuple[Item, Item], float]  # how far from the middle of the first the link to the second touches it
Wished = Mapping[Item, Sequence[float]]  # where it would be across the layers, of all that it is linked to
Layers = Sequence[list[Item]]  # from one side to the other
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
    sides = grouped((b, a) for a, b in links), grouped(links)
    broad = {item: sizes[item[0]][1] for item in ranks.items()}
    rooms = {item: broad.get(item, LANE) for item in dict.fromkeys((*broad, *chain(*links)))}
    layers = _ordered(sides, rooms)
    ports = _ports(layers, sides, broad)
    middle = _straightened(layers, sides, rooms, ports)
    deep = [max(sizes[name][0] for name, rank in layer if ranks[name] == rank) for layer in layers]
    starts = [*accumulate((depth + BETWEEN for depth in deep), initial=0.0)]
    place = {name: starts[rank] + (deep[rank] - sizes[name][0]) / 2 for name, rank in ranks.items()}
    ways = {}
    for (a, b), path in paths.items():
        bends = list[Point]()
        for start, end in pairwise(path):
            bends.append((starts[end[1]] - BETWEEN, middle[start] + ports[start, end]))
            bends.append((starts[end[1]], middle[end] + ports[end, start]))
        ways[a, b] = [(place[a] + sizes[a][0], bends[0][1]), *bends, (place[b], bends[-1][1])]
    boxes = {name: (place[name], middle[name, rank] - sizes[name][1] / 2) for name, rank in ranks.items()}
    return Layout(boxes, ways, (starts[-1] - BETWEEN, max(middle[item] + room / 2 for item, room in rooms.items())))


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


def _ordered(sides: Sequence[Near], rooms: Span) -> Layers:
    """The layers, in each of which items stand as those do, on average, that they are linked to in the next one.

    What reads nothing begins by turns at either end of its layer, or a long graph would lean to one side.
    """
    layers, at_end = [list[Item]() for _ in {layer for _, layer in rooms}], cycle((True, False))
    for item in sorted(rooms, key=lambda item: not sides[0][item]):
        behind = bool(sides[0][item]) or next(at_end)
        layers[item[1]].insert(len(rooms) if behind else 0, item)
    middle = dict.fromkeys(rooms, 0.0)
    for layer, near in _swept(layers, sides):
        wish = {item: fmean([middle[other] for other in near[item]] or [middle[item]]) for item in layer}
        layer.sort(key=lambda item: round(wish[item]))  # where two wish for one place, the last digits have no say
        middle |= _apart(layer, {item: [wish[item]] for item in layer}, rooms, fmean)
    return layers


def _straightened(layers: Layers, sides: Sequence[Near], rooms: Span, ports: Ports) -> Span:
    """The middle of every item, clear of those beside it, where its links lean least to the side.

    Those to the layer that a sweep comes from count twice: a lane goes straight on until it meets something.
    """
    middle = dict.fromkeys(rooms, 0.0)
    for layer, near in _swept(layers, sides):
        wished = {}
        for item in layer:
            links = [*sides[0][item], *sides[1][item], *near[item]]
            wished[item] = [middle[other] + ports[other, item] - ports[item, other] for other in links] or [0.0]
        middle |= _apart(layer, wished, rooms, median)
    least = min(middle[item] - room / 2 for item, room in rooms.items())
    return {item: at - least for item, at in middle.items()}


def _swept(layers: Layers, sides: Sequence[Near]) -> Sequence[tuple[list[Item], Near]]:
    """Every layer of every sweep, and what its items are linked to in the layer that the sweep comes from."""
    ways = zip((layers, layers[::-1]), sides, strict=True)
    return SWEEPS // 2 * [(layer, near) for way, near in ways for layer in way]


def _apart(layer: Sequence[Item], wished: Wished, rooms: Span, average: Callable[[list[float]], float]) -> Span:
    """Places clear of each other, in order, each as near as can be to all that are wished for it.

    That is isotonic regression, least in the sum of squares with the mean as average, and of distances with the median:
    those that would pass each other stand side by side, where they wish to be on average.
    """
    offsets = accumulate((rooms[before] + rooms[here]) / 2 + GAP for before, here in pairwise(layer))
    offset = dict(zip(layer, (0.0, *offsets), strict=True))
    groups = list[tuple[list[Item], list[float]]]()  # those side by side, and where each wishes the first of them to be
    for item in layer:
        group, free = [item], [place - offset[item] for place in wished[item]]
        while groups and average(groups[-1][1]) > average(free):
            others, more = groups.pop()
            group, free = others + group, more + free
        groups.append((group, free))
    return {item: average(free) + offset[item] for group, free in groups for item in group}


def _ports(layers: Layers, sides: Sequence[Near], broad: Span) -> Ports:
    """Spread over the side of a box, in the order of what they lead to, and amid a lane."""
    place, ports = {item: at for layer in layers for at, item in enumerate(layer)}, {}
    for item, others in chain(*(near.items() for near in sides)):
        for count, other in enumerate(sorted(others, key=place.__getitem__), start=1):
            ports[item, other] = broad.get(item, 0.0) * (count / (len(others) + 1) - 0.5)
    return ports
