"""Native sparse attention for serving, called by name and through torch_npu, beside loops."""

from __future__ import annotations

import pytest
from aclnn_call import check, on_npu

pytestmark = pytest.mark.npu


class Operands:
    """Pages in another order than their numbers."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch

    def table(self, *rows):
        return self.torch.tensor(rows, dtype=self.torch.int32)

    def paged(self, sequences, table, page, pages):
        """Return the pages that hold ``sequences``, [tokens, ..] each."""
        cache = self.torch.randn(pages, page, *sequences[0].shape[1:]).half()
        for tokens, row in zip(sequences, table.tolist(), strict=True):
            for at, token in enumerate(tokens):
                cache[row[at // page], at % page] = token
        return cache


def last_windows(t, *, paged):
    """Sequences of 48, 40, 16 and 80 tokens: of windows of 32, the first and the last end now."""
    lengths, block, stride = [48, 40, 16, 80], 32, 16
    sequences = [t.torch.randn(n, 2, 16).half() for n in lengths]
    weight, cache = t.torch.rand(block, 2).half(), t.torch.randn(9, 2, 16).half()
    slots = t.torch.tensor([5, 1, 2, 7], dtype=t.torch.int32)
    wanted = cache.clone()
    for place in (0, 3):
        window = sequences[place][-block:].float() * weight.float()[..., None]
        wanted[slots[place]] = window.sum(0).half()
    table = t.table([3, 0], [1, 5], [4, 4], [2, 6]) if paged else None
    tokens = t.paged(sequences, table, 64, 7) if paged else t.torch.cat(sequences)
    numbers = [table, "" if paged else "TND", block, stride, 1, 64]
    return [tokens, weight, slots, lengths, *numbers, cache], [], {10: wanted}


def attention(query, key, value, scale):
    """Return the probabilities and the results of one key head, [group, keys] and [group, D]."""
    p = (query.float() @ key.float().T * scale).softmax(-1)
    return p, p @ value.float()


def spans(layout, counts, width):
    """Return where the query tokens of each sequence begin."""
    starts, begin = [], 0
    for b, count in enumerate(counts):
        starts.append(begin if layout == "TND" else b * width)
        begin += count
    return starts


def shaped(layout, x, batch):
    """Return [tokens, heads, D] in a layout."""
    if layout == "TND":
        return x
    x = x.view(batch, -1, *x.shape[1:])
    return x.flatten(2) if layout == "BSH" else x


def selected(t, layout, counts=(1, 1)):
    """Two sequences of 150 and 70 tokens, 4 query heads and 2 key heads, 3 blocks of 32 tokens."""
    lengths, page, block, chosen, width = [150, 70], 64, 32, 3, max(counts)
    rows = sum(counts) if layout == "TND" else len(counts) * width
    query = t.torch.randn(rows, 4, 192).half()
    keys = [t.torch.randn(n, 2, 192).half() for n in lengths]
    values = [t.torch.randn(n, 2, 128).half() for n in lengths]
    table = t.table([4, 0, 2], [1, 3, 3])
    indices = t.torch.full((rows, 2, chosen), -1, dtype=t.torch.int32)
    output = t.torch.full((rows, 4, 128), 77.0).half()
    for b, (begin, count) in enumerate(zip(spans(layout, counts, width), counts, strict=True)):
        blocks = -(-lengths[b] // block)
        for i in range(count):
            for head in range(2):
                picks = t.torch.randperm(blocks)[: chosen - head]
                indices[begin + i, head, : len(picks)] = picks
                visible = lengths[b] - (count - 1 - i)
                seen = [j for p in picks.tolist() for j in range(p * block, (p + 1) * block)]
                seen = [j for j in seen if j < visible]
                group = slice(2 * head, 2 * head + 2)
                k, v = keys[b][seen, head], values[b][seen, head]
                output[begin + i, group] = attention(query[begin + i, group], k, v, 0.07)[1].half()
    caches = [t.paged(x, table, page, 5) for x in (keys, values)]
    caches = caches if layout == "BSND" else [x.flatten(2) for x in caches]
    if layout != "TND":
        indices = indices.view(len(counts), width, 2, chosen)
    inputs = [shaped(layout, query, 2), *caches, indices, None, table, list(counts), lengths]
    inputs += [layout, 4, 2, block, chosen, page, 0.07, 0]
    return inputs, [shaped(layout, output, 2)]


def compressed(t, layout, counts=(1, 1), *, masked=False):
    """Two sequences of 29 and 25 compressed keys: blocks of 64 of what windows of 32 compress."""
    keys_of, tokens_of, page, block, chosen, window, stride = (
        [29, 25],
        [480, 417],
        16,
        64,
        5,
        32,
        16,
    )
    width = max(counts)
    rows = sum(counts) if layout == "TND" else len(counts) * width
    query = t.torch.randn(rows, 4, 24).half()
    keys = [t.torch.randn(n, 2, 24).half() for n in keys_of]
    values = [t.torch.randn(n, 2, 16).half() for n in keys_of]
    table = t.table([2, 0], [1, 3])
    output = t.torch.full((rows, 4, 16), 77.0).half()
    best = t.torch.full((rows, 2, chosen), 77, dtype=t.torch.int32)
    for b, (begin, count) in enumerate(zip(spans(layout, counts, width), counts, strict=True)):
        blocks = -(-((keys_of[b] - 1) * stride + window) // block)
        after = tokens_of[b] - ((keys_of[b] - 1) * stride + window)
        for i in range(count):
            hides = masked and count - i - 1 > after
            for head in range(2):
                group, n = slice(2 * head, 2 * head + 2), keys_of[b] - hides
                k, v = keys[b][:n, head], values[b][:n, head]
                p, result = attention(query[begin + i, group], k, v, 0.3)
                output[begin + i, group] = result.half()
                best[begin + i, head] = t.torch.tensor(most_important(p, blocks, chosen))
    caches = [t.paged(x, table, page, 4).flatten(2) for x in (keys, values)]
    if layout != "TND":
        best = best.view(len(counts), width, 2, chosen)
    mask = t.torch.zeros(1, dtype=t.torch.uint8) if masked else None
    lengths = [list(counts), keys_of, tokens_of]
    inputs = [shaped(layout, query, 2), *caches, mask, table, *lengths, None]
    inputs += [4, 2, block, chosen, window, stride, 0.3, layout, page, 0]
    return inputs, [shaped(layout, output, 2), best]


def most_important(p, blocks, count):
    """Return the first, the last two, and the best of the others by their sums of probabilities.

    Block b, counted from 1, has the keys 4 b - m - n for m below 4 and n below 2.
    """
    sums = {}
    for b in range(1, blocks + 1):
        keys = [4 * b - m - n for m in range(4) for n in range(2)]
        sums[b - 1] = sum(float(p[:, k].sum()) for k in keys if k < p.shape[1])
    always = [0, blocks - 2, blocks - 1]
    others = sorted((b for b in sums if b not in always), key=lambda b: -sums[b])
    return [*always, *others][:count]


CASES = {
    "aclnnNsaCompressWithCache": lambda t: last_windows(t, paged=True),
    "aclnnNsaCompressWithCache:without pages": lambda t: last_windows(t, paged=False),
    **{
        f"aclnnNsaSelectedAttentionInfer:{layout} {counts}": lambda t,
        la=layout,
        c=counts: selected(t, la, c)
        for layout in ("TND", "BSND", "BSH")
        for counts in ((1, 1), (3, 2))
    },
    **{
        f"aclnnNsaCompressAttentionInfer:{layout} {counts}": lambda t,
        la=layout,
        c=counts: compressed(t, la, c)
        for layout in ("TND", "BSND")
        for counts in ((1, 1), (3, 2))
    },
    "aclnnNsaCompressAttentionInfer:mask": lambda t: compressed(t, "TND", (3, 4), masked=True),
}
CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_loops(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


def test_torch_npu_calls_the_same_functions():
    import torch_npu

    t = Operands()
    close = t.torch.testing.assert_close
    inputs, _, changed = last_windows(t, paged=True)
    tokens, weight, slots, lengths, table, *_, cache = map(on_npu, inputs)
    torch_npu.npu_nsa_compress_infer(
        *(tokens, weight, slots, 32, 16, 64),
        **{"block_table": table, "actual_seq_len": lengths, "cache": cache},
    )
    close(cache.cpu(), changed[10], rtol=1e-3, atol=1e-3)

    inputs, (wanted,) = selected(t, "TND", (3, 2))
    q, k, v, indices, _, table, counts, lengths, *_ = map(on_npu, inputs)
    found = torch_npu.npu_nsa_select_attention_infer(
        *(q, k, v, indices, 0.07, 4, 2, 32, 3, 64),
        **{"layout": "TND", "block_table": table},
        **{"actual_seq_qlen": counts, "actual_seq_kvlen": lengths},
    )
    close(found.cpu(), wanted, rtol=1e-3, atol=1e-3)

    inputs, (wanted, best) = compressed(t, "BSND")
    q, k, v, _, table, _, keys, tokens, *_ = map(on_npu, inputs)
    found, chosen = torch_npu.npu_nsa_compress_attention_infer(
        *(q, k, v, 0.3, 4, 2, 64, 5, 16, 32, 16),
        **{"layout": "BSND", "block_table": table},
        **{"actual_cmp_seq_kvlen": keys, "actual_sel_seq_kvlen": tokens},
    )
    close(found.cpu(), wanted, rtol=1e-3, atol=1e-3)
    assert chosen.cpu().equal(best)


REFUSED = {
    "an even window": ("aclnnNsaCompressWithCache", 6, 24, "compressBlockSize must be a multiple"),
    "cumulative lengths": ("aclnnNsaCompressWithCache", 8, 0, "actSeqLenType must be 1"),
    "pages of 32": ("aclnnNsaCompressWithCache", 9, 32, "pageBlockSize must be 64 or 128"),
    "a group of 3": ("aclnnNsaSelectedAttentionInfer", 9, 6, "query must have"),
    "blocks of 24": ("aclnnNsaSelectedAttentionInfer", 11, 24, "selectBlockSize must be"),
    "a window": ("aclnnNsaCompressAttentionInfer", 18, 1, "sparseMode must be 0"),
    "a stride of 32": ("aclnnNsaCompressAttentionInfer", 14, 8, "compressBlockStride must be"),
    "too many blocks": ("aclnnNsaCompressAttentionInfer", 12, 8, "selectBlockCount must be 1 to 7"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_device_does_not_take_is_refused(name):
    function, place, value, message = REFUSED[name]
    case = next(each for key, each in CASES.items() if key.startswith(function))
    inputs, outputs, *_ = case(Operands())
    inputs[place] = value
    with pytest.raises(RuntimeError, match=message):
        check(function, inputs, outputs)
