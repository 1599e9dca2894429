"""The gradient as PyTorch's autograd has it: an optional witness, in float64 on the CPU."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.graph import Definitions, evaluate, seen_from
from mathlab.witnesses.reference import Axis, Floats, Numbers, Pair, pair

if TYPE_CHECKING:
    from torch import Tensor

Item = slice | None  # or a tensor

NO_TORCH = 'PyTorch is not installed; pip install "mathlab-backprop[torch]"'


def torch_gradient(
    equations: Sequence[Equation], env: Mapping[str, Array], wrt: str, seed: Array | None = None
) -> Floats:
    """The gradient of the end with respect to `wrt`, in its shape.

    At a tie it has PyTorch's conventions: maximum(a, b) halves the gradient where the others route it to b.
    Raises MathlabError where PyTorch is not installed, and for what it cannot do.
    """
    try:
        import torch
    except ImportError:
        raise MathlabError(NO_TORCH) from None
    graph = seen_from(wrt, equations, env, seed)

    def double(x: object) -> Tensor:
        """All there is: PyTorch makes float32 of whole numbers, and sqrt(3) and 1 / 3 would be too short."""
        return torch.as_tensor(x if isinstance(x, torch.Tensor) else np.array(x), dtype=torch.float64)

    # the walk over expressions does not look into the arrays
    ops, array = cast(Definitions, _ops()), cast(Callable[[object], Numbers], double)
    of = functools.partial(evaluate, definitions=ops, array=array, who="PyTorch")
    start = double(graph.start).requires_grad_()
    end = torch.sum(double(graph.seed) * double(graph.rerun(cast(Numbers, start), of)))
    if not end.requires_grad:  # every way from `wrt` to the end passes through a comparison or an index
        return np.zeros(graph.start.shape)
    (gradient,) = torch.autograd.grad(end, start, allow_unused=True)
    return np.zeros(graph.start.shape) if gradient is None else gradient.numpy()


def _ops() -> Mapping[str, Callable[..., Tensor]]:
    """The ops as PyTorch has them. A function, because PyTorch is imported only by who asks for it."""
    import torch
    from torch.nn import functional

    def place(items: Sequence[Tensor | Item]) -> tuple[Tensor | Item, ...]:
        return tuple(item if item is None or isinstance(item, slice) else item.long() for item in items)

    def put(v: Tensor, x: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
        """Zeros like x with v added to those `of` its entries."""
        at = of(torch.arange(x.numel()).reshape(x.shape)).reshape(-1)
        return torch.zeros(x.numel(), dtype=v.dtype).index_add(0, at, v.reshape(-1)).reshape(x.shape)

    def axes(x: Tensor, axis: Axis) -> tuple[int, ...]:
        return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)

    def over(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def reduction(x: Tensor, axis: Axis = None, keepdims: bool = False, **more: int) -> Tensor:
            x = x if x.ndim else x[None]  # PyTorch reads an empty list of axes as all of them; a number has none
            return function(x, dim=axes(x, axis), keepdim=keepdims, **more)

        return reduction

    def cross_entropy(z: Tensor, t: Tensor) -> Tensor:
        rows = z.reshape(-1, z.shape[-1])
        target = t.reshape(rows.shape) if t.ndim == z.ndim else t.reshape(-1).long()
        return functional.cross_entropy(rows, target, reduction="none").reshape(z.shape[:-1])

    def normal_cdf(x: Tensor) -> Tensor:
        """PyTorch's own, and its GELU, have 1 + erf(x), which rounds the lower tail away."""
        return torch.special.erfc(-x / math.sqrt(2)) / 2

    def prod(x: Tensor, dim: Sequence[int], keepdim: bool) -> Tensor:
        for axis in sorted((axis % x.ndim for axis in dim), reverse=True):
            x = torch.prod(x, axis, keepdim)
        return x

    def bordered(x: Tensor, width: Pair, value: float = 0) -> Tensor:
        rows, columns = pair(width)
        return functional.pad(x, (columns, columns, rows, rows), value=value)

    def windows(x: Tensor, size: Pair, stride: Pair = 1, dilation: Pair = 1) -> Tensor:
        for n, step, gap in zip(pair(size), pair(stride), pair(dilation), strict=True):
            x = x.unfold(-2, (n - 1) * gap + 1, step)[..., ::gap]
        return x.movedim((-2, -1), (0, 1))

    def batched(x: Tensor, channels: bool) -> Tensor:
        """x as (batch, channels, rows, columns)."""
        return x.reshape(-1, *x.shape[-3:]) if channels else x.reshape(-1, 1, *x.shape[-2:])

    def im2col(x: Tensor, size: Pair, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1) -> Tensor:
        columns = functional.unfold(batched(x, x.ndim > 2), size, dilation, pad, stride)
        return columns.reshape(*x.shape[:-3], *columns.shape[1:])

    def conv2d(x: Tensor, k: Tensor, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1) -> Tensor:
        kernel = k[(None,) * (4 - k.ndim)]
        result = functional.conv2d(batched(x, k.ndim > 2), kernel, None, stride, pad, dilation)
        return result.reshape(*x.shape[: -min(k.ndim, 3)], *k.shape[:-3], *result.shape[-2:])

    def pooling(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def pool(x: Tensor, size: Pair, stride: Pair | None = None, pad: Pair = 0) -> Tensor:
            result = function(batched(x, channels=False), size, stride, pad)
            return result.reshape(*x.shape[:-2], *result.shape[-2:])

        return pool

    alike = (
        "add sub mul div neg pow matmul outer diag exp expm1 log log1p sqrt sin cos tan log2 log10 abs sign floor ceil "
        "round square erf relu sigmoid tanh maximum minimum clip gt ge lt le eq ne ones_like zeros_like argmax argmin"
    ).split()
    return {
        **{name: getattr(torch, name) for name in alike},
        "index": lambda x, *items: x[place(items)],
        "scatter": lambda v, x, *items: put(v, x, lambda entries: entries[place(items)]),
        "windows": windows,
        "overlap_add": lambda v, x, **settings: put(v, x, lambda entries: windows(entries, v.shape[:2], **settings)),
        "pad": bordered,
        "flip": lambda x, axis=None: torch.flip(x, axes(x, axis)),
        "im2col": im2col,
        "conv2d": conv2d,
        "max_pool": pooling(functional.max_pool2d),
        "avg_pool": pooling(functional.avg_pool2d),
        "T": lambda x: x.permute(*reversed(range(x.ndim))),
        "mT": lambda x: x.mT,
        "transpose": lambda x, *axes: x.permute([*map(int, axes)]),
        "swapaxes": lambda x, a, b: x.swapaxes(int(a), int(b)),
        "tril": lambda x, k: torch.tril(x, int(k)),
        "triu": lambda x, k: torch.triu(x, int(k)),
        "eye": lambda n: torch.eye(int(n)),
        "reshape": lambda x, *shape: x.reshape([*map(int, shape)]),
        "concat": lambda *x, axis=0: torch.cat(x, dim=axis),
        "array": lambda *x: torch.stack(x),
        "stack": lambda *x, axis=0: torch.stack(x, axis),
        "shape": lambda x: torch.tensor(x.shape),
        "size": lambda x: torch.tensor(x.numel()),
        "einsum": lambda *x, subscripts: torch.einsum(subscripts, *x),
        "cumsum": lambda x, axis=-1: torch.cumsum(x, axis),
        "normal_cdf": normal_cdf,
        "where": lambda c, a, b: torch.where(c != 0, a, b),
        "max": over(torch.amax),
        "min": over(torch.amin),
        **{name: over(getattr(torch, name)) for name in ("sum", "mean", "logsumexp")},
        "norm": over(torch.linalg.vector_norm),
        "var": lambda x, ddof=0, **settings: over(torch.var)(x, correction=ddof, **settings),
        "std": lambda x, ddof=0, **settings: over(torch.std)(x, correction=ddof, **settings),
        "prod": over(prod),
        "softmax": lambda x, axis=-1: torch.softmax(x, axis),
        "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
        "cross_entropy": cross_entropy,
        "ones": lambda *shape: torch.ones([*map(int, shape)]),
        "zeros": lambda *shape: torch.zeros([*map(int, shape)]),
        "arange": lambda n: torch.arange(int(n)),
    }
