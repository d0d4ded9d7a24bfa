"""Pack built libraries into an archive, and unpack them on other machines.

This saves 1,000 nodes from compiling for 20 minutes each (DeepSpeed #2947). An archive is a gzipped
tar file of entries; an entry is used only if its library matches the digest in its manifest.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tarfile
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import CacheError
from ..system.private_folder import make_below
from . import store
from .entry import MANIFEST, Entry, deps_key
from .key import BuildKey
from .layers import Layer
from .store import entry_folders

_PACKED = (MANIFEST, "build.ninja", "build.log")
_DEPTH = 5  # target/op/build_key/deps_key/file


def pack(entries: Iterable[Entry], archive: Path) -> list[Entry]:
    """Write ``entries`` to ``archive``, a ``.tar.gz`` file.

    Returns:
        The packed entries.

    Raises:
        CacheError: An entry is damaged, or the archive cannot be written.
    """
    draft = archive.with_name(f".{archive.name}.{uuid.uuid4().hex[:8]}")
    try:
        with tarfile.open(draft, "w:gz") as tar:
            packed = [_add(tar, entry) for entry in entries]
        draft.replace(archive)
    except OSError as error:
        raise CacheError(f"{archive} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return packed


def _add(tar: tarfile.TarFile, entry: Entry) -> Entry:
    damage = entry.damage()
    if damage:
        raise CacheError(f"damaged entry cannot be packed: {damage}")
    place = PurePosixPath(*entry.path.parts[-(_DEPTH - 1) :])
    for name in (entry.manifest.payload, *_PACKED):
        tar.add(entry.path / name, str(place / name), recursive=False)
    return entry


def unpack(archive: Path, layer: Layer) -> tuple[list[Entry], list[Path]]:
    """Add the entries of ``archive`` to ``layer``.

    Returns:
        The added entries, and the folders of entries that existed already.

    Raises:
        CacheError: The archive contains a member that is not a regular file of an entry (a link, an
            absolute path, a ``..``) or a library that does not match its manifest. Then no entry
            is added.
    """
    try:
        layer.prepare()
        with store.staging(layer, "unpack") as staging:
            _extract(archive, staging, layer.mode)
            arrived = [_arrived(path, staging, archive) for path in entry_folders(staging)]
            return _move(arrived, staging, layer)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise CacheError(f"{archive} cannot be unpacked: {error}") from error


def _extract(archive: Path, staging: Path, mode: int) -> None:
    with gzip.open(archive) as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            absolute = member.name.startswith("/")  # the first part of "//a" is not "/"
            if not member.isfile() or len(parts) != _DEPTH or absolute or ".." in parts:
                raise CacheError(f"{archive} is refused: {member.name!r} is not part of an entry")
            target = staging.joinpath(*parts)
            make_below(staging, target.parent, mode)
            content = tar.extractfile(member)
            assert content is not None
            with target.open("xb") as stream:
                shutil.copyfileobj(content, stream)
        while whole.read(1 << 20):  # to the end, where gzip stores its checksum
            pass


def _arrived(path: Path, staging: Path, archive: Path) -> Entry:
    """Return the entry in ``path`` after checking its content, its files and its place."""
    entry = Entry.read(path, "")
    if isinstance(entry, str):
        raise CacheError(f"{archive} is refused: {entry}")
    manifest = entry.manifest
    damage = entry.damage()
    place = PurePosixPath(
        str(manifest.recipe["target"]),
        entry.op,
        BuildKey(manifest.recipe, manifest.toolchain).digest,
        deps_key(manifest),
    )
    if path.relative_to(staging).parts != place.parts:
        damage = f"{path.relative_to(staging)} contains an entry that belongs in {place}"
    unexpected = {file.name for file in path.iterdir()} ^ {manifest.payload, *_PACKED}
    if unexpected:
        damage = f"{place}: missing or unexpected files: {', '.join(sorted(unexpected))}"
    if damage:
        raise CacheError(f"{archive} is refused: {damage}")
    return entry


def _move(entries: list[Entry], staging: Path, layer: Layer) -> tuple[list[Entry], list[Path]]:
    added: list[Entry] = []
    present: list[Path] = []
    for entry in entries:
        target = layer.root / entry.path.relative_to(staging)
        if target.exists():
            present.append(target)
            continue
        make_below(layer.root, target.parent, layer.mode)
        entry.path.rename(target)
        added.append(Entry(target, layer.name, entry.manifest))
    return added, present
