"""``attn_implementation="ascend_ops"``: the attention function of Transformers' interface."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

import ascend_ops
from op_builder.ops.flash_attention import FlashAttentionBuilder

from ...attention.fallback import why_not_aclnn
from .counting import COUNTER
from .masks import AttentionMask

Tensor = torch.Tensor

#: Arguments that change which keys a query sees, or how, and that no op here implements.
_REFUSED = ("indices", "block_indices", "sinks", "head_mask", "block_table")


def attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Compute a layer's attention with :func:`ascend_ops.flash_attention`.

    Args:
        module: the layer; its ``is_causal`` counts if the argument is None.
        query: ``[B, N, Sq, D]``.
        key: ``[B, N', Skv, D]`` with N' dividing N.
        value: like key.
        attention_mask: what :func:`.masks.attention_mask` returned, or a mask of the user, bool or
            added to the scores.
        dropout: the part of the probabilities that is dropped.
        scaling: the factor of the scores; ``1 / sqrt(D)`` by default.
        sliding_window: the number of keys that each query sees, if there is no mask.
        softcap: scores are ``softcap tanh(score / softcap)``.
        is_causal: whether queries see no later keys, if there is no mask.
        s_aux: ``[N]``, attention sinks.
        position_bias: ``[B or 1, N, Sq, Skv]``, added to the scores; may require grad.
        cu_seq_lens_q: the place at which each packed sequence begins, and the end of the last.
        cu_seq_lens_k: the same for key and value.
        options: arguments of other implementations, which change nothing here.

    Returns:
        ``[B, Sq, N, D]``, and None for the probabilities, which the op does not return.

    Raises:
        ValueError: for an argument that is not implemented.
    """
    _refuse(options)
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    extras: dict[str, Any] = {"dropout_p": dropout, "scale": scaling}
    is_plain = softcap is None and s_aux is None and position_bias is None
    ends = _packed_ends(attention_mask, cu_seq_lens_q, cu_seq_lens_k, is_plain)
    if ends is not None:
        seen = _seen(is_causal, sliding_window, attention_mask, key.shape[2], packed=True)
        return _packed(query, key, value, ends, seen, extras), None
    seen = _seen(is_causal and query.shape[2] > 1, sliding_window, attention_mask, key.shape[2])
    mask = _with_bias(seen.mask, position_bias, seen.keys)
    output = ascend_ops.flash_attention(
        query,
        key[:, :, : seen.keys],
        value[:, :, : seen.keys],
        mask,
        is_causal=seen.is_causal,
        causal_alignment="lower_right",
        window=seen.window,
        sinks=s_aux,
        softcap=softcap,
        **extras,
    )
    _count(query, mask, softcap)
    return output.transpose(1, 2).contiguous(), None


class _Seen(NamedTuple):
    """Which keys each query sees, in the terms of :func:`ascend_ops.flash_attention`."""

    is_causal: bool
    window: tuple[int, int] | None
    keys: int
    mask: Tensor | None = None


def _seen(
    is_causal: bool,
    sliding_window: int | None,
    mask: Tensor | None,
    keys: int,
    *,
    packed: bool = False,
) -> _Seen:
    """Return what the mask states, or the layer if there is none."""
    if isinstance(mask, AttentionMask):
        rule = mask.rule
        if packed or rule.ends is None:
            padding = None if rule.padding is None else rule.padding[:, None, None, :]
            return _Seen(rule.is_causal and rule.window is None, rule.window, rule.keys, padding)
        mask = mask.full()
    if mask is not None:
        return _Seen(False, None, keys, mask[..., :keys])
    if not is_causal or sliding_window is None or sliding_window >= keys:
        return _Seen(is_causal, None, keys)
    return _Seen(False, (sliding_window - 1, 0), keys)


def _refuse(options: dict[str, Any]) -> None:
    """Raise ValueError for an argument that would change the result and is not implemented."""
    if options.get("output_attentions"):
        raise ValueError(
            "output_attentions must be False with attn_implementation='ascend_ops', got True: the "
            "op does not return probabilities; use attn_implementation='eager'"
        )
    for name in _REFUSED:
        if options.get(name) is not None:
            raise ValueError(
                f"{name} must be None with attn_implementation='ascend_ops', got "
                f"{type(options[name]).__name__}: use the implementation that this model documents"
            )


def _with_bias(mask: Tensor | None, bias: Tensor | None, keys: int) -> Tensor | None:
    """Return one argument for both: a bool mask, or values that are added to the scores."""
    if bias is None:
        return mask
    bias = bias[..., :keys]
    if mask is None:
        return bias
    return bias.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else bias + mask


def _count(query: Tensor, mask: Tensor | None, softcap: float | None) -> None:
    reason = why_not_aclnn(mask, softcap)
    if reason:
        COUNTER.fall_back("flash_attention", reason)
    else:
        COUNTER.call("flash_attention", FlashAttentionBuilder, query)


def _packed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ends: tuple[list[int], list[int]],
    seen: _Seen,
    extras: dict[str, Any],
) -> Tensor:
    """Compute packed sequences; their ends are among the tokens of all rows of the batch."""
    output = ascend_ops.flash_attention_varlen(
        *(x.transpose(1, 2).flatten(0, 1) for x in (query, key, value)),
        *([0, *some] for some in ends),
        is_causal=seen.is_causal,
        window=seen.window,
        **extras,
    )
    COUNTER.call("flash_attention_varlen", FlashAttentionBuilder, query)
    result: Tensor = output.unflatten(0, (query.shape[0], query.shape[2]))
    return result


def _packed_ends(
    mask: Tensor | None,
    cu_seq_lens_q: Tensor | None,
    cu_seq_lens_k: Tensor | None,
    is_plain: bool,
) -> tuple[list[int], list[int]] | None:
    """Return the ends of packed sequences of queries and of keys; None if a mask is to be used."""
    if isinstance(mask, AttentionMask) and mask.rule.ends is not None:
        return (mask.rule.ends, mask.rule.ends) if is_plain else None
    if mask is not None or cu_seq_lens_q is None:
        return None
    if not is_plain:
        raise ValueError(
            "cu_seq_lens_q must be None with softcap, s_aux or position_bias, got lengths: pass "
            "position_ids that start again at each sequence"
        )
    of_queries = _on_host(cu_seq_lens_q)
    of_keys = of_queries if cu_seq_lens_k is None else _on_host(cu_seq_lens_k)
    return of_queries[1:], of_keys[1:]


#: The tensors whose values are known: every layer of a forward pass gets the same ones.
_read: dict[int, tuple[weakref.ref[Tensor], int, list[int]]] = {}


def _on_host(lengths: Tensor | Sequence[int]) -> list[int]:
    """Return the values; of a tensor on the device, they are read once for all layers."""
    if not isinstance(lengths, Tensor):
        return list(lengths)
    known = _read.get(id(lengths))
    if known is not None and known[0]() is lengths and known[1] == lengths._version:
        return known[2]
    for gone in [k for k, (reference, _, _) in list(_read.items()) if reference() is None]:
        del _read[gone]
    values: list[int] = lengths.tolist()
    _read[id(lengths)] = (weakref.ref(lengths), lengths._version, values)
    return values
