"""Fixtures that several test files use."""

from __future__ import annotations

from pathlib import Path

import command_line as program
import outside_op as outside
import pytest
from cache_entries import Shelf
from user_folders import UserFolders

from op_builder.cache import archive, lock
from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer
from op_builder.system import file_identity


@pytest.fixture
def outside_op(
    tmp_path: Path, user_folders: UserFolders, monkeypatch: pytest.MonkeyPatch
) -> outside.OutsideOp:
    """Provide the op ``made_up`` of another package, and a compiler."""
    return outside.outside_op(tmp_path, user_folders, monkeypatch)


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> program.CommandLine:
    """Provide the program ``ascend-ops``."""
    return program.command_line(monkeypatch, capsys)


@pytest.fixture
def lock_environ(user_folders: UserFolders) -> dict[str, str]:
    """Return an environment with a lock folder that does not exist yet."""
    return {"ASCEND_OPS_LOCK_DIR": str(user_folders.locks)}


@pytest.fixture
def quick_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waiting processes poll and log more often."""
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(lock, "_MESSAGE_SECONDS", 0.05)


@pytest.fixture
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every file as settled, as if the test had waited."""
    monkeypatch.setattr(file_identity, "_SETTLED_NS", -(10**12))


@pytest.fixture
def young_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every file as just written, however long the test takes."""
    monkeypatch.setattr(file_identity, "_SETTLED_NS", 10**18)


@pytest.fixture
def other_cache(tmp_path: Path) -> Layer:
    """Return the cache of another machine."""
    return Layer("user", tmp_path / "there", shipped=False)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, Entry]:
    """Return an archive of one entry, and the entry."""
    entry = Shelf.below(tmp_path / "here").publish()
    file = tmp_path / "ops.tar.gz"
    assert archive.pack([entry], file) == [entry]
    return file, entry
