"""Diffusers: an attention processor and an attention backend on ``flash_attention``.

Diffusers' own backend for NPUs, ``_native_npu``, inverts every mask, so that additive masks select
the wrong keys. :func:`register` replaces it and adds the backend ``"ascend_ops"``;
:func:`set_attention` gives a model the one or the other way.

Importing this module does not import Diffusers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from ..attention.flash import flash_attention

Tensor = torch.Tensor

#: The name of the attention backend.
BACKEND = "ascend_ops"

#: The processors of Diffusers that compute what :class:`AttnProcessor` computes.
_REPLACED = ("AttnProcessor", "AttnProcessor2_0", "AttnProcessorNPU")


class AttnProcessor:
    """Attention of Diffusers' ``Attention`` modules on ``flash_attention``, on NPUs and CPUs.

    It takes the place of ``AttnProcessor2_0``, and uses the module's own scale.

    Example:
        >>> import torch
        >>> from diffusers.models.attention_processor import Attention
        >>> from ascend_ops.integrations.diffusers import AttnProcessor
        >>> attention = Attention(query_dim=32, heads=4, dim_head=8, processor=AttnProcessor())
        >>> attention(torch.randn(2, 16, 32)).shape
        torch.Size([2, 16, 32])
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Return the attention of ``attn``, a module of Diffusers, in the shape of its input.

        Args:
            attn: the module whose projections and norms are used.
            hidden_states: ``[B, S, C]``, or an image ``[B, C, H, W]``.
            encoder_hidden_states: ``[B, Skv, Ckv]``; hidden_states if None.
            attention_mask: bool, True for keys that count, or floating-point, added to the scores:
                ``[B, Skv]``, ``[B, 1 or Sq, Skv]``, ``[B N, 1 or Sq, Skv]`` or
                ``[B, 1 or N, 1 or Sq, Skv]``.
            temb: for the module's spatial norm.
        """
        residual, shape = hidden_states, hidden_states.shape
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        query, key, value = _projected(attn, hidden_states, encoder_hidden_states)
        output = _attention(query, key, value, attention_mask, scale=attn.scale)
        output = output.flatten(2).to(query.dtype)
        output = attn.to_out[1](attn.to_out[0](output))
        if len(shape) == 4:
            output = output.transpose(1, 2).reshape(shape[0], -1, *shape[2:])
        if attn.residual_connection:
            output = output + residual
        result: Tensor = output / attn.rescale_output_factor
        return result


def register() -> None:
    """Add the attention backend ``"ascend_ops"`` and correct ``"_native_npu"``.

    A second call does nothing. Afterwards ``model.set_attention_backend("ascend_ops")``,
    ``attention_backend("ascend_ops")`` and ``dispatch_attention_fn(..., backend="ascend_ops")``
    use ``flash_attention``. Both backends refuse ``return_lse``. With context parallelism
    ``_native_npu`` remains Diffusers' own, and refuses a floating-point mask.

    Raises:
        RuntimeError: this Diffusers has another registry of backends than 0.42.1.

    Example:
        >>> import torch
        >>> from ascend_ops.integrations import diffusers as integration
        >>> from diffusers.models.attention_dispatch import dispatch_attention_fn
        >>> integration.register()
        >>> query, key, value = torch.randn(3, 2, 16, 4, 8)  # [B, S, N, D]
        >>> bias = torch.zeros(2, 16).masked_fill(torch.arange(16) >= 10, -10000.0)
        >>> dispatch_attention_fn(query, key, value, bias, backend="ascend_ops").shape
        torch.Size([2, 16, 4, 8])
    """
    from diffusers.models import attention_dispatch as dispatch

    if not hasattr(dispatch, "_AttentionBackendRegistry"):
        raise RuntimeError(
            "ascend_ops.integrations.diffusers.register requires the registry of attention "
            f"backends that Diffusers 0.42.1 has; this is {version('diffusers')}"
        )
    names, registry = dispatch.AttentionBackendName, dispatch._AttentionBackendRegistry
    if BACKEND in {member.value for member in names}:
        return
    checks = [dispatch._check_device, dispatch._check_shape]
    native = names._NATIVE_NPU
    parallel = registry._backends[native]
    registry.register(_new_member(names), constraints=checks)(_attention)
    registry.register(native, constraints=checks, supports_context_parallel=True)(
        _native_npu_beside(parallel)
    )


def set_attention(model: Any) -> int:
    """Compute the attention of a model's layers by ``flash_attention``; return their number.

    Layers with the usual processors get an :class:`AttnProcessor`. The processors of newer models,
    which dispatch by a backend, keep their work and use the backend ``"ascend_ops"``; other models
    are not affected.

    Args:
        model: a model of Diffusers, for example a ``UNet2DConditionModel``.

    Raises:
        ValueError: the model has no attention layer, or one whose processor is of another kind.
            Nothing is changed then.

    Example:
        >>> from ascend_ops.integrations.diffusers import set_attention
        >>> from diffusers import DiTTransformer2DModel
        >>> model = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, num_layers=3)
        >>> set_attention(model)
        3
    """
    register()
    from diffusers.models.attention_dispatch import AttentionBackendName

    layers = {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "set_processor") and getattr(module, "processor", None) is not None
    }
    refused = [
        f"{name} has {type(module.processor).__name__}"
        for name, module in layers.items()
        if not (_dispatches(module.processor) or _is_replaced(module.processor))
    ]
    if refused or not layers:
        found = "; ".join(refused) or "none"
        raise ValueError(
            f"model must have attention layers whose processors are {', '.join(_REPLACED)} or "
            f"dispatch by a backend, got {found}"
        )
    for module in layers.values():
        if _dispatches(module.processor):
            module.processor._attention_backend = AttentionBackendName(BACKEND)
        else:
            module.set_processor(AttnProcessor())
    return len(layers)


def _dispatches(processor: Any) -> bool:
    return hasattr(processor, "_attention_backend")


def _is_replaced(processor: Any) -> bool:
    kind = type(processor)
    theirs = kind.__module__.partition(".")[0] == "diffusers" and kind.__name__ in _REPLACED
    return theirs or isinstance(processor, AttnProcessor)


def _projected(attn: Any, hidden: Tensor, encoder_hidden: Tensor | None) -> tuple[Tensor, ...]:
    """Return query, key and value, ``[B, S, N, D]``."""
    query = attn.to_q(hidden)
    if encoder_hidden is None:
        encoder_hidden = hidden
    elif attn.norm_cross:
        encoder_hidden = attn.norm_encoder_hidden_states(encoder_hidden)
    size = query.shape[-1] // attn.heads
    query, key, value = (
        x.unflatten(-1, (-1, size))
        for x in (query, attn.to_k(encoder_hidden), attn.to_v(encoder_hidden))
    )
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    return query, key, value


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001 - flash_attention always takes fewer key heads
    return_lse: bool = False,
    _parallel_config: Any = None,
) -> Tensor:
    """Compute what Diffusers' backends compute, for ``[B, S, N, D]``."""
    if return_lse:
        raise ValueError(f"return_lse must be False with the backend {BACKEND!r}, got True")
    if _parallel_config is not None:
        raise ValueError(f"the backend {BACKEND!r} cannot be used with context parallelism")
    mask = None if attn_mask is None else _mask(attn_mask, query, key)
    return flash_attention(query, key, value, mask, dropout_p, is_causal, scale, layout="BSND")


def _mask(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Return a mask in the shapes of ``flash_attention``; 2-D is ``[B, Skv]`` if that fits."""
    (batch, _, heads, _), keys = query.shape, key.shape[1]
    if not 2 <= mask.dim() <= 4 or mask.shape[-1] != keys:
        raise ValueError(
            f"attn_mask must have 2 to 4 dimensions, the last of size {keys}, got "
            f"{list(mask.shape)}"
        )
    if mask.dim() == 2 and mask.shape[0] == batch:
        return mask[:, None, None]
    if mask.dim() == 3 and mask.shape[0] == batch * heads:
        return mask.reshape(batch, heads, *mask.shape[1:])
    return mask.unsqueeze(1) if mask.dim() == 3 else mask


def _native_npu_beside(parallel: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the backend ``_native_npu``; ``parallel`` is Diffusers' own."""

    @functools.wraps(_attention)  # Diffusers passes the arguments that its signature names
    def native_npu(*, attn_mask: Tensor | None = None, **options: Any) -> Tensor:
        if options.get("_parallel_config") is None:
            return _attention(attn_mask=attn_mask, **options)
        if attn_mask is not None and attn_mask.dtype != torch.bool:
            raise ValueError(
                "attn_mask must be bool with context parallelism on an NPU, got "
                f"{attn_mask.dtype}: Diffusers inverts other masks"
            )
        if options.pop("is_causal", False):
            raise ValueError("is_causal must be False with context parallelism on an NPU, got True")
        options.pop("enable_gqa", None)
        return parallel(attn_mask=attn_mask, **options)

    return native_npu


def _new_member(names: Any) -> Any:
    """Add a member to Diffusers' closed enumeration of backends, as its API takes no other name."""
    member = str.__new__(names, BACKEND)
    name = BACKEND.upper()
    member._name_, member._value_ = name, BACKEND
    member._sort_order_ = len(names)
    setattr(names, name, member)
    names._member_map_[name] = names._value2member_map_[BACKEND] = member
    names._member_names_.append(name)
    return member
