"""``softmax_context`` of DeepSpeed's module ``transformer_inference``, and its key/value cache."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
import torch

from ascend_ops.integrations.deepspeed import inference
from ascend_ops.integrations.deepspeed.inference import attention, positions
from ascend_ops.integrations.deepspeed.inference.workspace import WORKSPACE

pytestmark = [
    pytest.mark.npu,
    pytest.mark.filterwarnings("error::ascend_ops.dispatch.npu_op.FallbackWarning"),
]

Tensor = torch.Tensor

_SUFFIX = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
_TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_PROMPT, _STEPS, _BATCH, _HEADS, _SIZE, _THETA = 6, 3, 2, 4, 16, 100.0
_NONE = torch.empty(1)


class Case(NamedTuple):
    """Arguments of softmax_context; the mask is made for the tokens so far."""

    kv_heads: int = -1
    rotary_dim: int = -1
    half: bool = False
    causal: bool = True
    window: int | None = None
    mask: str = ""
    alibi: bool = False


_CASES = [
    Case(),
    Case(kv_heads=2, rotary_dim=16, half=True),
    Case(kv_heads=1, rotary_dim=8),
    Case(rotary_dim=8, half=True, window=3),
    Case(causal=False, mask="bool"),
    Case(mask="bool per query", window=4),
    Case(mask="float", rotary_dim=16, half=True),
    Case(mask="float per head"),
    Case(mask="two dimensions"),
    Case(mask="too long"),
    Case(alibi=True),
    Case(alibi=True, mask="bool"),
    Case(alibi=True, mask="float"),
]


def served(name: str) -> Any:
    return inference.functions()[name]


def made_mask(case: Case, begin: int, end: int, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return a mask as DeepSpeed passes it, and what it adds to the scores: the padding is left."""
    visible = torch.ones(_BATCH, 1, end - begin, end, dtype=torch.bool)
    visible[1, ..., :2] = False
    if not case.mask:
        return _NONE, None
    lowest = torch.finfo(dtype).min
    if case.mask == "float per head":
        generator = torch.Generator().manual_seed(end)
        added = torch.randn(1, _HEADS, end - begin, end, generator=generator).to(dtype)
        return added, added.double()
    wide = torch.zeros(visible.shape, dtype=torch.float64).masked_fill(~visible, -1e30)
    if case.mask == "bool":
        return visible[:, :, :1], wide
    if case.mask == "bool per query":
        return visible, wide
    added = torch.zeros(_BATCH, 1, 1, end, dtype=dtype).masked_fill(~visible[:, :, :1], lowest)
    if case.mask == "too long":  # of a static cache
        added = torch.nn.functional.pad(added, (0, 5), value=lowest)
    return (added[:, 0, 0] if case.mask == "two dimensions" else added), wide


def rotated(x: Tensor, case: Case) -> Tensor:
    if case.rotary_dim < 0:
        return x
    dim = case.rotary_dim
    frequencies = _THETA ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * frequencies
    turned, rest = x[..., :dim], x[..., dim:]
    pairs = turned.unflatten(-1, (2, -1)) if case.half else turned.unflatten(-1, (-1, 2)).mT
    a, b = pairs[..., 0, :], pairs[..., 1, :]
    made = torch.stack(
        (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -2
    )
    return torch.cat((made.flatten(-2) if case.half else made.mT.flatten(-2), rest), -1)


def formula(case: Case, qkv: Tensor, begin: int, bias: Tensor | None, alibi: Tensor) -> Tensor:
    """Attend from the tokens ``begin`` to the end of ``[B, S, (N + 2 Nkv) D]``, in fp64."""
    kv_heads = case.kv_heads if case.kv_heads > 0 else _HEADS
    split = qkv.unflatten(-1, (_HEADS + 2 * kv_heads, _SIZE))
    query, key, value = split.split((_HEADS, kv_heads, kv_heads), 2)
    query, key = rotated(query, case)[:, begin:], rotated(key, case)
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    key, value = (x.repeat_interleave(_HEADS // kv_heads, 1) for x in (key, value))
    scores = query @ key.mT / _SIZE**0.5
    if bias is not None:
        scores = scores + bias
    if alibi.dim() > 1:
        scores = scores + alibi.double().reshape(_BATCH, _HEADS, 1, -1)
    place, places = torch.arange(begin, qkv.shape[1])[:, None], torch.arange(qkv.shape[1])
    hidden = (places > place) if case.causal else torch.zeros_like(places > place)
    if case.window is not None:
        hidden = hidden | (places <= place - case.window)
    scores = scores.masked_fill(hidden, -2e30)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def call(case: Case, dtype: torch.dtype, qkv: Tensor, mask: Tensor, alibi: Tensor) -> Any:
    return served(f"softmax_context_{_SUFFIX[dtype]}")(
        qkv, mask, case.rotary_dim, case.half, not case.half, _HEADS, case.kv_heads, _SIZE**-0.25,
        case.causal, case.window is not None, case.window or 256, not case.mask, 0, 1, alibi,
        _THETA, qkv.shape[1] > 1, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_a_prompt_and_the_tokens_after_it(device: str) -> None:
    for case, dtype in itertools.product(_CASES, _SUFFIX):
        generator = torch.Generator().manual_seed(0)
        kv_heads = case.kv_heads if case.kv_heads > 0 else _HEADS
        size = (_HEADS + 2 * kv_heads) * _SIZE
        qkv = torch.randn(_BATCH, _PROMPT + _STEPS, size, generator=generator).to(dtype)
        served("allocate_workspace_fp16")(64, _HEADS, _PROMPT, _BATCH, 1, 1, False, 0, 32, 1)
        for begin, end in [(0, _PROMPT), *((i, i + 1) for i in range(_PROMPT, _PROMPT + _STEPS))]:
            mask, bias = made_mask(case, begin, end, dtype)
            alibi = _NONE
            if case.alibi:
                alibi = torch.randn(_BATCH * _HEADS, 1, end, generator=generator).to(dtype)
            given = (qkv[:, begin:end].to(device), mask.to(device), alibi.to(device))
            output, key, value = call(case, dtype, *given)
            wanted = formula(case, qkv[:, :end].double(), begin, bias, alibi)
            if case.mask in ("bool", "bool per query", "float", "two dimensions", "too long"):
                # Queries of the padding see no key, and their result has no meaning.
                wanted[1, : max(0, 2 - begin)] = output[1, : max(0, 2 - begin)].cpu().double()
            torch.testing.assert_close(
                output.cpu().double(), wanted,
                rtol=_TOLERANCE[dtype], atol=_TOLERANCE[dtype],
                msg=lambda text, what=(case, dtype, begin): f"{what}: {text}",
            )  # fmt: skip
            assert output.dtype == dtype
            assert key.shape == value.shape == (_BATCH, kv_heads, end, _SIZE)
            torch.testing.assert_close(
                value.transpose(1, 2).flatten(2).cpu(), qkv[:, :end, -kv_heads * _SIZE :]
            )
        assert WORKSPACE.tokens == _PROMPT + _STEPS + 1


def test_tokens_after_a_prompt_are_decoded_from_the_whole_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """incre_flash_attention computes in 16 bits only, so fp32 takes flash_attention."""
    seen: list[tuple[int, ...]] = []

    def spied(query: Tensor, key: Tensor, *rest: Any, **options: Any) -> Tensor:
        seen.append(tuple(key.shape))
        return original(query, key, *rest, **options)

    original = attention.incre_flash_attention
    monkeypatch.setattr(attention, "incre_flash_attention", spied)
    for dtype in _SUFFIX:
        qkv = torch.randn(1, 5, 3 * _HEADS * _SIZE, dtype=dtype, device="npu")
        served("allocate_workspace_fp16")(64, _HEADS, 4, 1, 1, 1, False, 0, 32, 1)
        call(Case(), dtype, qkv[:, :4], _NONE, _NONE)
        call(Case(), dtype, qkv[:, 4:], _NONE, _NONE)
    assert seen == [(1, _HEADS, 32, _SIZE)] * 2


def qkv_of(batch: int, count: int, **options: Any) -> Tensor:
    return torch.randn(batch, count, 3 * _HEADS * _SIZE, **options)


def context(qkv: Tensor, layer: int = 0, layers: int = 1, **options: Any) -> Any:
    given = {"is_prompt": None, "token_idx": None, "position_ids": None, **options}
    return served("softmax_context_fp32")(
        qkv, None, -1, False, True, _HEADS, -1, _SIZE**-0.25, True, False, 256, True, layer,
        layers, None, 1e4, *given.values(),
    )  # fmt: skip


def allocate(batch: int = 2, tokens: int = 16) -> None:
    assert served("allocate_workspace_fp32")(64, _HEADS, 4, batch, 2, 1, False, 0, tokens, 1)


def test_the_workspace_counts_tokens_over_all_layers() -> None:
    allocate()
    qkv = qkv_of(2, 5)
    for layer in range(2):
        context(qkv[:, :4], layer, 2)
    assert WORKSPACE.tokens == 5  # DeepSpeed's kernels: the prompt's, and one after the last layer
    outputs = [context(qkv[:, 4:], layer, 2)[0] for layer in range(2)]
    torch.testing.assert_close(outputs[0], outputs[1])
    assert WORKSPACE.tokens == 6
    assert served("reset_cache")() is None
    first = context(qkv[:, :1], 0, 2)  # a prompt of one token
    assert first[1].shape[2] == 1
    torch.testing.assert_close(first[0], qkv[:, :1, -_HEADS * _SIZE :])


def test_a_released_workspace_is_taken_again_by_the_next_prompt() -> None:
    allocate()
    qkv = qkv_of(2, 5)
    wanted = context(qkv)[0]
    served("release_workspace")()
    assert not positions._tables
    with pytest.raises(RuntimeError, match=r"cached 5 tokens .*got 0: run a prompt"):
        context(qkv[:, :1])
    assert served("retake_workspace")()
    torch.testing.assert_close(context(qkv)[0], wanted)


def test_what_does_not_continue_the_cache_is_refused_before_it_changes() -> None:
    allocate(tokens=5)
    qkv = qkv_of(2, 5)
    _, key, _ = context(qkv[:, :4])
    kept = key.clone()
    for name, given in {
        "keys of torch.float16": qkv[:, 4:].half(),
        r"\[3, 1, 4, 16\]": qkv_of(3, 1),
    }.items():
        with pytest.raises(ValueError, match=name):
            context(given)
    mask = torch.zeros(2, 1, 1, 1)  # what Transformers passes if its cache is empty
    with pytest.raises(ValueError, match=r"each of 5 keys, got \[2, 1, 1, 1\].*use_cache=False"):
        call(Case(mask="float"), torch.float32, qkv[:, 4:], mask, _NONE)
    context(qkv[:, 4:])
    with pytest.raises(ValueError, match=r"max_out_tokens must be at least 6.*got 5: pass"):
        context(qkv[:, 4:])
    with pytest.raises(ValueError, match="max_out_tokens must be at least 6"):
        context(qkv_of(2, 6))
    with pytest.raises(ValueError, match=r"must be \[B, S, \(4 \+ 2 \* 4\) \* head_dim\]"):
        context(qkv[..., 1:])
    torch.testing.assert_close(key, kept)
    with pytest.raises(ValueError, match="rotate_half and rotate_every_two"):
        served("softmax_context_fp32")(
            qkv, _NONE, 8, True, True, _HEADS, -1, 0.5, True, False, 256, True, 0, 1, _NONE, 1e4
        )
    with pytest.raises(ValueError, match="at least min_out_tokens, 9, got 8"):
        served("allocate_workspace_fp32")(64, 4, 4, 2, 1, 1, False, 0, 8, 9)


def test_a_larger_batch_begins_with_a_prompt() -> None:
    allocate(batch=1)
    qkv = qkv_of(3, 4)
    torch.testing.assert_close(context(qkv)[0][:1], context(qkv[:1])[0])


def test_token_idx_counts_the_tokens_of_a_padded_prompt() -> None:
    allocate()
    qkv = qkv_of(2, 6)
    wanted = context(qkv[:, :4])[0]
    then = context(qkv[:, 5:])[0]
    found = context(qkv[:, :5], is_prompt=True, token_idx=torch.tensor([4]))[0]
    torch.testing.assert_close(found[:, :4], wanted)
    found = context(qkv[:, 5:], is_prompt=False, token_idx=torch.tensor([5]))
    assert found[1].shape[2] == 5  # the fifth token of the prompt was padding
    torch.testing.assert_close(found[0], then)
    with pytest.raises(NotImplementedError, match="one token after a prompt with token_idx, got 2"):
        context(qkv[:, :2], is_prompt=False, token_idx=6)
    with pytest.raises(ValueError, match="token_idx must be at least 1, got 0"):
        context(qkv[:, :1], is_prompt=False, token_idx=0)


def test_a_prompt_is_repeated_over_the_batch() -> None:
    allocate(batch=4)
    qkv = qkv_of(2, 4)
    for layer in range(2):
        context(qkv, layer, 2)
    repeat = served("repeat_kv_cache_fp32")
    with pytest.raises(RuntimeError, match="must be the batch size of allocate_workspace, 4"):
        repeat(2, 3)
    caches = repeat(2, 2)
    assert [list(cache.shape) for cache in caches] == [[4, _HEADS, 4, _SIZE]] * 4
    rows = torch.tensor([0, 0, 1, 1])
    values = qkv[rows, :, -_HEADS * _SIZE :].unflatten(-1, (_HEADS, _SIZE)).transpose(1, 2)
    for value in caches[1::2]:
        torch.testing.assert_close(value, values)
    next_token = qkv_of(2, 1)
    found = context(next_token[rows], 0, 2)[0]
    context(qkv, 0, 1)
    torch.testing.assert_close(context(next_token)[0][rows], found)
    served("reset_cache")()
    with pytest.raises(RuntimeError, match="repeat_kv_cache must follow the prompt"):
        repeat(2, 2)


@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_rotary_embedding_of_query_and_key(device: str) -> None:
    for dtype, half, heads in itertools.product(_SUFFIX, (True, False), (_HEADS, 600)):
        query = torch.randn(2, 3, heads * 8, dtype=dtype, device=device)
        key = query[..., :16].contiguous()
        found = served("apply_rotary_pos_emb")(query, key, 4, 5, heads, half, _THETA)
        case = Case(rotary_dim=4, half=half)
        for x, y in zip((query, key), found, strict=True):
            padded = torch.nn.functional.pad(x.cpu().double(), (0, 0, 5, 0))
            wanted = rotated(padded.unflatten(-1, (-1, 8)), case)[:, 5:].flatten(2)
            tolerance = {"rtol": _TOLERANCE[dtype], "atol": _TOLERANCE[dtype]}
            torch.testing.assert_close(y.cpu().double(), wanted, **tolerance)
    with pytest.raises(ValueError, match="rotary_dim must be even and at most head_dim, 8, got 10"):
        served("apply_rotary_pos_emb")(query, key, 10, 0, heads, True, _THETA)
