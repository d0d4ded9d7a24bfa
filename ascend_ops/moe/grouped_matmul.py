"""Grouped matmul; NPU tensors go to aclnnGroupedMatmulV5, V4 or V3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import check_grouped_matmul, checked_group_ends

Tensor = torch.Tensor


def _group_of_rows(group_ends: Tensor, rows: int) -> Tensor:
    """Return the index of each row's group, or the number of groups for rows past the last one."""
    places = torch.arange(rows, device=group_ends.device)
    return torch.searchsorted(group_ends, places, right=True)


def _grouped_matmul(x: Tensor, weight: Tensor, bias: Tensor | None, group_ends: Tensor) -> Tensor:
    wide = wide_dtype(x)
    group = _group_of_rows(group_ends, x.shape[0])[:, None]
    output = x.new_zeros(x.shape[0], weight.shape[2], dtype=wide)
    for index in range(weight.shape[0]):
        product = x.to(wide) @ weight[index].to(wide)
        if bias is not None:
            product = product + bias[index].to(wide)
        output = torch.where(group == index, product, output)
    return output.to(x.dtype)


def _weight_gradient(x_transposed: Tensor, grad: Tensor, group_ends: Tensor) -> Tensor:
    wide = wide_dtype(grad)
    group = _group_of_rows(group_ends, grad.shape[0])[:, None]
    products = []
    for index in range(group_ends.shape[0]):
        mine = group == index  # of both factors, because 0 times a NaN of another group is NaN
        of_group = torch.where(mine.t(), x_transposed, 0).to(wide)
        products.append(of_group @ torch.where(mine, grad, 0).to(wide))
    return torch.stack(products).to(grad.dtype)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight, bias, group_ends = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, weight, group_ends)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, weight, group_ends = ctx.saved_tensors
    grad = grad.contiguous()
    of_bias = None
    if ctx.has_bias:
        groups = weight.shape[0]
        group = _group_of_rows(group_ends, grad.shape[0]).clamp(max=groups)
        sums = grad.new_zeros(groups + 1, grad.shape[1], dtype=wide_dtype(grad))
        of_bias = sums.index_add(0, group, grad.to(sums.dtype))[:groups].to(grad.dtype)
    return (
        _grouped_matmul_op(grad, weight.transpose(1, 2), None, group_ends),
        _weight_gradient_op(x.t(), grad, group_ends),
        of_bias,
        None,
    )


_weight_gradient_op = NPUOp(
    "grouped_matmul_weight_gradient(Tensor x_transposed, Tensor grad, Tensor group_ends) -> Tensor",
    MoeBuilder,
    _weight_gradient,
)
_grouped_matmul_op = NPUOp(
    "grouped_matmul(Tensor x, Tensor weight, Tensor? bias, Tensor group_ends) -> Tensor",
    MoeBuilder,
    _grouped_matmul,
    backward=_gradient,
    setup_context=_setup,
    autocast="lower",
)


@public_op
def grouped_matmul(
    x: Tensor,
    weight: Tensor,
    group_list: Tensor | Sequence[int],
    bias: Tensor | None = None,
    *,
    group_list_type: str = "ends",
) -> Tensor:
    """Return ``x[rows of group i] @ weight[i] + bias[i]`` for all groups, for example experts.

    On an NPU: aclnnGroupedMatmulV5, else V4, else V3.

    Args:
        x: ``[M, K]``, with the rows sorted by group, in fp32, fp16 or bf16 (fp64 on the CPU only).
        weight: ``[E, K, N]`` in x's dtype, one matrix per group.
        group_list: E integers or an int64 tensor ``[E]``. Groups may be empty. The values are
            checked if they are on the host; a tensor on an NPU is not read.
        bias: ``[E, N]`` in x's dtype, or None.
        group_list_type: ``"ends"`` if ``group_list`` holds the end of each group, as torch.cumsum
            returns it, ``"counts"`` if it holds the number of rows of each group.

    Returns:
        ``[M, N]`` in x's dtype (autocast's under autocast), computed in fp32. Rows past the last
        group are 0 on the CPU and undefined on an NPU. Differentiable in x, weight and bias.

    Raises:
        TypeError: an argument has an unsupported dtype.
        ValueError: an argument has the wrong shape or device, or the groups decrease or do not end
            at M.

    Example:
        >>> import torch
        >>> from ascend_ops import grouped_matmul
        >>> x, weight = torch.ones(3, 2), torch.tensor([[[1.0], [1.0]], [[10.0], [10.0]]])
        >>> grouped_matmul(x, weight, [1, 3])  # row 0 with weight[0], rows 1 and 2 with weight[1]
        tensor([[ 2.],
                [20.],
                [20.]])
    """
    check_grouped_matmul(x, weight, bias, group_list_type)
    ends = checked_group_ends(group_list, group_list_type, x, weight.shape[0])
    output: Tensor = _grouped_matmul_op(x, weight, bias, ends)
    return output
