"""The parameters of a kernel, read from its source."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any

# The types of numbers, and what ctypes passes for them.
_NUMBERS: dict[str, Any] = {
    "bool": ctypes.c_bool,
    "int": ctypes.c_int,
    "unsigned": ctypes.c_uint,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    **{f"int{bits}_t": getattr(ctypes, f"c_int{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": getattr(ctypes, f"c_uint{bits}") for bits in (8, 16, 32, 64)},
}
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
_QUALIFIERS = re.compile(r"\b(?:__gm__|const|volatile|__restrict__|std::|struct)\b|\bstd::")
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        name: Its name.
        c_type: Its type as the launcher declares it.
        number: The ctypes type of a number, or None for a tensor.
        dtype: The dtype that a tensor must have, as ``float32``; "" for any.
    """

    name: str
    c_type: str
    number: Any
    dtype: str


def parameters_of(source: str, kernel: str) -> list[Parameter]:
    """Return the parameters of ``kernel``.

    Raises:
        ValueError: The source has no such kernel, or a parameter is neither a pointer nor a number.

    Example:
        >>> from ascend_ops.kernels.signature import parameters_of
        >>> text = "extern __global__ __aicore__ void scale(__gm__ float* x, uint32_t n) {}"
        >>> [(p.name, p.dtype or p.c_type) for p in parameters_of(text, "scale")]
        [('x', 'float32'), ('n', 'uint32_t')]
    """
    code = _COMMENTS.sub(" ", source)
    match = re.search(rf"__global__[^;{{}}]*?\b{re.escape(kernel)}\s*\(([^)]*)\)", code)
    if match is None:
        kernels = re.findall(r"__global__[^;{}()]*?\b(\w+)\s*\(", code)
        raise ValueError(
            f"name must be one of the kernels of the source, {', '.join(kernels) or 'which has '}"
            f"{'' if kernels else 'none'}, got {kernel!r}"
        )
    declarations = [" ".join(part.split()) for part in match[1].split(",")]
    return [_parameter(declaration) for declaration in declarations if declaration]


def _parameter(declaration: str) -> Parameter:
    text = " ".join(_QUALIFIERS.sub(" ", declaration).split())
    match = re.fullmatch(r"(?P<type>.*?)\s*(?P<pointer>\*?)\s*(?P<name>\w+)", text)
    if match is not None:
        name, kind = match["name"], match["type"]
        if match["pointer"] or kind == "GM_ADDR":
            pointed = "uint8_t" if kind == "GM_ADDR" else kind
            return Parameter(name, f"{pointed}*", None, _DTYPES.get(kind, ""))
        if kind in _NUMBERS:
            return Parameter(name, kind, _NUMBERS[kind], "")
    known = ", ".join(_NUMBERS)
    raise ValueError(
        f"a kernel's parameter must be GM_ADDR, a pointer or a number ({known}), got "
        f"{declaration!r}: put a structure into a tensor of bytes"
    )
