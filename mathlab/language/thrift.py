"""A program that lets go of what it no longer needs, for data that fills the memory."""

from __future__ import annotations

import ast
from dataclasses import replace

from mathlab.language.equation import Equation
from mathlab.language.program import Program


def thrifty(program: Program) -> Program:
    """The same program with every value that it computes deleted after its last use."""
    (function,) = ast.parse(program.text).body
    assert isinstance(function, ast.FunctionDef)
    made = {name.id for name in ast.walk(function) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    last: dict[str, int] = {}
    for number, statement in enumerate(function.body):
        read = {name.id for name in ast.walk(statement) if isinstance(name, ast.Name)}
        last |= dict.fromkeys(read & made, number)
    head, *body = program.text.splitlines()
    text, lines = [head], dict[int, Equation]()
    for number, line in enumerate(body):
        text.append(line)
        if number + 2 in program.lines:  # lines count from 1, and the head is the first
            lines[len(text)] = program.lines[number + 2]
        done = sorted(name for name, use in last.items() if use == number)
        if done and number + 1 < len(body):
            text.append(f"    del {', '.join(done)}")
    return replace(program, text="\n".join([*text, ""]), lines=lines)
