"""The layout of a result, told without computing it, is the one that NumPy gives it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mathlab.experiment import Array
from mathlab.language.layout import Layout, of_elementwise, of_product, of_reduction

LENGTHS = st.sampled_from([0, 1, 1, 2, 3, 5])


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> Array:
    """An array whose axes are nested in any order, with gaps, or backwards."""
    if shape is None:
        shape = tuple(draw(st.lists(LENGTHS, min_size=1, max_size=3)))
    nesting = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, -1, 2])) for _ in shape]
    whole = np.ones([shape[axis] * abs(steps[axis]) for axis in nesting], draw(st.sampled_from(["f4", "f8"])))
    view = whole.transpose([nesting.index(axis) for axis in range(len(shape))])
    for axis, step in enumerate(steps):
        view = view[(slice(None),) * axis + (slice(None, None, step),)]
    return view


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Arrays that broadcast together."""
    shape = draw(st.lists(LENGTHS, max_size=3))
    shapes = []
    for _ in range(2):
        cut = shape[draw(st.integers(0, len(shape))) :]
        shapes.append(tuple(draw(st.sampled_from([n, n, 1])) for n in cut))
    return draw(arrays(shapes[0])), draw(arrays(shapes[1]))


def assert_foretold(layout: Layout | None, result: object) -> None:
    if not isinstance(result, np.ndarray):
        assert layout is None
        return
    assert layout is not None
    assert layout.key == Layout.of(result).key
    for made in (layout.empty(), layout.zeros(), np.empty_like(result)):
        assert Layout.of(made).key == layout.key


@settings(max_examples=300)
@given(pairs())
def test_elementwise(pair: tuple[Array, Array]) -> None:
    a, b = pair
    small = np.add(Layout.of(a).miniature(), Layout.of(b).miniature())
    assert_foretold(of_elementwise(small, a.shape, b.shape), np.add(a, b))


@settings(max_examples=300)
@given(arrays(), st.booleans(), st.data())
def test_reductions(a: Array, keepdims: bool, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from([None, *range(a.ndim)]))
    small = np.sum(Layout.of(a).miniature(), axis, keepdims=keepdims)
    assert_foretold(of_reduction(small, a.shape, axis, keepdims), np.sum(a, axis, keepdims=keepdims))


@settings(max_examples=300)
@given(st.data())
def test_products(data: st.DataObject) -> None:
    n, k, m = (data.draw(st.integers(1, 5)) for _ in range(3))
    stacks = data.draw(st.sampled_from([((), ()), ((2,), ()), ((2,), (2,)), ((3, 1), (2,))]))
    a = data.draw(arrays((*stacks[0], n, k)))
    b = data.draw(arrays((*stacks[1], k, m)))
    for left, right in ((a, b), (a, b[..., 0] if b.ndim == 2 else b), (a[0] if a.ndim == 2 else a, b)):
        small = np.matmul(Layout.of(left).miniature(), Layout.of(right).miniature())
        assert_foretold(of_product(small, left.shape, right.shape), np.matmul(left, right))


@settings(max_examples=300)
@given(arrays())
def test_views_of_an_example_are_those_of_the_array(a: Array) -> None:
    layout = Layout.of(a)
    example = layout.zeros()
    assert Layout.of(example) == layout
    assert Layout.of(example.T) == Layout.of(a.T)
    assert Layout.of(example[:, None]) == Layout.of(a[:, None])
    assert Layout.of(example[::-1]) == Layout.of(a[::-1])
    flat, other = np.reshape(example, -1), np.reshape(a, -1)
    assert np.may_share_memory(flat, example) == np.may_share_memory(other, a)
