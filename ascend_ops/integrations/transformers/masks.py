"""Masks that state their pattern, so that no ``[Sq, Skv]`` mask is made unless something reads it.

Transformers calls :func:`attention_mask` once per forward pass and kind of layer, and hands its
result to every layer. Whatever the host must know, such as the lengths of packed sequences, is
read from the device here, so that no layer has to wait for the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_map_only
from transformers import masking_utils
from transformers.utils.import_utils import is_tracing

from .patterns import Pattern, pattern_of

Tensor = torch.Tensor


@dataclass(frozen=True)
class Rule:
    """Which keys each query sees.

    Attributes:
        is_causal: none after its own place; the last query has the place of the last key.
        window: (left, right), the numbers of keys before and after its place; None for all.
        keys: the number of keys, from the first on, that any query may see.
        padding: True for keys that may be seen, ``[B, keys]``; None for all.
        ends: the end of each packed sequence among the tokens of all rows; None if they are not
            packed.
    """

    is_causal: bool
    window: tuple[int, int] | None
    keys: int
    padding: Tensor | None
    ends: list[int] | None


class AttentionMask(Tensor):
    """A bool mask ``[B, 1, Sq, Skv]``, True for keys that a query sees, which states its rule.

    Any operation on it works on the full mask, which is made at the first one.
    """

    rule: Rule
    _make: Callable[[], Tensor | None]
    _full: Tensor | None

    @staticmethod
    def __new__(
        cls: type[AttentionMask],
        shape: tuple[int, ...],
        device: torch.device,
        rule: Rule,
        make: Callable[[], Tensor | None],
    ) -> AttentionMask:
        mask: AttentionMask = torch.Tensor._make_wrapper_subclass(
            cls, shape, dtype=torch.bool, device=device
        )
        mask.rule, mask._make, mask._full = rule, make, None
        return mask

    def full(self) -> Tensor:
        """Return the mask as a plain tensor."""
        if self._full is None:
            made = self._make()
            assert made is not None  # it allows no skip
            self._full = made.expand(self.shape)
        return self._full

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"AttentionMask({list(self.shape)}, {self.rule})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        plain = tree_map_only(cls, cls.full, (arguments, options or {}))
        return function(*plain[0], **plain[1])


def attention_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] = masking_utils.causal_mask_function,
    attention_mask: Tensor | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    use_vmap: bool = False,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Tensor | None:
    """Return the mask of a forward pass, the mask function of Transformers' mask interface.

    Returns:
        None if ``is_causal`` of the layer states all of it, an :class:`AttentionMask` if the
        pattern is known, else a bool mask ``[B, 1, Sq, Skv]``: for chunked attention, functions of
        the user, and within torch.compile. A mask of one query is always a plain one.
    """

    plain: Callable[..., Tensor | None] = functools.partial(
        masking_utils.sdpa_mask,
        **options,
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        q_offset=q_offset,
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        use_vmap=use_vmap,
        device=device,
    )
    rule = None
    if q_length > 1 and not use_vmap and not is_tracing(attention_mask):
        pattern = pattern_of(mask_function)
        padding = masking_utils.prepare_padding_mask(attention_mask, kv_length, kv_offset)
        if padding is not None:
            padding = padding[:, kv_offset : kv_offset + kv_length]
        rule = _rule(pattern, q_length, kv_length, q_offset, kv_offset, padding)
    skips = allow_is_causal_skip, allow_is_bidirectional_skip
    if rule is None:
        return plain(allow_is_causal_skip=skips[0], allow_is_bidirectional_skip=skips[1])
    if skips[not rule.is_causal] and _is_stated_by_layer(rule, q_length, kv_length):
        return None
    make = functools.partial(plain, allow_is_causal_skip=False, allow_is_bidirectional_skip=False)
    return AttentionMask((batch_size, 1, q_length, kv_length), torch.device(device), rule, make)


def _rule(
    pattern: Pattern | None,
    queries: int,
    keys: int,
    q_offset: int | Tensor,
    kv_offset: int,
    padding: Tensor | None,
) -> Rule | None:
    """Return the rule of ``pattern``, or None if there is none."""
    if pattern is None:
        return None
    begin = int(q_offset) - kv_offset  # of a static cache, q_offset is on the device
    is_causal, left, right, sequence = pattern
    if sequence is not None:
        if padding is not None or queries != keys or begin:
            return None
        return Rule(is_causal, _window(pattern, keys), keys, None, _ends(sequence))
    if is_causal:
        keys_seen = begin + queries
        if not queries <= keys_seen <= keys:
            return None
        keys, padding = keys_seen, None if padding is None else padding[:, :keys_seen]
    elif (left is not None or right is not None) and begin + queries != keys:
        return None
    if padding is not None and bool(padding.all()):
        padding = None
    return Rule(is_causal, _window(pattern, keys), keys, padding, None)


def _window(pattern: Pattern, keys: int) -> tuple[int, int] | None:
    """Return (left, right) of the pattern, or None if all keys are within it."""
    left, right = (-1 if n is None or n >= keys - 1 else n for n in (pattern.left, pattern.right))
    if left < 0 and (right < 0 or pattern.is_causal):
        return None
    return (left, 0) if pattern.is_causal else (left, right)


def _ends(sequence: Tensor) -> list[int]:
    """Return the end of each packed sequence of ``[B, S]``; the host waits for the device once."""
    numbers = sequence.cpu()
    is_first = torch.ones_like(numbers, dtype=torch.bool)
    is_first[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
    begins: list[int] = is_first.flatten().nonzero().flatten().tolist()
    return [*begins[1:], numbers.numel()]


def _is_stated_by_layer(rule: Rule, queries: int, keys: int) -> bool:
    if rule.window is not None or rule.padding is not None or rule.ends is not None:
        return False
    return not rule.is_causal or rule.keys == queries == keys
