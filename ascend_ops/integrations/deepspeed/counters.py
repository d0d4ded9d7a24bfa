"""How often DeepSpeed has called each function of these ops, as proof that it uses them."""

from __future__ import annotations

import functools
import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_calls: Counter[str] = Counter()
_lock = threading.Lock()
# A child that is forked while another thread counts would wait for that thread forever.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


def calls() -> dict[str, int]:
    """Return how often this process has called each function, by ``<op>.<function>``.

    Functions that have not been called are missing.

    Example:
        >>> from ascend_ops.integrations import deepspeed
        >>> deepspeed.calls()  # before the first step of a DeepSpeedCPUAdam
        {}
    """
    with _lock:
        return dict(_calls)


def reset_calls() -> None:
    """Forget all calls.

    Example:
        >>> from ascend_ops.integrations import deepspeed
        >>> deepspeed.reset_calls()
    """
    with _lock:
        _calls.clear()


def count(name: str) -> None:
    """Count one call of ``name``, which is ``<op>.<function>``."""
    with _lock:
        _calls[name] += 1


def counted(name: str, function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return ``function``, counted as ``name``.

    The result does not use this module's globals: DeepSpeed calls ``destroy_adam`` when the
    interpreter exits, when they may be gone.
    """
    counts, lock = _calls, _lock

    def call(*args: _P.args, **options: _P.kwargs) -> _R:
        with lock:
            counts[name] += 1
        return function(*args, **options)

    functools.update_wrapper(call, function, ("__doc__",), ())
    call.__name__ = call.__qualname__ = name.rpartition(".")[2]
    return call
