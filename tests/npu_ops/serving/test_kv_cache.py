"""kv_cache_scatter and kv_cache_gather: on aclnn, on the fallback, and refusals."""

from __future__ import annotations

import re

import pytest
from serving_reference import Paged, for_each, seeded

npu = pytest.mark.npu
DTYPES = ["float16", "bfloat16", "int8"]


def tokens(count, heads, size, dtype="float16"):
    import torch

    return (torch.randn(count, heads, size) * 20).to(getattr(torch, dtype))


@npu
@for_each(device=["cpu", "npu"])
def test_each_token_is_in_its_slot_and_nothing_else_changed(device):
    import torch

    from ascend_ops import kv_cache_scatter

    seeded()
    for dtype, slot_dtype in [(d, s) for d in DTYPES for s in (torch.int32, torch.int64)]:
        key, value = tokens(7, 2, 16, dtype), tokens(7, 2, 24, dtype)
        caches = [tokens(48, 2, size, dtype).view(3, 16, 2, size) for size in (16, 24)]
        slots = torch.tensor([0, 47, 16, 15, 31, 8, 33])
        wanted = [cache.clone() for cache in caches]
        for x, cache in zip((key, value), wanted, strict=True):
            for token, slot in enumerate(slots.tolist()):
                cache[slot // 16, slot % 16] = x[token]
        here = [x.to(device) for x in (key, value, *caches)]
        version = here[2]._version
        found = kv_cache_scatter(*here, slots.to(device, slot_dtype))
        assert found[0] is here[2]
        assert found[1] is here[3]
        assert here[2]._version > version
        for got, expected in zip(found, wanted, strict=True):
            assert torch.equal(got.cpu(), expected)


@npu
@for_each(device=["cpu", "npu"])
def test_tokens_come_back_in_the_order_of_their_sequences(device):
    import torch

    from ascend_ops import kv_cache_gather

    for dtype in ("float16", "bfloat16"):
        paged = Paged([33, 1, 0, 16, 20], dtype=dtype)
        *caches, table, lengths = paged.arguments(device)
        on_device = torch.tensor(lengths, dtype=torch.int32, device=device)
        for given in ((lengths,), (torch.tensor(lengths),), (on_device, sum(lengths))):
            key, value = kv_cache_gather(*caches, table, *given)
            assert torch.equal(key.cpu(), torch.cat(paged.keys))
            assert torch.equal(value.cpu(), torch.cat(paged.values))
            assert key.is_contiguous()
    key, value = kv_cache_gather(*caches, table, [0] * 5)
    assert key.shape == (0, 2, 16)


@npu
def test_what_was_scattered_is_gathered_from_views_too():
    import torch

    from ascend_ops import kv_cache_gather, kv_cache_scatter

    seeded()
    fused = tokens(10, 6, 8).npu()
    caches = torch.zeros(2, 5, 16, 2, 8, dtype=torch.float16).npu()  # one storage
    slots = torch.arange(40, 60, 2).npu()
    kv_cache_scatter(fused[:, 2:4], fused[:, 4:], caches[0], caches[1], slots)
    table = torch.tensor([[9, 2], [9, 3]], dtype=torch.int32).npu()[:, 1:]
    key, value = kv_cache_gather(caches[0], caches[1], table, [16, 12])
    assert torch.equal(key[8:16:2].cpu(), fused[:4, 2:4].cpu())
    assert torch.equal(value[16::2].cpu(), fused[4:, 4:].cpu())
    none = fused[:0]
    kv_cache_scatter(none[:, 2:4], none[:, 4:], caches[0], caches[1], slots[:0])


@npu
def test_opcheck_passes_and_it_compiles_as_one_graph():
    import torch

    import ascend_ops.serving.kv_cache as own

    paged = Paged([20, 5], dtype="float32")
    key = torch.randn(3, 2, 16)
    slots = torch.tensor([0, 5, 40])
    scatter = (key, key + 1, paged.key_cache.nan_to_num(), paged.value_cache.nan_to_num(), slots)
    lengths = torch.tensor([20, 5], dtype=torch.int32)
    gather = (*scatter[2:4], paged.block_table, lengths, 25)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for op, arguments in ((own._scatter_op, scatter), (own._gather_op, gather)):
        torch.library.opcheck(op.overload, arguments)
        on_npu = [
            (x.half() if x.is_floating_point() else x).npu() if isinstance(x, torch.Tensor) else x
            for x in arguments
        ]
        torch.library.opcheck(op.overload, tuple(on_npu), test_utils=tests)

    def move(key, key_cache, value_cache, slots, table):
        own.kv_cache_scatter(key * 2, key + 1, key_cache, value_cache, slots)
        return own.kv_cache_gather(key_cache, value_cache, table, [20, 5])

    for device in ("cpu", "npu"):
        arguments = [x.half().to(device) for x in (key, *scatter[2:4])]
        arguments += [slots.to(device), paged.block_table.to(device)]
        again = [x.clone() for x in arguments]
        found = torch.compile(move, fullgraph=True, backend="aot_eager")(*arguments)
        for got, wanted in zip((*found, *arguments), (*move(*again), *again), strict=True):
            assert torch.equal(got.cpu(), wanted.cpu())


@npu
def test_bad_arguments_are_refused():
    import torch

    from ascend_ops import kv_cache_gather as gather
    from ascend_ops import kv_cache_scatter as scatter

    k = torch.zeros(3, 2, 8, dtype=torch.float16)
    c = torch.zeros(4, 16, 2, 8, dtype=torch.float16)
    s = torch.tensor([1, 2, 3])
    table = torch.tensor([[0, 1], [2, 3]], dtype=torch.int32)
    narrow = c.npu()
    grad = torch.zeros(3, 2, 8, dtype=torch.float16, requires_grad=True)
    huge = torch.zeros(1, 16, 128, 600, dtype=torch.float16).npu()
    for call, error, words in (
        (lambda: scatter(k, k, c.long(), c, s), TypeError, "key_cache must have dtype float32"),
        (lambda: scatter(k, k, c, c.float(), s), TypeError, "value_cache must have dtype float16"),
        (
            lambda: scatter(k, k, c[0], c, s),
            ValueError,
            "key_cache must be [num_blocks, block_size, N, D], each at least 1",
        ),
        (lambda: scatter(k, k, c[:, ::2], c, s), ValueError, "key_cache must be contiguous, got"),
        (
            lambda: scatter(k, k, c, c[:2], s),
            ValueError,
            "value_cache must be [4, 16, 2, D], like key_cache",
        ),
        (
            lambda: scatter(k[:, :1], k, c, c, s),
            ValueError,
            "key must have shape [3, 2, 8] ([tokens, N, D], like its cache)",
        ),
        (
            lambda: scatter(k, k[:2], c, c, s),
            ValueError,
            "value must have shape [3, 2, 8] ([tokens, N, D], like its cache)",
        ),
        (lambda: scatter(k.float(), k, c, c, s), TypeError, "key must have dtype float16"),
        (
            lambda: scatter(k, k, narrow, narrow, s),
            ValueError,
            "slot_mapping must be on npu:0",
        ),
        (lambda: scatter(k, k, c, c, s.float()), TypeError, "slot_mapping must have dtype int32"),
        (lambda: scatter(k, k, c, c, s[None]), ValueError, "slot_mapping must be [T], got [1, 3]"),
        (
            lambda: scatter(grad, k, c, c, s),
            ValueError,
            "key must be a tensor that does not require grad",
        ),
        (lambda: scatter(k, k, c, c, s - 2), ValueError, "slots from 0 to 63, got -1 to 1"),
        (lambda: scatter(k, k, c, c, s + 61), ValueError, "slots from 0 to 63, got 62 to 64"),
        (lambda: scatter(k, k, c, c, s // 2), ValueError, "each slot once, got 1 several times"),
        (
            lambda: gather(c, c, table.long(), [1, 1]),
            TypeError,
            "block_table must have dtype int32",
        ),
        (lambda: gather(c, c, table[0], [1, 1]), ValueError, "block_table must be [B, max_blocks]"),
        (lambda: gather(c, c, table, [1]), ValueError, "seq_lens must contain 2 lengths, got 1"),
        (
            lambda: gather(c, c, table, [1, 33]),
            ValueError,
            "seq_lens must contain lengths from 0 to 32, got [1, 33]",
        ),
        (
            lambda: gather(c, c, table, [1, -1]),
            ValueError,
            "seq_lens must contain lengths from 0 to 32, got [1, -1]",
        ),
        (
            lambda: gather(c, c, table, [1, 1.0]),
            TypeError,
            "seq_lens must contain only integers, got [1, 1.0]",
        ),
        (
            lambda: gather(c, c, table, [1, 2], 4),
            ValueError,
            "num_tokens must be 3, the sum of seq_lens, got 4",
        ),
        (
            lambda: gather(c, c, table + 2, [1, 1]),
            ValueError,
            "block_table must contain blocks from 0 to 3 for",
        ),
        (
            lambda: gather(narrow, narrow, table.npu(), torch.tensor([1, 2]).npu()),
            ValueError,
            "num_tokens is required with seq_lens on npu:0, got None",
        ),
        (
            lambda: gather(huge, huge, table[:, :1].npu(), [1, 1]),
            ValueError,
            "at most 151552 bytes per token on an NPU, got 153600",
        ),
    ):
        with pytest.raises(error, match=re.escape(words)):
            call()


@npu
@pytest.mark.socs("Ascend910B", "Ascend910_93")  # an Ascend 950 takes them
def test_caches_in_fp32_are_refused():
    import torch

    from ascend_ops import kv_cache_scatter

    key, cache = torch.zeros(3, 2, 8).npu(), torch.zeros(4, 16, 2, 8).npu()
    words = "key_cache must have dtype float16, bfloat16 or int8 on an NPU, got float32"
    with pytest.raises(TypeError, match=words):
        kv_cache_scatter(key, key, cache, cache, torch.tensor([1, 2, 3]).npu())


@npu
@pytest.mark.parametrize(
    ("slots", "words"),
    [([0, 64], "slots of 0 to 63, got 64 for token 1"), ([5, 5], "got again 5 for token 1")],
)
def test_the_emulated_device_checks_slots(slots, words, capfd):
    import torch

    from ascend_ops import kv_cache_scatter

    key = torch.ones(2, 2, 8, dtype=torch.float16).npu()
    cache = torch.zeros(4, 16, 2, 8, dtype=torch.float16).npu()
    with pytest.raises(RuntimeError, match="561103"):
        kv_cache_scatter(key, key, cache, cache.clone(), torch.tensor(slots).npu())[0].cpu()
    assert words in capfd.readouterr().err


@npu
@pytest.mark.parametrize(
    ("table", "lengths", "words"),
    [
        ([[0, 4], [1, 1]], ([17, 1], 18), "blocks of 0 to 3, got 4 for sequence 0"),
        ([[0, 9], [1, 1]], ([16, 2], 20), "as seq_lens add up to, 18, got 20"),
        ([[0, 1], [1, 1]], ([33, 1], 34), "seq_lens must be 0 to 32, got 33 for sequence 0"),
    ],
)
def test_the_emulated_device_checks_blocks_and_lengths(table, lengths, words, capfd):
    import torch

    from ascend_ops import kv_cache_gather

    cache = torch.zeros(4, 16, 2, 8, dtype=torch.float16).npu()
    on_npu = (torch.tensor(x, dtype=torch.int32).npu() for x in (table, lengths[0]))
    with pytest.raises(RuntimeError, match="561103"):
        kv_cache_gather(cache, cache, *on_npu, lengths[1])[0].cpu()
    assert words in capfd.readouterr().err


@npu
def test_missing_functions_fall_back_with_one_warning_each(monkeypatch):
    import torch

    from ascend_ops import kv_cache_gather, kv_cache_scatter
    from ascend_ops.dispatch.npu_op import FallbackWarning

    monkeypatch.setenv("ASCEND_OPS_DISABLED_ACLNN", "aclnnScatterPaKvCache,aclnnGatherPaKvCache")

    def moved(device):
        seeded()
        key, cache = tokens(3, 2, 8).to(device), tokens(64, 2, 8).view(4, 16, 2, 8).to(device)
        values, slots = cache.clone(), torch.tensor([0, 33, 17]).to(device)
        table = torch.tensor([[2, 0], [1, 3]], dtype=torch.int32).to(device)
        kv_cache_scatter(key, key + 1, cache, values, slots)
        return [x.cpu() for x in (cache, values, *kv_cache_gather(cache, values, table, [3, 20]))]

    with pytest.warns(FallbackWarning) as caught:
        found = [moved("npu") for _ in range(2)][1]
    own = sorted(str(w.message).split()[0] for w in caught if w.category is FallbackWarning)
    assert own == ["ascend_ops.kv_cache_gather", "ascend_ops.kv_cache_scatter"]
    assert all(torch.equal(a, b) for a, b in zip(found, moved("cpu"), strict=True))
