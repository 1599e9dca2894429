"""Pieces of the JSON Schema of a config, for editors: each reader has its own, and `mathlab schema` joins them.

It is a little wider than the readers are. It cannot know what an expression means, and it must take for a number what a
YAML library takes for a text: `1e-3` is a number for some of them and a text for others, and a number for mathlab.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Schema: TypeAlias = Mapping[str, Json]

TEXT: Schema = {"type": ["string", "number", "boolean"]}  # a title may be 1986, and a formula 0


def reference(name: str) -> Schema:
    """What `commands/schema.py` defines by this name."""
    return {"$ref": f"#/$defs/{name}"}


def any_of(*schemas: Schema) -> Schema:
    """What fits any of them."""
    return {"anyOf": schemas}


def listed(schema: Schema, least: int = 1) -> Schema:
    """A list of such."""
    return {"type": "array", "minItems": least, "items": schema}
