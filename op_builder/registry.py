"""All ops: those of this project, listed here, and those that other packages declare.

A package adds its ops with entry points of the group ``ascend_ops.op_builders``::

    [project.entry-points."ascend_ops.op_builders"]
    my_op = "my_package.my_op:MyOpBuilder"

Both lists are explicit, because finding builders by reflection on their names breaks when one is
renamed.
"""

from __future__ import annotations

import logging

from .builder import OpBuilder
from .errors import UnknownOpError
from .ops.acl_runtime import AclRuntimeBuilder
from .ops.aclnn import AclnnBuilder
from .ops.activation import ActivationBuilder
from .ops.async_io import AsyncIOBuilder
from .ops.block_sparse_attention import BlockSparseAttentionBuilder
from .ops.cpu_adagrad import CPUAdagradBuilder
from .ops.cpu_adam import CPUAdamBuilder
from .ops.cpu_lion import CPULionBuilder
from .ops.direct_call import DirectCallBuilder
from .ops.emulator import EMULATOR_LIBRARIES
from .ops.family_kernels import KERNEL_BUILDERS
from .ops.flash_attention import FlashAttentionBuilder
from .ops.fused_optimizers import FusedOptimizersBuilder
from .ops.kernel_queue import KernelQueueBuilder
from .ops.kv_cache import KVCacheBuilder
from .ops.moe import MoeBuilder
from .ops.norm import NormBuilder
from .ops.nsa import NsaBuilder
from .ops.rotary import RotaryBuilder
from .ops.serving_attention import ServingAttentionBuilder

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "ascend_ops.op_builders"

ALL_OPS: tuple[type[OpBuilder], ...] = (
    CPUAdamBuilder,
    CPULionBuilder,
    CPUAdagradBuilder,
    AclnnBuilder,
    NormBuilder,
    RotaryBuilder,
    ActivationBuilder,
    FlashAttentionBuilder,
    BlockSparseAttentionBuilder,
    NsaBuilder,
    FusedOptimizersBuilder,
    ServingAttentionBuilder,
    KVCacheBuilder,
    AclRuntimeBuilder,
    AsyncIOBuilder,
    MoeBuilder,
    KernelQueueBuilder,
    DirectCallBuilder,
    *KERNEL_BUILDERS,
    *EMULATOR_LIBRARIES,
)


def all_builders() -> dict[str, type[OpBuilder]]:
    """Return all builder classes by op name, starting with those of this project.

    An entry point that cannot be imported, is not a builder or reuses a name is skipped with a
    warning.

    Example:
        >>> from op_builder import all_builders
        >>> all_builders()["cpu_adam"].__name__
        'CPUAdamBuilder'
    """
    import importlib.metadata  # takes 8 ms, and loading an op by its class does not need it

    found = {cls.NAME: cls for cls in ALL_OPS}
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            cls = point.load()
        except Exception as error:  # noqa: BLE001 - importing foreign modules may raise anything
            logger.warning("op builder %s (%s) fails to import: %s", point.name, point.value, error)
            continue
        if not (isinstance(cls, type) and issubclass(cls, OpBuilder)):
            logger.warning(
                "op builder %s (%s) is not an OpBuilder subclass", point.name, point.value
            )
        elif not (hasattr(cls, "NAME") and hasattr(cls, "BUILD_VAR")):
            logger.warning("op builder %s (%s) has no NAME or BUILD_VAR", point.name, point.value)
        elif cls.NAME in found:
            logger.warning("op %s of %s is ignored: its name is taken", cls.NAME, point.value)
        else:
            found[cls.NAME] = cls
    return found


def builder_of(op: str) -> OpBuilder:
    """Return the builder of an op.

    Args:
        op: The op's name or the name of its builder class.

    Raises:
        UnknownOpError: No op has this name.

    Example:
        >>> from op_builder import builder_of
        >>> builder_of("CPUAdamBuilder").NAME
        'cpu_adam'
    """
    builders = all_builders()
    for name, cls in builders.items():
        if op in (name, cls.__name__):
            return cls()
    raise UnknownOpError(op, list(builders))
