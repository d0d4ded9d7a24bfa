"""The host's C++ compiler, with which the emulated CANN's programs compile and link."""

from __future__ import annotations

import shutil

_NAMES = ("g++", "c++", "clang++")


def host_compiler() -> str | None:
    """Return the first compiler on PATH, or None.

    Example:
        >>> from ascend_ops.emulator.bisheng.host_compiler import host_compiler
        >>> host_compiler() is not None
        True
    """
    return next(filter(None, map(shutil.which, _NAMES)), None)


def no_compiler() -> str:
    """Return the reason if there is none.

    Example:
        >>> from ascend_ops.emulator.bisheng.host_compiler import no_compiler
        >>> no_compiler()
        'no C++ compiler on PATH; looked for g++, c++, clang++'
    """
    return f"no C++ compiler on PATH; looked for {', '.join(_NAMES)}"
