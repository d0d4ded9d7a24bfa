"""One built library in a cache folder: its manifest, and whether this machine may use it now."""

from __future__ import annotations

import json
import logging
import marshal
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..system import file_identity
from .key import headers_digest

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_STATUS_MEMO = "status"
_STATES_KEPT = 8
# Since version 3 equal values may be written differently, depending on their reference counts.
_MARSHAL_WITHOUT_REFERENCES = 2
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Manifest:
    """The description of an entry, stored beside its library.

    ``headers`` maps each file that the compiler read, except the sources, to its digest. The paths
    are spelled as the compiler spelled them, so relative paths begin with the name of a root.
    ``cpu_features`` is empty unless the library was compiled with ``-march=native``.
    ``build_seconds`` is wall time.
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
        """Return the text of the manifest file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest; raises OSError, ValueError, KeyError or TypeError if it is damaged."""
        fields = json.loads(path.read_bytes())
        fields["cpu_features"] = tuple(fields["cpu_features"])
        manifest = cls(**fields)
        for part in (manifest.recipe, manifest.toolchain, manifest.headers):
            if not isinstance(part, dict):
                raise TypeError(f"{part!r} is not a table")
        for name in ("op", "target", "bound_to"):
            if name not in manifest.recipe:
                raise KeyError(name)
        payload = manifest.payload  # inside this folder, never a library elsewhere
        if payload in ("", "..") or Path(payload).name != payload:
            raise ValueError(f"{payload!r} is not a file name")
        return manifest


@dataclass(frozen=True)
class Entry:
    """A folder ``<op>/<build_key>/<deps_key>`` with a library and its manifest."""

    path: Path
    layer: str
    manifest: Manifest

    @classmethod
    def read(cls, path: Path, layer: str) -> Entry | str:
        """Return the entry in a folder, or the reason why the folder is not an entry."""
        try:
            return cls(path, layer, Manifest.read(path / MANIFEST))
        except FileNotFoundError:
            return f"{path}: no {MANIFEST}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{path}: unreadable {MANIFEST} ({type(error).__name__}: {error})"

    @property
    def library(self) -> Path:
        """The path of the shared library."""
        return self.path / self.manifest.payload

    @property
    def op(self) -> str:
        """The name of the op."""
        return str(self.manifest.recipe["op"])

    def damage(self) -> str | None:
        """Return why the library is not the published one, or None; reads the whole file."""
        try:
            digest = file_identity.digest_file(self.library)
        except OSError as error:
            return f"{self.library}: {error.strerror or error}"
        if digest != self.manifest.payload_digest:
            size = self.library.stat().st_size
            return (
                f"{self.library}: content differs from its manifest "
                f"({size} bytes, {self.manifest.payload_bytes} when published)"
            )
        return None

    def stale_header(self, resolve: Callable[[str], str], *, own_only: bool) -> str | None:
        """Return which file that the compiler read has changed since, or None.

        ``own_only`` checks only the op's own headers and skips those of torch and the system: a
        shipped library is bound to their versions, not to their text.
        """
        headers = {
            resolve(spelled): digest
            for spelled, digest in self.manifest.headers.items()
            if not own_only or spelled.startswith("source/")
        }
        memo = self.path / _STATUS_MEMO
        state = _joint_status(headers)
        if state is not None and state.digest in _known_states(memo):
            return None
        for path, digest in sorted(headers.items(), key=_own_first):
            now = _digest_or_none(path)
            if now != digest:
                change = "is gone" if now is None else "changed"
                return f"header {path} {change} since {self.path.name[:12]} was built"
        if state is not None and state.settled and not own_only:
            _remember_state(memo, state.digest)
        return None

    def touch(self) -> None:
        """Record the use for ``prune``: at most one write per day, none in a read-only layer."""
        try:
            if time.time() - self.path.stat().st_mtime > _DAY_SECONDS:
                os.utime(self.path)
        except OSError:
            pass


@dataclass(frozen=True)
class _JointStatus:
    """The status of many files as one digest; for ``settled`` see file_identity."""

    digest: bytes
    settled: bool


def _joint_status(paths: Iterable[str]) -> _JointStatus | None:
    """Return the joint status of files, or None if one is gone.

    One digest over 450 status tuples instead of a table of them takes 64 bytes and not 100 KB. The
    format is marshal's, because this is half the time of a cache hit, and the list is flat, because
    450 tuples that stay alive would trigger a garbage collection of 2 ms.
    """
    states: list[Any] = []
    try:
        for path in paths:
            states.append(path)
            states.extend(file_identity.status(path))
    except OSError:
        return None
    # Six values per file: the path and its status, which ends with the two times.
    newest = max((*states[4::6], *states[5::6]), default=0)
    digest = file_identity.digest_bytes(marshal.dumps(states, _MARSHAL_WITHOUT_REFERENCES))
    return _JointStatus(digest.encode(), file_identity.is_settled(newest))


def _known_states(memo: Path) -> list[bytes]:
    try:
        return memo.read_bytes().split()
    except OSError:
        return []


def _remember_state(memo: Path, digest: bytes) -> None:
    """Keep the last few states: environments that share a cache have headers at different paths."""
    known = [digest, *_known_states(memo)][:_STATES_KEPT]
    draft = memo.with_suffix(f".{os.getpid()}")
    try:
        draft.write_bytes(b"\n".join(known))
        draft.replace(memo)
    except OSError as error:  # a read-only layer: the next load hashes again
        logger.debug("status memo not saved: %s", error)


def _own_first(header: tuple[str, str]) -> bool:
    """Sort headers that are likely to change first, and the system's last."""
    return header[0].startswith("/usr/")


def _digest_or_none(path: str) -> str | None:
    try:
        return file_identity.digest_file(path)
    except OSError:
        return None


def header_digests(spelled: list[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Return the digests of the files that a build read, for its manifest."""
    return {path: file_identity.digest_file(resolve(path)) for path in sorted(spelled)}


def deps_key(manifest: Manifest) -> str:
    """Return the name of an entry's folder below its build key."""
    return headers_digest(manifest.headers)
