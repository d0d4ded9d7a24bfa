"""Routing of tokens to experts; NPU tensors go to aclnnMoeGatingTopK."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import NORM_TYPES, SELECT_MODES, check_moe_gating_topk

Tensor = torch.Tensor


def _normalized(x: Tensor, norm_type: int) -> Tensor:
    wide = x.to(wide_dtype(x))
    return torch.sigmoid(wide) if norm_type else torch.softmax(wide, -1)


def _moe_gating_topk(
    x: Tensor,
    bias: Tensor | None,
    k: int,
    k_group: int,
    group_count: int,
    group_select_mode: int,
    renorm: int,
    norm_type: int,
    routed_scaling_factor: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    norm = _normalized(x, norm_type)
    scores = norm if bias is None else norm + bias.to(norm.dtype)
    if group_count > 1:
        grouped = scores.unflatten(-1, (group_count, -1))
        best = grouped.topk(2, -1).values.sum(-1) if group_select_mode else grouped.amax(-1)
        chosen = torch.zeros_like(best).scatter(-1, best.topk(k_group, -1).indices, 1.0)
        scores = grouped.masked_fill(chosen[..., None] == 0, float("-inf")).flatten(-2)
    experts = scores.topk(k, -1).indices
    weights = norm.gather(-1, experts)
    if renorm or norm_type:
        weights = weights / (weights.sum(-1, keepdim=True) + eps)
    weights = (weights * routed_scaling_factor).to(x.dtype)
    return weights, experts.to(torch.int32), norm.clone()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, experts, norm = output
    ctx.renorm, ctx.norm_type, ctx.scale, ctx.eps = inputs[6:]
    ctx.mark_non_differentiable(experts, norm)
    ctx.save_for_backward(inputs[0], experts, norm)


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    """With w = s / (sum(s) + eps): ds = (dw - sum(dw w)) / sum.

    Then dx = n (dn - sum(dn n)) through softmax, or dx = dn n (1 - n) through sigmoid. The bias has
    no gradient, because it only selects.
    """
    x, experts, norm = ctx.saved_tensors
    if torch.is_grad_enabled():  # with create_graph: the kernel's scores carry no gradient
        norm = _normalized(x, ctx.norm_type)
    experts = experts.long()
    of_weights = grad.to(norm.dtype) * ctx.scale
    if ctx.renorm or ctx.norm_type:
        chosen = norm.gather(-1, experts)
        total = chosen.sum(-1, keepdim=True) + ctx.eps
        of_weights = (of_weights - (of_weights * chosen / total).sum(-1, keepdim=True)) / total
    of_norm = torch.zeros_like(norm).scatter_add(-1, experts, of_weights)
    if ctx.norm_type:
        of_x = of_norm * norm * (1 - norm)
    else:
        of_x = norm * (of_norm - (of_norm * norm).sum(-1, keepdim=True))
    return (of_x.to(x.dtype), *[None] * 9)


_gating_op = NPUOp(
    "moe_gating_topk(Tensor x, Tensor? bias, int k, int k_group, int group_count, "
    "int group_select_mode, int renorm, int norm_type, float routed_scaling_factor, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    MoeBuilder,
    _moe_gating_topk,
    backward=_gradient,
    setup_context=_setup,
    twice_differentiable=True,
    autocast="float32",
)


@public_op
def moe_gating_topk(
    x: Tensor,
    k: int,
    *,
    bias: Tensor | None = None,
    norm_type: str = "softmax",
    k_group: int = 1,
    group_count: int = 1,
    group_select: str = "max",
    renorm: bool = False,
    routed_scaling_factor: float = 1.0,
    eps: float = 1e-20,
) -> tuple[Tensor, Tensor]:
    """Select k experts per token and compute their weights, like DeepSeek-V3.

    Formula: DeepSeek-AI 2024, arXiv:2412.19437. On an NPU: aclnnMoeGatingTopK.

    Args:
        x: the router's logits, ``[M, E]`` with E up to 2048, in fp32, fp16 or bf16 (fp64 on the CPU
            only).
        k: the number of experts per token.
        bias: ``[E]`` in x's dtype, or None. It is added to the normalized scores for the selection
            only, not for the weights.
        norm_type: ``"softmax"`` or ``"sigmoid"``, which normalizes the logits. After sigmoid, the
            selected weights are divided by their sum plus ``eps``.
        k_group: the number of groups to select experts from.
        group_count: the number of equal groups that the experts form.
        group_select: how groups are compared: ``"max"`` by their largest score, ``"top2_sum"`` by
            the sum of their two largest.
        renorm: divide the weights by their sum after softmax too. CANN may refuse it.
        routed_scaling_factor: the factor by which the weights are multiplied.
        eps: is added to the sum of the weights, finite and at least 0.

    Returns:
        The weights ``[M, k]`` in x's dtype (fp32 under autocast) and the experts ``[M, k]`` in
        int32, in descending order of score. Differentiable in x through the weights.

    Raises:
        TypeError: a tensor has an unsupported dtype.
        ValueError: a tensor has the wrong shape or device, an option is unknown, or the numbers of
            experts and groups contradict each other.

    Example:
        >>> import torch
        >>> from ascend_ops import moe_gating_topk
        >>> weights, experts = moe_gating_topk(torch.tensor([[0.0, 2.0, 1.0]]), k=2)
        >>> weights, experts
        (tensor([[0.6652, 0.2447]]), tensor([[1, 2]], dtype=torch.int32))
    """
    groups = (k_group, group_count, group_select)
    check_moe_gating_topk(x, k, bias, norm_type, groups, routed_scaling_factor, eps)
    weights, chosen, _ = _gating_op(
        x,
        bias,
        k,
        k_group,
        group_count,
        SELECT_MODES[group_select],
        int(renorm),
        NORM_TYPES[norm_type],
        routed_scaling_factor,
        eps,
    )
    return weights, chosen
