"""Plain structures that a kernel takes, such as its tiling, read from its source."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

#: The codes of :mod:`struct` for the types of numbers; the letter also decides what is accepted.
NUMBERS = {
    "bool": "?",
    "int": "i",
    "unsigned": "I",
    "unsigned int": "I",
    "size_t": "N",
    "float": "f",
    "double": "d",
    "half": "e",
    "int8_t": "b",
    "uint8_t": "B",
    "int16_t": "h",
    "uint16_t": "H",
    "int32_t": "i",
    "uint32_t": "I",
    "int64_t": "q",
    "uint64_t": "Q",
}
FLOATS = "fde"
_MEMBER = re.compile(r"(?P<type>\w+(?: int)?) (?P<name>\w+) ?(?:\[ ?(?P<count>\w+) ?\])?")


@dataclass(frozen=True)
class Structure:
    """A structure of numbers and arrays of numbers.

    Attributes:
        name: Its name.
        members: The name, the code of :mod:`struct` and the length of each member; 0 for a number.

    Example:
        >>> from ascend_ops.kernels.structures import structures_of
        >>> tiling = structures_of("struct Tiling { uint32_t rows; float eps; };", {})["Tiling"]
        >>> tiling.layout(), tiling.values("tiling", {"rows": 3, "eps": 0.5})
        ('0IIf0I', [3, 0.5])
    """

    name: str
    members: tuple[tuple[str, str, int], ...]

    def layout(self) -> str:
        """Return the codes for :mod:`struct`, aligned as C++ aligns the structure."""
        widest = max((code for _, code, _ in self.members), key=struct.calcsize)
        body = "".join(f"{length or ''}{code}" for _, code, length in self.members)
        return f"0{widest}{body}0{widest}"

    def size(self) -> int:
        """Return its bytes."""
        return struct.calcsize(f"@{self.layout()}")

    def values(self, argument: str, value: Any) -> list[Any]:
        """Return the numbers of a mapping or a dataclass in the order of the members.

        Raises:
            TypeError: The value is neither, or a member has the wrong type.
            ValueError: A member is missing, is not known, or has another length.
        """
        given = _mapping(value)
        if given is None:
            raise TypeError(
                f"{argument} must be a mapping or a dataclass with the members of {self.name}, got "
                f"{type(value).__name__}"
            )
        names = [name for name, _, _ in self.members]
        if set(given) != set(names):
            raise ValueError(
                f"{argument} must have the members {', '.join(names)}, got "
                f"{', '.join(map(str, given)) or 'none'}"
            )
        found: list[Any] = []
        for name, code, length in self.members:
            numbers = list(given[name]) if length else [given[name]]
            if length and len(numbers) != length:
                raise ValueError(
                    f"{argument}.{name} must have {length} numbers, got {len(numbers)}"
                )
            for number in numbers:
                check_number(f"{argument}.{name}", code, number)
            found += numbers
        return found


def check_number(name: str, code: str, value: Any) -> None:
    """Raise TypeError or ValueError if a number does not fit into the type of a code.

    Example:
        >>> from ascend_ops.kernels.structures import check_number
        >>> check_number("count", "I", 3)
    """
    wanted = "a number" if code in FLOATS else "an integer"
    if not isinstance(value, (int, float) if code in FLOATS else int):
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    if code == "?" and value not in (0, 1):
        raise ValueError(f"{name} must fit into bool, got {value}")
    try:
        struct.pack(code, value)
    except (struct.error, OverflowError):
        types = next(c_type for c_type, other in reversed(NUMBERS.items()) if other == code)
        raise ValueError(f"{name} must fit into {types}, got {value}") from None


def structures_of(code: str, constants: Mapping[str, object]) -> dict[str, Structure]:
    """Return the structures in C++ without comments whose members are numbers.

    Args:
        code: The text.
        constants: Macros that may give the lengths of arrays.
    """
    found = {}
    for match in re.finditer(r"\bstruct\s+(\w+)\s*\{([^{}()]*)\}\s*;", code):
        members = list(_members(match[2], constants))
        if members and None not in members:
            found[match[1]] = Structure(match[1], tuple(m for m in members if m is not None))
    return found


def _members(body: str, constants: Mapping[str, object]) -> Iterator[tuple[str, str, int] | None]:
    """Yield the members; None for one that is not a number."""
    for statement in filter(None, (" ".join(part.split()) for part in body.split(";"))):
        without = re.sub(r"\bstd::|\s*=[^,]*", "", statement)
        first, *others = without.split(",")
        match = _MEMBER.fullmatch(first.strip())
        if match is None or match["type"] not in NUMBERS:
            yield None
            continue
        for declared in (first, *(f"{match['type']} {other.strip()}" for other in others)):
            yield _member(declared.strip(), constants)


def _member(declared: str, constants: Mapping[str, object]) -> tuple[str, str, int] | None:
    match = _MEMBER.fullmatch(declared)
    if match is None:
        return None
    length = str(constants.get(match["count"], match["count"])) if match["count"] else "0"
    if not length.isdigit():
        return None
    return match["name"], NUMBERS[match["type"]], int(length)


def _mapping(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None
