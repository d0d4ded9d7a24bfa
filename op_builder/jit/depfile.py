"""The syntax of the lists in which compilers, assemblers and linkers name what they read."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"(\\+)([ \t#])|\$\$")


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
    first_rule, _, _ = prerequisites.partition("\n")
    words = re.findall(r"(?:\\[ \t]|[^ \t])+", first_rule)
    return [unescaped(word) for word in words]


def parse_linker_list(text: str) -> list[str]:
    """Return the files in a list that a linker wrote, as it spelled them.

    After the rule itself, linkers write an empty rule for each file. Only there can a path with
    spaces be told from two paths, since mold writes the rule on one line and escapes nothing.

    Example:
        >>> from op_builder.jit.depfile import parse_linker_list
        >>> parse_linker_list("a.so: a.o my lib/libm.a\\n\\na.o:\\n\\nmy lib/libm.a:\\n")
        ['a.o', 'my lib/libm.a']
    """
    rules = text.partition("\n\n")[2]
    return [line[:-1] for line in rules.split("\n") if line.endswith(":")]


def unescaped(path: str) -> str:
    """Return a path without the escapes of Makefiles, which lld writes and other linkers do not.

    Example:
        >>> from op_builder.jit.depfile import unescaped
        >>> print(unescaped(r"my\\ lib/libm.a"))
        my lib/libm.a
    """
    return _ESCAPED.sub(_unescape, path)


def _unescape(matched: re.Match[str]) -> str:
    backslashes, character = matched[1] or "", matched[2] or ""
    if character in (" ", "\t"):
        return "\\" * (len(backslashes) // 2) + character
    return backslashes[1:] + character if character else "$"
