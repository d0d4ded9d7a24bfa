"""``flash_attention``: attention for training, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.compiler import is_compiling

from ..dispatch.public import public_op
from .autocast import under_autocast
from .checks import check_numbers, check_softcap, checked_prefix, checked_sinks, chosen_window
from .fallback import why_not_aclnn
from .flash_masks import masking
from .flash_op import flash_op as _flash_op
from .flash_op import general_op as _general_op
from .layouts import from_bnsd, sizes_in_bnsd, to_bnsd
from .masks import make_drop_mask

Tensor = torch.Tensor

_MAX_MEMOIZED = 1024
_memoized: dict[Any, tuple[Any, ...]] = {}


class _Options(NamedTuple):
    is_causal: bool
    scale: float | None
    layout: str
    num_heads: int | None
    causal_alignment: str


class _Extras(NamedTuple):
    """Options that few calls have."""

    dropout_p: float = 0.0
    attn_mask: Tensor | None = None
    window: tuple[int, int] | None = None
    prefix: Sequence[int] | None = None
    alibi_slopes: Tensor | None = None
    sinks: Tensor | None = None
    softcap: float | None = None


@public_op
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
    softcap: float | None = None,
) -> Tensor:
    """Compute ``softmax(query key^T scale + bias) value`` over the keys that each query may see.

    The first arguments are those of :func:`torch.nn.functional.scaled_dot_product_attention`. Key
    and value may have fewer heads than query (grouped-query and multi-query attention): each of
    them serves the same number of query heads. The softmax is computed in fp32. The op is
    differentiable in query, key, value, sinks, and a float mask; gradients are summed in no fixed
    order unless you call ``torch.use_deterministic_algorithms(True)``. Under autocast the inputs
    are cast to its dtype.

    A query that sees no key, or only keys to which a float mask adds -inf, gets 0 and has gradients
    of 0, as in torch and flash-attn. Implementations that add a dtype's lowest value instead, such
    as the eager attention of Transformers, give such a query the mean of all values; so does this
    op for a float mask of finite values.

    NPU tensors are computed by aclnnFlashAttentionScoreV3, V2 or the first version, whichever this
    CANN has. Only V3 takes sinks, and the first version takes no bias and no padding mask.
    aclnnFlashAttentionScore has no softcap, and computes no gradient of a bias: a call with a
    softcap, or with a float mask (or alibi_slopes) that requires grad, falls back to the reference
    implementation in torch, which stores all scores, and warns once with a FallbackWarning.
    Formula: Dao et al. 2022, arXiv:2205.14135.

    Args:
        query: ``[B, N, S, D]`` in layout ``"BNSD"``, ``[B, S, N, D]`` in ``"BSND"``,
            ``[B, S, N D]`` in ``"BSH"``, ``[S, B, N D]`` in ``"SBH"``; fp32, fp16 or bf16 (fp64 on
            the CPU only); N up to 256, D up to 768, S up to 2^20.
        key: in the same layout and dtype, with its own S and a number of heads that divides N.
        value: like key; its D may be smaller.
        attn_mask: ``[B or 1, N or 1, Sq or 1, Skv]``, ``[Sq, Skv]`` or, of bool, ``[B, Skv]``.
            bool: True if a query may see a key; it goes with is_causal, window and prefix. fp32 or
            query's dtype: added to the scaled scores, after rounding to query's dtype. A mask that
            all queries share (padding) becomes a bias ``[B, N, 1, Skv]``, never one per score.
        dropout_p: the part of the probabilities that is dropped, from 0 to below 1, by torch's
            generator of the device. Pass 0 in evaluation: the op has no training flag.
        is_causal: let query i see the keys up to i (``causal_alignment="upper_left"``, as in torch)
            or up to i + Skv - Sq (``"lower_right"``, as in flash-attn).
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.
        layout: ``"BNSD"``, ``"BSND"``, ``"BSH"`` or ``"SBH"``.
        num_heads: N of query; required for ``"BSH"`` and ``"SBH"``.
        causal_alignment: ``"upper_left"`` or ``"lower_right"``, see is_causal.
        window: (left, right): query i sees the keys from i + Skv - Sq - left to
            i + Skv - Sq + right; -1 means no limit. Not with is_causal.
        prefix: one length per batch entry, at most 2048 of them: all queries see that many first
            keys, besides those of a lower-right causal mask.
        alibi_slopes: fp32 ``[N]`` or ``[B, N]``: adds ``-slope |i + Skv - Sq - j|`` to the scaled
            scores (arXiv:2108.12409).
        sinks: ``[N]`` of any floating-point dtype: one more score, without a value, in the softmax
            of each row (arXiv:2309.17453).
        softcap: replace the scaled scores s by ``softcap tanh(s / softcap)`` before a bias is added
            (arXiv:2408.00118); None for no cap.

    Returns:
        The attention in query's layout and dtype, with value's D.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, device or layout, or options that contradict each other.
        RuntimeError: if sinks, a bias or a padding mask require a newer CANN.

    Example:
        >>> import torch
        >>> from ascend_ops import flash_attention
        >>> query = torch.randn(2, 8, 16, 64)
        >>> key, value = torch.randn(2, 2, 2, 16, 64)
        >>> flash_attention(query, key, value, is_causal=True).shape
        torch.Size([2, 8, 16, 64])
        >>> padding = torch.arange(16) < torch.tensor([[16], [9]])
        >>> flash_attention(query, key, value, padding, is_causal=True, softcap=50.0).shape
        torch.Size([2, 8, 16, 64])
    """
    if attn_mask is not None and attn_mask.dtype is torch.float32:
        query, key, value, _ = under_autocast(query, key, value, None)  # its cast makes -inf
    else:
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
        and softcap is None
        and not is_compiling()
    ):
        rest = _checked_once(query, key, value, options)
        direct: Tensor | None = _flash_op.direct(query, key, value, *rest)
        if direct is not None:
            return direct
        output: Tensor = _flash_op(query, key, value, *rest)[0]
        return output
    extras = _Extras(dropout_p, attn_mask, window, prefix, alibi_slopes, sinks, softcap)
    return _with_extras(query, key, value, options, extras)


def _with_extras(
    query: Tensor, key: Tensor, value: Tensor, options: _Options, extras: _Extras
) -> Tensor:
    rest, without_keys = _checked(query, key, value, options, extras)
    bias, heads = rest[0], rest[-3]
    output: Tensor
    if why_not_aclnn(bias, extras.softcap):
        output = _general_op(query, key, value, *rest, extras.softcap)[0]
    else:
        output = _flash_op(query, key, value, *rest)[0]
    if without_keys is None:
        return output
    layout = options.layout
    return from_bnsd(to_bnsd(output, layout, heads).masked_fill(without_keys, 0), layout)


def _checked_once(query: Tensor, key: Tensor, value: Tensor, options: _Options) -> tuple[Any, ...]:
    """Memoize :func:`_checked` for a call without extras: a hit takes a sixth of its time."""
    known = (query.shape, key.shape, value.shape, query.dtype, key.dtype, value.dtype)
    call = (*known, query.device, key.device, value.device, options)
    try:
        rest = _memoized.get(call)
    except TypeError:  # an option that cannot be hashed, such as a list: the checks report it
        return _checked(query, key, value, options, _Extras())[0]
    if rest is None:
        rest = _checked(query, key, value, options, _Extras())[0]
        if len(_memoized) >= _MAX_MEMOIZED:
            _memoized.clear()
        _memoized[call] = rest
    return rest


def _checked(
    query: Tensor, key: Tensor, value: Tensor, options: _Options, extras: _Extras
) -> tuple[tuple[Any, ...], Tensor | None]:
    """Check all arguments; return those of the op after the first three, and without_keys."""
    layout, dropout_p = options.layout, extras.dropout_p
    sizes = sizes_in_bnsd(query, key, value, layout, options.num_heads)
    batch, heads, queries, keys = sizes
    chosen = chosen_window(options.is_causal, options.causal_alignment, extras.window)
    prefix, chosen = checked_prefix(extras.prefix, batch, queries, keys, chosen)
    scale = options.scale
    if scale is None:
        scale = (query.shape[-1] if query.dim() == 4 else query.shape[-1] // heads) ** -0.5
    check_numbers(scale, dropout_p)
    check_softcap(extras.softcap)
    by_reference = bool(why_not_aclnn(extras.attn_mask, extras.softcap))
    masks = masking(
        extras.attn_mask, extras.alibi_slopes, query, sizes, chosen, prefix, keep_bias=by_reference
    )
    sinks = None if extras.sinks is None else checked_sinks(extras.sinks, query, heads)
    drop_mask = None
    if dropout_p:
        drop_mask = make_drop_mask(batch * heads * queries * keys, dropout_p, query.device)
    limits = (masks.window.before, masks.window.after, heads, layout, masks.window.mode)
    tensors = (masks.bias, drop_mask, masks.mask, sinks)
    return (*tensors, masks.prefix, scale, 1 - dropout_p, *limits), masks.without_keys
