"""A sum of gradients of parts, told as the whole that they make up: `dz = concat(di, df, do, dg)`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mathlab.language.check import Types
from mathlab.language.syntax import ALL, Call, Expr, Num, Slice


def joined(parts: Sequence[Expr], types: Types) -> list[Expr]:
    """The terms of a sum; those that are put each into its own place along an axis are one where they fill it."""
    places: dict[tuple[str, int, int], dict[tuple[int, int], Expr]] = defaultdict(dict)
    for part in parts:
        match part:
            case Call("scatter", (_, base, *items)):
                sizes = types.of(base).shape
                match [(axis, item) for axis, item in enumerate(items) if item != ALL]:
                    case [(axis, Num(int(at)))]:
                        places["stack", axis, sizes[axis]].setdefault((at % sizes[axis], at % sizes[axis] + 1), part)
                    case [(axis, Slice(_, _, None) as item)]:
                        start, stop, _ = item.whole.indices(sizes[axis])
                        places["concat", axis, sizes[axis]].setdefault((start, stop), part)
    whole: list[Expr] = []
    for (op, axis, size), filled in places.items():
        order = sorted(filled)
        if len(order) > 1 and [start for start, _ in order] + [size] == [0, *(stop for _, stop in order)]:
            blocks = [filled[place] for place in order]
            parts = [part for part in parts if not any(part is block for block in blocks)]
            inside = tuple(block.args[0] for block in blocks if isinstance(block, Call))
            whole.append(Call(op, inside, (("axis", axis),) if axis else ()))
    return [*whole, *parts]
