"""``utils``: the bytes of tensors, which DeepSpeed's ``FastFileWriter`` writes to checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .builder import Base, Functions


class UtilsBuilder(Base):
    """Flattening and casts to bytes, in torch; DeepSpeed has none of it for NPUs."""

    BUILD_VAR = "DS_BUILD_UTILS"
    NAME = "utils"

    def functions(self) -> Functions:
        """Return the functions of DeepSpeed's module."""
        return {
            "flatten": torch._utils._flatten_dense_tensors,
            "unflatten": torch._utils._unflatten_dense_tensors,
            "cast_to_byte_tensor": cast_to_byte_tensor,
        }


def cast_to_byte_tensor(
    tensors: torch.Tensor | Sequence[torch.Tensor],
) -> torch.Tensor | list[torch.Tensor]:
    """Return the bytes of a tensor, or of each of several, which share its memory.

    Args:
        tensors: contiguous tensors of any dtype and device. DeepSpeed reads the bytes of others in
            the order of their memory.

    Returns:
        uint8 tensors with one dimension. As with DeepSpeed's function, a tensor of at most one byte
        is returned as it is.

    Raises:
        ValueError: a tensor is not contiguous.
    """
    if isinstance(tensors, torch.Tensor):
        return _bytes(tensors)
    return [_bytes(tensor) for tensor in tensors]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.nbytes <= 1:
        return tensor
    if not tensor.is_contiguous():
        raise ValueError(
            f"tensors must be contiguous, got one with shape {list(tensor.shape)} and strides "
            f"{list(tensor.stride())}: pass its contiguous()"
        )
    return tensor.detach().reshape(-1).view(torch.uint8)
