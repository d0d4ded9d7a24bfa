"""Fixtures of the tests with a real compiler."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox
from user_folders import UserFolders


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder as requiring a compiler."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.compiler)
            if shutil.which("g++") is None:
                item.add_marker(pytest.mark.skip(reason="g++ is not installed"))


@pytest.fixture
def sandbox(user_folders: UserFolders, tmp_path: Path) -> Iterator[Sandbox]:
    """Provide ops, a cache and a home for one test."""
    made = Sandbox.make(tmp_path, user_folders.cache)
    yield made
    made.gate.unlink(missing_ok=True)  # lets the compilers of killed builders finish
