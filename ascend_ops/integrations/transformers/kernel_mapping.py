"""The layers of this package in the mapping of Hugging Face's ``kernels``, for the device ``npu``.

They serve layers that ``kernels.use_kernel_forward_from_hub`` marked "RMSNorm", "SwiGLUMLP" or
"rotary_pos_emb". Transformers marks its layers only if it accepts the installed version of kernels.
Otherwise they are marked here, with names of our own, so that ``kernels.kernelize`` does not apply
other kernels to them.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..post_import import after_import
from .forms import is_norm, is_swiglu, norm_form
from .layers import mlp_forward, norm_forward, rotated

Tensor = torch.Tensor

_logger = logging.getLogger("ascend_ops.integrations.transformers")


class RMSNorm(nn.Module):
    """An RMS norm, with the formula of the layer whose forward it replaces."""

    can_torch_compile = True

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the normalized input."""
        return norm_forward(self, hidden_states)


class SwiGLUMLP(nn.Module):
    """A gated MLP with SiLU."""

    can_torch_compile = True

    def forward(self, x: Tensor) -> Tensor:
        """Return ``down(silu(gate(x)) * up(x))``."""
        return mlp_forward(self, x)


class RotaryEmbedding(nn.Module):
    """The rotary embedding of query and key."""

    can_torch_compile = True

    def forward(
        self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Return query and key, rotated."""
        kind: Any = type(self)
        return rotated(_original(kind), q, k, cos, sin, unsqueeze_dim)


@functools.cache
def _original(kind: type[nn.Module]) -> Any:
    """Return the function that kernels wrapped in this class."""
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    return functools.partial(kind.forward, module)


class _Repository:
    """What ``kernels.register_kernel_mapping`` takes: a layer of this process, not of the hub."""

    def __init__(self, layer: type[nn.Module]) -> None:
        self.layer_name = layer.__name__
        self._layer = layer

    def load(self) -> type[nn.Module]:
        return self._layer

    def __str__(self) -> str:
        return f"ascend_ops, layer `{self.layer_name}`"


_OWN_NORM, _OWN_MLP = "ascend_ops.RMSNorm", "ascend_ops.SwiGLUMLP"
_LAYERS = {
    "RMSNorm": RMSNorm,
    "SwiGLUMLP": SwiGLUMLP,
    "rotary_pos_emb": RotaryEmbedding,
    _OWN_NORM: RMSNorm,
    _OWN_MLP: SwiGLUMLP,
}


def _is_known_norm(module: Any) -> bool:
    return is_norm(module) and norm_form(module, module.weight.dtype) is not None


def _mark_layers(module: ModuleType) -> None:
    """Mark the norms and gated MLPs of a modeling file, which kernelize tries out one by one."""
    import kernels

    for name, kind in list(vars(module).items()):
        is_layer = isinstance(kind, type) and issubclass(kind, nn.Module)
        if not is_layer or kind.__module__ != module.__name__ or hasattr(kind, "kernel_layer_name"):
            continue
        if "Norm" in name:
            kernels.replace_kernel_forward_from_hub(kind, _OWN_NORM, _is_known_norm)
        elif "MLP" in name:
            kernels.replace_kernel_forward_from_hub(kind, _OWN_MLP, is_swiglu)


@functools.cache
def register_mapping() -> None:
    """Put the layers into kernels' mapping; mark layers if Transformers does not do it."""
    try:
        import kernels
    except ImportError:
        return
    from transformers.utils.import_utils import is_kernels_available

    kernels.register_kernel_mapping(
        {name: {"npu": _Repository(layer)} for name, layer in _LAYERS.items()}
    )
    if not is_kernels_available():
        after_import("transformers.models.*.modeling_*", _mark_layers)
        _logger.warning(
            "transformers %s does not accept kernels %s: use_kernels=True raises, and "
            "kernels.kernelize() replaces RMS norms and SwiGLU MLPs, but not rotary functions; "
            "ascend_ops.integrations.transformers.kernelize(model) replaces all of them",
            *(importlib.metadata.version(name) for name in ("transformers", "kernels")),
        )
