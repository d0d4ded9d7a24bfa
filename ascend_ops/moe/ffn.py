"""``ffn``: two matrices with an activation between them, of one network or of several experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import FLOATING, check_dtype, check_same_device, check_shape
from ..dispatch.host_values import host_lengths
from ..dispatch.npu_op import NPUOp

Tensor = torch.Tensor
_Expert = tuple[slice, int | None]

_FAST_GELU = 1.702
_GATED = {"geglu": "gelu", "swiglu": "silu", "reglu": "relu"}
ACTIVATIONS = ("gelu", "fastgelu", "relu", "silu", *_GATED)


def _fast_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    sigmoid = torch.sigmoid(_FAST_GELU * x)
    return grad * (sigmoid + x * _FAST_GELU * sigmoid * (1 - sigmoid))


#: Each with its gradient. CANN's gelu is the one by tanh.
_PLAIN: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "gelu": (
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        lambda grad, x: torch.ops.aten.gelu_backward(grad, x, approximate="tanh"),
    ),
    "fastgelu": (lambda x: x * torch.sigmoid(_FAST_GELU * x), _fast_gelu_backward),
    "relu": (torch.relu, lambda grad, x: grad * (x > 0)),
    "silu": (
        torch.nn.functional.silu,
        lambda grad, x: torch.ops.aten.silu_backward(grad, x),
    ),
}


def _activated(hidden: Tensor, activation: str) -> Tensor:
    if activation in _PLAIN:
        return _PLAIN[activation][0](hidden)
    gate, linear = hidden.chunk(2, -1)
    return _PLAIN[_GATED[activation]][0](gate) * linear


def _activation_gradient(grad: Tensor, hidden: Tensor, activation: str) -> Tensor:
    if activation in _PLAIN:
        return _PLAIN[activation][1](grad, hidden)
    gate, linear = hidden.chunk(2, -1)
    function, gradient = _PLAIN[_GATED[activation]]
    return torch.cat([gradient(grad * linear, gate), grad * function(gate)], -1)


def _experts(token_counts: list[int] | None) -> list[_Expert]:
    """The rows and the number of each; all rows and no number of a network without experts."""
    if token_counts is None:
        return [(slice(None), None)]
    found: list[_Expert] = []
    begin = 0
    for index, count in enumerate(token_counts):
        found.append((slice(begin, begin + count), index))
        begin += count
    return found


def _of(tensor: Tensor | None, index: int | None, dtype: torch.dtype) -> Tensor | None:
    if tensor is None:
        return None
    return (tensor if index is None else tensor[index]).to(dtype)


def _linear(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    assert weight is not None
    return x @ weight if bias is None else x @ weight + bias


def _ffn(
    x: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    tokens: Tensor | None,
    token_counts: list[int] | None,
    bias1: Tensor | None,
    bias2: Tensor | None,
    activation: str,
) -> Tensor:
    del tokens  # the same numbers, for the kernel
    wide = wide_dtype(x)
    parts = []
    for rows, index in _experts(token_counts):
        hidden = _linear(x[rows].to(wide), _of(weight1, index, wide), _of(bias1, index, wide))
        active = _activated(hidden, activation)
        parts.append(_linear(active, _of(weight2, index, wide), _of(bias2, index, wide)))
    return torch.cat(parts).to(x.dtype).contiguous()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight1, weight2, _, ctx.token_counts, bias1, bias2, ctx.activation = inputs
    ctx.save_for_backward(x, weight1, weight2, bias1, bias2)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    """aclnn has none: the hidden layer is computed once more, by torch."""
    x, weight1, weight2, bias1, bias2 = ctx.saved_tensors
    wide = wide_dtype(x)
    lists: dict[str, list[Tensor]] = {n: [] for n in ("x", "weight1", "weight2", "bias1", "bias2")}
    for rows, index in _experts(ctx.token_counts):
        inputs, of_output = x[rows].to(wide), grad[rows].to(wide)
        first, second = _of(weight1, index, wide), _of(weight2, index, wide)
        assert first is not None
        assert second is not None
        hidden = _linear(inputs, first, _of(bias1, index, wide))
        active = _activated(hidden, ctx.activation)
        of_hidden = _activation_gradient(of_output @ second.t(), hidden, ctx.activation)
        lists["x"].append(of_hidden @ first.t())
        lists["weight1"].append(inputs.flatten(0, -2).t() @ of_hidden.flatten(0, -2))
        lists["weight2"].append(active.flatten(0, -2).t() @ of_output.flatten(0, -2))
        lists["bias1"].append(of_hidden.flatten(0, -2).sum(0))
        lists["bias2"].append(of_output.flatten(0, -2).sum(0))
    join = torch.stack if ctx.token_counts is not None else lambda parts: parts[0]
    found = {name: join(parts) for name, parts in lists.items() if name != "x"}
    of_biases = [
        None if bias is None else found[name].to(bias.dtype)
        for name, bias in (("bias1", bias1), ("bias2", bias2))
    ]
    return (
        torch.cat(lists["x"]).to(x.dtype),
        found["weight1"].to(weight1.dtype),
        found["weight2"].to(weight2.dtype),
        None,
        None,
        *of_biases,
        None,
    )


_ffn_op = NPUOp(
    "ffn(Tensor x, Tensor weight1, Tensor weight2, Tensor? tokens, int[]? token_counts, "
    "Tensor? bias1, Tensor? bias2, str activation) -> Tensor",
    MoeBuilder,
    _ffn,
    backward=_gradient,
    setup_context=_setup,
    autocast="lower",
)


def ffn(
    x: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    activation: str = "gelu",
    expert_tokens: Sequence[int] | Tensor | None = None,
    bias1: Tensor | None = None,
    bias2: Tensor | None = None,
) -> Tensor:
    """``activation(x weight1 + bias1) weight2 + bias2``, of one network or of E experts.

    Args:
        x: ``[..., K1]``, with experts ``[M, K1]``, its rows sorted by expert; fp16 or bf16, on the
            CPU fp32 and fp64 too.
        weight1: ``[K1, N1]``, with experts ``[E, K1, N1]``.
        weight2: ``[N1, N2]``, with experts ``[E, N1, N2]``; N1 / 2 rows for a gated activation.
        activation: ``"gelu"`` (by tanh, as CANN's), ``"fastgelu"`` (x sigmoid(1.702 x)),
            ``"relu"``, ``"silu"``; gated: ``"geglu"``, ``"swiglu"``, ``"reglu"``, the activation of
            the first half of the columns times the second half.
        expert_tokens: how many rows each expert has: integers, or a tensor of them on the CPU.
        bias1, bias2: ``[N1]`` and ``[N2]``, with experts ``[E, N1]`` and ``[E, N2]``.

    The result is ``[..., N2]`` in x's dtype, computed in fp32. Differentiable in x, weights and
    biases; CANN has no gradient, so plain torch computes it, and the hidden layer again.
    Under autocast all are cast to its dtype. On an NPU: aclnnFFNV3, else V2, else the first, of
    Atlas A2; gated activations are for fp16 without experts.

    Raises TypeError for a dtype, ValueError for a shape, a device, an activation or counts that do
    not add up to M.
    """
    check_dtype("x", x, FLOATING)
    _check_activation(x, activation, expert_tokens is not None)
    experts = () if expert_tokens is None else (weight1.shape[0],)
    columns = weight1.shape[-1]
    _check_shapes(x, weight1, weight2, activation, experts)
    for name, tensor, shape in (
        ("weight1", weight1, None),
        ("weight2", weight2, None),
        ("bias1", bias1, (*experts, columns)),
        ("bias2", bias2, (*experts, weight2.shape[-1])),
    ):
        if tensor is not None:
            check_same_device(x, name, tensor)
            check_dtype(name, tensor, (x.dtype,))
            if shape is not None:
                check_shape(name, tensor, shape, "one value per column")
    counts = tokens = None
    if expert_tokens is not None:
        rows = x.shape[0]
        counts = host_lengths("expert_tokens", expert_tokens, weight1.shape[0], rows)
        if sum(counts) != rows:
            raise ValueError(f"expert_tokens: expected a sum of {rows}, found {counts}")
        if x.device.type == "npu":
            tokens = torch.tensor(counts, dtype=torch.int64, device=x.device)
    output: Tensor = _ffn_op(x, weight1, weight2, tokens, counts, bias1, bias2, activation)
    return output


def _check_activation(x: Tensor, activation: str, has_experts: bool) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: expected one of {', '.join(ACTIVATIONS)}, found {activation!r}"
        )
    if x.device.type != "npu":
        return
    check_dtype("x", x, (torch.float16, torch.bfloat16))
    if activation in _GATED and (has_experts or x.dtype is not torch.float16):
        raise ValueError(
            f"activation: expected a plain one on an NPU with experts or {x.dtype}, "
            f"found {activation!r}, which is for fp16 without experts"
        )


def _check_shapes(
    x: Tensor, weight1: Tensor, weight2: Tensor, activation: str, experts: tuple[int, ...]
) -> None:
    factor = 2 if activation in _GATED else 1
    wanted = "[M, K1], [E, K1, N1], [E, N, N2]" if experts else "[..., K1], [K1, N1], [N, N2]"
    dimensions = 3 if experts else 2
    fits = (
        weight1.dim() == weight2.dim() == dimensions
        and (x.dim() == 2 if experts else x.dim() >= 2)
        and weight1.shape[-2] == x.shape[-1]
        and weight2.shape[-2] * factor == weight1.shape[-1]
        and weight1.shape[:-2] == weight2.shape[:-2]
    )
    if not fits:
        raise ValueError(
            f"x, weight1, weight2: expected {wanted} with N = N1{' / 2' if factor == 2 else ''}, "
            f"found {list(x.shape)}, {list(weight1.shape)}, {list(weight2.shape)}"
        )
