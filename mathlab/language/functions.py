"""Every op as a Python function of its arguments and settings: what the compiled program does, one op at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mathlab.language import shapes
from mathlab.language.ops import OPS, Op
from mathlab.language.program import KERNELS

Function = Callable[..., np.ndarray]


def _function(op: Op) -> Function:
    last = op.shape is shapes.along_axis  # without an axis it is the last one, as the kernels have it
    defaults = {name: -1 if last and name == "axis" else setting.default for name, setting in op.settings.items()}
    settings = [f"{name}={default!r}" for name, default in defaults.items()]
    namespace: dict[str, object] = {"np": np, "dtype": np.float64, **KERNELS}
    made: Function = eval(f"lambda {', '.join((*op.args, *settings))}: {op.numpy}", namespace)
    # a mask is made a float, as the program does where it meets floats
    return (lambda *args: made(*args).astype(np.float64)) if op.kind == "b" else made


FUNCTIONS: Mapping[str, Function] = {name: _function(op) for name, op in OPS.items() if op.numpy}
