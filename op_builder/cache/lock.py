"""A lock around a build, which saves work and is never needed for correctness.

The lock is an ``flock`` on a file that is never unlinked. The kernel releases it when its process
dies, however it dies, so a killed builder leaves no waiter hanging (pytorch #189245, #170679). The
file lies in a node-local folder, because on network file systems the call hangs, has no effect or
is missing. Without a lock the build continues; two builders then publish the same entry, one of
them loses the rename, and that counts as success.

The file contains its holder, for the waiters' messages, and the error of a failed build, so that
waiting processes raise the same error instead of compiling again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import envs
from ..errors import UnsafeCacheError
from ..system.private_folder import make_private
from .manifest import is_path, is_text

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_MESSAGE_SECONDS = 10.0
_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EINTR)


@dataclass
class BuildLock:
    """The result of taking the lock.

    Attributes:
        held: False if the build runs without a lock.
        failure: The error of the build that this process waited for; None if it did not fail or
            this process did not wait.
    """

    held: bool
    failure: Mapping[str, Any] | None
    _descriptor: int | None

    def report_failure(self, failure: Mapping[str, Any]) -> None:
        """Leave an error for the processes that wait now."""
        if self._descriptor is not None:
            _write(self._descriptor, {"failed_at": time.time(), "failure": dict(failure)})


def lock_folder(environ: Mapping[str, str]) -> Path:
    """Return the node-local folder of the locks."""
    chosen = envs.LOCK_DIR.get(environ)
    if chosen is not None:
        return chosen
    runtime = envs.XDG_RUNTIME_DIR.get(environ)
    if runtime is not None and os.access(runtime, os.W_OK):
        return runtime / "ascend_ops"
    return _temporary(environ) / f"ascend_ops-{os.getuid()}-locks"


def _temporary(environ: Mapping[str, str]) -> Path:
    if envs.TMPDIR.raw(environ):
        return envs.TMPDIR.get(environ)
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # no temporary folder can be written
        return envs.TMPDIR.default


@contextmanager
def build_lock(op: str, name: str, environ: Mapping[str, str]) -> Iterator[BuildLock]:
    """Hold the lock of one entry for the duration of the context.

    Waits for at most ASCEND_OPS_LOCK_TIMEOUT seconds, and logs a warning with the holder every
    10 s.

    Args:
        op: The op's name, for messages.
        name: The digest of the entry's build key.
        environ: The environment with the lock folder and the timeout.
    """
    began_waiting = time.time()
    descriptor = _open(lock_folder(environ), name)
    if descriptor is None:
        yield BuildLock(False, None, None)
        return
    try:
        held = _acquire(descriptor, op, envs.LOCK_TIMEOUT.get(environ))
        left = _read(descriptor) if held else {}
        waited_for = _failure_since(began_waiting, left)
        if held and waited_for is None:  # else the next waiter needs it too
            _write(descriptor, {"pid": os.getpid(), "host": os.uname().nodename})
        yield BuildLock(held, waited_for, descriptor if held else None)
    finally:
        _release(descriptor)


# A child that another thread forks meanwhile inherits the open file, and would hold the lock for as
# long as it lives.
_open_descriptors: set[int] = set()


def _close_in_child() -> None:
    for descriptor in _open_descriptors:
        os.close(descriptor)
    _open_descriptors.clear()


os.register_at_fork(after_in_child=_close_in_child)


def _release(descriptor: int) -> None:
    if descriptor not in _open_descriptors:  # this process is such a child
        return
    _open_descriptors.remove(descriptor)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _open(folder: Path, name: str) -> int | None:
    try:
        make_private(folder, variable=envs.LOCK_DIR.name)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(folder / f"{name}.lock", flags, 0o600)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:  # with umask 777
            os.fchmod(descriptor, 0o600)
    except (OSError, UnsafeCacheError) as error:
        logger.info("building without a lock: %s", error)
        return None
    _open_descriptors.add(descriptor)
    return descriptor


def _acquire(descriptor: int, op: str, timeout: float) -> bool:
    started = last_message = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in _HELD_BY_ANOTHER:  # ENOLCK, ENOSYS, ESTALE: no locks here
                logger.info("building %s without a lock: %s", op, error)
                return False
        now = time.monotonic()
        if now - started > timeout:
            logger.warning("%s: waited %.0f s for %s; building without the lock",
                           op, now - started, _holder(descriptor))  # fmt: skip
            return False
        if now - last_message >= _MESSAGE_SECONDS:
            last_message = now
            logger.warning("%s: waiting for %s to build it, for %.0f s now",
                           op, _holder(descriptor), now - started)  # fmt: skip
        time.sleep(_POLL_SECONDS)


def _failure_since(moment: float, left: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the failure in a lock file's content if it happened since ``moment``.

    A time in the future means that the clock was set back since; no current waiter is concerned.
    """
    failure, failed_at = left.get("failure"), left.get("failed_at")
    if not isinstance(failure, dict) or not isinstance(failed_at, (int, float)):
        return None
    if not all(value is None or value == "" or is_path(value) for value in failure.values()):
        return None
    return failure if moment <= failed_at <= time.time() else None


def _holder(descriptor: int) -> str:
    content = _read(descriptor)
    pid, host = content.get("pid"), content.get("host")
    process = pid if type(pid) is int and 0 < pid < 1 << 31 else "unknown"
    return f"process {process} on {host if host and is_text(host) else 'this machine'}"


def _read(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(descriptor, 1 << 20, 0).decode("utf-8") or "{}")
    except (OSError, ValueError, RecursionError):  # unreadable, or its writer was killed half-way
        return {}
    return content if isinstance(content, dict) else {}


def _write(descriptor: int, content: Mapping[str, Any]) -> None:
    data = json.dumps(content).encode()
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)
    except OSError as error:  # a full disk; the lock is held all the same
        logger.debug("lock file not written: %s", error)
