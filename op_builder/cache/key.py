"""What a library's content depends on, as data that can be compared and explained.

A key has two parts. The *recipe* is what is known without a compiler: flags, sources, and the
versions that the library works with. The *toolchain* is what compiled it. An entry that was built
on this machine is found by both. A shipped entry (ahead of time, or for a site) is found by its
recipe alone, since this machine may have another compiler, or none.

The hash is that of canonical JSON, never of joined strings. A key contains no times, working
folders or job counts, and the compiler's path is the only path of this machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import AscendOpsError
from ..lazy_dataclass import dataclass
from ..recipe import ninja
from ..recipe.spec import BuildSpec
from ..system import file_identity
from ..toolchain.detect import Toolchain
from ..toolchain.flag_files import named_files

#: Increment this when the meaning of anything in an entry changes.
SCHEMA = 5

_LONGEST = 160
_CONTEXT = 40


def canonical(value: object) -> bytes:
    """Return the canonical JSON text of ``value``."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def recipe(spec: BuildSpec, toolchain: Toolchain) -> dict[str, Any]:
    """Return the part of the key that requires no compiler.

    Raises:
        AscendOpsError: A source cannot be read, or a flag cannot be used.
    """
    return {
        "schema": SCHEMA,
        "op": spec.name,
        "binding": spec.binding,
        "namespace": spec.namespace,
        "target": toolchain.target,
        "build": ninja.render(spec),
        "sources": source_digests(spec),
        "files": flag_file_digests(spec),
        "bound_to": dict(spec.bound_to),
    }


def source_digests(spec: BuildSpec) -> dict[str, str]:
    """Return the digest of each source as it is now.

    Raises:
        AscendOpsError: A source cannot be read.
    """
    digests: dict[str, str] = {}
    for source in spec.sources:
        path = spec.resolve(f"source/{source.path}")
        try:
            digests[source.path] = file_identity.digest_file(path)
        except OSError as error:
            raise AscendOpsError(f"{spec.name}: source {path} cannot be read: {error}") from error
    return digests


def flag_file_digests(spec: BuildSpec) -> dict[str, str]:
    """Return the digest of each file that a flag names, as it is now.

    Raises:
        AscendOpsError: A flag's files cannot be known.
    """
    cxx_flags = [*spec.cxx_flags, *(flag for source in spec.sources for flag in source.flags)]
    try:
        return {
            **named_files(cxx_flags, spec.resolve, "cxx_args"),
            **named_files(spec.ld_flags, spec.resolve, "extra_ldflags"),
        }
    except (ValueError, OSError) as error:
        raise AscendOpsError(f"{spec.name}: {error}") from error


@dataclass(frozen=True)
class BuildKey:
    """A key, as the data that it consists of."""

    recipe: Mapping[str, Any]
    toolchain: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The name of the folder with all entries that have this key."""
        return file_identity.digest_bytes(canonical([self.recipe, self.toolchain]))[:40]


def headers_digest(inputs: Mapping[str, object]) -> str:
    """Return the second half of an entry's key: the files that the compiler and linker read."""
    return file_identity.digest_bytes(canonical(inputs))[:40]


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return a line for each part in which two keys differ.

    Example:
        >>> from op_builder.cache.key import differences
        >>> differences({"bound_to": {"torch": "2.13"}}, {"bound_to": {"torch": "2.12"}})
        ['bound_to.torch: 2.12, expected 2.13']
    """
    lines: list[str] = []
    for name, wanted_value, found_value in _differing("", wanted, found):
        theirs, ours = _short(_text(found_value), _text(wanted_value))
        lines.append(f"{name}: {theirs}, expected {ours}")
    return lines


def _differing(
    prefix: str, wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> list[tuple[str, object, object]]:
    rows: list[tuple[str, object, object]] = []
    for name in sorted({*wanted, *found}):
        ours, theirs = wanted.get(name), found.get(name)
        if ours == theirs:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            rows += _differing(f"{prefix}{name}.", ours, theirs)
        elif name == "build" and isinstance(ours, str) and isinstance(theirs, str):
            rows += _differing_lines(f"{prefix}{name}", ours, theirs)
        else:
            rows.append((f"{prefix}{name}", ours, theirs))
    return rows


def _differing_lines(name: str, wanted: str, found: str) -> list[tuple[str, object, object]]:
    ours, theirs = wanted.splitlines(), found.splitlines()
    added = [line.strip() for line in ours if line not in theirs]
    gone = [line.strip() for line in theirs if line not in ours]
    if not added and not gone:
        return [(name, "the same lines", "the same lines in another order or number")]
    return [(name, "; ".join(added) or "no such line", "; ".join(gone) or "no such line")]


def _text(value: object) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)


def _short(*texts: str) -> list[str]:
    """Shorten long texts to the part around their first difference, often the end of a line."""
    if max(map(len, texts)) <= _LONGEST:
        return list(texts)
    start = max(0, len(os.path.commonprefix(texts)) - _CONTEXT)
    stop = start + _LONGEST
    return [
        ("…" if start else "") + text[start:stop] + ("…" if len(text) > stop else "")
        for text in texts
    ]
