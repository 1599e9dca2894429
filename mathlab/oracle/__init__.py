"""Somebody else's backprop beside the lab's: from Python, `mathlab.oracle("net.yaml", {"dW": dW})`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathlab.experiment import Array, Experiment
    from mathlab.oracle.oracle import OracleResult


class _Oracle(ModuleType):
    """The package as a function: a module of this name exists, and would hide one."""

    def __call__(
        self,
        config: str | Path | Experiment,
        arrays: Mapping[str, Array],
        *,
        case: str = "",
        names: Mapping[str, str] | None = None,
        rtol: float | None = None,
        thorough: bool = False,
    ) -> OracleResult:
        """As `mathlab.oracle.oracle.of_python`."""
        from mathlab.oracle.oracle import of_python

        return of_python(config, arrays, case=case, names=names, rtol=rtol, thorough=thorough)


sys.modules[__name__].__class__ = _Oracle
