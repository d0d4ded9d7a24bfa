"""Rewrites specializations inside of classes, which GCC takes from version 14 on.

The device's compiler is a clang, and takes::

    struct Product {
        template <int core> void run(const Params&);
        template <> void run<AIC>(const Params&) { ... }

The specialization becomes a template of its own with the same parameters and a constraint, which is
preferred where it holds::

        template <int core> requires(core == (AIC)) void run(const Params&) { ... }

Lines stay as they are. A specialization that would not mean the same so is left to the compiler.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .launches import tokens_of

_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)
_SPECIALIZATION = re.compile(r"\btemplate\s*<\s*>")
_TYPE_PARAMETER = re.compile(r"(?:class|typename)\s+(\w+)$")
_VALUE_PARAMETER = re.compile(r"[\w:]+(?:\s+[\w:]+)*\s+(\w+)$")
_PAIRS = {"<": ">", "(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True)
class _Declaration:
    """A template in a class: its parameters and what follows them."""

    parameters: str
    is_class: bool
    operands: str  # of a function, without spaces


@functools.lru_cache(maxsize=512)  # each text is looked at twice
def constrain_specializations(text: str) -> str:
    """Return ``text`` with specializations inside of classes as constrained templates.

    Example:
        >>> from ascend_ops.emulator.bisheng.specializations import constrain_specializations
        >>> print(constrain_specializations(
        ...     "struct P { template <int c = 0> void run(); template <> void run<1>() {} };"))
        struct P { template <int c = 0> void run(); \
template <int c = 0> requires(c == (1)) void run() {} };
    """
    if not has_specializations(text):
        return text
    return "".join(_Rewriter(text).tokens)


def has_specializations(text: str) -> bool:
    """Return whether a text may have specializations inside of classes.

    Example:
        >>> from ascend_ops.emulator.bisheng.specializations import has_specializations
        >>> has_specializations("template <class T> struct P {};")
        False
    """
    return _SPECIALIZATION.search(text) is not None


class _Rewriter:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self._classes: list[dict[str, _Declaration] | None] = []  # a scope each; None: no class
        begin = 0  # of the statement
        index = 0
        while index < len(self.tokens):
            part = self.tokens[index]
            if part == "{":
                is_class = _begins_class(self.tokens[begin:index])
                self._classes.append({} if is_class else None)
            elif part == "}" and self._classes:
                self._classes.pop()
            elif part == "template" and self._classes and self._classes[-1] is not None:
                self._declaration(index, self._classes[-1])
            if part in ("{", "}", ";"):
                begin = index + 1
            index += 1

    def _declaration(self, index: int, known: dict[str, _Declaration]) -> None:
        """Note the template at ``index``, or rewrite it if it is a specialization."""
        opening = _next(self.tokens, index + 1)
        closing = _closing(self.tokens, opening)
        if closing is None:
            return
        parameters = "".join(self.tokens[opening + 1 : closing])
        found = _declared(self.tokens, closing + 1)
        if found is None:
            return
        name, at, is_class = found
        if parameters.strip():
            operands = "" if is_class else _operands(self.tokens, at)
            known.setdefault(name, _Declaration(parameters, is_class, operands))
        elif name in known and known[name].is_class == is_class:
            self._specialize(opening, closing, at, known[name])

    def _specialize(self, opening: int, closing: int, at: int, primary: _Declaration) -> None:
        """Rewrite the specialization whose ``<`` of arguments is at ``at``."""
        end = _closing(self.tokens, at) if self.tokens[at] == "<" else None
        if end is None:
            return
        arguments = _split("".join(self.tokens[at + 1 : end]))
        names = [_parameter(part) for part in _split(primary.parameters)]
        if len(arguments) != len(names) or None in names:
            return
        if not primary.is_class and _operands(self.tokens, end + 1) != primary.operands:
            return  # what the parameters are depends on the arguments
        holds = [
            f"std::is_same_v<{name}, {value}>" if is_type else f"{name} == ({value})"
            for (name, is_type), value in zip(filter(None, names), arguments, strict=True)
        ]
        head = primary.parameters
        if primary.is_class:  # a partial specialization has no defaults
            head = ", ".join(_without_default(part) for part in _split(head))
        self.tokens[opening] = f"<{' '.join(head.split())}> requires({' && '.join(holds)})"
        for index in (*range(opening + 1, closing + 1), *range(at, end + 1)):
            self.tokens[index] = "\n" * self.tokens[index].count("\n")
        if primary.is_class:
            self.tokens[at] = f"<{', '.join(name for name, _ in filter(None, names))}>"


def _tokens(text: str) -> list[str]:
    """Split a text into parts. A directive is one, and each bracket is one."""
    parts: list[str] = []
    begin = 0
    for match in _DIRECTIVE.finditer(text):
        parts += tokens_of(text[begin : match.start()])
        parts.append(match.group())
        begin = match.end()
    parts += tokens_of(text[begin:])
    split: list[str] = []
    for part in parts:
        split += part if part in ("<<<", ">>>") else [part]
    return split


def _is_blank(part: str) -> bool:
    return part.isspace() or not part or part.startswith(("//", "/*")) or "#" in part[:8]


def _next(tokens: Sequence[str], index: int) -> int:
    while index < len(tokens) and _is_blank(tokens[index]):
        index += 1
    return index


def _closing(tokens: Sequence[str], opening: int) -> int | None:
    """Return where the bracket at ``opening`` is closed."""
    if opening >= len(tokens) or tokens[opening] not in _PAIRS:
        return None
    open_brackets: list[str] = []
    for index in range(opening, len(tokens)):
        part = tokens[index]
        if part in _PAIRS and not (part == "<" and open_brackets[-1:] == [")"]):
            open_brackets.append(_PAIRS[part])
        elif part in _PAIRS.values() and part == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return index
        elif part == ";":
            return None
    return None


def _begins_class(head: Sequence[str]) -> bool:
    """Return whether the ``{`` behind a statement's begin is that of a class."""
    words = [part for part in head if not _is_blank(part)]
    while words[:1] == ["template"]:
        closing = _closing(words, 1)
        if closing is None:
            return False
        words = words[closing + 1 :]
    for word in words:
        if word in ("class", "struct", "union"):
            return True
        if word in ("(", "=", "enum", "namespace"):
            return False
    return False


def _declared(tokens: Sequence[str], index: int) -> tuple[str, int, bool] | None:
    """Return the name that a template declares, what follows it, and whether it is a class."""
    previous = ""
    while index < len(tokens):
        index = _next(tokens, index)
        part = tokens[index] if index < len(tokens) else ";"
        if part in (";", "{", "}", "=", "template", "requires"):
            return None
        if previous in ("class", "struct"):
            return part, _next(tokens, index + 1), True
        if part == "operator":
            end = _next(tokens, _next(tokens, index + 1) + 1)
            if "".join(tokens[index + 1 : end + 1]).split() != ["()"]:
                return None
            return "operator()", _next(tokens, end + 1), False
        following = _next(tokens, index + 1)
        closing = (
            _closing(tokens, following) if tokens[following : following + 1] == ["<"] else None
        )
        behind = following if closing is None else _next(tokens, closing + 1)
        if re.fullmatch(r"\w+", part) and tokens[behind : behind + 1] == ["("]:
            return part, following, False
        previous = part
        index = index + 1 if closing is None else closing + 1
    return None


def _operands(tokens: Sequence[str], index: int) -> str:
    """Return the parameters of a function, without spaces; ``index`` is that of its ``(``."""
    index = _next(tokens, index)
    closing = _closing(tokens, index)
    if closing is None:
        return ""
    return "".join(part for part in tokens[index : closing + 1] if not _is_blank(part))


def _split(text: str) -> list[str]:
    """Split parameters or arguments of a template at their commas."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<([{") - (character in ">)]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _without_default(parameter: str) -> str:
    return parameter.partition("=")[0].strip()


def _parameter(text: str) -> tuple[str, bool] | None:
    """Return the name of a template's parameter, and whether it is a type."""
    declared = _without_default(text)
    if match := _TYPE_PARAMETER.match(declared):
        return match[1], True
    match = _VALUE_PARAMETER.match(declared)
    return None if match is None else (match[1], False)
