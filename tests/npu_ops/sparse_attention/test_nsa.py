"""Native sparse attention: each part against loops in fp64, on the CPU and on the NPU."""

from __future__ import annotations

import itertools

import pytest
from attention_reference import attention
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu


def made(*shape, seed=0, dtype="float64"):
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(getattr(torch, dtype))


def compressed(x, weight, places, stride):
    import torch

    windows = []
    for begin, end in itertools.pairwise(places):
        first = begin
        while first + len(weight) <= end:
            parts = [x[first + i] * weight[i][:, None] for i in range(len(weight))]
            windows.append(sum(parts))
            first += stride
    return torch.stack(windows)


def heads_first(x):
    return x.transpose(0, 1)[None]


def one_sequence(query, key, value, sees):
    output = attention(heads_first(query), heads_first(key), heads_first(value), sees)
    return output[0].transpose(0, 1)


def importance(query, key, per_block, per_key, blocks):
    """Return the importance of each block, ``[Sq, Nkv, blocks]``, by the paper's two sums.

    As in CANN's kernel and in torch_npu's own test, blocks count from 1 and keys from 0.
    """
    import torch

    queries, heads, dim = query.shape
    group = heads // key.shape[1]
    found = torch.zeros(queries, key.shape[1], blocks, dtype=torch.float64)
    for head in range(heads):
        scores = query[:, head] @ key[:, head // group].t() * dim**-0.5
        probabilities = scores.softmax(-1)
        for block in range(blocks):
            for m in range(per_block):
                for n in range(per_key):
                    place = per_block * (block + 1) - m - n
                    if 0 <= place < key.shape[0]:
                        found[:, head // group, block] += probabilities[:, place]
    return found


@npu
def test_compression_is_the_weighted_sum_of_each_window():
    import torch

    from ascend_ops import nsa_compress

    places = [0, 70, 80, 130]
    x, weight = made(130, 2, 16), made(32, 2, seed=1)
    for dtype, device in (("float64", "cpu"), ("float16", "npu"), ("bfloat16", "npu")):
        kind = getattr(torch, dtype)
        rounded = [t.to(kind).double() for t in (x, weight)]
        found = value_and_gradients(
            lambda x, w: nsa_compress(x, w, places, 16), [t.to(device, kind) for t in rounded]
        )
        expected = value_and_gradients(lambda x, w: compressed(x, w, places, 16), rounded)
        tolerance = "float32" if dtype == "float64" else dtype
        for got, target in zip(found, expected, strict=True):
            assert_close(got, target, tolerance, 2)


@npu
def test_compressed_attention_attends_and_selects_the_most_important_blocks():
    import torch

    from ascend_ops import nsa_compress_attention

    sizes = {
        "compress_block_size": 4,
        "compress_stride": 2,
        "select_block_size": 4,
        "select_block_count": 2,
    }
    query, key, value = made(5, 4, 8), made(7, 2, 8, seed=1), made(7, 2, 6, seed=2)
    found = value_and_gradients(
        lambda q, k, v: nsa_compress_attention(q, k, v, [0, 5], [0, 7], **sizes)[0],
        [query, key, value],
    )
    expected = value_and_gradients(
        lambda q, k, v: one_sequence(q, k, v, lambda b, i, j: True), [query, key, value]
    )
    for got, target in zip(found, expected, strict=True):
        assert_close(got, target, "float32")
    _, chosen = nsa_compress_attention(query, key, value, [0, 5], [0, 7], **sizes)
    assert chosen.long().equal(importance(query, key, 2, 2, 4).topk(2, -1).indices)
    assert chosen.dtype == torch.int32
    causal, _ = nsa_compress_attention(query, key, value, [0, 5], [0, 7], is_causal=True, **sizes)
    assert_close(causal, one_sequence(query, key, value, lambda b, i, j: 2 * j + 3 <= i), "float32")
    torch.autograd.gradcheck(
        lambda q, k, v: nsa_compress_attention(q, k, v, [0, 5], [0, 7], **sizes)[0],
        [t.requires_grad_() for t in (query, key, value)],
    )


@npu
def test_compressed_attention_on_the_npu_agrees_with_the_cpu_and_torch_npu():
    import torch
    import torch_npu

    from ascend_ops import nsa_compress_attention

    tensors = made(12, 4, 32), made(130, 2, 32, seed=1), made(130, 2, 16, seed=2)
    places = [0, 5, 12], [0, 66, 130]
    half = [t.half().npu() for t in tensors]
    wide = [t.half().double() for t in tensors]
    for is_causal in (False, True):
        output, chosen = nsa_compress_attention(*half, *places, is_causal=is_causal)
        expected, wanted = nsa_compress_attention(*wide, *places, is_causal=is_causal)
        assert_close(output, expected, "float16", 2)
        if not is_causal:
            same = (chosen.cpu().sort(-1).values == wanted.sort(-1).values).float().mean()
            assert same > 0.9  # the order of nearly equal blocks may differ
    theirs = torch_npu.npu_nsa_compress_attention(
        *half,
        32**-0.5,
        4,
        32,
        16,
        64,
        16,
        actual_seq_qlen=places[0][1:],
        actual_cmp_seq_kvlen=places[1][1:],
        actual_sel_seq_kvlen=[17, 33],
    )
    output, chosen = nsa_compress_attention(*half, *places)
    assert_close(output, theirs[0], "float16", 2)
    assert chosen.equal(theirs[1])
    found = value_and_gradients(lambda q, k, v: nsa_compress_attention(q, k, v, *places)[0], half)
    target = value_and_gradients(lambda q, k, v: nsa_compress_attention(q, k, v, *places)[0], wide)
    for got, expected in zip(found, target, strict=True):
        assert_close(got, expected, "float16", 4)
    assert torch.isfinite(found[1]).all()


@npu
def test_selected_attention_sees_only_the_selected_blocks():
    import torch

    from ascend_ops import nsa_select_attention

    places = [0, 3, 5], [0, 8, 14]
    query, key, value = made(5, 4, 8), made(14, 2, 8, seed=1), made(14, 2, 6, seed=2)
    topk = torch.tensor([[[0, 1], [1, 2]], [[3, 0], [2, 3]], [[1, 1], [0, 3]]] + [[[2, 0]] * 2] * 2)
    topk = topk.to(torch.int32)

    def reference(q, k, v):
        outputs = []
        for begin, end, first, last in ((0, 3, 0, 8), (3, 5, 8, 14)):
            for head in range(4):
                seen = topk[begin:end, head // 2]
                outputs.append(
                    one_sequence(
                        q[begin:end, head : head + 1],
                        k[first:last, head // 2 : head // 2 + 1],
                        v[first:last, head // 2 : head // 2 + 1],
                        lambda b, i, j, s=seen: j // 2 in s[i].tolist(),
                    )
                )
        joined = torch.cat(outputs[:4], 1), torch.cat(outputs[4:], 1)
        return torch.cat(joined)

    def ours(q, k, v):
        return nsa_select_attention(q, k, v, topk, *places, select_block_size=2)

    found = value_and_gradients(ours, [query, key, value])
    for got, target in zip(found, value_and_gradients(reference, [query, key, value]), strict=True):
        assert_close(got, target, "float32")
    torch.autograd.gradcheck(ours, [t.requires_grad_() for t in (query, key, value)])


@npu
def test_selected_attention_within_canns_limits_agrees_and_compiles():
    import torch
    import torch_npu

    from ascend_ops import nsa_select_attention

    tensors = made(6, 2, 192), made(2048, 1, 192, seed=1), made(2048, 1, 128, seed=2)
    places = [0, 2, 6], [0, 1024, 2048]
    topk = torch.rand(6, 1, 16, generator=torch.Generator().manual_seed(0)).argsort(-1)
    topk = topk.to(torch.int32)
    half = [t.half().npu() for t in tensors]

    def ours(q, k, v):
        return nsa_select_attention(q, k, v, topk.to(q.device), *places)

    found = value_and_gradients(ours, half)
    expected = value_and_gradients(ours, [t.half().double() for t in tensors])
    for got, target in zip(found, expected, strict=True):
        assert_close(got, target, "float16", 4)
    everything = torch.nn.functional.scaled_dot_product_attention(
        *(heads_first(t[:n]).double().cpu() for t, n in zip(half, (2, 1024, 1024), strict=True)),
        enable_gqa=True,
    )
    # 16 different blocks of 64 are all 1024 keys.
    assert_close(found[0][:2], everything[0].transpose(0, 1), "float16", 4)
    theirs = torch_npu.npu_nsa_select_attention(
        *half,
        topk.npu(),
        192**-0.5,
        2,
        64,
        16,
        actual_seq_qlen=places[0][1:],
        actual_seq_kvlen=places[1][1:],
    )
    assert_close(found[0], theirs[0], "float16", 2)
    assert_compiles(lambda q, k, v: ours(q.sin(), k, v), [t.half() for t in tensors])


@npu
def test_the_window_is_the_last_keys_and_the_three_parts_add_up():
    import torch

    from ascend_ops import (
        nsa_compress,
        nsa_compress_attention,
        nsa_select_attention,
        nsa_window_attention,
    )

    query, key, value = made(9, 4, 8), made(9, 2, 8, seed=1), made(9, 2, 8, seed=2)
    places = [0, 9]
    window = nsa_window_attention(query, key, value, places, places, 3)
    by_hand = one_sequence(query, key, value, lambda b, i, j: 0 <= i - j <= 2)
    assert_close(window, by_hand, "float32")
    weight = torch.full((2, 2), 0.5, dtype=torch.float64)
    small = [nsa_compress(x, weight, places, 1) for x in (key, value)]
    coarse, chosen = nsa_compress_attention(
        query,
        *small,
        places,
        [0, 8],
        compress_block_size=2,
        compress_stride=1,
        select_block_size=3,
        select_block_count=3,
    )
    fine = nsa_select_attention(query, key, value, chosen, places, places, select_block_size=3)
    means = [(x[:-1] + x[1:]) / 2 for x in (key, value)]
    expected = (
        one_sequence(query, *means, lambda b, i, j: True)
        + one_sequence(query, key, value, lambda b, i, j: True)  # all three blocks
        + by_hand
    )
    assert_close(coarse + fine + window, expected, "float32")
