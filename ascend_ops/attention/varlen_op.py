"""The op behind ``flash_attention_varlen``: in CANN's terms, the ends of sequences as integers."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp
from .masks import Window, unpacked
from .reference import Scores, repeated

Tensor = torch.Tensor

_INPUTS = "Tensor query, Tensor key, Tensor value, Tensor? drop_mask, Tensor? mask"
_ATTRIBUTES = (
    "int[] query_ends, int[] key_ends, float scale, float keep_probability, int before, "
    "int after, int sparse_mode"
)


class _Sequences:
    """The tokens of each sequence in turn, as ``[1, N, S, D]``."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        drop_mask: Tensor | None,
        mask: Tensor | None,
        query_ends: list[int],
        key_ends: list[int],
        scale: float,
        keep_probability: float,
        before: int,
        after: int,
        sparse_mode: int,
    ) -> None:
        del mask  # compressed: the mode says as much
        self.queries = [(a, b) for a, b in zip([0, *query_ends], query_ends, strict=False)]
        keys = [(a, b) for a, b in zip([0, *key_ends], key_ends, strict=False)]
        heads = query.shape[1]
        counts = [
            heads * (b - a) * (d - c) for (a, b), (c, d) in zip(self.queries, keys, strict=True)
        ]
        bits = None if drop_mask is None else unpacked(drop_mask, sum(counts))
        self.scores = []
        begin = 0
        for (a, b), (c, d), count in zip(self.queries, keys, counts, strict=True):
            scores = Scores.of(
                _sequence(query, a, b),
                _sequence(key, c, d),
                _sequence(value, c, d),
                scale=scale,
                window=Window(sparse_mode, before, after),
                keep=None if bits is None else bits[begin : begin + count],
                keep_probability=keep_probability,
            )
            self.scores.append(scores)
            begin += count


def _sequence(x: Tensor, begin: int, end: int) -> Tensor:
    return x[begin:end].transpose(0, 1).unsqueeze(0)


def _tokens(parts: list[Tensor], like: Tensor, columns: int) -> Tensor:
    """``[T, N, columns]`` of all sequences."""
    if not parts:
        return like.new_empty(0, like.shape[1], columns)
    return torch.cat([part.squeeze(0).transpose(0, 1) for part in parts]).contiguous()


def _flash_attention_varlen(
    query: Tensor, key: Tensor, value: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    outputs, maxima, sums = [], [], []
    for scores in _Sequences(query, key, value, *rest).scores:
        largest, total = scores.statistics()
        outputs.append(scores.dropped(scores.probabilities(largest, total)) @ scores.value)
        maxima.append(largest)
        sums.append(total)
    return (
        _tokens(outputs, query, value.shape[2]).to(query.dtype),
        repeated(_tokens(maxima, query, 1)),
        repeated(_tokens(sums, query, 1)),
    )


def _flash_attention_varlen_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    drop_mask: Tensor | None,
    mask: Tensor | None,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    output: Tensor,  # noqa: ARG001 - CANN's kernel takes it instead of a second product
    *attributes: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    sequences = _Sequences(query, key, value, drop_mask, mask, *attributes)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for scores, (begin, end) in zip(sequences.scores, sequences.queries, strict=True):
        of_tokens, largest, total = (
            _sequence(x, begin, end) for x in (grad, softmax_max[..., :1], softmax_sum[..., :1])
        )
        grads, _ = scores.gradients(of_tokens, largest, total, attributes[2])
        for part, found in zip(parts, grads, strict=True):
            part.append(found)
    dq, dk, dv = (
        _tokens(part, x, x.shape[2]).to(x.dtype)
        for part, x in zip(parts, (query, key, value), strict=True)
    )
    return dq, dk, dv


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:5], softmax_max, softmax_sum, out)
    ctx.attributes = inputs[5:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    grads = _backward_op(grad.contiguous(), *ctx.saved_tensors, *ctx.attributes)
    return (*grads, None, None, *[None] * len(ctx.attributes))


_backward_op = NPUOp(
    f"flash_attention_varlen_backward(Tensor grad, {_INPUTS}, Tensor softmax_max, "
    f"Tensor softmax_sum, Tensor output, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_varlen_backward,
)
flash_attention_varlen_op = NPUOp(
    f"flash_attention_varlen({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_varlen,
    backward=_gradient,
    setup_context=_setup,
)
