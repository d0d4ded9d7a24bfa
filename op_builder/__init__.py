"""Build, cache and load C++ ops: from a builder class to a loaded module.

``import op_builder`` starts no process, creates no folder and does not import torch.

In import order:

    version                     the project's version
    lazy_dataclass              dataclasses whose import takes no time
    errors, env_values, envs    the errors it raises; the environment variables it reads
    system                      processes, private folders, file identities, memos
    toolchain                   compiler, Python, torch, job count
    cann                        the CANN install, and which torch_npu it goes with
    recipe                      what is built, as text: spec, bindings, ninja file
    cache                       keys, entries, layers, lock
    remote                      a remote layer of the cache: signatures, download, push, what it has
    jit                         plan, find or build, compile, publish, load
    op_extension                an op as setuptools sees it
    builder, cpu, npu           the base classes of ops
    ascend_c                    the base class of ops with kernels in Ascend C
    cross                       ahead-of-time builds for another CPU
    ops, registry               the ops of this project; those of all packages
    setuptools_command          ahead-of-time builds
    report                      op states, versions, cache locations; compile commands
"""

from __future__ import annotations

import importlib

# The public names, by the module that defines them. `__init__.pyi` lists them for type checkers.
_EXPORTS = {
    ".ascend_c": ("AscendCOpBuilder",),
    ".builder": ("OpBuilder",),
    ".cpu": ("CPUOpBuilder",),
    ".errors": ("AscendOpsError",),
    ".npu": ("NPUOpBuilder",),
    ".ops.acl_runtime": ("AclRuntimeBuilder",),
    ".ops.aclnn": ("AclnnBuilder",),
    ".ops.activation": ("ActivationBuilder",),
    ".ops.async_io": ("AsyncIOBuilder",),
    ".ops.block_sparse_attention": ("BlockSparseAttentionBuilder",),
    ".ops.cpu_adagrad": ("CPUAdagradBuilder",),
    ".ops.cpu_adam": ("CPUAdamBuilder",),
    ".ops.cpu_lion": ("CPULionBuilder",),
    ".ops.direct_call": ("DirectCallBuilder",),
    ".ops.flash_attention": ("FlashAttentionBuilder",),
    ".ops.fused_optimizers": ("FusedOptimizersBuilder",),
    ".ops.kernel_queue": ("KernelQueueBuilder",),
    ".ops.kv_cache": ("KVCacheBuilder",),
    ".ops.moe": ("MoeBuilder",),
    ".ops.norm": ("NormBuilder",),
    ".ops.nsa": ("NsaBuilder",),
    ".ops.rotary": ("RotaryBuilder",),
    ".ops.serving_attention": ("ServingAttentionBuilder",),
    ".registry": ("ALL_OPS", "all_builders", "builder_of"),
}

_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}
_MODULE_OF["__version__"] = ".version"
__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - it is a list


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
