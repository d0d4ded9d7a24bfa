"""Fixtures of several files of this folder."""

from __future__ import annotations

from pathlib import Path

import command_line as program
import outside_op as outside
import pytest
from user_folders import UserFolders


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
