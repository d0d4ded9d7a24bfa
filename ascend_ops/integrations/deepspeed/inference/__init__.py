"""The functions that DeepSpeed's inference layers call: its module ``transformer_inference``.

They take the arguments of DeepSpeed's CUDA kernels and work on NPU and CPU tensors. The suffixes
fp32, fp16 and bf16 of a name do not matter: a function computes in the dtype of its tensors, since
DeepSpeed calls the fp16 one for int8 models and some fp32 ones for bf16 models.

In import order:

    errors          a function or an activation that is not served
    norms           layer norm and RMS norm, also of a sum with a residual
    activations     GELU, ReLU and gated activations with a bias
    residuals       sums with residuals
    products        matrix products with norms, biases and activations
    positions       rotary position embedding
    workspace       the key/value cache and its count of tokens
    masks           the masks of attention
    attention       attention on that cache, and softmax
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import activations, attention, norms, positions, products, residuals, workspace
from .errors import NotServedError, not_served

__all__ = ["NotServedError", "functions", "missing"]

_DTYPES = ("fp32", "fp16", "bf16")

#: The functions that DeepSpeed calls by one name for each dtype.
_BY_DTYPE: dict[str, Callable[..., Any]] = {
    "allocate_workspace": workspace.allocate_workspace,
    "bias_add": activations.bias_add,
    "bias_gelu": activations.bias_gelu,
    "bias_relu": activations.bias_relu,
    "bias_residual": residuals.bias_residual,
    "einsum_sec_sm_ecm": products.einsum_sec_sm_ecm,
    "fused_gemm_gelu": products.fused_gemm_gelu,
    "layer_norm": norms.layer_norm,
    "linear_layer": products.linear_layer,
    "mlp_gemm": products.mlp_gemm,
    "pad_transform": products.pad_transform,
    "qkv_gemm": products.qkv_gemm,
    "repeat_kv_cache": workspace.repeat_kv_cache,
    "residual_add_bias": residuals.residual_add_bias,
    "rms_mlp_gemm": products.rms_mlp_gemm,
    "rms_qkv_gemm": products.rms_qkv_gemm,
    "softmax": attention.softmax,
    "softmax_context": attention.softmax_context,
    "vector_matmul": products.vector_matmul,
}

_OTHERS: dict[str, Callable[..., Any]] = {
    "_layer_norm_residual": norms.layer_norm_residual,
    "_vector_add": residuals.vector_add,
    "apply_rotary_pos_emb": positions.apply_rotary_pos_emb,
    "fused_gemm_gelu_int8": products.fused_gemm_gelu,
    "gated_activation": activations.gated_activation,
    "layer_norm": norms.layer_norm,
    "layer_norm_residual": norms.layer_norm_residual,
    "layer_norm_residual_store_pre_ln_res": norms.layer_norm_residual_store_pre_ln_res,
    "moe_res_matmul": residuals.moe_res_matmul,
    "pre_rms_norm": norms.pre_rms_norm,
    "release_workspace": workspace.release_workspace,
    "reset_cache": workspace.reset_cache,
    "retake_workspace": workspace.retake_workspace,
    "rms_norm": norms.rms_norm,
    "vector_matmul_int8": products.vector_matmul,
}


def functions() -> dict[str, Callable[..., Any]]:
    """Return every function that is served, by DeepSpeed's name.

    Example:
        >>> from ascend_ops.integrations.deepspeed import inference
        >>> "softmax_context_bf16" in inference.functions()
        True
    """
    by_dtype = {
        f"{name}_{dtype}": function for name, function in _BY_DTYPE.items() for dtype in _DTYPES
    }
    return by_dtype | _OTHERS


def missing(name: str) -> Any:
    """Raise NotServedError for the function ``name``, as the ``__getattr__`` of a module."""
    raise not_served(name, [*_BY_DTYPE, *_OTHERS])
