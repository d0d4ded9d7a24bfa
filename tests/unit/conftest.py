"""Fixtures of several files of this folder."""

from __future__ import annotations

from pathlib import Path

import command_line as program
import outside_op as outside
import pytest
from user_folders import UserFolders

from op_builder.cache import lock


@pytest.fixture
def outside_op(
    tmp_path: Path, user_folders: UserFolders, monkeypatch: pytest.MonkeyPatch
) -> outside.OutsideOp:
    """The op ``made_up`` of another package, and a compiler."""
    return outside.outside_op(tmp_path, user_folders, monkeypatch)


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> program.CommandLine:
    """The program ``ascend-ops``."""
    return program.command_line(monkeypatch, capsys)


@pytest.fixture
def lock_environ(user_folders: UserFolders) -> dict[str, str]:
    """An environment with a folder for locks that is not made yet."""
    return {"ASCEND_OPS_LOCK_DIR": str(user_folders.locks)}


@pytest.fixture
def quick_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a lock looks and speaks more often."""
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(lock, "_MESSAGE_SECONDS", 0.05)
