"""The table of ops, which stands in `ops.txt`: the one place where an op exists.

Adding an op is adding one row: `name(arguments) = NumPy`, and below it what else `record.Op` knows. `da` is the
derivative with respect to the argument `a`, and `like` a row whose facts hold too. A `{field}` is what the function of
that name makes of one use of the op, and of the words behind it. A function of one array that has no samples gets the
usual ones.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from mathlab.language import shapes
from mathlab.language.ops import images, rules
from mathlab.language.ops.record import SETTINGS, Op, Rule, Setting, ShapeRule, Site
from mathlab.language.tables import called, table

__all__ = ["ACTIVATIONS", "EXACT", "OPS", "Op", "Rule", "Setting", "ShapeRule", "Site"]

ROWS = table(Path(__file__).with_name("ops.txt"))
FIELD = re.compile(r"\{(\w[^{}:]*)\}")  # in a derivative or in LaTeX, where {x:2} is an argument
FUNCTIONS = {**vars(shapes), **vars(rules), **vars(images)}


def _facts(row: str) -> Mapping[str, str]:
    own = ROWS[row]
    return {**_facts(own["like"]), **own} if "like" in own else own


def _op(row: str) -> tuple[str, Op]:
    """The name and the record of one row."""
    said, (name, args), numpy = _facts(row), called(row), row.partition(" = ")[2]
    kinds = (setting.partition("=") for setting in said.get("settings", "").split())
    settings = {setting: SETTINGS[kind or setting] for setting, _, kind in kinds}
    if re.fullmatch(r"(np\.)?\w+", numpy):  # a function, which is called with all there is
        numpy = f"{numpy}({', '.join([*args, *(f'{setting}={setting}' for setting in settings)])})"
    samples = said["samples"].split("; ") if "samples" in said else _usual(name, settings)
    vjp = tuple(_template(said.get(f"d{arg.lstrip('*')}", "")) or None for arg in args)
    return name, Op(
        numpy=numpy,
        vjp=vjp,
        args=tuple(args),
        defaults={arg: literal_eval(default) for arg, default in args.items() if default},
        shape=FUNCTIONS[said.get("shape", "broadcast")],
        takes=tuple(said.get("takes", "").split()),
        kind=said.get("kind", "f"),  # type: ignore[arg-type]  # the table has no other
        settings=settings,
        labels=int(said.get("labels", -1)),
        unread=int(said.get("unread", -1)),
        products=FUNCTIONS.get(said.get("products", ""), lambda made, read: 0),
        latex=_template(said.get("latex", "")),
        binds=int(said.get("binds", 4)),
        samples=tuple(samples) if any(vjp) else (),
        **{flag: flag in said for flag in ("needs_entries", "exact", "cheap", "activation", "internal")},
    )


def _template(text: str) -> str | Callable[[Site], str]:
    """The text of a derivative or of LaTeX; where it has fields, the function that fills them in for a use of the op.

    For `{spread g}` stands what `spread(site, "g")` gives. What else is in braces belongs to the LaTeX.
    """

    def filled(site: Site, field: re.Match[str]) -> str:
        name, *words = field[1].split()
        return FUNCTIONS[name](site, *words) if name in FUNCTIONS else field[0]

    has_fields = any(field.split()[0] in FUNCTIONS for field in FIELD.findall(text))
    return (lambda site: FIELD.sub(partial(filled, site), text)) if has_fields else text


def _usual(name: str, settings: Collection[str]) -> list[str]:
    """The sample calls of a function of one array."""
    arguments = ["x23"]
    if "keepdims" in settings:
        arguments += ["x23, axis=0", "x23, axis=-1, keepdims=True", "x232, axis=(0, 2)"]
    if "ddof" in settings:
        arguments.append("x23, axis=1, ddof=1")
    return [f"{name}({given})" for given in arguments]


OPS: Mapping[str, Op] = dict(_op(row) for row in ROWS if "(" in row)
ACTIVATIONS = frozenset(name for name, op in OPS.items() if op.activation)
EXACT = frozenset(name for name, op in OPS.items() if op.exact or op.kind in ("i", "b"))
