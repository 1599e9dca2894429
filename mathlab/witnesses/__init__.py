"""Derivatives to check a gradient against, which share no code with the derivation nor with the program it becomes.

They read the forward equations alone: the complex step, the central difference, a tape of scalars, and PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mathlab.witnesses.evaluation import evaluate, run
from mathlab.witnesses.reference import REFERENCE
from mathlab.witnesses.table import WITNESSES, Witness
from mathlab.witnesses.tape import tape

if TYPE_CHECKING:
    from mathlab.witnesses.central import central_difference
    from mathlab.witnesses.pytorch import torch_gradient
    from mathlab.witnesses.steps import SMALLEST_SLOPE, complex_step, complex_step_noise, one_sided

__all__ = [
    "REFERENCE",
    "SMALLEST_SLOPE",
    "WITNESSES",
    "Witness",
    "central_difference",
    "complex_step",
    "complex_step_noise",
    "evaluate",
    "one_sided",
    "run",
    "tape",
    "torch_gradient",
]


LATER = {"torch_gradient": "pytorch", "central_difference": "central"}


def __getattr__(name: str) -> object:
    """The other witnesses, imported by who asks: every `mathlab backprop` asks the tape."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{LATER.get(name, 'steps')}"), name)
