"""A program's second form: the same calls, into memory that is planned beforehand.

Every array gets a block of memory, which is handed on to a later one when its last reader has run; a call writes over
an operand that nobody reads afterwards, and so also over the state; a view is made once. So a round allocates next to
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mathlab.language.program import Program, leading_to
from mathlab.language.recorded import Array, Memory, Slot, Tape

NEVER = 1 << 60  # a line later than any


class Planned(NamedTuple):
    """A planned program.

    `run(first, last, *numbers)` makes the rounds first..last-1, recording round k in row k of `history`, and
    `measure(k, *numbers)` records a round without moving the state. `state` holds the arrays that rounds change in
    place; the state's numbers are passed and returned, in the order of `numbers`. What is written to the arrays in
    `inputs` is read by the next round.
    """

    text: str
    run: Callable[..., tuple[Array, ...]]
    measure: Callable[..., tuple[Array, ...]]
    state: Mapping[str, Array]
    numbers: tuple[str, ...]
    inputs: Mapping[str, Array]
    history: Mapping[str, Array]


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
    values = {**env, **{name: np.array(env[name]) for name in varying}}
    changing, read = {*moved, *varying, clock}, dict.fromkeys([*program.inputs, *moved, *varying])
    inputs = {name: tape.slot(values[name], constant=name not in changing) for name in read}
    outputs = tape.play(program, inputs)
    moves = {inputs[old]: _apart(outputs[new]) for old, new in moved.items()}
    kept = {f"h{k}": outputs[name] for k, name in enumerate(recorded)}  # by the names of their rows in the text
    reads = {line: [slot.root for slot in line.operands] for line in _early(tape.lines)}
    ends = [slot.root for slot in kept.values()]
    lines = leading_to([*(slot.root for slot in moves.values()), *ends], reads)
    measured = leading_to(ends, reads)

    state = {name: np.asarray(values[name]) for name in moved if inputs[name].layout}
    fed = {name: np.asarray(values[name]) for name in varying if inputs[name].layout}
    numbers = {inputs[name]: name for name in moved if name not in state}
    arrays = {inputs[name]: array for name, array in state.items()}
    homes = {new: old for old, new in moves.items() if old.layout}
    _lay_out(lines, {*measured}, arrays, homes, [slot for slot in kept.values() if slot.root not in moves])
    arrays |= {inputs[name]: array for name, array in fed.items()}

    def array_of(slot: Slot) -> Array:
        return arrays[slot] if slot.base is None or not slot.view else slot.view(array_of(slot.base))

    named = {*moves, *moves.values(), *kept.values(), *(slot for line in lines for slot in (line, *line.operands))}
    space = {
        slot.name: slot.value if slot.constant else array_of(slot)
        for slot in named
        if slot.constant or slot.layout  # whose name always stands for the same object
    }
    samples = {name: np.asarray(tape.example(outputs[name])) for name in recorded}
    history = {name: np.empty((rounds + 1, *sample.shape), sample.dtype) for name, sample in samples.items()}
    space |= {**tape.functions, "copyto": np.copyto, **dict(zip(kept, history.values(), strict=True))}
    # the old state is kept before the rest, so that the new one may be written over it at once
    before = [f"{rows}[k] = {slot.name}" for rows, slot in kept.items() if slot.root in moves]
    after = [f"{rows}[k] = {slot.name}" for rows, slot in kept.items() if slot.root not in moves]
    if clock in inputs:
        before.insert(0, f"{inputs[clock].name} = k + 1.0")
    update = [
        f"copyto({old.name}, {new.name})"
        for old, new in moves.items()
        if old.layout and arrays.get(new) is not arrays[old]
    ]
    passed = "".join(f"{old.name}, " for old in numbers)
    update.append(f"{passed} = {''.join(f'{moves[old].name}, ' for old in numbers)}" if numbers else "pass")
    looped = [f"    {line}" for line in (*before, *(line.text for line in lines), *after, *update)]
    running = [f"def run(first, last, {passed}):", "for k in range(first, last):", *looped]
    measuring = [f"def measure(k, {passed}):", *before, *(line.text for line in measured), *after]
    text = "".join("\n    ".join([*some, f"return ({passed})\n"]) for some in (running, measuring))
    exec(compile(text, "<the planned program>", "exec"), space)
    run, measure = space["run"], space["measure"]
    return Planned(text, run, measure, state, tuple(numbers.values()), fed, history)  # type: ignore[arg-type]


def _lay_out(
    lines: Sequence[Slot],
    measured: Collection[Slot],
    arrays: dict[Slot, Array],
    homes: Mapping[Slot, Slot],
    kept: Iterable[Slot],
) -> None:
    """Give memory to the lines' results, in order.

    `arrays` has those of the state, and gets those of all lines. `homes` are the old values whose place new ones will
    take; they and what is `kept` are read when the round is over.
    """
    places = {old: old for old in arrays}  # whose place in the state a slot has,
    guests = {old: old for old in arrays}  # and who has that place now
    blocks: dict[Slot, Memory] = {}  # the memory of other slots, as long as somebody reads them
    last = {slot.root: at for at, line in enumerate(lines) for slot in line.operands}  # the line that does so last,
    last |= {slot.root: NEVER for slot in (*homes, *kept)}  # also through a view
    free: dict[int, list[Memory]] = defaultdict(list)

    def under(target: Slot, home: Slot | None, at: int) -> Slot | None:
        """Whom the result of line `at` may be written over: somebody of the same layout whom nobody reads any more.

        A measuring round leaves the state as it is. What is read when the round is over lies in no place of the state
        but its own: another's new value would be written over it.
        """
        over = [slot for slot in target.operands if last.get(slot) == at] if target.over else []
        if home is not None and last.get(guests[home], -1) < at:
            over.append(guests[home])
        if target in measured:
            over = [slot for slot in over if slot in blocks]
        elif last.get(target) == NEVER:
            over = [slot for slot in over if slot in blocks or places.get(slot) is home]
        alike = [slot for slot in over if slot.layout == target.layout and (slot in blocks or slot in places)]
        return next((slot for slot in alike if home is not None and places.get(slot) is home), next(iter(alike), None))

    for at, target in enumerate(lines):
        dying = dict.fromkeys(slot.root for slot in target.operands if last[slot.root] == at)
        if target.layout:
            below = under(target, homes.get(target), at)
            if below is None:
                waiting = free[target.layout.size]
                blocks[target] = waiting.pop() if waiting else np.empty(target.layout.size, np.uint8)
                arrays[target] = target.layout.array(blocks[target])
            else:
                arrays[target] = arrays[below]
                if below in places:
                    places[target] = place = places[below]
                    guests[place] = target
                else:
                    blocks[target] = blocks.pop(below)
            if target not in last:
                dying[target] = None
        for slot in dying:
            if slot in blocks:
                block = blocks.pop(slot)
                free[block.nbytes].append(block)


def _apart(slot: Slot) -> Slot:
    """What takes an old value's place, copied where it is an input: others' new values may be written over that."""
    given = slot.layout and not slot.constant and not slot.root.text
    return slot.tape.call(np.copy, [slot]) if given else slot


def _early(lines: Sequence[Slot]) -> list[Slot]:
    """The lines, with those that may write over an operand as early as somebody need not be kept for them any more.

    That is right behind the other readers of what they read last; a mask, which is small, comes before these.
    """
    readers: dict[Slot, list[Slot]] = defaultdict(list)
    for line in lines:
        for root in {slot.root for slot in line.operands}:
            readers[root].append(line)
    places: dict[Slot, int] = {}
    for at, line in enumerate(lines):
        places[line] = at
        read = {slot.root for slot in line.operands}
        dying = {root for root in read if readers[root][-1] is line}
        freed = max((root.layout.size for root in dying & places.keys() if root.layout), default=0)
        if line.over and line.layout and freed >= line.layout.size:
            before = {*read}
            if line.layout.dtype != bool:
                before.update(reader for root in dying for reader in readers[root][:-1])
            places[line] = max(places[one] for one in before & places.keys())
    return sorted(lines, key=places.__getitem__)
