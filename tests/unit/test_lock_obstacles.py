"""The lock is never required: no locks, odd files, forks, folders of other users."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from lock_holders import lock_holder
from user_folders import UserFolders

from op_builder.cache import lock
from op_builder.cache.lock import build_lock, lock_folder


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ESTALE, errno.EIO]
)
def test_upstream_08_a_file_system_without_locks_builds_without(
    lock_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """tvm-ffi #667, sglang #31347: flock on NFS."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with build_lock("op", "key", lock_environ) as held:
        assert (held.held, held.failure) == (False, None)
        held.report_failure({"first_error": "unheard"})


def test_an_interrupted_call_is_repeated(
    lock_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, quick_lock: None
) -> None:
    real, answers = fcntl.flock, [errno.EINTR, errno.EAGAIN]

    def flock(descriptor: int, operation: int) -> None:
        if answers:
            raise OSError(answers.pop(), "not now")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with build_lock("op", "key", lock_environ) as held:
        assert held.held


@pytest.mark.parametrize("kind", ["file in its place", "open to others", "link for a lock file"])
def test_a_folder_that_cannot_be_used_builds_without(
    lock_environ: dict[str, str], user_folders: UserFolders, kind: str
) -> None:
    if kind == "file in its place":
        user_folders.locks.write_bytes(b"")
    else:
        user_folders.locks.mkdir(mode=0o700)
    if kind == "open to others":
        user_folders.locks.chmod(0o777)
    victim = user_folders.home / "precious"
    victim.write_bytes(b"text")
    if kind == "link for a lock file":
        (user_folders.locks / "key.lock").symlink_to(victim)
    with build_lock("op", "key", lock_environ) as held:
        assert not held.held
    assert victim.read_bytes() == b"text"


@pytest.mark.parametrize("left", ["", "{", "[]", "null", '{"pid": 1', "\0" * 9, '{"failed_at": 0}'])
def test_whatever_a_killed_holder_left_in_the_file(
    lock_environ: dict[str, str], user_folders: UserFolders, left: str
) -> None:
    user_folders.locks.mkdir(mode=0o700)
    (user_folders.locks / "key.lock").write_text(left, encoding="utf-8")
    with build_lock("op", "key", lock_environ) as held:
        assert (held.held, held.failure) == (True, None)


def test_a_child_forked_meanwhile_does_not_keep_the_lock(lock_environ: dict[str, str]) -> None:
    """A data loader's worker lives for hours and inherits the open files of its parent."""
    read_end, write_end = os.pipe()
    with build_lock("op", "key", lock_environ) as held:
        assert held.held
        child = os.fork()
        if child == 0:
            os.read(read_end, 1)  # outlives the build
            os._exit(0)
    try:
        with lock_holder():
            pass
    finally:
        os.write(write_end, b"x")
        os.waitpid(child, 0)
        for end in (read_end, write_end):
            os.close(end)


def test_a_copy_of_the_descriptor_does_not_keep_the_lock(lock_environ: dict[str, str]) -> None:
    """A child that a C library forks inherits it, and runs no Python code to close it."""
    with build_lock("op", "key", lock_environ) as held:
        copy = os.dup(held._descriptor or -1)
    try:
        with lock_holder():
            pass
    finally:
        os.close(copy)


def test_a_child_that_leaves_the_block_does_not_release_its_parents_lock(
    lock_environ: dict[str, str], quick_lock: None
) -> None:
    with build_lock("op", "key", lock_environ) as held:
        child = os.fork()
        if child == 0:
            lock._release(held._descriptor or -1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with build_lock("op", "key", {**lock_environ, "ASCEND_OPS_LOCK_TIMEOUT": "0.02"}) as second:
            assert not second.held


def test_no_descriptor_is_left_open(lock_environ: dict[str, str]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(ValueError, match="mine"), build_lock("op", "key", lock_environ):
            raise ValueError("mine")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_the_locks_are(tmp_path: Path, user_folders: UserFolders) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    chosen = {"ASCEND_OPS_LOCK_DIR": "/locks", "XDG_RUNTIME_DIR": str(runtime)}
    assert lock_folder(chosen) == Path("/locks")
    assert lock_folder({"XDG_RUNTIME_DIR": str(runtime)}) == runtime / "ascend_ops"
    local = user_folders.temporary / f"ascend_ops-{os.getuid()}-locks"
    assert lock_folder({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}) == local
    assert lock_folder({}) == local
