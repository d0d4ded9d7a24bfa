"""Which interfaces of the kernel can be used here, and why others cannot."""

from __future__ import annotations

import errno
import logging
import os
from functools import cache

from op_builder import envs
from op_builder.errors import AscendOpsError

logger = logging.getLogger(__name__)

#: In the order in which they are tried, with their numbers in the library.
NUMBERS = {"io_uring": 0, "libaio": 1, "threads": 2}
AUTO = "auto"

_REASONS = {
    ("io_uring", errno.ENOSYS): "the kernel lacks io_uring (Linux 5.1 or newer, CONFIG_IO_URING)",
    ("io_uring", errno.EPERM): "it is forbidden by a seccomp profile, as Docker's default, or by "
    "the sysctl kernel.io_uring_disabled",
    ("io_uring", errno.ENOMEM): "the limit of locked memory is too low: raise it with `ulimit -l`",
    ("libaio", errno.ENOSYS): "the kernel lacks AIO (CONFIG_AIO)",
    ("libaio", errno.EPERM): "it is forbidden by a seccomp profile",
    ("libaio", errno.EAGAIN): "the requests of all processes exceed the sysctl fs.aio-max-nr: raise"
    " it, or use a smaller queue_depth",
}


class BackendUnavailableError(AscendOpsError, RuntimeError):
    """The kernel refuses the requested way to read and write files.

    Example:
        >>> from ascend_ops import async_io
        >>> issubclass(async_io.BackendUnavailableError, RuntimeError)
        True
    """


def available_backends(queue_depth: int = 128) -> dict[str, str]:
    """Return each backend, in the order in which they are tried, and why it cannot be used.

    Args:
        queue_depth: how many blocks are in flight at most.

    Returns:
        The reason by the name of the backend; an empty reason if it can be used.

    Example:
        >>> from ascend_ops import async_io
        >>> async_io.available_backends()["threads"]
        ''
    """
    return {name: _reason(name, queue_depth) for name in NUMBERS}


def choose(requested: str | None, queue_depth: int) -> str:
    """Return the backend to use: the requested one, that of ASCEND_OPS_ASYNC_IO, or the best."""
    name = envs.ASYNC_IO.get() if requested is None else requested
    if name != AUTO and name not in NUMBERS:
        raise ValueError(f"backend must be auto or one of {', '.join(NUMBERS)}, got {name!r}")
    if name != AUTO:
        reason = _reason(name, queue_depth)
        if reason:
            raise BackendUnavailableError(
                f"backend {name!r} cannot be used: {reason}. Use backend='auto', or set "
                "ASCEND_OPS_ASYNC_IO=auto"
            )
        return name
    for name in NUMBERS:
        reason = _reason(name, queue_depth)
        if not reason:
            return name
        _log_once(name, reason)
    raise AssertionError("threads can always be used")


def explain(name: str, error: int) -> str:
    """Return the reason behind the errno with which a backend could not be set up."""
    text = _REASONS.get((name, error))
    return f"{os.strerror(error)}: {text}" if text else os.strerror(error)


def _reason(name: str, queue_depth: int) -> str:
    from .native import native

    error = native().async_io_try(NUMBERS[name], queue_depth)
    return explain(name, error) if error else ""


@cache
def _log_once(name: str, reason: str) -> None:
    logger.warning("ascend_ops.async_io does not use %s: %s", name, reason)
