"""Rewrites ``kernel<<<blocks, l2_control, stream>>>(arguments)`` into C++, line by line.

Everything else stays as it is, so that line numbers in diagnostics, in a debugger and in the
emulated core's findings are those of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# What must not be looked into, the brackets of a launch, and single characters.
_TOKEN = re.compile(
    r"//[^\n]*"
    r"|/\*.*?\*/"
    r'|R"(?P<delimiter>[^()\\ \n]{0,16})\(.*?\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|<<<|>>>|::|\#\#|[A-Za-z_]\w*|\s+|.",
    re.DOTALL,
)
#: The attribute that __aicore__ stands for, which some kernels write out, also with `host`.
AICORE_ATTRIBUTE = re.compile(r"\[\s*(?:host\s*,\s*)?aicore\s*\]")
_OPENING, _CLOSING = "([{", ")]}"


class LaunchSyntaxError(ValueError):
    """A launch that cannot be rewritten. ``line`` is its line, counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def tokens_of(text: str) -> list[str]:
    """Split C++ into tokens; joined, they are the text again.

    Example:
        >>> from ascend_ops.emulator.bisheng.launches import tokens_of
        >>> tokens_of("k<<<8>>>(x); // <<<")
        ['k', '<<<', '8', '>>>', '(', 'x', ')', ';', ' ', '// <<<']
    """
    return [match.group() for match in _TOKEN.finditer(text)]


def rewrite(text: str, types: Mapping[str, str], default: str) -> str:
    """Return ``text`` with each launch as a call.

    Args:
        text: A source in Ascend C.
        types: The enumerator of ``aicore::KernelType`` by the name of the kernel.
        default: That of kernels that ``types`` does not have.

    Raises:
        LaunchSyntaxError: ``<<<`` does not follow the name of a kernel, or ``>>>`` is missing.

    Example:
        >>> from ascend_ops.emulator.bisheng.launches import rewrite
        >>> print(rewrite("add<<<8, nullptr, stream>>>(x);", {}, "vector"))
        ::aicore::launcher([=](auto... arguments) { add(arguments...); }, "add", \
::aicore::KernelType::vector, 8, nullptr, stream)(x);
    """
    out: list[str] = []
    open_launches: list[tuple[int, int]] = []  # depth of brackets, line
    depth, line = 0, 1
    for part in tokens_of(AICORE_ATTRIBUTE.sub("", text)):
        if part == "<<<":
            begin = _kernel_begin(out)
            if begin is None:
                raise LaunchSyntaxError(line, "there must be the name of a kernel before <<<")
            kernel = "".join(out[begin:]).strip()
            del out[begin:]
            out.append(_call(kernel, types, default))
            open_launches.append((depth, line))
        elif part == ">>>" and open_launches and open_launches[-1][0] == depth:
            open_launches.pop()
            out.append(")")
        elif part == ">>>":
            out += part  # closes templates
        else:
            depth += (part in _OPENING) - (part in _CLOSING) if len(part) == 1 else 0
            out.append(part)
        line += part.count("\n")
    if open_launches:
        raise LaunchSyntaxError(open_launches[-1][1], "<<< without >>>")
    return "".join(out)


def _call(kernel: str, types: Mapping[str, str], default: str) -> str:
    name = re.split(r"[<\s]", kernel, maxsplit=1)[0].rpartition("::")[2]
    shown = kernel.replace('"', "'").replace("\n", " ")
    return (
        f"::aicore::launcher([=](auto... arguments) {{ {kernel}(arguments...); }}, "
        f'"{shown}", ::aicore::KernelType::{types.get(name, default)}, '
    )


def _kernel_begin(tokens: Sequence[str]) -> int | None:
    """Return where the name of a kernel at the end of ``tokens`` begins.

    It is an identifier, with its namespaces and template arguments, or pasted by a macro.
    """
    index = _before_space(tokens, len(tokens))
    begin: int | None = None
    while index > 0:
        if tokens[index - 1] == ">":
            opening = _template_begin(tokens, index - 1)
            if opening is None:
                return begin
            index = _before_space(tokens, opening)
        if index == 0 or not re.match(r"[A-Za-z_]", tokens[index - 1]):
            return begin
        index -= 1
        begin = index
        joined = _before_space(tokens, index)
        if joined == 0 or tokens[joined - 1] not in ("::", "##"):
            return begin
        if tokens[joined - 1] == "::":
            begin = joined - 1
        index = _before_space(tokens, joined - 1)
    return begin


def _before_space(tokens: Sequence[str], end: int) -> int:
    """Return the end of the last part before ``end`` that is neither space nor a comment."""
    while end > 0 and (tokens[end - 1].isspace() or tokens[end - 1].startswith(("//", "/*"))):
        end -= 1
    return end


def _template_begin(tokens: Sequence[str], closing: int) -> int | None:
    """Return the index of the ``<`` that the ``>`` at ``closing`` closes."""
    depth = brackets = 0
    for index in range(closing, -1, -1):
        part = tokens[index]
        if part in (")", "]"):
            brackets += 1
        elif part in ("(", "["):
            brackets -= 1
        elif brackets == 0 and part == ">":
            depth += 1
        elif brackets == 0 and part == "<":
            depth -= 1
            if depth == 0:
                return index
        elif part in (";", "{", "}"):
            return None
    return None
