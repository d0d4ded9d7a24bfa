"""TORCH_LIBRARY with headers that include Python's: a call of an aclnn function on the NPU.

This is the form of the extensions in op-plugin's examples, which include ``torch/extension.h`` or
``npu_cpp_extension.h``. torch_npu's wheel exports what EXEC_NPU_CMD_EXT calls; the macro
EXEC_NPU_CMD of ``op_plugin/utils/op_api_common.h`` also compiles, but torch_npu 2.13 hides some of
its functions, for example ``calc_hash_id``, so that a library with it cannot be loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from op_builder import NPUOpBuilder

if TYPE_CHECKING:
    import torch


class ScaledAddBuilder(NPUOpBuilder):
    """``load()`` returns a module with the functions of ``torch.ops.example_scaled_add``."""

    NAME = "scaled_add"
    BUILD_VAR = "DS_BUILD_SCALED_ADD"
    BINDING = "torch_extension"
    NAMESPACE = "example_scaled_add"  # as in TORCH_LIBRARY

    def sources(self) -> list[str]:
        return ["scaled_add.cpp"]

    def cxx_args(self) -> list[str]:
        return ["-O1"]  # the code only passes arguments on


def scaled_add(self: torch.Tensor, other: torch.Tensor, alpha: float = 1) -> torch.Tensor:
    """Return ``self + alpha * other`` for NPU tensors of equal shape.

    Example:
        >>> import torch, torch_npu  # doctest: +SKIP
        >>> scaled_add(torch.ones(2).npu(), torch.ones(2).npu(), alpha=3)  # doctest: +SKIP
        tensor([4., 4.], device='npu:0')
    """
    result: torch.Tensor = ScaledAddBuilder().load().scaled_add(self, other, alpha)
    return result
