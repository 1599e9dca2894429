"""`mathlab schema`."""

from __future__ import annotations

from mathlab import terminal
from mathlab.commands.options import MATCH


def schema() -> int:
    """Print the JSON Schema of a config, for editors."""
    from mathlab.config import jsonschema

    terminal.write(jsonschema.text())
    return MATCH
