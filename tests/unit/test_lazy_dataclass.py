"""The lazy dataclass decorator behaves as the standard one."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import pytest

from op_builder.lazy_dataclass import dataclass as lazy
from op_builder.lazy_dataclass import replace


def point(decorator: Callable[..., Any]) -> Any:
    @decorator(frozen=True)
    class Point:
        kind: ClassVar[str] = "point"
        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list, hash=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x")

    return Point


def box(decorator: Callable[..., Any]) -> Any:
    @decorator
    class Box:
        width: int = 1
        items: dict[str, int] = field(default_factory=dict)

    return Box


@lazy(frozen=True)
class Pickled:
    x: int


def result(call: Callable[[Any], object], cls: Any) -> object:
    try:
        return call(cls)
    except (TypeError, ValueError, AttributeError) as error:
        return type(error)


POINT_CALLS: dict[str, Callable[[Any], object]] = {
    "positional": lambda c: dataclasses.astuple(c(1, 3)),
    "by name": lambda c: dataclasses.asdict(c(x=1, tags=["a"])),
    "defaults": lambda c: (c(1).y, c(1).tags, c.y, hasattr(c, "tags")),
    "own list each": lambda c: c(1).tags is c(1).tags,
    "missing": lambda c: c(),
    "unknown": lambda c: c(1, z=2),
    "twice": lambda c: c(1, x=2),
    "too many": lambda c: c(1, 2, [], 4),
    "post init": lambda c: c(-1),
    "equal": lambda c: (c(1) == c(1), c(1) == c(2), c(1) == 1, c(1) != c(1)),
    "hash": lambda c: hash(c(1, 2, ["a"])) == hash(c(1, 2, ["b"])),
    "repr": lambda c: repr(c(1)).rpartition(".")[2],
    "assign": lambda c: setattr(c(1), "x", 2),
    "delete": lambda c: delattr(c(1), "x"),
    "replace": lambda c: dataclasses.astuple(dataclasses.replace(c(1), y=5)),
    "replace unknown": lambda c: dataclasses.replace(c(1), z=5),
    "fields": lambda c: [(f.name, f.hash, f.init) for f in dataclasses.fields(c)],
    "is dataclass": lambda c: (dataclasses.is_dataclass(c), dataclasses.is_dataclass(c(1))),
    "match": lambda c: c.__match_args__,
    "copy": lambda c: copy.deepcopy(c(1)) == c(1),
    "class variable": lambda c: (c.kind, c(1).kind),
    "derived": lambda c: dataclasses.astuple(
        dataclasses.dataclass(frozen=True)(
            type("D", (c,), {"__annotations__": {"z": "int"}, "z": 4})
        )(1)
    ),
}
BOX_CALLS: dict[str, Callable[[Any], object]] = {
    "defaults": lambda c: dataclasses.asdict(c()),
    "assign": lambda c: setattr(b := c(), "width", 5) or b.width,
    "hash": lambda c: hash(c()),
    "equal": lambda c: c(2, {"a": 1}) == c(2, {"a": 1}),
}


@pytest.mark.parametrize("call", POINT_CALLS.values(), ids=POINT_CALLS)
def test_a_frozen_class_is_as_the_standard_one(call: Callable[[Any], object]) -> None:
    assert result(call, point(lazy)) == result(call, point(dataclasses.dataclass))


@pytest.mark.parametrize("call", BOX_CALLS.values(), ids=BOX_CALLS)
def test_a_mutable_class_is_as_the_standard_one(call: Callable[[Any], object]) -> None:
    assert result(call, box(lazy)) == result(call, box(dataclasses.dataclass))


def test_an_instance_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled(3))) == Pickled(3)


REPLACEMENTS: dict[str, Callable[[Any, Any], object]] = {
    "one": lambda c, f: dataclasses.astuple(f(c(1), y=5)),
    "no change": lambda c, f: f(c(1, 3), tags=["a"]) == c(1, 3, ["a"]),
    "unknown": lambda c, f: f(c(1), z=5),
    "post init": lambda c, f: f(c(1), x=-1),
    "derived": lambda c, f: dataclasses.astuple(
        f(
            dataclasses.dataclass(frozen=True)(
                type("D", (c,), {"__annotations__": {"z": "int"}, "z": 4})
            )(1),
            z=5,
        )
    ),
}


@pytest.mark.parametrize("call", REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_replace_is_as_the_standard_one(call: Callable[[Any, Any], object]) -> None:
    ours = result(lambda c: call(c, replace), point(lazy))
    assert ours == result(lambda c: call(c, dataclasses.replace), point(dataclasses.dataclass))
