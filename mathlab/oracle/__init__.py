"""Somebody else's backprop beside the lab's: from Python, `mathlab.oracle("net.yaml", {"dW": dW})`."""

from __future__ import annotations

import sys
from types import ModuleType

from mathlab.oracle.oracle import of_python


class _Oracle(ModuleType):
    """The package as a function: a module of this name exists, and would hide one."""

    __call__ = staticmethod(of_python)


sys.modules[__name__].__class__ = _Oracle
