"""Kernels whose lines can stand for their call."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mathlab.language.program import KERNELS


@dataclass(frozen=True)
class Straight:
    """The body of a kernel that assigns, decides by shapes and settings, and returns."""

    parameters: tuple[str, ...]
    defaults: Mapping[str, object]
    statements: tuple[ast.stmt, ...]


@cache
def straight(name: str) -> Straight | None:
    """The body of the kernel `name`, when it is straight."""
    if name not in KERNELS:
        return None
    definition = ast.parse(inspect.getsource(KERNELS[name])).body[0]
    assert isinstance(definition, ast.FunctionDef)
    statements = definition.body[1:]  # after the docstring
    inside = [part for statement in statements for part in ast.walk(statement)]
    if any(isinstance(part, ast.stmt) and not isinstance(part, ast.Assign | ast.If | ast.Return) for part in inside):
        return None
    if any(isinstance(part, ast.Lambda | ast.Starred) for part in inside):
        return None
    defaults = {
        name: parameter.default
        for name, parameter in parameters(name).items()
        if parameter.default is not inspect.Parameter.empty
    }
    return Straight(tuple(parameters(name)), defaults, tuple(statements))


@cache
def parameters(name: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of the kernel `name`; none for what is no kernel."""
    return inspect.signature(KERNELS[name]).parameters if name in KERNELS else {}
