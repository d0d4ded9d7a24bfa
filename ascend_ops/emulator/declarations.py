"""The aclnn functions that the emulator's libopapi.so has, as the library itself describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from op_builder.system import process

_PRINT_DECLARATIONS = """
import ctypes, sys
describe = ctypes.CDLL(sys.argv[1]).ascend_emulator_declarations
describe.restype = ctypes.c_char_p
sys.stdout.write(describe().decode())
"""
_SECONDS = 120.0


@dataclass(frozen=True)
class Parameter:
    """A parameter of phase 1.

    Attributes:
        c_type: The type in C.
        name: CANN's name, or that of ATen's schema; "out" for an output without a name.
        role: ``input``, ``output``, ``in_out``, ``unused`` if it cannot change the result, or
            ``refused`` if it must have its default value.
        may_be_null: Whether phase 1 accepts null.
    """

    c_type: str
    name: str
    role: str
    may_be_null: bool

    @property
    def is_written(self) -> bool:
        """Whether the function writes to it."""
        return self.role in ("output", "in_out")


@dataclass(frozen=True)
class Function:
    """An emulated function.

    Attributes:
        name: The name of phase 2; phase 1 is ``<name>GetWorkspaceSize``.
        schema: The operator of ATen that computes it, or "" if it has a body of its own.
        parameters: The parameters of phase 1, without the workspace's size and the executor.
    """

    name: str
    schema: str
    parameters: tuple[Parameter, ...]

    @property
    def refused(self) -> list[str]:
        """The names of the parameters that must have their default values."""
        return [each.name for each in self.parameters if each.role == "refused"]


def read_declarations(library: Path) -> list[Function]:
    """Return the functions of a libopapi.so, sorted by name.

    The library is loaded in a process of its own, because it brings torch's libraries with it.

    Args:
        library: The libopapi.so of an emulated CANN.

    Raises:
        CommandError: The library cannot be loaded.

    Example:
        >>> from ascend_ops.emulator import emulated_cann
        >>> from ascend_ops.emulator.declarations import read_declarations
        >>> functions = read_declarations(emulated_cann().library_dir / "libopapi.so")
        >>> next(each.schema for each in functions if each.name == "aclnnMul")
        'mul.Tensor'
    """
    command = [process.interpreter(), "-I", "-c", _PRINT_DECLARATIONS, str(library)]
    text = process.run(command, timeout=_SECONDS, stdout_only=True)
    return sorted(map(_parse, text.splitlines()), key=lambda function: function.name)


def _parse(line: str) -> Function:
    name, schema, *fields = line.split("\t")
    described = [field.split("|") for field in fields]
    names = _distinct(_camel_case(each[1]) for each in described)
    return Function(
        name,
        schema,
        tuple(
            Parameter(c_type, own_name, role, nullness == "optional")
            for (c_type, _, role, nullness), own_name in zip(described, names, strict=True)
        ),
    )


def _camel_case(name: str) -> str:
    """Return the name in CANN's style; parameters without a name are called "argument"."""
    words = re.sub(r"^argument \d+$", "argument", name).split("_")
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


def _distinct(names: Iterator[str]) -> list[str]:
    """Return the names, with a number appended to those that are used before or reserved."""
    seen = {"workspaceSize", "executor"}
    distinct = []
    for name in names:
        number = 1
        unique = name
        while unique in seen:
            number += 1
            unique = f"{name}{number}"
        seen.add(unique)
        distinct.append(unique)
    return distinct
