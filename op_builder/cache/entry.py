"""One built library in a cache: its manifest, and whether it is still valid on this machine."""

from __future__ import annotations

import logging
import marshal
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..lazy_dataclass import dataclass
from ..system import elf_file, file_identity
from ..system.regular_file import open_regular, read_descriptor, read_regular
from ..system.trust import open_trusted
from .key import headers_digest
from .manifest import LARGEST, Manifest
from .open_library import OpenLibrary

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_STATUS_MEMO = "status"
_STATES_KEPT = 8
_LARGEST_MEMO = 4096
# Newer versions may write equal values differently, depending on what else refers to them.
_MARSHAL_WITHOUT_REFERENCES = 2
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Entry:
    """A folder ``<op>/<build_key>/<deps_key>`` with a library and its manifest."""

    path: Path
    layer: str
    manifest: Manifest

    @classmethod
    def read(cls, path: Path, layer: str) -> Entry | str:
        """Return the entry in ``path``, or the reason why it cannot be used."""
        try:
            descriptor = _open(path / MANIFEST, layer, LARGEST)
            try:
                content = read_descriptor(descriptor, LARGEST)
            finally:
                os.close(descriptor)
            return cls(path, layer, Manifest.parse(content))
        except FileNotFoundError:
            return f"{path} has no {MANIFEST}"
        except OSError as error:
            return f"{path / MANIFEST} cannot be read ({error.strerror or error})"
        except ValueError as error:
            return f"{path / MANIFEST} cannot be read ({error})"

    @property
    def library(self) -> Path:
        """The path of the shared library."""
        return self.path / self.manifest.payload

    @property
    def op(self) -> str:
        """The name of the op."""
        return str(self.manifest.recipe["op"])

    def open_library(self) -> OpenLibrary | str:
        """Open the library and verify all of it.

        Returns:
            The open library, or how it differs from what was published.
        """
        try:
            opened = OpenLibrary(
                self.library, _open(self.library, self.layer, file_identity.LARGEST)
            )
            digest = file_identity.digest_descriptor(opened.descriptor)
            size = os.fstat(opened.descriptor).st_size
        except OSError as error:
            return f"{self.library}: {error.strerror or error}"
        if digest != self.manifest.payload_digest:
            opened.close()
            return (
                f"{self.library}: content differs from its manifest "
                f"({size} bytes, {self.manifest.payload_bytes} when published)"
            )
        return opened

    def damage(self) -> str | None:
        """Return how the library differs from what was published, or None; reads all of it."""
        opened = self.open_library()
        if isinstance(opened, str):
            return opened
        opened.close()
        return None

    def stale_header(self, resolve: Callable[[str], str], *, own_only: bool) -> str | None:
        """Return which file that the compiler read has changed since, or None.

        Args:
            resolve: Returns the real path of a path in the manifest.
            own_only: Check only the op's own headers. A shipped library depends on the versions of
                torch and the system, not on the text of their headers.
        """
        headers = self._resolved(self.manifest.headers, resolve, own_only)
        linked = self._resolved(self.manifest.linked, resolve, own_only)
        memo = self.path / _STATUS_MEMO
        state = _joint_status([*headers, *linked])
        if state is not None and state.digest in _known_states(memo):
            return None
        for kind, paths, digest_of in (
            ("header", headers, file_identity.digest_file),
            ("link input", linked, elf_file.digest),
        ):
            for path, digest in sorted(paths.items(), key=_own_first):
                now = _digest_or_none(path, digest_of)
                if now != digest:
                    change = "was deleted" if now is None else "changed"
                    return f"{kind} {path} {change} after {self.path.name[:12]} was built"
        if state is not None and state.settled and not own_only:
            _remember_state(memo, state.digest)
        return None

    @staticmethod
    def _resolved(
        inputs: Mapping[str, str], resolve: Callable[[str], str], own_only: bool
    ) -> dict[str, str]:
        return {
            resolve(spelled): digest
            for spelled, digest in inputs.items()
            if not own_only or spelled.startswith("source/")
        }

    def touch(self) -> None:
        """Record the use, for ``prune``: at most one write per day, and none if read-only."""
        try:
            if time.time() - self.path.stat().st_mtime > _DAY_SECONDS:
                os.utime(self.path)
        except OSError:
            pass


@dataclass(frozen=True)
class _JointStatus:
    """One digest of the status of many files; ``settled`` is that of file_identity."""

    digest: bytes
    settled: bool


def _open(path: Path, layer: str, limit: int) -> int:
    """Open a file of an entry; one that somebody else can change is refused.

    A prebuilt file is as trustworthy as the package that contains it.
    """
    if layer == "prebuilt":
        return open_regular(path, limit)
    return open_trusted(path, limit)


def _joint_status(paths: Iterable[str]) -> _JointStatus | None:
    """Return the joint status of files; None if one does not exist.

    A digest of 450 statuses takes 64 bytes in the memo, a table of them 100 KB. They are serialized
    with marshal, since this is half the time of a cache hit, and collected in one flat list, since
    450 more tuples would trigger a garbage collection of 2 ms.
    """
    states: list[Any] = []
    try:
        for path in paths:
            states.append(path)
            states.extend(file_identity.status(path))
    except OSError:
        return None
    # Each file takes six items: its path and its status, which ends with the two times.
    newest = max((*states[4::6], *states[5::6]), default=0)
    digest = file_identity.digest_bytes(marshal.dumps(states, _MARSHAL_WITHOUT_REFERENCES))
    return _JointStatus(digest.encode(), file_identity.is_settled(newest))


def _known_states(memo: Path) -> list[bytes]:
    try:
        return read_regular(memo, _LARGEST_MEMO).split()
    except OSError:
        return []


def _remember_state(memo: Path, digest: bytes) -> None:
    """Keep the last few states: environments that share a cache have different header paths."""
    known = [digest, *_known_states(memo)][:_STATES_KEPT]
    draft = memo.with_suffix(f".{os.getpid()}")
    try:
        draft.write_bytes(b"\n".join(known))
        draft.replace(memo)
    except OSError as error:  # a read-only layer: the next load hashes again
        logger.debug("status memo not saved: %s", error)


def _own_first(header: tuple[str, str]) -> bool:
    """Sort the system's headers last, since they are the least likely to have changed."""
    return header[0].startswith("/usr/")


def _digest_or_none(path: str, digest_of: Callable[[str], str]) -> str | None:
    try:
        return digest_of(path)
    except OSError:
        return None


@dataclass(frozen=True)
class Digests:
    """The digests of the files that a build read, for its manifest."""

    headers: Mapping[str, str]
    linked: Mapping[str, str]


def header_digests(spelled: Iterable[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Return the digests of the files that compilers and assemblers read."""
    return {path: file_identity.digest_file(resolve(path)) for path in sorted(spelled)}


def link_digests(spelled: Iterable[str], resolve: Callable[[str], str]) -> dict[str, str]:
    """Return the digests of the files that the linker read."""
    return {path: elf_file.digest(resolve(path)) for path in sorted(spelled)}


def deps_key(manifest: Manifest) -> str:
    """Return the name of an entry's folder, inside that of its build key."""
    return headers_digest({"headers": manifest.headers, "linked": manifest.linked})
