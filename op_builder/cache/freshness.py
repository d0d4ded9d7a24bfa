"""Whether the files that a build read, and the look-ups that failed, are still as they were.

Content decides, but comparing it on every load would take 7 ms for the headers and 10 ms for the
folders. So the joint status of all of them is memoized, and compared first.
"""

from __future__ import annotations

import logging
import marshal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..lazy_dataclass import dataclass
from ..system import elf_file, file_identity
from ..system.file_clock import TEMPORARY, Clocks
from ..system.private_folder import write_file
from ..system.regular_file import read_regular
from . import lookups

logger = logging.getLogger(__name__)

_STATUS_MEMO = "status"
# Two for each environment: one of the files, one of the folders.
_STATES_KEPT = 16
_LARGEST_MEMO = 4096
# Newer versions may write equal values differently, depending on what else refers to them.
_MARSHAL_WITHOUT_REFERENCES = 2


class _Manifest(Protocol):
    """What is compared of a manifest."""

    @property
    def recipe(self) -> Mapping[str, Any]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def linked(self) -> Mapping[str, str]: ...
    @property
    def lookups(self) -> Mapping[str, Any]: ...


def stale_input(
    manifest: _Manifest, folder: Path, resolve: Callable[[str], str], *, own_only: bool
) -> str | None:
    """Return which input of a build has changed since, or None.

    Args:
        manifest: The manifest of the entry.
        folder: The folder of the entry, which holds the memo.
        resolve: Returns the real path of a path in the manifest.
        own_only: Check only the op's own files. A shipped library depends on the versions of torch
            and the system, not on the text of their headers.
    """
    headers = _resolved(manifest.headers, resolve, own_only)
    linked = _resolved(manifest.linked, resolve, own_only)
    searches = {} if own_only else manifest.lookups
    watched = dict.fromkeys(
        path if path[0] == "/" else resolve(path)
        for found in searches.values()
        for path in lookups.watched(found)
    )
    memo = folder / _STATUS_MEMO
    known = _known_states(memo)
    files, folders = joint_status([*headers, *linked]), joint_status(watched, may_be_missing=True)
    files_known = files is not None and files.digest in known
    folders_known = folders is not None and folders.digest in known
    if files_known and (folders_known or not watched):
        return None
    clocks = Clocks([folder, TEMPORARY])
    reason = None if files_known else _changed_file(headers, linked)
    if reason is None and not folders_known:
        reason, equal = _changed_lookup(manifest, searches, resolve)
        folders = folders if equal else None
    if reason is not None:
        return f"{reason} after {folder.name[:12]} was built"
    if not own_only:
        states = [state for state in (files, folders) if state is not None and state.states]
        settled = [state.digest for state in states if state.is_settled(clocks)]
        if settled:
            _remember(memo, settled)
    return None


def _resolved(
    inputs: Mapping[str, str], resolve: Callable[[str], str], own_only: bool
) -> dict[str, str]:
    return {
        # An absolute path is itself: this saves 0.1 ms.
        spelled if spelled[0] == "/" else resolve(spelled): digest
        for spelled, digest in inputs.items()
        if not own_only or spelled.startswith("source/")
    }


def _changed_file(headers: Mapping[str, str], linked: Mapping[str, str]) -> str | None:
    for kind, paths, digest_of in (
        ("header", headers, file_identity.digest_file),
        ("link input", linked, elf_file.digest),
    ):
        for path, digest in sorted(paths.items(), key=_own_first):
            now = _digest_or_none(path, digest_of)
            if now != digest:
                return f"{kind} {path} {'was deleted' if now is None else 'changed'}"
    return None


def _changed_lookup(
    manifest: _Manifest, searches: Mapping[str, Any], resolve: Callable[[str], str]
) -> tuple[str | None, bool]:
    """Return which look-up has another result, and whether all folders are as in the manifest.

    If a folder between a searched one and a name has appeared, its status is not watched.
    """
    sources = [f"source/{path}" for path in manifest.recipe.get("sources", ())]
    read = {"headers": [*sources, *manifest.headers], "linked": list(manifest.linked)}
    equal = True
    for kind, found in searches.items():
        now = lookups.others(found, read[kind], resolve)
        reason = lookups.difference(found, now, resolve)
        if reason is not None:
            return reason, False
        equal = equal and now == found["others"]
    return None, equal


@dataclass(frozen=True)
class JointStatus:
    """One digest of the status of many files, and the status of each in one list."""

    digest: bytes
    states: list[Any]

    def is_settled(self, clocks: Clocks) -> bool:
        """Return whether any later change of a file is certain to change the digest.

        Args:
            clocks: The time, read after the status of the files.
        """
        states = self.states
        return all(
            file_identity.is_settled(max(modified, changed), clocks.at(device))
            for device, modified, changed in zip(
                states[1::6], states[4::6], states[5::6], strict=True
            )
        )


def joint_status(paths: Iterable[str], *, may_be_missing: bool = False) -> JointStatus | None:
    """Return the joint status of files; None if one does not exist, unless it may be missing.

    A digest of 450 statuses takes 64 bytes in the memo, a table of them 100 KB. They are serialized
    with marshal, since this is half the time of a cache hit, and collected in one flat list, since
    450 more tuples would trigger a garbage collection of 2 ms. Each file takes six items.
    """
    states = file_identity.statuses(paths, may_be_missing=may_be_missing)
    if states is None:
        return None
    digest = file_identity.digest_bytes(marshal.dumps(states, _MARSHAL_WITHOUT_REFERENCES))
    return JointStatus(digest.encode(), states)


def _known_states(memo: Path) -> list[bytes]:
    try:
        return read_regular(memo, _LARGEST_MEMO).split()
    except OSError:
        return []


def _remember(memo: Path, digests: list[bytes]) -> None:
    """Keep the last few states: environments that share a cache have different header paths."""
    known = list(dict.fromkeys([*digests, *_known_states(memo)]))[:_STATES_KEPT]
    try:
        write_file(memo, b"\n".join(known), 0o755)
    except OSError as error:  # a read-only layer: the next load compares contents again
        logger.debug("status memo not saved: %s", error)


def _own_first(header: tuple[str, str]) -> bool:
    """Sort the system's headers last, since they are the least likely to have changed."""
    return header[0].startswith("/usr/")


def _digest_or_none(path: str, digest_of: Callable[[str], str]) -> str | None:
    try:
        return digest_of(path)
    except OSError:
        return None
