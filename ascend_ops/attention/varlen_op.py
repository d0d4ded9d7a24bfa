"""The ops of ``flash_attention_varlen``: on aclnn, and in torch for what aclnn cannot compute."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp, warn_on_npu
from .layouts import sequence_to_bnsd, sequences_from_bnsd
from .masks import Window, unpacked
from .reference import Gradients, Scores, repeated

Tensor = torch.Tensor

_INPUTS = "Tensor query, Tensor key, Tensor value, Tensor? drop_mask"
_ATTRIBUTES = (
    "int[] query_ends, int[] key_ends, float scale, float keep_probability, int before, "
    "int after, int sparse_mode"
)
_SCALE = 2  # position in _ATTRIBUTES


class _Sequences:
    """The scores of each sequence, and the begin and end of its queries."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        drop_mask: Tensor | None,
        sinks: Tensor | None,
        query_ends: list[int],
        key_ends: list[int],
        scale: float,
        keep_probability: float,
        before: int,
        after: int,
        sparse_mode: int,
        softcap: float | None = None,
    ) -> None:
        self.queries = list(itertools.pairwise((0, *query_ends)))
        keys = list(itertools.pairwise((0, *key_ends)))
        heads = query.shape[1]
        counts = [
            heads * (b - a) * (d - c) for (a, b), (c, d) in zip(self.queries, keys, strict=True)
        ]
        bits = None if drop_mask is None else unpacked(drop_mask, sum(counts))
        self.scores = []
        begin = 0
        for (a, b), (c, d), count in zip(self.queries, keys, counts, strict=True):
            scores = Scores.of(
                sequence_to_bnsd(query, a, b),
                sequence_to_bnsd(key, c, d),
                sequence_to_bnsd(value, c, d),
                scale=scale,
                window=Window(sparse_mode, before, after),
                keep=None if bits is None else bits[begin : begin + count],
                keep_probability=keep_probability,
                softcap=softcap,
                sinks=sinks,
            )
            self.scores.append(scores)
            begin += count

    def attention(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output in fp32 or fp64, and the statistics, all by token."""
        outputs, maxima, sums = [], [], []
        for scores in self.scores:
            largest, total = scores.statistics()
            outputs.append(scores.dropped(scores.probabilities(largest, total)) @ scores.value)
            maxima.append(largest)
            sums.append(total)
        output, largest, total = (sequences_from_bnsd(parts) for parts in (outputs, maxima, sums))
        return output, repeated(largest), repeated(total)

    def gradients(
        self, grad: Tensor, softmax_max: Tensor, softmax_sum: Tensor, scale: float
    ) -> list[Gradients]:
        """Return the gradients of each sequence."""
        found = []
        for scores, (begin, end) in zip(self.scores, self.queries, strict=True):
            of_tokens, largest, total = (
                sequence_to_bnsd(x, begin, end)
                for x in (grad, softmax_max[..., :1], softmax_sum[..., :1])
            )
            found.append(scores.gradients(of_tokens, largest, total, scale))
        return found


def _attention(query: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    output, softmax_max, softmax_sum = _Sequences(query, *rest).attention()
    return output.to(query.dtype), softmax_max, softmax_sum


def _without_sinks(
    query: Tensor, key: Tensor, value: Tensor, drop_mask: Tensor | None, *attributes: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return _attention(query, key, value, drop_mask, None, *attributes)


def _joined(found: list[Gradients], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return the gradients of query, key and value."""
    return [
        sequences_from_bnsd(parts).to(x.dtype)
        for parts, x in zip(zip(*(g[:3] for g in found), strict=True), inputs, strict=True)
    ]


def _backward_without_sinks(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    drop_mask: Tensor | None,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    output: Tensor,  # noqa: ARG001 - the NPU kernel uses it instead of recomputing the product
    *attributes: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    sequences = _Sequences(query, key, value, drop_mask, None, *attributes)
    found = sequences.gradients(grad, softmax_max, softmax_sum, attributes[_SCALE])
    dq, dk, dv = _joined(found, (query, key, value))
    return dq, dk, dv


def _backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    drop_mask: Tensor | None,
    sinks: Tensor | None,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    *attributes: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sequences = _Sequences(query, key, value, drop_mask, sinks, *attributes)
    found = sequences.gradients(grad, softmax_max, softmax_sum, attributes[_SCALE])
    dq, dk, dv = _joined(found, (query, key, value))
    of_sinks = [g.sinks for g in found if g.sinks is not None]
    if sinks is None:
        return dq, dk, dv, softmax_max.new_empty(0)
    return dq, dk, dv, torch.stack(of_sinks).sum(0).to(sinks.dtype)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:4], softmax_max, softmax_sum, out)
    ctx.attributes = inputs[4:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    grads = _backward_op(grad.contiguous(), *ctx.saved_tensors, *ctx.attributes)
    return (*grads, None, *[None] * len(ctx.attributes))


def _setup_general(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:5], softmax_max, softmax_sum)
    ctx.attributes = inputs[5:]


def _general_gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    *grads, dsinks = _general_backward_op(grad.contiguous(), *saved, *ctx.attributes)
    of_sinks = None if saved[4] is None else dsinks
    return (*grads, None, of_sinks, *[None] * len(ctx.attributes))


def _explain(*arguments: Any) -> tuple[str, str]:
    option = "sinks" if arguments[-1] is None else "softcap"
    return (
        f"flash_attention_varlen with {option}",
        f"aclnnFlashAttentionVarLenScore has no {option}",
    )


_backward_op = NPUOp(
    f"flash_attention_varlen_backward(Tensor grad, {_INPUTS}, Tensor softmax_max, "
    f"Tensor softmax_sum, Tensor output, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _backward_without_sinks,
)
varlen_op = NPUOp(
    f"flash_attention_varlen({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _without_sinks,
    backward=_gradient,
    setup_context=_setup,
)
_general_backward_op = NPUOp(
    f"flash_attention_varlen_reference_backward(Tensor grad, {_INPUTS}, Tensor? sinks, "
    f"Tensor softmax_max, Tensor softmax_sum, {_ATTRIBUTES}, float? softcap) -> "
    "(Tensor, Tensor, Tensor, Tensor)",
    None,
    _backward,
)
#: Also takes sinks and a softcap.
general_varlen_op = NPUOp(
    f"flash_attention_varlen_reference({_INPUTS}, Tensor? sinks, {_ATTRIBUTES}, float? softcap) "
    "-> (Tensor, Tensor, Tensor)",
    None,
    _attention,
    backward=_general_gradient,
    setup_context=_setup_general,
)
warn_on_npu(general_varlen_op, _explain)
