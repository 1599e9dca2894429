"""Derivatives to check a gradient against, which share no code with the derivation nor with the program it becomes.

They read the forward equations alone: the complex step, the central difference, a tape of scalars, and PyTorch.
"""

from mathlab.witnesses.evaluation import evaluate, run
from mathlab.witnesses.numeric import SMALLEST_SLOPE, central_difference, complex_step, complex_step_noise, one_sided
from mathlab.witnesses.pytorch import torch_gradient
from mathlab.witnesses.reference import REFERENCE
from mathlab.witnesses.tape import tape

__all__ = [
    "REFERENCE",
    "SMALLEST_SLOPE",
    "central_difference",
    "complex_step",
    "complex_step_noise",
    "evaluate",
    "one_sided",
    "run",
    "tape",
    "torch_gradient",
]
