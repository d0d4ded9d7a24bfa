"""Archives of caches: their members, and the refusal of one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from op_builder.cache import archive
from op_builder.cache.layers import Layer
from op_builder.errors import CacheError

Members = list[tuple[tarfile.TarInfo, bytes]]


def read_members(file: Path) -> Members:
    with tarfile.open(file) as tar:
        found = [(tarfile.TarInfo(member.name), tar.extractfile(member)) for member in tar]
        return [(member, content.read() if content else b"") for member, content in found]


def write_members(file: Path, members: Members) -> None:
    with tarfile.open(file, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def files_in(layer: Layer) -> list[str]:
    return [str(path) for path in layer.root.rglob("*") if path.is_file()]


def refusal_of(file: Path, layer: Layer) -> str:
    """Return the message of the refusal; nothing may be added or left behind."""
    with pytest.raises(CacheError) as caught:
        archive.unpack(file, layer)
    assert [Path(name).name for name in files_in(layer)] == ["CACHEDIR.TAG"]
    assert list((layer.root / "staging").glob("*")) == []
    assert str(file) in str(caught.value)
    return str(caught.value)
