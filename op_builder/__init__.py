"""From a builder class to a loaded module.

Importing it starts no process, makes no folder and imports no torch. In import order:

    version                     one number
    errors, envs                what fails and how it is reported; environment variables
    system                      processes, private folders, file identities, memos
    toolchain                   compiler, Python, torch, job count
    cann                        the CANN install and which torch_npu it goes with
    recipe                      what is built, as text: spec, bindings, ninja file
    cache                       keys, entries, layers, lock
    jit                         plan, find or build, compile, publish, load
    op_extension                an op as setuptools sees it
    builder, cpu, npu           the classes that an op derives from
    ops, registry               this project's ops, and everybody's
    setuptools_command          ahead-of-time builds
    report                      op states, versions and places; compile commands
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .builder import OpBuilder
    from .cpu import CPUOpBuilder
    from .errors import AscendOpsError
    from .npu import NPUOpBuilder
    from .ops.acl_runtime import AclRuntimeBuilder
    from .ops.aclnn import AclnnBuilder
    from .ops.activation import ActivationBuilder
    from .ops.block_sparse_attention import BlockSparseAttentionBuilder
    from .ops.cpu_adagrad import CPUAdagradBuilder
    from .ops.cpu_adam import CPUAdamBuilder
    from .ops.cpu_lion import CPULionBuilder
    from .ops.flash_attention import FlashAttentionBuilder
    from .ops.fused_optimizers import FusedOptimizersBuilder
    from .ops.kv_cache import KVCacheBuilder
    from .ops.moe import MoeBuilder
    from .ops.norm import NormBuilder
    from .ops.nsa import NsaBuilder
    from .ops.rotary import RotaryBuilder
    from .ops.serving_attention import ServingAttentionBuilder
    from .registry import ALL_OPS, all_builders, builder_of

__all__ = [
    "ALL_OPS",
    "AclRuntimeBuilder",
    "AclnnBuilder",
    "ActivationBuilder",
    "AscendOpsError",
    "BlockSparseAttentionBuilder",
    "CPUAdagradBuilder",
    "CPUAdamBuilder",
    "CPULionBuilder",
    "CPUOpBuilder",
    "FlashAttentionBuilder",
    "FusedOptimizersBuilder",
    "KVCacheBuilder",
    "MoeBuilder",
    "NPUOpBuilder",
    "NormBuilder",
    "NsaBuilder",
    "OpBuilder",
    "RotaryBuilder",
    "ServingAttentionBuilder",
    "__version__",
    "all_builders",
    "builder_of",
]

_HOME = {
    "ALL_OPS": ".registry",
    "AclnnBuilder": ".ops.aclnn",
    "AclRuntimeBuilder": ".ops.acl_runtime",
    "ActivationBuilder": ".ops.activation",
    "AscendOpsError": ".errors",
    "BlockSparseAttentionBuilder": ".ops.block_sparse_attention",
    "CPUAdagradBuilder": ".ops.cpu_adagrad",
    "CPUAdamBuilder": ".ops.cpu_adam",
    "CPULionBuilder": ".ops.cpu_lion",
    "CPUOpBuilder": ".cpu",
    "KVCacheBuilder": ".ops.kv_cache",
    "MoeBuilder": ".ops.moe",
    "NPUOpBuilder": ".npu",
    "FlashAttentionBuilder": ".ops.flash_attention",
    "FusedOptimizersBuilder": ".ops.fused_optimizers",
    "NormBuilder": ".ops.norm",
    "NsaBuilder": ".ops.nsa",
    "OpBuilder": ".builder",
    "RotaryBuilder": ".ops.rotary",
    "ServingAttentionBuilder": ".ops.serving_attention",
    "all_builders": ".registry",
    "builder_of": ".registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value
