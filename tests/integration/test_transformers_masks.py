"""The rules of masks: equal to the masks that Transformers builds, and built only when read."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="Transformers is not installed")

from transformers import masking_utils as hf

from ascend_ops.integrations.transformers.masks import AttentionMask, attention_mask

LEFT = torch.tensor([[1] * 8, [0, 0] + [1] * 6]).bool()
SEQUENCE = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 2]])
PLACES = torch.tensor([[0, 1, 2, 0, 1, 0, 1, 2], [4, 0, 1, 2, 3, 4, 0, 1]])
PACKED = hf.and_masks(
    hf.remap_positions_for_packed_sequence(hf.sliding_window_causal_mask_function(3), PLACES),
    hf.packed_sequence_mask_function(SEQUENCE),
)
WINDOW = hf.sliding_window_causal_mask_function(3)
BOTH_WAYS = hf.sliding_window_bidirectional_mask_function(2)

CASES: dict[str, dict[str, Any]] = {
    "causal": {},
    "causal, padding": {"attention_mask": LEFT},
    "chunked prefill": {"q_length": 5, "q_offset": 3, "attention_mask": LEFT},
    "static cache": {"q_length": 5, "q_offset": torch.tensor(1), "attention_mask": LEFT[:, :6]},
    "empty static cache": {"q_length": 5},
    "window": {"mask_function": WINDOW, "local_size": 3},
    "window, padding": {"mask_function": WINDOW, "local_size": 3, "attention_mask": LEFT},
    "window, cache": {
        "mask_function": WINDOW,
        "local_size": 3,
        "q_length": 3,
        "kv_length": 5,
        "q_offset": 5,
        "kv_offset": 3,
        "attention_mask": LEFT,
    },
    "bidirectional, padding": {
        "mask_function": hf.bidirectional_mask_function,
        "attention_mask": LEFT,
    },
    "cross attention": {
        "mask_function": hf.bidirectional_mask_function,
        "attention_mask": LEFT,
        "q_length": 3,
    },
    "window both ways": {"mask_function": BOTH_WAYS, "local_size": 2},
    "packed": {"mask_function": PACKED, "allow_is_causal_skip": False},
}


def arguments(case: str) -> dict[str, Any]:
    return {"batch_size": 2, "q_length": 8, "kv_length": 8, **CASES[case]}


def expanded(mask: AttentionMask) -> torch.Tensor:
    """Return what the rule states, score by score."""
    rule = mask.rule
    batch, _, queries, keys = mask.shape
    seen = torch.zeros(batch, 1, queries, keys, dtype=torch.bool)
    of_token = torch.zeros(batch, keys, dtype=torch.long)
    if rule.ends is not None:
        of_token = torch.bucketize(torch.arange(batch * keys), torch.tensor(rule.ends), right=True)
        of_token = of_token.reshape(batch, keys)
    for b in range(batch):
        for i in range(queries):
            place = i + rule.keys - queries
            for j in range(rule.keys):
                left, right = rule.window or (-1, -1)
                seen[b, 0, i, j] = (
                    not (rule.is_causal and j > place)
                    and (left < 0 or j >= place - left)
                    and (right < 0 or j <= place + right)
                    and (rule.padding is None or bool(rule.padding[b, j]))
                    and (rule.ends is None or of_token[b, place] == of_token[b, j])
                )
    return seen


@pytest.mark.parametrize("case", CASES)
def test_the_rule_equals_the_mask_of_transformers(case: str) -> None:
    mask = attention_mask(**arguments(case))
    if case == "causal":
        assert mask is None
        return
    assert isinstance(mask, AttentionMask)
    full = hf.sdpa_mask(**{**arguments(case), "allow_is_causal_skip": False})
    assert torch.equal(expanded(mask), full)
    assert mask._full is None
    assert torch.equal(mask & True, full)
    assert mask.shape == full.shape


def test_what_the_layer_states_needs_no_mask() -> None:
    ones = torch.ones(2, 8, dtype=torch.bool)
    both = hf.bidirectional_mask_function
    assert attention_mask(2, 8, 8, attention_mask=ones) is None
    assert attention_mask(2, 8, 8, mask_function=both, allow_is_bidirectional_skip=True) is None
    assert attention_mask(2, 8, 8, allow_is_causal_skip=False) is not None


def test_unknown_functions_and_single_queries_get_a_plain_mask() -> None:
    chunked = hf.chunked_causal_mask_function(4, torch.zeros(2, dtype=torch.long))
    either = hf.or_masks(hf.causal_mask_function, lambda b, h, i, j: j == 5)
    remapped = hf.remap_positions_for_packed_sequence(hf.causal_mask_function, PLACES)
    for function, queries in ((chunked, 8), (either, 8), (remapped, 8), (WINDOW, 1)):
        options = {
            "mask_function": function,
            "allow_is_causal_skip": False,
            "q_offset": 8 - queries,
        }
        mask = attention_mask(2, queries, 8, **options)
        assert type(mask) is torch.Tensor
        assert torch.equal(mask, hf.sdpa_mask(2, queries, 8, **options))
