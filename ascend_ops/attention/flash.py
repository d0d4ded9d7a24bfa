"""``flash_attention``: attention for training, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.compiler import is_compiling

from op_builder.ops.flash_attention import FlashAttentionBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .autocast import under_autocast
from .checks import check_numbers, check_sinks, checked_prefix, chosen_window
from .layouts import from_bnsd, key_heads, sizes_in_bnsd, to_bnsd
from .masks import (
    ALL,
    NO_MASK,
    MaskRule,
    Window,
    alibi_bias,
    make_drop_mask,
    split_mask,
    unpacked,
)
from .reference import Scores, repeated

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
    )


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
    output: Tensor,  # noqa: ARG001 - the NPU kernel uses it instead of recomputing the product
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
_flash_op = NPUOp(
    f"flash_attention({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    FlashAttentionBuilder,
    _flash_attention,
    backward=_gradient,
    setup_context=_setup,
)

_MASK_RULE = MaskRule(dimensions=(0, 1, 2, 3, 4), bool_per_head=True, broadcasts_tokens=False)
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
) -> Tensor:
    """Compute ``softmax(query key^T scale + bias) value`` over the keys that each query may see.

    The first arguments are those of :func:`torch.nn.functional.scaled_dot_product_attention`. Key
    and value may have fewer heads than query (grouped-query and multi-query attention): each of
    them serves the same number of query heads. The softmax is computed in fp32, and a query that
    sees no key, or only keys to which a float mask adds -inf, gets 0 and has gradients of 0, as in
    torch. The op is differentiable in query, key, value and sinks; gradients are summed in no fixed
    order unless you call ``torch.use_deterministic_algorithms(True)``. Under autocast the inputs
    are cast to its dtype.

    NPU tensors are computed by aclnnFlashAttentionScoreV3, V2 or the first version, whichever this
    CANN has. Only V3 takes sinks, and the first version takes no bias. Formula: Dao et al. 2022,
    arXiv:2205.14135.

    Args:
        query: ``[B, N, S, D]`` in layout ``"BNSD"``, ``[B, S, N, D]`` in ``"BSND"``,
            ``[B, S, N D]`` in ``"BSH"``, ``[S, B, N D]`` in ``"SBH"``; fp32, fp16 or bf16 (fp64 on
            the CPU only); N up to 256, D up to 768, S up to 2^20.
        key: in the same layout and dtype, with its own S and a number of heads that divides N.
        value: like key; its D may be smaller.
        attn_mask: ``[B or 1, N or 1, Sq, Skv]`` or ``[Sq, Skv]``: bool, True if a query may see a
            key, or query's dtype, added to the scaled scores. It gets no gradient.
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
            scores (arXiv:2108.12409). It gets no gradient.
        sinks: fp32 ``[N]``: one more score, without a value, in the softmax of each row
            (arXiv:2309.17453).

    Returns:
        The attention in query's layout and dtype, with value's D.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, device or layout, or options that contradict each other.
        RuntimeError: if sinks or a bias require a newer CANN.

    Example:
        >>> import torch
        >>> from ascend_ops import flash_attention
        >>> query = torch.randn(2, 8, 16, 64)
        >>> key, value = torch.randn(2, 2, 2, 16, 64)
        >>> flash_attention(query, key, value, is_causal=True).shape
        torch.Size([2, 8, 16, 64])
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
        rest = _checked_once(query, key, value, options)
    else:
        extras = _Extras(dropout_p, attn_mask, window, prefix, alibi_slopes, sinks)
        rest = _checked(query, key, value, options, extras)
    output: Tensor = _flash_op(query, key, value, *rest)[0]
    return output


def _checked_once(query: Tensor, key: Tensor, value: Tensor, options: _Options) -> tuple[Any, ...]:
    """Memoize :func:`_checked` for a call without extras: a hit takes a sixth of its time."""
    known = (query.shape, key.shape, value.shape, query.dtype, key.dtype, value.dtype)
    call = (*known, query.device, key.device, value.device, options)
    try:
        rest = _memoized.get(call)
    except TypeError:  # an option that cannot be hashed, such as a list: the checks report it
        return _checked(query, key, value, options, _Extras())
    if rest is None:
        rest = _checked(query, key, value, options, _Extras())
        if len(_memoized) >= _MAX_MEMOIZED:
            _memoized.clear()
        _memoized[call] = rest
    return rest


def _checked(
    query: Tensor, key: Tensor, value: Tensor, options: _Options, extras: _Extras
) -> tuple[Any, ...]:
    """Check all arguments; return those of the op after the first three."""
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
    """Return both in CANN's terms; raise ValueError for a bool mask beside a window."""
    mask = bias = None
    if extras.attn_mask is not None:
        mask, bias = split_mask(extras.attn_mask, query, sizes, _MASK_RULE)
    if extras.alibi_slopes is not None:
        slopes = alibi_bias(extras.alibi_slopes, query, sizes)
        bias = slopes if bias is None else bias + slopes
    if mask is None:
        return None, bias, chosen
    if chosen.mode != NO_MASK:
        raise ValueError(
            "attn_mask must be a float bias with is_causal, window or prefix, got a bool mask: "
            "combine both in the mask, or pass one of them"
        )
    return mask, bias, Window(ALL)
