"""The functions of ZenFlow, which DeepSpeed calls with ``overlap_step``: AdamW in another process.

The training process shares its parameters and gradients with a second process, which updates them
while the next batch is computed. A block of shared memory has the hyperparameters of a step and two
semaphores: one is posted when a step may begin, the other when it is done.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

Tensor = torch.Tensor

#: The largest number of groups of parameters; in ZeRO stage 3 each sub-group is one.
MAX_GROUPS = 4096
_STEP, _EXIT = 1, 2
_MAGIC = 0x5A464C57
#: How often the second process finds out whether the training process still lives.
_POLL_SECONDS = 5.0


class _Semaphore(ctypes.Structure):
    _fields_ = (("opaque", ctypes.c_uint64 * 4),)  # sem_t of glibc has 32 bytes


class _Hyperparameters(ctypes.Structure):
    _fields_ = (
        ("lr", ctypes.c_double),
        ("beta1", ctypes.c_double),
        ("beta2", ctypes.c_double),
        ("eps", ctypes.c_double),
        ("weight_decay", ctypes.c_double),
        ("bias_correction", ctypes.c_int64),
    )


class _Control(ctypes.Structure):
    _fields_ = (
        ("ready", _Semaphore),
        ("done", _Semaphore),
        ("magic", ctypes.c_int64),
        ("command", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("state", ctypes.c_int64),
        ("step", ctypes.c_int64),
        ("of_groups", _Hyperparameters * MAX_GROUPS),
    )


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Group(NamedTuple):
    """A group of parameters with two gradients and two states, of which each step uses one."""

    param: Tensor
    grads: tuple[Tensor, Tensor]
    exp_avgs: tuple[Tensor, Tensor]
    exp_avg_sqs: tuple[Tensor, Tensor]
    stale: Tensor


class OverlappedAdam:
    """The groups of the second process, and the steps it makes.

    Args:
        optimizer_id: the id that ``create_adam`` got.
        adam_update: the function of the op ``cpu_adam``.
    """

    def __init__(self, optimizer_id: int, adam_update: Callable[..., Any]) -> None:
        self._optimizer_id = optimizer_id
        self._adam_update = adam_update
        self.groups: list[_Group] = []

    def run(self, address: int) -> None:
        """Make the steps that are submitted, until exit is or the parent process is gone."""
        control = _control(address)
        parent = os.getppid()
        while True:
            if not _wait(control.ready, _POLL_SECONDS):
                if os.getppid() != parent:
                    return
                continue
            if control.command == _EXIT:
                return
            self._step(control)
            _post(control.done)

    def _step(self, control: _Control) -> None:
        if control.groups != len(self.groups):
            raise ValueError(
                f"each registered group must have hyperparameters, got {control.groups} of them "
                f"for {len(self.groups)} groups"
            )
        now = control.state
        for group, values in zip(self.groups, control.of_groups, strict=False):
            self._adam_update(
                self._optimizer_id,
                control.step,
                values.lr,
                values.beta1,
                values.beta2,
                values.eps,
                values.weight_decay,
                bool(values.bias_correction),
                group.param,
                group.grads[now],
                group.exp_avgs[now],
                group.exp_avg_sqs[now],
            )
            group.stale.copy_(group.param)


_handles = itertools.count()
_adams: dict[int, OverlappedAdam] = {}


def functions(adam_update: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return the functions that DeepSpeed looks up in the module ``cpu_adam``."""

    def create(optimizer_id: int, affinity: Sequence[int]) -> int:  # noqa: ARG001
        """Return a handle. The process has the affinity already, and its threads inherit it."""
        handle = next(_handles)
        _adams[handle] = OverlappedAdam(optimizer_id, adam_update)
        return handle

    return {
        "zenflow_adam_create": create,
        "zenflow_adam_register_group": _register_group,
        "zenflow_adam_run_worker": lambda handle, address: _adams[handle].run(address),
        "zenflow_adam_destroy": lambda handle: _adams.pop(handle, None),
        "zenflow_adam_ctrl_size": lambda: ctypes.sizeof(_Control),
        "zenflow_adam_ctrl_init": _initialize,
        "zenflow_adam_ctrl_exit": _submit_exit,
        "zenflow_adam_submit": _submit,
        "zenflow_adam_wait": lambda address, seconds: _wait(_control(address).done, seconds),
    }


def _register_group(
    handle: int,
    param: Tensor,
    grad0: Tensor,
    grad1: Tensor,
    exp_avg0: Tensor,
    exp_avg1: Tensor,
    exp_avg_sq0: Tensor,
    exp_avg_sq1: Tensor,
    stale: Tensor,
) -> None:
    group = _Group(param, (grad0, grad1), (exp_avg0, exp_avg1), (exp_avg_sq0, exp_avg_sq1), stale)
    _adams[handle].groups.append(group)


def _initialize(address: int, groups: int) -> None:
    _check_groups(groups)
    control = _Control.from_address(address)
    for semaphore in (control.ready, control.done):
        _call("sem_init", ctypes.byref(semaphore), 1, 0)  # 1: other processes use it too
    control.magic = _MAGIC


def _submit(  # the arguments are those of DeepSpeed
    address: int,
    state: int,
    step: int,
    lr: Sequence[float],
    beta1: Sequence[float],
    beta2: Sequence[float],
    eps: Sequence[float],
    weight_decay: Sequence[float],
    bias_correction: Sequence[int],
) -> None:
    _check_groups(len(lr))
    control = _control(address)
    for index, values in enumerate(
        zip(lr, beta1, beta2, eps, weight_decay, bias_correction, strict=True)
    ):
        control.of_groups[index] = values
    control.groups, control.state, control.step = len(lr), state, step
    control.command = _STEP
    _post(control.ready)


def _submit_exit(address: int) -> None:
    control = _control(address)
    control.command = _EXIT
    _post(control.ready)


def _check_groups(count: int) -> None:
    if count > MAX_GROUPS:
        raise ValueError(
            f"overlap_step supports at most {MAX_GROUPS} groups of parameters, got {count}; a "
            "larger sub_group_size of ZeRO stage 3 makes fewer"
        )


def _control(address: int) -> _Control:
    """Return the block in shared memory, which another process's builder may have made."""
    magic = ctypes.c_int64.from_address(address + _Control.magic.offset).value
    if magic != _MAGIC:
        raise RuntimeError(
            "the training process of ZenFlow has DeepSpeed's own cpu_adam and this one that of "
            "ascend_ops: activate ascend_ops in both, or set ASCEND_OPS_DEEPSPEED=0"
        )
    return _Control.from_address(address)


def _post(semaphore: _Semaphore) -> None:
    _call("sem_post", ctypes.byref(semaphore))


def _wait(semaphore: _Semaphore, seconds: float) -> bool:
    """Return whether the semaphore was posted within ``seconds``, and take it if it was."""
    whole, rest = divmod(time.time() + seconds, 1)
    deadline = _Time(int(whole), int(rest * 1e9))
    while True:
        try:
            _call("sem_timedwait", ctypes.byref(semaphore), ctypes.byref(deadline))
        except InterruptedError:  # a signal, whose handler has run; wait on
            continue
        except TimeoutError:
            return False
        return True


def _call(name: str, *arguments: Any) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
