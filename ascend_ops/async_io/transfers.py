"""Transfers that a handle has started: their errors, and their end if the handle is dropped."""

from __future__ import annotations

import errno
import logging
import os
from typing import Any, NamedTuple

from .buffers import Buffer
from .native import Failure

logger = logging.getLogger(__name__)


class Transfer(NamedTuple):
    """A transfer under way; it keeps the tensor alive."""

    buffer: Buffer
    name: str
    write: bool


def take_failures(library: Any, pointer: int) -> dict[int, Failure]:
    """Return the failures that a handle has noted since the last call, by the transfer's number."""
    failures = {}
    while library.async_io_next_failure(pointer, failure := Failure()):
        failures[failure.transfer] = failure
    return failures


def error_of(transfers: dict[int, Transfer], failures: dict[int, Failure]) -> Exception:
    """Return the error of the first transfer that failed; its text counts the others."""
    number = min(failures)
    transfer, failure = transfers[number], failures[number]
    size, what = transfer.buffer.nbytes, "write" if transfer.write else "read"
    others = f"; {len(failures) - 1} more transfers failed" if len(failures) > 1 else ""
    place = f"at byte {failure.position} of a {what} of {size} bytes{others}"
    if failure.cause == Failure.END_OF_FILE:
        return EOFError(f"{transfer.name} ended {place}")
    if failure.cause == Failure.DIFFERENCE:
        return OSError(errno.EIO, f"the file differs from the buffer {place}", transfer.name)
    text = os.strerror(failure.error)
    if failure.error == errno.EFAULT:
        access = "readable" if transfer.write else "writable"
        text = f"buffer must be in {access} memory, got memory that the kernel cannot access"
    return OSError(failure.error, f"{text}, {place}", transfer.name)


def close(library: Any, pointer: int, pending: dict[int, Transfer], process: int) -> None:
    """Complete the transfers of a handle that was dropped, and free it."""
    if process != os.getpid():
        return  # its threads are in the parent
    library.async_io_wait(pointer)
    failures = take_failures(library, pointer)
    if failures:
        logger.error("a handle was dropped before wait(): %s", error_of(pending, failures))
    for number, transfer in pending.items():
        if transfer.buffer.staged and not transfer.write and number not in failures:
            logger.error(
                "a handle was dropped before wait(): what was read from %s is not in the tensor on "
                "%s",
                transfer.name,
                transfer.buffer.tensor.device,
            )
    library.async_io_close(pointer)
