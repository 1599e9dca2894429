"""The equations with a name for every activation and for what goes into it, so that layers and steps look alike.

An article writes `h2 = tanh(W @ x2 + U @ h1)` for one step and `z = ...; h = tanh(z)` for the next net; the mistakes of
their backward passes are the same, and are looked for in one form. A sigmoid that is written out is one too.

And the gradient of what is normalised in one line, as it is derived by hand: (g - mean(g) - n * mean(g * n)) / s. The
lab hands it on through the mean and the spread, each by an equation of its own; who takes the short form forgets a term
of that one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from mathlab.diagnosis.rewrite import Names, form, rule_of
from mathlab.diagnosis.worlds import Evaluator
from mathlab.experiment import Case
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, names, unparse
from mathlab.language.syntax import replace as rewritten
from mathlab.language.terms import factors, grafted, inverse, parts, product, terms, total
from mathlab.stages.prepare import Prepared
from mathlab.stages.shares import handed

NOTHING = Names(Types({}), frozenset(), frozenset())
SPELLINGS = ("1 / (1 + exp(-x)) | sigmoid(x)", "1 / (exp(-x) + 1) | sigmoid(x)", "a * a | a**2", "square(x) | x**2")
ONE_SPELLING = rule_of((*SPELLINGS, "maximum(0, x) | relu(x)", "maximum(x, 0) | relu(x)"))
GUARDED = re.compile(r"where\((.+?) > 0, \1, [^,]+ == 0\)")  # what a norm divides by, which nobody writes so
WHOLE = "_normalised"
FORMS = (  # of a batch or layer norm, of an RMS norm, and of a vector of length 1
    "(g - mean(g, axis={0}, keepdims=True) - n * mean(g * n, axis={0}, keepdims=True)) / s",
    "(g - n * mean(g * n, axis={0}, keepdims=True)) / s",
    "(g - n * sum(g * n, axis={0}, keepdims=True)) / s",
)


def unfolded(case: Case) -> tuple[Case, Mapping[str, str]]:
    """The case with its activations apart, and what each name more is called: `the pre-activation of h2`."""
    taken = {*case.inputs, *case.parameters, *(equation.name for equation in case.equations)}
    out: list[Equation] = []
    called: dict[str, str] = {}

    def named(expr: Expr, stem: str, what: str) -> Name:
        name = next((equation.name for equation in out if equation.expr == expr), "")
        if not name:
            fresh = itertools.chain([stem], (f"{stem}{k}" for k in itertools.count(2)))
            name = next(word for word in fresh if word not in taken)
            taken.add(name)
            called[name] = what
            out.append(Equation(name, expr))
        return Name(name)

    def apart(expr: Expr, equation: str, root: bool = False) -> Expr:
        """The expression with its activations, and what goes into them, read by name."""
        if not isinstance(expr, Call):
            return expr
        args = tuple(apart(arg, equation) for arg in expr.args)
        if expr.op in ACTIVATIONS and isinstance(args[0], Call):
            what = f"the pre-activation of {equation}" if root else f"what goes into {expr.op} in {equation}"
            args = named(args[0], f"{equation}_in", what), *args[1:]
        made = Call(expr.op, args, expr.attrs, expr.position)
        return named(made, f"{equation}_{expr.op}", unparse(expr)) if expr.op in ACTIVATIONS and not root else made

    for equation in case.equations:
        expr = apart(_plain(equation.expr), equation.name, root=True)
        out.append(equation.saying(expr))
    return replace(case, equations=tuple(out)), called


def _plain(expr: Expr) -> Expr:
    """The expression with what has several spellings in one: a sigmoid that is written out, a square as a product."""
    plain = rewritten(expr, lambda part: next((spelt for _, spelt, *_ in ONE_SPELLING(part, NOTHING)), None))
    return plain if plain == expr else _plain(plain)


def told(text: str, called: Mapping[str, str], parts: Mapping[str, str]) -> str:
    """A text with the names that nobody knows said in words; `parts` are the pieces of gradients, and what they are."""
    text = GUARDED.sub(r"\1", text)
    bare = {name: what.removeprefix("the ") for name, what in called.items()}
    words = {**parts, **{f"d{name}": f"d({what})" for name, what in bare.items()}}
    words |= {name: f"({what})" if " " in what else called[name] for name, what in bare.items()}
    unknown = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.sub(rf"(?<!\w)({unknown})(?!\w)", lambda found: words[found[1]], text) if words else text


def forms(evaluator: Evaluator, known: Names) -> Iterator[tuple[str, Expr]]:
    """The gradients that may have a closed form, and what it may be: of several one is true.

    The form is looked for where an equation multiplies x, or x less its mean, which may be named, by what has less of
    its shape.
    """
    places = ((name, expr, path, part) for name, expr in known.forward.items() for path, part, *_ in parts(expr))
    for name, expr, path, part in places:
        chained = factors(part) if isinstance(part, Call) and part.op in ("mul", "div") else []
        for scale, whole in itertools.permutations(chained, 2):
            shape, small = known.shape(whole), known.shape(scale)
            small = (1,) * (len(shape) - len(small)) + small
            axes = tuple(k for k, (a, b) in enumerate(zip(shape, small, strict=False)) if a > b == 1)
            rest = [factor for factor in chained if factor not in (scale, whole)]
            n = product(whole, scale) if path or rest else Name(name)
            line = Equation(name, grafted(expr, path, product(Name(WHOLE), *rest)))
            for x in _centred(whole, known) if axes else ():
                between = {name, *evaluator.named(evaluator.ahead.get(x, 0) & evaluator.behind[name])}
                sought = f"d{x}" in known.backward and known.shape(Name(x)) == shape
                apart = {x, *between}.isdisjoint(names(scale))
                if sought and not apart and (g := _handed_on(line, known.types.of(whole), evaluator.prepared)):
                    through = {read for read in known.gradients if known.node(read) in between}
                    others = [term for term in terms(known.backward[f"d{x}"]) if through.isdisjoint(names(term))]
                    for written in FORMS:
                        made = form(written.format(axes[0] if len(axes) == 1 else axes), g=g, n=n, s=inverse(scale))
                        yield f"d{x}", total(made, *others)


def _centred(whole: Expr, known: Names) -> Iterator[str]:
    """The names of which something may be x, or x less its mean, as it stands there or under a name."""
    if isinstance(whole, Name):
        yield whole.id
    for expr in (whole, known.forward.get(unparse(whole))):
        match expr:
            case Call("sub", (Name(x), _)):
                yield x


def _handed_on(line: Equation, type_: Type, prepared: Prepared) -> Expr | None:
    """The gradient that an equation hands to what is called `WHOLE` in it."""
    return (handed((line,), prepared, (WHOLE, type_), (f"d{WHOLE}", type_)) or {}).get(f"d{WHOLE}")
