"""Calls both phases of an aclnn function by name, through ctypes and without torch_npu.

It is for functions that torch_npu calls only with another CANN version or SoC, or not at all.
:func:`check` also compares the outputs.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

#: aclDataType per torch dtype.
_DATA_TYPES = {"float32": 0, "float16": 1, "int8": 2, "int32": 3, "uint8": 4, "int64": 9}
_DATA_TYPES |= {"uint64": 10, "float64": 11, "bool": 12, "complex64": 16, "bfloat16": 27}
_DATA_TYPES |= {"int4": 29, "float8_e5m2": 35, "float8_e4m3fn": 36}
_DATA_TYPES |= {"float8_e8m0": 37, "float4_e2m1": 40}
_FORMAT_ND = 2


@dataclass(frozen=True)
class Scalar:
    """An aclScalar in float32; other numbers are passed by value."""

    value: float


@dataclass(frozen=True)
class Integer:
    """An aclScalar in int64."""

    value: int


@dataclass(frozen=True)
class Float:
    """A C float by value; a Python float is a C double."""

    value: float


@dataclass(frozen=True)
class Int32:
    """A C int32_t by value; a Python int is an int64_t."""

    value: int


@dataclass(frozen=True)
class Ints:
    """An aclIntArray that may be empty; a list of int is one that is not."""

    values: list[int]


@dataclass(frozen=True)
class Stored:
    """A tensor on the NPU that holds the storage of a tensor of ``sizes`` in a format."""

    storage: Any
    sizes: tuple[int, ...]
    format: int
    strides: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Int4:
    """An int4 tensor: contiguous uint8 with two elements in each, the first one in the low bits."""

    packed: Any


@dataclass(frozen=True)
class Bytes:
    """The bytes of a contiguous tensor, in uint8, whose dtype torch_npu does not copy.

    Each byte of float4 holds two elements, the first one in the low bits.
    """

    value: Any
    dtype: str


def call(name: str, *arguments: Any, phase1: str = "GetWorkspaceSize") -> None:
    """Call ``name`` and wait until it is done.

    ``arguments`` are its parameters in order: tensors on the NPU and lists of them, Scalar and
    lists of it, lists of int (an aclIntArray), text, None for a null pointer, and numbers by
    value. Raises RuntimeError with the emulator's message.
    """
    import torch

    library = ctypes.CDLL("libopapi.so")
    handles = [native(library, argument) for argument in arguments]
    size, executor = ctypes.c_uint64(), ctypes.c_void_p()
    prepare = getattr(library, f"{name}{phase1}")
    _check(prepare(*handles, ctypes.byref(size), ctypes.byref(executor)))
    workspace = torch.empty(size.value, dtype=torch.uint8, device="npu")
    address = ctypes.c_void_p(workspace.data_ptr() if size.value else None)
    stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
    _check(getattr(library, name)(address, size, executor, stream))
    torch.npu.synchronize()


def on_npu(value: Any) -> Any:
    """Return tensors, and lists of them, on the NPU; other values unchanged."""
    import torch

    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return [each.npu() for each in value]
    if isinstance(value, Int4):
        return Int4(value.packed.npu())
    if isinstance(value, Bytes):
        return Bytes(value.value.npu(), value.dtype)
    return value.npu() if isinstance(value, torch.Tensor) else value


def check(
    name: str, inputs: list[Any], wanted: list[Any], changed: dict[int, Any] | None = None
) -> None:
    """Call the function with outputs of the expected shapes and other contents, and compare.

    ``wanted`` are the outputs, which follow the inputs; None is a null pointer. ``changed`` are the
    values that inputs have after the call, by their index.
    """
    import torch

    def empty(value: Any) -> Any:
        if isinstance(value, list):
            return [empty(each) for each in value]
        if isinstance(value, Bytes):
            return Bytes(empty(value.value), value.dtype)
        return None if value is None else torch.full_like(value, 77).npu()

    arguments = list(map(on_npu, inputs))
    outputs = [empty(value) for value in wanted]
    call(name, *arguments, *outputs)
    for found, expected in zip(outputs, wanted, strict=True):
        _compare(found, expected)
    for index, expected in (changed or {}).items():
        _compare(arguments[index], expected)


#: Relative and absolute, per dtype. Half precision is computed in fp32 and rounded once.
_TOLERANCES = {"torch.float16": (1e-3, 1e-4), "torch.bfloat16": (8e-3, 1e-3)}


def _compare(found: Any, expected: Any) -> None:
    import torch

    if isinstance(expected, list):
        for each, its_expected in zip(found, expected, strict=True):
            _compare(each, its_expected)
    elif isinstance(expected, Bytes):
        torch.testing.assert_close(found.value.cpu(), expected.value, rtol=0, atol=0)
    elif expected is not None:
        rtol, atol = _TOLERANCES.get(str(expected.dtype), (1e-4, 1e-5))
        torch.testing.assert_close(found.cpu(), expected, rtol=rtol, atol=atol)


def _check(code: int) -> None:
    if code:
        recent = ctypes.CDLL("libascendcl.so").aclGetRecentErrMsg
        recent.restype = ctypes.c_char_p
        raise RuntimeError(f"{code}: {(recent() or b'').decode()}")


def native(library: ctypes.CDLL, argument: Any) -> Any:
    """Return an argument as the C function takes it."""
    import torch

    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, str):
        return ctypes.c_char_p(argument.encode())
    if isinstance(argument, torch.Tensor):
        return _tensor(library, argument)
    if isinstance(argument, Stored):
        return _stored(library, argument)
    if isinstance(argument, Scalar):
        return _made(library.aclCreateScalar, ctypes.byref(ctypes.c_float(argument.value)), 0)
    if isinstance(argument, Integer):
        return _made(library.aclCreateScalar, ctypes.byref(ctypes.c_int64(argument.value)), 9)
    if isinstance(argument, Float):
        return ctypes.c_float(argument.value)
    if isinstance(argument, Int32):
        return ctypes.c_int32(argument.value)
    if isinstance(argument, Ints):
        return _list_of_ints(library, argument.values)
    if isinstance(argument, Int4):
        return _int4_tensor(library, argument.packed)
    if isinstance(argument, Bytes):
        return _bytes(library, argument)
    if isinstance(argument, list):
        return _list(library, argument)
    return {bool: ctypes.c_bool, int: ctypes.c_int64, float: ctypes.c_double}[type(argument)](
        argument
    )


def _list(library: ctypes.CDLL, members: list[Any]) -> ctypes.c_void_p:
    if isinstance(members[0], bool):
        flags = (ctypes.c_bool * len(members))(*members)
        return _made(library.aclCreateBoolArray, flags, ctypes.c_uint64(len(members)))
    if isinstance(members[0], int):
        return _list_of_ints(library, members)
    handles = (ctypes.c_void_p * len(members))(*(native(library, m).value for m in members))
    kind = "Scalar" if isinstance(members[0], Scalar) else "Tensor"
    make = getattr(library, f"aclCreate{kind}List")
    return _made(make, handles, ctypes.c_uint64(len(members)))


def _list_of_ints(library: ctypes.CDLL, values: list[int]) -> ctypes.c_void_p:
    return _made(library.aclCreateIntArray, _integers(values), ctypes.c_uint64(len(values)))


def _tensor(library: ctypes.CDLL, x: Any) -> ctypes.c_void_p:
    data = x.data_ptr() - x.storage_offset() * x.element_size()
    storage = x.untyped_storage().nbytes() // x.element_size()
    dtype = str(x.dtype).removeprefix("torch.")
    return _described(library, dtype, x.shape, x.stride(), x.storage_offset(), storage, data)


def _int4_tensor(library: ctypes.CDLL, packed: Any) -> ctypes.c_void_p:
    sizes = [*packed.shape[:-1], packed.shape[-1] * 2]
    strides = [*(2 * stride for stride in packed.stride()[:-1]), 1]
    return _described(library, "int4", sizes, strides, 0, packed.numel() * 2, packed.data_ptr())


def _bytes(library: ctypes.CDLL, x: Bytes) -> ctypes.c_void_p:
    sizes = list(x.value.shape)
    if x.dtype.startswith("float4"):
        sizes[-1] *= 2
    strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    count = math.prod(sizes)
    return _described(library, x.dtype, sizes, strides, 0, count, x.value.data_ptr())


def _described(
    library: ctypes.CDLL, dtype: str, sizes: Any, strides: Any, offset: int, storage: int, data: int
) -> ctypes.c_void_p:
    return _made(
        library.aclCreateTensor,
        *(_integers(sizes), ctypes.c_uint64(len(sizes)), _DATA_TYPES[dtype], _integers(strides)),
        *(ctypes.c_int64(offset), _FORMAT_ND, _integers([storage]), ctypes.c_uint64(1)),
        ctypes.c_void_p(data),
    )


def _stored(library: ctypes.CDLL, x: Stored) -> ctypes.c_void_p:
    strides = x.strides or [math.prod(x.sizes[i + 1 :]) for i in range(len(x.sizes))]
    storage = x.storage.shape
    data_type = _DATA_TYPES[str(x.storage.dtype).removeprefix("torch.")]
    return _made(
        library.aclCreateTensor,
        *(_integers(x.sizes), ctypes.c_uint64(len(x.sizes)), data_type, _integers(strides)),
        *(ctypes.c_int64(0), x.format, _integers(storage), ctypes.c_uint64(len(storage))),
        ctypes.c_void_p(x.storage.data_ptr()),
    )


def _integers(values: Any) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _made(make: Any, *arguments: Any) -> ctypes.c_void_p:
    make.restype = ctypes.c_void_p
    return ctypes.c_void_p(make(*arguments))
