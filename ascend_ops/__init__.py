"""Fused C++ ops for training and serving on Huawei Ascend NPUs and their hosts.

``import ascend_ops`` starts no process, creates no folder and does not import torch. Its names are
imported when they are first used; an op is built, or loaded from the cache, at its first call.

In import order:

    _op_builder_finder          import hooks that _own_op_builder installs if necessary
    _own_op_builder             this project's op_builder, whatever is first on sys.path
    dispatch                    NPU ops: registration with torch, loading, argument checks
    acl                         AscendCL: devices, streams, events, pinned memory, copies
    npu                         whether there is an NPU, its memory, streams and events
    async_io                    tensors in files, on io_uring or the kernel's AIO
    cpu_optimizers              optimizers for parameters in host memory
    fused_optimizers            optimizers that update a whole parameter group per call
    norm, rotary, activation    layer norm, RMS norm, rotary embedding, SwiGLU, GELU
    moe                         grouped matmul, feed-forward networks, gating
    kernels                     device kernels in Ascend C from source text
    attention                   attention for training
    sparse_attention            block-sparse attention, native sparse attention
    serving                     attention with a key/value cache
    integrations                DeepSpeed, Transformers, Diffusers and others on these ops
    emulator                    torch_npu on a machine that has no NPU
    doctor                      what is wrong with a machine's setup, and what mends it
    cli, __main__               the program ``ascend-ops``, also as ``python -m ascend_ops``
"""

from __future__ import annotations

import importlib

from ._own_op_builder import import_own

__version__: str = import_own().__version__

# The public names, by the module that defines them. `__init__.pyi` lists them for type checkers.
_EXPORTS = {
    ".activation.gelu": ("gelu",),
    ".activation.swiglu": ("swiglu",),
    ".attention.flash": ("flash_attention",),
    ".attention.varlen": ("flash_attention_varlen",),
    ".cpu_optimizers.adagrad": ("CPUAdagrad",),
    ".cpu_optimizers.adam": ("CPUAdam",),
    ".cpu_optimizers.lion": ("CPULion",),
    ".fused_optimizers.adamw": ("FusedAdamW",),
    ".fused_optimizers.functional": ("fused_adamw_", "fused_lamb_", "fused_lion_"),
    ".fused_optimizers.lamb": ("FusedLamb",),
    ".fused_optimizers.lion": ("FusedLion",),
    ".kernels.compiled": ("compile_kernel",),
    ".kernels.jit": ("KernelConfig", "jit_kernel"),
    ".kernels.tuning": ("autotune",),
    ".moe.ffn": ("ffn",),
    ".moe.grouped_matmul": ("grouped_matmul",),
    ".moe.moe_gating_topk": ("moe_gating_topk",),
    ".norm.add_rms_norm": ("add_rms_norm",),
    ".norm.layer_norm": ("layer_norm",),
    ".norm.rms_norm": ("rms_norm",),
    ".rotary.apply_rotary_pos_emb": ("apply_rotary_pos_emb_",),
    ".rotary.rotary_embedding": ("rotary_embedding",),
    ".serving.incre": ("incre_flash_attention",),
    ".serving.kv_cache": ("kv_cache_gather", "kv_cache_scatter"),
    ".serving.paged": ("paged_attention",),
    ".serving.prompt": ("prompt_flash_attention",),
    ".sparse_attention.block_sparse": ("block_sparse_attention",),
    ".sparse_attention.nsa_compress": ("nsa_compress",),
    ".sparse_attention.nsa_compress_attention": ("nsa_compress_attention",),
    ".sparse_attention.nsa_select_attention": ("nsa_select_attention",),
    ".sparse_attention.nsa_window_attention": ("nsa_window_attention",),
}
_SUBMODULES = ("acl", "npu")

_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted(("__version__", *_SUBMODULES, *_MODULE_OF))  # noqa: PLE0605 - it is a list


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
