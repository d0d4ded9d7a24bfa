"""Calls of optimizer steps past torch's dispatcher, for lists of many tensors.

For a thousand small tensors the dispatcher takes several times as long as the arithmetic, since it
makes two objects for each of them. ``csrc/cpu/python_arguments.h`` reads Python's lists instead, by
the function that torch exports for it in its DLPack exchange table.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import torch

#: For fewer tensors the dispatcher is as fast.
_FEWEST = 16
_TABLE_VERSION = 1
_DONE = 0
_PLAIN = frozenset((torch.Tensor, torch.nn.Parameter))


class _Table(ctypes.Structure):
    """DLPack's ``DLPackExchangeAPI``, up to what is used here."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("previous", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("from_object", ctypes.c_void_p),
        ("to_object", ctypes.c_void_p),
        ("describe", ctypes.c_void_p),
    )


class _Call(ctypes.Structure):
    """``PythonCall`` in ``csrc/cpu/python_arguments.h``."""

    _fields_ = (
        ("describe", ctypes.c_void_p),
        ("lists", ctypes.py_object),
        ("numbers", ctypes.POINTER(ctypes.c_double)),
        ("number_count", ctypes.c_int64),
        ("check_only", ctypes.c_int32),
    )


def run_step(
    library: Any, op: str, arguments: tuple[Any, ...], *, check_only: bool = False
) -> None:
    """Call ``<op>_step`` or, with ``check_only``, ``<op>_check``.

    Raises:
        RuntimeError: an argument cannot be used. Nothing has been changed.
    """
    if len(arguments[0]) < _FEWEST or not _past_dispatcher(library, op, arguments, check_only):
        getattr(library, f"{op}_check" if check_only else f"{op}_step")(*arguments)


def _past_dispatcher(library: Any, op: str, arguments: tuple[Any, ...], check_only: bool) -> bool:
    """Return whether the call was made; if not, nothing has been changed."""
    describe = _describe()
    if describe is None or _is_observed():
        return False
    lists = [list(value) for value in arguments if isinstance(value, list)]
    if not all(_PLAIN.issuperset(map(type, tensors)) for tensors in lists):
        return False
    numbers = [value for value in arguments if not isinstance(value, list)]
    array = (ctypes.c_double * len(numbers))(*numbers)
    call = _Call(describe, lists, array, len(numbers), check_only)
    return _function(library, op)(ctypes.byref(call)) == _DONE


def _is_observed() -> bool:
    """Return whether something wants to see or change the calls of ops."""
    return (
        torch._C._len_torch_dispatch_stack() > 0
        or torch._C._len_torch_function_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._autograd._profiler_enabled()
    )


@functools.cache
def _describe() -> int | None:
    """Return the address of the function that describes a tensor; None if this torch has none."""
    capsule = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)
    if capsule is None:
        return None
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype = ctypes.POINTER(_Table)
    pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
    table = pointer_of(capsule, b"dlpack_exchange_api").contents
    return table.describe if table.major == _TABLE_VERSION else None


@functools.cache
def _function(library: Any, op: str) -> Callable[[Any], int]:
    """Return the step as a function that keeps Python's lock and raises Python's errors."""
    address = getattr(library, f"{op}_step_address")()
    return ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.POINTER(_Call))(address)
