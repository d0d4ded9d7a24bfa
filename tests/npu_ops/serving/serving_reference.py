"""Paged caches, and attention over them by torch's scaled_dot_product_attention in fp64."""

from __future__ import annotations

import itertools
from typing import Any


def for_each(**values: Any) -> Any:
    """Run a test for all combinations of values in one process, since a process takes a second."""

    def decorated(test: Any) -> Any:
        def run_all() -> None:
            for combination in itertools.product(*values.values()):
                test(**dict(zip(values, combination, strict=True)))

        run_all.__name__, run_all.__doc__ = test.__name__, test.__doc__
        return run_all

    return decorated


def seeded(seed: int = 0) -> None:
    import torch

    torch.manual_seed(seed)


class Paged:
    """Dense keys and values of sequences, and the paged caches that hold them.

    Unused places of the caches hold NaN. No two sequences share a block.
    """

    def __init__(
        self,
        lengths: list[int],
        *,
        heads: int = 2,
        size: int = 16,
        block_size: int = 16,
        spare: int = 2,
        dtype: str = "float16",
    ) -> None:
        import torch

        seeded()
        self.lengths = lengths
        self.dtype = getattr(torch, dtype)
        columns = max(-(-max(lengths, default=0) // block_size), 1)
        blocks = len(lengths) * columns + spare
        shape = (blocks, block_size, heads, size)
        self.key_cache, self.value_cache = (
            torch.full(shape, float("nan"), dtype=self.dtype) for _ in range(2)
        )
        order = torch.randperm(blocks)[: len(lengths) * columns]
        self.block_table = order.view(len(lengths), columns).int()
        self.keys, self.values = [], []
        for row, length in zip(self.block_table.tolist(), lengths, strict=True):
            slots = [row[p // block_size] * block_size + p % block_size for p in range(length)]
            for cache, dense in ((self.key_cache, self.keys), (self.value_cache, self.values)):
                tokens = torch.randn(length, heads, size).to(self.dtype)
                cache.view(-1, heads, size)[slots] = tokens
                dense.append(tokens)

    def queries(self, *shape: int) -> Any:
        import torch

        return torch.randn(shape).to(self.dtype)

    def arguments(self, device: str, cache_layout: str = "BnBsND") -> tuple[Any, ...]:
        """Return key_cache, value_cache, block_table and the lengths for paged_attention."""
        caches = [self.key_cache, self.value_cache]
        if cache_layout == "BnNBsD":
            caches = [cache.transpose(1, 2).contiguous() for cache in caches]
        return (*(x.to(device) for x in (*caches, self.block_table)), self.lengths)

    def expected(self, sequence: int, query: Any, causal: bool, scale: float | None = None) -> Any:
        """Return ``[S, N, D]`` in fp64 for the queries ``[S, N, D]`` of one sequence."""
        key, value = self.keys[sequence], self.values[sequence]
        return reference(query, key, value, causal=causal, scale=scale)


def reference(
    query: Any, key: Any, value: Any, *, causal: bool = False, scale: float | None = None, mask=None
) -> Any:
    """Attend from ``[S, N, D]`` to ``[L, Nkv, D]``; if causal, the last query sees all keys."""
    import torch

    if causal:
        mask = torch.ones(query.shape[0], key.shape[0]).tril(key.shape[0] - query.shape[0]).bool()
    q, k, v = (x.double().cpu().transpose(0, 1).unsqueeze(0) for x in (query, key, value))
    mask = mask.double() if mask is not None and mask.is_floating_point() else mask
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=scale, enable_gqa=True
    )
    return out[0].transpose(0, 1)


def log_sum_exp(query: Any, key: Any, *, causal: bool) -> Any:
    """Return ``[S, N]``, the log-sum-exp of the scaled scores, computed per element."""
    import math

    import torch

    s, n, d = query.shape
    group = n // key.shape[1]
    out = torch.empty(s, n, dtype=torch.float64)
    for i in range(s):
        seen = key.shape[0] - s + i + 1 if causal else key.shape[0]
        for h in range(n):
            scores = key[:seen, h // group].double() @ query[i, h].double() / math.sqrt(d)
            out[i, h] = torch.logsumexp(scores, 0)
    return out


#: Sequences, heads, heads of keys, queries, keys and head size of `operands`.
B, N, NKV, S, L, D = 3, 4, 2, 5, 7, 16


def operands(dtype="float16", queries=S, size=D):
    """Return query, key and value as [B, positions, heads, D]."""
    import torch

    seeded()
    sizes = ((B, queries, N, size), (B, L, NKV, size), (B, L, NKV, size))
    return [torch.randn(s).to(getattr(torch, dtype)) for s in sizes]


def laid_out(x, layout):
    return (
        x.transpose(1, 2).contiguous()
        if layout == "BNSD"
        else x.flatten(2)
        if layout == "BSH"
        else x
    )


def taken_back(x, layout, heads=N):
    """Return ``x`` as [B, S, N, D] on the CPU."""
    x = x.cpu()
    if layout == "BNSD":
        return x.transpose(1, 2)
    return x.unflatten(-1, (heads, -1)) if layout == "BSH" else x


def heads_of(layout):
    return {"num_heads": N, "num_key_value_heads": NKV} if layout == "BSH" else {}
