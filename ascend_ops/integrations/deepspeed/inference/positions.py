"""Rotary position embedding as DeepSpeed's kernels define it, from one base for all positions."""

from __future__ import annotations

import torch

from ....rotary.checks import MODES
from ....rotary.rotary_embedding import rotary_embedding, rotary_reference

Tensor = torch.Tensor

_HEADS_BELOW = 1000  # B times N in mode "interleave" on an NPU; see rotary_embedding

_tables: dict[tuple[int, float, str, torch.device], tuple[Tensor, Tensor]] = {}


def rotated(x: Tensor, rotary_dim: int, mode: str, theta: float, begin: int) -> Tensor:
    """Rotate the first ``rotary_dim`` elements of each head of ``[B, S, N, D]``, in fp32.

    Args:
        x: queries or keys.
        rotary_dim: an even number of elements, at most D.
        mode: ``"half"`` or ``"interleave"``; see :func:`ascend_ops.rotary_embedding`.
        theta: the base of the frequencies.
        begin: the position of the first token.
    """
    if rotary_dim % 2 or rotary_dim > x.shape[-1]:
        raise ValueError(
            f"rotary_dim must be even and at most head_dim, {x.shape[-1]}, got {rotary_dim}"
        )
    end = begin + x.shape[1]
    cos, sin = (
        table[None, begin:end, None] for table in _factors(rotary_dim, theta, mode, x.device, end)
    )
    is_too_wide = mode == "interleave" and x.shape[0] * x.shape[2] >= _HEADS_BELOW
    if not (is_too_wide and x.device.type == "npu"):
        return rotary_embedding(x, cos, sin, mode)
    wide = x[..., :rotary_dim].float()
    turned = rotary_reference(wide, cos, sin, MODES[mode]).to(x.dtype)
    return torch.cat((turned, x[..., rotary_dim:]), -1)


def apply_rotary_pos_emb(
    mixed_query: Tensor,
    key_layer: Tensor,
    rotary_dim: int,
    offset: int,
    num_heads: int,
    rotate_half: bool,
    rope_theta: float,
) -> list[Tensor]:
    """Return query and key, ``[B, S, N D]``, rotated; ``offset`` is the first token's position.

    The key may have fewer heads. Without rotate_half, elements 2 i and 2 i + 1 form a pair.
    """
    mode = "half" if rotate_half else "interleave"
    size = mixed_query.shape[-1] // num_heads
    return [
        rotated(x.unflatten(-1, (-1, size)), rotary_dim, mode, rope_theta, offset).flatten(2)
        for x in (mixed_query, key_layer)
    ]


def forget_tables() -> None:
    """Free the tables of cosines and sines."""
    _tables.clear()


def _factors(
    rotary_dim: int, theta: float, mode: str, device: torch.device, count: int
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines in fp32, ``[at least count, rotary_dim]``, memoized."""
    key = (rotary_dim, float(theta), mode, device)
    if key not in _tables or _tables[key][0].shape[0] < count:
        length = 1 << (count - 1).bit_length()  # so that few tables are made as a sequence grows
        exponents = torch.arange(0, rotary_dim, 2, device=device) / rotary_dim
        positions = torch.arange(length, device=device, dtype=torch.float32)
        angles = torch.outer(positions, 1.0 / theta**exponents)
        if mode == "half":
            angles = torch.cat((angles, angles), -1)
        else:
            angles = angles.repeat_interleave(2, -1)
        _tables[key] = (angles.cos(), angles.sin())
    return _tables[key]
