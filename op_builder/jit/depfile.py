"""The files that a compiler read, from the depfiles that it wrote."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPED = re.compile(r"(\\+)([ \t#])|\$\$")


def dependencies(folder: Path) -> list[str]:
    """Return all files that the compiler read, as it spelled them, from depfiles in ``folder``.

    The depfiles come from ``-MD`` and not ``-MMD``, which leaves out everything found through
    ``-isystem``: that is why torch's own builder misses changed torch headers (pytorch #68905).
    """
    found: dict[str, None] = {}
    for depfile in sorted(folder.glob("objects/**/*.d")):
        text = depfile.read_bytes().decode("utf-8", "surrogateescape")  # a path may be any bytes
        found.update(dict.fromkeys(parse_depfile(text)))
    return list(found)


def parse_depfile(text: str) -> list[str]:
    """Return the prerequisites of a Makefile rule as GCC and Clang write it.

    A space or tab is escaped and the backslashes before it are doubled; ``#`` is escaped and ``$``
    is doubled (``munge`` in GCC's mkdeps.cc).
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
