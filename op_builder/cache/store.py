"""Find and publish built libraries.

    <root>/<target>/<op>/<build_key>/<deps_key>/{<op>.so, manifest.json, build.ninja, build.log}

A hit starts no process and takes no lock. An entry is published by one rename of a folder that was
written and synced on the same file system, so a reader sees a complete entry or none. If another
process publishes the same entry first, its entry is used.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ..errors import CacheError, UnsafeCacheError
from ..lazy_dataclass import dataclass
from ..recipe.spec import BuildSpec
from ..system.private_folder import file_mode, make_below, write_file
from ..system.trust import unsafe_below
from ..toolchain import cpu_info
from .entry import MANIFEST, Entry, deps_key
from .key import BuildKey, differences
from .layers import Layer
from .manifest import Manifest
from .open_library import OpenLibrary
from .staging import STAGING
from .staging import staging as staging

logger = logging.getLogger(__name__)

_ATTEMPTS = 4
_LOST_RACE = (errno.EEXIST, errno.ENOTEMPTY)


@dataclass
class Lookup:
    """The entry that was found, if any, and why each of the others was refused.

    Attributes:
        entry: The entry, if one is usable.
        refusals: Why each of the others, or a whole layer, was refused.
        library: The entry's library, verified and open.
    """

    entry: Entry | None = None
    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.library: OpenLibrary | None = None


@dataclass(frozen=True)
class OpFolder:
    """The folder with all builds of one op in one layer."""

    layer: Layer
    path: Path


def op_folders(
    layers: Iterable[Layer], recipe: Mapping[str, Any], lookup: Lookup
) -> Iterator[OpFolder]:
    """Yield the folder of an op in each layer that has one.

    Args:
        layers: The layers, in search order.
        recipe: The recipe of the op.
        lookup: Gets a refusal for each layer that is not safe to load from, which is skipped.

    Raises:
        UnsafeCacheError: The user's own cache is not safe, which its owner needs to know.
    """
    for layer in layers:
        danger = layer.danger()
        if danger is not None:
            if layer.name == "user":
                raise UnsafeCacheError(danger)
            lookup.refusals.append(danger)
            continue
        folder = layer.root / recipe["target"] / recipe["op"]
        if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise PermissionError
            continue
        noexec = layer.noexec()
        if noexec is not None:
            lookup.refusals.append(noexec)
            continue
        yield OpFolder(layer, folder)


def find_in(
    folder: OpFolder,
    spec: BuildSpec,
    recipe: Mapping[str, Any],
    key: BuildKey | None,
    lookup: Lookup,
) -> Entry | None:
    """Return the first usable entry in ``folder``, or None.

    Args:
        folder: The folder of the op in one layer.
        spec: The spec of the op.
        recipe: The recipe of the op.
        key: The key that an entry must have. With None, as in a shipped layer or on a machine
            without a compiler, an entry with the same recipe is sufficient.
        lookup: Gets the entry, and the reason why each entry before it was refused.
    """
    layer = folder.layer
    for entry in _entries(folder.path / key.digest if key else folder.path, layer, lookup):
        reason: str | OpenLibrary | None = refusal(entry, spec, recipe, key)
        if reason is None:
            reason = entry.open_library()
        if isinstance(reason, OpenLibrary):
            entry.touch()
            lookup.entry, lookup.library = entry, reason
            return entry
        lookup.refusals.append(f"{layer.name}: {reason}")
    return None


def refusal(
    entry: Entry, spec: BuildSpec, recipe: Mapping[str, Any], key: BuildKey | None
) -> str | None:
    """Return why an entry must not be used for an op, or None; the library is not read.

    Args:
        entry: The entry.
        spec: The spec of the op.
        recipe: The recipe of the op.
        key: The key that the entry must have; None if the same recipe is sufficient.
    """
    if key is None:
        unequal = differences(recipe, entry.manifest.recipe)
        if unequal:
            return f"{entry.op} was built for another configuration: {'; '.join(unequal)}"
        lacking = sorted(set(entry.manifest.cpu_features) - cpu_info.features())
        if lacking:
            return f"{entry.op} requires a CPU with {' '.join(lacking)}, which this machine lacks"
    elif misplaced := _misplaced(entry, key):
        return misplaced
    return entry.stale_header(spec.resolve, own_only=key is None)


def _misplaced(entry: Entry, key: BuildKey) -> str | None:
    """Return why an entry is in the wrong folder, for example because it was copied; else None."""
    if entry.manifest.recipe == key.recipe and entry.manifest.toolchain == key.toolchain:
        return None
    if BuildKey(entry.manifest.recipe, entry.manifest.toolchain).digest != key.digest:
        return f"{entry.path} contains a build for another key"
    return None


def _entries(folder: Path, layer: Layer, lookup: Lookup) -> Iterator[Entry]:
    """Yield all entries in ``folder``, which is that of an op or of a key."""
    for path in entry_folders(folder):
        found = read_entry(layer, path)
        if isinstance(found, Entry):
            yield found
        else:
            lookup.refusals.append(f"{layer.name}: {found}")


def read_entry(layer: Layer, path: Path) -> Entry | str:
    """Return the entry in ``path``, or the reason why it is missing or must not be used.

    Folders of a prebuilt layer are not checked: they are as trustworthy as the package.
    """
    if layer.name != "prebuilt":
        try:
            danger = unsafe_below(layer.root, path)
        except OSError as error:
            danger = f"{path}: {error.strerror or error}"
        if danger:
            return danger
    return Entry.read(path, layer.name)


def entry_folders(folder: Path) -> Iterator[Path]:
    """Yield every folder inside ``folder``, up to four levels, that is or should be an entry."""
    for child in _children(folder):
        if not child.is_dir(follow_symlinks=False) or child.name == STAGING:
            continue
        if any(grandchild.is_file() for grandchild in _children(Path(child.path))):
            yield Path(child.path)
        else:
            yield from entry_folders(Path(child.path))


def _children(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's content in order; nothing if it is unreadable or was just pruned."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda child: child.name)
    except OSError:
        return []


def publish(layer: Layer, key: BuildKey, work: Path, manifest: Manifest) -> Entry:
    """Publish a built library, with its log and its manifest, by one rename.

    Args:
        layer: The layer to publish in.
        key: The key of the entry.
        work: The folder with the library, ``build.ninja`` and ``build.log``, which are moved.
        manifest: The manifest of the entry.

    Returns:
        The published entry. If another process was first, its entry is returned, unless it is
        damaged: then it is replaced.

    Raises:
        CacheError: Other processes keep changing the entry.
        OSError: The layer cannot be written.
    """
    parcel = _parcel(work, manifest, layer.mode)
    place = layer.root / str(key.recipe["target"]) / str(key.recipe["op"]) / key.digest
    target = place / deps_key(manifest)
    winner = move_into_place(
        layer, parcel, target, lambda found: _misplaced(found, key) or found.damage()
    )
    return winner or Entry(target, layer.name, manifest)


def move_into_place(
    layer: Layer, parcel: Path, target: Path, damage_of: Callable[[Entry], str | None]
) -> Entry | None:
    """Publish a whole entry by one rename.

    Args:
        layer: The layer to publish in.
        parcel: The folder of the entry, on the same file system.
        target: Its place in the layer.
        damage_of: Returns why an entry that exists already is unusable; then it is replaced.

    Returns:
        None, or the entry of another process that was first.

    Raises:
        CacheError: Other processes keep changing the entry.
        OSError: The layer cannot be written.
    """
    for _ in range(_ATTEMPTS):
        try:
            make_below(layer.root, target.parent, layer.mode)
            parcel.rename(target)
            _sync(target.parent)
            return None
        except FileNotFoundError:  # pruned in between
            continue
        except OSError as error:
            if error.errno not in _LOST_RACE:
                raise
        winner = read_entry(layer, target)
        damage = winner if isinstance(winner, str) else damage_of(winner)
        if isinstance(winner, Entry) and damage is None:
            logger.debug("%s: another process published this entry first", target)
            return winner
        logger.warning("%s; replacing it", damage)
        set_aside(layer, target)
    raise CacheError(f"{target} cannot be published: other processes keep changing it")


def _parcel(work: Path, manifest: Manifest, mode: int) -> Path:
    """Assemble the entry, and sync all of it to disk."""
    parcel = work / "entry"
    make_below(work, parcel, mode)
    for name in manifest.files:
        (work / name).rename(parcel / name)
    write_file(parcel / MANIFEST, manifest.text().encode(), mode)
    for file in parcel.iterdir():
        file.chmod(file_mode(mode))  # a compiler obeys the umask
        _sync(file)
    _sync(parcel)
    return parcel


def set_aside(layer: Layer, entry_path: Path) -> None:
    """Move an entry out of the way by one rename; ``prune`` deletes it later."""
    aside = layer.root / STAGING / f"refused-{uuid.uuid4().hex[:12]}"
    make_below(layer.root, aside.parent, 0o700)
    with contextlib.suppress(FileNotFoundError):  # another process was first
        entry_path.rename(aside)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems do not support it
            raise
    finally:
        os.close(descriptor)
