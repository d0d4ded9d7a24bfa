"""An archive cannot fill memory or the disk, whatever its headers promise."""

from __future__ import annotations

import gzip
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_files import refusal_of, write_members

from op_builder.cache import archive
from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer


def _raw_archive(file: Path, blocks: bytes, zeros: int = 0) -> None:
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(blocks)
        for _ in range(zeros >> 20):
            stream.write(bytes(1 << 20))


def _header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


HUGE = 3 << 30
IN_PLACE = f"linux-x/op/{'0' * 40}/{'1' * 40}"


def _huge_pax_header() -> bytes:
    return _header("pax", tarfile.XHDTYPE, HUGE)


def _huge_global_header() -> bytes:
    return _header("pax", tarfile.XGLTYPE, HUGE)


def _huge_name() -> bytes:
    return _header("././@LongLink", tarfile.GNUTYPE_LONGNAME, HUGE)


def _huge_member() -> bytes:
    return _header(f"{IN_PLACE}/op.so", tarfile.REGTYPE, HUGE)


def _sparse_member() -> bytes:
    return _header(f"{IN_PLACE}/op.so", tarfile.GNUTYPE_SPARSE, 0)


def _endless_sparse_map() -> bytes:
    """Return the header of a sparse member whose map goes on in every following block."""
    header = bytearray(_header(f"{IN_PLACE}/op.so", tarfile.GNUTYPE_SPARSE, 0))
    header[482] = 1  # isextended
    return _with_checksum(header) + (b"0" * 504 + b"\1" + bytes(7)) * (8 << 11)


def _sparse_map_in_pax() -> bytes:
    """Return a member in GNU's sparse format 1.0, whose map is longer than any real one."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    records += b"%d GNU.sparse.realsize=%d\n" % (33, HUGE)
    pax = _header("pax", tarfile.XHDTYPE, len(records)) + records.ljust(512, b"\0")
    blocks = b"99999999\n" + b"0\n" * (4 << 20)
    blocks += bytes(-len(blocks) % 512)
    return pax + _header(f"{IN_PLACE}/op.so", tarfile.REGTYPE, len(blocks)) + blocks


def _chain_of_headers() -> bytes:
    return (_header("pax", tarfile.XHDTYPE, 13) + b"13 comment=x\n".ljust(512, b"\0")) * 1500


def _with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    "blocks",
    [
        _huge_pax_header,
        _huge_global_header,
        _huge_name,
        _huge_member,
        _sparse_member,
        _endless_sparse_map,
        _sparse_map_in_pax,
        _chain_of_headers,
    ],
)
def test_archive_that_would_fill_memory_or_disk_is_refused(
    tmp_path: Path, other_cache: Layer, blocks: Callable[[], bytes]
) -> None:
    """2 MB of an archive became 2 GB of memory."""
    file = tmp_path / "bomb.tar.gz"
    _raw_archive(file, blocks(), zeros=4 << 20)
    tracemalloc.start()
    try:
        refusal_of(file, other_cache)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_archive_larger_than_the_free_disk_is_refused(
    packed: tuple[Path, Entry], other_cache: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 3000)
    assert "contains more than 3000 bytes" in refusal_of(packed[0], other_cache)


def test_archive_with_too_many_members_is_refused(
    packed: tuple[Path, Entry], other_cache: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    assert "more than 3 members" in refusal_of(packed[0], other_cache)


def test_zeros_after_the_end_do_not_go_on_forever(
    packed: tuple[Path, Entry], other_cache: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gzip.decompress(packed[0].read_bytes())
    _raw_archive(packed[0], whole, zeros=8 << 20)
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 4 << 20)
    assert "contains more than" in refusal_of(packed[0], other_cache)


def test_empty_archive_is_an_error(tmp_path: Path, other_cache: Layer) -> None:
    file = tmp_path / "empty.tar.gz"
    write_members(file, [])
    assert "contains no entries" in refusal_of(file, other_cache)
