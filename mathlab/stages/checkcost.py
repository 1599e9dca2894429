"""What a gradient check takes: told from what one moved entry moves, for that decides it, and not how much there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from mathlab.language.cost import ENTRY, PRODUCT, SERIES, Cost, is_series
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, names
from mathlab.stages.prepare import Prepared
from mathlab.witnesses.arrays import numbers
from mathlab.witnesses.central import Differences
from mathlab.witnesses.graph import Graph
from mathlab.witnesses.stack import Operand, Stack
from mathlab.witnesses.stacked import NotStacked, Stacker

START = 5e-3  # seconds, whatever is checked,
RERUNS = 40  # runs of the program; the 17 that show what rounding does also draw random numbers,
PASSED = 1.2e-4  # seconds for each equation behind a parameter,
CHECKED = 1e-6  # for the verdict on an entry,
WRITTEN = 1e-5  # for the record of it, and its line in a file,
FOLLOWED = 6e-8  # for each number that an entry moves in what reads it,
COMPUTED = 8e-9  # for an entry of a function,
ALONE = 12  # and so many forward passes for an entry that cannot be stacked
OF_NODE, OF_PARAMETER, AT_KINK = 4, 6, 20  # copies of an entry that are run, a complex one taken for two

Ran = tuple[Equation, Operand, tuple[tuple[Call, int], ...]]


def least(prepared: Prepared, entries: int) -> Cost:
    """What a check of so many entries takes whatever they move, and before any of them is moved."""
    seconds = START + RERUNS * prepared.cost.seconds + entries * (CHECKED + WRITTEN)
    return replace(prepared.cost, seconds=seconds)


def of(prepared: Prepared, names: Sequence[str], differences: Differences, smooth: bool) -> Cost:
    """The cost of checking `names`, parameters or inputs.

    `smooth` says that no node has a kink at the point, so that complex steps can be superposed.
    """
    graphs = [differences.graph.seen_from(name) for name in names]
    entries = sum(graph.start.size for graph in graphs)
    try:
        seconds = _stacked(graphs, differences, smooth)
    except NotStacked:
        seconds = entries * (ALONE * prepared.cost.seconds + 1e-4)
    cost = least(prepared, entries)
    return replace(cost, seconds=cost.seconds + seconds)


def _stacked(graphs: Sequence[Graph], differences: Differences, smooth: bool) -> float:
    """The seconds of the witnesses, where all copies of an entry are run together."""
    seconds, known = 0.0, set[str]()
    through: dict[str, float] = {}  # the seconds of a copy in each equation, when an entry of a parameter moves,
    behind: dict[str, float] = {}  # and when one of a node does, which may move one sample alone
    for graph in graphs:
        seconds += PASSED * len(graph.moving)
        size, readers = graph.start.size, differences.followed(graph, known)
        if readers is None or not smooth:
            copies = OF_PARAMETER if smooth else AT_KINK
            seconds += copies * size * _of_copy(graph, differences, through)
        if readers is None:
            continue
        read = (result for _, result, _ in _run(graph, graph.readers, differences))
        seconds += FOLLOWED * size * sum(result.new.size for result in read if isinstance(result, Stack))
        for name in readers:
            seen = graph.seen_from(name)
            seconds += OF_NODE * seen.start.size * _of_copy(seen, differences, behind)
        known.update(readers)
    return seconds


def _of_copy(graph: Graph, differences: Differences, known: dict[str, float]) -> float:
    """The seconds of one copy of `graph.wrt`, from those in each equation; a copy is run only for what is not known."""
    if any(equation.name not in known for equation in graph.moving):
        for equation, _, moved in _run(graph, graph.moving, differences):
            known.setdefault(equation.name, sum(_seconds(call, made, graph) for call, made in moved))
    return sum(known[equation.name] for equation in graph.moving)


def _run(graph: Graph, equations: Sequence[Equation], differences: Differences) -> Iterator[Ran]:
    """One copy of the entry in the middle of `graph.wrt`: what equations make of it, and how many entries each op."""
    start, middle = graph.start, graph.start.size // 2
    place = np.unravel_index([middle], start.shape) if start.ndim else ()
    env: dict[str, Operand] = {
        graph.wrt: Stack(numbers(start), numbers(start.ravel()[[middle]]), dict(enumerate(place)))
    }
    stacker = Stacker(differences.definitions, graph.values)
    with np.errstate(all="ignore"):
        for equation in equations:
            before = len(stacker.moved)
            env[equation.name] = stacker.evaluate(equation.expr, env)
            yield equation, env[equation.name], tuple(islice(stacker.moved.items(), before, None))


def _seconds(call: Call, made: int, graph: Graph) -> float:
    """The seconds of an op that makes so many entries of a copy."""
    if call.op in ("matmul", "dot"):
        inner = max((np.shape(graph.values[name])[-1:] for name in names(call.args[0])), default=())
        return made * (ENTRY + PRODUCT * math.prod(inner))
    return made * (SERIES if is_series(call) else COMPUTED)
