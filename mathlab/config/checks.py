"""What a model cannot see: names that nothing defines, equations out of order, training that does not add up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from mathlab import habits, signs
from mathlab.config.keys import mapping
from mathlab.config.yamltext import Table, places
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import Case, HandFormula, TrainSettings
from mathlab.language import OPS, read
from mathlab.language.check import CONSTANTS
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.syntax import Call, Name, Num, names, walk

LARGEST = 18_000  # operations in the equations, formulas and figures of all cases; a few seconds
LISTED = 8  # names that there are, where another was meant
LONGEST_PRODUCT = 4  # letters of names that stand side by side, as in Wx; more are a name misspelt
CASE = 50  # operations that a case takes whatever it holds
NUMBERS = 4  # printed numbers that take as long as an operation
# what the rest of a name means when it begins so
PREFIXES = {"d": "the gradient", "central_": "the central difference", "complex_": "the complex step"}


def check(case: Case, tree: Table, own: Table, top: Table, unreadable: Collection[str]) -> Iterator[Problem]:
    """The problems of one case with all that it inherits, which its `tree` says: what is its `own`, and the `top`'s.

    `unreadable` are names that the file defines in a way that is already a problem: reading one is no second problem.
    """
    yield from _definitions(case, tree)
    yield from _unread(case, own, top)
    if not case.equations and not unreadable:
        yield Problem("an experiment needs equations", case.place)
    elif not case.inputs and not case.parameters and not unreadable:
        yield Problem("an experiment needs inputs or parameters", case.place)
    defined = dict.fromkeys((*case.inputs, *case.parameters, *(one.name for one in case.equations)))
    constants = [name for name in CONSTANTS if name not in defined]
    yield from _order(case.equations, {*case.inputs, *case.parameters, *unreadable, *constants})
    meant = (*defined, *sorted(unreadable))
    readable = dict.fromkeys((*meant, *(f"d{name}" for name in meant), *constants))
    witnesses = dict.fromkeys(f"{prefix}{name}" for prefix in ("central_", "complex_") for name in case.parameters)
    end = case.equations[-1].name if case.equations else ""
    yield from {one.place: one for one in _derivation(case.derivation[::-1], meant, readable, end)}.values()
    yield from _quantities(case.expected, readable, end)
    if case.gradcheck:
        yield from _quantities(case.gradcheck.expected, readable | witnesses, end)
    if case.train:
        after = (one for _, figures in case.train.after for one in figures)
        yield from _quantities(after, readable | dict.fromkeys(_state(case.train, case, shown=True)), end)
        yield from _training(case.train, case, mapping(tree["train"]), unreadable)
    yield from _quantities(case.sweep.report if case.sweep else (), readable, end, "report")


def _definitions(case: Case, tree: Table) -> Iterator[Problem]:
    seen: dict[str, tuple[str, Place]] = {}
    inputs, parameters = places(tree.get("inputs")), places(tree.get("parameters"))
    for kind, section in (
        ("an input", [(name, inputs.get(name)) for name in case.inputs]),
        ("a parameter", [(name, parameters.get(name)) for name in case.parameters]),
        ("an equation", [(one.name, one.named_at) for one in case.equations]),
    ):
        for name, place in section:
            assert place, "every name of a config stands somewhere"
            if name == UPSTREAM:
                yield Problem(f"'{name}' is reserved: it means the gradient of the last equation", place)
            if name in seen:
                first, earlier = seen[name]
                yield Problem(f"'{name}' is {first} (line {earlier.line}) and cannot be {kind} too", place)
            seen.setdefault(name, (kind, place))
    told: set[Place] = set()  # of all steps of a loop, one
    for prefix, meaning in PREFIXES.items():
        for name, (kind, place) in seen.items():
            of = name.removeprefix(prefix)
            if of != name and of in seen and place not in told:
                told.add(place)
                hint = "; what is given of it is the 'upstream'" if kind == "an input" and of == [*seen][-1] else ""
                yield Problem(f"'{name}' is reserved: it means {meaning} of '{of}'{hint}", place)


def _unread(case: Case, own: Table, top: Table) -> Iterator[Problem]:
    """What a case gives of its `own` that nothing reads, and that is called like another but for signs: x beside X."""
    read = case.judged.union(*(names(one.expr) for one in case.mentioned))
    for section in ("inputs", "parameters"):
        above = places(top.get(section))
        twins = {habits.folded(one): one for one in reversed(above)}
        for name, place in places(own.get(section)).items():
            twin = twins.get(habits.folded(name), name)
            if name not in above and twin != name and not read & {name, f"d{name}"}:
                yield Problem(f"nothing reads '{name}'; did you mean '{twin}'?", place)


def _order(equations: Sequence[Equation], values: Collection[str]) -> Iterator[Problem]:
    position = {one.name: index for index, one in enumerate(equations)}
    told: set[Place | None] = set()  # what is wrong in a loop, of the first step
    for formula in equations:
        key = formula.name
        where = f"'{key}'{f' at {formula.step}' if formula.step else ''}"
        for part in _names(formula):
            place = formula.place_of(part)
            before = part.id != key and position.get(part.id, len(position)) < position[key]
            if before or part.id in values or (formula.step and place in told):
                continue
            told.add(place)
            if part.id == key:
                yield Problem(f"{where} reads itself", place)
            elif part.id not in position:
                named = [one for one in (*values, *position) if len(part.id) > 1 or one not in CONSTANTS]  # i is no pi
                # what looks like a step that is missing is another one, of which a later one is not meant
                near = [one for one in named if not formula.step or position.get(one, -1) < position[key]]
                hint = _meant(part.id, formula, near) or "; what it stands for is given in inputs or parameters"
                gradient = part.id[0] in "dgn∂" and not part.id.startswith("d_")  # d_k is a size
                if gradient and (signs.gradient_of(part.id) or part.id[1:]) in named:
                    hint = "; equations read no gradients: those stand in 'expected' and in 'derivation'"
                yield Problem(f"unknown name '{part.id}' in {where}{hint}", place)
            else:
                later = equations[position[part.id]].named_at
                line = f", on line {later.line}" if later else ""
                yield Problem(f"{where} reads '{part.id}', which is defined later{line}", place)


def _names(formula: Equation) -> list[Name]:
    """The names a formula reads, each at its first mention."""
    first = {part.id: part for part in [*walk(formula.expr)][::-1] if isinstance(part, Name)}
    return [first[name] for name in names(formula.expr)]


def _derivation(
    derivation: Sequence[HandFormula], defined: Collection[str], readable: Collection[str], end: str
) -> Iterator[Problem]:
    gradients = [f"d{name}" for name in defined]
    for formula in derivation:
        key = formula.name
        if key not in gradients:
            whole = re.sub(r"(_?\d+)+$", "", key)  # of what may be written dW[0,0]
            hint = _gradient_meant(key, gradients) or did_you_mean(key, gradients)
            hint = f"; {whole} is given whole, not by its entries" if whole in gradients else hint
            message = f"a derivation gives the gradient d<name> of a name, and '{key}' is none{hint}"
            yield Problem(message, formula.named_at)
        yield from _unknown(formula, readable)
        yield from _divided(formula, readable, end)
        if key in gradients and key in names(formula.expr):
            yield Problem(f"the formula for '{key}' reads '{key}' itself", formula.place)


def _unknown(formula: Equation, known: Collection[str]) -> Iterator[Problem]:
    for part in _names(formula):
        if part.id not in known:
            quotient = re.search(rf"\b{re.escape(part.id)}/d\w+", formula.text)
            hint = _gradient_meant((quotient or [formula.text])[0], known) or _meant(part.id, formula, known)
            if habits.here(part.id, ["digits"]):
                hint = "; a figure is judged by the digits that it is printed with"
            hint = hint or f"; there are {', '.join([*known][:LISTED])}{', ...' * (len(known) > LISTED)}"
            inside = "" if formula.text == part.id else f" in '{formula.text}'"
            yield Problem(f"unknown name '{part.id}'{inside}{hint}", formula.place_of(part))


def _gradient_meant(name: str, known: Collection[str]) -> str:
    """A hint for who writes dL/dw, grad_w or w_grad."""
    meant = signs.gradient_of(name)
    return f"; the gradient of '{meant}' is 'd{meant}'" if f"d{meant}" in known else ""


def _meant(name: str, formula: Equation, known: Collection[str]) -> str:
    """A hint for a name that nothing defines: another tool's, one misspelt, an entry, x² or π."""
    if written := signs.sign(formula.text, signs.SUPERSCRIPTS) or habits.CONSTANTS.get(name):
        return f"; write {written}"
    owner, _, index = name.rpartition("_")
    if owner in known and index in known:
        return f"; an entry is written {owner}[{index}]"
    series = re.sub(r"(_?\d+)+$", "", name)
    if series != name and series in known:
        return f"; did you mean {series!r}, or an entry of it, as in {series}[0]?"
    steps = [*filter(re.compile(rf"{re.escape(series)}_?\d+(_\d+)*").fullmatch, known)]
    if steps and formula.step and name == series:
        return f"; a step is told by its number, as in {name}[{formula.step.at[-1][0]}-1]"
    if len(steps) > 2:
        some = f"{steps[0]}, {steps[1]} and more: one is told by its number"
        return f"; there are {some if name == series else f'{steps[0]} to {steps[-1]}'}"
    updated = re.fullmatch(r"(\w+?)_?(?:new|next|updated|after)", name)
    if updated and updated[1] in known:
        return f"; what '{updated[1]}' is after an update is a figure '{updated[1]}' in train's 'after'"
    if name in OPS:
        return f"; {name} is a function, and called as in {name}(x)"
    for at in range(1, 0 if name[0] == "d" or len(name) > LONGEST_PRODUCT else len(name)):
        if (called := habits.first(name[:at])) in OPS and name[at:] in known:
            return f"; a function is called as in {called}({name[at:]})"
        if name[:at] in known and name[at:] in known:
            return f"; a product is written {name[:at]} @ {name[at:]}, or {name[:at]} * {name[at:]}"
    instead = habits.expression(name) if len(name) > habits.SHORT else ""
    return _gradient_meant(name, known) or did_you_mean(name, known) or (instead and f"; write {instead}")


def _quantities(
    quantities: Iterable[Equation], known: Collection[str], end: str, use: str = "compare with"
) -> Iterator[Problem]:
    for quantity in quantities:
        yield from _divided(quantity, known, end)
        if isinstance(read(quantity.text), Num):  # in the text, for what a loop counts to is a number by now
            yield Problem(f"'{quantity.text}' names nothing to {use}", quantity.place)
        yield from _unknown(quantity, known)


def _divided(formula: Equation, known: Collection[str], end: str) -> Iterator[Problem]:
    """Who writes dL/dw where L is the end: dL is 1, and what is meant is dw."""
    for part in walk(formula.expr):
        match part:
            case Call("div", (Name(over), Name(under) | Call("index", (Name(under), *_)))) if over == f"d{end}":
                if under in known and under[1:] in known:
                    meant = f"the gradient of '{under[1:]}' is '{under}'"
                    yield Problem(f"'{over}/{under}' divides one gradient by another; {meant}", formula.place)


def _training(train: TrainSettings, case: Case, said: Table, unreadable: Collection[str]) -> Iterator[Problem]:
    at = {key: places(said.get(key)) for key in ("start", "freeze", "over", "after")}
    states = _state(train, case)
    for name, value in train.start.items():
        if name not in states and not unreadable:
            hint = did_you_mean(name, states) or f"; it can give {', '.join(states)}"
            message = f"'start' gives '{name}', which is not part of this training's state{hint}"
            yield Problem(message, at["start"][name])
        elif name == "t" and (value.array.ndim or not value.integral or value.array < 0):
            message = "'t' is the number of updates made before, a whole number of at least 0"
            yield Problem(message, at["start"][name])
    for what, kind, section in (("freeze", "a parameter", case.parameters), ("over", "an input", case.inputs)):
        for name, place in at[what].items():
            if name not in section and name not in unreadable:
                hint = "; several are a list, as in [W, b]" if "," in name else did_you_mean(name, section)
                yield Problem(f"'{what}' names '{name}', which is not {kind}{hint}", place)
    if train.over and train.batch_size is None:
        yield Problem("'over' needs a 'batch_size'", at["over"][train.over[0]])
    if train.batch_size is not None and not train.over:
        yield Problem("'batch_size' needs 'over': the inputs that are batched", said.key("batch_size").place)
    sizes: dict[str, int] = {}
    for name in (name for name in train.over if name in case.inputs):
        if (array := case.inputs[name].array).ndim:
            sizes[name] = len(array)
        else:
            yield Problem(f"'over' names '{name}', which is a single number", at["over"][name])
    if len(set(sizes.values())) > 1:
        listed_sizes = ", ".join(f"{size} of '{name}'" for name, size in sizes.items())
        message = f"the inputs that 'over' names have different numbers of samples: {listed_sizes}"
        yield Problem(message, said["over"].place)
    elif "epochs" in said:
        samples = next(iter(sizes.values()), 1)
        updates = train.epochs * -(-samples // (train.batch_size or samples))
        for text, place in at["after"].items():
            if int(text) > updates:
                yield Problem(f"training makes {updates} updates and never comes to {text}", place)


def _state(train: TrainSettings, case: Case, shown: bool = False) -> list[str]:
    """What the optimizer's state is called, with the number of updates; or what figures may name of it."""
    rule = OPTIMIZERS.get(train.optimizer)
    update = rule.under(train.settings) if rule else None
    parts = () if update is None else update.shown if shown else update.state
    return [*(f"{part}_{name}" for part in parts for name in train.trained(case.parameters)), *([] if shown else ["t"])]


def check_size(cases: Iterable[Case]) -> None:
    """Raise MathlabError, at the case that is one too many, when the cases take too long only to be made ready."""
    total = 0
    for case in cases:
        figures = [*case.figures]
        exprs = [one.expr for one in (*case.equations, *case.derivation)]
        exprs += (expr for _, expr in dict.fromkeys((figure.place, figure.expr) for figure in figures))
        total += CASE + sum(len(figure.printed) // NUMBERS for figure in figures)
        total += sum(1 for expr in exprs for _ in walk(expr))
        if total > LARGEST:
            problem = f"up to here, the cases of this config have {total} operations, and {LARGEST} are the limit"
            raise MathlabError(f"{problem}; --allow-large permits more", case.place)
