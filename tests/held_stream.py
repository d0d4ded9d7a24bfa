"""Hold a stream of the emulated NPU, so that a test decides when the work queued on it runs.

A program that a test starts has it as text: see ``HELD_STREAM`` in ``emulated_process.py``.
"""

from __future__ import annotations

import ctypes
from typing import Any

_SEM_T_BYTES = 64  # 32 on 64-bit Linux


class HeldStream:
    """A stream that runs nothing queued after this was made, until it is released.

    The stream's worker waits in libc's ``sem_wait``, not in Python: it needs no interpreter lock.
    """

    def __init__(self, handle: int) -> None:
        self._libc: Any = ctypes.CDLL(None)
        self._semaphore = ctypes.create_string_buffer(_SEM_T_BYTES)
        assert self._libc.sem_init(self._semaphore, 0, 0) == 0
        wait = ctypes.cast(self._libc.sem_wait, ctypes.c_void_p)
        acl: Any = ctypes.CDLL("libascendcl.so")
        assert acl.aclrtLaunchHostFunc(ctypes.c_void_p(handle), wait, self._semaphore) == 0
        _living.append(self._semaphore)

    def release(self) -> None:
        """Let the stream continue."""
        self._libc.sem_post(self._semaphore)

    def __enter__(self) -> HeldStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


#: The worker may still read a semaphore after it was posted.
_living: list[object] = []
