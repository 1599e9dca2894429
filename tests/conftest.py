"""What is the same for all tests of a process."""

from __future__ import annotations

import os

# Before NumPy: the tests run in as many processes as there are cores, and BLAS's threads would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import functools

import typer.main

# Typer builds all commands anew for every call: a good part of what a small call takes. (Before typer.testing, which
# takes this function with it.)
typer.main.get_command = functools.cache(typer.main.get_command)
