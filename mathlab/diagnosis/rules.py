"""The rules that no pattern can say: what is left out, other axes, other orders, amounts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from mathlab.diagnosis.rewrite import Change, Names, form, text
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, Slice, names, substitute, walk
from mathlab.language.terms import factors, grafted, is_number, length, product, terms, total, transposed, without

FLIP = Slice(None, None, -1)
OPENED = ("sqrt", "exp", "log", "matmul", "mul")  # and the activations: out of which a term or a factor may be moved
AXES = ("sum", "mean", "softmax", "log_softmax", "max", "logsumexp", "norm")  # what runs over axes
FEW = 4  # entries of a sum that are each tried as the only one that was taken; of more, the first and the last
SEVERAL = 0.02  # how much less likely a few terms are left out than all but one,
PAIR = 0.05  # and two of them
# how much less likely a single number is missing, beside a gradient and inside of what that is multiplied by: it may be
# another one that is as large, which the equations have written out
NUMBER, INNER = 0.59, 0.53
WIDER = 0.04  # how much less likely a factor is missing that gave a product its shape
MOST_TERMS = 6  # of a sum of which two are left out
INSIDE = 0.07  # how much less likely a factor is too much within a term
# of the axes of an array, other than the one that it has
ORDERS: Mapping[int, Sequence[tuple[int, ...]]] = {
    2: [(1, 0)],
    3: [(0, 2, 1), (1, 0, 2), (1, 2, 0)],
    4: [(0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 1, 3), (0, 1, 3, 2)],
}


# --- what is left out


def without_derivative(part: Expr, known: Names) -> Iterator[Change]:
    """A gradient without the local factors beside it: without all of them, then without each."""
    chain = factors(part)
    if len(chain) > 1 and (known.carries(part) or known.root):
        others = [n for n, factor in enumerate(chain) if not (known.carries(factor) or is_number(factor))]
        local = [n for n in others if getattr(chain[n], "op", "") != "ones_like"]
        beside = [n for n, factor in enumerate(chain) if n in local or isinstance(factor, Num)]  # 3 * z**2
        together = [some for some in (local, beside) if local and 1 < len(some) < len(chain)]
        for gone in [*together, *([n] for n in local)]:
            alone = product(*[chain[n] for n in gone])
            if len(gone) > 1 or known.types.of(alone).kind != "b":
                ops = [call.op for y, call in known.activations() if {*names(alone)} <= {y.id, known.mine}]
                of = f" (from the derivative of {ops[0]})" if gone == local and ops and names(alone) else ""
                words = f"the factor {text(alone)} is missing{of}"
                rest = without(chain, gone)
                # a row or column that a mean behind it may take off again
                wider = WIDER if known.shape(rest) != known.shape(part) else 0
                number = NUMBER if all(known.single(chain[n]) for n in gone) else 0
                yield words, rest, number or wider, of and f"derivative {known.root}"


def without_factor(part: Expr, known: Names) -> Iterator[Change]:
    """A factor of what a gradient is multiplied by: r * h in the gradient of U @ (r * h)."""
    chain = factors(part)
    if len(chain) > 1 and not (known.root and known.target in known.gradients) and not known.carries(part):
        for n, factor in enumerate(chain):
            if not is_number(factor):
                rest = without(chain, [n])
                rest = rest if known.shape(rest) == known.shape(part) else form("x * ones_like(y)", x=rest, y=factor)
                words = f"the factor {text(factor)} is missing in {text(part)}"
                yield words, rest, INNER * known.single(factor)


def without_term(part: Expr, known: Names) -> Iterator[Change]:
    """A term of a sum left out; of a longer sum, two, or all but one."""
    added = terms(part)
    if known.summand and not isinstance(part, Num):
        bias = isinstance(part, Name) and part.id in known.parameters
        nothing = form("zeros_like(x)", x=part) if known.summand == "concat" else Num(0)
        yield f"the {'bias' if bias else 'term'} {text(part)} is left out", nothing, SEVERAL * (len(added) > 1)
    if len(added) > 1 and not known.summand:
        shared = known.mine in known.parameters
        where = f"of {len(added)} of {'a parameter' if shared else 'a node'}"
        for n, term in enumerate(added) if len(added) > 2 else ():
            yield f"of {len(added)} terms, {text(term)} is taken alone", term, 0, f"{n} {where}"
        singles = itertools.combinations(range(len(added)), 1) if shared and known.root else ()
        pairs = itertools.combinations(range(len(added)), 2) if known.root and 3 < len(added) <= MOST_TERMS else ()
        for gone in (*singles, *pairs):
            rest = total(*(term for n, term in enumerate(added) if n not in gone))
            which = " and ".join(text(added[n]) for n in gone)
            words = f"the terms {which} are left out" if len(gone) > 1 else f"the term {which} is left out"
            yield words, rest, PAIR * (len(gone) > 1), f"without {gone} {where}"


def moved_out(part: Expr, known: Names) -> Iterator[Change]:
    """A bias after the activation, a gate after the product, a mask after the softmax: outside instead of inside."""
    if not isinstance(part, Call) or part.op not in (*ACTIVATIONS, *OPENED):
        return
    for n, arg in enumerate(part.args):
        match known.forward.get(arg.id, arg) if isinstance(arg, Name) else arg:
            case Call("add" | "sub" | "mul" | "div" as op, (x, y)):
                if part.op == "mul" and op in ("mul", "div"):
                    continue  # which is the same
                ways = [(x, y), (y, x)][: 1 + (op in ("add", "mul"))]
            case Call("where", (y, x, least)) if "softmax" in part.op and text(least).startswith("-"):
                op, ways = "mul", [(x, y)]
            case _:
                continue
        for inside, outside in ways:
            made = Call(op, (grafted(part, (n,), inside), outside))
            if known.shape(made) == known.shape(part):
                of = "the product" if part.op in ("mul", "matmul") else part.op
                yield f"{text(outside)} stands outside of {of} instead of inside, as {text(made)}", made


# --- sums


def some_entries(part: Expr, known: Names) -> Iterator[Change]:
    """Of a gradient some entries along an axis, the others 0: a loop that overwrites, ends too soon or returns."""
    shape, weight = known.shape(part), known.mine in known.parameters
    whole = known.root and len(shape) > (1 if weight else 2)
    inside = weight and bool(shape) and (isinstance(part, Name) or getattr(part, "op", "") == "reshape")
    if not known.carries(part) or not (whole or inside) or len(terms(known.backward[known.target])) > FEW:
        return
    for axes in [(axis,) for axis in range(len(shape))] + [(len(shape) - 2, len(shape) - 1)] * (len(shape) > 2):
        where = f" along {'axes' if len(axes) > 1 else 'axis'} {' and '.join(map(str, axes))}" * (len(shape) > 1)
        count = shape[axes[0]]
        entries = range(count) if count <= FEW else (0, count - 1)
        ways = (("is taken alone", "eq"), ("is left out", "ne"))[: 2 - (count == 2)]  # of two, both are the same
        for (words, op), n in itertools.product(ways, entries):
            made = part
            for axis in axes:
                kept = Call(op, (Call("arange", (Num(shape[axis]),)), Num(n)))
                ahead = [NewAxis()] * (len(shape) - 1 - axis)
                made = product(made, Call("index", (kept, ALL, *ahead)))
            of = known.target if known.root else text(part)
            yield f"of {of} entry {n} {words}{where}", made, 0, f"{n} {words}{where}"


def other_axis(part: Expr, known: Names) -> Iterator[Change]:
    """A sum, a mean or a softmax over another axis, or over all; one total in every entry."""
    if not (isinstance(part, Call) and part.op in AXES):
        return
    (x, *_), soft, shape = part.args, part.op.endswith("softmax"), known.shape(part.args[0])
    ndim = len(shape)
    own = -1 if part.attr("axis") is None and soft else part.attr("axis")
    keeps = tuple((name, value) for name, value in part.attrs if name == "keepdims")
    raised = form(f"exp(x - max(x, axis={own}, keepdims=True))", x=x) if soft else x
    for axis in range(ndim):
        if not (isinstance(own, int) and own % ndim == axis):
            words, made = f"{part.op} runs over axis {axis} in {text(part)}", (("axis", axis), *keeps)
            yield words, Call(part.op, part.args, made), 0, f"{part.op} over {axis}"
            if part.op == "sum" and isinstance(own, int) and shape[axis] != shape[own]:
                mean = product(Num(shape[own] / shape[axis]), Call(part.op, part.args, made))
                yield f"the mean runs over axis {axis} in {text(part)}", mean, 0, f"mean over {axis}"
            if isinstance(own, int) and ndim > 2 and not soft:
                more = (("axis", tuple(sorted((own % ndim, axis)))), *keeps)
                words = f"{part.op} runs over axis {axis} as well in {text(part)}"
                yield words, Call(part.op, part.args, more), 0, f"{part.op} over {axis} too"
            if not (keeps or soft) and ndim == 2:
                yield words, Call(part.op, part.args, (*made, ("keepdims", True)))
            if part.op == "softmax":  # the largest is taken off along one axis, the sum along the other
                wrong = form(f"r / sum(r, axis={axis}, keepdims=True)", r=raised)
                yield f"the sum in softmax runs over axis {axis} in {text(part)}", wrong
    if part.op == "softmax" and ndim > 1:
        for powers in (raised, form("exp(x)", x=x)):
            yield f"the sum in softmax runs over all entries in {text(part)}", form("r / sum(r)", r=powers)
    if part.op == "sum" and isinstance(own, tuple):
        for some in itertools.chain(*(itertools.combinations(own, n) for n in range(1, len(own)))):
            over = f"over ax{'e' if len(some) > 1 else 'i'}s {' and '.join(map(str, some))}"
            averaged = Call("div", (part, Num(length(shape, some))))
            yield f"{text(part)} is averaged {over} instead of summed", averaged, 0, f"averaged {over}"
    if own is not None and not soft:
        words, made_of_all = f"{part.op} runs over all entries in {text(part)}", Call(part.op, part.args, keeps)
        yield words, made_of_all
        if known.shape(part):
            yield f"{words}, and stands in every entry", form("zeros_like(x) + y", x=part, y=made_of_all)


def row_sums(part: Expr, known: Names) -> Iterator[Change]:
    """The gradient of a bias from the sums of that of its weight's rows or columns."""
    if not known.root or known.mine not in known.parameters:
        return
    keeps = (("keepdims", True),) if len(known.types.names[known.target].shape) == 2 else ()
    for weight in [other for reader in known.readers(known.mine)[:1] for other in known.reads(reader)]:
        gradient, ndim = f"d{weight}", len(known.types.names[weight].shape)
        if weight != known.mine and gradient in known.gradients and ndim > 1:
            others = [tuple(axis for axis in range(ndim) if axis != own) for own in range(ndim)]
            for axes, op in itertools.product(others, ("sum", "mean")):
                new = Call(op, (Name(gradient),), (("axis", axes[0] if ndim == 2 else axes), *keeps))
                yield f"{known.target} is taken from {gradient}, as {text(new)}, instead of {text(part)}", new


def other_order(part: Expr, known: Names) -> Iterator[Change]:
    """A reshape whose entries are taken, or put, in another order: channels last, heads that are not moved back."""
    match part:
        case Call("reshape", (x, *_)):
            shape, made = known.shape(x), known.shape(part)
            words = f"the entries of {text(x)} are"
            if isinstance(x, Call) and x.op in ("T", "mT", "transpose"):
                flat = Call("reshape", (x.args[0], *map(Num, made)))
                yield f"{text(x.args[0])} is reshaped without being transposed before", flat
            for axes in ORDERS.get(len(shape), ()):
                moved = Call("transpose", (x, *map(Num, axes)))
                yield f"{words} taken in the order of {text(moved)}", Call("reshape", (moved, *map(Num, made)))
            for axes in ORDERS.get(len(made), ()):
                put = Call("reshape", (x, *(Num(made[axis]) for axis in axes)))
                back = Call("transpose", (put, *(Num(axes.index(axis)) for axis in range(len(axes)))))
                yield f"{words} put in another order, as {text(back)}", back
            columns = transposed(Call("reshape", (transposed(x), *map(Num, made[::-1]))))
            yield f"{text(x)} is reshaped in Fortran order", columns
            for axis in (k for k, count in enumerate(made) if count == 2):
                words = f"the two along axis {axis} of {text(part)} are each in the other's place"
                yield words, Call("flip", (part,), (("axis", axis),))
        case Call("concat", joined):
            for n, m in itertools.combinations(range(len(joined)), 2):
                other = tuple(joined[{n: m, m: n}.get(k, k)] for k in range(len(joined)))
                words = f"{text(joined[n])} and {text(joined[m])} are joined each in the other's place"
                yield words, Call("concat", other, part.attrs), 0, f"{n} and {m} joined"
        case Call("transpose", (x, *_)) if known.root or sorted(known.shape(x)) == sorted(known.shape(part)):
            made = known.shape(part)
            yield f"{text(x)} is reshaped instead of transposed", Call("reshape", (x, *map(Num, made)))


def assigned(part: Expr, known: Names) -> Iterator[Change]:
    """Rows of an embedding's gradient that are set instead of added to, so that of equal indices the last one stays."""
    match part:
        case Call("scatter", (g, base, Name(index))) if known.types.names[index].shape:
            shape = known.types.names[index].shape
            count, wide = math.prod(shape), len(known.shape(g)) - len(shape)
            flat, place = form(f"reshape(x, {count})", x=Name(index)), Call("array", tuple(map(Num, range(count))))
            again = form("sum((x[:, None] == x[None, :]) * (k[:, None] < k[None, :]), axis=1)", x=flat, k=place)
            last = Call("reshape", (Call("eq", (again, Num(0))), *map(Num, shape)))
            kept = product(g, Call("index", (last, *[ALL] * len(shape), *[NewAxis()] * wide)))
            words = f"rows of {text(base)} that {index} has several times are set instead of added to"
            yield words, Call("scatter", (kept, base, Name(index))), 0, "set"


# --- amounts


def scaled_term(part: Expr, known: Names) -> Iterator[Change]:
    """A gradient, or the loss, times a number of the experiment. By what a term is, the search solves for."""
    if known.root and known.target in (*known.gradients, [*known.forward][-1]):
        for value, why in known.numbers:
            yield scaled(part, value, why), product(Num(value), part)


def mean_of_fewer(part: Expr, known: Names) -> Iterator[Change]:
    """A mean over all axes that divides by the length of one of them: by the samples, and not by their entries too."""
    readers = known.readers(known.mine) if known.root and known.target in known.gradients else ()
    for mean in (inner for reader in readers for inner in walk(known.forward[reader])):
        if isinstance(mean, Call) and mean.op == "mean" and known.mine in names(mean):
            shape = known.shape(mean.args[0])
            count = length(shape, mean.attr("axis"))
            for times in dict.fromkeys(n for n in shape if 1 < n < count and count % n == 0):
                words = f"the mean of {text(mean.args[0])} divides by {count // times}, not by all {count} entries"
                yield words, product(Num(times), part)


def scaled(term: Expr, value: float, why: str) -> str:
    """That a term is so many times what it should be, in words."""
    penalty = isinstance(term, Call) and term.op == "mul" and len(names(term)) == 1 and isinstance(term.args[0], Num)
    what = f"the {'regularisation ' if penalty else ''}term {text(term)}"
    if value in (2.0, 0.5):
        return f"{what} is {'twice' if value == 2 else 'half of'} what it should be"
    return f"{what} is {value:.4g} times what it should be{': ' * bool(why)}{why}"


def penalty_too_much(part: Expr, known: Names) -> Iterator[Change]:
    """What pulls another parameter to 0, as weight decay does, pulling this one too: a bias."""
    for name, expr in known.backward.items() if known.root and known.mine in known.parameters else ():
        other = known.node(name)
        for term in terms(expr) if other in known.parameters and other != known.mine else ():
            alone = not any(known.types.names[read].shape for read in names(term) if read != other)
            made = substitute(term, {other: Name(known.mine)})
            if alone and made != term and known.shape(made) == known.shape(part):
                words = f"the regularisation term {text(made)} is too much"
                yield words, form("x + y", x=part, y=made), 0, "penalty"


def other_length(part: Expr, known: Names) -> Iterator[Change]:
    """One length in place of another, as N - 1 for N in a variance, or how many entries there are for their sum."""
    match part:
        case Call("sum", (inner,)) if not (known.carries(inner) or known.shape(part)):
            if known.gradients.isdisjoint(f"d{name}" for name in names(inner)):
                count = length(known.shape(inner), part.attr("axis"))
                yield f"{text(part)} is taken for the number of entries, {count}", Num(count)
        case Call("mean", (inner,), attrs) if (count := length(known.shape(inner), part.attr("axis"))) > 2:
            less = form(f"x / {count - 1}", x=Call("sum", (inner,), attrs))
            yield f"{text(part)} divides by {count - 1}, one less than there are", less, 0, "one less"
        case Call("std" | "var", args, attrs):
            less = Call(part.op, args, (*((name, value) for name, value in attrs if name != "ddof"), ("ddof", 1)))
            yield f"{text(part)} divides by one less than there are", less, 0, "one less"
        case Call("sqrt", (Num(k),)):
            for value, why in known.numbers:
                if value > 1 and value not in (2, k):
                    yield f"sqrt({value:g}) stands in place of {text(part)}: {why}", Call("sqrt", (Num(value),))


def extra_factor(part: Expr, known: Names) -> Iterator[Change]:
    """A product, or a gradient as it is handed on, with a value from around that does not belong there."""
    alone = isinstance(part, Name) and part.id in known.gradients and not known.root
    inside = isinstance(part, Call) and part.op in ("matmul", "outer")
    close = [known.mine, known.owner, *known.reads(known.mine), *known.reads(known.owner), *known.readers(known.mine)]
    for name in dict.fromkeys(close) if alone or ((known.root or inside) and known.carries(part)) else ():
        type_ = known.types.names.get(name)
        if type_ and type_.kind == "f" and part != Name(name) and (type_.shape == known.shape(part) or not alone):
            where = f" in {text(part)}" if alone else ""
            yield f"the factor {name} is too much{where}", product(part, Name(name)), INSIDE * alone
