"""``flash_attention``: attention of training, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.compiler import is_compiling

from .autocast import under_autocast
from .checks import (
    alibi_bias,
    check_numbers,
    check_sinks,
    checked_prefix,
    chosen_window,
    sizes_in_bnsd,
    split_mask,
)
from .flash_op import flash_attention_op
from .masks import ALL, NO_MASK, Window, compressed_mask, make_drop_mask

Tensor = torch.Tensor

_MOST_KNOWN = 1024
_known: dict[Any, tuple[Any, ...]] = {}


class _Options(NamedTuple):
    is_causal: bool
    scale: float | None
    layout: str
    num_heads: int | None
    causal_alignment: str


class _Extras(NamedTuple):
    """What few calls have."""

    dropout_p: float = 0.0
    attn_mask: Tensor | None = None
    window: tuple[int, int] | None = None
    prefix: Sequence[int] | None = None
    alibi_slopes: Tensor | None = None
    sinks: Tensor | None = None


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    layout: str = "BNSD",
    num_heads: int | None = None,
    causal_alignment: str = "upper_left",
    window: tuple[int, int] | None = None,
    prefix: Sequence[int] | None = None,
    alibi_slopes: Tensor | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """``softmax(query key^T scale + bias) value`` over the keys that each query may see.

    The first arguments are those of :func:`torch.nn.functional.scaled_dot_product_attention`. Heads
    of key and value may be fewer (grouped and multi-query attention): each serves equally many.

    Args:
        query: ``[B, N, S, D]`` in layout ``"BNSD"``, ``[B, S, N, D]`` in ``"BSND"``,
            ``[B, S, N D]`` in ``"BSH"``, ``[S, B, N D]`` in ``"SBH"``; fp32, fp16 or bf16 (fp64 on
            the CPU only); N up to 256, D up to 768, S up to 2^20.
        key, value: the same with S and N of their own, N dividing the query's; value's D may be
            smaller.
        attn_mask: ``[B or 1, N or 1, Sq, Skv]`` or ``[Sq, Skv]``: bool, True where a query may see
            a key, or of query's dtype, added to the scaled scores; without a gradient.
        dropout_p: the part of the probabilities that is dropped, from 0 to below 1, by torch's
            generator of the device. It drops whenever it is not 0: pass 0 in evaluation.
        is_causal: query i sees the keys up to i (``causal_alignment="upper_left"``, as in torch) or
            up to i + Skv - Sq (``"lower_right"``, as in flash-attn).
        scale: of the scores; ``1 / sqrt(D)`` by default.
        num_heads: N of the query, for ``"BSH"`` and ``"SBH"``.
        window: (left, right): query i sees the keys from i + Skv - Sq - left to i + Skv - Sq +
            right; -1 for no limit. Without ``is_causal``.
        prefix: a length a batch (up to 2048 of them): causal to the lower right, and the first keys
            are seen by all.
        alibi_slopes: fp32 ``[N]`` or ``[B, N]``: adds ``-slope |i + Skv - Sq - j|``
            (arXiv:2108.12409). Not differentiable.
        sinks: fp32 ``[N]``: a further score in the softmax of each row, without a value
            (arXiv:2309.17453).

    The result has query's shape (value's D) and dtype; softmax is in fp32. Differentiable in query,
    key, value and sinks. A query that sees no key gets 0, where torch's function gives NaN. Under
    autocast the inputs are cast to its dtype. On an NPU: aclnnFlashAttentionScoreV3, else V2, else
    the first; only V3 takes sinks, and the first adds no bias to scaled scores. Gradients add in no
    fixed order unless ``torch.use_deterministic_algorithms(True)``. Formula: Dao et al. 2022,
    arXiv:2205.14135.

    Raises TypeError for a dtype, ValueError for a shape, a device, a layout or options that
    contradict each other, RuntimeError for sinks or a bias that this CANN has no function for.
    """
    query, key, value, attn_mask = under_autocast(query, key, value, attn_mask)
    options = _Options(is_causal, scale, layout, num_heads, causal_alignment)
    if (
        type(query) is Tensor
        and not dropout_p
        and attn_mask is None
        and window is None
        and prefix is None
        and alibi_slopes is None
        and sinks is None
        and not is_compiling()
    ):
        rest = _checked_before(query, key, value, options)
    else:
        extras = _Extras(dropout_p, attn_mask, window, prefix, alibi_slopes, sinks)
        rest = _checked(query, key, value, options, extras)
    output: Tensor = flash_attention_op(query, key, value, *rest)[0]
    return output


def _checked_before(
    query: Tensor, key: Tensor, value: Tensor, options: _Options
) -> tuple[Any, ...]:
    """What :func:`_checked` gives, which depends on nothing else where there are no extras.

    A call like one before costs a sixth of the checks' time.
    """
    known = (query.shape, key.shape, value.shape, query.dtype, key.dtype, value.dtype)
    call = (*known, query.device, key.device, value.device, options)
    try:
        rest = _known.get(call)
    except TypeError:  # a list for a layout or a number: the checks have words for it
        return _checked(query, key, value, options, _Extras())
    if rest is None:
        rest = _checked(query, key, value, options, _Extras())
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[call] = rest
    return rest


def _checked(
    query: Tensor, key: Tensor, value: Tensor, options: _Options, extras: _Extras
) -> tuple[Any, ...]:
    """The arguments of the op after the first three."""
    layout, dropout_p = options.layout, extras.dropout_p
    sizes = sizes_in_bnsd(query, key, value, layout, options.num_heads)
    batch, heads, queries, keys = sizes
    chosen = chosen_window(options.is_causal, options.causal_alignment, extras.window)
    prefix, chosen = checked_prefix(extras.prefix, batch, queries, keys, chosen)
    scale = options.scale
    if scale is None:
        scale = (query.shape[-1] if query.dim() == 4 else query.shape[-1] // heads) ** -0.5
    check_numbers(scale, dropout_p)
    mask, bias, chosen = _mask_and_bias(extras, query, sizes, chosen)
    if extras.sinks is not None:
        check_sinks(extras.sinks, query, heads)
    drop_mask = None
    if dropout_p:
        drop_mask = make_drop_mask(batch * heads * queries * keys, dropout_p, query.device)
    limits = (chosen.before, chosen.after, heads, layout, chosen.mode)
    return (bias, drop_mask, mask, extras.sinks, prefix, scale, 1 - dropout_p, *limits)


def _mask_and_bias(
    extras: _Extras, query: Tensor, sizes: tuple[int, int, int, int], chosen: Window
) -> tuple[Tensor | None, Tensor | None, Window]:
    """In CANN's terms; raises ValueError for a boolean mask beside a window."""
    mask = bias = None
    if extras.attn_mask is not None:
        mask, bias = split_mask(extras.attn_mask, query, sizes)
    if extras.alibi_slopes is not None:
        slopes = alibi_bias(extras.alibi_slopes, query, sizes)
        bias = slopes if bias is None else bias + slopes
    if mask is None:
        return compressed_mask(chosen.mode, query.device), bias, chosen
    if chosen.mode != NO_MASK:
        raise ValueError("attn_mask: expected no boolean mask with is_causal, window or prefix")
    return mask, bias, Window(ALL)
