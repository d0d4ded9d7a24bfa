"""A ``dataclass`` decorator that generates no code at import.

The standard one compiles up to six methods per class, which takes half a millisecond. The fifteen
classes that a cache hit uses took more than half of the time of the first load in a process. Here
the methods are shared, and what the functions of the standard module (``fields``, ``replace``,
``asdict``) read is generated when they first read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["dataclass", "replace"]

C = TypeVar("C", bound=type)

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(cls: C | None = None, /, *, frozen: bool = False) -> C | Callable[[C], C]:
        """Make ``cls`` a dataclass, as :func:`dataclasses.dataclass` does.

        Only ``frozen`` is supported. Base classes that are dataclasses are not supported; a class
        that is derived from the result may use the standard decorator.

        Example:
            >>> from op_builder.lazy_dataclass import dataclass
            >>> @dataclass(frozen=True)
            ... class Point:
            ...     x: int
            ...     y: int = 0
            >>> Point(1)
            Point(x=1, y=0)
        """

        def decorate(cls: C) -> C:
            return _decorate(cls, frozen)

        return decorate if cls is None else decorate(cls)

    def replace(instance: Any, /, **changes: Any) -> Any:
        """Return a copy with other values, as :func:`dataclasses.replace` does.

        The standard function reads ``fields``, whose generation takes 2 ms per class.

        Example:
            >>> from op_builder.lazy_dataclass import dataclass, replace
            >>> @dataclass(frozen=True)
            ... class Point:
            ...     x: int
            ...     y: int = 0
            >>> replace(Point(1, 2), y=3)
            Point(x=1, y=3)
        """
        cls = type(instance)
        layout = cls.__dict__.get("__lazy_layout__")
        if layout is None:  # a subclass with the standard decorator
            return dataclasses.replace(instance, **changes)
        values = {name: getattr(instance, name) for name in layout.names}
        return cls(**{**values, **changes})


class _Layout:
    """The fields of one class, which its shared methods look up."""

    def __init__(self, cls: type, frozen: bool) -> None:
        annotations = cls.__dict__.get("__annotations__", {})
        self.types = {
            name: kind for name, kind in annotations.items() if "ClassVar" not in str(kind)
        }
        self.names = tuple(self.types)
        self.frozen = frozen
        self.given = {name: cls.__dict__[name] for name in self.names if name in cls.__dict__}
        self.defaults: dict[str, Any] = {}
        self.factories: dict[str, Callable[[], Any]] = {}
        self.hashed = self.names
        for name, value in self.given.items():
            if not isinstance(value, dataclasses.Field):
                self.defaults[name] = value
                continue
            if value.hash is False:
                self.hashed = tuple(other for other in self.hashed if other != name)
            if value.default is not dataclasses.MISSING:
                self.defaults[name] = value.default
            if value.default_factory is not dataclasses.MISSING:
                self.factories[name] = value.default_factory

    def values(self, name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Complete ``named`` with the other arguments of ``__init__`` and the defaults."""
        if len(positional) > len(self.names):
            raise TypeError(
                f"{name}() takes at most {len(self.names)} arguments, got {len(positional)}"
            )
        given = self.names[: len(positional)]
        if named:
            for field in given:
                if field in named:
                    raise TypeError(f"{name}() got multiple values for argument {field!r}")
        named.update(zip(given, positional, strict=True))
        if len(named) < len(self.names):
            for field in self.names:
                if field in named:
                    continue
                if field in self.defaults:
                    named[field] = self.defaults[field]
                elif field in self.factories:
                    named[field] = self.factories[field]()
                else:
                    raise TypeError(f"{name}() missing required argument {field!r}")
        if len(named) > len(self.names):
            unknown = next(field for field in named if field not in self.types)
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown!r}")


class _Generated:
    """An attribute that the standard decorator would set, generated when it is first read."""

    def __init__(self, name: str, layout: _Layout) -> None:
        self._name = name
        self._layout = layout

    def __get__(self, instance: object, owner: type) -> Any:
        layout = self._layout
        body = {"__annotations__": layout.types, **layout.given}
        model = dataclasses.make_dataclass(
            "Model",
            [
                (name, kind, body[name]) if name in body else (name, kind)
                for name, kind in layout.types.items()
            ],
            frozen=layout.frozen,
        )
        return getattr(model, self._name)


def _decorate(cls: Any, frozen: bool) -> Any:
    if hasattr(cls, "__dataclass_fields__"):
        raise TypeError(f"bases of {cls.__qualname__} must not be dataclasses")
    layout = _Layout(cls, frozen)
    for name in layout.factories:
        delattr(cls, name)
    for name, value in layout.given.items():
        if isinstance(value, dataclasses.Field) and name in layout.defaults:
            setattr(cls, name, layout.defaults[name])
    cls.__lazy_layout__ = layout
    setattr(cls, "__match_args__", layout.names)  # noqa: B010 - mypy refuses the assignment
    cls.__dataclass_fields__ = _Generated("__dataclass_fields__", layout)
    cls.__dataclass_params__ = _Generated("__dataclass_params__", layout)
    cls.__init__ = _init
    cls.__eq__ = _eq
    cls.__repr__ = _repr
    cls.__hash__ = _hash if frozen else None
    if frozen:
        cls.__setattr__ = _refuse_setattr
        cls.__delattr__ = _refuse_delattr
    return cls


def _init(self: Any, *positional: Any, **named: Any) -> None:
    cls = type(self)
    cls.__lazy_layout__.values(cls.__qualname__, positional, named)
    self.__dict__.update(named)
    if hasattr(cls, "__post_init__"):
        self.__post_init__()


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    names = self.__lazy_layout__.names
    return all(getattr(self, name) == getattr(other, name) for name in names)


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name in self.__lazy_layout__.names)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _hash(self: Any) -> int:
    return hash(tuple(getattr(self, name) for name in self.__lazy_layout__.hashed))


def _refuse_setattr(_self: Any, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delattr(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
