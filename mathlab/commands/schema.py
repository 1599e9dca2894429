"""`mathlab schema`: the JSON Schema of a config, made of the very readers that a config is read with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mathlab import terminal
from mathlab.commands.options import MATCH

if TYPE_CHECKING:
    from mathlab.config.values import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> int:
    """Print the JSON Schema of a config, for editors."""
    terminal.write(json.dumps(made(), indent=1) + "\n")
    return MATCH


def made() -> Schema:
    """The schema of a whole config."""
    from mathlab.config import arrays, schema, values
    from mathlab.config.values import TEXT, any_of, listed, reference
    from mathlab.experiment import INFINITE
    from mathlab.language.layers import BATCHES, LAYERS, LOSSES
    from mathlab.language.optimizers import OPTIMIZERS, SETTINGS

    switches = frozenset[str]().union(*(rule.switches for rule in OPTIMIZERS.values()))
    settings = dict.fromkeys((key for keys in SETTINGS.values() for key in keys), reference("number"))
    settings |= {key: {"type": "boolean"} for key in switches}
    definitions: Schema = {
        "number": any_of({"type": "number"}, {"type": "string", "pattern": f"^(?:{values.NUMBER.pattern})$"}),
        "numbers": any_of(reference("number"), listed(reference("numbers"))),
        "printed": any_of(reference("number"), {"enum": [*INFINITE]}, listed(reference("printed"))),
        "value": any_of(reference("numbers"), arrays.INITIAL.schema, arrays.DATA.schema),
        "printings": schema.printings.schema,
        "layers": listed(_words({word: layer.keys for word, layer in LAYERS.items()})),
        "loss": _words({word: loss.keys for word, loss in LOSSES.items()}),
        "batch": {"enum": [*BATCHES]},
        "optimizer": {
            "type": ["object", "null"],
            "properties": {"name": {"enum": [*SETTINGS]}, **settings, "lr": any_of(reference("number"), TEXT)},
            "additionalProperties": False,
        },
        "case": schema.case_keys().schema,
    }
    return {"$schema": DIALECT, "title": "mathlab experiment", **schema.top_keys().schema, "$defs": definitions}


def _words(known: Mapping[str, tuple[str, ...]]) -> Schema:
    """One of the known words, or a mapping of one of them to its arguments."""
    from mathlab.config.values import TEXT, any_of
    from mathlab.language.layers import REDUCTIONS

    inside: dict[str, Schema] = {}
    for word, keys in known.items():
        arguments = {key: {"enum": [*REDUCTIONS]} if key == "reduction" else TEXT for key in keys}
        some: Schema = {"type": ["object", "null"], "properties": arguments, "additionalProperties": False}
        inside[word] = any_of(some, TEXT)  # of a layer the one argument that it needs
    one: Schema = {"type": "object", "properties": inside, "additionalProperties": False, "maxProperties": 1}
    return any_of({"enum": [*known]}, one)
