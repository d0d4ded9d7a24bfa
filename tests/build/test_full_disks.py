"""Caches on a file system that becomes full during a build."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox
from user_folders import UserFolders

LIMIT_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(place)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {tried.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Fill the file system except for ``leave`` bytes."""
    state = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"\0" * (state.f_bavail * state.f_frsize - leave))


# The disk is full from the start, at the object, at the library, or at the manifest.
@pytest.mark.parametrize("free_pages", [0, 1, 2, 4, 6, 8, 10, 12, 14])
def test_full_disk_falls_to_the_next_layer_with_a_warning(
    sandbox: Sandbox, small_disk: Path, user_folders: UserFolders, free_pages: int
) -> None:
    cache = small_disk / "cache"
    cache.mkdir(mode=0o700)
    fill(small_disk, free_pages * 4096)
    built = sandbox.load(ASCEND_OPS_CACHE_DIR=str(cache))
    again = sandbox.load(ASCEND_OPS_CACHE_DIR=str(cache))

    assert built.value == again.value == 42
    assert built.entry == again.entry
    assert list((cache / "staging").glob("*")) == []
    temporary = user_folders.temporary
    if built.entry.is_relative_to(temporary):
        assert str(cache) in built.stderr
        assert "No space left on device" in built.stderr
        assert sandbox.entries(cache) == []
    else:
        assert free_pages > 10, "it cannot have fitted"


@pytest.mark.parametrize("free_pages", [0, 4, 8])
def test_full_disk_and_nothing_left_is_a_clear_error(
    sandbox: Sandbox, small_disk: Path, user_folders: UserFolders, free_pages: int
) -> None:
    folders = {"ASCEND_OPS_CACHE_DIR": small_disk / "cache", "TMPDIR": small_disk / "tmp"}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    environ = {name: str(path) for name, path in folders.items()}
    sandbox.load(
        "vendored:VendoredBuilder", **environ
    )  # the probe of the compiler requires some space
    fill(small_disk, free_pages * 4096)
    failed = sandbox.load(**environ)

    assert failed.error == "CacheError"
    for folder in folders.values():
        assert str(folder) in failed.message
    assert "No space left on device" in failed.message
    assert "ASCEND_OPS_CACHE_DIR" in failed.message


def test_full_temporary_folder_of_the_compiler_is_named(sandbox: Sandbox, small_disk: Path) -> None:
    fill(small_disk, 0)
    failed = sandbox.load(TMPDIR=str(small_disk))

    assert failed.error in ("CacheError", "BuildError")
    assert str(small_disk) in failed.message
    assert "No space left on device" in failed.message


def test_full_temporary_folder_does_not_matter_to_a_known_compiler(
    sandbox: Sandbox, small_disk: Path
) -> None:
    sandbox.load("vendored:VendoredBuilder")
    fill(small_disk, 0)
    assert sandbox.load(TMPDIR=str(small_disk)).value == 42


@pytest.mark.parametrize("size", [0, 500, 2000, 12_000])
def test_limit_on_the_size_of_files_is_an_error_of_this_project(
    sandbox: Sandbox, size: int
) -> None:
    sandbox.load("vendored:VendoredBuilder")
    failed = sandbox.load(first=LIMIT_FILES.format(size))

    assert failed.error in ("CacheError", "BuildError")
    assert "File too large" in failed.message or "File size limit" in failed.message
    assert [path for path in sandbox.entries() if path.parts[-3] == "answer"] == []
    assert sandbox.staged() == []
    assert sandbox.load().value == 42


def test_hit_on_a_full_disk(sandbox: Sandbox, small_disk: Path) -> None:
    cache = {"ASCEND_OPS_CACHE_DIR": str(small_disk / "cache")}
    (small_disk / "cache").mkdir(mode=0o700)
    built = sandbox.load(**cache)
    fill(small_disk, 0)
    hit = sandbox.load(**cache)

    assert hit.entry == built.entry
    assert hit.processes == ()
    assert hit.stderr == ""
