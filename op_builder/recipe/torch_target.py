"""The torch version that a stable-ABI op targets: this project's default, or the op's own.

torch's stable headers declare the functions of torch ``TORCH_TARGET_VERSION`` and older ones. An op
can set it for all files with a flag in ``cxx_args()``, for one file with a flag in
``source_flags()``, or in a source with ``#define``. A library works with the newest target among
its sources, which is therefore a part of ``bound_to``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..lazy_dataclass import dataclass, replace
from .source_facts import fact
from .spec import TORCH_TARGET, Source

MACRO = "TORCH_TARGET_VERSION"
# These are compiled when they are needed: most ops do not set the macro.
_DEFINITION = rb"(?m)^[ \t]*#[ \t]*define[ \t]+TORCH_TARGET_VERSION\b(.*)$"
_COMMENT = r"/\*.*?\*/|//.*"
_NUMBER = r"(?:0[xX][\da-fA-F']+|\d[\d']*)[uUlL]*"
# ((0ULL + 2) << 56) | ((0ULL + 12) << 48), as torch's documentation writes it.
_SHIFTS = r"(?:0\+)?(\d+)<<56[|+](?:0\+)?(\d+)<<48"

Version = tuple[int, int]


@dataclass(frozen=True)
class TorchTarget:
    """The targets of an op's sources.

    Attributes:
        sources: The sources, with the flags that set their own target.
        cxx_flags: The flags that set the target of all others.
        oldest: The oldest torch that the library works with. None if a value cannot be evaluated:
            then it works only with the torch that it was built with.
    """

    sources: tuple[Source, ...]
    cxx_flags: tuple[str, ...]
    oldest: Version | None


def macro_flag(value: str) -> str:
    """Return the flag that defines the macro as ``value``."""
    return f"-D{MACRO}={value}"


def default_target() -> TorchTarget:
    """Return the target of an op that does not set its own."""
    return TorchTarget((), (macro_flag(default_value()),), TORCH_TARGET)


def default_value() -> str:
    """Return the value of the macro for TORCH_TARGET: torch 2.10 is 0x020A000000000000."""
    major, minor = TORCH_TARGET
    return f"0x{major:02X}{minor:02X}000000000000"


def torch_target(root: Path, sources: Iterable[Source], cxx_args: Sequence[str]) -> TorchTarget:
    """Return the targets of a stable-ABI op.

    Args:
        root: The folder of the sources.
        sources: The sources and the flags for each.
        cxx_args: The op's flags for all files.
    """
    common = _value_in(cxx_args)
    versions: list[Version | None] = []
    chosen: list[Source] = []
    for source in sources:
        own = _value_in(source.flags)
        defined = defined_in(f"{root}/{source.path}")
        if own is None and defined is not None:
            # Defining the macro with the same tokens twice is valid, with others it is not.
            flags = (f"-U{MACRO}", macro_flag(defined)) if defined else (f"-U{MACRO}",)
            source = replace(source, flags=(*flags, *source.flags))  # noqa: PLW2901
        elif own is not None:
            source = replace(source, flags=(f"-U{MACRO}", *source.flags))  # noqa: PLW2901
        value = own if own is not None else defined if defined is not None else common
        versions.append(TORCH_TARGET if value is None else _version(value))
        chosen.append(source)
    known = [version for version in versions if version is not None]
    return TorchTarget(
        sources=tuple(chosen),
        cxx_flags=() if common is not None else (macro_flag(default_value()),),
        oldest=max(known, default=TORCH_TARGET) if len(known) == len(versions) else None,
    )


def _value_in(flags: Sequence[str]) -> str | None:
    """Return the value that flags give to the macro; None if they do not set it."""
    value: str | None = None
    for index, flag in enumerate(flags):
        text = flags[index + 1] if flag in ("-D", "-U") and index + 1 < len(flags) else flag[2:]
        name, _, given = text.partition("=")
        if name == MACRO and flag.startswith(("-D", "-U")):
            value = given if flag.startswith("-D") else ""
    return value


def defined_in(path: str) -> str | None:
    """Return how a file defines the macro, "" if in several ways, None if it does not."""
    found: str | None = fact(path, _definition)
    return found


def _definition(content: bytes) -> str | None:
    if MACRO.encode() not in content:
        return None
    joined = content.replace(b"\\\n", b" ")
    values = {
        re.sub(_COMMENT, " ", found.decode("utf-8", "replace")).strip()
        for found in re.findall(_DEFINITION, joined)
    }
    return None if not values else values.pop() if len(values) == 1 else ""


def _version(value: str) -> Version | None:
    """Return the torch version that a value of the macro stands for; None if it is unclear."""
    text = re.sub(r"\s", "", value)
    if re.fullmatch(_NUMBER, text):
        number = int(text.rstrip("uUlL").replace("'", ""), 0)
        return number >> 56, number >> 48 & 0xFF
    shifts = re.fullmatch(_SHIFTS, re.sub(r"[()]|(?<=\d)[uUlL]+", "", text))
    return (int(shifts[1]), int(shifts[2])) if shifts else None
