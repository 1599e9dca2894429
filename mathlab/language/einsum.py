"""Shapes of what is written with a letter for each axis: `einsum("ij,jk->ik", a, b)`."""

from __future__ import annotations

from collections.abc import Sequence

from mathlab.language.shapes import Shape, ShapeError, Type, show
from mathlab.language.syntax import Call


def subscripts(call: Call) -> tuple[list[str], str]:
    """The letters of each operand's axes, and of the result's, of `einsum("ij,jk->ik", a, b)`."""
    left, _, right = str(call.attr("subscripts")).replace(" ", "").partition("->")
    return left.split(","), right


def contracted(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `einsum("ij,jk->ik", a, b)`: every letter is one size, and what the result lacks is summed over."""
    operands, result = subscripts(call)
    sizes: dict[str, int] = {}
    if len(operands) != len(types):
        raise ShapeError(f"einsum has subscripts for {len(operands)} arrays, not for {len(types)},")
    for letters, type_ in zip(operands, types, strict=True):
        if len(letters) != type_.ndim or len({*letters}) != len(letters):
            raise ShapeError(f"'{letters}' does not name each axis of shape {show(type_.shape)} once")
        for letter, size in zip(letters, type_.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"axis {letter} of einsum has {sizes[letter]} entries, and {size} in another place,")
    if len({*result}) != len(result) or not {*result} <= sizes.keys():
        raise ShapeError(f"'{result}' does not name axes of einsum's arrays, each once,")
    return tuple(sizes[letter] for letter in result)
