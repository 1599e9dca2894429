"""`@dataclass(frozen=True)`, without what the standard one costs at start-up.

That one writes, compiles and runs six methods for every class: for the seventy records that `mathlab backprop` imports,
a sixth of its time. Here all classes share the six. They are dataclasses in everything else: `fields`, `replace` and
`match` know them, and they inherit from one another. What is made by the thousand is the standard's, with slots.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

__all__ = ["dataclass"]

T = TypeVar("T")


class _Shared:
    """The methods that every class gets, unless it has its own."""

    __match_args__: ClassVar[tuple[str, ...]]
    __dataclass_fields__: ClassVar[Mapping[str, Field[object]]]
    _defaults: ClassVar[Mapping[str, object]]
    _factories: ClassVar[Mapping[str, Callable[[], object]]]

    def __init__(self, /, *given: object, **named: object) -> None:
        names = self.__match_args__
        values = {**self._defaults, **dict(zip(names, given, strict=False)), **named}
        for name, make in self._factories.items():
            if name not in values:
                values[name] = make()
        known = len(given) <= len(names) and named.keys() <= {*names[len(given) :]}
        if not known or len(values) < len(self.__dataclass_fields__):
            raise TypeError(f"{type(self).__name__} takes each of {', '.join(names)} once")
        self.__dict__.update(values)

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name, field in self.__dataclass_fields__.items() if field.repr]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


METHODS = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


def _compared(record: _Shared) -> tuple[object, ...]:
    return tuple([getattr(record, name) for name, field in record.__dataclass_fields__.items() if field.compare])


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: Literal[True]) -> Callable[[type[T]], type[T]]:
        """As the standard one, which type checkers take this for."""

        def made(cls: type[T]) -> type[T]:
            dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
            fields = cls.__dataclass_fields__.items()
            cls._defaults = {name: field.default for name, field in fields if field.default is not MISSING}
            cls._factories = {
                name: field.default_factory for name, field in fields if field.default_factory is not MISSING
            }
            for name in METHODS:
                if name not in cls.__dict__:
                    setattr(cls, name, getattr(_Shared, name))
            return cls

        return made
