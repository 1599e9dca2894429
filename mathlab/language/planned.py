"""A program's second form: the same calls in the same order, into memory that is planned beforehand.

Every array result gets a buffer, which is handed on to a later result when its last reader has run; a call writes over
an operand that nobody reads afterwards; what never changes is computed once, and a view of a buffer made once. So a
round allocates nothing. What is recorded is written straight into its row of the history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mathlab.experiment import Array
from mathlab.language.layout import Layout
from mathlab.language.program import Program, python_name
from mathlab.language.trace import MEMORY, Line, Slot, Trace

NEVER = 1 << 60  # a line later than any


@dataclass(frozen=True)
class Planned:
    """A planned program.

    Of its `functions`, `run(first, last, *scalars)` makes the rounds first..last-1, recording round k in row k of
    `history`; `measure(k, *scalars)` records a round without moving the state; `step(*takes)` makes one round on other
    inputs. `state` holds the arrays that rounds change in place; its numbers are passed and returned in the order of
    `scalars`. `footprint` is the memory in bytes that results take, beside the state and the history.
    """

    text: str
    functions: Mapping[str, Callable[..., tuple[Array, ...]]]
    state: Mapping[str, Array]
    scalars: tuple[str, ...]
    takes: tuple[str, ...]
    history: Mapping[str, Array]
    footprint: int


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
    that are kept for `rounds` + 1 rounds; `varying` are the inputs that `step` is given anew; `clock` is the input that
    `run` sets to the number of the round, from 1.
    """
    renamed = {python_name(old): python_name(new) for old, new in moved.items()}
    inputs: dict[str, Slot] = {}
    state: dict[str, Array] = {}
    for raw in program.inputs:
        name, value = python_name(raw), env[raw]
        if name in renamed and isinstance(value, np.ndarray) and value.ndim:
            state[name] = value
            inputs[name] = Slot.of(name, value)
        else:
            inputs[name] = Slot.of(name, value, constant=name not in renamed and raw not in (*varying, clock))
    trace = Trace(program.text, program.dtype, inputs)
    memory = _Memory(trace, state, renamed, [python_name(name) for name in recorded], rounds)
    scalars = tuple(name for name in renamed if name in inputs and name not in state)
    return memory.planned(scalars, tuple(map(python_name, varying)), python_name(clock))


class _Memory:
    """Where each result of a trace goes."""

    def __init__(
        self, trace: Trace, state: Mapping[str, Array], moved: Mapping[str, str], recorded: Sequence[str], rounds: int
    ) -> None:
        self.trace = trace
        self.state = state
        self.moved = moved
        self.space: dict[str, object] = {**trace.space, **state, "__copyto": np.copyto}
        self.place: dict[Slot, tuple[str, Array]] = {trace.slots[name]: (name, array) for name, array in state.items()}
        self.rows: dict[Slot, str] = {}
        self.history: dict[str, Array] = {}
        self.footprint = 0
        self.last = self._last_readers()
        self._record(recorded, rounds)
        self._assign()

    def _last_readers(self) -> dict[Slot, int]:
        """The position of the last line that reads each slot's memory, by itself or through a view."""
        last: dict[Slot, int] = defaultdict(lambda: -1)
        for position, line in enumerate(self.trace.lines):
            for operand in line.operands:
                last[operand.root] = position
        return last

    def _record(self, recorded: Sequence[str], rounds: int) -> None:
        """Let recorded arrays live in their rows; what cannot is copied there at the end of the round."""
        written = {line.target for line in self.trace.lines if line.writes}
        for name in recorded:
            slot = self.trace.slots[name]
            dtype = slot.layout.dtype if slot.layout else np.asarray(slot.value).dtype
            self.history[name] = np.empty((rounds + 1, *slot.shape), dtype)
            self.space[f"__h_{name}"] = self.history[name]
            if slot in written and slot not in self.rows and slot.layout:
                self.rows[slot] = name
            self.last[slot.root] = NEVER

    def _assign(self) -> None:
        """Give memory to the target of every line that writes, in the order in which they run."""
        in_place = self._in_place()
        for new in self.moved.values():
            if self.trace.slots[new] not in in_place:
                self.last[self.trace.slots[new].root] = NEVER  # it is read once more, when the round is over
        free: dict[tuple[object, ...], list[tuple[str, Array]]] = defaultdict(list)
        pooled: set[Slot] = set()
        for position, line in enumerate(self.trace.lines):
            target = line.target
            dying = {slot.root for slot in line.operands if self.last[slot.root] == position} & pooled
            if target in in_place:
                self.place[target] = in_place[target]
            elif target.layout and line.writes and target not in self.rows:
                over = [slot for slot in line.operands if slot in dying and _alike(slot, target)]
                if over and line.elementwise:
                    dying.remove(over[0])
                    self.place[target] = self.place[over[0]]
                else:
                    waiting = free[target.layout.key]
                    self.place[target] = waiting.pop() if waiting else self._buffer(target.layout)
                pooled.add(target)
                if self.last[target] == -1:
                    dying.add(target)
            for slot in dying:
                assert slot.layout
                free[slot.layout.key].append(self.place[slot])
                pooled.remove(slot)

    def _in_place(self) -> dict[Slot, tuple[str, Array]]:
        """What can be written over old state that nobody reads any more: the new state, and what leads only to it."""
        slots, lines = self.trace.slots, self.trace.lines
        old_of = {slots[new]: slots[old] for old, new in self.moved.items() if old in self.state}
        moved = {slots[new] for new in self.moved.values()}
        measured = {line.target for line in self._leading_to([slots[name] for name in self.history])}
        made = {
            line.target: position
            for position, line in enumerate(lines)
            if line.elementwise and line.target not in measured
        }
        found: dict[Slot, tuple[str, Array]] = {}
        for position, line in reversed([*enumerate(lines)]):
            target, old = line.target, old_of.get(line.target)
            if old and target in made and _alike(target, old) and self.last[old] <= position:
                found[target] = self.place[old]
            if target in found:
                unread = self.last[slots[found[target][0]]]
                ending = (slot for slot in line.operands if self.last[slot] == position and _alike(slot, target))
                leading = (slot for slot in ending if made.get(slot, -1) >= unread and slot not in moved)
                found |= dict.fromkeys([*leading][:1], found[target])
        return found

    def _buffer(self, layout: Layout) -> tuple[str, Array]:
        name = self.trace.fresh("b")
        array = layout.empty()
        self.space[name] = array
        self.footprint += array.nbytes
        return name, array

    # --- the text -----------------------------------------------------------------------------------------------------

    def planned(self, scalars: tuple[str, ...], varying: tuple[str, ...], clock: str) -> Planned:
        """The three functions, compiled."""
        rows = [f"{name} = __h_{name}[k]" for name in dict.fromkeys(self.rows.values())]
        kept = [
            f"__h_{name}[k] = {self.name(self.trace.slots[name])}"
            for name in self.history
            if self.rows.get(self.trace.slots[name]) != name
        ]
        everything = self.text(self.trace.lines)
        measured = self.text(self._leading_to([self.trace.slots[name] for name in self.history]))
        update = [
            f"__copyto({old}, {self.name(self.trace.slots[new])})"
            for old, new in self.moved.items()
            if old in self.state and self.place.get(self.trace.slots[new], ("",))[0] != old
        ]
        update += [f"{old} = {self.name(self.trace.slots[self.moved[old]])}" for old in scalars]
        back = f"return ({''.join(f'{name}, ' for name in scalars)})"
        tick = [f"{clock} = k + 1.0"] if clock in self.trace.slots else []
        arguments = "".join(f", {name}" for name in scalars)
        body = [*tick, *rows, *everything, *kept, *update]
        functions = {
            "run": (f"run(first, last{arguments})", ["for k in range(first, last):", *_indented(body), back]),
            "measure": (f"measure(k{arguments})", [*tick, *rows, *measured, *kept, back]),
        }
        takes = (*varying, *([clock] if tick else []), *scalars)
        if varying:  # no rounds on the program's own inputs, only steps on those that are given
            functions = {"step": (f"step({', '.join(takes)})", [*everything, *update, back])}
        text = "\n".join(f"def {signature}:\n" + "\n".join(_indented(lines)) for signature, lines in functions.values())
        space = dict(self.space)
        exec(compile(text, "<the planned program>", "exec"), space)
        return Planned(
            text=text,
            functions={name: space[name] for name in functions},  # type: ignore[misc]  # functions that exec has made
            state=self.state,
            scalars=scalars,
            takes=takes,
            history=self.history,
            footprint=self.footprint,
        )

    def name(self, slot: Slot) -> str:
        """How a line reads a slot."""
        if slot in self.rows:
            return self.rows[slot]
        return self.place[slot][0] if slot in self.place else slot.name

    def text(self, lines: Sequence[Line]) -> list[str]:
        """The lines as Python; views of memory that stays are made here, once, and what is new memory is let go of."""
        written = []
        last = {operand.root: line for line in lines for operand in line.operands}
        let_go: dict[Line, list[str]] = defaultdict(list)
        for line in lines:
            text = line.text.format(*map(self.name, line.operands))
            base = line.target.base
            if line.writes:
                written.append(text.replace(MEMORY, self.name(line.target)))
            elif base is not None and base.root in self.place and base.root not in self.rows:
                self.space[line.target.name] = eval(text, self.space)
            else:
                written.append(f"{line.target.name} = {text}")
                if line.target.layout and self.last[line.target.root] != NEVER:
                    let_go[last.get(line.target.root, line)].append(line.target.name)
            written += [f"del {name}" for name in let_go[line]]
        return written

    def _leading_to(self, slots: Sequence[Slot]) -> list[Line]:
        """The lines that some slots depend on, in order."""
        wanted = set(slots) | {slot.root for slot in slots}
        kept = []
        for line in reversed(self.trace.lines):
            if line.target in wanted:
                kept.append(line)
                wanted.update(line.operands)
        return kept[::-1]


def _alike(one: Slot, other: Slot) -> bool:
    return bool(one.layout and other.layout and one.layout.key == other.layout.key)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
