"""The ops of ``flash_attention``: on aclnn, and in torch for what aclnn cannot compute."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp, warn_on_npu
from .fallback import NO_GRADIENT_OF_A_BIAS, NO_SOFTCAP
from .layouts import from_bnsd, key_heads, to_bnsd
from .masks import Window, unpacked
from .reference import Gradients, Scores, repeated

Tensor = torch.Tensor

_INPUTS = (
    "Tensor query, Tensor key, Tensor value, Tensor? bias, Tensor? drop_mask, Tensor? mask, "
    "Tensor? sinks"
)
_ATTRIBUTES = (
    "int[]? prefix, float scale, float keep_probability, int before, int after, int num_heads, "
    "str layout, int sparse_mode"
)
_STATISTICS = "Tensor softmax_max, Tensor softmax_sum, Tensor output"
_NUMBER_OF_INPUTS = 7
#: Positions in _ATTRIBUTES.
_SCALE, _NUM_HEADS, _LAYOUT = 1, 5, 6


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
    softcap: float | None = None,
) -> Scores:
    heads = key_heads(query, key, layout, num_heads)
    q, k, v = to_bnsd(query, layout, num_heads), *(to_bnsd(x, layout, heads) for x in (key, value))
    keep = None
    if drop_mask is not None:
        keep = unpacked(drop_mask, q.shape[0] * num_heads * q.shape[2] * k.shape[2])
    return Scores.of(
        q,
        k,
        v,
        scale=scale,
        window=Window(sparse_mode, before, after),
        bias=bias,
        keep=keep,
        mask=mask,
        sinks=sinks,
        prefix=prefix,
        keep_probability=keep_probability,
        softcap=softcap,
    )


def _flash_attention(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, layout = arguments[0], arguments[_NUMBER_OF_INPUTS + _LAYOUT]
    scores = _scores(*arguments)
    largest, total = scores.statistics()
    output = scores.dropped(scores.probabilities(largest, total)) @ scores.value
    return from_bnsd(output, layout).to(query.dtype), repeated(largest), repeated(total)


def _gradients(
    grad: Tensor, inputs: tuple[Any, ...], statistics: tuple[Tensor, Tensor], attributes: Any
) -> tuple[tuple[Tensor, Tensor, Tensor], Gradients]:
    """Return the gradients of query, key and value as they lie, and all gradients."""
    layout = attributes[_LAYOUT]
    largest, total = (x[..., :1] for x in statistics)
    found = _scores(*inputs, *attributes).gradients(
        to_bnsd(grad, layout, attributes[_NUM_HEADS]), largest, total, attributes[_SCALE]
    )
    dq, dk, dv = (
        from_bnsd(wide, layout).to(x.dtype) for wide, x in zip(found[:3], inputs[:3], strict=True)
    )
    return (dq, dk, dv), found


def _flash_attention_backward(
    grad: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, sinks = arguments[:_NUMBER_OF_INPUTS], arguments[6]
    # The NPU kernel uses the output instead of recomputing the product.
    softmax_max, softmax_sum, _, *attributes = arguments[_NUMBER_OF_INPUTS:]
    made, found = _gradients(grad, inputs, (softmax_max, softmax_sum), attributes)
    if found.sinks is None:
        return (*made, softmax_max.new_empty(0))
    return (*made, found.sinks.to(sinks.dtype))


def _general_backward(
    grad: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, bias, sinks = arguments[:_NUMBER_OF_INPUTS], arguments[3], arguments[6]
    softmax_max, softmax_sum, _, *attributes = arguments[_NUMBER_OF_INPUTS:]
    made, found = _gradients(grad, inputs, (softmax_max, softmax_sum), attributes)
    nothing = softmax_max.new_empty(0)
    return (
        *made,
        nothing if bias is None else found.bias.sum_to_size(bias.shape).to(bias.dtype).contiguous(),
        softmax_max.new_empty(0) if found.sinks is None else found.sinks.to(sinks.dtype),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:_NUMBER_OF_INPUTS], softmax_max, softmax_sum, out)
    ctx.attributes = inputs[_NUMBER_OF_INPUTS:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    dq, dk, dv, dsinks = _backward_op(grad.contiguous(), *saved, *ctx.attributes)
    of_sinks = None if saved[6] is None else dsinks
    return (dq, dk, dv, None, None, None, of_sinks, *[None] * len(ctx.attributes))


def _general_gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    dq, dk, dv, dbias, dsinks = _general_backward_op(grad.contiguous(), *saved, *ctx.attributes)
    of_bias, of_sinks = (
        None if saved[i] is None else found for i, found in ((3, dbias), (6, dsinks))
    )
    return (dq, dk, dv, of_bias, None, None, of_sinks, *[None] * len(ctx.attributes))


def _explain(*arguments: Any) -> tuple[str, str]:
    if arguments[-1] is not None:
        return "flash_attention with softcap", NO_SOFTCAP
    option = "an attn_mask or alibi_slopes that requires grad"
    return f"flash_attention with {option}", NO_GRADIENT_OF_A_BIAS


_backward_op = NPUOp(
    f"flash_attention_backward(Tensor grad, {_INPUTS}, {_STATISTICS}, {_ATTRIBUTES}) -> "
    "(Tensor, Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_backward,
)
flash_op = NPUOp(
    f"flash_attention({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention,
    backward=_gradient,
    setup_context=_setup,
    direct_outputs=1,
)
_general_backward_op = NPUOp(
    f"flash_attention_reference_backward(Tensor grad, {_INPUTS}, {_STATISTICS}, {_ATTRIBUTES}, "
    "float? softcap) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    None,
    _general_backward,
)
#: Also takes a softcap, and a bias of any shape and floating-point dtype, which has a gradient.
general_op = NPUOp(
    f"flash_attention_reference({_INPUTS}, {_ATTRIBUTES}, float? softcap) -> "
    "(Tensor, Tensor, Tensor)",
    None,
    _flash_attention,
    backward=_general_gradient,
    setup_context=_setup,
)
warn_on_npu(general_op, _explain)
