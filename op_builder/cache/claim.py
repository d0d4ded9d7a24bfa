"""One build of an op at a time in a cache that several machines share.

The build lock is node-local, so without a claim each node of a cluster would compile an op that all
of them publish in one folder. A claim is a file in that folder, which its owner touches every
second. It needs neither locks nor synchronized clocks of the file system: an exclusive creation and
changing times are sufficient. Like the lock it only saves work; a build that cannot make a claim
continues without it.

An owner that was killed stops touching its claim. On its own machine that is noticed at once, on
others after :data:`STALLED_SECONDS`; then the next build takes the claim over.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import envs
from ..system.private_folder import make_below
from ..system.regular_file import read_descriptor
from .manifest import is_text
from .staging import STAGING, is_gone, this_process

logger = logging.getLogger(__name__)

#: Far longer than the second between two touches, on a busy machine or a slow file server.
STALLED_SECONDS = 20.0
_TOUCH_SECONDS = 1.0
_POLL_SECONDS = 0.1
_MESSAGE_SECONDS = 10.0
_SETTLE_SECONDS = 0.3
_LARGEST = 65_536


@contextmanager
def build_claim(
    root: Path | None, op: str, name: str, environ: Mapping[str, str]
) -> Iterator[bool]:
    """Hold the claim on one entry for the duration of the context.

    Waits for the owner of the claim, for at most ASCEND_OPS_LOCK_TIMEOUT seconds. If the owner
    gives it up, the context begins without a claim: either its build succeeded, or it failed, and
    all that wait should see the error at the same time instead of one after the other.

    Args:
        root: The folder of the layer; None makes no claim.
        op: The op's name, for messages.
        name: The digest of the entry's build key.
        environ: The environment with the timeout.

    Yields:
        Whether another process held the claim meanwhile.
    """
    claim = None if root is None else _Claim(root / STAGING / f"claim-{name}", op)
    has_waited = False
    try:
        if claim is not None and root is not None:
            make_below(root, claim.path.parent, 0o700)
            has_waited = claim.acquire(envs.LOCK_TIMEOUT.get(environ))
    except OSError as error:
        logger.info("%s: building without a claim: %s", op, error)
    try:
        yield has_waited
    finally:
        if claim is not None:
            claim.release()


class _Claim:
    """A claim that this process owns or waits for."""

    def __init__(self, path: Path, op: str) -> None:
        self.path, self._op = path, op
        self._own = uuid.uuid4().hex
        self._ended = threading.Event()
        self._pid: int | None = None

    def acquire(self, timeout: float) -> bool:
        """Own the claim, or wait until it is given up; return whether it was waited for.

        Raises:
            OSError: The folder cannot be written or read.
        """
        started = changed = message = time.monotonic()
        state: object = None
        while True:
            if state is None and self._create():
                self._keep()
                return False
            now = time.monotonic()
            found, content = self._look()
            if found is None and state is not None:
                return True
            if found != state:
                state, changed = found, now
            if is_gone(str(content.get("process"))) or now - changed > STALLED_SECONDS:
                if self._take_over(found):
                    return True
                changed = time.monotonic()
            if now - started > timeout:
                logger.warning("%s: waited %.0f s for %s; building as well",
                               self._op, now - started, _owner(content))  # fmt: skip
                return True
            if now - message >= _MESSAGE_SECONDS:
                message = now
                logger.warning("%s: waiting for %s to build it, for %.0f s now",
                               self._op, _owner(content), now - started)  # fmt: skip
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Give the claim up, unless another process has taken it over."""
        self._ended.set()
        if self._pid != os.getpid():
            return
        with suppress(OSError):
            if self._look()[1].get("own") == self._own:
                self.path.unlink()

    def _create(self) -> bool:
        """Create the claim; return whether it did not exist."""
        try:
            self._write(self.path)
        except FileExistsError:
            return False
        return True

    def _take_over(self, stalled: object) -> bool:
        """Replace a claim whose owner is gone; return whether no other process did so too."""
        draft = self.path.with_name(f"{self.path.name}.{self._own[:12]}")
        try:
            self._write(draft)
            if self._look()[0] != stalled:
                return False
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
        time.sleep(_SETTLE_SECONDS)  # for others that saw the same; the last of them owns it
        if self._look()[1].get("own") != self._own:
            return False
        self._keep()
        return True

    def _write(self, path: Path) -> None:
        """Create a file with the name of the owner, which must not exist."""
        content = {"own": self._own, "process": this_process(), "host": os.uname().nodename}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                json.dump({**content, "pid": os.getpid()}, stream)
        except OSError:  # a full disk; an empty claim would keep others waiting
            path.unlink(missing_ok=True)
            raise

    def _look(self) -> tuple[object, dict[str, Any]]:
        """Return the state of the claim, which each touch changes, and its content.

        The file is opened, since an NFS client may otherwise report times that it has cached.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return None, {}
        try:
            status = os.fstat(descriptor)
            content = json.loads(read_descriptor(descriptor, _LARGEST).decode("utf-8") or "{}")
        except (ValueError, RecursionError):
            content = {}
        finally:
            os.close(descriptor)
        state = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        return state, content if isinstance(content, dict) else {}

    def _keep(self) -> None:
        """Touch the claim every second until it is released."""
        self._pid = os.getpid()
        threading.Thread(target=self._touch, name="ascend_ops-claim", daemon=True).start()

    def _touch(self) -> None:
        while not self._ended.wait(_TOUCH_SECONDS):
            try:
                os.utime(self.path)
            except OSError:
                return


def _owner(content: Mapping[str, Any]) -> str:
    pid, host = content.get("pid"), content.get("host")
    process = pid if type(pid) is int and 0 < pid < 1 << 31 else "unknown"
    return f"process {process} on {host if host and is_text(host) else 'another machine'}"
