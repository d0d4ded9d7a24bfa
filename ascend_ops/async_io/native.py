"""The C++ library, and the types of its functions."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

_library: Any = None
_guard = threading.Lock()


class Failure(ctypes.Structure):
    """Why a transfer failed."""

    _fields_ = (
        ("transfer", ctypes.c_uint64),
        ("cause", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("position", ctypes.c_int64),
    )

    SYSTEM = 1  # see `error`, an errno
    END_OF_FILE = 2
    DIFFERENCE = 3


class Statistics(ctypes.Structure):
    """What a handle has done."""

    NAMES = ("blocks", "submissions", "in_flight", "direct_bytes", "cached_bytes")
    _fields_ = tuple((name, ctypes.c_int64) for name in NAMES)


_VOID, _INT, _BOOL, _INT64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_bool, ctypes.c_int64
#: Result and arguments of each function.
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "async_io_try": (_INT, (_INT, _INT64)),
    "async_io_open": (
        _VOID,
        (_INT, _INT64, _INT64, _BOOL, _BOOL, _INT64, ctypes.POINTER(_INT)),
    ),
    "async_io_close": (None, (_VOID,)),
    "async_io_start": (
        ctypes.c_uint64,
        (_VOID, _BOOL, _BOOL, _BOOL, _INT, _VOID, _INT64, _INT64),
    ),
    "async_io_wait": (_INT64, (_VOID,)),
    "async_io_next_failure": (_BOOL, (_VOID, ctypes.POINTER(Failure))),
    "async_io_statistics": (None, (_VOID, ctypes.POINTER(Statistics))),
}


def native() -> Any:
    """Return the library, building it first if it is not cached. No call of it holds the GIL."""
    global _library
    if _library is None:
        with _guard:
            if _library is None:
                from op_builder.ops.async_io import AsyncIOBuilder

                from ..dispatch.loading import load

                library = load(AsyncIOBuilder)
                for name, (result, arguments) in _FUNCTIONS.items():
                    function = getattr(library, name)
                    function.restype, function.argtypes = result, arguments
                _library = library
    return _library
