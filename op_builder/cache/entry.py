"""One built library in a cache: its manifest, and whether it is still valid on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..lazy_dataclass import dataclass
from ..recipe.spec import HEADER
from ..system import elf_file, file_identity
from ..system.regular_file import read_descriptor, read_regular
from .freshness import stale_input
from .key import headers_digest
from .manifest import LARGEST, Manifest
from .open_library import OpenLibrary, open_in_layer, open_verified, record_use

MANIFEST = "manifest.json"
#: Where an entry was downloaded from; an entry that was built here has no such file.
ORIGIN = "origin.json"
_LARGEST_ORIGIN = 1 << 16


@dataclass(frozen=True)
class Entry:
    """A folder ``<op>/<build_key>/<deps_key>`` with a library and its manifest."""

    path: Path
    layer: str
    manifest: Manifest

    @classmethod
    def read(cls, path: Path, layer: str, *, to_load: bool = True) -> Entry | str:
        """Return the entry in ``path``, or the reason why it cannot be used.

        Args:
            path: The folder of the entry.
            layer: The name of its layer.
            to_load: Refuse an entry that other users could change, since it is going to be loaded.
        """
        try:
            descriptor = open_in_layer(path / MANIFEST, layer, LARGEST, to_load)
            try:
                content = read_descriptor(descriptor, LARGEST)
            finally:
                os.close(descriptor)
            return cls(path, layer, Manifest.parse(content))
        except FileNotFoundError:
            return f"{path} has no {MANIFEST}"
        except OSError as error:
            return f"{path}: {MANIFEST} cannot be read ({error.strerror or error})"
        except ValueError as error:
            return f"{path}: {MANIFEST} cannot be read ({error})"

    @property
    def library(self) -> Path:
        """The path of the shared library."""
        return self.path / self.manifest.payload

    @property
    def op(self) -> str:
        """The name of the op."""
        return str(self.manifest.recipe["op"])

    @property
    def is_header(self) -> bool:
        """Whether it is a precompiled header, which only builds on this machine use."""
        return bool(self.manifest.recipe.get("binding") == HEADER)

    @property
    def is_downloaded(self) -> bool:
        """Whether it comes from a remote cache."""
        return (self.path / ORIGIN).exists()

    def origin(self) -> dict[str, Any] | None:
        """Return where it was downloaded from: ``url`` and ``signed_by``; None if built here."""
        if not self.is_downloaded:
            return None
        try:
            found = json.loads(read_regular(self.path / ORIGIN, _LARGEST_ORIGIN))
        except (OSError, ValueError):
            found = None
        return found if isinstance(found, dict) else {}

    def open_library(self, *, to_load: bool = True) -> OpenLibrary | str:
        """Open the library and verify all of it.

        Args:
            to_load: Refuse a library that other users could change.

        Returns:
            The open library, or how it differs from what was published.
        """
        manifest = self.manifest
        return open_verified(
            self.library,
            self.layer,
            manifest.payload_digest,
            manifest.payload_bytes,
            to_load=to_load,
        )

    def damage(self, *, to_load: bool = True) -> str | None:
        """Return how the library differs from what was published, or None; reads all of it.

        Args:
            to_load: A library that other users could change counts as damaged.
        """
        opened = self.open_library(to_load=to_load)
        if isinstance(opened, str):
            return opened
        opened.close()
        return None

    def stale_header(self, resolve: Callable[[str], str], *, own_only: bool) -> str | None:
        """Return which input of the build has changed since, or None.

        Args:
            resolve: Returns the real path of a path in the manifest.
            own_only: Check only the op's own headers. A shipped library depends on the versions of
                torch and the system, not on the text of their headers.
        """
        return stale_input(self.manifest, self.path, resolve, own_only=own_only)

    def touch(self) -> None:
        """Record the use, for ``prune``."""
        record_use(self.path)


@dataclass(frozen=True)
class Digests:
    """The digests of the files that a build read, and its searches, for its manifest."""

    headers: Mapping[str, str]
    linked: Mapping[str, str]
    lookups: Mapping[str, Any]


def header_digests(spelled: Iterable[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Return the digests of the files that compilers and assemblers read."""
    return {path: file_identity.digest_file(resolve(path)) for path in sorted(spelled)}


def link_digests(spelled: Iterable[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Return the digests of the files that the linker read."""
    return {path: elf_file.digest(resolve(path)) for path in sorted(spelled)}


def deps_key(manifest: Manifest) -> str:
    """Return the name of an entry's folder, inside that of its build key."""
    return headers_digest(
        {
            "headers": manifest.headers,
            "linked": manifest.linked,
            "lookups": manifest.lookups,
        }
    )
