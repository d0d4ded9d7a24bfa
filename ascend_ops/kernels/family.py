"""This project's own kernels in Ascend C, loaded at their first call."""

from __future__ import annotations

from functools import cache

import torch

from op_builder.ops.family_kernels import FamilyKernelsBuilder

from ..dispatch.checks import check_dtype, check_no_gradient, name_of
from ..dispatch.loading import load
from .compiled import Kernel
from .signature import signature_of

#: The dtypes that the kernels are compiled for, by their type in Ascend C.
_TYPES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat16_t"}
FLOATING = tuple(_TYPES)


@cache
def family_kernel(builder: type[FamilyKernelsBuilder], name: str, dtype: torch.dtype) -> Kernel:
    """Return a kernel for a dtype, building its family first if it is not cached.

    Raises:
        IncompatibleOpError: CANN was not found, or has no compiler for kernels.
            :meth:`op_builder.builder.OpBuilder.load` lists the other errors.
    """
    signature = signature_of(builder().text(), f"{name}<{_TYPES[dtype]}>")
    launcher = getattr(load(builder), f"launch_{name}_{name_of(dtype)}")
    return Kernel(name, signature, launcher)


def check_input(name: str, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> None:
    """Raise TypeError or ValueError for a tensor that a kernel cannot take.

    Args:
        name: The name of the argument.
        tensor: The argument.
        dtype: The dtype that it must have; fp32, fp16 or bf16 by default.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    check_dtype(name, tensor, FLOATING if dtype is None else (dtype,))
    check_no_gradient(name, tensor)
