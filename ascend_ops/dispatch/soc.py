"""The SoC of this process's NPUs, as the kernels of a family report it."""

from __future__ import annotations

import torch

from op_builder.builder import OpBuilder

from .npu_op import family_of


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def is_ascend950(builder: type[OpBuilder]) -> bool:
    """Return whether a family's kernels run on an Ascend 950, loading them first if necessary."""
    return family_of(builder).is_ascend950()
