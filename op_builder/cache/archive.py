"""Pack built libraries into an archive, and unpack them on other machines.

This saves 1,000 nodes from compiling for 20 minutes each (DeepSpeed #2947). An archive is a gzipped
tar file of entries; an entry is used only if its library matches the digest in its manifest.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tarfile
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ..errors import CacheError
from ..system.private_folder import file_mode, make_below
from . import store
from .entry import MANIFEST, Entry, deps_key
from .key import BuildKey
from .layers import Layer
from .store import entry_folders

#: Limits of an archive; a library of this project has about 1 MB.
MOST_MEMBERS = 100_000
LARGEST_MEMBER = 1 << 30
LARGEST_ARCHIVE = 16 << 30
_LARGEST_HEADER = 1 << 20
_CHUNK = 1 << 20
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
    damage = entry.damage(to_load=False)
    if damage:
        raise CacheError(f"damaged entry cannot be packed: {damage}")
    place = PurePosixPath(*entry.path.parts[-(_DEPTH - 1) :])
    for name in (*entry.manifest.files, MANIFEST):
        tar.add(entry.path / name, str(place / name), recursive=False)
    return entry


def unpack(archive: Path, layer: Layer) -> tuple[list[Entry], list[Path]]:
    """Add the entries of ``archive`` to ``layer``.

    Several processes may unpack into one layer at the same time. An entry that exists already is
    kept, unless it is damaged: then it is replaced.

    Returns:
        The added entries, and the folders of entries that existed already.

    Raises:
        CacheError: The archive has no entries, is larger than the limits, or contains a member that
            is not a regular file of an entry (a link, an absolute path, a ``..``) or a library that
            does not match its manifest. Then no entry is added.
    """
    try:
        layer.prepare()
        with store.staging(layer, "unpack") as staging:
            _extract(archive, staging, layer.mode)
            arrived = [_arrived(path, staging, archive) for path in entry_folders(staging)]
            if not arrived:
                raise CacheError(f"{archive} is refused: it contains no entries")
            return _move(arrived, staging, layer)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, RecursionError) as error:
        raise CacheError(f"{archive} cannot be unpacked: {error}") from error


class _Limited:
    """An uncompressed archive that refuses to be read further than is allowed at the moment.

    A pax header or the map of a sparse file has no limit in ``tarfile``: 2 MB of an archive became
    2 GB of memory.
    """

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream, self._limit = stream, limit
        self._end = 0

    def allow(self, size: int) -> None:
        """Allow to read ``size`` more bytes."""
        self._end = self._stream.tell() + size

    def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes."""
        self._require(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, offset: int) -> int:
        """Move to ``offset``."""
        self._require(offset)
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def _require(self, position: int) -> None:
        if position > self._end:
            raise tarfile.ReadError(f"it has a header of more than {_LARGEST_HEADER} bytes")
        if position > self._limit:
            raise tarfile.ReadError(f"it contains more than {self._limit} bytes")


def _extract(archive: Path, staging: Path, mode: int) -> None:
    limit = min(LARGEST_ARCHIVE, shutil.disk_usage(staging).free)
    with gzip.open(archive) as whole:
        stream = _Limited(whole, limit)
        stream.allow(_LARGEST_HEADER)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
            members = 0
            while member := tar.next():
                stream.allow(member.size + _LARGEST_HEADER)
                _extract_member(tar, member, archive, staging, mode)
                stream.allow(_LARGEST_HEADER)
                members += 1
                if members > MOST_MEMBERS:
                    raise CacheError(f"{archive} is refused: more than {MOST_MEMBERS} members")
        stream.allow(limit)
        while stream.read(_CHUNK):  # to the end, where gzip stores its checksum
            pass


def _extract_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, staging: Path, mode: int
) -> None:
    parts = PurePosixPath(member.name).parts
    absolute = member.name.startswith("/")  # the first part of "//a" is not "/"
    is_regular = member.isfile() and not member.issparse()
    if not is_regular or len(parts) != _DEPTH or absolute or ".." in parts:
        raise CacheError(f"{archive} is refused: {member.name!r} is not part of an entry")
    if member.size > LARGEST_MEMBER:
        raise CacheError(
            f"{archive} is refused: {member.name!r} must have at most {LARGEST_MEMBER} bytes, got "
            f"{member.size}"
        )
    target = staging.joinpath(*parts)
    make_below(staging, target.parent, mode)
    content = tar.extractfile(member)
    assert content is not None
    with target.open("xb") as stream:
        os.fchmod(stream.fileno(), file_mode(mode))
        shutil.copyfileobj(content, stream)


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
    unexpected = {file.name for file in path.iterdir()} ^ {*manifest.files, MANIFEST}
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
        if store.move_into_place(layer, entry.path, target, Entry.damage) is None:
            added.append(Entry(target, layer.name, entry.manifest))
        else:
            present.append(target)
    return added, present
