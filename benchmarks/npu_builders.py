"""Which builders a machine with an NPU needs."""

from __future__ import annotations

from op_builder.builder import OpBuilder
from op_builder.ops.acl_runtime import AclRuntimeBuilder
from op_builder.ops.aclnn import AclnnBuilder
from op_builder.ops.npu_family import NPUFamilyBuilder

_KINDS = (AclnnBuilder, AclRuntimeBuilder, NPUFamilyBuilder)


def is_npu_op(cls: type[OpBuilder]) -> bool:
    """Return whether an op is built against CANN and torch_npu."""
    return issubclass(cls, _KINDS)
