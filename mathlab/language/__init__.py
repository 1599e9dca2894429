"""The equation language: text, trees, ops, derivatives, and the NumPy program they become."""

from mathlab.language.check import read
from mathlab.language.ops import OPS

__all__ = ["OPS", "read"]
