"""Named pipes and devices in place of files: nothing hangs, and memory stays small."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_entries import Shelf
from user_folders import UserFolders

from op_builder.cache import entry
from op_builder.cache.entry import Entry
from op_builder.cache.lock import build_lock
from op_builder.cann.records import read_fields
from op_builder.cann.version import read_version
from op_builder.errors import AscendOpsError
from op_builder.system import memo

HANG_SECONDS = 60


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """Fail instead of hanging."""

    def fail(*_: object) -> None:
        pytest.fail("hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(HANG_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _pipe(path: Path) -> None:
    os.mkfifo(path)
    path.chmod(0o600)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _terabyte(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


ODD = pytest.mark.parametrize("odd", [_pipe, _zeros, _folder, _terabyte])


def _replace(path: Path, odd: Callable[[Path], None]) -> None:
    path.unlink(missing_ok=True)
    odd(path)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.below(tmp_path)


@ODD
@pytest.mark.parametrize("name", ["manifest.json", "made_up.so"])
def test_file_of_an_entry_is_damage(shelf: Shelf, name: str, odd: Callable[[Path], None]) -> None:
    published = shelf.publish()
    _replace(published.path / name, odd)
    lookup = shelf.find()
    assert lookup.entry is None
    assert name in lookup.refusals[0]
    assert shelf.publish().path == published.path
    assert shelf.find().entry is not None


@ODD
def test_memo_of_an_entry_is_ignored(shelf: Shelf, odd: Callable[[Path], None]) -> None:
    published = shelf.publish()
    _replace(published.path / "status", odd)
    assert shelf.find().entry == published


@ODD
def test_header_is_stale(shelf: Shelf, odd: Callable[[Path], None]) -> None:
    shelf.publish()
    _replace(shelf.spec.roots["source"] / "a.h", odd)
    lookup = shelf.find()
    assert lookup.entry is None
    assert "a.h" in lookup.refusals[0]


@ODD
def test_source_is_an_error_that_names_it(shelf: Shelf, odd: Callable[[Path], None]) -> None:
    _replace(shelf.spec.roots["source"] / "a.cpp", odd)
    with pytest.raises(AscendOpsError, match=r"source .*a\.cpp cannot be read"):
        _ = shelf.recipe


@pytest.mark.parametrize("odd", [_pipe, _folder, _terabyte])
def test_lock_file_is_empty_or_unused(
    lock_environ: dict[str, str], user_folders: UserFolders, odd: Callable[[Path], None]
) -> None:
    user_folders.locks.mkdir(mode=0o700)
    odd(user_folders.locks / "key.lock")
    with build_lock("op", "key", lock_environ) as held:
        assert held.failure is None


@ODD
def test_memo_is_missing(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    folder = tmp_path / "cache" / "toolchain"
    folder.mkdir(parents=True, mode=0o700)
    odd(memo._file(folder, "key"))
    assert memo.recall(folder, "key") is None


@pytest.mark.parametrize("odd", [_pipe, _zeros, _folder])
def test_record_and_version_file_are_refused(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    _replace(tmp_path / "version.cfg", odd)
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        read_fields(tmp_path / "version.cfg")
    reading = read_version(tmp_path, None)
    assert reading.version is None
    assert str(tmp_path / "version.cfg") in reading.refusals[0]


@pytest.mark.parametrize("text", ["\n" * 60_000, "=" * 60_000, "a" * 60_000, "a = \n" * 10_000])
def test_record_of_any_text_is_read_in_linear_time(tmp_path: Path, text: str) -> None:
    """60 KB of newlines took 12 s."""
    (tmp_path / "record").write_text(text + "\nInstall_Path=/a\n", encoding="utf-8")
    started = time.process_time()
    read_fields(tmp_path / "record")
    assert time.process_time() - started < 1


def test_start_of_an_endless_record_is_read(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_bytes(b"version=9.1.0\n")
    with file.open("ab") as stream:
        stream.truncate(1 << 40)
    assert read_fields(file) == {"version": "9.1.0"}


def test_manifest_has_a_limit(shelf: Shelf) -> None:
    published = shelf.publish()
    with (published.path / entry.MANIFEST).open("ab") as stream:
        stream.truncate(17 << 20)
    assert "is too large" in str(Entry.read(published.path, "user"))
