"""The JSON Schema of a config, for editors: made of the very readers that a config is read with.

It is a little wider than they are. It cannot know what an expression means, and it must take for a number what a YAML
library takes for a text: `1e-3` is a number for some of them and a text for others, and a number for mathlab.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import partial
from typing import TypeAlias

from mathlab.config import arrays, formulas, schema, sweeps, values
from mathlab.config.keys import Keys, entries, filled, parsed, turned
from mathlab.experiment import DRAWN, PLOTTED
from mathlab.language.layers import BATCHES, LAYERS, LOSSES, REDUCTIONS
from mathlab.language.optimizers import OPTIMIZERS, SETTINGS

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = dict[str, Json]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^(?:{values.NUMBER.pattern})$"}]}
ANYTHING: Schema = {}  # what a reader that is not from here reads
TEXT: Schema = {"type": ["string", "number", "boolean"]}  # a title may be 1986, and a formula 0


def made() -> Schema:
    """The schema of a whole config."""
    definitions: Schema = {
        "number": NUMBER,
        "numbers": _any_of(_ref("number"), {"type": "array", "minItems": 1, "items": _ref("numbers")}),
        "value": _any_of(_ref("numbers"), record(arrays.InitText), record(arrays.DataText)),
        "case": record(schema.CaseText),
        "RangeText": record(sweeps.RangeText),
        "PictureText": record(schema.PictureText),
        "pictures": _pictures(),
        **{name: later for (_, name), later in LATER.items()},
        **{reader.__name__: _or_several(*of) for reader, of in SEVERAL.items()},
    }
    return {"$schema": DIALECT, "title": "mathlab experiment", **record(schema.ConfigText), "$defs": definitions}


def text() -> str:
    """The schema as the text of a file."""
    return json.dumps(made(), indent=1) + "\n"


def record(of: type[Keys]) -> Schema:
    """The schema of a mapping with known keys."""
    properties: Schema = {
        name: ANYTHING if name in of.further() else _ref(name) if _is_later(of, name) else read_by(reader)
        for name, reader in of.readers().items()
    }
    needed: list[Json] = [
        item.name for item in fields(of) if item.default is MISSING and item.default_factory is MISSING
    ]
    about = " ".join((of.__doc__ or "").split("\n\n")[0].split())
    return {
        "type": "object" if needed else ["object", "null"],
        "description": about,
        "properties": properties,
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
    }


def _is_later(of: type[Keys], name: str) -> bool:
    return any(issubclass(of, owner) and name == later for owner, later in LATER)


def read_by(reader: Callable[..., object]) -> Schema:
    """The schema of what a reader reads. Raises KeyError for one that this table does not know."""
    match reader:
        case parsed(of):
            return record(of)
        case entries(read_key, read_value):
            return {"type": ["object", "null"], **KEYS[read_key], "additionalProperties": read_by(read_value)}
        case turned(read, _):
            return read_by(read)
        case filled(read):
            return {**read_by(read), "type": "object", "minProperties": 1}
        case partial(func=values.choice, keywords={"known": known}):
            return _one_of(known)
        case partial(func=values.whole, keywords={"least": least}):
            return {"type": "integer", "minimum": least}
        case _ if reader in SEVERAL:
            return _ref(reader.__name__)
        case _:
            return READERS[reader]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any_of(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas]}


def _one_of(words: Iterable[str]) -> Schema:
    return {"enum": [*words]}


def _or_several(one: Schema, written: type[Keys]) -> Schema:
    """What may stand for itself, or in a mapping that says more about it, or in a list of such."""
    whole = record(written)
    return _any_of(one, whole, {"type": "array", "minItems": 1, "items": _any_of(one, whole) if one is TEXT else whole})


def _words(known: Mapping[str, tuple[str, ...]], reduction: bool = False) -> Schema:
    """One of the known words, or a mapping of one of them to its arguments."""
    with_arguments: list[Json] = []
    for word, keys in known.items():
        arguments: Schema = {key: _one_of(REDUCTIONS) if key == "reduction" else TEXT for key in keys}
        inside: Schema = {"type": ["object", "null"], "properties": arguments, "additionalProperties": False}
        properties: Schema = {word: inside}
        with_arguments.append(
            {"type": "object", "properties": properties, "required": [word], "additionalProperties": False}
        )
    return {"anyOf": [_one_of(known), *with_arguments]}


def _optimizer() -> Schema:
    switches = frozenset[str]().union(*(rule.switches for rule in OPTIMIZERS.values()))
    settings: Schema = {
        key: {"type": "boolean"} if key in switches else _ref("number") for keys in SETTINGS.values() for key in keys
    }
    settings |= {"lr": _any_of(_ref("number"), TEXT)}  # a schedule is an expression
    properties: Schema = {"name": _one_of(SETTINGS), **settings}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _pictures() -> Schema:
    """A kind of picture, or a list of them, those of which something more is said in a mapping."""
    more: Schema = {
        "type": "object",
        "propertyNames": _one_of(PLOTTED),
        "additionalProperties": _ref("PictureText"),
        "minProperties": 1,
        "maxProperties": 1,
    }
    one = _any_of(_one_of((*DRAWN, *PLOTTED)), more)
    return _any_of(one, {"type": "array", "items": one})


AXES: Schema = {"type": "object", "additionalProperties": {"type": "array", "minItems": 1, "items": _ref("value")}}

# what is read later: when the case has inherited the rest, or case by case
LATER: Mapping[tuple[type[Keys], str], Schema] = {
    (schema.TrainText, "optimizer"): _optimizer(),
    (schema.CaseText, "layers"): {
        "type": "array",
        "minItems": 1,
        "items": _words({word: layer.keys for word, layer in LAYERS.items()}),
    },
    (schema.CaseText, "loss"): _words({word: loss.keys for word, loss in LOSSES.items()}),
    (schema.CaseText, "batch"): _one_of(BATCHES),
    (schema.ConfigText, "cases"): {"type": "object", "minProperties": 1, "additionalProperties": _ref("case")},
    (schema.SweepText, "grid"): _any_of(AXES, {"type": "array", "minItems": 1, "items": AXES}),
    (schema.SweepText, "over"): {
        "type": "object",
        "additionalProperties": _any_of({"type": "array", "minItems": 1, "items": _ref("value")}, _ref("RangeText")),
    },
}

KEYS: Mapping[Callable[..., object], Schema] = {
    formulas.name: {"propertyNames": {"pattern": "^[^_0-9]"}},
    formulas.count: {"propertyNames": {"pattern": "^[0-9]+$"}},
    formulas.quantity: {},
    formulas.label: {},
}

READERS: Mapping[Callable[..., object], Schema] = {
    values.text: TEXT,
    values.number: _ref("number"),
    values.positive: _ref("number"),
    values.whole: {"type": "integer", "minimum": 0},
    values.flag: {"type": "boolean"},
    values.printed: _ref("numbers"),
    arrays.value: _ref("value"),
    arrays.column_names: _any_of(TEXT, {"type": "array", "minItems": 1, "items": TEXT}),
    arrays.axes: _any_of(
        {"type": "integer", "minimum": 1},
        {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
    ),
    formulas.formula: TEXT,
    arrays.upstream: _any_of(_ref("value"), TEXT),
    formulas.equations: {
        "type": ["object", "null"],
        **KEYS[formulas.name],
        "patternProperties": {r"^for\s": {"type": "object", "minProperties": 1, "additionalProperties": TEXT}},
        "additionalProperties": TEXT,
    },
    formulas.quantity: TEXT,
    formulas.quantities: _any_of(TEXT, {"type": "array", "minItems": 1, "items": TEXT}),
    schema.labels: _any_of(TEXT, {"type": "array", "items": TEXT}),
    schema.span: {"type": "array", "minItems": 2, "maxItems": 2, "items": _ref("number")},
    schema.pictures: _ref("pictures"),
    formulas.name_list: _any_of(TEXT, {"type": "array", "minItems": 1, "items": TEXT}),
}

SEVERAL: Mapping[Callable[..., object], tuple[Schema, type[Keys]]] = {
    schema.hand_formulas: (TEXT, schema.HandFormulaText),
    schema.printings: (_ref("numbers"), schema.PrintingText),
}
