"""Which quantity an array of somebody else's program is of, by what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

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
    sought = [*names]
    nodes = _nodes(case)
    known: list[dict[str, tuple[str, set[str]]]] = [{}, {}, {}]  # as it is written, without signs, without capitals
    for form, name, quantity in _forms(case, nodes):
        for table, text in zip(known, _loosened(form.format(name=name, end=case.equations[-1].name)), strict=True):
            usual, quantities = table.setdefault(text, (form, set()))
            if form == usual:
                quantities.add(quantity)
    found = {}
    for name in sought:
        fitting = (table[text] for table, text in zip(known, _loosened(name), strict=True) if text in table)
        _, quantities = next(fitting, ("", set()))
        if len(quantities) == 1:
            (found[name],) = quantities
    return {**found, **_said(given or {}, sought, nodes)}


def wanted(case: Case) -> str:
    """What arrays may be called here, in a sentence."""
    nodes = _nodes(case)
    some = next(iter(case.parameters), nodes[0])
    aliases = ", ".join(alias.format(name=some) for alias in SHOWN)
    return f"sought were {', '.join(nodes)}, and for the gradient of {some}: {aliases}"


def _said(given: Mapping[str, str], sought: Iterable[str], nodes: Iterable[str]) -> dict[str, str]:
    """What is said of some arrays, when they and the quantities exist."""
    known = [*chain.from_iterable((name, f"d{name}") for name in nodes)]
    arrays = [*sought]
    for array, quantity in given.items():
        if array not in arrays:
            raise MathlabError(f"--map {array}={quantity}: there is no array {array!r}{did_you_mean(array, arrays)}")
        if quantity not in known:
            hint = did_you_mean(quantity, known)
            raise MathlabError(f"--map {array}={quantity}: there is no node or gradient {quantity!r}{hint}")
    return dict(given)


def _nodes(case: Case) -> list[str]:
    return [*case.inputs, *case.parameters, *(equation.name for equation in case.equations)]


def _forms(case: Case, nodes: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """What a quantity may be called, with its node's name and its own: the nodes themselves first."""
    for form in (*HOLDERS, *ALIASES):
        for name in nodes:
            yield form, name, name if form in HOLDERS else f"d{name}"


def _loosened(text: str) -> tuple[str, str, str]:
    plain = re.sub(r"[^\w∂∇]|_", "", text).replace("∂", "d").replace("∇", "nabla")
    return text, plain, plain.casefold()
