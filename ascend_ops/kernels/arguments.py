"""The arguments of a kernel: checked, and packed as its launcher reads them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import torch

from ..dispatch.checks import check_no_gradient, name_of
from .signature import Parameter
from .structures import Structure, check_number

_Tensors = (torch.Tensor, torch.nn.Parameter)


class Arguments:
    """Packs the arguments of one kernel.

    Args:
        kernel: The kernel's name, for messages.
        parameters: Its parameters.
        dtypes: The dtypes of tensors that the source does not declare, by parameter.

    Raises:
        ValueError: ``dtypes`` names a parameter that does not take a tensor.
    """

    def __init__(
        self,
        kernel: str,
        parameters: Sequence[Parameter],
        dtypes: Mapping[str, torch.dtype] | None = None,
    ) -> None:
        self.kernel = kernel
        self.parameters = tuple(parameters)
        pointers = [p.name for p in parameters if p.code == "P"]
        for name in dtypes or {}:
            if name not in pointers:
                raise ValueError(
                    f"arguments must name parameters that take a tensor ({', '.join(pointers)}), "
                    f"got {name!r}"
                )
        layout = "".join(parameter.layout for parameter in parameters)
        widest = max(set(re.findall(r"[a-zA-Z?]", layout)) or "B", key=struct.calcsize)
        self._struct = struct.Struct(f"@{layout}0{widest}")  # padded at the end, as in C++
        self._checks = [_check(parameter, (dtypes or {})) for parameter in parameters]
        self._count = len(self._checks)
        self.size = self._struct.size

    def pack(self, arguments: Sequence[Any]) -> tuple[int, bytes]:
        """Return the index of the device and the packed arguments.

        Raises:
            TypeError: An argument has another type or dtype, or their number differs.
            ValueError: A tensor is not contiguous, or on another device than the first.
        """
        if len(arguments) != self._count:
            self._refuse_count(arguments)
        device = -1
        values: list[Any] = []
        for check, argument in zip(self._checks, arguments, strict=True):
            device = check(argument, values, device)
        if device < 0:
            raise TypeError(f"{self.kernel} must be called with at least one tensor")
        try:
            return device, self._struct.pack(*values)
        except (struct.error, OverflowError):
            for parameter, argument in zip(self.parameters, arguments, strict=True):
                if parameter.code not in ("P", ""):
                    check_number(parameter.name, parameter.code, argument)
            raise

    def _refuse_count(self, arguments: Sequence[Any]) -> NoReturn:
        names = ", ".join(parameter.name for parameter in self.parameters)
        raise TypeError(
            f"{self.kernel} must be called with {len(self.parameters)} arguments ({names}), got "
            f"{len(arguments)}"
        )


# A check gets an argument, the values so far and the device so far, appends and returns the device.
_Check = Callable[[Any, list[Any], int], int]


def _check(parameter: Parameter, dtypes: Mapping[str, torch.dtype]) -> _Check:
    if parameter.code == "P":
        dtype = dtypes.get(parameter.name)
        if dtype is None and parameter.dtype:
            dtype = getattr(torch, parameter.dtype)
        return _pointer_check(parameter, dtype)
    if parameter.structure is not None:
        return _structure_check(parameter.name, parameter.structure)
    return _number_check(parameter)


def _number_check(parameter: Parameter) -> _Check:
    usual = {"?": bool, "f": float, "d": float, "e": float}.get(parameter.code, int)
    code, name = parameter.code, parameter.name

    def check(value: Any, values: list[Any], device: int) -> int:
        if type(value) is not usual:
            check_number(name, code, value)
        values.append(value)
        return device

    return check


def _structure_check(name: str, structure: Structure) -> _Check:
    def check(value: Any, values: list[Any], device: int) -> int:
        values += structure.values(name, value)
        return device

    return check


def _pointer_check(parameter: Parameter, dtype: torch.dtype | None) -> _Check:
    name, structure = parameter.name, parameter.structure

    def check(value: Any, values: list[Any], device: int) -> int:
        if type(value) not in _Tensors and not isinstance(value, torch.Tensor):
            if structure is None or not isinstance(value, Mapping):
                raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
            value = _on_device(structure, name, value, device)
        index: int = value.get_device()
        if index < 0 or (index != device and device >= 0):
            _refuse_device(name, value, device)
        if dtype is not None and value.dtype is not dtype:
            raise TypeError(
                f"{name} must have dtype {name_of(dtype)}, as the kernel declares it, got "
                f"{name_of(value.dtype)}"
            )
        if not value.is_contiguous():
            raise ValueError(f"{name} must be contiguous: pass {name}.contiguous()")
        if value.requires_grad:  # what a kernel writes, autograd does not see
            check_no_gradient(name, value, "torch.no_grad(), or a torch.autograd.Function")
        values.append(value.data_ptr())
        return index

    return check


def _refuse_device(name: str, value: torch.Tensor, device: int) -> NoReturn:
    if value.device.type != "npu":
        raise ValueError(f"{name} must be on an NPU, got a tensor on {value.device}")
    raise ValueError(
        f"{name} must be on npu:{device}, like the first tensor, got a tensor on {value.device}: "
        f"move it with {name}.to('npu:{device}')"
    )


def _on_device(structure: Structure, name: str, value: Any, device: int) -> torch.Tensor:
    """Return the structure as bytes on the device."""
    if device < 0:
        raise ValueError(f"{name} must be given as a tensor, or after a tensor of the kernel")
    packed = struct.pack(f"@{structure.layout()}", *structure.values(name, value))
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8).to(f"npu:{device}")
