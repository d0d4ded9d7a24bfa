"""Caches that cannot be written to: read-only, owned by another user, full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import HERE, Sandbox
from user_folders import UserFolders

NOBODY = 65534
STRANGER = 64321
AS_NOBODY = (
    ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if os.geteuid() == 0
    else ()
)


@pytest.fixture
def base() -> Iterator[Path]:
    """Return a folder that every user can read; those of pytest are private."""
    folder = Path(tempfile.mkdtemp(prefix="ascend_ops_test_", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def user(user_folders: UserFolders, base: Path) -> Sandbox:
    """A user without ASCEND_OPS_CACHE_DIR who is not root, since root ignores file modes."""
    readable = [
        *AS_NOBODY,
        sys.executable,
        "-c",
        f"import op_builder; open({str(HERE)!r} + '/ops')",
    ]
    tried = subprocess.run(readable, capture_output=True, text=True, check=False)
    if "IsADirectoryError" not in tried.stderr:
        pytest.skip(f"an unprivileged user cannot run this Python: {tried.stderr[-200:]}")
    for name in ("scratch", "tmp", "home"):
        (base / name).mkdir()
        if AS_NOBODY:
            os.chown(base / name, NOBODY, NOBODY)
    made = Sandbox.make(base / "scratch", base / "home/.cache/ascend_ops")
    made.prefix = AS_NOBODY
    made.environ |= {"HOME": str(base / "home"), "TMPDIR": str(base / "tmp")}
    made.environ["ASCEND_OPS_LOCK_DIR"] = str(base / "tmp/locks")
    del made.environ["ASCEND_OPS_CACHE_DIR"]
    return made


def stand_in(user: Sandbox) -> Path:
    """Return the private temporary cache."""
    uid = NOBODY if AS_NOBODY else os.getuid()
    return Path(user.environ["TMPDIR"]) / f"ascend_ops-{uid}-cache"


def give_away(folder: Path, mode: int, owner: int = 0) -> None:
    """Give a folder to another user."""
    folder.chmod(mode)
    if AS_NOBODY:
        os.chown(folder, owner, owner)


# Read-only and unreadable: HOME=/root in a container that runs as another user.
@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "not-even-searchable"])
def test_upstream_18_read_only_home_builds_in_a_private_temporary_cache(
    user: Sandbox, mode: int
) -> None:
    """flashinfer #973, nvdiffrast #33."""
    home = Path(user.environ["HOME"])
    give_away(home, mode)
    cold = user.load()
    hit = user.load()

    assert cold.value == hit.value == 42
    assert cold.entry.is_relative_to(stand_in(user))
    assert str(home) in cold.stderr, "the warning names the folder that cannot be written"
    assert hit.processes == ()
    assert hit.stderr == ""
    assert user.compiles == 1
    assert stand_in(user).stat().st_mode & 0o777 == 0o700


def test_upstream_18_entries_in_a_read_only_cache_are_used(user: Sandbox, base: Path) -> None:
    """nvdiffrast #33: an image is built once and run by any user."""
    user.load()
    shared = base / "shared"
    user.cache.rename(shared)
    for path in (shared, *shared.rglob("*")):
        give_away(path, 0o555)
    user.load(ASCEND_OPS_CACHE_DIR=str(shared))  # memoizes the compiler if it can
    hit = user.load(ASCEND_OPS_CACHE_DIR=str(shared))
    other = user.load("vendored:VendoredBuilder", ASCEND_OPS_CACHE_DIR=str(shared))

    assert hit.entry.is_relative_to(shared)
    assert hit.processes == ()
    assert other.entry.is_relative_to(stand_in(user))
    assert str(shared) in other.stderr
    assert user.compiles == 2


def test_library_in_a_read_only_cache_that_does_not_load_is_an_error(user: Sandbox) -> None:
    user.load("unresolved:UnresolvedBuilder")
    for path in (user.cache, *user.cache.rglob("*")):
        give_away(path, 0o555)
    failed = user.load("unresolved:UnresolvedBuilder")

    assert failed.error == "LoadError"
    assert failed.facts["path"].startswith(str(user.cache))
    assert user.compiles == 1


def test_upstream_18_site_that_root_filled_is_read_by_everybody(user: Sandbox, base: Path) -> None:
    """nvdiffrast #33: an image fills its cache once and is run by any user."""
    user.load()
    own, archive, site = str(user.cache), str(base / "ops.tar.gz"), str(base / "site")
    user.run_cli("cache", "pack", archive, ASCEND_OPS_CACHE_DIR=own)
    user.run_cli("cache", "unpack", archive, "--site", site)
    user.forget_entries()
    loaded = user.load(ASCEND_OPS_SITE_CACHE_DIR=site, ASCEND_OPS_JIT="0")

    assert loaded.entry.is_relative_to(site)
    assert loaded.processes == ()


def test_upstream_18_no_home_at_all(user: Sandbox) -> None:
    """flashinfer #973: the user of a service has no home."""
    assert user.load(HOME="/nonexistent").value == 42
    assert user.load(HOME="").value == 42


def test_nowhere_to_write_is_an_error_that_names_every_folder(user: Sandbox) -> None:
    home, temporary = Path(user.environ["HOME"]), Path(user.environ["TMPDIR"])
    for folder in (home, temporary):
        give_away(folder, 0o555)
    failed = user.load()

    assert failed.error == "CacheError"
    for folder in (user.cache, stand_in(user)):
        assert str(folder) in failed.message
    assert "ASCEND_OPS_CACHE_DIR" in failed.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_temporary_cache_that_a_stranger_made_is_not_used(user: Sandbox) -> None:
    give_away(Path(user.environ["HOME"]), 0o555)
    trap = stand_in(user)
    trap.mkdir()
    give_away(trap, 0o755, STRANGER)
    failed = user.load()

    assert failed.error == "CacheError"
    assert f"belongs to user {STRANGER}" in failed.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_what_a_stranger_remembers_of_the_compiler_is_not_run(user: Sandbox) -> None:
    trap = stand_in(user)
    user.load("native:NativeBuilder")
    user.cache.rename(trap)
    program = user.scratch / "planted"
    program.write_text(f"#!/bin/sh\ntouch {user.scratch}/has-run\n", encoding="utf-8")
    program.chmod(0o755)
    for memo in (trap / "toolchain").iterdir():
        text = memo.read_text(encoding="utf-8")
        memo.write_text(text.replace('"command": ["', f'"command": ["{program}", "'))
    for path in (trap, *trap.rglob("*")):
        give_away(path, 0o755, STRANGER)
    # Queries the compiler for the meaning of native before the build.
    user.load("native:NativeBuilder", HOME="/nonexistent")

    assert not (user.scratch / "has-run").exists()


def test_a_cache_that_others_can_write_to_is_refused(user: Sandbox) -> None:
    user.load()
    user.cache.chmod(0o777)
    refused = user.load()

    assert refused.error == "UnsafeCacheError"
    assert f"chmod go-w {user.cache}" in refused.message


@pytest.mark.parametrize("mask", ["0o000", "0o277", "0o777"])
def test_umask_decides_nothing(user: Sandbox, mask: str) -> None:
    """With 777 a build ended with a bare PermissionError."""
    cold = user.load(first=f"os.umask({mask})")
    hit = user.load(first=f"os.umask({mask})")
    other = user.load("vendored:VendoredBuilder", first=f"os.umask({mask})")

    assert cold.value == hit.value == 42, cold.message
    assert other.error is None
    assert (cold.stderr, hit.stderr, hit.processes) == ("", "", ())
    assert cold.entry.is_relative_to(user.cache)
    assert user.compiles == 2
