"""Whether an entry may be used: its manifest, its library and its headers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from cache_entries import Shelf, edit_manifest
from file_clock import wait_for_a_later_time

from op_builder.cache import entry
from op_builder.cache.entry import Entry
from op_builder.cache.manifest import Manifest
from op_builder.system import file_identity


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.below(tmp_path)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the files whose content is read, in order."""
    seen: list[str] = []
    real = file_identity.digest_file

    def digest_file(path: str | Path) -> str:
        seen.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(file_identity, "digest_file", digest_file)
    return seen


def test_a_manifest_is_read_back_as_it_was_written(shelf: Shelf) -> None:
    published = shelf.publish(cpu_features=("avx2", "fma"))
    read = Entry.read(published.path, "user")
    assert read == published
    assert isinstance(read, Entry)
    assert read.manifest.cpu_features == ("avx2", "fma")
    assert read.op == "made_up"
    assert read.library.read_bytes() == b"a library"
    assert Manifest.read(published.path / entry.MANIFEST).text() == published.manifest.text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b"{}", b'{"cpu_features": []}', b"\xff\xfe", b"\0" * 4096],
)
def test_upstream_25_half_a_manifest_is_not_an_entry(shelf: Shelf, content: bytes) -> None:
    """aiter #4799: a truncated file was used forever."""
    published = shelf.publish()
    (published.path / entry.MANIFEST).write_bytes(content)
    assert "manifest.json cannot be read" in str(Entry.read(published.path, "user"))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": None},
        {"payload": None},
        {"recipe": []},
        {"recipe": {}},
        {"recipe": {"op": "made_up", "target": "linux"}},
        {"toolchain": "gcc"},
        {"headers": ["a.h"]},
        {"cpu_features": 3},
        {"surprise": 1},
        {"payload": "../../another.so"},
        {"payload": "/tmp/another.so"},
        {"payload": ""},
        {"payload": ".."},
    ],
)
def test_a_manifest_that_makes_no_sense_is_not_an_entry(
    shelf: Shelf, changes: dict[str, Any]
) -> None:
    published = shelf.publish()
    edit_manifest(published, **changes)
    assert "manifest.json cannot be read" in str(Entry.read(published.path, "user"))


def test_a_folder_without_a_manifest_is_reported(tmp_path: Path) -> None:
    assert Entry.read(tmp_path, "user") == f"{tmp_path} has no manifest.json"


@pytest.mark.parametrize("content", [b"", b"a librar", b"a library!", b"A library"])
def test_upstream_25_a_library_of_other_bytes_is_damaged(shelf: Shelf, content: bytes) -> None:
    """aiter #4799: files were not checked when they were read."""
    published = shelf.publish()
    assert published.damage() is None
    published.library.write_bytes(content)
    damage = published.damage()
    assert damage is not None
    assert f"({len(content)} bytes, 9 when published)" in damage
    assert str(published.library) in damage


def test_upstream_25_a_library_that_is_gone_is_damaged(shelf: Shelf) -> None:
    """aiter #4799."""
    published = shelf.publish()
    published.library.unlink()
    assert "No such file" in str(published.damage())


def test_upstream_06_a_changed_header_is_named(shelf: Shelf) -> None:
    """pytorch #68905, #51892; flashinfer #4489: torch's headers were not tracked."""
    published = shelf.publish()
    assert published.stale_header(shelf.spec.resolve, own_only=False) is None
    header = shelf.spec.roots["source"] / "a.h"
    header.write_text("// another\n", encoding="utf-8")
    stale = published.stale_header(shelf.spec.resolve, own_only=False)
    assert f"header {header} changed" in str(stale)
    header.unlink()
    assert "was deleted" in str(published.stale_header(shelf.spec.resolve, own_only=False))


def test_upstream_07_a_header_with_another_time_is_the_same_header(shelf: Shelf) -> None:
    """flashinfer #4884, #4885; pytorch #124454."""
    published = shelf.publish()
    header = shelf.spec.roots["source"] / "a.h"
    os.utime(header, (1, 1))
    header.write_text("// a.h\n", encoding="utf-8")
    assert published.stale_header(shelf.spec.resolve, own_only=False) is None


def test_what_was_shipped_is_bound_to_the_versions_of_others_and_not_to_their_text(
    shelf: Shelf, tmp_path: Path
) -> None:
    foreign = tmp_path / "torch.h"
    foreign.write_text("// 1\n", encoding="utf-8")
    headers = {str(foreign): "another digest"}
    published = shelf.publish(headers=headers)
    assert published.stale_header(shelf.spec.resolve, own_only=True) is None
    assert str(foreign) in str(published.stale_header(shelf.spec.resolve, own_only=False))


def test_headers_are_hashed_once_while_their_status_stays(
    shelf: Shelf, old_files: None, hashed: list[str]
) -> None:
    published = shelf.publish()
    hashed.clear()
    for _ in range(3):
        assert published.stale_header(shelf.spec.resolve, own_only=False) is None
    assert hashed == ["a.h"]


def test_a_rewrite_of_the_same_size_and_time_is_hashed_again(
    shelf: Shelf, old_files: None, hashed: list[str]
) -> None:
    published = shelf.publish()
    published.stale_header(shelf.spec.resolve, own_only=False)
    header = shelf.spec.roots["source"] / "a.h"
    before = header.stat()
    wait_for_a_later_time(header)
    header.write_text("// b.h\n", encoding="utf-8")
    os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert header.stat().st_size == before.st_size
    assert "changed" in str(published.stale_header(shelf.spec.resolve, own_only=False))


def test_young_headers_are_hashed_each_time(
    shelf: Shelf, young_files: None, hashed: list[str]
) -> None:
    published = shelf.publish()
    hashed.clear()
    for _ in range(2):
        published.stale_header(shelf.spec.resolve, own_only=False)
    assert hashed == ["a.h", "a.h"]


def test_environments_that_share_a_cache_do_not_forget_for_each_other(
    shelf: Shelf, tmp_path: Path, old_files: None, hashed: list[str]
) -> None:
    published = shelf.publish()
    others = [Shelf.below(tmp_path / str(number)) for number in range(4)]
    hashed.clear()
    for _ in range(3):
        for other in others:
            assert published.stale_header(other.spec.resolve, own_only=False) is None
    assert hashed == ["a.h"] * len(others)


def test_a_use_is_noted_at_most_once_a_day(shelf: Shelf) -> None:
    published = shelf.publish()
    now = time.time()
    for age, noted in ((3600, False), (2 * 86_400, True)):
        os.utime(published.path, (now - age, now - age))
        published.touch()
        assert (published.path.stat().st_mtime > now - age + 1) is noted
    Entry(published.path / "gone", "user", published.manifest).touch()
