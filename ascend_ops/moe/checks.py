"""Argument validation for mixtures of experts, and CANN's numbers for options."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..dispatch.checks import (
    FLOATING,
    check_choice,
    check_dtype,
    check_finite,
    check_same_device,
    check_shape,
    name_of,
    one_of,
)
from ..dispatch.host_values import host_lengths, integers, is_on_host

Tensor = torch.Tensor

PLAIN_ACTIVATIONS = ("gelu", "fastgelu", "relu", "silu")
#: The activation of the first half of the columns, by the name of the gated one.
GATED_ACTIVATIONS = {"geglu": "gelu", "swiglu": "silu", "reglu": "relu"}
NORM_TYPES = {"softmax": 0, "sigmoid": 1}
SELECT_MODES = {"max": 0, "top2_sum": 1}
_GROUP_LIST_TYPES = ("ends", "counts")
_INTEGERS = (torch.int64, torch.int32)
_MAX_EXPERTS = 2048


def check_ffn(
    x: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    activation: str,
    has_experts: bool,
    bias1: Tensor | None,
    bias2: Tensor | None,
) -> None:
    """Raise TypeError or ValueError for tensors or an activation that ffn cannot take."""
    check_dtype("x", x, FLOATING)
    _check_activation(x, activation, has_experts)
    _check_ffn_shapes(x, weight1, weight2, activation, has_experts)
    experts = weight1.shape[:-2]
    for name, weight, bias_name, bias in (
        ("weight1", weight1, "bias1", bias1),
        ("weight2", weight2, "bias2", bias2),
    ):
        _check_like(x, name, weight)
        if bias is not None:
            _check_like(x, bias_name, bias)
            check_shape(bias_name, bias, (*experts, weight.shape[-1]), "one value per column")


def _check_activation(x: Tensor, activation: str, has_experts: bool) -> None:
    check_choice("activation", activation, (*PLAIN_ACTIVATIONS, *GATED_ACTIVATIONS))
    if x.device.type != "npu":
        return
    check_dtype("x", x, (torch.float16, torch.bfloat16))
    if activation in GATED_ACTIVATIONS and (has_experts or x.dtype is not torch.float16):
        place = "experts" if has_experts else name_of(x.dtype)
        raise ValueError(
            f"activation must be {one_of(PLAIN_ACTIVATIONS)} with {place} on an NPU, got "
            f"{activation!r}: CANN gates only float16 without experts"
        )


def _check_ffn_shapes(
    x: Tensor, weight1: Tensor, weight2: Tensor, activation: str, has_experts: bool
) -> None:
    is_gated = activation in GATED_ACTIVATIONS
    dimensions = 3 if has_experts else 2
    fits = (
        weight1.dim() == weight2.dim() == dimensions
        and (x.dim() == 2 if has_experts else x.dim() >= 2)
        and weight1.shape[-2] == x.shape[-1]
        and weight2.shape[-2] * (2 if is_gated else 1) == weight1.shape[-1]
        and weight1.shape[:-2] == weight2.shape[:-2]
    )
    if not fits:
        rows, experts = ("M", "E, ") if has_experts else ("...", "")
        hidden = "N1 / 2" if is_gated else "N1"
        raise ValueError(
            f"x, weight1 and weight2 must have shapes [{rows}, K1], [{experts}K1, N1] and "
            f"[{experts}{hidden}, N2], got {list(x.shape)}, {list(weight1.shape)} and "
            f"{list(weight2.shape)}"
        )


def checked_token_counts(
    expert_tokens: Sequence[int] | Tensor, experts: int, rows: int
) -> list[int]:
    """Return the rows per expert; raise TypeError or ValueError unless they add up to ``rows``."""
    counts = host_lengths("expert_tokens", expert_tokens, experts, rows)
    if sum(counts) != rows:
        raise ValueError(f"expert_tokens must add up to the {rows} rows of x, got {counts}")
    return counts


def check_grouped_matmul(
    x: Tensor, weight: Tensor, bias: Tensor | None, group_list_type: str
) -> None:
    """Raise TypeError or ValueError for tensors or an option that grouped_matmul cannot take."""
    check_dtype("x", x, FLOATING)
    if x.dim() != 2 or weight.dim() != 3 or weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"x and weight must have shapes [M, K] and [E, K, N], got {list(x.shape)} and "
            f"{list(weight.shape)}"
        )
    _check_like(x, "weight", weight)
    if bias is not None:
        _check_like(x, "bias", bias)
        check_shape("bias", bias, (weight.shape[0], weight.shape[2]), "one row per group")
    check_choice("group_list_type", group_list_type, _GROUP_LIST_TYPES)


def checked_group_ends(
    group_list: Tensor | Sequence[int], group_list_type: str, x: Tensor, groups: int
) -> Tensor:
    """Return where each group ends, on x's device; raise TypeError or ValueError for a bad list."""
    if not isinstance(group_list, Tensor):
        group_list = torch.tensor(
            integers("group_list", group_list), dtype=torch.int64, device="cpu"
        )
    if group_list.dtype not in _INTEGERS or tuple(group_list.shape) != (groups,):
        raise TypeError(
            f"group_list must be an int64 tensor of shape [{groups}], one value per matrix of "
            f"weight, got {name_of(group_list.dtype)} of shape {list(group_list.shape)}"
        )
    ends = group_list.to(torch.int64)
    if group_list_type == "counts":
        ends = ends.cumsum(0)
    if not torch.compiler.is_compiling() and is_on_host(group_list):
        rows, values = x.shape[0], ends.tolist()
        if values != sorted(values) or (values and (values[0] < 0 or values[-1] != rows)):
            wanted = f"ends that never decrease and end at the {rows} rows of x"
            if group_list_type == "counts":
                wanted = f"counts of at least 0 that add up to the {rows} rows of x"
            raise ValueError(f"group_list must contain {wanted}, got {group_list.tolist()}")
    return ends.to(x.device)


def check_moe_gating_topk(
    x: Tensor,
    k: int,
    bias: Tensor | None,
    norm_type: str,
    groups: tuple[int, int, str],
    routed_scaling_factor: float,
    eps: float,
) -> None:
    """Raise TypeError or ValueError for arguments that moe_gating_topk cannot take.

    ``groups`` is k_group, group_count and group_select.
    """
    check_dtype("x", x, FLOATING)
    if x.dim() != 2 or not 1 <= x.shape[1] <= _MAX_EXPERTS:
        raise ValueError(
            f"x must have shape [M, E] with E from 1 to {_MAX_EXPERTS}, got {list(x.shape)}"
        )
    check_choice("norm_type", norm_type, NORM_TYPES)
    experts = x.shape[1]
    _check_groups(experts, k, *groups)
    if bias is not None:
        check_same_device(x, "bias", bias)
        check_shape("bias", bias, (experts,), "one value per expert")
        check_dtype("bias", bias, (x.dtype,))
    check_finite("routed_scaling_factor", routed_scaling_factor)
    check_finite("eps", eps, minimum=0.0)


def _check_groups(experts: int, k: int, k_group: int, group_count: int, group_select: str) -> None:
    check_choice("group_select", group_select, SELECT_MODES)
    if group_count < 1 or experts % group_count:
        raise ValueError(
            f"group_count must be positive and divide the {experts} experts, got {group_count}"
        )
    if not 1 <= k_group <= group_count:
        raise ValueError(f"k_group must be 1 to group_count, {group_count}, got {k_group}")
    size = experts // group_count
    if not 1 <= k <= size * k_group:
        raise ValueError(
            f"k must be 1 to {size * k_group}, the experts in {k_group} groups of {size}, got {k}"
        )
    if group_select == "top2_sum" and group_count > 1 and size < 2:
        raise ValueError(
            f"group_select must be 'max' for groups of one expert, got {group_select!r}"
        )


def _check_like(x: Tensor, name: str, tensor: Tensor) -> None:
    """Raise ValueError or TypeError for a tensor on another device or of another dtype than x."""
    check_same_device(x, name, tensor)
    check_dtype(name, tensor, (x.dtype,))
