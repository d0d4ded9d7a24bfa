"""List, prune and clear caches, and find the nearest entry to a key that missed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import CacheError
from ..system.private_folder import CACHEDIR_TAG
from .entry import Entry
from .key import BuildKey, differences
from .layers import EMULATED_CANNS, HIT_MEMOS, TOOLCHAIN_MEMOS, Layer
from .store import entry_folders

_OTHER_FOLDERS = (TOOLCHAIN_MEMOS, HIT_MEMOS, "failed")
_STAGING_SECONDS = 86_400  # longer than any build: older folders are those of killed builds


def all_entries(layers: list[Layer]) -> Iterator[Entry | str]:
    """Yield every entry in every layer and, for a folder that is not a valid entry, the reason."""
    for layer in layers:
        for path in entry_folders(layer.root):
            is_cann = path.relative_to(layer.root).parts[0] == EMULATED_CANNS
            if path.name not in _OTHER_FOLDERS and not is_cann:
                yield Entry.read(path, layer.name, to_load=False)


def prune(layer: Layer, unused_days: float) -> list[Path]:
    """Delete entries that were not used for a while, and the leftovers of killed builds.

    Args:
        layer: The layer to prune. It must have this project's tag: a cleaner that trusted a path
            deleted its user's sources (scikit-build-core #1400).
        unused_days: Delete entries that were not used for this many days.

    Returns:
        The deleted folders.

    Raises:
        CacheError: The layer has no tag.
    """
    _require_tag(layer)
    now = time.time()
    removed: list[Path] = []
    for path in list(entry_folders(layer.root)):
        if path.name in _OTHER_FOLDERS:
            continue
        if _age(path, now) >= unused_days * 86_400:
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
            _remove_empty_parents(path, layer.root)
    for leftover in (layer.root / "staging").glob("*"):
        if leftover.name.startswith("refused") or _age(leftover, now) >= _STAGING_SECONDS:
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:  # a claim
                leftover.unlink(missing_ok=True)
            removed.append(leftover)
    for hit in (layer.root / HIT_MEMOS).glob("*"):
        if _age(hit, now) >= unused_days * 86_400:
            hit.unlink(missing_ok=True)  # the next hit writes it again
    return removed


def _age(path: Path, now: float) -> float:
    """Return the age in seconds, or -1 if another process has just moved the folder."""
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def clear(layer: Layer) -> None:
    """Delete everything in the layer except its root and its tag.

    Raises:
        CacheError: The layer has no tag.
    """
    _require_tag(layer)
    if not layer.root.exists():
        return
    for child in layer.root.iterdir():
        if child.name == CACHEDIR_TAG:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


@dataclass(frozen=True)
class Nearest:
    """The entry that differs least from a key, and its differences."""

    entry: Entry
    differences: list[str]


def nearest(layers: list[Layer], op: str, key: BuildKey) -> Nearest | None:
    """Return the entry of ``op`` whose key differs from ``key`` in the fewest parts, if any."""
    wanted = {"recipe": dict(key.recipe), "toolchain": dict(key.toolchain)}
    found: list[Nearest] = []
    for entry in all_entries(layers):
        if isinstance(entry, Entry) and entry.op == op:
            theirs = {
                "recipe": dict(entry.manifest.recipe),
                "toolchain": dict(entry.manifest.toolchain),
            }
            found.append(Nearest(entry, differences(wanted, theirs)))
    return min(found, key=lambda candidate: len(candidate.differences), default=None)


def _require_tag(layer: Layer) -> None:
    if layer.root.exists() and not (layer.root / CACHEDIR_TAG).is_file():
        raise CacheError(
            f"{layer.root} has no {CACHEDIR_TAG}, so it was not created by ascend_ops; nothing in "
            f"it was deleted"
        )


def _remove_empty_parents(path: Path, root: Path) -> None:
    with suppress(OSError):  # ENOTEMPTY
        for parent in path.parents:
            if parent == root:
                return
            parent.rmdir()
