"""Which quantity an array of somebody else's program is of, by what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product

from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Case

# what else the gradient of W1 may be called, for W1 and for a last equation named loss: the usual ones first
ALIASES = (
    *("d{name}", "d_{name}", "grad_{name}", "{name}_grad", "{name}.grad", "g_{name}", "grad{name}"),
    *("d{end}_d{name}", "d{end}/d{name}", "dL_d{name}", "dL/d{name}", "dL_{name}"),
    *("grads['{name}']", "grads['d{name}']", "grads_{name}", "grads_d{name}", "{name}_grads", "{name}_gradient"),
    *("gradient_{name}", "gradients_{name}", "gradients['d{name}']", "grad_d{name}", "nabla_{name}", "g{name}"),
    *("dJ_d{name}", "dC_d{name}", "dE_d{name}", "dloss_d{name}", "dcost_d{name}", "derror_d{name}", "dJ_{name}"),
    *("{name}_g", "partial_{name}", "d{name}_total", "∂L/∂{name}", "∇{name}", "self.grad_{name}", "self.d{name}"),
)
HOLDERS = ("{name}", "params['{name}']", "parameters['{name}']", "cache['{name}']", "self.{name}", "{name}.data")
SHOWN = ("d{name}", "grad_{name}", "{name}_grad", "grads['{name}']", "nabla_{name}", "g{name}", "dL_d{name}")


def matched(case: Case, names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Each array's name with the quantity it is of: `W1` of itself, `W1_grad` of `dW1`; `given` says it of some.

    Signs between letters and digits do not count (`dLdW1` is `dL/dW1`), and where nothing else fits nor do capitals
    (`dw1`). A name that fits two quantities equally well is none. Raises MathlabError where `given` names what is not
    there.
    """
    sought, nodes = [*names], _nodes(case)
    known: dict[tuple[int, str], tuple[str, set[str]]] = {}  # as it is written, 1 without signs, 2 without capitals
    for form, name in product((*HOLDERS, *ALIASES), nodes):  # the nodes themselves first
        quantity, text = name if form in HOLDERS else f"d{name}", form.format(name=name, end=case.equations[-1].name)
        for key in enumerate(_loosened(text)):
            usual, quantities = known.setdefault(key, (form, set()))
            if form == usual:
                quantities.add(quantity)
    found = {}
    for name in sought:
        _, quantities = next((known[key] for key in enumerate(_loosened(name)) if key in known), ("", set()))
        if len(quantities) == 1:
            (found[name],) = quantities
    every = [quantity for name in nodes for quantity in (name, f"d{name}")]
    for array, quantity in (given or {}).items():
        if array not in sought:
            raise MathlabError(f"--map {array}={quantity}: there is no array {array!r}{did_you_mean(array, sought)}")
        if quantity not in every:
            hint = did_you_mean(quantity, every)
            raise MathlabError(f"--map {array}={quantity}: there is no node or gradient {quantity!r}{hint}")
    return {**found, **(given or {})}


def wanted(case: Case) -> str:
    """What arrays may be called here, in a sentence."""
    nodes = _nodes(case)
    some = next(iter(case.parameters), nodes[0])
    aliases = ", ".join(alias.format(name=some) for alias in SHOWN)
    return f"sought were {', '.join(nodes)}, and for the gradient of {some}: {aliases}"


def _nodes(case: Case) -> list[str]:
    return [*case.inputs, *case.parameters, *(equation.name for equation in case.equations)]


def _loosened(text: str) -> tuple[str, str, str]:
    plain = re.sub(r"[^\w∂∇]|_", "", text).replace("∂", "d").replace("∇", "nabla")
    return text, plain, plain.casefold()
