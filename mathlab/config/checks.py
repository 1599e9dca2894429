"""What a model cannot see: names that nothing defines, equations out of order, training that does not add up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mathlab import habits
from mathlab.config.formulas import formula as read_formula
from mathlab.config.schema import CaseText, Derivation, Figures, SweepText, TrainText
from mathlab.config.values import choice, flag, gather, number
from mathlab.config.yamltext import Scalar, Tree
from mathlab.errors import MathlabError, Place, Problem, did_you_mean
from mathlab.language import OPS, read, shapes
from mathlab.language.check import CONSTANTS
from mathlab.language.equation import Equation
from mathlab.language.optimizers import OPTIMIZERS, SCHEDULED, SETTINGS
from mathlab.language.syntax import Call, Name, names, walk

LARGEST = 18_000  # operations in the equations, formulas and figures of all cases; a few seconds
CASE = 50  # operations that a case takes whatever it holds
NUMBERS = 4  # printed numbers that take as long as an operation
MOVING = re.compile(r"\b(t|epoch)\b")  # what a learning rate reads that changes
# what the rest of a name means when it begins so
PREFIXES = {"d": "the gradient", "central_": "the central difference", "complex_": "the complex step"}


def check(case: CaseText, place: Place, train_place: Place, unreadable: Collection[str]) -> Iterator[Problem]:
    """The problems of one case with all that it inherits.

    `unreadable` are names that the file defines in a way that is already a problem: reading one is no second problem.
    """
    kinds: Mapping[str, Mapping[Scalar, object]] = {
        "an input": case.inputs,
        "a parameter": case.parameters,
        "an equation": case.equations,
    }
    defined = {key: key for section in kinds.values() for key in section}
    yield from _definitions(kinds)
    if not case.equations and not unreadable:
        yield Problem("an experiment needs equations", place)
    elif not case.inputs and not case.parameters and not unreadable:
        yield Problem("an experiment needs inputs or parameters", place)
    constants = CONSTANTS.keys() - {*map(str, defined)}
    values = {*case.inputs, *case.parameters, *unreadable, *constants}
    yield from _order(case.equations, values)
    meant = (*defined, *sorted(unreadable))
    readable = {*meant, *(f"d{key}" for key in meant), *constants}
    witnesses = {f"{prefix}{key}" for prefix in ("central_", "complex_") for key in case.parameters}
    yield from _derivation(case.derivation, meant, readable)
    end = str(next(reversed(case.equations), ""))
    yield from _figures(case.expected, readable, end)
    if case.gradcheck:
        yield from _figures(case.gradcheck.expected, readable | witnesses, end)
    if case.train:
        for figures in (case.train.after or {}).values():
            yield from _figures(figures, {*readable, *_state(case.train, case, shown=True)}, end)
        yield from _training(case.train, case, train_place, unreadable)
    if case.sweep:
        yield from _sweep(case.sweep, case, place, readable, unreadable)


def _definitions(kinds: Mapping[str, Mapping[Scalar, object]]) -> Iterator[Problem]:
    seen: dict[str, tuple[str, Scalar]] = {}
    for kind, section in kinds.items():
        for key in section:
            if key in seen:
                first, earlier = seen[key]
                yield Problem(f"'{key}' is {first} (line {earlier.place.line}) and cannot be {kind} too", key.place)
            seen.setdefault(key, (kind, key))
    told: set[Place] = set()  # of all steps of a loop, one
    for prefix, meaning in PREFIXES.items():
        for name, (_, scalar) in seen.items():
            of = name.removeprefix(prefix)
            if of != name and of in seen and scalar.place not in told:
                told.add(scalar.place)
                yield Problem(f"'{name}' is reserved: it means {meaning} of '{of}'", scalar.place)


def _order(equations: Mapping[Scalar, Equation], values: Collection[str]) -> Iterator[Problem]:
    position = {str(key): index for index, key in enumerate(equations)}
    reads = {str(key): names(formula.expr) for key, formula in equations.items()}
    places = {str(key): key.place for key in equations}
    cycles: set[frozenset[str]] = set()
    told: set[Place | None] = set()  # what is wrong in a loop, of the first step
    for key, formula in equations.items():
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
                hint = _meant(part.id, formula, [*values, *equations])
                yield Problem(f"unknown name '{part.id}' in {where}{hint}", place)
            elif way := _way(part.id, str(key), reads):
                if frozenset(way) not in cycles:
                    cycles.add(frozenset(way))
                    yield Problem(f"a cycle: {' -> '.join([str(key), *way])}", place)
            else:
                later = places[part.id].line
                yield Problem(f"{where} reads '{part.id}', which is defined later, on line {later}", place)


def _names(formula: Equation) -> list[Name]:
    """The names a formula reads, each at its first mention."""
    found: dict[str, Name] = {}
    for part in walk(formula.expr):
        if isinstance(part, Name):
            found.setdefault(part.id, part)
    return list(found.values())


def _way(start: str, goal: str, reads: Mapping[str, Sequence[str]]) -> list[str]:
    """The shortest chain of readings from `start` to `goal`; empty where there is none."""
    came_from: dict[str, str] = {}
    front = [start]
    while front and goal not in came_from:
        following: list[str] = []
        for name in front:
            for other in reads.get(name, ()):
                if other != start and other not in came_from:
                    came_from[other] = name
                    following.append(other)
        front = following
    if goal not in came_from:
        return []
    way = [goal]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def _derivation(derivation: Derivation, defined: Collection[str], readable: Collection[str]) -> Iterator[Problem]:
    gradients = [f"d{name}" for name in defined]
    for key, written in derivation.items():
        if key not in gradients:
            hint = _gradient_meant(key, gradients) or did_you_mean(key, gradients)
            yield Problem(f"a derivation gives the gradient d<name> of a name, and '{key}' is none{hint}", key.place)
        for formula in written:
            yield from _unknown(formula, readable)
            if key in gradients and key in names(formula.expr):
                yield Problem(f"the formula for '{key}' reads '{key}' itself", formula.place)


def _unknown(formula: Equation, known: Collection[str]) -> Iterator[Problem]:
    for part in _names(formula):
        if part.id not in known:
            hint = _gradient_meant(formula.text, known) or _meant(part.id, formula, known)
            inside = "" if formula.text == part.id else f" in '{formula.text}'"
            yield Problem(f"unknown name '{part.id}'{inside}{hint}", formula.place_of(part))


def _gradient_meant(name: str, known: Collection[str]) -> str:
    """A hint for who writes dL/dw, grad_w or w_grad."""
    meant = habits.gradient_of(name)
    return f"; the gradient of '{meant}' is 'd{meant}'" if f"d{meant}" in known else ""


def _meant(name: str, formula: Equation, known: Collection[str]) -> str:
    """A hint for a name that nothing defines: another tool's, one misspelt, an entry, x² or π."""
    if written := habits.sign(formula.text, habits.SUPERSCRIPTS) or habits.CONSTANTS.get(name):
        return f"; write {written}"
    entry = re.fullmatch(r"(\w+?)_?\d+", name)
    if entry and entry[1] in known:
        return f"; did you mean {entry[1]!r}, or an entry of it, as in {entry[1]}[0]?"
    return _gradient_meant(name, known) or did_you_mean(name, known)


def _figures(figures: Figures, known: Collection[str], end: str) -> Iterator[Problem]:
    for quantity in (figure.equation for figure in figures):
        match quantity.expr:
            case Call("div", (Name(over), Name(under))) if over == f"d{end}" and under in known and under[1:] in known:
                message = (
                    f"'{quantity.text}' divides one gradient by another; the gradient of '{under[1:]}' is '{under}'"
                )
                yield Problem(message, quantity.place)
        if not names(read(quantity.text)):  # in the text, for what a loop counts to is a number by now
            yield Problem(f"'{quantity.text}' names nothing to compare with", quantity.place)
        yield from _unknown(quantity, known)


def _sweep(
    text: SweepText, case: CaseText, place: Place, readable: Collection[str], unreadable: Collection[str]
) -> Iterator[Problem]:
    from mathlab.config.sweeps import sweep  # only here: few configs have one

    for quantity in text.report:
        if not names(read(quantity.text)):  # in the text, for what a loop counts to is a number by now
            yield Problem(f"'{quantity.text}' names nothing to report", quantity.place)
        yield from _unknown(quantity, readable)
    if not unreadable:
        try:
            sweep(text, case, place)
        except MathlabError as error:
            yield from error.problems


def _training(train: TrainText, case: CaseText, place: Place, unreadable: Collection[str]) -> Iterator[Problem]:
    if train.epochs is None:
        yield Problem("train needs its 'epochs'", place)
    try:
        optimizer(train, place)
    except MathlabError as error:
        yield from error.problems
    states = _state(train, case)
    for name, value in (train.start or {}).items():
        if name not in states and not unreadable:
            hint = did_you_mean(name, states) or f"; it can give {', '.join(states)}"
            yield Problem(f"'start' gives '{name}', which is not part of this training's state{hint}", name.place)
        elif name == "t" and (value.array.ndim or not value.integral or value.array < 0):
            yield Problem("'t' is the number of updates made before, a whole number of at least 0", name.place)
    for what, listed, section in (
        ("freeze", train.freeze or (), case.parameters),
        ("over", train.over or (), case.inputs),
    ):
        kind = "a parameter" if what == "freeze" else "an input"
        for name in listed:
            if name not in section and name not in unreadable:
                yield Problem(f"'{what}' names '{name}', which is not {kind}{did_you_mean(name, section)}", name.place)
    if train.over and train.batch_size is None:
        yield Problem("'over' needs a 'batch_size'", train.over[0].place)
    if train.batch_size is not None and not train.over:
        yield Problem("'batch_size' needs 'over': the inputs that are batched", place)
    arrays = {name: case.inputs[name].array for name in train.over or () if name in case.inputs}
    for name, array in arrays.items():
        if not array.ndim:
            yield Problem(f"'over' names '{name}', which is a single number", name.place)
    sizes = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(sizes.values())) > 1:
        listed_sizes = ", ".join(f"{size} of '{name}'" for name, size in sizes.items())
        yield Problem(f"the inputs that 'over' names have different numbers of samples: {listed_sizes}", place)
    elif train.epochs is not None:
        samples = next(iter(sizes.values()), 1)
        updates = train.epochs * -(-samples // (train.batch_size or samples))
        for after in train.after or ():
            if int(after) > updates:
                yield Problem(f"training makes {updates} updates and never comes to {after}", after.place)


def _state(train: TrainText, case: CaseText, shown: bool = False) -> list[str]:
    """What the optimizer's state is called, with the number of updates; or what figures may name of it."""
    rule = OPTIMIZERS.get(str(train.optimizer["name"])) if train.optimizer and "name" in train.optimizer else None
    update = rule.under(train.optimizer or ()) if rule else None
    parts = () if update is None else update.shown if shown else update.state
    moving = [name for name in case.parameters if name not in (train.freeze or ())]
    return [*(f"{part}_{name}" for part in parts for name in moving), *(() if shown else ("t",))]


def _schedule(tree: Tree | None) -> Equation | None:
    """A learning rate that changes from update to update; None for what is to be a number."""
    if not isinstance(tree, Scalar) or not MOVING.search(tree):
        return None
    rate = read_formula(tree)
    for part in walk(rate.expr):
        if isinstance(part, Name) and part.id not in SCHEDULED:
            message = f"unknown name '{part.id}' in the learning rate, which reads {', '.join(SCHEDULED)} alone"
            raise MathlabError(message, rate.place_of(part))
        if isinstance(part, Call) and OPS[part.op].shape is not shapes.broadcast:
            message = f"{part.op} cannot stand in the learning rate, which is one number for each t"
            raise MathlabError(message, rate.place_of(part))
    return rate


def optimizer(train: TrainText, place: Place) -> tuple[str, dict[str, float], Equation | None]:
    """The optimizer's name, all its settings, and its learning rate where that is no number.

    Raises MathlabError for what it does not have or lacks.
    """
    table = train.optimizer
    if table is None or "name" not in table:
        raise MathlabError(f"train needs an optimizer with a 'name': {', '.join(SETTINGS)}", place)
    name = choice(table["name"], SETTINGS, "optimizer")
    defaults = SETTINGS[name]
    rate = _schedule(table.get("lr")) if "lr" in defaults else None

    def setting(key: str) -> float:
        if key not in defaults:
            hint = f"; that is the optimizer '{key}'" if key in OPTIMIZERS else habits.pair(key, table[key])
            hint = hint or did_you_mean(key, defaults) or f"; it has {', '.join(defaults)}"
            raise MathlabError(f"{name} has no setting '{key}'{hint}", table.key(key).place)
        return float(flag(table[key])) if key in switches else number(table[key])

    switches = OPTIMIZERS[name].switches
    keys = [key for key in table if key != "name" and not (key == "lr" and rate)]
    given = dict(zip(keys, gather(setting, keys), strict=True))
    settings: dict[str, float] = {}
    for key, default in defaults.items():
        found = given.get(key, default)
        if found is not None and (found or key not in switches):
            settings[key] = found
        elif key in OPTIMIZERS[name].settings and not (key == "lr" and rate):
            raise MathlabError(f"{name} needs its setting '{key}'", table["name"].place)
    if rate:
        settings.pop("lr", None)
    if "clip_eps" in settings and "clip_norm" not in settings:
        raise MathlabError("'clip_eps' needs a 'clip_norm': it is added to the norm", table.key("clip_eps").place)
    return name, settings, rate


def check_size(cases: Iterable[tuple[CaseText, Place]]) -> None:
    """Raise MathlabError, at the case that is one too many, when the cases with all that they inherit are too large.

    What there is to do only to get a config ready is to read, derive and compile its equations for every case.
    """
    total = 0
    for case, place in cases:
        after = (case.train.after if case.train else None) or {}
        checks = case.gradcheck.expected if case.gradcheck else ()
        figures = [figure for part in (case.expected, checks, *after.values()) for figure in part]
        exprs = [one.expr for ways in ([*case.equations.values()], *case.derivation.values()) for one in ways]
        exprs += (expr for _, expr in dict.fromkeys((figure.place, figure.quantity) for figure in figures))
        total += CASE + sum(len(figure.printed) // NUMBERS for figure in figures)
        total += sum(1 for expr in exprs for _ in walk(expr))
        if total > LARGEST:
            problem = f"up to here, the cases of this config have {total} operations, and {LARGEST} are the limit"
            raise MathlabError(f"{problem}; --allow-large permits more", place)
