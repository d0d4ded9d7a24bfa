"""Plain C with ctypes: the checksum CRC-32C, as data loaders check their shards with it.

No torch and no Python in the C++: it compiles in 0.2 s and its library runs with any version of
either.
"""

from __future__ import annotations

import ctypes

from op_builder import CPUOpBuilder


class Crc32cBuilder(CPUOpBuilder):
    """``load()`` returns a :class:`ctypes.CDLL`."""

    NAME = "crc32c"
    BUILD_VAR = "DS_BUILD_CRC32C"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["crc32c.cpp"]


def crc32c(data: bytes, crc: int = 0) -> int:
    """The CRC-32C (Castagnoli) of ``data``; ``crc`` is that of what came before it."""
    function = Crc32cBuilder().load().crc32c
    # ctypes knows nothing of a C function's types; int would do for none of these.
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32)
    function.restype = ctypes.c_uint32
    return int(function(data, len(data), crc))
