"""``moe_gating_topk``: which experts a token goes to, and with what weights."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import FLOATING, check_dtype, check_finite, check_same_device, check_shape
from ..dispatch.npu_op import NPUOp

Tensor = torch.Tensor

_NORM_TYPES = {"softmax": 0, "sigmoid": 1}
_SELECT_MODES = {"max": 0, "top2_sum": 1}
_MOST_EXPERTS = 2048


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
    ctx.dtype = inputs[0].dtype
    ctx.save_for_backward(experts, norm)


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    """Of x alone: the bias only chooses. With w = s / (sum(s) + eps): ds = (dw - sum(dw w)) / sum.

    Then through softmax, dx = n (dn - sum(dn n)), or sigmoid, dx = dn n (1 - n).
    """
    experts, norm = ctx.saved_tensors
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
    return (of_x.to(ctx.dtype), *[None] * 9)


_gating_op = NPUOp(
    "moe_gating_topk(Tensor x, Tensor? bias, int k, int k_group, int group_count, "
    "int group_select_mode, int renorm, int norm_type, float routed_scaling_factor, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    MoeBuilder,
    _moe_gating_topk,
    backward=_gradient,
    setup_context=_setup,
    autocast="float32",
)


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
    """The k experts of each token and their weights, as DeepSeek-V3 chooses them.

    Args:
        x: ``[M, E]``, the router's logits; fp32, fp16 or bf16 (fp64 on the CPU only); E up to 2048.
        k: experts a token.
        bias: ``[E]``, x's dtype: added to the normalized scores to choose, and not to weigh.
        norm_type: ``"softmax"`` or ``"sigmoid"`` of the logits; after sigmoid the chosen weights
            are divided by their sum (plus eps).
        k_group, group_count: only the experts of the best k_group of group_count equal groups are
            chosen from; the best by their largest score (``group_select="max"``) or the sum of
            their two largest (``"top2_sum"``).
        renorm: divides by the sum after softmax too. CANN may refuse it.
        routed_scaling_factor: multiplies the weights.

    Returns weights ``[M, k]`` in x's dtype and experts int32 ``[M, k]``, the best first.
    Differentiable in x, through the weights. Under autocast in fp32. On an NPU: aclnnMoeGatingTopK.
    Formula: DeepSeek-AI 2024, arXiv:2412.19437.

    Raises TypeError for a dtype, ValueError for a shape, a device or numbers that do not go
    together.
    """
    _check(x, k, bias, norm_type, k_group, group_count, group_select)
    check_finite("routed_scaling_factor", routed_scaling_factor)
    check_finite("eps", eps, minimum=0.0)
    weights, chosen, _ = _gating_op(
        x,
        bias,
        k,
        k_group,
        group_count,
        _SELECT_MODES[group_select],
        int(renorm),
        _NORM_TYPES[norm_type],
        routed_scaling_factor,
        eps,
    )
    return weights, chosen


def _check(
    x: Tensor,
    k: int,
    bias: Tensor | None,
    norm_type: str,
    k_group: int,
    group_count: int,
    group_select: str,
) -> None:
    check_dtype("x", x, FLOATING)
    if x.dim() != 2 or not 1 <= x.shape[1] <= _MOST_EXPERTS:
        raise ValueError(f"x: expected [M, E] with E up to {_MOST_EXPERTS}, found {list(x.shape)}")
    experts = x.shape[1]
    if norm_type not in _NORM_TYPES or group_select not in _SELECT_MODES:
        raise ValueError(
            f"norm_type, group_select: expected one of {', '.join(_NORM_TYPES)} and one of "
            f"{', '.join(_SELECT_MODES)}, found {norm_type!r} and {group_select!r}"
        )
    if group_count < 1 or experts % group_count or not 1 <= k_group <= group_count:
        raise ValueError(
            f"group_count, k_group: expected a number that divides the {experts} experts and one "
            f"of 1 to it, found {group_count} and {k_group}"
        )
    size = experts // group_count
    if not 1 <= k <= size * k_group or (
        group_select == "top2_sum" and group_count > 1 and size < 2
    ):
        raise ValueError(f"k: expected 1 to {size * k_group} experts, found {k}")
    if bias is not None:
        check_same_device(x, "bias", bias)
        check_shape("bias", bias, (experts,), "one value per expert")
        check_dtype("bias", bias, (x.dtype,))
