"""One small call of every public op on the CPU, for tests of what all ops share.

The tensors are in fp64; those of the optimizers, which refuse it, in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

#: The ops that have no gradient, or refuse inputs that require one.
WITHOUT_GRADIENT = {
    "apply_rotary_pos_emb_",
    "fused_adamw_",
    "fused_lamb_",
    "fused_lion_",
    "incre_flash_attention",
    "kv_cache_gather",
    "kv_cache_scatter",
    "paged_attention",
    "prompt_flash_attention",
}


class Call(NamedTuple):
    """``function(*tensors)`` calls the op; ``tensors`` are the floating-point arguments."""

    function: Callable[..., Any]
    tensors: list[Any]


def public_ops() -> list[str]:
    """Return the names of all public ops of ascend_ops, without importing torch."""
    import ascend_ops

    others = ("__version__", "acl", "autotune", "compile_kernel", "jit_kernel", "npu")
    return [name for name in ascend_ops.__all__ if name.islower() and name not in others]


def calls() -> dict[str, Call]:
    """Return the calls by the op's name."""
    return {
        **_pointwise_calls(),
        **_optimizer_calls(),
        **_attention_calls(),
        **_serving_calls(),
    }


def _random(*shape: int) -> Any:
    import torch

    return torch.randn(shape, dtype=torch.float64)


def _pointwise_calls() -> dict[str, Call]:
    import ascend_ops as ops

    x, weight = _random(3, 8), _random(8)
    rotary = [_random(3, 2, 4), _random(3, 1, 4), _random(3, 1, 4)]
    return {
        "rms_norm": Call(ops.rms_norm, [x, weight]),
        "add_rms_norm": Call(ops.add_rms_norm, [x, _random(3, 8), weight]),
        "layer_norm": Call(lambda x, w, b: ops.layer_norm(x, (8,), w, b), [x, weight, _random(8)]),
        "gelu": Call(ops.gelu, [x]),
        "swiglu": Call(ops.swiglu, [x]),
        "rotary_embedding": Call(ops.rotary_embedding, rotary),
        "apply_rotary_pos_emb_": Call(
            lambda q, k, cos, sin: ops.apply_rotary_pos_emb_(q, k, cos, sin, "TND"),
            [rotary[0], _random(3, 2, 4), *rotary[1:]],
        ),
        "ffn": Call(lambda x, a, b: ops.ffn(x, a, b), [x, _random(8, 6), _random(6, 4)]),
        "grouped_matmul": Call(
            lambda x, w, b: ops.grouped_matmul(x, w, [1, 3], b),
            [x, _random(2, 8, 4), _random(2, 4)],
        ),
        "moe_gating_topk": Call(lambda x: ops.moe_gating_topk(x, 2, renorm=True), [x]),
    }


def _optimizer_calls() -> dict[str, Call]:
    import ascend_ops as ops

    def tensors(count: int) -> list[Any]:
        return [_random(3, 2).float().abs() for _ in range(count)]

    return {
        "fused_adamw_": Call(
            lambda p, g, m, v: ops.fused_adamw_([p], [g], [m], [v], 2, lr=0.1), tensors(4)
        ),
        "fused_lamb_": Call(
            lambda p, g, m, v: tuple(ops.fused_lamb_([p], [g], [m], [v], 2, lr=0.1)), tensors(4)
        ),
        "fused_lion_": Call(lambda p, g, m: ops.fused_lion_([p], [g], [m], lr=0.1), tensors(3)),
    }


def _attention_calls() -> dict[str, Call]:
    import torch

    import ascend_ops as ops

    dense = [_random(1, 2, 4, 8), _random(1, 1, 4, 8), _random(1, 1, 4, 8)]
    tokens = [_random(4, 2, 8), _random(8, 1, 8), _random(8, 1, 8)]
    blocks = torch.tensor([[[True, False], [True, True]]] * 2).unsqueeze(0)
    chosen = torch.tensor([0, 1], dtype=torch.int32).expand(4, 1, 2)
    ends = ([0, 4], [0, 8])
    return {
        "flash_attention": Call(ops.flash_attention, dense),
        "flash_attention_varlen": Call(
            lambda q, k, v: ops.flash_attention_varlen(q, k, v, *ends), tokens
        ),
        "block_sparse_attention": Call(
            lambda q, k, v: ops.block_sparse_attention(q, k, v, blocks, block_shape=(2, 2)), dense
        ),
        "nsa_compress": Call(
            lambda x, w: ops.nsa_compress(x, w, [0, 8], 2), [_random(8, 2, 4), _random(4, 2)]
        ),
        "nsa_compress_attention": Call(
            lambda q, k, v: ops.nsa_compress_attention(q, k, v, *ends, select_block_count=1),
            tokens,
        ),
        "nsa_select_attention": Call(
            lambda q, k, v: ops.nsa_select_attention(q, k, v, chosen, *ends, select_block_size=2),
            tokens,
        ),
        "nsa_window_attention": Call(
            lambda q, k, v: ops.nsa_window_attention(q, k, v, *ends, 3), tokens
        ),
    }


def _serving_calls() -> dict[str, Call]:
    import torch

    import ascend_ops as ops

    caches = [_random(2, 4, 1, 8), _random(2, 4, 1, 8)]
    table = torch.tensor([[1, 0]], dtype=torch.int32)
    slots = torch.tensor([0, 5])
    keys = [_random(1, 1, 4, 8), _random(1, 1, 4, 8)]
    return {
        "prompt_flash_attention": Call(ops.prompt_flash_attention, [_random(1, 2, 4, 8), *keys]),
        "incre_flash_attention": Call(ops.incre_flash_attention, [_random(1, 2, 1, 8), *keys]),
        "paged_attention": Call(
            lambda q, k, v: ops.paged_attention(q, k, v, table, [5]), [_random(1, 2, 8), *caches]
        ),
        "kv_cache_scatter": Call(
            lambda k, v, *caches: ops.kv_cache_scatter(k, v, *caches, slots),
            [_random(2, 1, 8), _random(2, 1, 8), *caches],
        ),
        "kv_cache_gather": Call(lambda k, v: ops.kv_cache_gather(k, v, table, [5]), caches),
    }
