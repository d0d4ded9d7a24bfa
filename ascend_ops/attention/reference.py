"""Reference implementation of flash attention and its gradient in torch, in fp32 or fp64.

Formula: Dao et al. 2022, arXiv:2205.14135. fp64 inputs are computed in fp64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..dispatch.arithmetic import wide_dtype
from .masks import Window, masked_out

Tensor = torch.Tensor

#: CANN stores each row's largest score, and its sum of exponentials, in this many equal columns.
STATISTICS_COLUMNS = 8


class Gradients(NamedTuple):
    """The gradients of ``[B, N, S, D]`` inputs in fp32 or fp64."""

    query: Tensor
    key: Tensor
    value: Tensor
    bias: Tensor  # [B, N, Sq, Skv], for a bias of any smaller shape not yet summed
    sinks: Tensor | None


@dataclass(frozen=True)
class Scores:
    """The scaled and masked scores of ``[B, N, S, D]`` inputs, and what their softmax needs."""

    query: Tensor
    key: Tensor  # repeated for the query heads that share it
    value: Tensor
    scores: Tensor
    out: Tensor | None  # True for scores that do not count
    keep: Tensor | None  # of dropout, scaled
    sinks: Tensor | None  # [1, N, 1, 1]
    slope: Tensor | None  # of the softcap: its derivative at each score
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
        softcap: float | None = None,
    ) -> Scores:
        """Compute the scores of ``[B, N, S, D]`` inputs; ``keep`` has one boolean per score."""
        wide = wide_dtype(query)
        group = query.shape[1] // key.shape[1]
        q, k, v = (
            x.to(wide).repeat_interleave(n, 1)
            for x, n in ((query, 1), (key, group), (value, group))
        )
        scores = q @ k.transpose(2, 3) * scale
        slope = None
        if softcap is not None:
            capped = (scores / softcap).tanh()
            scores, slope = softcap * capped, 1 - capped.square()
        out = masked_out(scores.shape[2], scores.shape[3], window, prefix, mask, query.device)
        if bias is not None:
            scores = scores + bias.to(wide)
            nothing = scores == -math.inf  # or a row of nothing else would become NaN
            out = nothing if out is None else out | nothing
        if out is not None:
            scores = scores.masked_fill(out, torch.finfo(wide).min / 2)
        if keep is not None:
            keep = keep.reshape(scores.shape).to(wide) / keep_probability
        shaped = None if sinks is None else sinks.to(wide).reshape(1, -1, 1, 1)
        return cls(q, k, v, scores, out, keep, shaped, slope, group)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return each row's largest score and sum of exponentials, ``[B, N, S, 1]``."""
        largest = self.scores.amax(-1, keepdim=True)
        if self.sinks is not None:
            largest = torch.maximum(largest, self.sinks)
        total = (self.scores - largest).exp().sum(-1, keepdim=True)
        if self.sinks is not None:
            total = total + (self.sinks - largest).exp()
        return largest, total

    def probabilities(self, largest: Tensor, total: Tensor) -> Tensor:
        """Return the softmax: 0 for scores that do not count, even if none in the row does."""
        found = (self.scores - largest).exp() / total
        return found if self.out is None else found.masked_fill(self.out, 0)

    def dropped(self, probabilities: Tensor) -> Tensor:
        """Apply dropout."""
        return probabilities if self.keep is None else probabilities * self.keep

    def gradients(self, grad: Tensor, largest: Tensor, total: Tensor, scale: float) -> Gradients:
        """Return the gradients of all inputs from that of the output, ``[B, N, S, D]``.

        With P the probabilities, dP = grad V^T (after dropout) and r = sum(P dP) over the keys:
        dS = P (dP - r), dQ = dS K scale, dK = dS^T Q scale, dV = P^T grad. The bias gets dS, and
        query and key get dS times the slope of the softcap. The score of a sink has no value, so
        its gradient is -sum(P_sink r).
        """
        wide = grad.to(self.query.dtype)
        probabilities = self.probabilities(largest, total)
        of_probabilities = self.dropped(wide @ self.value.transpose(2, 3))
        row = (probabilities * of_probabilities).sum(-1, keepdim=True)
        of_scores = probabilities * (of_probabilities - row)
        of_products = of_scores if self.slope is None else of_scores * self.slope
        of_sinks = None
        if self.sinks is not None:
            of_sinks = -((self.sinks - largest).exp() / total * row).sum((0, 2, 3))
        return Gradients(
            of_products @ self.key * scale,
            self._summed(of_products.transpose(2, 3) @ self.query * scale),
            self._summed(self.dropped(probabilities).transpose(2, 3) @ wide),
            of_scores,
            of_sinks,
        )

    def _summed(self, x: Tensor) -> Tensor:
        """Sum over the query heads that share a key head."""
        return x if self.group == 1 else x.unflatten(1, (-1, self.group)).sum(2)


def repeated(statistic: Tensor) -> Tensor:
    """Return ``[..., 1]`` as CANN stores it: in eight equal columns."""
    return statistic.expand(*statistic.shape[:-1], STATISTICS_COLUMNS).contiguous()
