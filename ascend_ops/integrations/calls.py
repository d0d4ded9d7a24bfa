"""Counts of the ops that an integration called, and of the calls that fell back."""

from __future__ import annotations

import functools
import logging
import threading
from collections import Counter
from typing import NamedTuple

import torch

from op_builder.builder import OpBuilder

from ..dispatch.npu_op import family_of


class Calls(NamedTuple):
    """What an integration called since the start of the process or the last reset.

    Attributes:
        ran: calls per op that the NPU's aclnn functions computed.
        functions: the same calls per aclnn function.
        fell_back: calls that something else computed, per op and reason, as ``"op: reason"``.
    """

    ran: dict[str, int]
    functions: dict[str, int]
    fell_back: dict[str, int]


class CallCounter:
    """Counts the calls of one integration; may be used by several threads.

    Args:
        logger: warns once about each op that falls back and each reason.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._ran: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()
        self._fell_back: Counter[str] = Counter()
        self._warned: set[str] = set()

    def call(self, op: str, builder: type[OpBuilder], tensor: torch.Tensor) -> None:
        """Count one call of the op ``builder`` builds, with ``tensor`` among its arguments.

        Calls that torch.compile traces are not counted, because the compiled code repeats them.
        """
        if torch.compiler.is_compiling():
            return
        if tensor.device.type != "npu":
            self.fall_back(op, f"the tensors are on {tensor.device.type}, not on an NPU")
            return
        function, reason = _implementation(op, builder)  # type: ignore[arg-type]
        if not function:
            self.fall_back(op, reason)
            return
        with self._lock:
            self._ran[op] += 1
            self._functions[function] += 1

    def fall_back(self, op: str, reason: str) -> None:
        """Count a call of ``op`` that something else computes, and warn at the first one."""
        if torch.compiler.is_compiling():
            return
        key = f"{op}: {reason}"
        with self._lock:
            self._fell_back[key] += 1
            is_new = key not in self._warned
            self._warned.add(key)
        if is_new:
            self._logger.warning("ascend_ops.%s is not computed by aclnn: %s", op, reason)

    def calls(self) -> Calls:
        """Return a copy of the counts."""
        with self._lock:
            return Calls(dict(self._ran), dict(self._functions), dict(self._fell_back))

    def reset(self) -> None:
        """Set all counts to 0."""
        with self._lock:
            for counts in (self._ran, self._functions, self._fell_back):
                counts.clear()


@functools.cache
def _implementation(op: str, builder: type[OpBuilder]) -> tuple[str, str]:
    """Return the op's aclnn function and, if it is empty, why; builds the op if necessary."""
    for found in family_of(builder).load():
        if found.op == op:
            return found.function, found.reason
    raise ValueError(f"op must be one of {builder.NAME}'s, got {op!r}")
