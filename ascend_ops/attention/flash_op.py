"""The op behind ``flash_attention``: in CANN's terms, where 1 in a mask is masked out."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp
from .masks import Window, unpacked
from .reference import Scores, from_bnsd, repeated, to_bnsd

Tensor = torch.Tensor

_INPUTS = (
    "Tensor query, Tensor key, Tensor value, Tensor? bias, Tensor? drop_mask, Tensor? mask, "
    "Tensor? sinks"
)
_ATTRIBUTES = (
    "int[]? prefix, float scale, float keep_probability, int before, int after, int num_heads, "
    "str layout, int sparse_mode"
)


def _scores(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    drop_mask: Tensor | None,
    mask: Tensor | None,
    sinks: Tensor | None,
    prefix: list[int] | None,
    scale: float,
    keep_probability: float,
    before: int,
    after: int,
    num_heads: int,
    layout: str,
    sparse_mode: int,
) -> Scores:
    shared = shared_heads(query, key, layout, num_heads)
    wanted = to_bnsd(query, layout, num_heads)
    known = to_bnsd(key, layout, shared)
    keep = None
    if drop_mask is not None:
        count = wanted.shape[0] * num_heads * wanted.shape[2] * known.shape[2]
        keep = unpacked(drop_mask, count)
    return Scores.of(
        wanted,
        known,
        to_bnsd(value, layout, shared),
        scale=scale,
        window=Window(sparse_mode, before, after),
        bias=bias,
        keep=keep,
        mask=mask,
        sinks=sinks,
        prefix=prefix,
        keep_probability=keep_probability,
    )


def shared_heads(query: Tensor, key: Tensor, layout: str, num_heads: int) -> int:
    """How many heads key and value have."""
    if layout == "BNSD":
        return key.shape[1]
    return key.shape[2] if layout == "BSND" else key.shape[2] // (query.shape[2] // num_heads)


def _flash_attention(query: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    scores = _scores(query, *rest)
    layout = rest[-2]
    largest, total = scores.statistics()
    output = scores.dropped(scores.probabilities(largest, total)) @ scores.value
    return from_bnsd(output, layout).to(query.dtype), repeated(largest), repeated(total)


def _flash_attention_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    drop_mask: Tensor | None,
    mask: Tensor | None,
    sinks: Tensor | None,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    output: Tensor,  # noqa: ARG001 - CANN's kernel takes it instead of a second product
    *attributes: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scores = _scores(query, key, value, bias, drop_mask, mask, sinks, *attributes)
    scale, num_heads, layout = attributes[1], attributes[5], attributes[6]
    grads, of_sinks = scores.gradients(
        to_bnsd(grad, layout, num_heads), softmax_max[..., :1], softmax_sum[..., :1], scale
    )
    made = [
        from_bnsd(wide, layout).to(x.dtype)
        for wide, x in zip(grads, (query, key, value), strict=True)
    ]
    if sinks is None or of_sinks is None:
        return (made[0], made[1], made[2], softmax_max.new_empty(0))
    return (made[0], made[1], made[2], of_sinks.to(sinks.dtype))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:7], softmax_max, softmax_sum, out)
    ctx.attributes = inputs[7:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    dq, dk, dv, dsinks = _backward_op(grad.contiguous(), *saved, *ctx.attributes)
    of_sinks = None if saved[6] is None else dsinks
    return (dq, dk, dv, None, None, None, of_sinks, *[None] * len(ctx.attributes))


_backward_op = NPUOp(
    f"flash_attention_backward(Tensor grad, {_INPUTS}, Tensor softmax_max, Tensor softmax_sum, "
    f"Tensor output, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_backward,
)
flash_attention_op = NPUOp(
    f"flash_attention({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention,
    backward=_gradient,
    setup_context=_setup,
)
