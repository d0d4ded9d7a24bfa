"""A layer that serves two requests from a paged cache, against dense attention over each."""

from __future__ import annotations

import pytest
from op_checks import assert_close
from serving_reference import for_each, seeded

npu = pytest.mark.npu
N, NKV, D, BLOCK = 4, 2, 16, 16
HIDDEN = N * D
PROMPTS, STEPS = [21, 5], 14  # both requests get a new block while decoding
TOTAL = [prompt + STEPS for prompt in PROMPTS]


class Layer:
    """Attention and a gated MLP with residuals, whose weights are fp16 values."""

    def __init__(self):
        import torch

        def weight(rows, columns):
            return (torch.randn(rows, columns) / rows**0.5).half()

        self.query, self.out = weight(HIDDEN, N * D), weight(N * D, HIDDEN)
        self.key, self.value = weight(HIDDEN, NKV * D), weight(HIDDEN, NKV * D)
        self.up, self.gate, self.down = (
            weight(HIDDEN, 2 * HIDDEN),
            weight(HIDDEN, 2 * HIDDEN),
            weight(2 * HIDDEN, HIDDEN),
        )

    def to(self, device, dtype):
        moved = object.__new__(Layer)
        moved.__dict__ = {name: x.to(device, dtype) for name, x in self.__dict__.items()}
        return moved

    def project(self, x):
        return ((x @ w).unflatten(-1, (-1, D)) for w in (self.query, self.key, self.value))

    def finish(self, x, attended):
        import torch

        x = x + attended.flatten(-2) @ self.out
        return x + (torch.nn.functional.silu(x @ self.gate) * (x @ self.up)) @ self.down


def dense(layer, tokens):
    """Compute a whole request at once with torch's causal attention."""
    import torch

    q, k, v = (t.transpose(0, 1).unsqueeze(0) for t in layer.project(tokens))
    attended = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, enable_gqa=True
    )
    return layer.finish(tokens, attended[0].transpose(0, 1))


class Server:
    """The paged cache of one layer, in either layout."""

    def __init__(self, layer, device, cache_layout):
        import torch

        self.layer, self.layout = layer, cache_layout
        blocks = 10
        shape = (blocks, BLOCK, NKV, D) if cache_layout == "BnBsND" else (blocks, NKV, BLOCK, D)
        self.caches = [
            torch.full(shape, float("nan"), dtype=torch.float16, device=device) for _ in range(2)
        ]
        self.rows = [[7, 2, 9], [4, 0, 3]]
        self.table = torch.tensor(self.rows, dtype=torch.int32, device=device)

    def write(self, key, value, places):
        """Write tokens to ``places``, the sequence and position of each."""
        import torch

        from ascend_ops import kv_cache_scatter

        where = [(self.rows[b][p // BLOCK], p % BLOCK) for b, p in places]
        if self.layout == "BnBsND":
            slots = [block * BLOCK + place for block, place in where]
            caches, tokens = self.caches, (key, value)
        else:
            slots = [
                (block * NKV + head) * BLOCK + place
                for block, place in where
                for head in range(NKV)
            ]
            caches = [cache.view(-1, BLOCK, 1, D) for cache in self.caches]
            tokens = [x.reshape(-1, 1, D) for x in (key, value)]
        kv_cache_scatter(*tokens, *caches, torch.tensor(slots).to(key.device))

    def step(self, x, places, lengths, cu_seqlens_q=None):
        from ascend_ops import paged_attention

        query, key, value = self.layer.project(x)
        self.write(key, value, places)
        attended = paged_attention(
            query,
            *self.caches,
            self.table,
            lengths,
            cu_seqlens_q=cu_seqlens_q,
            cache_layout=self.layout,
        )
        return self.layer.finish(x, attended)


@npu
@for_each(device=["cpu", "npu"], cache_layout=["BnBsND", "BnNBsD"])
def test_prefill_and_decoding_are_dense_attention_over_the_whole_request(device, cache_layout):
    import torch

    seeded()
    layer = Layer()
    requests = [torch.randn(total, HIDDEN).half() for total in TOTAL]
    server = Server(layer.to(device, torch.float16), device, cache_layout)
    found = [[], []]
    with torch.inference_mode():
        prompts = torch.cat([x[:n] for x, n in zip(requests, PROMPTS, strict=True)])
        places = [(b, p) for b, n in enumerate(PROMPTS) for p in range(n)]
        out = server.step(prompts.to(device), places, PROMPTS, [0, PROMPTS[0], sum(PROMPTS)])
        for b, rows in enumerate(out.split(PROMPTS)):
            found[b].append(rows.cpu())
        for t in range(STEPS):
            positions = [n + t for n in PROMPTS]
            x = torch.stack([requests[b][p] for b, p in enumerate(positions)])
            out = server.step(x.to(device), list(enumerate(positions)), [p + 1 for p in positions])
            for b in range(2):
                found[b].append(out[b : b + 1].cpu())
    wide = layer.to("cpu", torch.float64)
    for b, tokens in enumerate(requests):
        assert_close(torch.cat(found[b]), dense(wide, tokens.double()), "float16", 4)
    if cache_layout == "BnBsND":
        check_gathered(server, wide, requests, device)


def check_gathered(server, wide, requests, device):
    import torch

    from ascend_ops import kv_cache_gather

    key, value = kv_cache_gather(*server.caches, server.table, TOTAL)
    assert key.device.type == device
    dense_rows = [list(wide.project(x.double()))[1:] for x in requests]
    for got, which in ((key, 0), (value, 1)):
        assert_close(got, torch.cat([rows[which] for rows in dense_rows]), "float16", 2)
