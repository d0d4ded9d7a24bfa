"""Flash attention and its gradient in plain torch: the formula, in fp32 (fp64 for fp64)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..dispatch.arithmetic import wide_dtype
from .masks import Window, masked_out

Tensor = torch.Tensor

#: How often CANN repeats a row's largest score and its sum.
STATISTICS_COLUMNS = 8


def to_bnsd(x: Tensor, layout: str, heads: int) -> Tensor:
    """``[B, N, S, D]``, a view where it can be."""
    if layout == "BNSD":
        return x
    if layout == "BSND":
        return x.transpose(1, 2)
    split: Tensor = x.unflatten(-1, (heads, -1))
    return split.transpose(1, 2) if layout == "BSH" else split.permute(1, 2, 0, 3)


def from_bnsd(x: Tensor, layout: str) -> Tensor:
    """The inverse, contiguous."""
    if layout == "BNSD":
        return x.contiguous()
    if layout == "SBH":
        return x.permute(2, 0, 1, 3).flatten(2).contiguous()
    tokens_first = x.transpose(1, 2)
    return (tokens_first if layout == "BSND" else tokens_first.flatten(2)).contiguous()


@dataclass(frozen=True)
class Scores:
    """The scaled and masked scores of ``[B, N, S, D]`` inputs, and what goes with them."""

    query: Tensor
    key: Tensor  # repeated for the query heads that share it
    value: Tensor
    scores: Tensor
    out: Tensor | None  # True where one does not count
    keep: Tensor | None  # of dropout, scaled
    sinks: Tensor | None  # [1, N, 1, 1]
    group: int

    @classmethod
    def of(
        cls,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float,
        window: Window,
        bias: Tensor | None = None,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        sinks: Tensor | None = None,
        prefix: list[int] | None = None,
        keep_probability: float = 1.0,
    ) -> Scores:
        """Of inputs in ``[B, N, S, D]``; ``keep`` has a boolean for each score."""
        wide = wide_dtype(query)
        group = query.shape[1] // key.shape[1]
        q, k, v = (
            x.to(wide).repeat_interleave(n, 1)
            for x, n in ((query, 1), (key, group), (value, group))
        )
        scores = q @ k.transpose(2, 3) * scale
        if bias is not None:
            scores = scores + bias.to(wide)
        out = masked_out(scores.shape[2], scores.shape[3], window, prefix, mask, query.device)
        if out is not None:
            scores = scores.masked_fill(out, torch.finfo(wide).min / 2)
        if keep is not None:
            keep = keep.reshape(scores.shape).to(wide) / keep_probability
        shaped = None if sinks is None else sinks.to(wide).reshape(1, -1, 1, 1)
        return cls(q, k, v, scores, out, keep, shaped, group)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """The largest score of a row, and the sum of the exponentials; ``[B, N, S, 1]``."""
        largest = self.scores.amax(-1, keepdim=True)
        if self.sinks is not None:
            largest = torch.maximum(largest, self.sinks)
        total = (self.scores - largest).exp().sum(-1, keepdim=True)
        if self.sinks is not None:
            total = total + (self.sinks - largest).exp()
        return largest, total

    def probabilities(self, largest: Tensor, total: Tensor) -> Tensor:
        """0 where a score does not count, also in rows where none does."""
        found = (self.scores - largest).exp() / total
        return found if self.out is None else found.masked_fill(self.out, 0)

    def dropped(self, probabilities: Tensor) -> Tensor:
        """After dropout."""
        return probabilities if self.keep is None else probabilities * self.keep

    def gradients(
        self, grad: Tensor, largest: Tensor, total: Tensor, scale: float
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor | None]:
        """Of query, key and value, and of sinks, in ``[B, N, S, D]`` and wide.

        With P the probabilities, dP = grad V^T (after dropout) and r = sum(P dP) over the keys:
        dS = P (dP - r), dQ = dS K scale, dK = dS^T Q scale, dV = P^T grad; the sink's score has no
        value, so its gradient is -sum(P_sink r).
        """
        wide = grad.to(self.query.dtype)
        probabilities = self.probabilities(largest, total)
        of_probabilities = self.dropped(wide @ self.value.transpose(2, 3))
        row = (probabilities * of_probabilities).sum(-1, keepdim=True)
        of_scores = probabilities * (of_probabilities - row)
        of_sinks = None
        if self.sinks is not None:
            of_sinks = -((self.sinks - largest).exp() / total * row).sum((0, 2, 3))
        of_inputs = (
            of_scores @ self.key * scale,
            self._summed(of_scores.transpose(2, 3) @ self.query * scale),
            self._summed(self.dropped(probabilities).transpose(2, 3) @ wide),
        )
        return of_inputs, of_sinks

    def _summed(self, x: Tensor) -> Tensor:
        """Over the query heads that share a key."""
        return x if self.group == 1 else x.unflatten(1, (-1, self.group)).sum(2)


def repeated(statistic: Tensor) -> Tensor:
    """As CANN has it: eight equal columns."""
    return statistic.expand(*statistic.shape[:-1], STATISTICS_COLUMNS).contiguous()
