"""What is meant by an expression that is none: by another tool's function, a method, an attribute."""

from __future__ import annotations

from mathlab import habits
from mathlab.errors import did_you_mean
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Name, Num

SHORT = 2  # characters: a value, rather than a misspelt function


def meant(call: Call) -> str:
    """A hint for who calls what is no function here."""
    known = [name for name, record in OPS.items() if not record.internal]
    match call.args:
        case (Name(name),) if call.op in habits.DERIVED:
            return f"; the gradient of {name} is written d{name}"
    if (name := habits.here(call.op, known)) and habits.folded(name) != habits.folded(call.op):
        return f"; write {name}({', '.join(OPS[name].args)})"
    instead = habits.expression(call.op)
    hint = f"; write {instead}" if instead else did_you_mean(call.op, known)
    if hint or len(call.op) > SHORT or len(call.args) != 1:
        return hint
    value = f"{call.op}[0]" if isinstance(call.args[0], Num) else f"{call.op} * (...)"
    return f"; {'an entry' if '[' in value else 'a product'} is written {value}"
