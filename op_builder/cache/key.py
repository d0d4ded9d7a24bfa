"""What a library's content depends on, as data that can be compared and explained.

Two parts. The *recipe* is what can be told without a compiler: flags, sources, and the versions
that the library is bound to. The *toolchain* is who compiled it. An entry that this machine builds
is found by both; one that was shipped (ahead of time, or to a site) by its recipe, since the
machine it runs on may have another compiler, or none.

Canonical JSON is hashed, never joined strings. No times, no working folder, no job count, no path
of this machine but the compiler's goes in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import AscendOpsError
from ..recipe import ninja
from ..recipe.spec import BuildSpec
from ..system import file_identity
from ..toolchain.detect import Toolchain

#: Raise it when the meaning of anything in an entry changes.
SCHEMA = 1

_LONGEST = 160
_SHOWN_BEFORE = 40


def canonical(value: object) -> bytes:
    """The one JSON text of ``value``."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def recipe(spec: BuildSpec, toolchain: Toolchain) -> dict[str, Any]:
    """The part of the key that needs no compiler; raises AscendOpsError for a missing source."""
    return {
        "schema": SCHEMA,
        "op": spec.name,
        "binding": spec.binding,
        "namespace": spec.namespace,
        "target": toolchain.target,
        "build": ninja.render(spec),
        "sources": source_digests(spec),
        "bound_to": dict(spec.bound_to),
    }


def source_digests(spec: BuildSpec) -> dict[str, str]:
    """What the sources are now; raises AscendOpsError for a missing one."""
    digests: dict[str, str] = {}
    for source in spec.sources:
        path = spec.resolve(f"source/{source.path}")
        try:
            digests[source.path] = file_identity.digest_file(path)
        except OSError as error:
            raise AscendOpsError(f"{spec.name}: source {path} cannot be read: {error}") from error
    return digests


@dataclass(frozen=True)
class BuildKey:
    """A key and what it was made of."""

    recipe: Mapping[str, Any]
    toolchain: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The folder name of entries with this key."""
        return file_identity.digest_bytes(canonical([self.recipe, self.toolchain]))[:40]


def headers_digest(headers: Mapping[str, str]) -> str:
    """The second half of an entry's key: what the compiler read besides the sources."""
    return file_identity.digest_bytes(canonical(headers))[:40]


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """One line for each part that differs, both values named; nested parts by their path."""
    lines: list[str] = []
    for name, wanted_value, found_value in _differing("", wanted, found):
        theirs, ours = _short(_text(found_value), _text(wanted_value))
        lines.append(f"{name}: {theirs}, wanted {ours}")
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
    """Long ones are cut to where they begin to differ: flags are added at the end of a line."""
    if max(map(len, texts)) <= _LONGEST:
        return list(texts)
    start = max(0, len(os.path.commonprefix(texts)) - _SHOWN_BEFORE)
    stop = start + _LONGEST
    return [
        ("…" if start else "") + text[start:stop] + ("…" if len(text) > stop else "")
        for text in texts
    ]
