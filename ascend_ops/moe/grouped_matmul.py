"""``grouped_matmul``: each group of rows with a matrix of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import FLOATING, check_dtype, check_same_device, check_shape
from ..dispatch.host_values import is_on_host
from ..dispatch.npu_op import NPUOp

Tensor = torch.Tensor

_LIST_TYPES = ("ends", "counts")


def _group_of_rows(group_ends: Tensor, rows: int) -> Tensor:
    """The number of each row's group; that of the groups for rows behind the last one."""
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
    products = [
        x_transposed.to(wide) @ torch.where(group == index, grad, 0).to(wide)
        for index in range(group_ends.shape[0])
    ]
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


def grouped_matmul(
    x: Tensor,
    weight: Tensor,
    group_list: Tensor | Sequence[int],
    bias: Tensor | None = None,
    *,
    group_list_type: str = "ends",
) -> Tensor:
    """``x[rows of group i] @ weight[i] + bias[i]``, for the experts of a mixture.

    Args:
        x: ``[M, K]``, its rows sorted by group; fp32, fp16 or bf16 (fp64 on the CPU only).
        weight: ``[E, K, N]``, a matrix a group, of x's dtype.
        group_list: int64 ``[E]`` or E integers: where each group ends (``group_list_type="ends"``,
            as torch.cumsum gives it) or how many rows it has (``"counts"``). Groups may be empty.
            Values that are on the host are checked; those of a tensor on an NPU are not.
        bias: ``[E, N]``, of x's dtype, or None.

    The result is ``[M, N]`` in x's dtype; rows behind the last group are 0 on the CPU and
    undefined on an NPU. Differentiable in x, weight and bias. On an NPU: aclnnGroupedMatmulV5, else
    V4, else V3.

    Raises TypeError for a dtype, ValueError for a shape, a device or a list that decreases or does
    not end at M.
    """
    check_dtype("x", x, FLOATING)
    if x.dim() != 2 or weight.dim() != 3 or weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"x, weight: expected [M, K] and [E, K, N], found {list(x.shape)} and "
            f"{list(weight.shape)}"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None:
            check_same_device(x, name, tensor)
            check_dtype(name, tensor, (x.dtype,))
    if bias is not None:
        check_shape("bias", bias, (weight.shape[0], weight.shape[2]), "one row per group")
    if group_list_type not in _LIST_TYPES:
        raise ValueError(f"group_list_type: expected 'ends' or 'counts', found {group_list_type!r}")
    ends = _group_ends(group_list, group_list_type, x, weight.shape[0])
    output: Tensor = _grouped_matmul_op(x, weight, bias, ends)
    return output


def _group_ends(group_list: Tensor | Sequence[int], kind: str, x: Tensor, groups: int) -> Tensor:
    """On x's device; raises TypeError or ValueError."""
    if not isinstance(group_list, Tensor):
        group_list = torch.tensor(list(group_list), dtype=torch.int64)
    if group_list.dtype not in (torch.int64, torch.int32) or tuple(group_list.shape) != (groups,):
        raise TypeError(
            f"group_list: expected int64 [{groups}], one a matrix of weight, found "
            f"{group_list.dtype} {list(group_list.shape)}"
        )
    ends = group_list.to(torch.int64)
    if kind == "counts":
        ends = ends.cumsum(0)
    if not torch.compiler.is_compiling() and is_on_host(group_list):
        values = ends.tolist()
        if values != sorted(values) or (values and (values[0] < 0 or values[-1] != x.shape[0])):
            raise ValueError(
                f"group_list: expected groups that never decrease and end at the {x.shape[0]} rows "
                f"of x, found {group_list.tolist()} ({kind})"
            )
    return ends.to(x.device)
