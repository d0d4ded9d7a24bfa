"""Whether the files that a build read, and the look-ups that failed, are still as they were.

Content decides, but comparing it on every load would take 7 ms for the headers and 10 ms for the
folders. So the joint status of all of them is memoized, and compared first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..system import elf_file, file_identity
from ..system.file_clock import TEMPORARY, Clocks
from ..system.file_identity import joint_status
from ..system.private_folder import write_file
from ..system.regular_file import read_regular
from . import lookups

logger = logging.getLogger(__name__)

_STATUS_MEMO = "status"
# Two for each environment: one of the files, one of the folders.
_STATES_KEPT = 16
_LARGEST_MEMO = 4096


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
    watched = _watched(searches, resolve)
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


def known_inputs(
    manifest: _Manifest, folder: Path, resolve: Callable[[str], str], *, own_only: bool
) -> list[str] | None:
    """Return the files and folders whose status decides; None if their status is not memoized.

    The arguments are those of :func:`stale_input`. It memoizes no status of the op's own files
    alone, so that these are always returned.
    """
    headers = _resolved(manifest.headers, resolve, own_only)
    linked = _resolved(manifest.linked, resolve, own_only)
    if own_only:
        return [*headers, *linked]
    watched = _watched(manifest.lookups, resolve)
    states = (joint_status([*headers, *linked]), joint_status(watched, may_be_missing=True))
    known = _known_states(folder / _STATUS_MEMO)
    if any(state is None or (state.states and state.digest not in known) for state in states):
        return None
    return [*headers, *linked, *watched]


def _watched(searches: Mapping[str, Any], resolve: Callable[[str], str]) -> list[str]:
    return list(
        dict.fromkeys(
            path if path[0] == "/" else resolve(path)
            for found in searches.values()
            for path in lookups.watched(found)
        )
    )


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


def _known_states(memo: Path) -> list[str]:
    try:
        return read_regular(memo, _LARGEST_MEMO).decode("ascii", "replace").split()
    except OSError:
        return []


def _remember(memo: Path, digests: list[str]) -> None:
    """Keep the last few states: environments that share a cache have different header paths."""
    known = list(dict.fromkeys([*digests, *_known_states(memo)]))[:_STATES_KEPT]
    try:
        write_file(memo, "\n".join(known).encode(), 0o755)
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
