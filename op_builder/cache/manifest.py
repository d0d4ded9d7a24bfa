"""The description of a built library that is stored beside it, and its strict schema.

A manifest may have been damaged or written by anybody who could pack an archive. A file that does
not follow the schema to the letter is refused, so no other code has to expect odd values.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from ..lazy_dataclass import dataclass
from ..system.regular_file import read_regular

#: The largest manifest that is read, in bytes; one with 1,000 headers has 150,000.
LARGEST = 16 << 20
_DEPTH = 6  # a recipe nests two levels
_LONGEST_SHOWN = 60
_DIGEST_LENGTH = 64
_HEX = frozenset("0123456789abcdef")
_SEARCHES = ("headers", "linked")
_IN_SEARCH = {"folders", "names", "suffixes", "others"}
_IN_RECIPE = ("op", "target", "bound_to")


@dataclass(frozen=True)
class Manifest:
    """The description that is stored in an entry.

    Attributes:
        recipe: The part of the key that requires no compiler.
        toolchain: The part of the key that describes the compiler.
        headers: The digest of each file that the compiler read besides the sources. Paths are as
            the compiler printed them, so relative ones begin with the name of a root.
        payload: The library's file name.
        payload_digest: The library's digest.
        payload_bytes: The library's size.
        cpu_features: The features of the CPU that compiled it, if ``-march=native`` was used.
        build_seconds: The wall time of the build.
        created: The time of the build, in ISO 8601.
        project_version: The version of this project that built it.
        linked: The digest of each file that the linker read besides the objects, likewise.
        lookups: The record of each search, as :mod:`op_builder.cache.lookups` describes it.
    """

    recipe: Mapping[str, Any]
    toolchain: Mapping[str, Any]
    headers: Mapping[str, str]
    payload: str
    payload_digest: str
    payload_bytes: int
    cpu_features: tuple[str, ...]
    build_seconds: float
    created: str
    project_version: str
    linked: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, str, str]:
        """The names of the entry's files beside the manifest, the library first."""
        return (self.payload, "build.ninja", "build.log")

    def text(self) -> str:
        """Return the text of the manifest's file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            OSError: The file cannot be read, is not a regular file, or is too large.
            ValueError: The content does not follow the schema; the message names the field.
        """
        return cls.parse(read_regular(path, LARGEST))

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Return the manifest in a file's content.

        Raises:
            ValueError: The content does not follow the schema; the message names the field.
        """
        try:
            found = json.loads(
                content.decode("utf-8"),
                object_pairs_hook=_without_duplicates,
                parse_constant=_refuse_constant,
            )
        except RecursionError:
            raise ValueError("the nesting is too deep") from None
        if not isinstance(found, dict):
            raise ValueError(f"the content must be an object, got {_shown(found)}")
        if unequal := _SCHEMA.keys() ^ found.keys():
            raise ValueError(
                f"missing or unexpected fields: {', '.join(map(repr, sorted(unequal)))}"
            )
        for name, check in _SCHEMA.items():
            wanted = check(found[name])
            if wanted:
                raise ValueError(f"{name} must be {wanted}, got {_shown(found[name])}")
        found["cpu_features"] = tuple(found["cpu_features"])
        return cls(**found)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field occurs twice")
    return found


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number in JSON")


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)  # escapes whatever cannot be printed
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


# Each of these returns what a value must be, or None if it is that.


def _recipe(value: object) -> str | None:
    if not isinstance(value, dict) or not _is_tree(value, _DEPTH):
        return "an object of texts and numbers"
    missing = [name for name in _IN_RECIPE if name not in value]
    if missing:
        return f"an object with {missing[0]}"
    for name in ("op", "target"):
        if not _is_file_name(value[name]):
            return f"an object with a file name as its {name}"
    return None if isinstance(value["bound_to"], dict) else "an object with an object as bound_to"


def _tree(value: object) -> str | None:
    valid = isinstance(value, dict) and _is_tree(value, _DEPTH)
    return None if valid else "an object of texts and numbers"


def _digests(value: object) -> str | None:
    valid = isinstance(value, dict) and _are_paths(list(value)) and _are_digests(value.values())
    return None if valid else "an object of paths and SHA-256 digests"


def _are_paths(values: list[Any]) -> bool:
    """Return whether all values are paths. Checking 459 one by one would take 0.2 ms per hit."""
    if not all(values) or set(map(type, values)) - {str}:
        return False
    joined = "\0".join(values)
    return joined.count("\0") == max(0, len(values) - 1) and _can_be_encoded(
        joined, "surrogateescape"
    )


def _are_digests(values: Collection[Any]) -> bool:
    """Return whether all values are digests; likewise checked together."""
    if set(map(type, values)) - {str} or set(map(len, values)) - {_DIGEST_LENGTH}:
        return False
    joined = "".join(values)
    if not (joined.isascii() and joined == joined.lower()):
        return False
    try:
        # fromhex() skips spaces, so that fewer bytes are left.
        return len(bytes.fromhex(joined)) * 2 == len(joined)
    except ValueError:
        return False


def _lookups(value: object) -> str | None:
    valid = isinstance(value, dict) and all(
        name in _SEARCHES
        and isinstance(found, dict)
        and found.keys() == _IN_SEARCH
        # An empty text is a suffix; none of them is opened, only looked up.
        and all(
            isinstance(texts, list) and _are_paths([text for text in texts if text != ""])
            for texts in found.values()
        )
        for name, found in value.items()
    )
    return None if valid else "an object of searches"


def _file_name(value: object) -> str | None:
    return None if _is_file_name(value) else "a file name"


def _digest(value: object) -> str | None:
    valid = isinstance(value, str) and len(value) == _DIGEST_LENGTH and _HEX.issuperset(value)
    return None if valid else "a SHA-256 digest"


def _count(value: object) -> str | None:
    return None if type(value) is int and 0 <= value < 1 << 63 else "a whole number, 0 or more"


def _seconds(value: object) -> str | None:
    valid = type(value) in (int, float) and _is_number(value) and value >= 0  # type: ignore[operator]
    return None if valid else "a number of seconds, 0 or more"


def _texts(value: object) -> str | None:
    return None if isinstance(value, list) and all(map(is_text, value)) else "a list of texts"


def _text(value: object) -> str | None:
    return None if is_text(value) else "a text"


_SCHEMA: dict[str, Callable[[object], str | None]] = {
    "recipe": _recipe,
    "toolchain": _tree,
    "headers": _digests,
    "payload": _file_name,
    "payload_digest": _digest,
    "payload_bytes": _count,
    "cpu_features": _texts,
    "build_seconds": _seconds,
    "created": _text,
    "project_version": _text,
    "linked": _digests,
    "lookups": _lookups,
}


def _is_tree(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(
            is_path(name) and _is_tree(child, depth - 1) for name, child in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(_is_tree(child, depth - 1) for child in value)
    if isinstance(value, str):
        return not value or is_path(value)
    return value is None or isinstance(value, bool) or _is_number(value)


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return isinstance(value, float) and math.isfinite(value)


def is_text(value: object) -> bool:
    """Return whether a value is text that can be printed: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and "\0" not in value and _can_be_encoded(value, "strict")


def is_path(value: object) -> bool:
    """Return whether a value can be a path; bytes that are not UTF-8 are escaped, as in Python."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    return _can_be_encoded(value, "surrogateescape")


def _is_file_name(value: object) -> bool:
    return (
        is_text(value) and value not in ("", ".", "..") and os.sep not in value  # type: ignore[operator]
    )


def _can_be_encoded(value: str, errors: str) -> bool:
    try:
        value.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True
