"""Plain C with ctypes: the checksum CRC-32C, with which data loaders check their shards.

The C++ includes neither torch nor Python, so it compiles in 0.2 s and the library works with any
version of either.
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
    """Return the CRC-32C (Castagnoli) of ``data``.

    Args:
        data: the bytes.
        crc: the checksum of the preceding bytes, to continue it.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    function = Crc32cBuilder().load().crc32c
    # ctypes does not know a C function's types, and its default, int, fits none of these.
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32)
    function.restype = ctypes.c_uint32
    return int(function(data, len(data), crc))
