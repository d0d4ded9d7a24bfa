"""One built library in a cache folder: its manifest, and whether it may be used here and now."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import file_identity
from .key import headers_digest

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_STATUS_MEMO = "status.json"
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Manifest:
    """What an entry says of itself.

    ``headers`` maps each file that the compiler read, besides the sources, to its digest; the paths
    are as the compiler spelled them, so relative ones begin with a root's name. ``cpu_features`` is
    empty but for a library compiled with ``-march=native``. ``build_seconds`` is wall time.
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

    def text(self) -> str:
        """As it stands in the entry."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Raises OSError, ValueError, KeyError or TypeError for one that is not whole."""
        fields = json.loads(path.read_bytes())
        fields["cpu_features"] = tuple(fields["cpu_features"])
        return cls(**fields)


@dataclass(frozen=True)
class Entry:
    """A folder ``<op>/<build_key>/<deps_key>`` with a library and its manifest."""

    path: Path
    layer: str
    manifest: Manifest

    @classmethod
    def read(cls, path: Path, layer: str) -> Entry | str:
        """The entry, or why the folder is none."""
        try:
            return cls(path, layer, Manifest.read(path / MANIFEST))
        except FileNotFoundError:
            return f"{path}: no {MANIFEST}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{path}: unreadable {MANIFEST} ({type(error).__name__}: {error})"

    @property
    def library(self) -> Path:
        """The shared library."""
        return self.path / self.manifest.payload

    @property
    def op(self) -> str:
        """The op's name."""
        return str(self.manifest.recipe["op"])

    def damage(self) -> str | None:
        """Why the library is not what was published, or None; reads it whole."""
        try:
            digest = file_identity.digest_file(self.library)
        except OSError as error:
            return f"{self.library}: {error.strerror or error}"
        if digest != self.manifest.payload_digest:
            size = self.library.stat().st_size
            return (
                f"{self.library}: content differs from its manifest "
                f"({size} bytes, published with {self.manifest.payload_bytes})"
            )
        return None

    def stale_header(self, resolve: Callable[[str], Path], *, own_only: bool) -> str | None:
        """Which file that the compiler read has another content now, or None.

        ``own_only`` looks at the op's own headers and leaves torch's and the system's out: a
        shipped library is bound to their versions, not to their text.
        """
        checker = _HeaderCheck(self.path / _STATUS_MEMO)
        for spelled, digest in self.manifest.headers.items():
            if own_only and not spelled.startswith("source/"):
                continue
            now = checker.digest(resolve(spelled))
            if now != digest:
                change = "is gone" if now is None else "changed"
                return f"header {resolve(spelled)} {change} since {self.path.name[:12]} was built"
        if not own_only:
            checker.save()
        return None

    def touch(self) -> None:
        """Note the use, for pruning; at most one write a day, none where it is not allowed."""
        try:
            if time.time() - self.path.stat().st_mtime > _DAY_SECONDS:
                os.utime(self.path)
        except OSError:
            pass


class _HeaderCheck:
    """Digests of headers, taken again only where the file's status moved (see file_identity)."""

    def __init__(self, memo: Path) -> None:
        self._memo = memo
        self._dirty = False
        try:
            self._known: dict[str, list[Any]] = json.loads(memo.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def digest(self, path: Path) -> str | None:
        name = str(path)
        try:
            state = list(file_identity.status(name))
            known = self._known.get(name)
            if known is not None and known[0] == state:
                return str(known[1])
            digest = file_identity.digest_file(name)
        except OSError:
            return None
        if file_identity.is_settled(state):
            self._known[name] = [state, digest]
            self._dirty = True
        return digest

    def save(self) -> None:
        if not self._dirty:
            return
        draft = self._memo.with_suffix(f".{os.getpid()}")
        try:
            draft.write_text(json.dumps(self._known), encoding="utf-8")
            draft.replace(self._memo)
        except OSError as error:  # a read-only layer: hashed again next time
            logger.debug("status memo not saved: %s", error)


def header_digests(spelled: list[str], resolve: Callable[[str], Path]) -> dict[str, str]:
    """Digests of what a build read, for its manifest."""
    return {path: file_identity.digest_file(resolve(path)) for path in sorted(spelled)}


def deps_key(manifest: Manifest) -> str:
    """The folder name under the build key."""
    return headers_digest(manifest.headers)
