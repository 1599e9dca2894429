"""What each path contributes to a gradient: the share that every equation reading a name hands back to it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM, derive
from mathlab.language.equation import Equation, by_name
from mathlab.language.shapes import Type
from mathlab.language.simplify import Builder, Factor, is_ones, join, split
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, names, replace, substitute, unparse, walk
from mathlab.language.terms import factors, without
from mathlab.results.judged import Part, Share
from mathlab.stages.prepare import Env, Prepared, evaluate, sealed

MIXING = frozenset("sum mean matmul dot outer scatter ones_like ones".split())  # where one entry is made of several


def readers(prepared: Prepared, name: str) -> tuple[str, ...]:
    """The equations that hand something back to a name whose gradient is known, as they run."""
    shares = prepared.backward.shares.get(name, ()) if f"d{name}" in prepared.types.names else ()
    return tuple(dict.fromkeys(reader for reader, _ in shares if reader))


def shares_of(prepared: Prepared, values: Env, name: str) -> tuple[Share, ...]:
    """What the equations that read a name hand back to it, in order; it sums to the gradient, up to rounding."""
    builder = Builder(Types({n: Type(np.shape(value)) for n, value in values.items()} | prepared.types.names))
    forward = {equation.expr: Name(equation.name) for equation in reversed(prepared.equations)}
    type_ = prepared.types.names[name]
    found = []
    for reader in readers(prepared, name):
        pieces = [piece for source, piece in prepared.backward.shares[name] if source == reader]
        whole = builder.fit(builder.total(pieces), Name(name))
        expr = replace(whole, lambda part: forward.get(part) if isinstance(part, Call) else None)
        found.append((reader, expr, _factors(prepared, reader, expr)))
    wanted = dict.fromkeys(part for _, expr, pair in found for part in (expr, *pair))
    lines = [Equation("", expr) for expr in wanted]
    computed = dict(zip(wanted, evaluate(lines, prepared, values), strict=True))

    def part(role: str, expr: Expr) -> Part:
        return Part(role, unparse(expr), sealed(np.broadcast_to(computed[expr], type_.shape)))

    def share(reader: str, expr: Expr, pair: Sequence[Expr]) -> Share:
        whole = part("", expr)
        parts = tuple(map(part, ("upstream", "local"), pair))
        return Share(reader, whole.equation, whole.value, parts, prepared.fused.get(reader, ()))

    return tuple(itertools.starmap(share, found))


def _factors(prepared: Prepared, reader: str, share: Expr) -> tuple[Expr, ...]:
    """The upstream gradient and the local factor of which a share is the product, entry by entry; nothing elsewhere."""
    upstream = {f"d{reader}", *prepared.backward.parts.get(reader, ())}
    chain = factors(share)
    for at, leaf in enumerate(chain):
        if base_of(leaf) in upstream:
            local = join(*split(without(chain, {at})))
            return () if upstream & {*names(local)} else (leaf, local)
    # an upstream gradient of ones, or of so many ones, is not written out
    written = by_name(prepared.backward.equations)
    (count, ones), (own, rest) = split(written.get(f"d{reader}", Num(1))), split(share)
    mixed = any(isinstance(part, Call) and part.op in MIXING for part in walk(rest))
    if not is_ones(ones) or not count.top or mixed or upstream & {*names(share)}:
        return ()
    ratio = (own.top / own.bottom) / (count.top / count.bottom)
    return join(count, Num(1)), join(Factor(Fraction(ratio.numerator), ratio.denominator), rest)


def base_of(expr: Expr) -> str:
    """The name that stands there as a whole, whatever its axes; else empty."""
    match expr:
        case Name(name):
            return name
        case Call("index", (Name(name), *items)) if all(i in (NewAxis(), ALL) for i in items):
            return name
    return ""


@lru_cache(10_000)  # a mistake at many places is asked for what stood at each of them, as others at these places are
def handed(lines: tuple[Equation, ...], prepared: Prepared, *more: tuple[str, Type]) -> Mapping[str, Expr] | None:
    """What equations, were they these, hand to the gradients of what they read; None where they do not fit the rest.

    Of several, all lead to the last, by whose gradient it is told. It is written out, without names for its parts.
    """
    known, last = {**prepared.types.names, **dict(more)}, lines[-1].name
    read = dict.fromkeys(other for line in lines for other in names(line.expr) if other in known)
    types = Types({other: known[other] for other in read}, prepared.types.integral)
    wanted = [other for other in read if known[other].kind == "f" and f"d{other}" in known]
    types.names |= {**{line.name: known[line.name] for line in lines}, UPSTREAM: known[last]}
    try:
        if any(types.of(line.expr).shape != known[line.name].shape for line in lines):
            return None
        backward = derive(lines, types, wanted)
    except (ExpressionError, MathlabError):
        return None
    upstream = Name(f"d{last}") if last != prepared.end else Name(UPSTREAM) if UPSTREAM in known else Num(1)
    parts: dict[str, Expr] = {UPSTREAM: upstream}
    for equation in backward.equations:
        parts[equation.name] = substitute(equation.expr, parts)
    return {f"d{other}": parts[f"d{other}"] for other in wanted if f"d{other}" in parts}
