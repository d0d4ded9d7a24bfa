"""Fused C++ ops for training and serving on Huawei Ascend NPUs and their hosts.

Importing it starts no process, makes no folder and imports no torch: everything below is imported
when it is first asked for, and an op is built, or taken from the cache, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from op_builder.version import __version__

if TYPE_CHECKING:
    from . import acl
    from .activation.swiglu import gelu, swiglu
    from .attention.flash import flash_attention
    from .attention.varlen import flash_attention_varlen
    from .cpu_optimizers.adagrad import CPUAdagrad
    from .cpu_optimizers.adam import CPUAdam
    from .cpu_optimizers.lion import CPULion
    from .fused_optimizers.adamw import FusedAdamW
    from .fused_optimizers.lamb import FusedLamb
    from .fused_optimizers.lion import FusedLion
    from .moe.feed_forward import ffn
    from .moe.gating import moe_gating_topk
    from .moe.grouped import grouped_matmul
    from .norm.layer import layer_norm
    from .norm.rms import add_rms_norm, rms_norm
    from .rotary.apply import apply_rotary_pos_emb_, rotary_embedding
    from .serving.incre import incre_flash_attention
    from .serving.kv_cache import kv_cache_gather, kv_cache_scatter
    from .serving.paged import paged_attention
    from .serving.prompt import prompt_flash_attention
    from .sparse_attention.block_sparse import block_sparse_attention
    from .sparse_attention.nsa_attention import nsa_compress_attention
    from .sparse_attention.nsa_compress import nsa_compress
    from .sparse_attention.nsa_select import nsa_select_attention, nsa_window_attention

_HOME = {
    "CPUAdagrad": ".cpu_optimizers.adagrad",
    "CPUAdam": ".cpu_optimizers.adam",
    "CPULion": ".cpu_optimizers.lion",
    "FusedAdamW": ".fused_optimizers.adamw",
    "FusedLamb": ".fused_optimizers.lamb",
    "FusedLion": ".fused_optimizers.lion",
    "add_rms_norm": ".norm.rms",
    "apply_rotary_pos_emb_": ".rotary.apply",
    "block_sparse_attention": ".sparse_attention.block_sparse",
    "ffn": ".moe.feed_forward",
    "grouped_matmul": ".moe.grouped",
    "moe_gating_topk": ".moe.gating",
    "flash_attention": ".attention.flash",
    "flash_attention_varlen": ".attention.varlen",
    "gelu": ".activation.swiglu",
    "incre_flash_attention": ".serving.incre",
    "kv_cache_gather": ".serving.kv_cache",
    "kv_cache_scatter": ".serving.kv_cache",
    "layer_norm": ".norm.layer",
    "nsa_compress": ".sparse_attention.nsa_compress",
    "nsa_compress_attention": ".sparse_attention.nsa_attention",
    "nsa_select_attention": ".sparse_attention.nsa_select",
    "nsa_window_attention": ".sparse_attention.nsa_select",
    "paged_attention": ".serving.paged",
    "prompt_flash_attention": ".serving.prompt",
    "rms_norm": ".norm.rms",
    "rotary_embedding": ".rotary.apply",
    "swiglu": ".activation.swiglu",
}

__all__ = [
    "CPUAdagrad",
    "CPUAdam",
    "CPULion",
    "FusedAdamW",
    "FusedLamb",
    "FusedLion",
    "__version__",
    "acl",
    "add_rms_norm",
    "apply_rotary_pos_emb_",
    "block_sparse_attention",
    "ffn",
    "flash_attention",
    "flash_attention_varlen",
    "gelu",
    "grouped_matmul",
    "incre_flash_attention",
    "kv_cache_gather",
    "kv_cache_scatter",
    "layer_norm",
    "moe_gating_topk",
    "nsa_compress",
    "nsa_compress_attention",
    "nsa_select_attention",
    "nsa_window_attention",
    "paged_attention",
    "prompt_flash_attention",
    "rms_norm",
    "rotary_embedding",
    "swiglu",
]


_MODULES = ("acl",)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
