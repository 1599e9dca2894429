"""mathlab: regenerate the numbers that articles on backpropagation report, and judge them by their digits.

`load` and `run` are the way in from Python; see `mathlab.api`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathlab.api import Result, arrays, assert_gradients, changed, load, run
    from mathlab.errors import MathlabError

__version__ = "0.2.0"
__all__ = ["MathlabError", "Result", "__version__", "arrays", "assert_gradients", "changed", "load", "oracle", "run"]

if not TYPE_CHECKING:  # or no type checker would find a name that does not exist

    def __getattr__(name: str) -> object:
        """What the package offers, imported when it is asked for: `mathlab --help` must not wait for NumPy."""
        if name == "oracle":
            return import_module("mathlab.oracle")
        if name in __all__:
            return getattr(import_module("mathlab.api"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return __all__
