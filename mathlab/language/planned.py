"""A program's second form: the same calls in the same order, into memory that is planned beforehand.

Every array gets a block of memory, which is handed on to a later one when its last reader has run; a call writes over
an operand that nobody reads afterwards, and so also over the state; a view is made once. So a round allocates next to
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mathlab.language.program import Program
from mathlab.language.recorded import Array, Memory, Slot, StandIn, Tape

NEVER = 1 << 60  # a line later than any


class Planned(NamedTuple):
    """A planned program.

    `run(first, last, *numbers)` makes the rounds first..last-1, recording round k in row k of `history`, and
    `measure(k, *numbers)` records a round without moving the state. `state` holds the arrays that rounds change in
    place; the state's numbers are passed and returned, in the order of `numbers`. What is written to the arrays in
    `inputs` is read by the next round. `footprint` is the memory in bytes that results and these inputs take.
    """

    text: str
    run: Callable[..., tuple[Array, ...]]
    measure: Callable[..., tuple[Array, ...]]
    state: Mapping[str, Array]
    numbers: tuple[str, ...]
    inputs: Mapping[str, Array]
    history: Mapping[str, Array]
    footprint: int

    def advance(self, env: dict[str, Array], first: int, last: int, given: Mapping[str, Array]) -> None:
        """Make rounds on inputs that are `given`; the state's numbers are those in `env`, and are changed there."""
        for name, value in given.items():
            np.copyto(self.inputs[name], value)
        env |= zip(self.numbers, self.run(first, last, *(env[name] for name in self.numbers)), strict=True)


def plan(
    program: Program,
    env: Mapping[str, object],
    moved: Mapping[str, str],
    recorded: Sequence[str] = (),
    rounds: int = 0,
    varying: Sequence[str] = (),
    clock: str = "",
) -> Planned:
    """The planned form of a program whose output `moved[name]` takes the place of its input `name` after each round.

    `env` holds a sample of every input; its arrays that move are the state, and are changed. `recorded` are outputs
    that are kept for `rounds` + 1 rounds; `varying` are arrays that are given anew for a round; `clock` is the input
    that `run` sets to the number of the round, from 1.
    """
    tape = Tape()
    changing = {*moved, *varying, clock}
    inputs = {
        name: tape.slot(env[name], constant=name not in changing)
        for name in dict.fromkeys([*program.inputs, *moved, *varying])
    }
    outputs = tape.play(program, inputs)
    moves = {inputs[old]: _apart(tape, outputs[new]) for old, new in moved.items()}
    kept = {f"h{k}": outputs[name] for k, name in enumerate(recorded)}
    lines, measured = (_leading_to([*ends, *kept.values()], _early(tape.lines)) for ends in (moves.values(), ()))

    state = {name: array for name in moved if isinstance(array := env[name], np.ndarray) and array.ndim}
    memory = _Memory(lines, measured, {inputs[name]: array for name, array in state.items()})
    fed = {name: memory.new(inputs[name]) for name in varying}
    memory.assign(
        {new: old for old, new in moves.items() if old.layout}, (s for s in kept.values() if s.root not in moves)
    )

    named = {*moves, *moves.values(), *kept.values(), *(slot for line in lines for slot in (line, *line.operands))}
    space = {slot.name: slot.value if slot.constant else memory.array(slot) for slot in named if slot.is_fixed}
    history = {name: _rows(outputs[name], rounds + 1) for name in recorded}
    space |= {**tape.functions, "copyto": np.copyto, **dict(zip(kept, history.values(), strict=True))}
    # the old state is kept before the rest, so that the new one may be written over it at once
    before, after = (
        [f"{rows}[k] = {slot.name}" for rows, slot in kept.items() if (slot.root in moves) is early]
        for early in (True, False)
    )
    tick = [f"{inputs[clock].name} = k + 1.0"] if clock in inputs else []
    numbers = {name: inputs[name] for name in moved if name not in state}
    update = [
        f"copyto({old.name}, {new.name})"
        for old, new in moves.items()
        if old.layout and memory.arrays.get(new) is not memory.arrays[old]
    ]
    if numbers:
        update.append(f"{_listed(numbers.values())} = {_listed(moves[old] for old in numbers.values())}")
    back = f"return {_listed(numbers.values())}" if numbers else "return ()"
    every = [*tick, *before, *(line.text for line in lines), *after, *update, "pass"]
    once = [*tick, *before, *(line.text for line in measured), *after, back]
    arguments = "".join(f", {slot.name}" for slot in numbers.values())
    text = "\n    ".join([
        f"def run(first, last{arguments}):", "for k in range(first, last):", *(f"    {line}" for line in every), back,
    ]) + "\n" + "\n    ".join([f"def measure(k{arguments}):", *once])  # fmt: skip
    exec(compile(text, "<the planned program>", "exec"), space)
    return Planned(
        text=text,
        run=space["run"],  # type: ignore[arg-type]  # which exec has made
        measure=space["measure"],  # type: ignore[arg-type]
        state=state,
        numbers=tuple(numbers),
        inputs=fed,
        history=history,
        footprint=memory.footprint,
    )


class _Memory:
    """Where the results of lines go; `arrays` holds the state, and after `assign` those of all slots but views."""

    def __init__(self, lines: Sequence[Slot], measured: Iterable[Slot], state: Mapping[Slot, Array]) -> None:
        self.lines = lines
        self.measured = {*measured}
        self.arrays = dict(state)
        self.places = {old: old for old in state}  # whose place in the state a slot has,
        self.guests = {old: old for old in state}  # and who has each place
        self.blocks: dict[Slot, Memory] = {}  # the memory of other slots, as long as somebody reads them
        self.last: dict[Slot, int] = defaultdict(lambda: -1)  # the last line that reads a slot, also through a view
        self.footprint = 0

    def assign(self, homes: Mapping[Slot, Slot], kept: Iterable[Slot]) -> None:
        """Give memory to the lines' results, in order; `homes` are the old values whose place new ones will take."""
        self.last |= {slot.root: at for at, line in enumerate(self.lines) for slot in line.operands}
        self.last |= {slot.root: NEVER for slot in (*homes, *kept)}
        free: dict[int, list[Memory]] = defaultdict(list)
        for at, target in enumerate(self.lines):
            dying = dict.fromkeys(slot.root for slot in target.operands if self.last[slot.root] == at)
            if target.layout:
                under = self._under(target, homes.get(target), at)
                if under is None:
                    waiting = free[target.layout.size]
                    self.blocks[target] = waiting.pop() if waiting else self._block(target.layout.size)
                    self.arrays[target] = target.layout.array(self.blocks[target])
                else:
                    self.arrays[target] = self.arrays[under]
                    if under in self.places:
                        self.places[target] = place = self.places[under]
                        self.guests[place] = target
                    else:
                        self.blocks[target] = self.blocks.pop(under)
                if self.last[target] == -1:
                    dying[target] = None
            for slot in dying:
                if slot in self.blocks:
                    block = self.blocks.pop(slot)
                    free[block.nbytes].append(block)

    def _under(self, target: Slot, home: Slot | None, at: int) -> Slot | None:
        """Whom the result of line `at` may be written over: somebody of the same layout whom nobody reads any more.

        A measuring round leaves the state as it is. What is read when the round is over lies in no place of the state
        but its own: another's new value would be written over it.
        """
        over = [slot for slot in target.operands if self.last[slot] == at] if target.over else []
        if home and self.last[self.guests[home]] < at:
            over.append(self.guests[home])
        if target in self.measured:
            over = [slot for slot in over if slot in self.blocks]
        elif self.last[target] == NEVER:
            over = [slot for slot in over if slot in self.blocks or self.places.get(slot) is home]
        alike = [slot for slot in over if slot.layout == target.layout and (slot in self.blocks or slot in self.places)]
        return next((slot for slot in alike if home and self.places.get(slot) is home), next(iter(alike), None))

    def new(self, slot: Slot) -> Array:
        """Memory for an input that is given anew."""
        assert slot.layout
        self.arrays[slot] = array = slot.layout.array(self._block(slot.layout.size))
        return array

    def _block(self, size: int) -> Memory:
        self.footprint += size
        return np.empty(size, np.uint8)

    def array(self, slot: Slot) -> Array:
        """The array of a slot, which may be a view."""
        return slot.view(self.array(slot.base)) if slot.base and slot.view else self.arrays[slot]


def _apart(tape: Tape, slot: Slot) -> Slot:
    """What takes an old value's place, copied where it is an input: others' new values may be written over that."""
    given = slot.layout and not slot.constant and not slot.root.text
    return tape.call(np.copy, [StandIn(tape, slot)]).slot if given else slot


def _early(lines: Sequence[Slot]) -> list[Slot]:
    """The lines, with those that go entry by entry as early as somebody need not be kept for them any more.

    That is right behind the other readers of what they read last; a mask, which is small, comes before these.
    """
    readers: dict[Slot, list[Slot]] = defaultdict(list)
    for line in lines:
        for root in {slot.root for slot in line.operands}:
            readers[root].append(line)
    places: dict[Slot, int] = {}
    for at, line in enumerate(lines):
        read = {slot.root for slot in line.operands}
        last = {root for root in read if readers[root][-1] is line}
        freed = max((root.layout.size for root in last & places.keys() if root.layout), default=0)
        places[line] = at
        if line.each and line.layout and freed >= line.layout.size:
            others = (other for root in last for other in readers[root][:-1] if line.layout.dtype != bool)
            places[line] = max(places[before] for before in (*read, *others) if before in places)
    return sorted(lines, key=places.__getitem__)


def _leading_to(slots: Iterable[Slot], lines: Sequence[Slot]) -> list[Slot]:
    """The lines that some slots depend on, in order."""
    wanted = {slot.root for slot in slots}
    kept = []
    for line in reversed(lines):
        if line in wanted:
            kept.append(line)
            wanted.update(slot.root for slot in line.operands)
    return kept[::-1]


def _rows(slot: Slot, count: int) -> Array:
    shape, dtype = (slot.layout.shape, slot.layout.dtype) if slot.layout else ((), np.asarray(slot.value).dtype)
    return np.empty((count, *shape), dtype)


def _listed(slots: Iterable[Slot]) -> str:
    return "".join(f"{slot.name}, " for slot in slots)
