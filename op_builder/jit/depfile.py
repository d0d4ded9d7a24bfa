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
    return [_ESCAPED.sub(_unescape, word) for word in words]


def parse_linker_list(text: str) -> list[str]:
    """Return the prerequisites of a rule that a linker wrote, one per line.

    GNU ld escapes nothing; lld and mold escape as compilers do.

    Example:
        >>> from op_builder.jit.depfile import parse_linker_list
        >>> backslash = chr(92)
        >>> lines = [f"a.so: {backslash}", f"  a.o {backslash}", "  my lib/libm.a", "", "a.o:"]
        >>> parse_linker_list(chr(10).join(lines))
        ['a.o', 'my lib/libm.a']
    """
    _, _, rule = text.partition(":")
    lines: list[str] = []
    for line in rule.split("\n"):
        lines.append(line.removesuffix("\\").strip(" "))
        if not line.endswith("\\"):
            break
    return [line for line in lines if line]


def _unescape(matched: re.Match[str]) -> str:
    backslashes, character = matched[1] or "", matched[2] or ""
    if character in (" ", "\t"):
        return "\\" * (len(backslashes) // 2) + character
    return backslashes[1:] + character if character else "$"
