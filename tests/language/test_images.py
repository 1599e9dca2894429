"""Convolution and pooling against PyTorch's own, their derived equations as articles print them, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.stages.prepare import Prepared, prepare
from tests.build import case

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, int]
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


def prepared(text: str, **shapes: tuple[int, ...]) -> Prepared:
    rng = np.random.default_rng(0)
    return prepare(case({"y": text, "loss": "sum(y * sin(y))"}, {k: rng.normal(size=s) for k, s in shapes.items()}))


def assert_as_in_torch(made: Prepared, function: Callable[..., Tensor]) -> None:
    """The value, and the gradient of every parameter."""
    torch = pytest.importorskip("torch")
    values = made.run()
    tensors = {name: torch.tensor(values[name], requires_grad=True) for name in made.case.parameters}
    result = function(*tensors.values())
    np.testing.assert_allclose(values["y"], result.detach().numpy(), rtol=1e-12, atol=1e-12)
    torch.sum(result * torch.sin(result)).backward()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(values[f"d{name}"], tensor.grad.numpy(), rtol=1e-11, atol=1e-11)


@settings(max_examples=60)
@given(SIZES, SIZES, st.tuples(st.integers(0, 3), st.integers(0, 3)), SIZES, SIZES, st.integers(2, 4), st.booleans())
def test_convolution_is_that_of_pytorch(
    size: Pair, stride: Pair, pad: Pair, dilation: Pair, more: Pair, axes: int, batch: bool
) -> None:
    """Of images with and without channels and batch; strides that leave rows over, and more padding than kernel."""
    functional = pytest.importorskip("torch").nn.functional
    image = tuple(max(n + (k - 1) * d - 2 * p, 1) for n, k, d, p in zip(more, size, dilation, pad, strict=True))
    channels = (2,) if axes > 2 else ()
    kernel = (*((3,) if axes == 4 else ()), *channels, *size)
    made = prepared(
        f"conv2d(x, k, stride={stride}, pad={pad}, dilation={dilation})",
        x=(*((2,) if batch else ()), *channels, *image),
        k=kernel,
    )

    def conv(x: Tensor, k: Tensor) -> Tensor:
        images = x.reshape(-1, 2 if channels else 1, *image)
        weights = k.reshape(3 if axes == 4 else 1, 2 if channels else 1, *size)
        result: Tensor = functional.conv2d(images, weights, None, stride, pad, dilation)
        return result.reshape(made.types.names["y"].shape)

    assert_as_in_torch(made, conv)


@settings(max_examples=40)
@given(st.sampled_from(["max_pool", "avg_pool", "im2col"]), SIZES, SIZES, SIZES, SIZES)
def test_pooling_and_columns_are_those_of_pytorch(op: str, size: Pair, stride: Pair, pad: Pair, more: Pair) -> None:
    functional = pytest.importorskip("torch").nn.functional
    pad = (min(pad[0], size[0] // 2), min(pad[1], size[1] // 2))
    image = tuple(n + k - 2 * p for n, k, p in zip(more, size, pad, strict=True))
    assume(min(image) > 0)
    made = prepared(f"{op}(x, {size}, stride={stride}, pad={pad})", x=(2, 3, *image))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "max_pool": lambda x: functional.max_pool2d(x, size, stride, pad),
        "avg_pool": lambda x: functional.avg_pool2d(x, size, stride, pad),
        "im2col": lambda x: functional.unfold(x, size, 1, pad, stride),
    }
    assert_as_in_torch(made, functions[op])


DERIVED = [
    ("conv2d(x, k)", (5, 5), (3, 3), "conv2d(dy, flip(k), pad=2)", "conv2d(x, dy)"),
    ("conv2d(x, k, pad=1)", (5, 5), (3, 3), "conv2d(dy, flip(k), pad=1)", "conv2d(x, dy, pad=1)"),
    (
        "conv2d(x, k, stride=2)",
        (6, 5),
        (3, 3),
        "conv2d(scatter(dy, zeros(4, 3)[::2, ::2]), flip(k), pad=2)",
        "conv2d(x, dy, dilation=2)[:3, :3]",
    ),
    (
        "conv2d(x, k)",
        (8, 3, 9, 9),
        (16, 3, 3, 3),
        "conv2d(dy, swapaxes(flip(k, axis=(-2, -1)), 0, 1), pad=2)",
        "swapaxes(conv2d(swapaxes(x, 0, 1), swapaxes(dy, 0, 1)), 0, 1)",
    ),
]


@pytest.mark.parametrize(("text", "x", "k", "dx", "dk"), DERIVED)
def test_gradients_read_like_the_articles(text: str, x: tuple[int, ...], k: tuple[int, ...], dx: str, dk: str) -> None:
    """The upstream gradient under the flipped kernel; the input's correlation with the upstream gradient."""
    made = {equation.name: equation.text for equation in prepared(text, x=x, k=k).backward.equations}
    assert (made["dx"], made["dk"]) == (dx, dk)


def test_pools_hand_the_gradient_back_to_their_windows() -> None:
    made = {equation.name: equation.text for equation in prepared("max_pool(x, 2)", x=(4, 4)).backward.equations}
    w = "windows(x, size=2, stride=2)"
    assert made["dx"] == f"overlap_add(dy / sum({w} == y, axis=(0, 1)) * ({w} == y), x, stride=2)"
    made = {equation.name: equation.text for equation in prepared("avg_pool(x, 2)", x=(4, 4)).backward.equations}
    assert made["dx"] == "overlap_add(dy * ones(2, 2, 2, 2) / 4, x, stride=2)"


def test_a_tie_is_shared_and_the_padding_is_never_the_largest() -> None:
    x = np.array([[-1.0, -1.0], [-2.0, -3.0]])
    values = prepare(case({"y": "max_pool(x, 2)", "loss": "sum(y)"}, {"x": x})).run()
    np.testing.assert_array_equal(values["dx"], [[0.5, 0.5], [0, 0]])
    values = prepare(case({"y": "max_pool(x, 2, pad=1)", "loss": "sum(y)"}, {"x": x})).run()
    np.testing.assert_array_equal(values["y"], x)
    np.testing.assert_array_equal(values["dx"], np.ones((2, 2)))


def test_the_listing_runs_alone() -> None:
    made = prepared("max_pool(relu(conv2d(x, k, stride=2, pad=1)), 2)", x=(2, 3, 9, 9), k=(4, 3, 3, 3))
    space: dict[str, Callable[..., tuple[object, ...]]] = {}
    exec(made.program.listing(), space)
    results = space["program"](*(made.env[name] for name in made.program.inputs))
    values = made.run()
    for name, result in zip(made.program.outputs, results, strict=True):
        np.testing.assert_array_equal(result, values[name])


REFUSED = [
    ("conv2d(m, k)", "a kernel of shape (3, 3) is larger than shape (2, 4) with stride=1, pad=0 in 'conv2d(m, k)'"),
    ("conv2d(m, k, stride=2, pad=(0, 9))", "is larger than shape (2, 4) with stride=2, pad=(0, 9)"),
    ("conv2d(rgb, four)", "shape (3, 4, 4) has 3 channels, and the kernel of shape (2, 4, 3, 3) 4, in"),
    ("conv2d(v, k)", "conv2d slides a kernel (rows, columns), (channels, rows, columns) or"),
    ("conv2d(m, k, stride=0)", "stride of conv2d must be a whole number of at least 1, or two of them"),
    ("conv2d(m, k, pad=-1)", "pad of conv2d must be a whole number of at least 0"),
    ("max_pool(m)", "max_pool needs its setting 'size', a whole number of at least 1"),
    ("max_pool(m, 3)", "a window of shape (3, 3) is larger than shape (2, 4) with stride=(3, 3), pad=0"),
    ("avg_pool(m, 2, pad=2)", "pad=2 is more than half of a window of shape (2, 2)"),
    ("conv2d(m, k[1:1])", "a kernel of shape (0, 3) has no entries in"),
    ("windows(m, 9)", "a window of shape (9, 9) is larger than shape (2, 4) with stride=1 in 'windows(m, size=9)'"),
    ("overlap_add(m, m)", "shape (2, 4) is not that of windows of shape (2, 4) with stride=1 in 'overlap_add(m, m)'"),
    ("windows(v, 1)", "windows needs an array with rows and columns, not shape (4,), of which x[None] makes a row,"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_sizes_that_do_not_fit_are_told_with_their_place(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    shapes = {"m": (2, 4), "k": (3, 3), "v": (4,), "rgb": (3, 4, 4), "four": (2, 4, 3, 3)}
    inputs = ", ".join(f"{name}: {np.ones(shape).tolist()}" for name, shape in shapes.items())
    path.write_text(f"inputs: {{{inputs}}}\nparameters: {{w: 1}}\nequations:\n  L: sum(w * {text})\n")
    with pytest.raises(MathlabError) as raised:
        prepare(load(path).cases[0])
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(f"{path}:4:")


@pytest.mark.parametrize(
    ("x", "k"), [((0, 3, 4, 4), (2, 3, 2, 2)), ((2, 0, 4, 4), (2, 0, 2, 2)), ((2, 3, 4, 4), (0, 3, 4, 4))]
)
def test_of_no_images_channels_or_outputs_there_is_a_sum_of_nothing(x: tuple[int, ...], k: tuple[int, ...]) -> None:
    values = prepare(case({"y": "conv2d(x, k)", "loss": "sum(y)"}, {"x": np.ones(x), "k": np.ones(k)})).run()
    assert not values["y"].any()
    assert values["dx"].shape == x
    assert values["dk"].shape == k


def test_the_gradient_of_a_bias_is_one_sum() -> None:
    made = prepared("conv2d(x, k) + b[:, None, None]", x=(2, 3, 4, 4), k=(2, 3, 2, 2), b=(2,))
    assert {equation.name: equation.text for equation in made.backward.equations}["db"] == "sum(dy, axis=(0, 2, 3))"
