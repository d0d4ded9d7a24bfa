"""``flash_attention_varlen``: attention of concatenated sequences, with gradients."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .autocast import under_autocast
from .checks import check_numbers, chosen_window
from .empty_sequences import without_empty_sequences
from .layouts import sequence_to_bnsd, sequences_from_bnsd
from .masks import Window, make_drop_mask, unpacked
from .reference import Scores, repeated
from .sequences import checked_ends, lengths_of

Tensor = torch.Tensor

_INPUTS = "Tensor query, Tensor key, Tensor value, Tensor? drop_mask"
_ATTRIBUTES = (
    "int[] query_ends, int[] key_ends, float scale, float keep_probability, int before, "
    "int after, int sparse_mode"
)


class _Sequences:
    """The scores of each sequence, and the begin and end of its queries."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        drop_mask: Tensor | None,
        query_ends: list[int],
        key_ends: list[int],
        scale: float,
        keep_probability: float,
        before: int,
        after: int,
        sparse_mode: int,
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
            )
            self.scores.append(scores)
            begin += count


def _flash_attention_varlen(
    query: Tensor, key: Tensor, value: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    outputs, maxima, sums = [], [], []
    for scores in _Sequences(query, key, value, *rest).scores:
        largest, total = scores.statistics()
        outputs.append(scores.dropped(scores.probabilities(largest, total)) @ scores.value)
        maxima.append(largest)
        sums.append(total)
    output, softmax_max, softmax_sum = (
        sequences_from_bnsd(parts) for parts in (outputs, maxima, sums)
    )
    return output.to(query.dtype), repeated(softmax_max), repeated(softmax_sum)


def _flash_attention_varlen_backward(
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
    sequences = _Sequences(query, key, value, drop_mask, *attributes)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for scores, (begin, end) in zip(sequences.scores, sequences.queries, strict=True):
        of_tokens, largest, total = (
            sequence_to_bnsd(x, begin, end)
            for x in (grad, softmax_max[..., :1], softmax_sum[..., :1])
        )
        grads = scores.gradients(of_tokens, largest, total, attributes[2])
        for part, found in zip(parts, grads[:3], strict=True):
            part.append(found)
    dq, dk, dv = (
        sequences_from_bnsd(part).to(x.dtype)
        for part, x in zip(parts, (query, key, value), strict=True)
    )
    return dq, dk, dv


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:4], softmax_max, softmax_sum, out)
    ctx.attributes = inputs[4:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    grads = _backward_op(grad.contiguous(), *ctx.saved_tensors, *ctx.attributes)
    return (*grads, None, *[None] * len(ctx.attributes))


_backward_op = NPUOp(
    f"flash_attention_varlen_backward(Tensor grad, {_INPUTS}, Tensor softmax_max, "
    f"Tensor softmax_sum, Tensor output, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_varlen_backward,
)
_varlen_op = NPUOp(
    f"flash_attention_varlen({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention_varlen,
    backward=_gradient,
    setup_context=_setup,
)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_ends: list[int],
    key_ends: list[int],
    *,
    scale: float,
    dropout_p: float,
    window: Window,
) -> Tensor:
    drop_mask = None
    if dropout_p:
        pairs = zip(lengths_of(query_ends), lengths_of(key_ends), strict=True)
        scores = query.shape[1] * sum(queries * keys for queries, keys in pairs)
        drop_mask = make_drop_mask(scores, dropout_p, query.device)
    output: Tensor = _varlen_op(
        query,
        key,
        value,
        drop_mask,
        query_ends,
        key_ends,
        scale,
        1.0 - dropout_p,
        window.before,
        window.after,
        window.mode,
    )[0]
    return output


@public_op
def flash_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    *,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    causal_alignment: str = "lower_right",
    window: tuple[int, int] | None = None,
    scale: float | None = None,
) -> Tensor:
    """Compute :func:`ascend_ops.flash_attention` for each of several sequences, without padding.

    The op is differentiable in query, key and value. A query that sees no key gets 0, and
    sequences may have no queries, no keys, or neither. Under
    autocast the inputs are cast to its dtype. NPU tensors are computed by
    aclnnFlashAttentionVarLenScoreV2, or by the first version if this CANN lacks V2.

    Args:
        query: ``[T, N, D]``, the tokens of all sequences; fp32, fp16 or bf16 (fp64 on the CPU
            only); N up to 256, D up to 768.
        key: ``[T, N, D]`` with its own T and a number of heads that divides query's.
        value: like key; its D may be smaller.
        cu_seqlens_q: the place at which each sequence of query begins, and the end of the last:
            ``[0, ..., T]``, as in flash-attn; integers, or an int32 or int64 tensor. CANN takes
            them from the host, so a tensor on the device is read back first, and the host waits for
            it: keep a copy on the host if that matters.
        cu_seqlens_k: the same for key and value.
        dropout_p: as in :func:`ascend_ops.flash_attention`.
        is_causal: let each query see the keys up to its own place in its sequence.
        causal_alignment: ``"lower_right"``, as in flash-attn, or ``"upper_left"``.
        window: (left, right), as in :func:`ascend_ops.flash_attention`, within each sequence.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.

    Returns:
        ``[T, N, D]`` with value's D, in query's dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, places that decrease or do not end with T, or
            options that contradict each other.

    Example:
        >>> import torch
        >>> from ascend_ops import flash_attention_varlen
        >>> query, key, value = torch.randn(3, 12, 4, 64)  # sequences of 5 and of 7 tokens
        >>> flash_attention_varlen(query, key, value, [0, 5, 12], [0, 5, 12], is_causal=True).shape
        torch.Size([12, 4, 64])
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    query_ends, key_ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    chosen = chosen_window(is_causal, causal_alignment, window)
    if scale is None:
        scale = query.shape[2] ** -0.5
    check_numbers(scale, dropout_p)
    attention = functools.partial(_attention, scale=scale, dropout_p=dropout_p, window=chosen)
    if 0 in lengths_of(query_ends) or 0 in lengths_of(key_ends):
        return without_empty_sequences(attention, query, key, value, query_ends, key_ends)
    return attention(query, key, value, query_ends, key_ends)
