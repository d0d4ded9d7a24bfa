"""The parameters of a kernel, and the cores that it runs on, read from its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .structures import NUMBERS, Structure, structures_of

#: torch's dtypes by the type that a pointer points to; others take a tensor of any dtype.
_DTYPES = {
    "float": "float32",
    "half": "float16",
    "bfloat16_t": "bfloat16",
    "int8_t": "int8",
    "int16_t": "int16",
    "int32_t": "int32",
    "int": "int32",
    "int64_t": "int64",
}
_QUALIFIERS = re.compile(r"\b(?:__gm__|const|volatile|__restrict__|struct)\b|\bstd::")
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_CUBE = re.compile(r"__cube__|__mix__|KERNEL_TYPE_(?:AIC|MIX_AIC)")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        name: Its name.
        c_type: Its type as the launcher declares it.
        code: The code of :mod:`struct` of a number; "P" for a pointer; "" for a structure.
        dtype: The dtype that a tensor must have, as ``float32``; "" for any.
        structure: The structure that it is or points to, if the source defines it.
    """

    name: str
    c_type: str
    code: str
    dtype: str = ""
    structure: Structure | None = None

    @property
    def layout(self) -> str:
        """The codes of :mod:`struct` for what the launcher gets."""
        return self.code or ("" if self.structure is None else self.structure.layout())


@dataclass(frozen=True)
class Signature:
    """A kernel's parameters, and whether it runs on cube cores, alone or with vector cores."""

    parameters: tuple[Parameter, ...]
    uses_cube: bool


def signature_of(
    source: str, kernel: str, constants: Mapping[str, object] | None = None
) -> Signature:
    """Return the signature of ``kernel``, whose name may have template arguments.

    Raises:
        ValueError: The source has no such kernel, or a parameter cannot be passed.

    Example:
        >>> from ascend_ops.kernels.signature import signature_of
        >>> text = "template <class T> __global__ __aicore__ void scale(__gm__ T* x, int n) {}"
        >>> [(p.name, p.c_type, p.dtype) for p in signature_of(text, "scale<half>").parameters]
        [('x', 'half*', 'float16'), ('n', 'int', '')]
    """
    code = _COMMENTS.sub(" ", source)
    name, _, rest = kernel.partition("<")
    match = re.search(
        rf"(?:\btemplate\s*<(?P<template>[^<>]*)>\s*)?(?P<attributes>(?:extern\s*\"C\"\s*)?"
        rf"(?:\w+\s+|\w+\([^)]*\)\s+)*?__global__[^;{{}}]*?)"
        rf"\b{re.escape(name)}\s*\((?P<parameters>[^)]*)\)\s*(?P<brace>\{{?)",
        code,
    )
    if match is None:
        kernels = re.findall(r"__global__[^;{}()]*?(?:\([^)]*\)[^;{}()]*?)?\b(\w+)\s*\(", code)
        raise ValueError(
            f"name must be one of the kernels of the source, {', '.join(kernels) or 'which has '}"
            f"{'' if kernels else 'none'}, got {kernel!r}"
        )
    given = _template_arguments(kernel, match["template"], rest)
    declarations = [" ".join(part.split()) for part in match["parameters"].split(",")]
    structures = structures_of(code, {**(constants or {}), **given})
    parameters = [_parameter(text, given, structures) for text in declarations if text]
    body = code[match.end() :].split("__global__", 1)[0]
    return Signature(tuple(parameters), bool(_CUBE.search(match["attributes"] + body)))


def _template_arguments(kernel: str, declared: str | None, rest: str) -> dict[str, str]:
    """Return the template arguments of ``kernel`` by the names of the parameters."""
    names = [part.split("=")[0].split()[-1] for part in (declared or "").split(",") if part.strip()]
    values = [part.strip() for part in rest.rstrip("> ").split(",") if part.strip()]
    if len(names) != len(values):
        raise ValueError(
            f"name must have {len(names)} template arguments ({', '.join(names)}), got {kernel!r}"
        )
    return dict(zip(names, values, strict=True))


def _parameter(
    declaration: str, given: Mapping[str, str], structures: Mapping[str, Structure]
) -> Parameter:
    text = " ".join(_QUALIFIERS.sub(" ", declaration).split())
    match = re.fullmatch(r"(?P<type>.*?)\s*(?P<pointer>\*?)\s*(?P<name>\w+)", text)
    if match is not None:
        name, kind = match["name"], given.get(match["type"], match["type"])
        if match["pointer"] or kind == "GM_ADDR":
            pointed = "uint8_t" if kind in ("GM_ADDR", "void") else kind
            return Parameter(name, f"{pointed}*", "P", _DTYPES.get(kind, ""), structures.get(kind))
        if kind in NUMBERS:
            return Parameter(name, kind, NUMBERS[kind])
        if kind in structures:
            return Parameter(name, kind, "", "", structures[kind])
    raise ValueError(
        f"a kernel's parameter must be GM_ADDR, a pointer, a number ({', '.join(NUMBERS)}) or a "
        f"structure of these numbers that the source defines, got {declaration!r}"
    )
