"""Routing of tokens to experts."""

from __future__ import annotations

import torch

from op_builder.ops.family_kernels import MoeKernelsBuilder

from .family import check_input, family_kernel

Tensor = torch.Tensor
_MOST_EXPERTS = 2048


def moe_topk_softmax(
    logits: Tensor, k: int, *, renormalize: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each token's ``k`` experts by the softmax of its logits, and the experts' loads.

    On an NPU: a kernel of this project in Ascend C, which also counts the tokens of each expert.

    Args:
        logits: ``[tokens, experts]`` in fp32, fp16 or bf16, with at most 2048 experts. They must be
            finite.
        k: 1 to the number of experts.
        renormalize: Divide the weights of a token by their sum.

    Returns:
        The weights ``[tokens, k]`` in fp32, largest first; the experts ``[tokens, k]`` in int32,
        the first one of equals; the number of tokens of each expert ``[experts]`` in int32.

    Raises:
        TypeError: ``logits`` has an unsupported dtype.
        ValueError: ``logits`` has the wrong shape or requires a gradient, or ``k`` is out of range.

    Example:
        >>> import torch
        >>> from ascend_ops.kernels.moe import moe_topk_softmax
        >>> moe_topk_softmax(torch.tensor([[0.0, 2.0, 1.0]]), 2)[1:]
        (tensor([[1, 2]], dtype=torch.int32), tensor([0, 1, 1], dtype=torch.int32))
    """
    check_input("logits", logits)
    if logits.dim() != 2 or not 1 <= logits.shape[1] <= _MOST_EXPERTS:
        raise ValueError(
            f"logits must have shape [tokens, experts] with 1 to {_MOST_EXPERTS} experts, got "
            f"{list(logits.shape)}"
        )
    tokens, experts = logits.shape
    if not 1 <= k <= experts:
        raise ValueError(f"k must be 1 to {experts}, got {k}")
    if logits.device.type != "npu":
        return moe_topk_softmax_reference(logits, k, renormalize)
    weights = torch.empty(tokens, k, dtype=torch.float32, device=logits.device)
    indices = torch.empty(tokens, k, dtype=torch.int32, device=logits.device)
    counts = torch.zeros(experts, dtype=torch.int32, device=logits.device)
    if tokens != 0:
        tiling = {"tokens": tokens, "experts": experts, "k": k, "renormalize": bool(renormalize)}
        kernel = family_kernel(MoeKernelsBuilder, "moe_topk_softmax", logits.dtype)
        kernel(logits.contiguous(), weights, indices, counts, tiling)
    return weights, indices, counts


def moe_topk_softmax_reference(
    logits: Tensor, k: int, renormalize: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :func:`moe_topk_softmax` in plain torch, in fp32 or in fp64 for fp64 tensors."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    ordered, places = torch.softmax(logits.to(wide), -1).sort(dim=-1, descending=True, stable=True)
    weights, indices = ordered[:, :k], places[:, :k]
    if renormalize:
        weights = weights / weights.sum(-1, keepdim=True)
    counts = torch.bincount(indices.flatten(), minlength=logits.shape[1])
    return weights.float().contiguous(), indices.int().contiguous(), counts.int()
