"""Give every test its own home, cache, lock folder and temporary folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from user_folders import UserFolders

# On a busy machine an example may take any time, and so may its generation.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")

# With torch_npu installed and CANN not sourced, `import torch` fails without it.
os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")

# pip's configuration and cache stay the user's own, although tests change HOME.
_REAL_HOME = Path.home()
os.environ.setdefault("XDG_CONFIG_HOME", str(_REAL_HOME / ".config"))
os.environ.setdefault(
    "PIP_CACHE_DIR",
    str(Path(os.environ.get("XDG_CACHE_HOME") or _REAL_HOME / ".cache") / "pip"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that have a test marked ``long`` first."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def user_folders(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> UserFolders:
    """Keep tests, and the processes that they start, away from the user's own files.

    ``cache`` and ``locks`` do not exist yet, as on a fresh machine.
    """
    base = tmp_path_factory.mktemp("user")
    folders = UserFolders(base / "home", base / "cache", base / "locks", base / "tmp")
    for folder in (folders.home, folders.temporary):
        folder.mkdir(mode=0o700)
    for name in list(os.environ):
        if name.startswith(("ASCEND_OPS_", "DS_BUILD_")):
            monkeypatch.delenv(name)
    for name in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folders.home))
    monkeypatch.setenv("TMPDIR", str(folders.temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(folders.temporary))
    monkeypatch.setenv("ASCEND_OPS_CACHE_DIR", str(folders.cache))
    monkeypatch.setenv("ASCEND_OPS_LOCK_DIR", str(folders.locks))
    return folders
