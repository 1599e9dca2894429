"""How arrays lie in memory, told without having them.

NumPy lays a result out after its operands: which axis is the innermost depends on theirs, and with it the routines that
run on it later, and so its last bits. The rules are asked of NumPy itself, on miniatures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mathlab.experiment import Array
from mathlab.language import shapes
from mathlab.language.shapes import Shape, Type


@dataclass(frozen=True)
class Layout:
    """An array's shape and dtype, and the bytes from one entry to the next along each axis."""

    shape: Shape
    dtype: np.dtype[np.generic]
    strides: Shape

    @classmethod
    def of(cls, array: Array) -> Layout:
        return cls(array.shape, array.dtype, array.strides)

    @property
    def key(self) -> tuple[object, ...]:
        """What two arrays have in common that may take each other's place: a step that nobody takes does not count."""
        full = math.prod(self.shape) > 0
        steps = (step if full and length > 1 else 0 for length, step in zip(self.shape, self.strides, strict=True))
        return self.shape, self.dtype, *steps

    def zeros(self) -> Array:
        """An array of exactly this layout, gaps and all."""
        reach = [(length - 1) * step for length, step in zip(self.shape, self.strides, strict=True)]
        first = -sum(way for way in reach if way < 0) if math.prod(self.shape) else 0
        last = sum(way for way in reach if way > 0) if math.prod(self.shape) else 0
        memory = np.zeros(first + last + self.dtype.itemsize, np.uint8)
        return np.ndarray(self.shape, self.dtype, memory, first, self.strides)

    def empty(self) -> Array:
        """An array without gaps, its axes nested and directed as this layout has them."""
        return np.empty_like(self.miniature(), shape=self.shape)

    def miniature(self) -> Array:
        """An array with its axes nested and directed as here, but none of them longer than 2.

        A result's dtype and layout depend on no more than that, and on which axes have length 1.
        """
        return _miniature(tuple(min(length, 2) for length in self.shape), self.dtype, self.strides)


def of_elementwise(small: object, *operands: Shape) -> Layout | None:
    """The layout of an elementwise result, given that of the miniatures; None for a single number."""
    return _dense(small, _broadcast(*operands))


def of_product(small: object, a: Shape, b: Shape) -> Layout | None:
    """The same for a matrix product, or a stack of them."""
    stack = _broadcast(a[:-2], b[:-2])
    return _dense(small, (*stack, *shapes.product(a, b)))


def of_reduction(small: object, operand: Shape, axis: object, keepdims: bool) -> Layout | None:
    """The same for a reduction over `axis`."""
    return _dense(small, shapes.without(Type(operand), axis, keepdims))


@lru_cache
def _miniature(shape: Shape, dtype: np.dtype[np.generic], strides: Shape) -> Array:
    outer_first = _inner_first(strides)[::-1]
    array = np.zeros([shape[axis] for axis in outer_first], dtype)
    directions = tuple(slice(None, None, -1 if step < 0 else 1) for step in strides)
    return array.transpose([outer_first.index(axis) for axis in range(len(shape))])[directions]


def _broadcast(*operands: Shape) -> Shape:
    """As NumPy broadcasts, but faster where all that is not a number has one shape."""
    arrays = {shape for shape in operands if shape}
    return arrays.pop() if len(arrays) == 1 else np.broadcast_shapes(*arrays)


def _dense(small: object, shape: Shape) -> Layout | None:
    """An array of `shape` without gaps, its axes nested as those of the miniature are."""
    if not isinstance(small, np.ndarray) or not shape:
        return None
    strides, step = [0] * len(shape), small.itemsize
    for axis in _inner_first(small.strides):
        strides[axis], step = step, step * max(shape[axis], 1)
    return Layout(shape, small.dtype, tuple(strides))


def _inner_first(strides: Shape) -> list[int]:
    """The axes from the innermost to the outermost; of those that are equal, the last is the inner one."""
    return sorted(range(len(strides)), key=lambda axis: (abs(strides[axis]), -axis))
