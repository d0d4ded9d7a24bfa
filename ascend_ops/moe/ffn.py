"""Feed-forward networks; NPU tensors go to aclnnFFNV3, V2 or the first version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from op_builder.ops.moe import MoeBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import GATED_ACTIVATIONS, check_ffn, checked_token_counts

Tensor = torch.Tensor
_Expert = tuple[slice, int | None]

_FAST_GELU = 1.702


def _fast_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    sigmoid = torch.sigmoid(_FAST_GELU * x)
    return grad * (sigmoid + x * _FAST_GELU * sigmoid * (1 - sigmoid))


#: The activations with their gradients. CANN's gelu is the tanh approximation.
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
    return _PLAIN[GATED_ACTIVATIONS[activation]][0](gate) * linear


def _activation_gradient(grad: Tensor, hidden: Tensor, activation: str) -> Tensor:
    if activation in _PLAIN:
        return _PLAIN[activation][1](grad, hidden)
    gate, linear = hidden.chunk(2, -1)
    function, gradient = _PLAIN[GATED_ACTIVATIONS[activation]]
    return torch.cat([gradient(grad * linear, gate), grad * function(gate)], -1)


def _experts(token_counts: list[int] | None) -> list[_Expert]:
    """Return the rows and the index of each expert; all rows and None for a single network."""
    if token_counts is None:
        return [(slice(None), None)]
    found: list[_Expert] = []
    begin = 0
    for index, count in enumerate(token_counts):
        found.append((slice(begin, begin + count), index))
        begin += count
    return found


def _of_expert(tensor: Tensor | None, index: int | None, dtype: torch.dtype) -> Tensor | None:
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
    del tokens  # the same numbers as token_counts, for the kernel
    wide = wide_dtype(x)
    parts = []
    for rows, index in _experts(token_counts):
        hidden = _linear(
            x[rows].to(wide), _of_expert(weight1, index, wide), _of_expert(bias1, index, wide)
        )
        active = _activated(hidden, activation)
        parts.append(
            _linear(active, _of_expert(weight2, index, wide), _of_expert(bias2, index, wide))
        )
    return torch.cat(parts).to(x.dtype).contiguous()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight1, weight2, _, ctx.token_counts, bias1, bias2, ctx.activation = inputs
    ctx.save_for_backward(x, weight1, weight2, bias1, bias2)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    """Computed by torch from the recomputed hidden layer, because aclnn has no gradient of FFN."""
    x, weight1, weight2, bias1, bias2 = ctx.saved_tensors
    wide = wide_dtype(x)
    lists: dict[str, list[Tensor]] = {n: [] for n in ("x", "weight1", "weight2", "bias1", "bias2")}
    for rows, index in _experts(ctx.token_counts):
        inputs, of_output = x[rows].to(wide), grad[rows].to(wide)
        first, second = _of_expert(weight1, index, wide), _of_expert(weight2, index, wide)
        assert first is not None
        assert second is not None
        hidden = _linear(inputs, first, _of_expert(bias1, index, wide))
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
    twice_differentiable=True,
    autocast="lower",
)


@public_op
def ffn(
    x: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    activation: str = "gelu",
    expert_tokens: Sequence[int] | Tensor | None = None,
    bias1: Tensor | None = None,
    bias2: Tensor | None = None,
) -> Tensor:
    """Return ``activation(x weight1 + bias1) weight2 + bias2``, for one network or E experts.

    On an NPU: aclnnFFNV3, else V2, else the first version (Atlas A2); gated activations are for
    fp16 without experts.

    Args:
        x: ``[..., K1]``; with experts ``[M, K1]`` with the rows sorted by expert. In fp16 or bf16
            (fp32 and fp64 on the CPU only).
        weight1: ``[K1, N1]``, with experts ``[E, K1, N1]``, in x's dtype.
        weight2: ``[N1, N2]``, with experts ``[E, N1, N2]``; N1 / 2 rows for a gated activation.
        activation: ``"gelu"`` (the tanh approximation, as in CANN), ``"fastgelu"``
            (``x sigmoid(1.702 x)``), ``"relu"`` or ``"silu"``; or gated: ``"geglu"``, ``"swiglu"``
            or ``"reglu"``, which multiply the activation of the first half of the columns by the
            second half.
        expert_tokens: the number of rows of each expert, as integers or a CPU tensor; None for one
            network.
        bias1: ``[N1]``, with experts ``[E, N1]``, or None.
        bias2: ``[N2]``, with experts ``[E, N2]``, or None.

    Returns:
        ``[..., N2]`` in x's dtype (autocast's under autocast), computed in fp32. Differentiable in
        x, weights and biases: CANN has no gradient function, so torch recomputes the hidden layer.

    Raises:
        TypeError: a tensor has an unsupported dtype.
        ValueError: a tensor has the wrong shape or device, the activation is unknown, or
            ``expert_tokens`` does not add up to M.

    Example:
        >>> import torch
        >>> from ascend_ops import ffn
        >>> x, weight1, weight2 = torch.ones(2, 2), torch.ones(2, 3), torch.ones(3, 1)
        >>> ffn(x, weight1, weight2, "relu")
        tensor([[6.],
                [6.]])
        >>> ffn(x, torch.ones(2, 2, 3), torch.ones(2, 3, 1), "relu", expert_tokens=[1, 1]).shape
        torch.Size([2, 1])
    """
    check_ffn(x, weight1, weight2, activation, expert_tokens is not None, bias1, bias2)
    counts = tokens = None
    if expert_tokens is not None:
        counts = checked_token_counts(expert_tokens, weight1.shape[0], x.shape[0])
        if x.device.type == "npu":
            tokens = torch.tensor(counts, dtype=torch.int64, device=x.device)
    output: Tensor = _ffn_op(x, weight1, weight2, tokens, counts, bias1, bias2, activation)
    return output
