"""Which SoC the NPUs of this process are."""

from __future__ import annotations

import functools

import torch

_FIRST_ASCEND950 = 260  # torch_npu's number


@functools.cache
def _soc_version() -> int:
    import torch_npu  # type: ignore[import-untyped]

    version: int = torch_npu.npu.get_soc_version()
    return version


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def is_ascend950() -> bool:
    """Whether the NPU is an Ascend 950; to be asked only where a tensor is on one."""
    return _soc_version() >= _FIRST_ASCEND950
