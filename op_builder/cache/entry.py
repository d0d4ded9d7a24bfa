"""One built library in a cache folder: its manifest, and whether it may be used here and now."""

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
# From version 3 on equal values may be written differently, depending on who refers to them.
_MARSHAL_WITHOUT_REFERENCES = 2
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
        manifest = cls(**fields)
        for part in (manifest.recipe, manifest.toolchain, manifest.headers):
            if not isinstance(part, dict):
                raise TypeError(f"{part!r} is no table")
        for name in ("op", "target", "bound_to"):
            if name not in manifest.recipe:
                raise KeyError(name)
        payload = manifest.payload  # in this folder: never a library from elsewhere
        if payload in ("", "..") or Path(payload).name != payload:
            raise ValueError(f"{payload!r} is no file name")
        return manifest


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

    def stale_header(self, resolve: Callable[[str], str], *, own_only: bool) -> str | None:
        """Which file that the compiler read has another content now, or None.

        ``own_only`` looks at the op's own headers and leaves torch's and the system's out: a
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
        """Note the use, for pruning; at most one write a day, none where it is not allowed."""
        try:
            if time.time() - self.path.stat().st_mtime > _DAY_SECONDS:
                os.utime(self.path)
        except OSError:
            pass


@dataclass(frozen=True)
class _JointStatus:
    """The status of many files as one digest; ``settled`` as in file_identity."""

    digest: bytes
    settled: bool


def _joint_status(paths: Iterable[str]) -> _JointStatus | None:
    """None where a file is gone.

    One digest over 450 status tuples instead of a table of them: what is remembered is 64 bytes and
    not 100 KB. In marshal's format, since this is half the time of a cache hit; and in one flat
    list, since 450 tuples that stay would set off a garbage collection of 2 ms.
    """
    states: list[Any] = []
    try:
        for path in paths:
            states.append(path)
            states.extend(file_identity.status(path))
    except OSError:
        return None
    # Of each six: the path and its status, whose last two are the times.
    newest = max((*states[4::6], *states[5::6]), default=0)
    digest = file_identity.digest_bytes(marshal.dumps(states, _MARSHAL_WITHOUT_REFERENCES))
    return _JointStatus(digest.encode(), file_identity.is_settled(newest))


def _known_states(memo: Path) -> list[bytes]:
    try:
        return memo.read_bytes().split()
    except OSError:
        return []


def _remember_state(memo: Path, digest: bytes) -> None:
    """Keep the last few: environments that share a cache have their headers at different paths."""
    known = [digest, *_known_states(memo)][:_STATES_KEPT]
    draft = memo.with_suffix(f".{os.getpid()}")
    try:
        draft.write_bytes(b"\n".join(known))
        draft.replace(memo)
    except OSError as error:  # a read-only layer: hashed again next time
        logger.debug("status memo not saved: %s", error)


def _own_first(header: tuple[str, str]) -> bool:
    """What is likely to have changed is looked at first: not the system's headers."""
    return header[0].startswith("/usr/")


def _digest_or_none(path: str) -> str | None:
    try:
        return file_identity.digest_file(path)
    except OSError:
        return None


def header_digests(spelled: list[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Digests of what a build read, for its manifest."""
    return {path: file_identity.digest_file(resolve(path)) for path in sorted(spelled)}


def deps_key(manifest: Manifest) -> str:
    """The folder name under the build key."""
    return headers_digest(manifest.headers)
