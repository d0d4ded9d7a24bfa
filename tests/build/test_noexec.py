"""A cache on a file system from which no library can be loaded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that is mounted noexec."""
    place = tmp_path / "noexec"
    place.mkdir()
    options = "size=16m,mode=700,noexec"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {tried.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_noexec_cache_is_named_and_the_next_layer_is_built_once(
    sandbox: Sandbox, noexec: Path
) -> None:
    loads = [sandbox.load(ASCEND_OPS_CACHE_DIR=str(noexec / "cache")) for _ in range(3)]

    assert [load.value for load in loads] == [42, 42, 42], loads[0].message
    assert not loads[0].entry.is_relative_to(noexec)
    assert sandbox.compiles == 1
    assert str(noexec) in loads[0].stderr
    assert "noexec" in loads[0].stderr
    assert loads[2].processes == ()


def test_if_every_cache_is_noexec_the_error_names_all(sandbox: Sandbox, noexec: Path) -> None:
    (noexec / "tmp").mkdir(mode=0o700)
    refused = sandbox.load(ASCEND_OPS_CACHE_DIR=str(noexec / "cache"), TMPDIR=str(noexec / "tmp"))

    assert refused.error == "CacheError"
    assert refused.message.count("mounted noexec") == 2
    assert sandbox.compiles == 0


def test_copy_of_a_cache_on_a_noexec_disk_is_not_rebuilt_there(
    sandbox: Sandbox, noexec: Path
) -> None:
    cold = sandbox.load()
    copy = noexec / "cache"
    subprocess.run(["cp", "-a", str(sandbox.cache), str(copy)], check=True)
    loads = [sandbox.load(ASCEND_OPS_CACHE_DIR=str(copy)) for _ in range(2)]

    assert [load.value for load in (cold, *loads)] == [42, 42, 42]
    assert sandbox.compiles == 2
    assert [path.name for path in copy.glob("staging/refused*")] == []
