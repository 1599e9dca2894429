"""Perturbed copies of one array, as many at a time as a cache holds, and what they make of the end of its graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mathlab.language.equation import Equation
from mathlab.witnesses.arrays import Floats, Numbers
from mathlab.witnesses.graph import Graph
from mathlab.witnesses.stack import Positions, Stack, spread
from mathlab.witnesses.stacked import NotStacked, Stacker

CACHED = 2_000_000  # bytes of the largest array on the way: some of them fit a processor's cache;
FIRST = 2  # times that for the first copies, which seldom move as much as they might
# The C library hands freed memory back to the system until it has seen a block as large as this one freed; fetching it
# again page by page takes longer than what is computed in it.
BLOCK = 30_000_000


def ends(stacker: Stacker, graph: Graph, entries: Positions, points: Numbers) -> Floats | None:
    """The end of the graph, weighted by its gradient, with each of `entries` in turn at each of its points.

    `entries`, of shape (N,), count those of `graph.wrt` in C order; `points` has shape (P, N), and so has the result.
    Of a complex end it is the imaginary part. None where some op has no rule for stacks.
    """
    np.empty(BLOCK, np.uint8)
    found = np.empty(points.shape, np.float64)
    try:
        for part, stack in stacks(stacker, graph.wrt, entries, points, graph.moving):
            end = stacker.run(graph.moving, {graph.wrt: stack})[graph.end]
            value = spread(end).new if isinstance(end, Stack) else end[..., None]
            shown = value.imag if np.iscomplexobj(points) else value.real
            with np.errstate(all="ignore"):
                weighted = np.sum(graph.seed[..., None] * shown, axis=tuple(range(graph.seed.ndim)))
            found[:, part] = np.reshape(np.broadcast_to(weighted, stack.new.shape), (len(points), -1))
    except NotStacked:
        return None
    return found


def stacks(
    stacker: Stacker, wrt: str, entries: Positions, points: Numbers, moving: Sequence[Equation]
) -> Iterator[tuple[slice, Stack]]:
    """The copies of `wrt`, as many at a time as a cache holds, and which of `entries` they are.

    `entries` and `points` are those of `ends`; the copies of each point follow upon another. The first ones are as many
    as there is room for if each of them moves all that the equations `moving` have. They show how large the arrays on
    the way really are, for that depends on how long one position is all that moves.
    """
    base, rows = stacker.values[wrt], len(points)
    largest = max((np.size(stacker.values[equation.name]) for equation in moving), default=1)
    done, room = 0, FIRST * CACHED
    while done < len(entries):
        part = slice(done, done + max(1, room // (points.itemsize * max(1, largest) * rows)))
        place = np.unravel_index(entries[part], base.shape) if base.ndim else ()
        at = {axis: np.concatenate([positions] * rows) for axis, positions in enumerate(place)}
        yield part, Stack(base, points[:, part].ravel(), at)
        done, room, largest = part.stop, CACHED, max(stacker.moved.values(), default=1)
