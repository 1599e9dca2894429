"""The central difference: the end of the graph with an entry moved up, less the end with it moved down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language.syntax import Expr
from mathlab.witnesses.arrays import Floats, Numbers, numbers
from mathlab.witnesses.copies import ends, stacks
from mathlab.witnesses.graph import Graph
from mathlab.witnesses.stack import Function, Positions, Stack, taken
from mathlab.witnesses.stacked import NotStacked, Stacker

FEW = 8  # entries; more of them are worth the trouble of stacking copies,
MANY = 256  # and more of these that of following what they move
KEPT = 1_000_000  # numbers that say how far something is moved are kept; more of them are computed a second time
GROWTH = 4  # times as many entries in what reads an array as in the array are worth it
REACH = 2  # how far a curve is measured, times how far a parameter moves the node, or a bias would: by its whole step;
MOST = 10  # but not further than so many times what is asked for
BENT = 1e-3, 1e-7  # relative: what is left over of a curve's odd and even part, where it has a kink or turns sharply
ROUNDED = 64 * float(np.finfo(np.float64).eps)  # relative: how far rounding may move the end


def central_difference(
    evaluate: Callable[[Mapping[str, Array]], float],
    env: Mapping[str, Array],
    wrt: str,
    step: float | None = None,
    together: Callable[[Floats], Floats | None] | None = None,
    resolved: bool = True,
) -> tuple[Floats, Floats]:
    """The central difference for every entry x of `wrt`, and its resolution, both in the shape of `wrt`.

    `evaluate` is the forward pass alone, from `env` to the scalar end f; without `step` h is cbrt(eps) * max(1, |x|).
    The resolution is eps * |f| / h for rounding plus |D(h) - D(2h)| / 3 for truncation (D's error grows as h**2).
    It takes twice the time, and is infinite where it is not wanted, `resolved`. `together`, where there are more than
    FEW entries, is given the points x + h, x - h (and x + 2h, x - 2h) of each, of shape (2 or 4, entries in C order),
    and returns the differences of the ends between each two, of shape (1 or 2, entries); or None, if it cannot.
    Raises MathlabError when `wrt` holds no floats.
    """
    start = np.asarray(env[wrt])
    if not np.issubdtype(start.dtype, np.floating):
        raise MathlabError(f"'{wrt}' holds whole numbers; a derivative needs floats")
    eps = float(np.finfo(start.dtype.name).eps)
    x = start.ravel().astype(np.float64)
    h = np.full(x.shape, step) if step else float(np.cbrt(eps)) * np.maximum(1.0, np.abs(x))
    # the points as they are taken, not as they were meant
    points = np.stack([x + k * h for k in ((1, -1, 2, -2) if resolved else (1, -1))])
    points = points.astype(start.dtype).astype(np.float64)

    def end(entry: int, value: float) -> float:
        moved = start.copy()
        moved.flat[entry] = value
        return evaluate({**env, wrt: moved})

    with np.errstate(all="ignore"):
        differences = together(points) if together and start.size > FEW else None
        if differences is None:
            found = np.array([[end(entry, value) for entry, value in enumerate(row)] for row in points])
            differences = found[::2] - found[1::2]
        widths = points[::2] - points[1::2]
        gradient, *twice = differences / widths
        resolution = np.full(x.shape, np.inf)
        for other in twice:
            resolution = 2 * eps * abs(evaluate(env)) / widths[0] + np.abs(gradient - other) / 3
    return gradient.reshape(start.shape), resolution.reshape(start.shape)


@dataclass(frozen=True)
class Curve:
    """How the end changes when one entry of a node moves by t: slope * t + cubic * t**3, and an even part.

    The arrays have the shape of the node. It holds for |t| up to `reach`, but not for the entries that are `bent`.
    """

    reach: float
    slope: Floats
    cubic: Floats
    bent: NDArray[np.bool_]


@dataclass(frozen=True)
class Move:
    """How far some `entries`, at each of their points in turn, move a `node`: `at` and `by` are those of a stack."""

    entries: slice
    node: str
    at: dict[int, Positions]
    by: Floats


@dataclass(frozen=True)
class Differences:
    """The ends of a graph for many moved entries: each of them run through it, or followed through what it moves.

    `definitions` are the ops, and `graph` has the values of all nodes by these. An entry of a weight moves the nodes
    that read it, by an amount that is computed entry by entry; the end's answer to that is the sum of its answers to
    each of these moves, which are measured once for each entry of the nodes, at 4 points. What that leaves out is of
    third order in the step: `evaluate`, as in `central_difference`, must find the same for the entry that moves the end
    most, up to rounding.
    """

    graph: Graph
    definitions: Mapping[str, Function]
    evaluate: Callable[[Mapping[str, Array]], float]
    curves: dict[str, Curve] = field(default_factory=dict)
    bases: dict[Expr, Numbers] = field(default_factory=dict)

    def of(self, wrt: str, points: Floats) -> Floats | None:
        """The differences that `central_difference` asks for; None where some op cannot be stacked."""
        graph = self.graph.seen_from(wrt)
        if not graph.connected:
            return np.zeros((len(points) // 2, points.shape[1]))
        entries = np.arange(graph.start.size)
        superposed = self._superposed(graph, points)
        return self._one_by_one(graph, entries, points) if superposed is None else superposed

    def followed(self, graph: Graph, known: Collection[str]) -> list[str] | None:
        """The nodes whose curves are to be measured, when those of `known` are; None where it is not worth while."""
        readers = [reader.name for reader in graph.readers]
        unknown = [name for name in readers if name not in known]
        size = sum(np.size(graph.values[name]) for name in unknown)
        few = bool(unknown) and graph.start.size <= MANY
        whole = any(not np.issubdtype(graph.values[name].dtype, np.floating) for name in unknown)
        in_vain = readers in ([], [graph.end])
        return None if few or whole or in_vain or size > GROWTH * graph.start.size else unknown

    def _one_by_one(self, graph: Graph, entries: Positions, points: Floats) -> Floats | None:
        found = ends(self._stacker(), graph, entries, numbers(points[:, entries]))
        return None if found is None else found[::2] - found[1::2]

    def _end(self, graph: Graph, entry: int, value: float) -> float:
        moved = graph.start.copy()
        moved.flat[entry] = value
        return self.evaluate({graph.wrt: moved})

    def _stacker(self) -> Stacker:
        return Stacker(self.definitions, self.graph.values, bases=self.bases)

    def _superposed(self, graph: Graph, points: Floats) -> Floats | None:
        if self.followed(graph, self.curves) is None:
            return None
        size = abs(float(np.sum(graph.seed * graph.values[graph.end].real)))
        try:
            longest = float(np.max(np.abs(points - graph.start.ravel())))
            reaches = {reader.name: 0.0 for reader in graph.readers}
            moves, size_of_moves = list[Move](), 0
            for move in self._moves(graph, points):
                reaches[move.node] = max(reaches[move.node], float(np.max(np.abs(move.by), initial=0.0)))
                size_of_moves += move.by.size
                if size_of_moves <= KEPT:
                    moves.append(move)
            for name, reach in reaches.items():
                if not np.isfinite(reach):
                    return None
                if name not in self.curves or self.curves[name].reach < reach:
                    further = REACH * min(max(reach, longest), MOST * reach)
                    self.curves[name] = self._measured(graph.seen_from(name), further, size)
            again = moves if size_of_moves <= KEPT else self._moves(graph, points)
            found, bent = self._followed(again, points.shape)
        except NotStacked:
            return None
        alone = np.flatnonzero(bent)
        exact = self._one_by_one(graph, alone, points)
        if exact is not None:
            found[:, alone] = exact
        largest = int(np.argmax(np.abs(found[0])))
        ahead, behind = (self._end(graph, largest, float(value)) for value in points[:2, largest])
        if not abs(found[0, largest] - (ahead - behind)) <= ROUNDED * size:
            return None
        return found

    def _followed(self, moves: Iterable[Move], shape: tuple[int, ...]) -> tuple[Floats, NDArray[np.bool_]]:
        """The differences between each two of the points, and which entries move anything whose curve does not hold."""
        found, bent = np.zeros(shape), np.zeros(shape[1], np.bool_)
        for move in moves:
            curve, by, copies = self.curves[move.node], move.by, (shape[0], -1)
            inner = tuple(range(by.ndim - 1))
            slope, cubic = (taken(numbers(array), move.at) for array in (curve.slope, curve.cubic))
            found[:, move.entries] += np.sum((slope + cubic * by**2) * by, axis=inner).reshape(copies)
            if curve.bent.any():
                touched = np.any((taken(numbers(curve.bent), move.at) != 0) & (by != 0), axis=inner)
                bent[move.entries] |= touched.reshape(copies).any(axis=0)
        return found[::2] - found[1::2], bent

    def _moves(self, graph: Graph, points: Floats) -> Iterator[Move]:
        """How far the nodes that read `graph.wrt` are moved when its entries are at `points`."""
        stacker = self._stacker()
        entries = np.arange(graph.start.size)
        with np.errstate(all="ignore"):
            for part, stack in stacks(stacker, graph.wrt, entries, numbers(points), graph.readers):
                for reader in graph.readers:
                    node = stacker.evaluate(reader.expr, {graph.wrt: stack})
                    if isinstance(node, Stack):
                        yield Move(part, reader.name, node.at, np.asarray(node.new - node.old(), np.float64))

    def _measured(self, graph: Graph, reach: float, size: float) -> Curve:
        """The curve of every entry of `graph.wrt`; `size` is that of the end."""
        start = graph.start
        if reach == 0 or graph.wrt == graph.end:
            slope = graph.seed if graph.wrt == graph.end else np.zeros(start.shape)
            return Curve(reach, slope, np.zeros(start.shape), np.zeros(start.shape, np.bool_))
        points = start.ravel() + reach * np.array([[1.0], [-1.0], [0.5], [-0.5]])
        found = ends(self._stacker(), graph, np.arange(start.size), numbers(points))
        if found is None:
            raise NotStacked
        end = float(np.sum(graph.seed * graph.values[graph.end].real))
        with np.errstate(all="ignore"):
            far, near = (found[::2] - found[1::2]) / (points[::2] - points[1::2])
            cubic = (far - near) / (0.75 * reach**2)
            even_far, even_near = found[::2] + found[1::2] - 2 * end
            total, noise = np.abs(far) * reach, ROUNDED * size
            bent = np.abs(far - near) * reach > BENT[0] * total + noise
            bent |= np.abs(even_far - 4 * even_near) > BENT[1] * total + noise
        slope = near - cubic * reach**2 / 4
        return Curve(reach, slope.reshape(start.shape), cubic.reshape(start.shape), bent.reshape(start.shape))
