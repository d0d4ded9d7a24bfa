"""Arrays that a function declares in UB refer to the memory of the emulated core.

A kernel of the C API declares ``__ubuf__ float x[64];``. The host's compiler would put the array on
the stack, so its declaration becomes ``__ubuf__ float (&x)[64] = ::aicore::UbArray("x");``, in the
same line.
"""

from __future__ import annotations

import re

_QUALIFIER = "__ubuf__"
# A type without a pointer, since arrays of pointers to UB stay where they are, then the first name.
_DECLARATION = re.compile(
    rf"\b(?P<begin>{_QUALIFIER}\s+(?:(?:const|volatile|unsigned|signed)\s+)*"
    r"[A-Za-z_][\w:]*(?:\s*<[^;<>(){}]*>)?\s+)"
    r"(?P<arrays>[A-Za-z_]\w*\s*\[[^;{}()=]*(?:\([^;{}=]*\)[^;{}()=]*)*\])\s*;"
)
_ARRAY = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*(?P<lengths>(?:\[[^\[\]]*\]\s*)+)")


def declares_ub_arrays(text: str) -> bool:
    """Return whether a text declares an array in UB.

    Example:
        >>> from ascend_ops.emulator.bisheng.ub_arrays import declares_ub_arrays
        >>> declares_ub_arrays("__ubuf__ float x[64];"), declares_ub_arrays("__ubuf__ float* x;")
        (True, False)
    """
    return _DECLARATION.search(text) is not None


def place_ub_arrays(text: str) -> str:
    """Return ``text`` with its arrays of UB as references to the memory of the core.

    Example:
        >>> from ascend_ops.emulator.bisheng.ub_arrays import place_ub_arrays
        >>> place_ub_arrays("__ubuf__ half x[64], y[2][n];")
        '__ubuf__ half (&x)[64] = ::aicore::UbArray("x"), (&y)[2][n] = ::aicore::UbArray("y");'
    """

    def declaration(match: re.Match[str]) -> str:
        arrays = _ARRAY.sub(
            lambda array: (
                f"(&{array['name']}){array['lengths'].rstrip()} = "
                f'::aicore::UbArray("{array["name"]}")'
            ),
            match["arrays"],
        )
        return f"{match['begin']}{arrays};"

    return _DECLARATION.sub(declaration, text)
