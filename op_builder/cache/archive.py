"""Moving built libraries to other machines: pack here, unpack there.

So that 1,000 nodes do not each compile for 20 minutes (DeepSpeed #2947). A gzipped tar
of entries as they lie in a cache; none is trusted before its manifest's digest is checked.
"""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import CacheError
from .entry import MANIFEST, Entry
from .layers import Layer
from .store import entry_folders

_PACKED = (MANIFEST, "build.ninja", "build.log")
_DEPTH = 5  # target/op/build_key/deps_key/file


def pack(entries: Iterable[Entry], archive: Path) -> list[Entry]:
    """Write ``entries`` to ``archive`` (.tar.gz); damaged ones raise CacheError."""
    packed: list[Entry] = []
    with contextlib.ExitStack() as cleanup:
        draft = archive.with_name(f".{archive.name}.{uuid.uuid4().hex[:8]}")
        cleanup.callback(draft.unlink, missing_ok=True)
        with tarfile.open(draft, "w:gz") as tar:
            for entry in entries:
                damage = entry.damage()
                if damage:
                    raise CacheError(f"not packed: {damage}")
                place = PurePosixPath(*entry.path.parts[-(_DEPTH - 1) :])
                for name in (entry.manifest.payload, *_PACKED):
                    tar.add(entry.path / name, str(place / name), recursive=False)
                packed.append(entry)
        draft.replace(archive)
    return packed


def unpack(archive: Path, layer: Layer) -> tuple[list[Entry], list[Path]]:
    """Put the entries of ``archive`` into ``layer``: those added, and the folders already there.

    Raises CacheError for a member that is no plain file of an entry (a link, an absolute path, a
    ``..``) and for a library that is not what its manifest says; then nothing is added.
    """
    layer.prepare()
    staging = layer.root / "staging" / f"unpack-{uuid.uuid4().hex[:12]}"
    staging.mkdir(parents=True, mode=0o700)
    try:
        _extract(archive, staging)
        arrived = [Entry.read(path, layer.name) for path in entry_folders(staging)]
        for entry in arrived:
            damage = entry if isinstance(entry, str) else entry.damage()
            if damage:
                raise CacheError(f"{archive} is not used: {damage}")
        return _move([entry for entry in arrived if isinstance(entry, Entry)], staging, layer)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(archive: Path, staging: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or len(parts) != _DEPTH or set(parts) & {"..", "/", "."}:
                    raise CacheError(
                        f"{archive} is not used: {member.name!r} is no file of a cache"
                    )
                target = staging.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                content = tar.extractfile(member)
                assert content is not None
                with target.open("xb") as stream:
                    shutil.copyfileobj(content, stream)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CacheError(f"{archive} cannot be unpacked: {error}") from error


def _move(entries: list[Entry], staging: Path, layer: Layer) -> tuple[list[Entry], list[Path]]:
    added: list[Entry] = []
    present: list[Path] = []
    for entry in entries:
        target = layer.root / entry.path.relative_to(staging)
        if target.exists():
            present.append(target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry.path.rename(target)
        added.append(Entry(target, layer.name, entry.manifest))
    return added, present
