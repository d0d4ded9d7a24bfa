"""The files that a compiler read, from the depfiles that it wrote."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPED = re.compile(r"(\\+)([ \t#])|\$\$")


def dependencies(folder: Path) -> list[str]:
    """Return all files that the compiler read, as it spelled them.

    The depfiles come from ``-MD``. ``-MMD`` would omit everything found through ``-isystem``, so
    torch's own builder does not notice changed torch headers (pytorch #68905).

    Args:
        folder: The working folder of the build, which contains ``objects``.
    """
    found: dict[str, None] = {}
    for depfile in sorted(folder.glob("objects/**/*.d")):
        text = depfile.read_bytes().decode("utf-8", "surrogateescape")  # paths may be any bytes
        found.update(dict.fromkeys(parse_depfile(text)))
    return list(found)


def parse_depfile(text: str) -> list[str]:
    """Return the prerequisites of a Makefile rule that GCC or Clang wrote.

    They escape spaces and tabs and double the backslashes before them, escape ``#`` and double
    ``$`` (``munge`` in GCC's mkdeps.cc).

    Example:
        >>> from op_builder.jit.depfile import parse_depfile
        >>> parse_depfile("a.o: a.cpp /usr/include/math.h")
        ['a.cpp', '/usr/include/math.h']
    """
    joined = text.replace("\\\n", " ")
    _, _, prerequisites = joined.partition(": ")
    words = re.findall(r"(?:\\[ \t]|[^ \t\n])+", prerequisites)
    return [_ESCAPED.sub(_unescape, word) for word in words]


def _unescape(matched: re.Match[str]) -> str:
    backslashes, character = matched[1] or "", matched[2] or ""
    if character in (" ", "\t"):
        return "\\" * (len(backslashes) // 2) + character
    return backslashes[1:] + character if character else "$"
