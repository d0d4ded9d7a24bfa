from op_builder.version import __version__

from . import acl, npu
from .activation.gelu import gelu
from .activation.swiglu import swiglu
from .attention.flash import flash_attention
from .attention.varlen import flash_attention_varlen
from .cpu_optimizers.adagrad import CPUAdagrad
from .cpu_optimizers.adam import CPUAdam
from .cpu_optimizers.lion import CPULion
from .fused_optimizers.adamw import FusedAdamW
from .fused_optimizers.functional import fused_adamw_, fused_lamb_, fused_lion_
from .fused_optimizers.lamb import FusedLamb
from .fused_optimizers.lion import FusedLion
from .kernels.compiled import compile_kernel
from .kernels.jit import KernelConfig, jit_kernel
from .kernels.tuning import autotune
from .moe.ffn import ffn
from .moe.grouped_matmul import grouped_matmul
from .moe.moe_gating_topk import moe_gating_topk
from .norm.add_rms_norm import add_rms_norm
from .norm.layer_norm import layer_norm
from .norm.rms_norm import rms_norm
from .rotary.apply_rotary_pos_emb import apply_rotary_pos_emb_
from .rotary.rotary_embedding import rotary_embedding
from .serving.incre import incre_flash_attention
from .serving.kv_cache import kv_cache_gather, kv_cache_scatter
from .serving.paged import paged_attention
from .serving.prompt import prompt_flash_attention
from .sparse_attention.block_sparse import block_sparse_attention
from .sparse_attention.nsa_compress import nsa_compress
from .sparse_attention.nsa_compress_attention import nsa_compress_attention
from .sparse_attention.nsa_select_attention import nsa_select_attention
from .sparse_attention.nsa_window_attention import nsa_window_attention

__all__ = [
    "CPUAdagrad",
    "CPUAdam",
    "CPULion",
    "FusedAdamW",
    "FusedLamb",
    "FusedLion",
    "KernelConfig",
    "__version__",
    "acl",
    "add_rms_norm",
    "apply_rotary_pos_emb_",
    "autotune",
    "block_sparse_attention",
    "compile_kernel",
    "ffn",
    "flash_attention",
    "flash_attention_varlen",
    "fused_adamw_",
    "fused_lamb_",
    "fused_lion_",
    "gelu",
    "grouped_matmul",
    "incre_flash_attention",
    "jit_kernel",
    "kv_cache_gather",
    "kv_cache_scatter",
    "layer_norm",
    "moe_gating_topk",
    "npu",
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
