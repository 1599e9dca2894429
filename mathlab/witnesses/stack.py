"""Many perturbed copies of one array at once, and what NumPy does with them.

A copy that differs from the others in one entry still differs in one column after a matrix product, and in one row of a
batch right up to its loss. So a stack keeps the array that all copies share, and for each copy only what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from mathlab.witnesses.arrays import Numbers
from mathlab.witnesses.arrays import product as multiplied

Positions = NDArray[np.intp]
Place = tuple[EllipsisType | Positions, ...]
Function = Callable[..., Numbers]


@dataclass(frozen=True, slots=True)
class Stack:
    """K copies of `base`, an array of any shape.

    Along each axis in `at` (counted from 0) a copy differs from `base` at one position only: `at[axis]` of shape (K,)
    holds it. `new` has what stands there: the axes of `base` without those in `at`, in order, then the K copies. The
    copies come last so that they lie side by side in memory, and arrays of fewer axes still broadcast from the right.
    """

    base: Numbers
    new: Numbers
    at: dict[int, Positions]

    @property
    def ndim(self) -> int:
        return self.base.ndim

    def old(self) -> Numbers:
        """What `base` has where the copies have `new`."""
        return taken(self.base, self.at)


Operand = Numbers | Stack


def taken(array: Numbers, at: dict[int, Positions]) -> Numbers:
    """`array` at one position along some axes: their axes go, and one of the K positions (or of 1) comes last.

    An axis of length 1 has only one position to take.
    """
    several = [axis for axis in sorted(at) if array.shape[axis] != 1]
    if not several:
        return array.squeeze(tuple(at))[..., None]
    rest = [axis for axis in range(array.ndim) if axis not in several]
    last = array.transpose([*rest, *several])
    if len(several) == 1:
        picked: Numbers = last.take(at[several[0]], axis=-1)
    else:
        place: Place = (..., *(at[axis] for axis in several))
        picked = np.ascontiguousarray(last[place])
    # of the axes that stay, those of length 1 are dropped only now, counted as they stand in `last`
    return picked.squeeze(tuple(rest.index(axis) for axis in at if axis in rest))


def spread(stack: Stack, keep: Sequence[int] = ()) -> Stack:
    """The same copies, with one position alone only along the axes `keep`: along the others they are written out."""
    out = [axis for axis in stack.at if axis not in keep]
    if not out:
        return stack
    kept = {axis: stack.at[axis] for axis in stack.at if axis in keep}
    rest = [axis for axis in range(stack.ndim) if axis not in kept]
    copies = stack.new.shape[-1]
    shape = (*(stack.base.shape[axis] for axis in rest), copies)
    new = np.empty(shape, stack.new.dtype)
    new[...] = taken(stack.base, kept)
    # the written axes first: NumPy puts the axis of the positions in front of those that are sliced
    written = [rest.index(axis) for axis in out]
    view = new.transpose([*written, *(axis for axis in range(new.ndim) if axis not in written)])
    place: Place = (*(stack.at[axis] for axis in out), ..., np.arange(copies))
    view[place] = stack.new.transpose([stack.new.ndim - 1, *range(stack.new.ndim - 1)])
    return Stack(stack.base, new, kept)


def plain(operand: Operand) -> Numbers:
    """What an operand is where nothing moves."""
    return operand.base if isinstance(operand, Stack) else operand


def elementwise(function: Function, operands: Sequence[Operand], base: Numbers | None = None) -> Stack:
    """A function of entries, whose arguments broadcast; some are stacks. `base` is that of the result, if known."""
    base = np.asarray(function(*map(plain, operands))) if base is None else base
    stacks = [operand for operand in operands if isinstance(operand, Stack)]
    at = _shared([_broadcast(stack, base.ndim, base.shape) for stack in stacks])
    arguments: list[Numbers] = []
    for operand in operands:
        lead = base.ndim - np.ndim(plain(operand))
        own = {axis - lead: positions for axis, positions in at.items() if axis >= lead}
        arguments.append(spread(operand, tuple(own)).new if isinstance(operand, Stack) else _argument(operand, own))
    return Stack(base, np.asarray(function(*arguments)), at)


def _argument(operand: Numbers, at: dict[int, Positions]) -> Numbers:
    """What stands beside the stacks: a number as it is, for NumPy is quick with those."""
    return taken(operand, at) if np.ndim(operand) else operand


def _broadcast(stack: Stack, ndim: int, shape: Sequence[int]) -> dict[int, Positions]:
    """The positions along the axes of a result; an axis of 1 that is broadcast moves everywhere."""
    lead = ndim - stack.ndim
    return {axis + lead: at for axis, at in stack.at.items() if stack.base.shape[axis] == shape[axis + lead]}


def _shared(positions: Sequence[dict[int, Positions]]) -> dict[int, Positions]:
    """The axes along which all stacks move at the same position alone."""
    first, *others = positions
    return {axis: at for axis, at in first.items() if all(other.get(axis) is at for other in others)}


def along(function: Callable[[Numbers, tuple[int, ...]], Numbers], stack: Stack, axes: Sequence[int]) -> Stack:
    """A function that works along `axes` (and keeps them), applied to every copy."""
    stack = spread(stack, [axis for axis in stack.at if axis not in axes])
    rest = [axis for axis in range(stack.ndim) if axis not in stack.at]
    new = function(stack.new, tuple(rest.index(axis) for axis in axes))
    return Stack(function(stack.base, tuple(axes)), new, stack.at)


def total(stack: Stack, axes: Sequence[int]) -> Stack:
    """The sum over `axes`, which are kept with length 1; where one position alone moves, by its difference alone."""
    base = np.sum(stack.base, axis=tuple(axes), keepdims=True)
    summed = [axis for axis in stack.at if axis in axes]
    kept = {axis: at for axis, at in stack.at.items() if axis not in axes}
    rest = [axis for axis in range(stack.ndim) if axis not in stack.at]
    inner = tuple(rest.index(axis) for axis in axes if axis in rest)
    if not summed:
        return Stack(base, np.sum(stack.new, axis=inner, keepdims=True), kept)
    moved = np.sum(stack.new - stack.old(), axis=inner, keepdims=True)
    back = [axis for axis in range(stack.ndim) if axis not in kept]
    moved = np.expand_dims(moved, tuple(back.index(axis) for axis in summed))
    return Stack(base, taken(base, kept) + moved, kept)


def permuted(stack: Stack, order: Sequence[int]) -> Stack:
    """The axes in another order, as a transpose has them."""
    rest = [axis for axis in range(stack.ndim) if axis not in stack.at]
    new = np.transpose(stack.new, [*(rest.index(axis) for axis in order if axis in rest), len(rest)])
    at = {place: stack.at[axis] for place, axis in enumerate(order) if axis in stack.at}
    return Stack(np.transpose(stack.base, order), new, at)


def squeezed(stack: Stack, axes: Sequence[int]) -> Stack:
    """Without `axes` of length 1."""
    stack = spread(stack, [axis for axis in stack.at if axis not in axes])
    rest = [axis for axis in range(stack.ndim) if axis not in stack.at]
    left = [axis for axis in range(stack.ndim) if axis not in axes]
    at = {left.index(axis): positions for axis, positions in stack.at.items()}
    return Stack(np.squeeze(stack.base, tuple(axes)), np.squeeze(stack.new, tuple(map(rest.index, axes))), at)


def rearranged(arrange: Callable[[Numbers], Numbers], stack: Stack) -> Stack:
    """A function that only moves entries about, and lets a further last axis be."""
    return Stack(np.asarray(arrange(stack.base)), arrange(spread(stack).new), {})


def joined(join: Callable[[Sequence[Numbers]], Numbers], operands: Sequence[Operand]) -> Stack:
    """A function that makes one array of several; some of them are stacks."""
    copies = next(operand.new.shape[-1] for operand in operands if isinstance(operand, Stack))
    parts = [
        spread(operand).new
        if isinstance(operand, Stack)
        else np.broadcast_to(operand[..., None], (*operand.shape, copies))
        for operand in operands
    ]
    return Stack(join([plain(operand) for operand in operands]), join(parts), {})


def _transposed(array: Numbers) -> Numbers:
    return np.swapaxes(array, -1, -2) if array.ndim > 1 else array


def _swapped(stack: Stack) -> Stack:
    if stack.ndim < 2:
        return stack
    return permuted(stack, [*range(stack.ndim - 2), stack.ndim - 1, stack.ndim - 2])


def product(a: Operand, b: Operand, base: Numbers | None = None) -> Stack:
    """The matrix product `a @ b`, of which at least one is a stack. `base` is that of the result, if known."""
    base = np.asarray(multiplied(plain(a), plain(b))) if base is None else base
    if isinstance(a, Stack) and isinstance(b, Stack):
        return _product_of_stacks(a, b, base)
    if isinstance(a, Stack):
        return _product(a, plain(b), base)
    assert isinstance(b, Stack)
    # a @ b = (b.T @ a.T).T, where a vector is its own transpose
    if min(a.ndim, b.ndim) < 2:
        return _product(_swapped(b), _transposed(a), base)
    return _swapped(_product(_swapped(b), _transposed(a), _transposed(base)))


def _product(a: Stack, b: Numbers, base: Numbers) -> Stack:
    """`a @ b`; where a copy of `a` has one new column, the product moves by that column's difference alone."""
    if b.ndim > 2:
        a = spread(a)
        matrices = _transposed(b)
        return Stack(base, multiplied(matrices if a.ndim == 1 else matrices[..., None, :, :], a.new), {})
    last = a.ndim - 1
    if last not in a.at:
        return Stack(base, multiplied(b.T, a.new), a.at)
    kept = {axis: at for axis, at in a.at.items() if axis != last}
    moved = a.new - a.old()
    rows = np.take(b.T, a.at[last], axis=-1)
    moved = moved * rows if b.ndim == 1 else moved[..., None, :] * rows
    moved += taken(base, kept)
    return Stack(base, moved, kept)


def _product_of_stacks(a: Stack, b: Stack, base: Numbers) -> Stack:
    left, right = (np.moveaxis(spread(stack).new, -1, 0) for stack in (a, b))
    left = left[:, None, :] if a.ndim == 1 else left
    right = right[:, :, None] if b.ndim == 1 else right
    # between the copies and the matrices, the stacks of matrices broadcast from the right
    ndim = max(left.ndim, right.ndim)
    left, right = (np.expand_dims(x, tuple(range(1, 1 + ndim - x.ndim))) for x in (left, right))
    new = multiplied(left, right)
    gone = tuple(axis for axis, stack in ((-2, a), (-1, b)) if stack.ndim == 1)
    return Stack(base, np.moveaxis(np.squeeze(new, gone), 0, -1), {})
